//! Labs beside the reference lab, as files have them.

use netplan::{
    ClassName, ClassSpec, Families, KubernetesSpec, KubernetesVersion, NetworkName, NetworkSpec,
    Requirement, Role, RouterSpec, V6Mode,
};
use proptest::prelude::*;

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
        v6_mode: V6Mode::UlaOnly,
        ..crate::requirement(1, 1, 1)
    }
}

/// The reference lab with prefixes translated.
pub(crate) fn npt() -> Requirement {
    let outside = crate::net("2001:db8:5555::/48");
    Requirement {
        v6_mode: V6Mode::Npt { outside },
        ..crate::requirement(1, 1, 1)
    }
}

/// A lab with a host as its router, and this the host's uplink.
pub(crate) fn on_host(requirement: Requirement, uplink: &str) -> Requirement {
    let uplink = crate::interface(uplink);
    Requirement {
        router: RouterSpec::Host { uplink },
        ..requirement
    }
}

/// The reference lab with a host as its router.
pub(crate) fn cluster_on_host() -> Requirement {
    on_host(crate::requirement(1, 1, 1), "wan0")
}

/// Labs of up to four networks and five classes of any role, with and without a cluster, behind a
/// namespace or a host, with any way out.
pub(crate) fn any() -> impl Strategy<Value = Requirement> {
    let families = prop::sample::select(vec![
        Families::Dual,
        Families::Dual,
        Families::V4,
        Families::V6,
    ]);
    let networks = prop::collection::vec(families, 1..=4);
    let role = prop::sample::select(vec![
        Role::Etcd,
        Role::ControlPlane,
        Role::Worker,
        Role::Other,
    ]);
    let choices = (role, 1..16_usize, 0..4_usize, 1..=2_u32);
    let classes = prop::collection::vec(choices, 1..=5);
    let modes = (0..4_usize, prop::bool::ANY);
    let cluster = prop::option::of(0..4_usize);
    (networks, classes, modes, cluster).prop_map(|(networks, classes, modes, cluster)| {
        let names: Vec<NetworkName> = (0..networks.len())
            .map(|n| NetworkName::new(format!("net{n}")).expect("a name"))
            .collect();
        let cluster = cluster.map(|n| n % names.len());
        let specs = names.iter().zip(&networks);
        let specs = specs.map(|(name, families)| NetworkSpec {
            families: *families,
            ..NetworkSpec::new(name.clone())
        });
        let classes = classes.iter().enumerate();
        Requirement {
            networks: specs.collect(),
            classes: classes
                .map(|(n, choices)| class(n, *choices, &names, cluster))
                .collect(),
            kubernetes: cluster.map(|at| KubernetesSpec {
                families: networks[at],
                primary: networks[at].iter().next().expect("one at least"),
                ..KubernetesSpec::new(KubernetesVersion::new(37), names[at].clone())
            }),
            ..other_choices(
                networks.iter().any(|one| one.has(netplan::Family::V6)),
                modes,
            )
        }
    })
}

/// Role, a bit for each network, the position of the default routes among them, and count.
type ClassChoices = (Role, usize, usize, u32);

/// A class on at least one network, and a node on the cluster's.
fn class(
    number: usize,
    (role, mask, default, count): ClassChoices,
    names: &[NetworkName],
    cluster: Option<usize>,
) -> ClassSpec {
    let is_on = |at: &usize| {
        let is_node = role.is_node() && cluster == Some(*at);
        mask >> at & 1 == 1 || is_node
    };
    let on = (0..names.len()).filter(is_on).map(|at| names[at].clone());
    let mut on: Vec<NetworkName> = on.collect();
    if on.is_empty() {
        on.push(names[0].clone());
    }
    let name = ClassName::new(format!("class{number}")).expect("a name");
    let default = on[default % on.len()].clone();
    ClassSpec {
        role,
        default_route: Some(default),
        ..ClassSpec::new(name, count, on)
    }
}

/// A mode of IPv6 is refused where there is none.
fn other_choices(has_v6: bool, (mode, is_host): (usize, bool)) -> Requirement {
    let modes = [
        V6Mode::Routed,
        V6Mode::UlaOnly,
        npt().v6_mode,
        nodes_nat66().v6_mode,
    ];
    let requirement = Requirement {
        v6_mode: if has_v6 { modes[mode] } else { V6Mode::Routed },
        ..crate::requirement(1, 1, 1)
    };
    if is_host {
        on_host(requirement, "wan0")
    } else {
        requirement
    }
}
