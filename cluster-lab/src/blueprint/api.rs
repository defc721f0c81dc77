//! Where the API is found: from the nodes, from this machine, and while control planes come and go.

use super::{API_PORT, Blueprint, both, ranges, seed};
use netplan::{KUBE_NETWORK, Plan, Role};
use pki::ApiUrl;
use std::net::{Ipv4Addr, SocketAddr};

/// On the loopback of every node; the API servers have 6443 on all addresses.
pub(super) const BALANCER_PORT: u16 = 7443;

impl Blueprint {
    /// The address at which the API is reached from this machine.
    pub(crate) fn api_url_here(&self) -> ApiUrl {
        let several = has_several_control_planes(&self.network);
        let here = match self.network.link {
            // The router would go on sending some to one that is gone.
            Some(_) if several => (api_address(&self.network), API_PORT).into(),
            Some(link) => (both(link.router).0, API_PORT).into(),
            None => self.tunnel().0,
        };
        ApiUrl::of_address(here.ip(), here.port()).expect("an address of a single machine")
    }

    /// This machine's end of the tunnel to the API of a lab that is elsewhere, and the other end.
    pub(crate) fn tunnel(&self) -> (SocketAddr, SocketAddr) {
        let here = (Ipv4Addr::LOCALHOST, self.tunnel_port());
        let there = (api_address(&self.network), API_PORT);
        (here.into(), there.into())
    }

    /// Where that tunnel led while the lab had one control plane instead of several, or several instead of one.
    pub(crate) fn other_end_of_tunnel(&self) -> SocketAddr {
        (other_api_address(&self.network), API_PORT).into()
    }

    /// The port of this machine that leads to the API of a lab that is elsewhere: 20000 to 29999, from its name,
    /// so that two labs differ and a kubeconfig stays good.
    fn tunnel_port(&self) -> u16 {
        let number = seed(&[self.spec.name.as_str()]) % 10_000;
        20_000 + u16::try_from(number).expect("below 10000")
    }
}

/// Where the API is found on the network of the nodes: the only control plane, or the address that leads to any.
pub(super) fn api_address(network: &Plan) -> Ipv4Addr {
    let (first, any) = api_addresses(network);
    match has_several_control_planes(network) {
        true => any,
        false => first,
    }
}

/// Where it is not, and would be if the lab had one control plane instead of several, or several instead of one.
pub(super) fn other_api_address(network: &Plan) -> Ipv4Addr {
    let (first, any) = api_addresses(network);
    match has_several_control_planes(network) {
        true => first,
        false => any,
    }
}

/// The address of the first control plane, and the one that leads to any.
fn api_addresses(network: &Plan) -> (Ipv4Addr, Ipv4Addr) {
    let mut planes = network.addresses(Role::ControlPlane, KUBE_NETWORK);
    let first = planes.next();
    let first = first.expect("a plan has at least one control plane");
    (both(first).0, both(ranges(network).endpoint).0)
}

/// Whether there is more than one API server to lead to.
pub(super) fn has_several_control_planes(network: &Plan) -> bool {
    network.role(Role::ControlPlane).count() > 1
}
