//! The network of each family that a lab lives in.

use crate::addresses::Nets;
use crate::facts::HostFacts;
use crate::hash::{mix, stable_hash};
use crate::lock::{Band, Lock};
use crate::net::{Family, Net};
use crate::plan::PlanError;
use crate::plan::networks::{families, supernet_len, wants};
use crate::pool::{Fit, Pool};
use crate::requirement::Requirement;

/// Where an explicit IPv4 network may be: RFC 1918, and the shared range of RFC 6598.
const V4_ALLOCATABLE: [Net; 4] = [
    Net::fixed_v4([10, 0, 0, 0], 8),
    Net::fixed_v4([172, 16, 0, 0], 12),
    Net::fixed_v4([192, 168, 0, 0], 16),
    Net::fixed_v4([100, 64, 0, 0], 10),
];

/// Where a network is chosen from, in this order.
const V4_POOLS: [Net; 2] = [
    Net::fixed_v4([10, 0, 0, 0], 8),
    Net::fixed_v4([172, 16, 0, 0], 12),
];

/// What other tools take without asking: kubeadm's services and Flannel's pods, k3s, CNI and
/// podman, and the first networks of everybody's VPC. Avoided while there is anything else.
const V4_HABITS: [Net; 7] = [
    Net::fixed_v4([10, 96, 0, 0], 12),
    Net::fixed_v4([10, 244, 0, 0], 16),
    Net::fixed_v4([10, 42, 0, 0], 16),
    Net::fixed_v4([10, 43, 0, 0], 16),
    Net::fixed_v4([10, 88, 0, 0], 16),
    Net::fixed_v4([10, 0, 0, 0], 16),
    Net::fixed_v4([10, 1, 0, 0], 16),
];

/// The locally assigned unique local addresses (RFC 4193, 3.1).
const ULA: Net = Net::fixed_v6(0xfd00_0000_0000_0000, 8);

/// What providers delegate from (RFC 4291, 2.4; IANA gives out of it only).
const GLOBAL_UNICAST: Net = Net::fixed_v6(0x2000_0000_0000_0000, 3);

/// The lab's networks, one of each of these families: the lock's, else the explicit ones, else
/// chosen ones. What the lock says is not held against the host's routes, some of which may be the
/// lab's own; `lint` looks at those.
pub(crate) fn supernet(
    requirement: &Requirement,
    bands: &[Band],
    facts: &HostFacts,
    lock: Option<&Lock>,
    seed: u64,
) -> Result<Nets, PlanError> {
    let mut nets = Nets::default();
    for family in families(requirement) {
        let field = family.key();
        let explicit = match family {
            Family::V4 => requirement.v4,
            Family::V6 => requirement.v6,
        };
        let locked = lock.and_then(|lock| lock.net("supernet", family));
        nets.insert(match (locked, explicit) {
            (Some(locked), Some(net)) if net != locked => {
                return Err(PlanError::Locked {
                    field: field.to_owned(),
                    asked: net.to_string(),
                    id: "supernet".to_owned(),
                    locked,
                });
            }
            (Some(locked), _) => locked,
            (None, Some(net)) => check_explicit(field, net, family, facts)?,
            (None, None) if family == Family::V4 => {
                let len = supernet_len(&wants(requirement, bands, family)?);
                choose_v4(requirement, len, facts)?
            }
            (None, None) => choose_v6(seed, facts),
        });
    }
    Ok(nets)
}

fn check_explicit(
    field: &str,
    net: Net,
    family: Family,
    facts: &HostFacts,
) -> Result<Net, PlanError> {
    let suitable = net.family() == family
        && match family {
            Family::V4 => V4_ALLOCATABLE.iter().any(|range| range.covers(net)),
            Family::V6 => {
                let allocatable = ULA.covers(net) || GLOBAL_UNICAST.covers(net);
                allocatable && (16..=60).contains(&net.prefix_len())
            }
        };
    if !suitable {
        let wanted = match family {
            Family::V4 => {
                "a network out of 10.0.0.0/8, 172.16.0.0/12, 192.168.0.0/16 or 100.64.0.0/10"
            }
            Family::V6 => {
                "a /48 out of fd00::/8 with 40 random bits behind the fd, or a prefix of /60 or shorter that is routed to this host"
            }
        };
        return Err(PlanError::Unsuitable {
            field: field.to_owned(),
            net,
            wanted: wanted.to_owned(),
        });
    }
    // A wider route of the host, its default route above all, is only shadowed by the lab's.
    let mut occupied = facts.occupied.iter();
    match occupied.find(|occupied| net.covers(occupied.net)) {
        None => Ok(net),
        Some(occupied) => Err(PlanError::Occupied {
            field: field.to_owned(),
            net,
            occupied: occupied.net,
            by: occupied.by.clone(),
        }),
    }
}

fn choose_v4(
    requirement: &Requirement,
    prefix_len: u8,
    facts: &HostFacts,
) -> Result<Net, PlanError> {
    let near = Fit::Near(stable_hash(&[
        b"supernet",
        requirement.lab.as_str().as_bytes(),
    ]));
    let choose = |range: Net, habits: &[Net]| {
        let occupied = facts.occupied.iter().map(|occupied| occupied.net);
        let avoided = outermost(habits.iter().copied().chain(occupied));
        let mut pool = Pool::new(range);
        for net in avoided {
            if net.prefix_len() > 0 && net.covers(range) {
                return None;
            }
            if range.covers(net) {
                pool.claim(net).expect("outermost networks are disjoint");
            }
        }
        pool.allocate(prefix_len, near).ok()
    };
    V4_POOLS
        .iter()
        .find_map(|range| choose(*range, &V4_HABITS))
        .or_else(|| choose(V4_POOLS[0], &[]))
        .ok_or(PlanError::NoSupernet {
            prefix_len,
            occupied: outermost(facts.occupied.iter().map(|occupied| occupied.net))
                .into_iter()
                .filter(|net| V4_POOLS.iter().any(|range| range.overlaps(*net)))
                .count(),
        })
}

/// The networks that no other one of them covers; default routes are nobody's network.
fn outermost(nets: impl Iterator<Item = Net>) -> Vec<Net> {
    let mut nets: Vec<Net> = nets.filter(|net| net.prefix_len() > 0).collect();
    // A network sorts directly before what it covers.
    nets.sort_unstable();
    nets.dedup_by(|inner, outer| outer.covers(*inner));
    nets
}

/// A /48 with 40 bits of the seed (RFC 4193, 3.2.2 leaves the algorithm open). A collision with
/// the host has odds of 2^-40 per network of its; then the next 40 bits are taken.
fn choose_v6(seed: u64, facts: &HostFacts) -> Net {
    let mut state = seed;
    loop {
        state = mix(state.wrapping_add(0x9e37_79b9_7f4a_7c15));
        let bits = ULA.bits() | u128::from(state >> 24) << 80;
        let net = Net::from_bits(Family::V6, bits, 48);
        // Wider routes (a whole fd00::/8) are shadowed: they would leave nothing to choose.
        if !facts
            .occupied
            .iter()
            .any(|occupied| net.covers(occupied.net))
        {
            return net;
        }
    }
}
