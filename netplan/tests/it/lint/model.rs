//! Lints beside a model that knows nothing of prefixes: networks are sets of the 256 addresses of
//! a small universe.

use std::collections::BTreeSet;

use netplan::{
    Family, HostFacts, KubernetesVersion, LINTS, Net, Nets, Occupied, Plan, Requirement, lint,
};
use proptest::prelude::*;

use super::World;
use crate::{net, planned};

/// Addresses, by their last byte.
type Set = BTreeSet<u8>;

/// An aligned block of the universe: 2 to the power of `bits` addresses from `first`.
#[derive(Clone, Copy, Debug)]
struct Block {
    bits: u8,
    first: u8,
}

impl Block {
    fn set(self) -> Set {
        let size = 1_u16 << self.bits;
        let first = u16::from(self.first);
        (first..first + size)
            .map(|at| u8::try_from(at).expect("a byte"))
            .collect()
    }

    fn net(self, family: Family) -> Net {
        let first = address(family, self.first);
        Net::new(first, family.bits() - self.bits).expect("it is aligned")
    }
}

fn address(family: Family, last: u8) -> std::net::IpAddr {
    let universe = match family {
        Family::V4 => net("10.77.0.0/24"),
        Family::V6 => net("fd5c:1b2a:9e10::/120"),
    };
    universe.nth(last.into()).expect("256 addresses")
}

fn block() -> impl Strategy<Value = Block> {
    (0..=8_u8, any::<u8>()).prop_map(|(bits, at)| {
        let mask = u8::try_from((1_u16 << bits) - 1).expect("a byte");
        Block {
            bits,
            first: at & !mask,
        }
    })
}

/// Everything of a world that the model knows.
#[derive(Clone, Debug)]
struct Small {
    family: Family,
    /// The lab, its two networks, link, services and pods.
    ours: [Block; 6],
    occupied: Vec<Block>,
    next_hops: Vec<u8>,
    resolvers: Vec<u8>,
    services: u32,
    nodes: u32,
    pods_per_node: u32,
    /// The addresses of one node, as a power of two.
    node_bits: u8,
}

prop_compose! {
    fn small()(
        is_v4 in any::<bool>(),
        ours in prop::array::uniform6(block()),
        occupied in prop::collection::vec(block(), 0..4),
        next_hops in prop::collection::vec(any::<u8>(), 0..2),
        resolvers in prop::collection::vec(any::<u8>(), 0..2),
        services in 1..300_u32,
        nodes in 1..20_u32,
        pods_per_node in 1..100_u32,
        node_bits in 0..=8_u8,
    ) -> Small {
        let family = if is_v4 { Family::V4 } else { Family::V6 };
        Small {
            family, ours, occupied, next_hops, resolvers, services, nodes, pods_per_node, node_bits,
        }
    }
}

/// What the model looks at.
const MODELLED: [&str; 14] = [
    "ranges-overlap",
    "host-route-equal",
    "host-route-shadowed",
    "host-route-hidden",
    "host-next-hop",
    "host-resolver",
    "k8s-services-too-small",
    "k8s-services-too-few",
    "k8s-dns-band",
    "kubeadm-pods-too-small",
    "k8s-node-mask",
    "k8s-pods-too-few",
    "k8s-pods-full",
    "k8s-node-pods-too-few",
];

/// How many machines of the reference lab are nodes.
const NODES: usize = 2;

impl Small {
    fn subjects(&self) -> [String; 6] {
        let key = if self.family == Family::V4 {
            "v4"
        } else {
            "v6"
        };
        [
            key.to_owned(),
            format!("networks.etcd.{key}"),
            format!("networks.kube.{key}"),
            format!("link.{key}"),
            format!("kubernetes.services_{key}"),
            format!("kubernetes.pods_{key}"),
        ]
    }

