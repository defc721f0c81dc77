//! Which host numbers the machines of each class count through.

use std::collections::BTreeSet;

use crate::lock::{HostNumbers, Lock};
use crate::names::NetworkName;
use crate::net::Family;
use crate::plan::PlanError;
use crate::plan::numbers::host_number;
use crate::requirement::ClassSpec;

/// Host numbers below are the network's and the router's, or left for what people add by hand.
const FIRST_CHOSEN: u32 = 16;
/// The most host numbers of a network: a /12 of IPv4.
const MOST_NUMBERS: u32 = 1 << 20;

/// A band for each class. Those of classes that share a network are disjoint, so a machine has
/// the same number on each of its networks.
///
/// Explicit bands first, then what the lock remembers, then, by name, the lowest that is free; a
/// band that was remembered and has to be larger moves where it cannot grow. That renumbers
/// nobody: the addresses themselves are in the lock too, and new bands keep off them.
pub(crate) fn bands(
    classes: &[ClassSpec],
    lock: Option<&Lock>,
) -> Result<Vec<HostNumbers>, PlanError> {
    let mut bands: Vec<Option<HostNumbers>> = classes.iter().map(explicit).collect();
    for at in 0..classes.len() {
        if let Some(band) = bands[at] {
            check_explicit(classes, &bands, at, band)?;
        }
    }
    // By name, so that the order in which they are asked for does not matter.
    let mut by_name: Vec<usize> = (0..classes.len()).collect();
    by_name.sort_by_key(|at| &classes[*at].name);
    if let Some(lock) = lock {
        remember(classes, &mut bands, &by_name, lock);
    }
    for at in by_name {
        if bands[at].is_none() {
            bands[at] = Some(lowest_free(classes, &bands, at, lock)?);
        }
    }
    Ok(bands.into_iter().flatten().collect())
}

/// Fills in what the lock remembers. All of it has its place before any of it grows, or one class
/// would grow into the band of another.
fn remember(
    classes: &[ClassSpec],
    bands: &mut [Option<HostNumbers>],
    by_name: &[usize],
    lock: &Lock,
) {
    let mut remembered = Vec::new();
    for at in by_name.iter().copied() {
        let locked = lock.class(classes[at].name.as_str());
        let Some(locked) = locked.filter(|_| bands[at].is_none()) else {
            continue;
        };
        if is_possible(locked.band) && conflict(classes, bands, at, locked.band).is_none() {
            bands[at] = Some(locked.band);
            remembered.push((at, locked.band));
        }
    }
    for (at, band) in remembered {
        let room = classes[at].room();
        if room > band.room {
            let larger = HostNumbers { room, ..band };
            let taken = taken_by_others(classes, at, lock);
            let fits = is_possible(larger)
                && conflict(classes, bands, at, larger).is_none()
                && last_in(&taken, larger).is_none();
            bands[at] = fits.then_some(larger);
        }
    }
}

fn is_possible(band: HostNumbers) -> bool {
    band.first >= 2 && band.end() <= MOST_NUMBERS
}

/// The host numbers that the lock gives to machines of other classes, on the networks of this one.
/// They may lie outside the bands of their classes, where those had to move.
fn taken_by_others(classes: &[ClassSpec], at: usize, lock: &Lock) -> BTreeSet<u32> {
    let others = classes.iter().enumerate().filter(|(other, _)| *other != at);
    let mut taken = BTreeSet::new();
    for (_, other) in others {
        for network in shared_networks(&classes[at], other) {
            for family in Family::BOTH {
                let Some(net) = lock.net(&format!("network/{network}"), family) else {
                    continue;
                };
                let numbers = (0..other.count).filter_map(|index| {
                    let id = format!("address/{network}/{}-{index}", other.name);
                    host_number(net, lock.net(&id, family)?.address())
                });
                taken.extend(numbers);
            }
        }
    }
    taken
}

/// The last of these numbers in a band: every band of the same room from there down has it too.
fn last_in(taken: &BTreeSet<u32>, band: HostNumbers) -> Option<u32> {
    taken.range(band.first..band.end()).next_back().copied()
}

fn explicit(class: &ClassSpec) -> Option<HostNumbers> {
    let room = class.room();
    class.first.map(|first| HostNumbers { first, room })
}

fn check_explicit(
    classes: &[ClassSpec],
    bands: &[Option<HostNumbers>],
    at: usize,
    band: HostNumbers,
) -> Result<(), PlanError> {
    let class = &classes[at];
    let field = format!("classes.{}.first", class.name);
    if band.first < 2 {
        let reason = "number 0 is the network's, number 1 is the router's";
        return Err(PlanError::field(
            field,
            band.first,
            reason,
            "write 2 or more",
        ));
    }
    if band.end() > MOST_NUMBERS {
        return Err(too_many(class));
    }
    match conflict(classes, &bands[..at], at, band) {
        None => Ok(()),
        Some((other, taken)) => {
            let (first, last) = (taken.first, taken.end() - 1);
            let reason = format!(
                "with room for {} it meets class {}, which has {first} to {last} on the same network",
                band.room, classes[other].name
            );
            let remedy = "move one of them, or make its room smaller";
            Err(PlanError::field(field, band.first, reason, remedy))
        }
    }
}

fn too_many(class: &ClassSpec) -> PlanError {
    let reason = match class.room {
        Some(_) => format!("a network has at most {MOST_NUMBERS} host numbers"),
        None => format!(
            "without a room there is room for {}, and a network has at most {MOST_NUMBERS} host numbers",
            class.room()
        ),
    };
    let (key, value) = match class.room {
        Some(room) => ("room", room),
        None => ("count", class.count),
    };
    let field = format!("classes.{}.{key}", class.name);
    let remedy = "make it smaller, or put the classes on networks of their own";
    PlanError::field(field, value, reason, remedy)
}

/// A class whose band shares a number with this one, on a network that both are on.
fn conflict(
    classes: &[ClassSpec],
    bands: &[Option<HostNumbers>],
    at: usize,
    band: HostNumbers,
) -> Option<(usize, HostNumbers)> {
    let mut neighbours = bands.iter().enumerate().filter_map(|(other, taken)| {
        let taken = (*taken)?;
        (other != at && share_a_network(&classes[at], &classes[other])).then_some((other, taken))
    });
    neighbours.find(|(_, taken)| taken.overlaps(band))
}

fn share_a_network(one: &ClassSpec, other: &ClassSpec) -> bool {
    shared_networks(one, other).next().is_some()
}

fn shared_networks<'a>(
    one: &'a ClassSpec,
    other: &'a ClassSpec,
) -> impl Iterator<Item = &'a NetworkName> {
    let networks = one.networks.iter();
    networks.filter(|name| other.networks.contains(name))
}

fn lowest_free(
    classes: &[ClassSpec],
    bands: &[Option<HostNumbers>],
    at: usize,
    lock: Option<&Lock>,
) -> Result<HostNumbers, PlanError> {
    let room = classes[at].room();
    let taken = lock.map(|lock| taken_by_others(classes, at, lock));
    let taken = taken.unwrap_or_default();
    let mut first = FIRST_CHOSEN;
    loop {
        let band = HostNumbers { first, room };
        if band.end() > MOST_NUMBERS {
            return Err(too_many(&classes[at]));
        }
        first = match conflict(classes, bands, at, band) {
            Some((_, other)) => other.end(),
            None => match last_in(&taken, band) {
                Some(number) => number + 1,
                None => return Ok(band),
            },
        };
    }
}
