//! ifconfig(8), sysctl(8) and route(8) of FreeBSD.

use std::net::IpAddr;

use crate::host::rc_conf::link_local_alias;
use crate::host::{Effect, HostRouter, HostStep, LINK_LOCAL_GATEWAY, gateways, setting, words};
use crate::net::Family;
use crate::plan::{Network, Route};

impl HostRouter<'_> {
    /// The steps for a FreeBSD host, in order; they need root. They do what
    /// [`rc_conf`](Self::rc_conf) and [`sysctl_conf`](Self::sysctl_conf) do at boot, but for
    /// pf: that is switched on by whoever loads its rules.
    #[must_use]
    pub fn freebsd_steps(&self) -> Vec<HostStep> {
        let networks = self.plan.networks.iter();
        let mut steps: Vec<HostStep> = networks.flat_map(bridge).collect();
        for sysctl in self.sysctl_conf() {
            let why = "what stays inside a bridge is not for the rules of routed packets";
            steps.push(setting(&[], sysctl.name, sysctl.value, why));
        }
        if self.has(Family::V6) {
            steps.extend(self.hear_advertisements());
        }
        steps.extend(self.forwarding("net.inet.ip.forwarding", "net.inet6.ip6.forwarding"));
        steps.extend(self.plan.router_routes.iter().map(route));
        steps
    }

    /// What `ipv6_cpe_wanif` stands for.
    fn hear_advertisements(self) -> [HostStep; 3] {
        let why = "a host that forwards hears router advertisements only so, and on this interface";
        let uplink = self.uplink;
        [
            setting(&[], "net.inet6.ip6.no_radr".to_owned(), "1", why),
            setting(&[], "net.inet6.ip6.rfc6204w3".to_owned(), "1", why),
            HostStep {
                argv: words(&format!("ifconfig {uplink} inet6 -no_radr accept_rtadv")),
                undo: None,
                effect: Effect::Properties(uplink.clone()),
                repeatable: true,
                why,
            },
        ]
    }
}

fn bridge(network: &Network) -> Vec<HostStep> {
    let name = &network.bridge;
    let mut steps = vec![HostStep {
        argv: words(&format!("ifconfig bridge create name {name}")),
        undo: Some(words(&format!("ifconfig {name} destroy"))),
        effect: Effect::Interface(name.clone()),
        repeatable: false,
        why: "one link for the network",
    }];
    if network.nets.v6.is_some() {
        steps.push(HostStep {
            argv: words(&format!("ifconfig {name} inet6 -ifdisabled auto_linklocal")),
            undo: None,
            effect: Effect::Properties(name.clone()),
            repeatable: true,
            why: "a bridge has no IPv6 and no link-local address by itself",
        });
    }
    steps.push(HostStep {
        argv: words(&format!("ifconfig {name} up")),
        undo: None,
        effect: Effect::Up(name.clone()),
        repeatable: true,
        why: "a link that is down carries nothing",
    });
    steps.extend(gateways(network).map(|gateway| gateway_address(network, gateway)));
    if network.nets.v6.is_some() {
        steps.push(link_local(network));
    }
    steps
}

fn gateway_address(network: &Network, (address, prefix_len): (IpAddr, u8)) -> HostStep {
    let name = &network.bridge;
    let family = if address.is_ipv6() { "inet6" } else { "inet" };
    let alias = format!("ifconfig {name} {family} {address}/{prefix_len} alias");
    HostStep {
        argv: words(&alias),
        undo: Some(words(&format!("ifconfig {name} {family} {address} -alias"))),
        effect: Effect::Address {
            interface: name.clone(),
            address,
            prefix_len,
        },
        repeatable: true,
        why: "the gateway of the machines on it",
    }
}

fn link_local(network: &Network) -> HostStep {
    let name = &network.bridge;
    let alias = link_local_alias(name);
    let undo = format!("ifconfig {name} inet6 {LINK_LOCAL_GATEWAY}%{name} -alias");
    HostStep {
        argv: words(&format!("ifconfig {name} {alias} alias")),
        undo: Some(words(&undo)),
        effect: Effect::Address {
            interface: name.clone(),
            address: LINK_LOCAL_GATEWAY.into(),
            prefix_len: 64,
        },
        repeatable: true,
        why: "a next hop that stays when prefixes change",
    }
}

fn route(route: &Route) -> HostStep {
    let Route { to, via } = route;
    let family = if via.is_ipv6() { "-inet6" } else { "-inet" };
    let command = |verb| words(&format!("route -n {verb} {family} -net {to} {via}"));
    HostStep {
        argv: command("add"),
        undo: Some(command("delete")),
        effect: Effect::Route(*route),
        repeatable: false,
        why: "the pods of a node are behind the node",
    }
}