    /// The lints that the model finds, with their subjects.
    fn expected(&self) -> Vec<(&'static str, String)> {
        let subjects = self.subjects();
        let sets = self.ours.map(Block::set);
        let mut found = Vec::new();
        for at in 1..6 {
            for _ in (1..at).filter(|other| !sets[*other].is_disjoint(&sets[at])) {
                found.push(("ranges-overlap", subjects[at].clone()));
            }
        }
        for at in 0..6 {
            let is_inside = (0..6).any(|other| {
                let (inner, outer) = (&sets[at], &sets[other]);
                inner.is_subset(outer) && (inner != outer || other < at)
            });
            if !is_inside {
                let lints = self.on_host(&sets[at]).into_iter();
                found.extend(lints.map(|lint| (lint, subjects[at].clone())));
            }
        }
        found.extend(self.of_services(&sets[4], &subjects[4]));
        found.extend(self.of_pods(&sets[5], &subjects[5]));
        found.sort();
        found
    }

    fn on_host(&self, ours: &Set) -> Vec<&'static str> {
        let mut found = Vec::new();
        for theirs in self.occupied.iter().map(|block| block.set()) {
            if theirs == *ours {
                found.push("host-route-equal");
            } else if ours.is_subset(&theirs) {
                found.push("host-route-shadowed");
            } else if !ours.is_disjoint(&theirs) {
                found.push("host-route-hidden");
            }
        }
        let hops = self.next_hops.iter().filter(|at| ours.contains(at));
        found.extend(hops.map(|_| "host-next-hop"));
        let resolvers = self.resolvers.iter().filter(|at| ours.contains(at));
        found.extend(resolvers.map(|_| "host-resolver"));
        found
    }

    fn of_services(&self, set: &Set, subject: &str) -> Vec<(&'static str, String)> {
        let mut found = Vec::new();
        match set.iter().nth(9) {
            None => found.push("k8s-services-too-small"),
            Some(_) => {
                // Of 16 addresses none is kept for fixed ones; of more, 16 are (KEP-3070).
                if set.len() <= 16 {
                    found.push("k8s-dns-band");
                }
                if set.len() < self.services as usize {
                    found.push("k8s-services-too-few");
                }
            }
        }
        found
            .into_iter()
            .map(|lint| (lint, subject.to_owned()))
            .collect()
    }

    fn of_pods(&self, set: &Set, subject: &str) -> Vec<(&'static str, String)> {
        let of_node = subject.replace("kubernetes.pods", "kubernetes.sizes.node_pods");
        let mut found = Vec::new();
        if set.len() < 14 {
            found.push(("kubeadm-pods-too-small", subject.to_owned()));
        }
        // Every block of a node's size that there is in the universe, if all of it is there.
        let size = 1_usize << self.node_bits;
        let all: Vec<u8> = (0..=255).collect();
        let parts = all.chunks(size);
        let parts = parts
            .filter(|part| part.iter().all(|at| set.contains(at)))
            .count();
        if parts == 0 {
            found.push(("k8s-node-mask", of_node.clone()));
        } else if parts < NODES.max(self.nodes as usize) {
            found.push(("k8s-pods-too-few", subject.to_owned()));
        } else if parts == NODES {
            found.push(("k8s-pods-full", subject.to_owned()));
        }
        let nobodys = if self.family == Family::V4 { 3 } else { 2 };
        if size < self.pods_per_node as usize + nobodys {
            found.push(("k8s-node-pods-too-few", of_node));
        }
        found
    }

    fn found(&self, base: &(Requirement, Plan)) -> Vec<(&'static str, String)> {
        let (mut requirement, mut plan) = base.clone();
        let spec = requirement.kubernetes.as_mut().expect("a cluster");
        (spec.services, spec.nodes) = (self.services, self.nodes);
        spec.pods_per_node = self.pods_per_node;
        let node_len = Some(self.family.bits() - self.node_bits);
        (spec.sizes.node_pods_v4, spec.sizes.node_pods_v6) = (node_len, node_len);
        let [lab, etcd, kube, link, services, pods] = self.ours.map(|block| {
            let mut nets = Nets::default();
            match self.family {
                Family::V4 => nets.v4 = Some(block.net(self.family)),
                Family::V6 => nets.v6 = Some(block.net(self.family)),
            }
            nets
        });
        plan.supernet = lab;
        (plan.networks[0].nets, plan.networks[1].nets) = (etcd, kube);
        plan.link.as_mut().expect("a link").nets = link;
        let kubernetes = plan.kubernetes.as_mut().expect("a cluster");
        (kubernetes.services.nets, kubernetes.pods) = (services, pods);
        let facts = HostFacts {
            occupied: self
                .occupied
                .iter()
                .map(|block| Occupied {
                    net: block.net(self.family),
                    by: "a route".to_owned(),
                })
                .collect(),
            next_hops: self
                .next_hops
                .iter()
                .map(|at| address(self.family, *at))
                .collect(),
            resolvers: self
                .resolvers
                .iter()
                .map(|at| address(self.family, *at))
                .collect(),
        };
        let findings = lint(&requirement, &plan, &facts).into_iter();
        let modelled = findings.filter(|finding| MODELLED.contains(&finding.lint.name));
        let mut found: Vec<_> = modelled.map(|f| (f.lint.name, f.subject)).collect();
        found.sort();
        found
    }
}

