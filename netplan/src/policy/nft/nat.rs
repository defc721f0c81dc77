//! Translation: how the lab leaves, and the API behind the router.

use std::net::IpAddr;

use crate::net::Family;
use crate::policy::nft::{Side, ip, set_name};
use crate::policy::{AddressSet, ApiExposure, Policy, Zone};
use crate::requirement::{V4Mode, V6Mode};

impl Policy {
    /// The chains of translation, without those that would be empty.
    pub(super) fn nft_translation(&self, side: &Side) -> String {
        let exposed = self.exposures.iter();
        let exposed = exposed.flat_map(|exposure| api_lines(exposure, side));
        let inwards: Vec<String> = exposed.chain(self.prefix_inwards(side)).collect();
        let outwards: Vec<String> = Family::BOTH
            .into_iter()
            .filter_map(|family| self.outwards(family, side))
            .collect();
        [
            chain("lab_dnat", "prerouting priority dstnat", &inwards),
            chain("lab_snat", "postrouting priority srcnat", &outwards),
        ]
        .concat()
    }

    /// By addresses, since a postrouting hook knows no incoming interface for what the router
    /// sends itself.
    fn outwards(&self, family: Family, side: &Side) -> Option<String> {
        let inside = self.members(&AddressSet::Lab, family).next()?;
        let how = match (family, self.v4, self.v6) {
            (Family::V4, V4Mode::Nat, _) => "masquerade".to_owned(),
            (Family::V6, _, V6Mode::Npt { outside }) => {
                format!("snat ip6 prefix to ip6 saddr map {{ {inside} : {outside} }}")
            }
            (Family::V6, _, V6Mode::Nat66 { address }) => format!("snat ip6 to {address}"),
            (Family::V6, _, V6Mode::Routed | V6Mode::UlaOnly) => return None,
        };
        let (uplink, ip) = (side.interface(&Zone::Internet), ip(family));
        let lab = set_name(&AddressSet::Lab, family);
        Some(format!(
            "oifname {uplink} {ip} saddr @{lab} {ip} daddr != @{lab} {how}"
        ))
    }

    /// Prefix translation counts in both directions; whether such a packet may enter is for the
    /// forward chain.
    fn prefix_inwards(&self, side: &Side) -> Option<String> {
        let inside = self.members(&AddressSet::Lab, Family::V6).next()?;
        let V6Mode::Npt { outside } = self.v6 else {
            return None;
        };
        let uplink = side.interface(&Zone::Internet);
        Some(format!(
            "iifname {uplink} ip6 daddr {outside} dnat ip6 prefix to ip6 daddr map {{ {outside} : {inside} }}"
        ))
    }
}

fn api_lines(exposure: &ApiExposure, side: &Side) -> Vec<String> {
    let interface = side.interface(&exposure.entering);
    let line = |family: Family| {
        let servers = exposure.servers.iter();
        let servers: Vec<IpAddr> = servers.filter_map(|server| server.of(family)).collect();
        let target = target(&servers)?;
        let (ip, port) = (ip(family), exposure.port);
        let at = match exposure.at {
            Some(at) => format!("{ip} daddr {}", at.of(family)?),
            None => {
                let protocol = if family == Family::V4 { "ipv4" } else { "ipv6" };
                format!("meta nfproto {protocol} fib daddr type local")
            }
        };
        Some(format!(
            "iifname {interface} {at} tcp dport {port} dnat {ip} to {target}"
        ))
    };
    Family::BOTH.into_iter().filter_map(line).collect()
}

/// The API server, or a map that takes them in turn.
fn target(servers: &[IpAddr]) -> Option<String> {
    match servers {
        [] => None,
        [server] => Some(server.to_string()),
        _ => {
            let numbered = servers.iter().enumerate();
            let map: Vec<_> = numbered
                .map(|(n, server)| format!("{n} : {server}"))
                .collect();
            let (count, map) = (servers.len(), map.join(", "));
            Some(format!("numgen inc mod {count} map {{ {map} }}"))
        }
    }
}

fn chain(name: &str, hook: &str, lines: &[String]) -> String {
    if lines.is_empty() {
        return String::new();
    }
    let lines: String = lines.iter().map(|line| format!("\t\t{line}\n")).collect();
    format!("\tchain {name} {{\n\t\ttype nat hook {hook}; policy accept;\n{lines}\t}}\n")
}
