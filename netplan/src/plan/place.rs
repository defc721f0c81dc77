//! Placing several networks in one pool: the locked ones first, then the explicit, then the rest.

use std::collections::BTreeSet;

use crate::lock::Lock;
use crate::net::{Family, Net};
use crate::plan::{Gone, PlanError};
use crate::pool::{ClaimError, Fit, Pool};

/// One network to be placed.
pub(crate) struct Want {
    /// Its name in the lock.
    pub(crate) id: String,
    /// The field of the requirement that decides about it.
    pub(crate) field: String,
    pub(crate) prefix_len: u8,
    pub(crate) prefer: Prefer,
    pub(crate) explicit: Option<Net>,
    /// Whether it may become larger later: then the block behind it is kept free for it.
    pub(crate) grows: bool,
}

/// The preferred block number; see [`Fit::Near`].
#[derive(Clone, Copy)]
pub(crate) enum Prefer {
    /// A place that reads well, chosen by somebody.
    Slot(u64),
    /// A place that follows from the name, so that it is the same when others come and go.
    Hash(u64),
}

/// What came of a placement.
pub(crate) struct Placed {
    /// One network for each want, in the order of the wants.
    pub(crate) nets: Vec<Net>,
    /// What the lock keeps in this pool for names that are no longer asked for.
    pub(crate) gone: Gone,
}

/// Places every want in the pool. `prefixes` are how names begin in the lock that belong here.
pub(crate) fn place(
    net: Net,
    wants: &[Want],
    lock: Option<&Lock>,
    prefixes: &[&str],
    remedy: &str,
) -> Result<Placed, PlanError> {
    let mut placement = Placement {
        pool: Pool::new(net),
        wants,
        placed: vec![None; wants.len()],
        gone: Vec::new(),
        room: Vec::new(),
        remedy,
    };
    if let Some(lock) = lock {
        placement.claim_locked(lock, net.family())?;
    }
    placement.claim_explicit()?;
    if let Some(lock) = lock {
        placement.claim_returning(lock, net.family());
        placement.keep_gone(lock, net.family(), prefixes);
    }
    placement.keep_room();
    placement.place_rest()?;
    let nets = placement.placed.into_iter().flatten().collect();
    let gone = placement.gone;
    Ok(Placed { nets, gone })
}

/// A network that is claimed for nobody that is asked for.
struct Held {
    /// The name that is gone; without one it is room for growth.
    id: Option<String>,
    net: Net,
}

struct Placement<'a> {
    pool: Pool,
    wants: &'a [Want],
    placed: Vec<Option<Net>>,
    /// Claimed for names that are no longer asked for.
    gone: Gone,
    /// Claimed so that a network can grow.
    room: Vec<Net>,
    remedy: &'a str,
}

