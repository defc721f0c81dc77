//! Translation: `rdr` and `binat` on the way in, `binat` and `nat` on the way out.

use super::{
    Inexpressible, Told, Writer,
    filter::{ports, protocols},
    hosts::{Match, Side, families, ip},
    marks::{TRANSLATION, TRANSLATION_MASK},
};
use netplan::{
    Family, Net,
    pf::{Binat, Hosts, Nat, NatSource, On, Rdr},
};
use std::{fmt::Write as _, net::IpAddr};

/// The sources that a translation on the way out gives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Given {
    pub(super) family: Family,
    pub(super) source: GivenSource,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum GivenSource {
    /// One of these, in turn.
    OneOf(Vec<IpAddr>),
    /// The same bits behind another prefix.
    Moved { inside: Net, outside: Net },
}

impl Writer<'_> {
    /// The chain of the way in.
    pub(super) fn arriving(&mut self) -> Told<String> {
        let mut text =
            "  chain arriving {\n    type nat hook prerouting priority -100; policy accept;\n"
                .to_owned();
        text += &self.skip("iifname");
        let flat = self.flat;
        for of in &flat.rdr {
            text += &self.rdr(of.scope, of.rule)?;
        }
        for of in &flat.binat {
            text += &self.binat_in(of.scope, of.rule)?;
        }
        Ok(text + "  }\n")
    }

    fn rdr(&mut self, scope: usize, rdr: &Rdr) -> Told<String> {
        let family = rdr.family;
        let Some(protocols) = protocols(Some(&rdr.protocols), family) else {
            return Ok(String::new());
        };
        let from = self.hosts(scope, &rdr.from, family, Side::Source)?;
        let to = self.hosts(scope, &rdr.to, family, Side::Destination)?;
        let Some(matches) = all([Match::When(self.on(&rdr.on, "iifname")?), from, to]) else {
            return Ok(String::new());
        };
        let (ip, port) = (ip(family), rdr.server_port);
        let servers = in_turn(rdr.servers.items());
        let ports = ports(&[rdr.port]);
        Ok(format!(
            "    {}{protocols}{matches}{ports}dnat {ip} to {servers}:{port}\n",
            of_family(family)
        ))
    }

    fn binat_in(&mut self, scope: usize, rule: &Binat) -> Told<String> {
        let family = rule.inside.family();
        let from = self.hosts(scope, &rule.to, family, Side::Source)?;
        let on = Match::When(format!("iifname {}", self.interface(&rule.on)?));
        let Some(matches) = all([on, from]) else {
            return Ok(String::new());
        };
        let (ip, outside, inside) = (ip(family), rule.outside, rule.inside);
        Ok(format!(
            "    {}{matches}{ip} daddr {outside} dnat {ip} prefix to {ip} daddr map {{ {outside} : {inside} }}\n",
            of_family(family)
        ))
    }

    /// The chain that finds out which translation will apply on the way out, and the one that applies it.
    pub(super) fn leaving(&mut self) -> Told<(String, String)> {
        let mut found = "  chain translate_out {\n".to_owned();
        let mut applied =
            "  chain leaving {\n    type nat hook postrouting priority 100; policy accept;\n"
                .to_owned();
        let flat = self.flat;
        for of in &flat.binat {
            let rule = of.rule;
            let given = Given {
                family: rule.inside.family(),
                source: GivenSource::Moved {
                    inside: rule.inside,
                    outside: rule.outside,
                },
            };
            let on = format!("oifname {}", self.interface(&rule.on)?);
            let from = Hosts::In(netplan::pf::Address::Net(rule.inside));
            self.translation(
                of.scope,
                (&on, &from, &rule.to),
                given,
                (&mut found, &mut applied),
            )?;
        }
        for of in &flat.nat {
            let on = self.on(&of.rule.on, "oifname")?;
            for given in self.given(of.rule) {
                let hosts = (on.as_str(), &of.rule.from, &of.rule.to);
                self.translation(of.scope, hosts, given, (&mut found, &mut applied))?;
            }
        }
        Ok((found + "  }\n", applied + "  }\n"))
    }

    /// What a rule gives in each of its families; nothing where an interface has no address.
    fn given(&self, nat: &Nat) -> Vec<Given> {
        let families = families(nat.family, &[&nat.from, &nat.to]).into_iter();
        let given = families.map(|family| {
            let sources = match &nat.source {
                NatSource::Address(address) => vec![*address],
                NatSource::Interface(own) => self.interface_addresses(own, family),
            };
            let sources = sources.into_iter().filter(|own| Family::of(*own) == family);
            Given {
                family,
                source: GivenSource::OneOf(sources.collect()),
            }
        });
        given
            .filter(|given| given.source != GivenSource::OneOf(Vec::new()))
            .collect()
    }

    fn translation(
        &mut self,
        scope: usize,
        (on, from, to): (&str, &Hosts, &Hosts),
        given: Given,
        (found, applied): (&mut String, &mut String),
    ) -> Told {
        let family = given.family;
        let from = self.hosts(scope, from, family, Side::Source)?;
        let to = self.hosts(scope, to, family, Side::Destination)?;
        let Some(matches) = all([Match::When(on.to_owned()), from, to]) else {
            return Ok(());
        };
        let number = u8::try_from(self.translations.len() + 1)
            .map_err(|_| Inexpressible("more than 255 translations".to_owned()))?;
        let mark = u32::from(number) << TRANSLATION;
        let (ip, others) = (ip(family), !TRANSLATION_MASK);
        let source = match &given.source {
            GivenSource::OneOf(sources) => format!("to {}", in_turn(sources)),
            GivenSource::Moved { inside, outside } => {
                format!("prefix to {ip} saddr map {{ {inside} : {outside} }}")
            }
        };
        self.translations.push(given);
        let _ = writeln!(
            found,
            "    {}{matches}meta mark set meta mark and {others:#x} or {mark:#x} return",
            of_family(family)
        );
        let _ = writeln!(
            applied,
            "    {}meta mark and {TRANSLATION_MASK:#x} == {mark:#x} snat {ip} {source}",
            of_family(family)
        );
        Ok(())
    }

    /// Interfaces of a rule, with a blank behind.
    pub(super) fn on(&self, on: &On, word: &str) -> Told<String> {
        Ok(match on {
            On::OneOf(list) => format!("{word} {}", self.interfaces(list.items())?),
            On::Not(name) => format!("{word} != {}", self.interface(name)?),
        })
    }
}

/// `meta nfproto ipv4 `
pub(super) fn of_family(family: Family) -> &'static str {
    match family {
        Family::V4 => "meta nfproto ipv4 ",
        Family::V6 => "meta nfproto ipv6 ",
    }
}

/// All of them, with a blank behind; none when one of them never matches.
pub(super) fn all(matches: impl IntoIterator<Item = Match>) -> Option<String> {
    let mut text = String::new();
    for one in matches {
        match one {
            Match::Always => {}
            Match::Never => return None,
            Match::When(own) => {
                text += &own;
                text.push(' ');
            }
        }
    }
    Some(text)
}

/// One address, or several in turn.
fn in_turn(addresses: &[IpAddr]) -> String {
    if let [IpAddr::V4(address)] = addresses {
        return address.to_string();
    }
    if let [IpAddr::V6(address)] = addresses {
        return format!("[{address}]");
    }
    let pairs = addresses.iter().zip(0..);
    let pairs: Vec<String> = pairs
        .map(|(own, number)| format!("{number} : {own}"))
        .collect();
    format!(
        "numgen inc mod {} map {{ {} }}",
        addresses.len(),
        pairs.join(", ")
    )
}
