//! One case for each lint at least: what breaks it, and what just does not.

use netplan::{Families, Family, KubernetesVersion, NetworkName, RouterSpec, V6Mode};

use super::World;
use crate::net;

pub(super) struct Case {
    pub(super) lint: &'static str,
    pub(super) subject: &'static str,
    pub(super) broken: fn(&mut World),
    pub(super) fine: fn(&mut World),
}

const fn case(
    lint: &'static str,
    subject: &'static str,
    broken: fn(&mut World),
    fine: fn(&mut World),
) -> Case {
    Case {
        lint,
        subject,
        broken,
        fine,
    }
}

fn version(world: &mut World, minor: u16) {
    world.kubernetes().version = KubernetesVersion::new(minor);
}

/// Room for everything of IPv4.
fn wide(world: &mut World) {
    world.requirement.v4 = Some(net("10.0.0.0/8"));
}

/// Services of IPv6 of this length, for this version.
fn services_v6(world: &mut World, minor: u16, len: u8) {
    version(world, minor);
    world.kubernetes().sizes.services_v6 = Some(len);
}

fn host_router(world: &mut World) {
    world.requirement.router = RouterSpec::Host {
        uplink: "em0".parse().expect("a name"),
    };
}

fn global(world: &mut World) {
    world.requirement.v6 = Some(net("2a01:4f8:77::/48"));
}

fn nat66(world: &mut World, address: &str) {
    world.requirement.v6_mode = V6Mode::Nat66 {
        address: address.parse().expect("an address"),
    };
}

fn npt(world: &mut World, outside: &str) {
    world.requirement.v6_mode = V6Mode::Npt {
        outside: net(outside),
    };
}

fn only(world: &mut World, families: Families) {
    for network in &mut world.requirement.networks {
        network.families = families;
    }
    world.kubernetes().families = families;
    match families {
        Families::V4 => world.requirement.v6 = None,
        _ => {
            world.requirement.v4 = None;
            world.kubernetes().primary = Family::V6;
        }
    }
}

/// One node in a pod range for `parts` nodes.
fn parts(world: &mut World, parts: u32) {
    *world.requirement.count_mut("worker").expect("a class") = 0;
    let kubernetes = world.kubernetes();
    kubernetes.nodes = parts;
    kubernetes.sizes.pods_v6 = Some(48 + 8);
}

fn default_route(world: &mut World, network: &str) {
    let class = &mut world.requirement.classes[1];
    class.default_route = Some(NetworkName::new(network).expect("a name"));
}

