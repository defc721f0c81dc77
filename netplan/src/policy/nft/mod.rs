//! The policy as nftables rules (nft(8)); kept to what nft 1.0.6 reads.

mod line;
mod nat;

use std::fmt::Write as _;

use crate::names::InterfaceName;
use crate::net::{Family, Net};
use crate::plan::{Class, Plan};
use crate::policy::{AddressSet, Chain, Point, Policy, Verdict, Zone};
use crate::requirement::RouterSpec;

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

impl Policy {
    /// The table of the router. `plan` is the one that the policy was made from.
    ///
    /// In a namespace it is `inet lab`, with [`ROUTER_UPLINK`], [`ROUTER_LINK`] and the bridges
    /// of the networks as interfaces, and drops what no rule allows. On a host it is `inet
    /// lab-NAME`, judges only what enters from a bridge of the lab or leaves to one, and accepts
    /// everything else for the other tables to judge; a drop elsewhere stays a drop.
    /// `net.bridge.bridge-nf-call-*tables` must be 0 there, or frames inside one network meet the
    /// forward chain too.
    #[must_use]
    pub fn nft_router(&self, plan: &Plan) -> NftRuleset {
        let side = Side::router(plan);
        let name = match plan.router {
            RouterSpec::Namespace => "lab".to_owned(),
            RouterSpec::Host { .. } => format!("lab-{}", plan.lab),
        };
        let points = [Point::RouterForward, Point::RouterInput];
        let mut body = self.chains(&points, &side);
        body.push_str(&self.nft_translation(&side));
        self.table(&name, &body)
    }

    /// The table of each machine of a class; `None` when the policy has no rules for it.
    ///
    /// On etcd members it is `inet lab` and drops what no rule allows. On others it is `inet
    /// lab_guard`, stands before the tables of Kubernetes and CNI plugins, and leaves to them
    /// what it does not drop.
    #[must_use]
    pub fn nft_guest(&self, class: &Class) -> Option<NftRuleset> {
        let name = class.name.clone();
        let points = [Point::GuestInput(name.clone()), Point::GuestForward(name)];
        let chains = points.iter().filter_map(|point| self.chain(point));
        let is_guard = chains
            .map(|chain| chain.default == Verdict::Allow)
            .reduce(|one, other| one && other)?;
        let table = if is_guard { "lab_guard" } else { "lab" };
        Some(self.table(table, &self.chains(&points, &Side::Guest)))
    }

    fn chains(&self, points: &[Point], side: &Side) -> String {
        let chains = points.iter().filter_map(|point| self.chain(point));
        chains.map(|chain| self.nft_chain(chain, side)).collect()
    }

    fn nft_chain(&self, chain: &Chain, side: &Side) -> String {
        let (name, hook, priority) = place(chain);
        let (default, before, after) = match side {
            Side::Host { bridges, .. } => {
                let default = format!("counter {} comment \"default\"", statement(chain.default));
                (Verdict::Allow, others(&chain.point, bridges), Some(default))
            }
            _ => (chain.default, loopback(chain), None),
        };
        let mut lines = before;
        let rules = chain.rules.iter();
        lines.extend(rules.flat_map(|rule| self.lines(rule, side)));
        lines.extend(after);
        let policy = statement(default);
        let mut text = format!(
            "\tchain {name} {{\n\t\ttype filter hook {hook} priority {priority}; policy {policy};\n"
        );
        for line in lines {
            // Writing to a String cannot fail.
            let _infallible = writeln!(text, "\t\t{line}");
        }
        text.push_str("\t}\n");
        text
    }

    /// A table with the sets that its body names.
    fn table(&self, name: &str, body: &str) -> NftRuleset {
        let sets = self.sets.keys();
        let sets = sets.flat_map(|set| Family::BOTH.map(|family| (set, family)));
        let named = sets.filter(|(set, family)| {
            let reference = format!("@{} ", set_name(set, *family));
            body.contains(&reference)
        });
        let sets: String = named.map(|(set, family)| self.set(set, family)).collect();
        // Naming the table first makes the deletion valid where there is none yet.
        let undo = format!("table inet {name}\ndelete table inet {name}\n");
        let load = format!("{undo}table inet {name} {{\n{sets}{body}}}\n");
        let table = format!("inet {name}");
        NftRuleset { table, load, undo }
    }

