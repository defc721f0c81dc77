//! The pod network: a bridge on each node, addresses from the node's own ranges, routes between nodes.

use super::{Component, Gate, Place, UnitOptions};
use host_exec::File;
use serde_json::json;
use std::net::Ipv4Addr;

/// Where containerd looks for the network configuration.
pub(crate) const CONF_DIR: &str = "/etc/cni/net.d";
/// The name of the pods' network.
pub(crate) const NETWORK: &str = "pods";
pub(crate) const BRIDGE: &str = "cni0";
const BATCH: &str = "/etc/kubernetes/pod-network.batch";

/// The CNI configuration of a node (<https://www.cni.dev/plugins/current/main/bridge/>); containerd watches for it.
///
/// No masquerade here: pods keep their address all over the cluster, and the router outside translates.
pub fn config(place: Place<'_>) -> File {
    let [v4, v6] = place.node.pods.both();
    let list = json!({
        "cniVersion": "1.0.0",
        "name": NETWORK,
        "plugins": [
            {
                "type": "bridge",
                "bridge": BRIDGE,
                "hairpinMode": true,
                "ipMasq": false,
                "isDefaultGateway": true,
                "isGateway": true,
                "ipam": {
                    "type": "host-local",
                    // Reservations of a machine that was killed must not outlive it.
                    "dataDir": "/run/cni-addresses",
                    "ranges": [[{"subnet": v4}], [{"subnet": v6}]],
                },
            },
            {"type": "portmap", "capabilities": {"portMappings": true}},
        ],
    });
    File::public(
        format!("{CONF_DIR}/10-pods.conflist"),
        format!("{list:#}\n"),
    )
}

/// The bridge of the node's pods and the routes to those of other nodes, as a service that runs once at every boot.
///
/// The plugin takes a bridge that is there. One that it makes itself lacks two things:
///
/// - an address without detection of duplicates: until that ended, up to 2 s after the first pod, no pod reached anything
///   outside the node by IPv6. Nobody else has the address; the ranges are the plan's.
/// - a MAC address of its own, without which it has the lowest of its ports', and another one when that pod goes: the
///   others then have the gateway's old one in mind.
///
/// `replace` makes it repeatable, and with `-force` a line that is refused does not keep out the others.
pub fn network(place: Place<'_>) -> Component {
    let pods = place.node.pods;
    // The address that the plugin of addresses, host-local, takes for the gateway unless told another.
    let gateway = pods.nth(1);
    let routes = place.node.routes.iter();
    let routes =
        routes.map(|route| format!("route replace {} via {}\n", route.to.trunc(), route.via));
    let batch: String = [
        format!("link set dev {BRIDGE} address {} up\n", mac(gateway.v4)),
        format!(
            "address replace {}/{} dev {BRIDGE}\n",
            gateway.v4,
            pods.v4.prefix_len()
        ),
        format!(
            "address replace {}/{} dev {BRIDGE} nodad\n",
            gateway.v6,
            pods.v6.prefix_len()
        ),
    ]
    .into_iter()
    .chain(routes)
    .collect();
    // It fails where the bridge is.
    let make = format!("-ip link add name {BRIDGE} type bridge");
    Component {
        name: "pod-network",
        description: "Bridge of the pods, and routes to those of other nodes",
        program: "ip".into(),
        arguments: vec!["-force".into(), "-batch".into(), BATCH.into()],
        environment: Vec::new(),
        files: vec![File::public(BATCH, batch)],
        reads: Vec::new(),
        follows: Vec::new(),
        gate: Gate::AtOnce,
        options: UnitOptions {
            oneshot: true,
            unit: vec![("After", "network.target".into())],
            service: vec![("ExecStartPre", make)],
            ..UnitOptions::default()
        },
    }
}

/// What the plugins give an interface that has this address (containernetworking/plugins, `pkg/utils/hwaddr`).
fn mac(address: Ipv4Addr) -> String {
    let [a, b, c, d] = address.octets();
    format!("0a:58:{a:02x}:{b:02x}:{c:02x}:{d:02x}")
}