pub(super) const ALL: &[Case] = &[
    case(
        "k8s-version",
        "kubernetes.version",
        |w| version(w, 27),
        |w| version(w, 28),
    ),
    case(
        "k8s-version",
        "kubernetes.version",
        |w| version(w, 38),
        |w| version(w, 37),
    ),
    case(
        "k8s-dual-stack",
        "kubernetes.version",
        |w| version(w, 20),
        |w| version(w, 21),
    ),
    case(
        "k8s-dual-stack",
        "kubernetes.version",
        |w| version(w, 20),
        |w| {
            version(w, 20);
            only(w, Families::V4);
        },
    ),
    case(
        "k8s-primary-family",
        "kubernetes.primary",
        |w| {
            w.kubernetes().primary = Family::V6;
            w.edit = |plan| plan.machines[3].nics[1].address.v6 = None;
        },
        |w| w.edit = |plan| plan.machines[3].nics[1].address.v6 = None,
    ),
    case(
        "k8s-primary-family",
        "kubernetes.primary",
        |w| {
            w.edit = |plan| {
                plan.kubernetes
                    .as_mut()
                    .expect("a cluster")
                    .services
                    .nets
                    .v4 = None;
            };
        },
        |w| {
            w.edit = |plan| {
                plan.kubernetes
                    .as_mut()
                    .expect("a cluster")
                    .services
                    .nets
                    .v6 = None;
            };
        },
    ),
    case(
        "k8s-services-too-large",
        "kubernetes.services_v4",
        |w| {
            wide(w);
            version(w, 30);
            w.kubernetes().sizes.services_v4 = Some(11);
        },
        |w| {
            wide(w);
            version(w, 30);
            w.kubernetes().sizes.services_v4 = Some(12);
        },
    ),
    case(
        "k8s-services-too-large",
        "kubernetes.services_v6",
        |w| services_v6(w, 33, 107),
        |w| services_v6(w, 34, 107),
    ),
    case(
        "k8s-services-too-large",
        "kubernetes.services_v6",
        |w| services_v6(w, 34, 63),
        |w| services_v6(w, 34, 64),
    ),
    case(
        "kubeadm-services-too-large",
        "kubernetes.services_v6",
        |w| services_v6(w, 34, 107),
        |w| services_v6(w, 34, 108),
    ),
    case(
        "k8s-services-clamped",
        "kubernetes.services_v6",
        |w| services_v6(w, 33, 111),
        |w| services_v6(w, 34, 111),
    ),
    case(
        "k8s-services-clamped",
        "kubernetes.services_v6",
        |w| services_v6(w, 33, 108),
        |w| services_v6(w, 33, 112),
    ),
    case(
        "k8s-services-too-small",
        "kubernetes.services_v4",
        |w| {
            w.edit = |plan| {
                let services = &mut plan.kubernetes.as_mut().expect("a cluster").services;
                services.nets.v4 = Some(net("10.77.16.0/29"));
            };
        },
        |w| w.kubernetes().sizes.services_v4 = Some(28),
    ),
    case(
        "k8s-services-too-few",
        "kubernetes.services_v4",
        |w| w.kubernetes().sizes.services_v4 = Some(21),
        |w| w.kubernetes().sizes.services_v4 = Some(20),
    ),
    case(
        "k8s-services-too-few",
        "kubernetes.services_v6",
        |w| {
            wide(w);
            services_v6(w, 33, 108);
            w.kubernetes().services = 65_537;
        },
        |w| {
            wide(w);
            services_v6(w, 34, 108);
            w.kubernetes().services = 65_537;
        },
    ),
    case(
        "k8s-dns-band",
        "kubernetes.services_v4",
        |w| w.kubernetes().sizes.services_v4 = Some(28),
        |w| w.kubernetes().sizes.services_v4 = Some(27),
    ),
    case(
        "kubeadm-pods-too-small",
        "kubernetes.pods_v4",
        |w| pods_v4(w, 29, 30),
        |w| pods_v4(w, 28, 30),
    ),
    case(
        "k8s-node-mask",
        "kubernetes.sizes.node_pods_v4",
        |w| {
            w.edit = |plan| {
                plan.kubernetes.as_mut().expect("a cluster").pods.v4 = Some(net("10.77.128.0/25"));
            };
        },
        |w| {
            w.edit = |plan| {
                plan.kubernetes.as_mut().expect("a cluster").pods.v4 = Some(net("10.77.128.0/24"));
            };
        },
    ),
    case(
        "k8s-pod-mask-gap",
        "kubernetes.sizes.node_pods_v6",
        |w| {
            w.kubernetes().sizes.node_pods_v6 = Some(73);
            w.kubernetes().sizes.pods_v6 = Some(56);
        },
        |w| {
            w.kubernetes().sizes.node_pods_v6 = Some(72);
            w.kubernetes().sizes.pods_v6 = Some(56);
        },
    ),
    case(
        "kubeadm-pod-mask-gap",
        "kubernetes.sizes.node_pods_v4",
        |w| {
            wide(w);
            pods_v4(w, 12, 29);
        },
        |w| {
            wide(w);
            pods_v4(w, 12, 28);
        },
    ),
    case(
        "k8s-node-mask-flags",
        "kubernetes.sizes.node_pods_v4",
        |w| w.kubernetes().sizes.node_pods_v4 = Some(25),
        |w| w.kubernetes().pods_per_node = 128,
    ),
    case(
        "k8s-pods-too-few",
        "kubernetes.pods_v4",
        |w| {
            w.edit = |plan| {
                plan.kubernetes.as_mut().expect("a cluster").pods.v4 = Some(net("10.77.128.0/18"));
            };
        },
        |w| {
            w.kubernetes().nodes = 64;
            w.edit = |plan| {
                plan.kubernetes.as_mut().expect("a cluster").pods.v4 = Some(net("10.77.128.0/18"));
            };
        },
    ),
    case(
        "k8s-pods-full",
        "kubernetes.pods_v4",
        |w| parts(w, 1),
        |w| parts(w, 2),
    ),
    case(
        "k8s-node-pods-too-few",
        "kubernetes.sizes.node_pods_v4",
        |w| {
            w.kubernetes().pods_per_node = 254;
            w.kubernetes().sizes.node_pods_v4 = Some(24);
        },
        |w| {
            w.kubernetes().pods_per_node = 253;
            w.kubernetes().sizes.node_pods_v4 = Some(24);
        },
    ),
    case(
        "k8s-node-pods-too-few",
        "kubernetes.sizes.node_pods_v6",
        |w| {
            w.kubernetes().sizes.node_pods_v6 = Some(121);
            w.kubernetes().pods_per_node = 127;
        },
        |w| {
            w.kubernetes().sizes.node_pods_v6 = Some(121);
            w.kubernetes().pods_per_node = 126;
        },
    ),
    case(
        "k8s-node-ip",
        "classes.cp.default_route",
        |w| default_route(w, "etcd"),
        |w| default_route(w, "kube"),
    ),
    case(
        "ranges-overlap",
        "kubernetes.services_v4",
        |w| {
            w.edit = |plan| {
                let services = &mut plan.kubernetes.as_mut().expect("a cluster").services;
                services.nets.v4 = Some(net("10.77.1.128/25"));
            };
        },
        |w| {
            w.edit = |plan| {
                let services = &mut plan.kubernetes.as_mut().expect("a cluster").services;
                services.nets.v4 = Some(net("10.77.3.128/25"));
            };
        },
    ),
    case(
        "special-range",
        "v6",
        |w| w.edit = |plan| plan.supernet.v6 = Some(net("2001:db8:77::/48")),
        global,
    ),
    case(
        "special-range",
        "v6",
        |w| w.edit = |plan| plan.supernet.v6 = Some(net("fc5c:1b2a:9e10::/48")),
        |_| {},
    ),
    case(
        "special-range",
        "networks.kube.v4",
        |w| w.edit = |plan| plan.networks[1].nets.v4 = Some(net("169.254.1.0/24")),
        |w| w.edit = |plan| plan.networks[1].nets.v4 = Some(net("10.77.77.0/24")),
    ),
    case(
        "special-opt-in",
        "v4",
        |w| w.requirement.v4 = Some(net("100.77.0.0/16")),
        |w| w.requirement.v4 = Some(net("10.100.0.0/14")),
    ),
    case(
        "special-opt-in",
        "v4",
        |w| w.requirement.v4 = Some(net("198.18.0.0/15")),
        |_| {},
    ),
    case(
        "global-v4",
        "v4",
        |w| w.requirement.v4 = Some(net("9.77.0.0/16")),
        global,
    ),
    case(
        "habit-range",
        "v4",
        |w| w.requirement.v4 = Some(net("10.96.0.0/14")),
        |w| w.requirement.v4 = Some(net("10.112.0.0/14")),
    ),
    case(
        "host-route-equal",
        "v4",
        |w| w.occupy("10.77.0.0/16"),
        |w| w.occupy("10.76.0.0/16"),
    ),
    case(
        "host-route-shadowed",
        "v4",
        |w| w.occupy("10.76.0.0/15"),
        |w| {
            w.occupy("10.78.0.0/15");
            w.occupy("0.0.0.0/0");
            w.occupy("::/0");
        },
    ),
    case(
        "host-route-shadowed",
        "v6",
        |w| w.occupy("fd00::/8"),
        |w| w.occupy("fc00::/8"),
    ),
    case(
        "host-route-hidden",
        "v4",
        |w| w.occupy("10.77.1.128/25"),
        |w| w.occupy("10.76.255.128/25"),
    ),
    case(
        "host-route-hidden",
        "v6",
        |w| w.occupy("fd5c:1b2a:9e10:ffff::/64"),
        |w| w.occupy("fd5c:1b2a:9e11::/64"),
    ),
    case(
        "host-next-hop",
        "v4",
        |w| {
            w.facts
                .next_hops
                .push("10.77.255.254".parse().expect("an address"))
        },
        |w| {
            w.facts
                .next_hops
                .push("10.78.0.1".parse().expect("an address"))
        },
    ),
    case(
        "host-resolver",
        "v6",
        |w| {
            w.facts
                .resolvers
                .push("fd5c:1b2a:9e10::53".parse().expect("an address"))
        },
        |w| {
            w.facts
                .resolvers
                .push("127.0.0.53".parse().expect("an address"))
        },
    ),
    case(
        "ula-global-id",
        "v6",
        |w| w.requirement.v6 = Some(net("fd00:0:1::/48")),
        |_| {},
    ),
    case(
        "ula-global-id",
        "v6",
        |w| w.requirement.v6 = Some(net("fd42:4242:4242::/48")),
        |w| w.requirement.v6 = Some(net("fd42:4243:4442::/48")),
    ),
    case(
        "ula-global-id",
        "v6",
        |w| w.requirement.v6 = Some(net("fd12:3456:789a::/48")),
        |w| w.requirement.v6 = Some(net("fd12:3456:789b::/48")),
    ),
    case(
        "ula-global-id",
        "v6",
        |w| w.requirement.v6 = Some(net("fd5c:1b2a::/40")),
        |w| w.requirement.v6 = Some(net("fd5c:1b2a::/48")),
    ),
    case(
        "ula-nat66",
        "v6_mode",
        |w| nat66(w, "2a01:4f8::1"),
        |w| {
            only(w, Families::V6);
            nat66(w, "2a01:4f8::1");
        },
    ),
    case(
        "ula-npt",
        "v6_mode",
        |w| npt(w, "2a01:4f8:77::/48"),
        |w| {
            only(w, Families::V6);
            npt(w, "2a01:4f8:77::/48");
        },
    ),
    case(
        "ula-only",
        "v6_mode",
        |w| w.requirement.v6_mode = V6Mode::UlaOnly,
        |w| {
            only(w, Families::V4);
            w.requirement.v6_mode = V6Mode::UlaOnly;
        },
    ),
    case(
        "ula-only",
        "v6_mode",
        |w| {
            only(w, Families::V6);
            w.requirement.v6_mode = V6Mode::UlaOnly;
        },
        |_| {},
    ),
    case("ula-routed", "v6_mode", host_router, |w| {
        host_router(w);
        global(w);
    }),
    case(
        "gua-not-routed",
        "v6",
        |w| {
            global(w);
            nat66(w, "2a01:4f8::1");
        },
        global,
    ),
    case(
        "v6-outside-overlap",
        "v6_mode.nat66.address",
        |w| {
            global(w);
            nat66(w, "2a01:4f8:77::1");
        },
        |w| {
            global(w);
            nat66(w, "2a01:4f8:78::1");
        },
    ),
    case(
        "v6-outside-special",
        "v6_mode.npt.outside",
        |w| {
            host_router(w);
            npt(w, "2001:db8:77::/48");
        },
        |w| npt(w, "2001:db8:77::/48"),
    ),
    case(
        "v6-outside-ula",
        "v6_mode.nat66.address",
        |w| nat66(w, "fd77:d32c:5e1a::1"),
        |w| nat66(w, "2a01:4f8::1"),
    ),
    case(
        "allow-unknown",
        "allow.0",
        |w| w.allow("host-routes-hidden", "the old lab"),
        |w| w.allow("host-route-hidden", "the old lab"),
    ),
    case(
        "allow-no-reason",
        "allow.0",
        |w| w.allow("ula-only", ""),
        |w| w.allow("ula-only", "IPv4 is enough"),
    ),
    case(
        "allow-unused",
        "allow.0",
        |w| w.allow("ula-only", "IPv4 is enough"),
        |w| {
            w.allow("ula-only", "IPv4 is enough");
            w.requirement.v6_mode = V6Mode::UlaOnly;
        },
    ),
];

/// A pod range of IPv4 and the part of one node; as many nodes as that holds, four at most.
fn pods_v4(world: &mut World, all: u8, one: u8) {
    *world.requirement.count_mut("worker").expect("a class") = 0;
    let kubernetes = world.kubernetes();
    kubernetes.nodes = 1 << (one - all).min(2);
    kubernetes.pods_per_node = 1;
    kubernetes.sizes.pods_v4 = Some(all);
    kubernetes.sizes.node_pods_v4 = Some(one);
}
