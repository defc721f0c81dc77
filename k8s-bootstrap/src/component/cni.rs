//! The pod network: a bridge on each node, addresses from the node's own ranges, routes between nodes.

use super::{Component, Gate, Place, UnitOptions};
use host_exec::File;
use serde_json::json;

/// Where containerd looks for the network configuration.
pub(crate) const CONF_DIR: &str = "/etc/cni/net.d";
/// The name of the pods' network.
pub(crate) const NETWORK: &str = "pods";
const ROUTES: &str = "/etc/kubernetes/pod-routes.batch";

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
                "bridge": "cni0",
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

/// The routes to the pods of other nodes, as a service that runs once at every boot.
///
/// `replace` makes it repeatable, and with `-force` a route that is refused does not keep out the others.
pub fn routes(place: Place<'_>) -> Component {
    let lines = place.node.routes.iter();
    let batch: String = lines
        .map(|route| format!("route replace {} via {}\n", route.to.trunc(), route.via))
        .collect();
    Component {
        name: "pod-routes",
        description: "Routes to the pods of other nodes",
        program: "ip".into(),
        arguments: vec!["-force".into(), "-batch".into(), ROUTES.into()],
        environment: Vec::new(),
        files: vec![File::public(ROUTES, batch)],
        reads: Vec::new(),
        follows: Vec::new(),
        gate: Gate::AtOnce,
        options: UnitOptions {
            oneshot: true,
            unit: vec![("After", "network.target".into())],
            ..UnitOptions::default()
        },
    }
}