fn base() -> (Requirement, Plan) {
    let requirement = World::clean().requirement;
    let plan = planned(&requirement);
    (requirement, plan)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn lints_agree_with_sets_of_addresses(small in small(), base in Just(base())) {
        prop_assert_eq!(small.found(&base), small.expected());
    }
}

/// Every pair of networks of the universe, as the lab's and as the host's.
#[test]
fn every_pair_of_networks_is_in_one_class() {
    let base = base();
    let blocks = (0..=8_u8).flat_map(|bits| {
        let starts = (0..=255_u8).step_by(1 << bits);
        starts.map(move |first| Block { bits, first })
    });
    let blocks: Vec<Block> = blocks.collect();
    assert_eq!(blocks.len(), 511);
    // The larger ones beside all others: the smaller are the same again, further along.
    for ours in blocks.iter().filter(|block| block.bits >= 7) {
        for theirs in &blocks {
            let small = Small {
                family: Family::V4,
                ours: [*ours; 6],
                occupied: vec![*theirs],
                next_hops: Vec::new(),
                resolvers: Vec::new(),
                services: 1,
                nodes: 1,
                pods_per_node: 1,
                node_bits: 2,
            };
            assert_eq!(small.found(&base), small.expected(), "{small:?}");
        }
    }
}

/// What a version says of a service range of 2 to the power of `bits` addresses.
fn expected_size(minor: u16, family: Family, bits: u8) -> Option<&'static str> {
    let has_bitmap = minor <= 33;
    let is_v6 = family == Family::V6;
    match bits {
        0..=16 => None,
        17..=20 if is_v6 && has_bitmap => Some("k8s-services-clamped"),
        17..=20 => None,
        _ if has_bitmap => Some("k8s-services-too-large"),
        21..=64 => Some("kubeadm-services-too-large"),
        _ => Some("k8s-services-too-large"),
    }
}

#[test]
fn service_ranges_of_every_length_and_version() {
    let (requirement, plan) = base();
    let sizes = [
        "k8s-services-clamped",
        "k8s-services-too-large",
        "kubeadm-services-too-large",
    ];
    assert!(
        sizes
            .iter()
            .all(|name| LINTS.iter().any(|lint| lint.name == *name))
    );
    for minor in 20..=40 {
        for family in Family::BOTH {
            for bits in 0..=family.bits() {
                let mut plan = plan.clone();
                let kubernetes = plan.kubernetes.as_mut().expect("a cluster");
                kubernetes.version = KubernetesVersion::new(minor);
                kubernetes.services.nets = Nets::default();
                let first = address(family, 0);
                let range = Net::containing(first, family.bits() - bits).expect("a length");
                match family {
                    Family::V4 => kubernetes.services.nets.v4 = Some(range),
                    Family::V6 => kubernetes.services.nets.v6 = Some(range),
                }
                let findings = lint(&requirement, &plan, &HostFacts::default());
                let names = findings.iter().map(|finding| finding.lint.name);
                let found: Vec<&str> = names.filter(|name| sizes.contains(name)).collect();
                let expected: Vec<&str> = expected_size(minor, family, bits).into_iter().collect();
                assert_eq!(found, expected, "1.{minor} {range}");
            }
        }
    }
}
