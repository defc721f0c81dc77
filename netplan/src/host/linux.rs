//! ip(8) and sysctl(8) of Linux.

use std::net::IpAddr;

use crate::host::{Effect, HostRouter, HostStep, LINK_LOCAL_GATEWAY, gateways, setting, words};
use crate::net::Family;
use crate::plan::{Network, Route};

impl HostRouter<'_> {
    /// The steps for a Linux host, in order; they need `CAP_NET_ADMIN` and iproute2.
    ///
    /// Names of settings are written with `/`, since a name of an interface may have a `.` in it.
    /// Nothing here outlasts a reboot. The settings `bridge-nf-call-*` are there only where
    /// `br_netfilter` is loaded, and their steps succeed without it; whoever loads it later finds
    /// them switched on again and has to repeat these steps.
    #[must_use]
    pub fn linux_steps(&self) -> Vec<HostStep> {
        let networks = self.plan.networks.iter();
        let mut steps: Vec<HostStep> = networks.flat_map(bridge).collect();
        steps.extend(bridge_filter_off());
        if self.has(Family::V6) {
            let name = format!("net/ipv6/conf/{}/accept_ra", self.uplink);
            let why = "a host that forwards hears router advertisements only with 2";
            steps.push(setting(&[], name, "2", why));
        }
        steps.extend(self.forwarding("net/ipv4/ip_forward", "net/ipv6/conf/all/forwarding"));
        steps.extend(self.plan.router_routes.iter().map(route));
        steps
    }
}

fn bridge(network: &Network) -> Vec<HostStep> {
    let name = &network.bridge;
    let create =
        format!("ip link add name {name} type bridge stp_state 0 forward_delay 0 mcast_snooping 0");
    let mut steps = vec![HostStep {
        argv: words(&create),
        undo: Some(words(&format!("ip link delete dev {name}"))),
        effect: Effect::Interface(name.clone()),
        repeatable: false,
        why: "one link for the network; no other bridge is on it, so nothing has to be learnt first",
    }];
    steps.extend(bridge_settings(network));
    // Two commands: ip(8) sends one message for both, and the kernel heeds `up` in it first.
    steps.push(link_property(network, "addrgenmode none"));
    steps.push(HostStep {
        effect: Effect::Up(name.clone()),
        why: "a link that is down carries nothing",
        ..link_property(network, "up")
    });
    for (address, prefix_len) in gateways(network) {
        let why = "the gateway of the machines on it";
        steps.push(self::address(network, address, prefix_len, why));
    }
    if network.nets.v6.is_some() {
        let why = "a next hop that stays when prefixes change";
        steps.push(self::address(network, LINK_LOCAL_GATEWAY.into(), 64, why));
    }
    steps
}

fn link_property(network: &Network, property: &str) -> HostStep {
    let name = &network.bridge;
    HostStep {
        argv: words(&format!("ip link set dev {name} {property}")),
        undo: None,
        effect: Effect::Properties(name.clone()),
        repeatable: true,
        why: "its link-local address is the one below and no other",
    }
}

fn bridge_settings(network: &Network) -> Vec<HostStep> {
    let Network { bridge, nets, .. } = network;
    let mut steps = Vec::new();
    if nets.v4.is_some() {
        let name = format!("net/ipv4/conf/{bridge}/rp_filter");
        let why = "a machine on two networks may answer on the other one";
        steps.push(setting(&[], name, "2", why));
    }
    if nets.v6.is_some() {
        let name = format!("net/ipv6/conf/{bridge}/disable_ipv6");
        let why = "new interfaces of some hosts have no IPv6";
        steps.push(setting(&[], name, "0", why));
        let name = format!("net/ipv6/conf/{bridge}/accept_ra");
        let why = "no machine may tell the router where to send";
        steps.push(setting(&[], name, "0", why));
    }
    steps
}

fn bridge_filter_off() -> impl Iterator<Item = HostStep> {
    let why = "what stays inside a bridge is not for the rules of routed packets";
    let step = move |table| {
        let name = format!("net/bridge/bridge-nf-call-{table}");
        setting(&["-e"], name, "0", why)
    };
    ["iptables", "ip6tables", "arptables"].into_iter().map(step)
}

fn address(network: &Network, address: IpAddr, prefix_len: u8, why: &'static str) -> HostStep {
    let name = &network.bridge;
    // Detection of duplicates would keep the address from being used for a second or more.
    let nodad = if address.is_ipv6() { " nodad" } else { "" };
    let cidr = format!("{address}/{prefix_len}");
    HostStep {
        argv: words(&format!("ip address replace {cidr} dev {name}{nodad}")),
        undo: Some(words(&format!("ip address delete {cidr} dev {name}"))),
        effect: Effect::Address {
            interface: name.clone(),
            address,
            prefix_len,
        },
        repeatable: true,
        why,
    }
}

fn route(route: &Route) -> HostStep {
    let Route { to, via } = route;
    let family = if via.is_ipv6() { "-6" } else { "-4" };
    HostStep {
        argv: words(&format!("ip {family} route replace {to} via {via}")),
        undo: Some(words(&format!("ip {family} route delete {to} via {via}"))),
        effect: Effect::Route(*route),
        repeatable: true,
        why: "the pods of a node are behind the node",
    }
}
