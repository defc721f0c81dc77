//! Placing several networks in one pool: the locked ones first, then the explicit, then the rest.

use crate::lock::Lock;
use crate::net::{Family, Net};
use crate::plan::PlanError;
use crate::pool::{ClaimError, Fit, Pool};

/// One network to be placed.
pub(crate) struct Want {
    /// Its name in the lock.
    pub(crate) id: String,
    /// The field of the requirement that decides about it.
    pub(crate) field: &'static str,
    pub(crate) prefix_len: u8,
    /// The preferred block number; see [`Fit::Near`].
    pub(crate) near: u64,
    pub(crate) explicit: Option<Net>,
}

/// Places every want in the pool, in the order of their weight; the result has the order of
/// `wants`.
pub(crate) fn place(
    pool: &mut Pool,
    wants: &[Want],
    lock: Option<&Lock>,
    remedy: &'static str,
) -> Result<Vec<Net>, PlanError> {
    let family = pool.net().family();
    let mut placed: Vec<Option<Net>> = vec![None; wants.len()];
    for (want, slot) in wants.iter().zip(&mut placed) {
        *slot = locked(pool, want, lock, family)?;
    }
    for at in 0..wants.len() {
        if let (None, Some(net)) = (placed[at], wants[at].explicit) {
            claim_explicit(pool, wants, &placed, at, net)?;
            placed[at] = Some(net);
        }
    }
    wants
        .iter()
        .zip(placed)
        .map(|(want, placed)| placed.map_or_else(|| place_free(pool, want, remedy), Ok))
        .collect()
}

/// Claims what the lock says about a want, if it says anything.
fn locked(
    pool: &mut Pool,
    want: &Want,
    lock: Option<&Lock>,
    family: Family,
) -> Result<Option<Net>, PlanError> {
    let Some(net) = lock.and_then(|lock| lock.get(&want.id, family)) else {
        return Ok(None);
    };
    let asked = match want.explicit {
        Some(explicit) if explicit != net => Some(explicit.to_string()),
        None if net.prefix_len() != want.prefix_len => Some(format!("a /{}", want.prefix_len)),
        _ => None,
    };
    if let Some(asked) = asked {
        let id = want.id.clone();
        return Err(PlanError::Locked {
            field: want.field,
            asked,
            id,
            locked: net,
        });
    }
    pool.claim(net).map_err(|error| PlanError::BadLock {
        id: want.id.clone(),
        net,
        conflict: match error {
            ClaimError::Outside { pool, .. } => format!("which is not in {pool}"),
            ClaimError::Taken { taken, .. } => format!("which overlaps {taken}"),
        },
    })?;
    Ok(Some(net))
}

fn claim_explicit(
    pool: &mut Pool,
    wants: &[Want],
    placed: &[Option<Net>],
    at: usize,
    net: Net,
) -> Result<(), PlanError> {
    let field = wants[at].field;
    pool.claim(net).map_err(|error| match error {
        ClaimError::Outside { pool, .. } => PlanError::Unsuitable {
            field,
            net,
            wanted: format!("a network inside the lab's {pool}"),
        },
        ClaimError::Taken { taken, .. } => {
            let other = placed.iter().position(|placed| *placed == Some(taken));
            let other = other
                .map_or("reserved", |other| wants[other].field)
                .to_owned();
            PlanError::Overlap {
                field,
                net,
                other,
                other_net: taken,
            }
        }
    })
}

fn place_free(pool: &mut Pool, want: &Want, remedy: &'static str) -> Result<Net, PlanError> {
    pool.allocate(want.prefix_len, Fit::Near(want.near))
        .map_err(|source| PlanError::Exhausted {
            wanted: want.id.clone(),
            range: pool.net().to_string(),
            remedy,
            source,
        })
}
