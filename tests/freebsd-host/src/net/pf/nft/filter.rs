//! Filter rules.

use super::{
    Inexpressible, Told, Writer,
    hosts::{Match, Side, families, ip},
    marks::{
        DROP, IN_STATE, KEEP, LATER, OUT_STATE, OUT_TAG, PASS, REFUSAL, RETURN, TAG, TAG_MASK,
        TRANSLATION, TRANSLATION_MASK, VERDICT_MASK,
    },
    translation::{GivenSource, all, of_family},
};
use netplan::{
    Family, Net,
    pf::{Action, Direction, Filter, Hosts, IcmpTypes, List, Protocol, State},
};
use std::{fmt::Write as _, net::IpAddr};

impl Writer<'_> {
    /// The chains of the rules and of what they decide.
    pub(super) fn filters(&mut self) -> Told<String> {
        let mut text = String::new();
        for (direction, chain) in [(Direction::In, "filter_in"), (Direction::Out, "filter_out")] {
            let _ = writeln!(text, "  chain {chain} {{");
            let flat = self.flat;
            for of in &flat.filter {
                for family in families(of.rule.family, &[&of.rule.from, &of.rule.to]) {
                    text += &self.rule(of.scope, of.rule, family, direction)?;
                }
            }
            text += "  }\n";
        }
        Ok(text + &self.decisions())
    }

    /// A rule in one direction and one family: one line, or several where sources are translated.
    fn rule(
        &mut self,
        scope: usize,
        rule: &Filter,
        family: Family,
        direction: Direction,
    ) -> Told<String> {
        let Some(protocols) = protocols(rule.protocols.as_ref(), family) else {
            return Ok(String::new());
        };
        if rule.direction.is_some_and(|own| own != direction) {
            return Ok(String::new());
        }
        let word = if direction == Direction::In {
            "iifname"
        } else {
            "oifname"
        };
        let mut first = of_family(family).to_owned();
        if let Some(on) = &rule.on {
            first = format!("{first}{} ", self.on(on, word)?);
        }
        first += &protocols;
        let Some(mut rest) = self.narrowed(scope, rule, family)? else {
            return Ok(String::new());
        };
        rest += &self.effect(rule, direction)?;
        let sources = self.sources(scope, &rule.from, family, direction)?;
        let lines = sources
            .iter()
            .map(|from| format!("    {first}{from}{rest}\n"));
        Ok(lines.collect())
    }

    /// Destination, ports, kinds of ICMP and tag, with a blank behind; none if nothing of the family can match.
    fn narrowed(&mut self, scope: usize, rule: &Filter, family: Family) -> Told<Option<String>> {
        let to = self.hosts(scope, &rule.to, family, Side::Destination)?;
        let Some(mut text) = all([to, icmp(rule.icmp.as_ref(), family)]) else {
            return Ok(None);
        };
        if let Some(list) = &rule.ports {
            text += &ports(list.items());
        }
        if let Some(tag) = &rule.tagged {
            let tag = self.tag(tag.as_str())?;
            let _ = write!(text, "meta mark and {TAG_MASK:#x} == {tag:#x} ");
        }
        Ok(Some(text))
    }

    /// What a rule that matches leaves in the mark.
    fn effect(&mut self, rule: &Filter, direction: Direction) -> Told<String> {
        let verdict = match (rule.action, rule.state) {
            (Action::Drop, _) => DROP,
            (Action::Return, _) => RETURN,
            (Action::Pass, State::No) => PASS,
            (Action::Pass, State::Keep | State::Unsaid) => KEEP,
        };
        let mut text = String::new();
        if verdict == KEEP {
            let _ = write!(text, "meta mark and {LATER:#x} == 0 ");
        }
        let (mut mask, mut value) = (VERDICT_MASK, verdict);
        if let Some(tag) = &rule.tag {
            mask |= TAG_MASK;
            value |= self.tag(tag.as_str())?;
        }
        let _ = write!(
            text,
            "meta mark set meta mark and {:#x} or {value:#x}",
            !mask
        );
        let chain = if direction == Direction::In {
            "decide_in"
        } else {
            "decide_out"
        };
        if rule.quick {
            let _ = write!(text, " goto {chain}");
        }
        Ok(text)
    }

    /// Matches of the source, each with a blank behind: as it is, and on the way out as each translation makes it.
    fn sources(
        &mut self,
        scope: usize,
        from: &Hosts,
        family: Family,
        direction: Direction,
    ) -> Told<Vec<String>> {
        let plain = self.hosts(scope, from, family, Side::Source)?;
        if direction == Direction::In || *from == Hosts::Any || self.translations.is_empty() {
            return Ok(all([plain]).into_iter().collect());
        }
        let untranslated = Match::When(format!("meta mark and {TRANSLATION_MASK:#x} == 0"));
        let mut lines: Vec<String> = all([untranslated, plain]).into_iter().collect();
        let (address, is_in) = match from {
            Hosts::In(address) => (address, true),
            Hosts::NotIn(address) => (address, false),
            Hosts::Any => return Ok(lines),
        };
        let members = self.members(scope, address, family);
        for (given, number) in self.translations.iter().zip(1_u32..) {
            if given.family != family {
                continue;
            }
            let it = Match::When(format!(
                "meta mark and {TRANSLATION_MASK:#x} == {:#x}",
                number << TRANSLATION
            ));
            let source = match &given.source {
                GivenSource::OneOf(sources) => one_of(sources, &members, is_in)?,
                GivenSource::Moved { inside, outside } => {
                    moved(&members, (*inside, *outside), is_in)
                }
            };
            lines.extend(all([it, source]));
        }
        Ok(lines)
    }

    /// What becomes of a packet by the verdict in its mark. What is translated keeps state, whatever the filter says.
    fn decisions(&self) -> String {
        let verdicts = format!("meta mark and {VERDICT_MASK:#x}");
        let keep = |chain: &str, forth: u32, back: u32| {
            let flows = [
                ("original", forth, self.tags_kept("original", forth)),
                ("reply", back, self.tags_kept("reply", back)),
            ];
            let lines = flows.map(|(direction, state, tags)| {
                format!("    ct direction {direction} ct mark set ct mark or {state:#x}\n{tags}")
            });
            format!("  chain {chain} {{\n{}    accept\n  }}\n", lines.concat())
        };
        let decide = |chain: &str, translated: &str, keep: &str| {
            format!(
                "  chain {chain} {{\n    {verdicts} == {DROP} drop\n    {verdicts} == {RETURN} goto refuse\n    \
                 {translated} goto {keep}\n    {verdicts} == {KEEP} goto {keep}\n    accept\n  }}\n"
            )
        };
        let refuse = format!(
            "  chain refuse {{\n    meta mark set meta mark or {REFUSAL:#x}\n    \
             meta l4proto tcp reject with tcp reset\n    meta l4proto {{ icmp, icmpv6 }} drop\n    \
             reject with icmpx type port-unreachable\n  }}\n"
        );
        let translated_out = format!("meta mark and {TRANSLATION_MASK:#x} != 0");
        [
            refuse,
            keep("keep_in", IN_STATE, OUT_STATE),
            keep("keep_out", OUT_STATE, IN_STATE),
            decide("decide_in", "ct status dnat", "keep_in"),
            decide("decide_out", &translated_out, "keep_out"),
        ]
        .concat()
    }

    /// A state keeps the tag of its first packet.
    fn tags_kept(&self, direction: &str, state: u32) -> String {
        let shift = if state == IN_STATE { 0 } else { OUT_TAG - TAG };
        let numbers = self.tags.values().map(|number| u32::from(*number) << TAG);
        let line = |tag: u32| {
            let (others, kept) = (!(TAG_MASK << shift), tag << shift);
            format!(
                "    ct direction {direction} meta mark and {TAG_MASK:#x} == {tag:#x} ct mark set ct mark and {others:#x} or {kept:#x}\n"
            )
        };
        numbers.map(line).collect()
    }
}

