//! Which host numbers the machines of each class count through.

use crate::lock::{HostNumbers, Lock};
use crate::plan::PlanError;
use crate::requirement::ClassSpec;

/// Host numbers below are the network's and the router's, or left for what people add by hand.
const FIRST_CHOSEN: u32 = 16;
/// The most host numbers of a network: a /12 of IPv4.
const MOST_NUMBERS: u32 = 1 << 20;

/// A band for each class. Those of classes that share a network are disjoint, so a machine has
/// the same number on each of its networks.
///
/// Explicit bands first, then what the lock remembers, then the lowest that is free; a band that
/// was remembered and has to be larger moves where it cannot grow. That renumbers nobody: the
/// addresses themselves are in the lock too.
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
    for at in 0..classes.len() {
        let remembered = lock.and_then(|lock| lock.class(classes[at].name.as_str()));
        if let (None, Some(locked)) = (bands[at], remembered) {
            let band = HostNumbers {
                first: locked.band.first,
                room: classes[at].room().max(locked.band.room),
            };
            let fits = band.first >= 2 && band.end() <= MOST_NUMBERS;
            bands[at] = (fits && conflict(classes, &bands, at, band).is_none()).then_some(band);
        }
    }
    for at in 0..classes.len() {
        if bands[at].is_none() {
            bands[at] = Some(lowest_free(classes, &bands, at)?);
        }
    }
    Ok(bands.into_iter().flatten().collect())
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
    let reason = format!("a network has at most {MOST_NUMBERS} host numbers");
    let field = format!("classes.{}.room", class.name);
    PlanError::field(field, class.room(), reason, "make it smaller")
}

/// A class whose band shares a number with this one, on a network that both are on.
fn conflict(
    classes: &[ClassSpec],
    bands: &[Option<HostNumbers>],
    at: usize,
    band: HostNumbers,
) -> Option<(usize, HostNumbers)> {
    let neighbours = bands.iter().enumerate().filter_map(|(other, taken)| {
        let taken = (*taken)?;
        (other != at && share_a_network(&classes[at], &classes[other])).then_some((other, taken))
    });
    neighbours
        .into_iter()
        .find(|(_, taken)| taken.overlaps(band))
}

fn share_a_network(one: &ClassSpec, other: &ClassSpec) -> bool {
    one.networks
        .iter()
        .any(|name| other.networks.contains(name))
}

fn lowest_free(
    classes: &[ClassSpec],
    bands: &[Option<HostNumbers>],
    at: usize,
) -> Result<HostNumbers, PlanError> {
    let room = classes[at].room();
    let mut first = FIRST_CHOSEN;
    loop {
        let band = HostNumbers { first, room };
        if band.end() > MOST_NUMBERS {
            return Err(too_many(&classes[at]));
        }
        match conflict(classes, bands, at, band) {
            None => return Ok(band),
            Some((_, taken)) => first = taken.end(),
        }
    }
}
