//! One rule of the model as lines of nft(8).

use crate::net::Family;
use crate::policy::nft::{Side, ip, set_name, statement};
use crate::policy::{Policy, Rule, Source, Traffic, Zone};

impl Policy {
    /// One line, or one per family where the rule names addresses or types of ICMP.
    pub(super) fn lines(&self, rule: &Rule, side: &Side) -> Vec<String> {
        let by_family = rule.family.is_some()
            || rule.from.is_some()
            || rule.to.is_some()
            || names_types(&rule.traffic);
        if !by_family {
            return vec![line(rule, side, String::new(), Family::V4)];
        }
        let families = Family::BOTH.into_iter().filter(|family| {
            let only = match rule.traffic {
                Traffic::Neighbours => Some(Family::V6),
                _ => rule.family,
            };
            only.is_none_or(|only| only == *family)
        });
        families
            .filter_map(|family| {
                let addresses = self.addresses(rule, family)?;
                Some(line(rule, side, addresses, family))
            })
            .collect()
    }

    /// The conditions on addresses of one family; `None` when no packet of it can meet them.
    fn addresses(&self, rule: &Rule, family: Family) -> Option<String> {
        let is_empty = |set| self.members(set, family).next().is_none();
        let mut parts = Vec::new();
        match &rule.from {
            None => {}
            Some(Source::In(set)) if is_empty(set) => return None,
            // Nobody of the family is in the set, so everybody is meant.
            Some(Source::NotIn(set)) if is_empty(set) => {}
            Some(source) => {
                let not = if matches!(source, Source::NotIn(_)) {
                    "!= "
                } else {
                    ""
                };
                let set = set_name(source.set(), family);
                parts.push(format!("{} saddr {not}@{set}", ip(family)));
            }
        }
        match &rule.to {
            None => {}
            Some(set) if is_empty(set) => return None,
            Some(set) => parts.push(format!("{} daddr @{}", ip(family), set_name(set, family))),
        }
        if parts.is_empty() && !names_types(&rule.traffic) {
            parts.push(match family {
                Family::V4 => "meta nfproto ipv4".to_owned(),
                Family::V6 => "meta nfproto ipv6".to_owned(),
            });
        }
        Some(parts.join(" "))
    }
}

/// Whether it is said by types of ICMP, which tell the family.
const fn names_types(traffic: &Traffic) -> bool {
    matches!(
        traffic,
        Traffic::Echo | Traffic::IcmpErrors | Traffic::Neighbours
    )
}

fn line(rule: &Rule, side: &Side, addresses: String, family: Family) -> String {
    let mut parts = Vec::new();
    for (key, zones) in [("iifname", &rule.entering), ("oifname", &rule.leaving)] {
        parts.extend(interfaces(key, zones, side));
    }
    if !addresses.is_empty() {
        parts.push(addresses);
    }
    parts.extend(traffic(&rule.traffic, family));
    // Replies are most of all packets, and count as their flow's first.
    if rule.traffic != Traffic::Replies {
        parts.push("counter".to_owned());
    }
    let verdict = statement(rule.verdict);
    parts.push(format!("{verdict} comment \"{}\"", rule.name));
    parts.join(" ")
}

fn interfaces(key: &str, zones: &[Zone], side: &Side) -> Option<String> {
    let names: Vec<String> = zones.iter().map(|zone| side.interface(zone)).collect();
    match names.as_slice() {
        [] => None,
        [name] => Some(format!("{key} {name}")),
        _ => Some(format!("{key} {{ {} }}", names.join(", "))),
    }
}

fn traffic(traffic: &Traffic, family: Family) -> Option<String> {
    let text = match (traffic, family) {
        (Traffic::Any, _) => return None,
        (Traffic::Replies, _) => "ct state established,related".to_owned(),
        (Traffic::Invalid, _) => "ct state invalid".to_owned(),
        (Traffic::Tcp(list), _) => ports("tcp", list),
        (Traffic::Udp(list), _) => ports("udp", list),
        (Traffic::Icmp, _) => "meta l4proto { icmp, ipv6-icmp }".to_owned(),
        (Traffic::Echo, Family::V4) => "icmp type echo-request".to_owned(),
        (Traffic::Echo, Family::V6) => "icmpv6 type echo-request".to_owned(),
        (Traffic::IcmpErrors, Family::V4) => {
            "icmp type { destination-unreachable, time-exceeded, parameter-problem }".to_owned()
        }
        (Traffic::IcmpErrors, Family::V6) => {
            "icmpv6 type { destination-unreachable, packet-too-big, time-exceeded, parameter-problem }"
                .to_owned()
        }
        (Traffic::Neighbours, _) => "icmpv6 type { mld-listener-query, mld-listener-report, \
             mld-listener-done, nd-router-solicit, nd-router-advert, nd-neighbor-solicit, \
             nd-neighbor-advert, mld2-listener-report }"
            .to_owned(),
    };
    Some(text)
}

fn ports(protocol: &str, ports: &[u16]) -> String {
    match ports {
        [port] => format!("{protocol} dport {port}"),
        _ => {
            let ports: Vec<String> = ports.iter().map(u16::to_string).collect();
            format!("{protocol} dport {{ {} }}", ports.join(", "))
        }
    }
}
