//! From what is there to what is wanted: pure.

use super::{
    Scope,
    observe::{NamespaceSeen, Seen},
    wanted::{LinkWanted, Veth, Wanted},
};
use crate::name::short_hash;
use ipnet::IpNet;
use serde::Serialize;
use std::fmt;

/// One line for `ip -batch`, in one namespace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Change {
    pub(crate) scope: Scope,
    pub(crate) line: String,
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.scope, self.line)
    }
}

impl Serialize for Change {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// The commands that are missing, in an order in which each finds what it needs: namespaces, wires between
/// them, then everything inside each namespace. Nothing is ever taken away.
pub(crate) fn changes(wanted: &Wanted, seen: &Seen) -> Vec<Change> {
    let mut changes = Vec::new();
    let host = |line| Change {
        scope: Scope::Host,
        line,
    };
    for scope in wanted.namespaces.keys() {
        if let (Scope::Named(name), false) = (scope, seen.namespaces.contains_key(scope)) {
            changes.push(host(format!("netns add {name}")));
        }
    }
    let absent = |(scope, name): &(Scope, String)| {
        !seen
            .namespaces
            .get(scope)
            .is_some_and(|there| there.links.contains_key(name))
    };
    changes.extend(
        wanted
            .veths
            .iter()
            .filter(|veth| absent(&veth.near))
            .map(|veth| host(add_veth(veth))),
    );
    for (scope, inside) in &wanted.namespaces {
        let nothing = NamespaceSeen::default();
        let there = seen.namespaces.get(scope).unwrap_or(&nothing);
        let change = |line| Change {
            scope: scope.clone(),
            line,
        };
        // Bridges first: ports name them.
        let (bridges, others): (Vec<_>, Vec<_>) =
            inside.links.iter().partition(|(_, link)| link.bridge);
        for (name, link) in bridges.into_iter().chain(others) {
            changes.extend(link_lines(name, link, there).into_iter().map(change));
        }
        let missing = inside
            .routes
            .iter()
            .filter(|route| !there.routes.contains(route));
        changes.extend(missing.map(|route| change(route_line(route.to, route.via))));
    }
    changes
}

fn add_veth(veth: &Veth) -> String {
    let end = |(scope, name): &(Scope, String)| match scope {
        Scope::Host => format!("name {name}"),
        Scope::Named(namespace) => format!("name {name} netns {namespace}"),
    };
    let mac = veth
        .mac
        .as_ref()
        .map(|mac| format!("address {mac} "))
        .unwrap_or_default();
    format!(
        "link add {mac}{} type veth peer {}",
        end(&veth.near),
        end(&veth.far)
    )
}

/// Without an address of its own a bridge has the lowest of its ports'. It changed with a machine that went, and the
/// others waited 40 s for their gateway of IPv6.
fn bridge_mac(name: &str) -> String {
    let [a, b, c, d] = short_hash(name).to_be_bytes();
    // Locally administered, and none of the addresses 02:... of machines.
    format!("0a:00:{a:02x}:{b:02x}:{c:02x}:{d:02x}")
}

fn link_lines(name: &str, link: &LinkWanted, there: &NamespaceSeen) -> Vec<String> {
    let seen = there.links.get(name);
    let mut lines = Vec::new();
    if link.bridge && seen.is_none() {
        // Ports forward at once, and neighbour discovery does not wait for a querier that nobody is.
        lines.push(format!(
            "link add name {name} address {} type bridge forward_delay 0 mcast_snooping 0",
            bridge_mac(name)
        ));
    }
    let master = seen.and_then(|seen| seen.master.as_ref());
    if let Some(bridge) = link.master.as_ref().filter(|bridge| master != Some(bridge)) {
        lines.push(format!("link set dev {name} master {bridge}"));
    }
    for net in &link.addresses {
        if !seen.is_some_and(|seen| seen.addresses.contains(net)) {
            // The plan guarantees that an address is unique; detection would cost a second per address.
            let nodad = if matches!(net, IpNet::V6(_)) {
                " nodad"
            } else {
                ""
            };
            lines.push(format!("addr add {net} dev {name}{nodad}"));
        }
    }
    if !seen.is_some_and(|seen| seen.up) {
        lines.push(format!("link set dev {name} up"));
    }
    lines
}

fn route_line(to: IpNet, via: std::net::IpAddr) -> String {
    format!("route replace {to} via {via}")
}
