//! The policy as nftables rules (nft(8)); kept to what nft 1.0.6 reads.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use crate::net::{Family, Net};
use crate::policy::{AddressSet, Point, Policy, Rule, Source, Traffic, Verdict, Zone};

/// A table of its own, as text for `nft -f -`.
///
/// Loading replaces the table in one transaction and touches no other, so it can be repeated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NftRuleset {
    /// The table with its family, such as `inet lab`.
    pub table: String,
    /// Makes the table.
    pub load: String,
    /// Removes the table; no error when it is not there.
    pub undo: String,
}

/// The router's interface to the internet, in its namespace.
pub const ROUTER_UPLINK: &str = "uplink";
/// The router's interface to the machine that runs the lab, in its namespace. Not `link`: that is
/// a key word of ip(8), which then misreads `ip link add link ..`.
pub const ROUTER_LINK: &str = "link0";

/// The chain of a point: name, hook, priority.
fn chain(point: Point) -> (&'static str, &'static str, &'static str) {
    match point {
        Point::RouterForward | Point::EtcdForward => ("lab_forward", "forward", "filter"),
        Point::RouterInput | Point::EtcdInput => ("lab_input", "input", "filter"),
        // Before the chains of kube-proxy and CNI plugins. A drop there is final in any order,
        // but a guard is easier to trust when nothing has run before it.
        Point::ControlPlaneInput => ("lab_guard_input", "input", "filter - 1"),
        Point::ControlPlaneForward => ("lab_guard_forward", "forward", "filter - 1"),
    }
}

impl Policy {
    /// The table `inet lab` of the router in its namespace, where its interfaces are
    /// [`ROUTER_UPLINK`], [`ROUTER_LINK`] and the bridges of the networks. `net.bridge.bridge-nf-call-*tables` must be 0 there, or
    /// frames inside one network meet the forward chain too.
    #[must_use]
    pub fn nft_router(&self) -> NftRuleset {
        let mut body = self.chain(Point::RouterForward, router_interface);
        body.push_str(&self.chain(Point::RouterInput, router_interface));
        body.push_str(&self.nat_chains());
        let extra = [AddressSet::Lab];
        self.table(
            "lab",
            &[Point::RouterForward, Point::RouterInput],
            &extra,
            &body,
        )
    }

    /// The table `inet lab` of an etcd member.
    #[must_use]
    pub fn nft_etcd_member(&self) -> NftRuleset {
        let mut body = self.chain(Point::EtcdInput, guest_interface);
        body.push_str(&self.chain(Point::EtcdForward, guest_interface));
        self.table("lab", &[Point::EtcdInput], &[], &body)
    }

    /// The table `inet lab_guard` of a control plane, beside the tables of Kubernetes.
    #[must_use]
    pub fn nft_control_plane(&self) -> NftRuleset {
        let mut body = self.chain(Point::ControlPlaneInput, guest_interface);
        body.push_str(&self.chain(Point::ControlPlaneForward, guest_interface));
        self.table("lab_guard", &[Point::ControlPlaneInput], &[], &body)
    }

    fn table(&self, name: &str, points: &[Point], extra: &[AddressSet], body: &str) -> NftRuleset {
        let rules = points.iter().flat_map(|point| self.rules_at(*point));
        let used = rules.filter_map(|rule| match rule.from? {
            Source::In(set) | Source::NotIn(set) => Some(set),
        });
        let used: BTreeSet<AddressSet> = used.chain(extra.iter().copied()).collect();
        let sets: String = used
            .into_iter()
            .flat_map(|set| Family::BOTH.map(|family| self.set(set, family)))
            .collect();
        // Naming the table first makes the deletion valid where there is none yet.
        let undo = format!("table inet {name}\ndelete table inet {name}\n");
        let load = format!("{undo}table inet {name} {{\n{sets}{body}}}\n");
        let table = format!("inet {name}");
        NftRuleset { table, load, undo }
    }

    fn set(&self, set: AddressSet, family: Family) -> String {
        let kind = if family == Family::V4 {
            "ipv4_addr"
        } else {
            "ipv6_addr"
        };
        let members: Vec<String> = self.members(set, family).map(element).collect();
        format!(
            "\tset {} {{\n\t\ttype {kind}\n\t\tflags interval\n\t\telements = {{ {} }}\n\t}}\n\n",
            set_name(set, family),
            members.join(", ")
        )
    }

    fn chain(&self, point: Point, interface: fn(Zone) -> &'static str) -> String {
        let (name, hook, priority) = chain(point);
        let policy = statement(point.default_verdict());
        let mut text = format!(
            "\tchain {name} {{\n\t\ttype filter hook {hook} priority {priority}; policy {policy};\n"
        );
        if point.is_stateful() {
            // Writing to a String cannot fail. The guard of a control plane judges nothing that comes over another network.
            let scope = match point {
                Point::ControlPlaneInput => format!("iifname \"{}\" ", interface(Zone::Etcd)),
                _ => String::new(),
            };
            let states = "established : accept, related : accept, invalid : drop";
            let _infallible = writeln!(text, "\t\t{scope}ct state vmap {{ {states} }}");
        }
        if matches!(point, Point::RouterInput | Point::EtcdInput) {
            text.push_str("\t\tiifname \"lo\" accept\n");
        }
        for rule in self.rules_at(point) {
            for line in rule_lines(rule, interface) {
                let _infallible = writeln!(text, "\t\t{line}");
            }
        }
        text.push_str("\t}\n");
        text
    }

