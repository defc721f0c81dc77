//! The network of each family that a lab lives in.

use crate::addresses::Nets;
use crate::facts::HostFacts;
use crate::hash::{mix, stable_hash};
use crate::lint::{HOST_ROUTE_EQUAL, HOST_ROUTE_HIDDEN};
use crate::lock::{HostNumbers, Lock};
use crate::net::{Family, Net};
use crate::plan::PlanError;
use crate::plan::networks::{families, least_len, roomy_len, wants};
use crate::plan::place::Want;
use crate::pool::{Fit, Pool};
use crate::requirement::Requirement;
use crate::special::{Allocatable, HABITS, ULA, allocatable};

/// Where a network is chosen from, in this order.
const V4_POOLS: [Net; 2] = [
    Net::fixed_v4([10, 0, 0, 0], 8),
    Net::fixed_v4([172, 16, 0, 0], 12),
];

/// Habits that reach further than this leave nothing to choose (Cilium's is all of 10.0.0.0/8).
const WIDEST_HABIT: u8 = 12;

/// The lab's networks, one of each of these families: the lock's, else the explicit ones, else
/// chosen ones. What the lock says is not held against the host's routes, some of which may be the
/// lab's own; [`lint`](crate::lint()) looks at those.
pub(crate) fn supernet(
    requirement: &Requirement,
    bands: &[HostNumbers],
    facts: &HostFacts,
    lock: Option<&Lock>,
    seed: u64,
) -> Result<Nets, PlanError> {
    let mut nets = Nets::default();
    for family in families(requirement) {
        let field = family.key();
        let explicit = requirement.explicit(family);
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
            (None, Some(net)) => {
                check_explicit(field, net, family)?;
                check_occupied(field, net, requirement, facts)?;
                if family == Family::V4 {
                    check_size(field, net, &wants(requirement, bands, family, Some(net))?)?;
                }
                net
            }
            (None, None) if family == Family::V4 => {
                let len = roomy_len(&wants(requirement, bands, family, None)?);
                choose_v4(requirement, len, facts)?
            }
            (None, None) => choose_v6(seed, facts),
        });
    }
    Ok(nets)
}

fn check_explicit(field: &str, net: Net, family: Family) -> Result<(), PlanError> {
    let wanted = match family {
        _ if net.family() != family => format!("an {family} network"),
        // The networks are /64, and the ranges of Kubernetes need some of them.
        Family::V6 if net.prefix_len() > 60 => "an IPv6 network of length /60 or shorter".into(),
        _ => match allocatable(net) {
            Allocatable::ByDefault | Allocatable::OptIn { .. } => String::new(),
            never @ Allocatable::Never { .. } => {
                let remedy = match family {
                    Family::V4 => "write a part of 10.0.0.0/8, 172.16.0.0/12 or 192.168.0.0/16",
                    Family::V6 => {
                        "write a /48 out of fd00::/8 with 40 random bits behind the fd, or a prefix that is routed to this host"
                    }
                };
                return Err(PlanError::field(field, net, never.to_string(), remedy));
            }
        },
    };
    if !wanted.is_empty() {
        let field = field.to_owned();
        return Err(PlanError::Unsuitable { field, net, wanted });
    }
    Ok(())
}

/// Whether all that is wanted could be in there at all; whether it fits is for the placement.
fn check_size(field: &str, net: Net, wants: &[Want]) -> Result<(), PlanError> {
    // What is to be elsewhere is refused with its own field.
    let inside = |want: &&Want| want.explicit.is_none_or(|explicit| net.covers(explicit));
    let least = least_len(wants.iter().filter(inside));
    if net.prefix_len() <= least {
        return Ok(());
    }
    let reason = format!("the lab's networks and ranges have as many addresses as a /{least}");
    let remedy = format!("write a prefix of /{least} or shorter, or make ranges and rooms smaller");
    Err(PlanError::field(field, net, reason, remedy))
}

/// A wider route of the host, its default route above all, is only shadowed by the lab's. An equal
/// one or one inside would be lost, unless the lint that says the same is allowed.
fn check_occupied(
    field: &str,
    net: Net,
    requirement: &Requirement,
    facts: &HostFacts,
) -> Result<(), PlanError> {
    let lint = |occupied: Net| {
        let lint = if occupied == net {
            &HOST_ROUTE_EQUAL
        } else {
            &HOST_ROUTE_HIDDEN
        };
        lint.name
    };
    let is_meant = |lint| requirement.allow.iter().any(|allow| allow.lint == lint);
    let mut lost = facts
        .occupied
        .iter()
        .filter(|occupied| net.covers(occupied.net) && !is_meant(lint(occupied.net)));
    match lost.next() {
        None => Ok(()),
        Some(occupied) => Err(PlanError::Occupied {
            field: field.to_owned(),
            net,
            occupied: occupied.net,
            by: occupied.by.clone(),
            lint: lint(occupied.net),
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
    let habits = HABITS.iter().map(|habit| habit.net);
    let habits: Vec<Net> = habits
        .filter(|net| net.prefix_len() >= WIDEST_HABIT && net.family() == Family::V4)
        .collect();
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
        .find_map(|range| choose(*range, &habits))
        .or_else(|| V4_POOLS.iter().find_map(|range| choose(*range, &[])))
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
