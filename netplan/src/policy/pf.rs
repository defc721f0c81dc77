//! The policy as a pf anchor (pf.conf(5)) of a FreeBSD host that is the router itself; kept to
//! the grammar that FreeBSD 12 to 15 share.

use std::fmt::Write as _;

use crate::names::{InterfaceName, LabName};
use crate::net::Family;
use crate::plan::{NetworkName, Plan};
use crate::policy::{AddressSet, Point, Policy, Rule, Traffic, Verdict, Zone};

/// An anchor of its own below `labcluster/`; the host's pf.conf needs once
/// `nat-anchor "labcluster/*"` and `anchor "labcluster/*"`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PfAnchor {
    /// Its name.
    pub anchor: String,
    /// The rules, for the standard input of `pfctl` with [`PfAnchor::load_arguments`].
    pub load: String,
}

impl PfAnchor {
    /// Arguments of `pfctl` that load the rules from the standard input, in place of earlier ones.
    #[must_use]
    pub fn load_arguments(&self) -> [&str; 4] {
        ["-a", &self.anchor, "-f", "-"]
    }

    /// Arguments of `pfctl` that remove rules, translations and tables of this anchor only.
    #[must_use]
    pub fn undo_arguments(&self) -> [&str; 4] {
        ["-a", &self.anchor, "-F", "all"]
    }
}

/// ICMPv6 types by number, since names depend on the release: listener discovery (130 to 132,
/// 143), router and neighbour discovery (133 to 136). No redirects.
const NEIGHBOURS: &str = "{ 130 131 132 133 134 135 136 143 }";

/// Names of one lab on the host.
struct Names<'a> {
    lab: &'a LabName,
    uplink: &'a InterfaceName,
    etcd: &'a InterfaceName,
    kube: &'a InterfaceName,
}

impl Names<'_> {
    fn interface(&self, zone: Zone) -> &str {
        match zone {
            Zone::Etcd => self.etcd.as_str(),
            Zone::Kube => self.kube.as_str(),
            Zone::Internet | Zone::Host => self.uplink.as_str(),
        }
    }

    fn interfaces(&self, zones: &[Zone]) -> String {
        let names: Vec<&str> = zones.iter().map(|zone| self.interface(*zone)).collect();
        match names.as_slice() {
            [name] => (*name).to_owned(),
            _ => format!("{{ {} }}", names.join(" ")),
        }
    }

    fn label(&self, rule: &str) -> String {
        format!("label \"{}:{rule}\"", self.lab)
    }
}

impl Policy {
    /// The anchor of this lab on a host whose way out is `uplink`. `plan` is the one that the
    /// policy was made from.
    ///
    /// The order counts: translation before filtering, and with `quick` the first match decides.
    /// What leaves is recognised by a tag, not by its address, so translation does not matter.
    #[must_use]
    pub fn pf_anchor(&self, plan: &Plan, uplink: &InterfaceName) -> PfAnchor {
        let bridge = |name| &plan.network(name).host_bridge;
        let names = Names {
            lab: &plan.lab,
            uplink,
            etcd: bridge(NetworkName::Etcd),
            kube: bridge(NetworkName::Kube),
        };
        let mut lines = self.tables();
        // `(em0:0)` is the first address; `(em0)` would take all of them in turn.
        lines.push(format!(
            "nat on {uplink} inet from <lab4> to ! <lab4> -> ({uplink}:0)"
        ));
        lines.extend(spoof_lines(&names));
        lines.extend(self.segment_lines(&names));
        lines.extend(self.input_lines(&names));
        lines.extend(passing_lines(&names));
        let mut load = String::new();
        for line in lines {
            // Writing to a String cannot fail. The last line needs its newline too.
            let _infallible = writeln!(load, "{line}");
        }
        PfAnchor {
            anchor: format!("labcluster/{}", plan.lab),
            load,
        }
    }

    fn tables(&self) -> Vec<String> {
        let table = |name: &str, set, families: &[Family]| {
            let members = families
                .iter()
                .flat_map(|family| self.members(set, *family));
            let members: Vec<String> = members.map(|net| net.to_string()).collect();
            format!("table <{name}> const {{ {} }}", members.join(" "))
        };
        vec![
            table("lab4", AddressSet::Lab, &[Family::V4]),
            table("lab6", AddressSet::Lab, &[Family::V6]),
            table("etcd", AddressSet::EtcdNetwork, &Family::BOTH),
            table("kube", AddressSet::KubeNetwork, &Family::BOTH),
        ]
    }