    /// Masquerading by addresses, since a postrouting hook knows no incoming interface for what
    /// the router sends itself.
    fn nat_chains(&self) -> String {
        let lab = set_name(AddressSet::Lab, Family::V4);
        let (uplink, link) = (
            router_interface(Zone::Internet),
            router_interface(Zone::Host),
        );
        let port = self.api.port;
        let dnat = Family::BOTH.map(|family| {
            let ip = ip(family);
            let (at, to) = (self.api.at.of(family), self.api_target(family));
            format!("\t\tiifname \"{link}\" {ip} daddr {at} tcp dport {port} dnat {ip} to {to}\n")
        });
        format!(
            "\tchain lab_dnat {{\n\t\ttype nat hook prerouting priority dstnat; policy accept;\n{}\t}}\n\
             \tchain lab_snat {{\n\t\ttype nat hook postrouting priority srcnat; policy accept;\n\
             \t\toifname \"{uplink}\" ip saddr @{lab} ip daddr != @{lab} masquerade\n\t}}\n",
            dnat.concat()
        )
    }

    /// The API server, or a map that takes them in turn.
    fn api_target(&self, family: Family) -> String {
        let servers: Vec<_> = self
            .api
            .servers
            .iter()
            .map(|pair| pair.of(family))
            .collect();
        match servers.as_slice() {
            [server] => server.to_string(),
            _ => {
                let numbered = servers.iter().enumerate();
                let map: Vec<_> = numbered
                    .map(|(n, server)| format!("{n} : {server}"))
                    .collect();
                format!(
                    "numgen inc mod {} map {{ {} }}",
                    servers.len(),
                    map.join(", ")
                )
            }
        }
    }
}

fn router_interface(zone: Zone) -> &'static str {
    match zone {
        Zone::Internet => ROUTER_UPLINK,
        Zone::Host => ROUTER_LINK,
        Zone::Etcd => "br-etcd",
        Zone::Kube => "br-kube",
    }
}

/// A guest sees only its own networks; everything else comes over one of them.
fn guest_interface(zone: Zone) -> &'static str {
    match zone {
        Zone::Etcd => "etcd0",
        Zone::Kube | Zone::Internet | Zone::Host => "kube0",
    }
}

fn element(net: Net) -> String {
    if net.prefix_len() == net.family().bits() {
        net.address().to_string()
    } else {
        net.to_string()
    }
}

fn set_name(set: AddressSet, family: Family) -> String {
    let name = match set {
        AddressSet::Lab => "lab",
        AddressSet::EtcdNetwork => "etcd_net",
        AddressSet::KubeNetwork => "kube_net",
        AddressSet::EtcdMembers => "etcd_members",
        AddressSet::ControlPlanes => "control_planes",
        AddressSet::Administration => "administration",
    };
    format!("{name}{}", if family == Family::V4 { "4" } else { "6" })
}

fn ip(family: Family) -> &'static str {
    match family {
        Family::V4 => "ip",
        Family::V6 => "ip6",
    }
}

fn statement(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Allow => "accept",
        Verdict::Drop => "drop",
        Verdict::Refuse => "reject",
    }
}

/// One line, or one per family where the rule names addresses or types of ICMP.
fn rule_lines(rule: &Rule, interface: fn(Zone) -> &'static str) -> Vec<String> {
    let by_family = rule.from.is_some()
        || matches!(
            rule.traffic,
            Traffic::Echo | Traffic::IcmpErrors | Traffic::Neighbours
        );
    let families: &[Family] = match rule.traffic {
        Traffic::Neighbours => &[Family::V6],
        _ if by_family => &Family::BOTH,
        _ => &[Family::V4],
    };
    families
        .iter()
        .map(|family| rule_line(rule, *family, interface))
        .collect()
}

fn rule_line(rule: &Rule, family: Family, interface: fn(Zone) -> &'static str) -> String {
    let mut parts = Vec::new();
    for (key, zones) in [("iifname", &rule.entering), ("oifname", &rule.leaving)] {
        let names: Vec<String> = zones
            .iter()
            .map(|zone| format!("\"{}\"", interface(*zone)))
            .collect();
        match names.as_slice() {
            [] => {}
            [name] => parts.push(format!("{key} {name}")),
            _ => parts.push(format!("{key} {{ {} }}", names.join(", "))),
        }
    }
    match rule.from {
        None => {}
        Some(Source::In(set)) => {
            parts.push(format!("{} saddr @{}", ip(family), set_name(set, family)));
        }
        Some(Source::NotIn(set)) => {
            parts.push(format!(
                "{} saddr != @{}",
                ip(family),
                set_name(set, family)
            ));
        }
    }
    parts.extend(traffic(&rule.traffic, family));
    parts.push(format!(
        "counter {} comment \"{}\"",
        statement(rule.verdict),
        rule.name
    ));
    parts.join(" ")
}

fn traffic(traffic: &Traffic, family: Family) -> Option<String> {
    let ports = |protocol, ports: &[u16]| match ports {
        [port] => format!("{protocol} dport {port}"),
        _ => {
            let ports: Vec<String> = ports.iter().map(u16::to_string).collect();
            format!("{protocol} dport {{ {} }}", ports.join(", "))
        }
    };
    let text = match (traffic, family) {
        (Traffic::Any, _) => return None,
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