/// Whether addresses that are given in turn are meant: all of them, or none.
fn one_of(sources: &[IpAddr], members: &[Net], is_in: bool) -> Told<Match> {
    let meant = |source: &IpAddr| members.iter().any(|net| net.contains(*source)) == is_in;
    let count = sources.iter().filter(|source| meant(source)).count();
    if count == sources.len() {
        return Ok(Match::Always);
    }
    if count == 0 {
        return Ok(Match::Never);
    }
    let text = format!("a rule that means some of {sources:?}, which translation gives in turn");
    Err(Inexpressible(text))
}

/// The sources inside that are meant once their prefix is another.
fn moved(members: &[Net], (inside, outside): (Net, Net), is_in: bool) -> Match {
    let meant = members.iter().filter_map(|net| {
        let common = if net.covers(outside) { outside } else { *net };
        if !outside.covers(common) {
            return None;
        }
        let address = same_bits(common.address(), outside, inside)?;
        Net::containing(address, common.prefix_len()).ok()
    });
    let meant: Vec<String> = meant.map(|net| net.to_string()).collect();
    match (meant.is_empty(), is_in) {
        (true, true) => Match::Never,
        (true, false) => Match::Always,
        (false, _) => {
            let not = if is_in { "" } else { "!= " };
            let (ip, meant) = (ip(inside.family()), meant.join(", "));
            Match::When(format!("{ip} saddr {not}{{ {meant} }}"))
        }
    }
}

/// The same bits behind the prefix, in the other network of the same length.
fn same_bits(address: IpAddr, from: Net, to: Net) -> Option<IpAddr> {
    let bits = |address: IpAddr| match address {
        IpAddr::V4(address) => u128::from(address.to_bits()),
        IpAddr::V6(address) => address.to_bits(),
    };
    to.nth(bits(address).checked_sub(bits(from.address()))?)
}

/// The protocols of a family among these, with a blank behind; none when there are none.
pub(super) fn protocols(wanted: Option<&List<Protocol>>, family: Family) -> Option<String> {
    let Some(list) = wanted else {
        return Some(String::new());
    };
    let of_family = list
        .items()
        .iter()
        .filter_map(|protocol| match (protocol, family) {
            (Protocol::Tcp, _) => Some("tcp"),
            (Protocol::Udp, _) => Some("udp"),
            (Protocol::Icmp, Family::V4) => Some("icmp"),
            (Protocol::Icmp6, Family::V6) => Some("icmpv6"),
            _ => None,
        });
    let names: Vec<&str> = of_family.collect();
    (!names.is_empty()).then(|| format!("meta l4proto {{ {} }} ", names.join(", ")))
}

/// Destination ports, with a blank behind.
pub(super) fn ports(ports: &[u16]) -> String {
    let ports: Vec<String> = ports.iter().map(u16::to_string).collect();
    format!("th dport {{ {} }} ", ports.join(", "))
}

fn icmp(types: Option<&IcmpTypes>, family: Family) -> Match {
    let (word, list) = match (types, family) {
        (None, _) => return Match::Always,
        (Some(IcmpTypes::V4(list)), Family::V4) => ("icmp", list),
        (Some(IcmpTypes::V6(list)), Family::V6) => ("icmpv6", list),
        _ => return Match::Never,
    };
    let numbers: Vec<String> = list.items().iter().map(u8::to_string).collect();
    Match::When(format!("{word} type {{ {} }}", numbers.join(", ")))
}