    /// What the model drops between the two networks.
    fn segment_lines(&self, names: &Names<'_>) -> Vec<String> {
        let guest = |zones: &[Zone]| match zones {
            [Zone::Etcd] => Some("<etcd>"),
            [Zone::Kube] => Some("<kube>"),
            _ => None,
        };
        let dropped = self
            .rules_at(Point::RouterForward)
            .filter(|rule| rule.verdict == Verdict::Drop);
        dropped
            .filter_map(|rule| {
                guest(&rule.entering)?;
                let to = guest(&rule.leaving)?;
                let on = names.interfaces(&rule.entering);
                let label = names.label(rule.name);
                Some(format!(
                    "block drop in log quick on {on} from any to {to} {label}"
                ))
            })
            .collect()
    }

    /// What guests may ask of the host itself. What enters over the link has no counterpart: the
    /// host is the router here.
    fn input_lines(&self, names: &Names<'_>) -> Vec<String> {
        let rules = self
            .rules_at(Point::RouterInput)
            .filter(|rule| !rule.entering.contains(&Zone::Host));
        rules.flat_map(|rule| input_line(rule, names)).collect()
    }
}

/// Written out, because `antispoof for` an interface that is absent expands to nothing.
fn spoof_lines(names: &Names<'_>) -> Vec<String> {
    let spoof = |on: &InterfaceName, set: &str| {
        let label = names.label(&format!("spoof-{set}"));
        format!("block drop in log quick on ! {on} from <{set}> to any {label}")
    };
    let neighbours =
        |on| format!("pass quick on {on} inet6 proto ipv6-icmp icmp6-type {NEIGHBOURS} no state");
    vec![
        "pass quick on lo0 all no state".to_owned(),
        spoof(names.etcd, "etcd"),
        spoof(names.kube, "kube"),
        // Without state: multicast discovery never matches one, and a block would end IPv6 when
        // the neighbour cache expires.
        neighbours(names.etcd),
        neighbours(names.kube),
    ]
}

fn input_line(rule: &Rule, names: &Names<'_>) -> Vec<String> {
    let on = names.interfaces(&rule.entering);
    let ports = |protocol: &str, ports: &[u16]| {
        let ports: Vec<String> = ports.iter().map(u16::to_string).collect();
        let ports = match ports.as_slice() {
            [port] => port.clone(),
            _ => format!("{{ {} }}", ports.join(" ")),
        };
        vec![format!(
            "pass in quick on {on} proto {protocol} from any to (self) port {ports} keep state"
        )]
    };
    match (&rule.traffic, rule.verdict) {
        (Traffic::Tcp(list), Verdict::Allow) => ports("tcp", list),
        (Traffic::Udp(list), Verdict::Allow) => ports("udp", list),
        (Traffic::Echo, Verdict::Allow) => vec![
            format!(
                "pass in quick on {on} inet proto icmp from any to (self) icmp-type echoreq keep state"
            ),
            format!(
                "pass in quick on {on} inet6 proto ipv6-icmp from any to (self) icmp6-type 128 keep state"
            ),
        ],
        (Traffic::Any, Verdict::Refuse) => {
            let label = names.label(rule.name);
            vec![format!(
                "block return in log quick on {on} from any to (self) {label}"
            )]
        }
        // Discovery is passed before the spoof rules; ICMP errors belong to states in pf.
        _ => Vec::new(),
    }
}

/// Egress, the host's own way to the guests, and the end.
fn passing_lines(names: &Names<'_>) -> Vec<String> {
    let Names {
        lab,
        uplink,
        etcd,
        kube,
    } = names;
    let tag = format!("LAB_{lab}");
    let guests = names.interfaces(&[Zone::Etcd, Zone::Kube]);
    let (bad, unsolicited) = (names.label("bad-source"), names.label("unsolicited"));
    vec![
        format!("pass in quick on {etcd} from <etcd> to any tag {tag} keep state"),
        format!("pass in quick on {kube} from <kube> to any tag {tag} keep state"),
        format!("block drop in log quick on {guests} all {bad}"),
        format!("block drop in log quick on {uplink} from any to <lab4> {unsolicited}"),
        format!("block drop in log quick on {uplink} from any to <lab6> {unsolicited}"),
        format!("pass out quick on {uplink} tagged {tag} keep state"),
        format!("pass out quick on {kube} from <kube> to <kube> keep state"),
        format!("pass out quick on {guests} from (self) to any keep state"),
        format!("block drop out log quick on {guests} all"),
    ]
}
