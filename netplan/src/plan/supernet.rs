//! The /16 and the /48 that a lab lives in.

use crate::hash::{mix, stable_hash};
use crate::lock::Lock;
use crate::net::{Family, Net};
use crate::plan::{NetPair, PlanError};
use crate::pool::{Fit, Pool};
use crate::requirement::{HostFacts, Requirement};

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

/// The lab's networks: the lock's, else the explicit ones, else chosen ones. What the lock says
/// is not held against the host's routes, some of which may be the lab's own.
pub(crate) fn supernet(
    requirement: &Requirement,
    facts: &HostFacts,
    lock: Option<&Lock>,
    seed: u64,
) -> Result<NetPair, PlanError> {
    let one = |field, explicit: Option<Net>, family| match lock
        .and_then(|lock| lock.get("supernet", family))
    {
        Some(locked) => match explicit {
            Some(net) if net != locked => Err(PlanError::Locked {
                field,
                asked: net.to_string(),
                id: "supernet".to_owned(),
                locked,
            }),
            _ => Ok(locked),
        },
        None => match explicit {
            Some(net) => check_explicit(field, net, family, facts),
            None if family == Family::V4 => choose_v4(requirement, facts),
            None => Ok(choose_v6(seed, facts)),
        },
    };
    Ok(NetPair {
        v4: one("v4", requirement.v4, Family::V4)?,
        v6: one("v6", requirement.v6, Family::V6)?,
    })
}

fn check_explicit(
    field: &'static str,
    net: Net,
    family: Family,
    facts: &HostFacts,
) -> Result<Net, PlanError> {
    let suitable = net.family() == family
        && match family {
            Family::V4 => {
                net.prefix_len() == 16 && V4_ALLOCATABLE.iter().any(|range| range.covers(net))
            }
            Family::V6 => net.prefix_len() == 48 && ULA.covers(net),
        };
    if !suitable {
        let wanted = match family {
            Family::V4 => "a /16 out of 10.0.0.0/8, 172.16.0.0/12, 192.168.0.0/16 or 100.64.0.0/10",
            Family::V6 => "a /48 out of fd00::/8, with 40 random bits behind the fd",
        };
        return Err(PlanError::Unsuitable {
            field,
            net,
            wanted: wanted.to_owned(),
        });
    }
    // A wider route of the host, its default route above all, is only shadowed by the lab's.
    let conflict = facts
        .occupied
        .iter()
        .find(|occupied| net.covers(occupied.net));
    match conflict {
        None => Ok(net),
        Some(occupied) => Err(PlanError::Occupied {
            field,
            net,
            occupied: occupied.net,
            by: occupied.by.clone(),
        }),
    }
}

fn choose_v4(requirement: &Requirement, facts: &HostFacts) -> Result<Net, PlanError> {
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
        pool.allocate(16, near).ok()
    };
    V4_POOLS
        .iter()
        .find_map(|range| choose(*range, &V4_HABITS))
        .or_else(|| choose(V4_POOLS[0], &[]))
        .ok_or(PlanError::NoSupernet {
            occupied: facts.occupied.len(),
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
