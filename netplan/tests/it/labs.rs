//! Labs beside the reference lab, as files have them.

use netplan::Requirement;

fn parsed(text: &str) -> Requirement {
    serde_json::from_str(text).expect("a requirement")
}

/// Three networks, one of them IPv4 only, no Kubernetes; the host routes and translates prefixes.
pub(crate) fn host_npt() -> Requirement {
    parsed(
        r#"{
            "lab": "shop-1", "seed": 7,
            "networks": [
                { "name": "front" },
                { "name": "store", "families": "v4" },
                { "name": "back" }
            ],
            "classes": [
                { "name": "web", "count": 2, "networks": ["back", "front"] },
                { "name": "db", "count": 2, "networks": ["store", "back"] },
                { "name": "probe", "count": 1, "networks": ["front"] },
                { "name": "disk", "count": 1, "networks": ["store"] }
            ],
            "router": { "host": { "uplink": "wan0" } },
            "v6_mode": { "npt": { "outside": "2001:db8:4444::/48" } }
        }"#,
    )
}

/// A cluster whose nodes have a second network, on which some have their default route; etcd has
/// two networks as well, and machines that are no nodes are beside the nodes.
pub(crate) fn nodes_nat66() -> Requirement {
    parsed(
        r#"{
            "lab": "mesh", "seed": 11,
            "networks": [{ "name": "raft" }, { "name": "nodes" }, { "name": "wide" }],
            "classes": [
                { "name": "member", "role": "etcd", "count": 2, "networks": ["raft", "wide"] },
                { "name": "plane", "role": "control-plane", "count": 2,
                  "networks": ["raft", "nodes", "wide"], "default_route": "nodes" },
                { "name": "edge", "role": "worker", "count": 1, "networks": ["nodes", "wide"] },
                { "name": "runner", "role": "worker", "count": 1, "networks": ["nodes"] },
                { "name": "desk", "count": 1, "networks": ["nodes"] }
            ],
            "kubernetes": { "version": "1.37", "network": "nodes", "nodes": 16 },
            "v6_mode": { "nat66": { "address": "2001:db8:ffff::66" } }
        }"#,
    )
}

/// The reference lab without a way out for IPv6.
pub(crate) fn ula_only() -> Requirement {
    Requirement {
        v6_mode: netplan::V6Mode::UlaOnly,
        ..crate::requirement(1, 1, 1)
    }
}

/// The reference lab with prefixes translated.
pub(crate) fn npt() -> Requirement {
    let outside = crate::net("2001:db8:5555::/48");
    Requirement {
        v6_mode: netplan::V6Mode::Npt { outside },
        ..crate::requirement(1, 1, 1)
    }
}

/// The reference lab with a host as its router.
pub(crate) fn cluster_on_host() -> Requirement {
    let uplink = netplan::InterfaceName::new("wan0").expect("a name");
    Requirement {
        router: netplan::RouterSpec::Host { uplink },
        ..crate::requirement(1, 1, 1)
    }
}