impl Placement<'_> {
    /// Claims what the lock says about the wants. Where one is to be larger, that comes after the
    /// others have their places.
    fn claim_locked(&mut self, lock: &Lock, family: Family) -> Result<(), PlanError> {
        for (want, slot) in self.wants.iter().zip(&mut self.placed) {
            let Some(net) = lock.net(&want.id, family) else {
                continue;
            };
            contradiction(want, net)?;
            self.pool.claim(net).map_err(|error| PlanError::BadLock {
                id: want.id.clone(),
                net,
                conflict: match error {
                    ClaimError::Outside { pool, .. } => format!("which is not in {pool}"),
                    ClaimError::Taken { taken, .. } => format!("which overlaps {taken}"),
                },
            })?;
            *slot = Some(net);
        }
        for at in 0..self.wants.len() {
            if let Some(net) = self.placed[at]
                && net.prefix_len() > self.wants[at].prefix_len
            {
                self.placed[at] = Some(self.grow(&self.wants[at], net)?);
            }
        }
        Ok(())
    }

    /// The larger network with the same first address, if the block behind is free.
    fn grow(&mut self, want: &Want, locked: Net) -> Result<Net, PlanError> {
        let cannot = |blocked: String| PlanError::CannotGrow {
            field: want.field.clone(),
            needed: want.prefix_len,
            id: want.id.clone(),
            locked,
            blocked,
        };
        let larger = Net::containing(locked.address(), want.prefix_len)
            .expect("a want's length is one of the family");
        if larger.address() != locked.address() {
            return Err(cannot(format!("{larger} begins before it")));
        }
        if !self.pool.net().covers(larger) {
            let pool = self.pool.net();
            return Err(cannot(format!("{larger} reaches out of {pool}")));
        }
        self.pool.release(locked).expect("it was just claimed");
        match self.pool.claim(larger) {
            Ok(()) => Ok(larger),
            Err(_) => {
                let taken = self.pool.overlaps(larger).unwrap_or(larger);
                Err(cannot(format!("{taken} is behind it")))
            }
        }
    }

    fn claim_explicit(&mut self) -> Result<(), PlanError> {
        for at in 0..self.wants.len() {
            if let (None, Some(net)) = (self.placed[at], self.wants[at].explicit) {
                self.pool
                    .claim(net)
                    .map_err(|error| self.explicit_error(at, net, error))?;
                self.placed[at] = Some(net);
            }
        }
        Ok(())
    }

    fn explicit_error(&self, at: usize, net: Net, error: ClaimError) -> PlanError {
        let field = self.wants[at].field.clone();
        match error {
            ClaimError::Outside { pool, .. } => PlanError::Unsuitable {
                field,
                net,
                wanted: format!("a network inside the lab's {pool}"),
            },
            ClaimError::Taken { taken, .. } => {
                let other = self.placed.iter().position(|placed| *placed == Some(taken));
                let other = other.map_or("reserved", |other| &self.wants[other].field);
                PlanError::Overlap {
                    field,
                    net,
                    other: other.to_owned(),
                    other_net: taken,
                }
            }
        }
    }

    /// Gives those that were gone and are asked for again the places that they had. Nobody is
    /// there now, so a place that no longer suits is no contradiction: such a one is placed anew.
    fn claim_returning(&mut self, lock: &Lock, family: Family) {
        for (want, slot) in self.wants.iter().zip(&mut self.placed) {
            let had = lock.gone_net(&want.id, family);
            let Some(had) = had.filter(|had| slot.is_none() && contradiction(want, *had).is_ok())
            else {
                continue;
            };
            let len = want.prefix_len.min(had.prefix_len());
            let net = Net::containing(had.address(), len)
                .ok()
                .filter(|net| net.address() == had.address());
            if let Some(net) = net
                && self.pool.claim(net).is_ok()
            {
                *slot = Some(net);
            }
        }
    }

    /// Holds the places of names that are no longer asked for.
    fn keep_gone(&mut self, lock: &Lock, family: Family, prefixes: &[&str]) {
        let wanted: BTreeSet<&str> = self.wants.iter().map(|want| want.id.as_str()).collect();
        for prefix in prefixes {
            for (id, net) in lock.kept_below(prefix, family) {
                if !wanted.contains(id) && self.pool.claim(net).is_ok() {
                    self.gone.push((id.to_owned(), net));
                }
            }
        }
    }

    /// Holds the block behind each network that may grow.
    fn keep_room(&mut self) {
        for at in 0..self.wants.len() {
            if let Some(net) = self.placed[at] {
                self.keep_room_behind(&self.wants[at], net);
            }
        }
    }

    fn keep_room_behind(&mut self, want: &Want, net: Net) {
        if !want.grows || net.prefix_len() <= self.pool.net().prefix_len() {
            return;
        }
        let Ok(twice) = Net::containing(net.address(), net.prefix_len() - 1) else {
            return;
        };
        let behind = Net::containing(twice.last_address(), net.prefix_len());
        if let Ok(behind) = behind
            && behind != net
            && self.pool.claim(behind).is_ok()
        {
            self.room.push(behind);
        }
    }

    /// Those with a slot first, then the larger, then by name: so the order in which they are
    /// asked for does not matter.
    fn place_rest(&mut self) -> Result<(), PlanError> {
        let mut rest: Vec<usize> = (0..self.wants.len())
            .filter(|at| self.placed[*at].is_none())
            .collect();
        rest.sort_by_key(|at| {
            let want = &self.wants[*at];
            let is_hashed = matches!(want.prefer, Prefer::Hash(_));
            (is_hashed, want.prefix_len, want.id.as_str())
        });
        for at in rest {
            let net = self.place_free(&self.wants[at])?;
            self.placed[at] = Some(net);
            self.keep_room_behind(&self.wants[at], net);
        }
        Ok(())
    }

    fn place_free(&mut self, want: &Want) -> Result<Net, PlanError> {
        if let Prefer::Hash(hash) = want.prefer
            && want.grows
            && let Some(net) = self.place_with_room(want, hash)
        {
            return Ok(net);
        }
        let (Prefer::Slot(near) | Prefer::Hash(near)) = want.prefer;
        let mut given_up = Vec::new();
        let net = loop {
            match self.pool.allocate(want.prefix_len, Fit::Near(near)) {
                Ok(net) => break net,
                Err(cause) => {
                    let held = self.give_up_one().ok_or_else(|| PlanError::Exhausted {
                        field: want.field.clone(),
                        id: want.id.clone(),
                        cause,
                        remedy: self.remedy.to_owned(),
                    })?;
                    given_up.push(held);
                }
            }
        };
        self.hold_again(given_up);
        Ok(net)
    }

    /// The first half of a free block of twice the size.
    fn place_with_room(&mut self, want: &Want, hash: u64) -> Option<Net> {
        let twice_len = want.prefix_len.checked_sub(1)?;
        let twice = self.pool.allocate(twice_len, Fit::Near(hash)).ok()?;
        self.pool.release(twice).expect("it was just allocated");
        let net = Net::containing(twice.address(), want.prefix_len).ok()?;
        self.pool.claim(net).expect("it is half of what was free");
        Some(net)
    }

    /// Gives up what is held for nobody that is asked for; growth last.
    fn give_up_one(&mut self) -> Option<Held> {
        let held = match self.gone.pop() {
            Some((id, net)) => Held { id: Some(id), net },
            None => Held {
                id: None,
                net: self.room.pop()?,
            },
        };
        self.pool
            .release(held.net)
            .expect("what is held is claimed");
        Some(held)
    }

    /// Holds on to what was given up and was not in the way after all.
    fn hold_again(&mut self, given_up: Vec<Held>) {
        for Held { id, net } in given_up.into_iter().rev() {
            if self.pool.claim(net).is_ok() {
                match id {
                    Some(id) => self.gone.push((id, net)),
                    None => self.room.push(net),
                }
            }
        }
    }
}

/// Whether the requirement asks for something else than the lock says. What may grow contradicts
/// it by an explicit network elsewhere only: to be larger is for [`Placement::grow`], and with a
/// smaller need it stays as it is.
fn contradiction(want: &Want, locked: Net) -> Result<(), PlanError> {
    let asked = match want.explicit {
        Some(explicit) if explicit == locked => None,
        Some(explicit) if want.grows && explicit.covers(locked) => None,
        Some(explicit) => Some(explicit.to_string()),
        None if want.grows || locked.prefix_len() == want.prefix_len => None,
        None => Some(format!("a /{}", want.prefix_len)),
    };
    match asked {
        None => Ok(()),
        Some(asked) => Err(PlanError::Locked {
            field: want.field.clone(),
            asked,
            id: want.id.clone(),
            locked,
        }),
    }
}