    fn set(&self, set: &AddressSet, family: Family) -> String {
        let kind = match family {
            Family::V4 => "ipv4_addr",
            Family::V6 => "ipv6_addr",
        };
        let members: Vec<String> = self.members(set, family).map(element).collect();
        format!(
            "\tset {} {{\n\t\ttype {kind}\n\t\tflags interval\n\t\telements = {{ {} }}\n\t}}\n\n",
            set_name(set, family),
            members.join(", ")
        )
    }
}

/// Where a table is loaded, and so what the zones are there.
enum Side {
    /// The router in a namespace of its own.
    Namespace { bridges: Bridges },
    /// A host that is the router, and more than that.
    Host {
        bridges: Bridges,
        uplink: InterfaceName,
    },
    /// A machine, whose interfaces are called by their networks.
    Guest,
}

/// The zone of each network and its bridge.
type Bridges = Vec<(Zone, InterfaceName)>;

impl Side {
    fn router(plan: &Plan) -> Self {
        let bridges = plan.networks.iter();
        let bridges = bridges
            .map(|network| {
                let zone = Zone::Network(network.name.clone());
                (zone, network.bridge.clone())
            })
            .collect();
        match &plan.router {
            RouterSpec::Namespace => Self::Namespace { bridges },
            RouterSpec::Host { uplink } => Self::Host {
                bridges,
                uplink: uplink.clone(),
            },
        }
    }

    /// The quoted name of the interface of a zone. On the host itself nothing enters from the
    /// zone of the host, and on a machine all that is not of its networks comes over one of them;
    /// no rule there names such a zone.
    fn interface(&self, zone: &Zone) -> String {
        let name = match (self, zone) {
            (Self::Guest, zone) => format!("{zone}0"),
            (Self::Host { uplink, .. }, Zone::Internet) => uplink.to_string(),
            (_, Zone::Internet) => ROUTER_UPLINK.to_owned(),
            (_, Zone::Host) => ROUTER_LINK.to_owned(),
            (Self::Namespace { bridges } | Self::Host { bridges, .. }, zone) => {
                let mut bridges = bridges.iter();
                let bridge = bridges.find(|(own, _)| own == zone);
                bridge.map_or_else(String::new, |(_, bridge)| bridge.to_string())
            }
        };
        format!("\"{name}\"")
    }
}

/// Name, hook and priority of a chain.
fn place(chain: &Chain) -> (&'static str, &'static str, &'static str) {
    let is_guard = chain.default == Verdict::Allow;
    match chain.point {
        // Before the chains of kube-proxy and CNI plugins. A drop there is final in any order,
        // but a guard is easier to trust when nothing has run before it.
        Point::GuestInput(_) if is_guard => ("lab_guard_input", "input", "filter - 1"),
        Point::GuestForward(_) if is_guard => ("lab_guard_forward", "forward", "filter - 1"),
        Point::RouterForward | Point::GuestForward(_) => ("lab_forward", "forward", "filter"),
        Point::RouterInput | Point::GuestInput(_) => ("lab_input", "input", "filter"),
    }
}

/// What a machine says to itself, where the chain would drop it.
fn loopback(chain: &Chain) -> Vec<String> {
    let is_input = matches!(chain.point, Point::RouterInput | Point::GuestInput(_));
    if is_input && chain.default != Verdict::Allow {
        vec!["iifname \"lo\" accept".to_owned()]
    } else {
        Vec::new()
    }
}

/// What is not the lab's, and so not judged.
fn others(point: &Point, bridges: &Bridges) -> Vec<String> {
    let names: Vec<String> = bridges
        .iter()
        .map(|(_, bridge)| format!("\"{bridge}\""))
        .collect();
    let bridges = names.join(", ");
    let leaving = match point {
        Point::RouterForward => format!(" oifname != {{ {bridges} }}"),
        _ => String::new(),
    };
    vec![format!("iifname != {{ {bridges} }}{leaving} accept")]
}

fn element(net: Net) -> String {
    if net.prefix_len() == net.family().bits() {
        net.address().to_string()
    } else {
        net.to_string()
    }
}

fn set_name(set: &AddressSet, family: Family) -> String {
    let digit = if family == Family::V4 { '4' } else { '6' };
    format!("{set}{digit}")
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
