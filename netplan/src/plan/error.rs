//! Why there is no plan.

use thiserror::Error;

use crate::names::LabName;
use crate::net::Net;
use crate::pool::AllocateError;

/// Why a requirement cannot be planned. `field` is the path in the requirement.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum PlanError {
    /// A number of machines outside the possible.
    #[error("{field} = {value} is impossible: {reason}; write {min} to {max}")]
    Count {
        /// The field.
        field: &'static str,
        /// Its value.
        value: u32,
        /// The least.
        min: u32,
        /// The most.
        max: u32,
        /// What sets the bound.
        reason: &'static str,
    },
    /// A prefix length outside the possible.
    #[error("{field} = {value} is impossible: {reason}; write {min} to {max}")]
    Size {
        /// The field.
        field: &'static str,
        /// Its value.
        value: u8,
        /// The shortest.
        min: u8,
        /// The longest.
        max: u8,
        /// What sets the bound.
        reason: &'static str,
    },
    /// An explicit network of the wrong kind.
    #[error("{field} = {net} cannot be used: write {wanted}")]
    Unsuitable {
        /// The field.
        field: &'static str,
        /// Its value.
        net: Net,
        /// What would do.
        wanted: String,
    },
    /// An explicit network that the host uses.
    #[error(
        "{field} = {net} overlaps {occupied} of this host ({by}): choose another network, or leave the field out to have a free one chosen"
    )]
    Occupied {
        /// The field.
        field: &'static str,
        /// Its value.
        net: Net,
        /// The network of the host.
        occupied: Net,
        /// What uses it.
        by: String,
    },
    /// Two networks of the lab that share addresses.
    #[error(
        "{field} = {net} overlaps {other_net} ({other}): move one of them, or leave {field} out to have it placed"
    )]
    Overlap {
        /// The field.
        field: &'static str,
        /// Its value.
        net: Net,
        /// The field or the lock's name of the other.
        other: String,
        /// The other.
        other_net: Net,
    },
    /// A range is used up.
    #[error("no room for {wanted} in {range}: {remedy}")]
    Exhausted {
        /// Who needed room.
        wanted: String,
        /// Where.
        range: String,
        /// What to change.
        remedy: &'static str,
        /// What was looked for, and the largest that is free.
        #[source]
        source: AllocateError,
    },
    /// Nothing is left of the private IPv4 ranges.
    #[error(
        "this host's {occupied} occupied networks leave no free /16 in 10.0.0.0/8 and 172.16.0.0/12: set v4 to a /16 that the lab may shadow"
    )]
    NoSupernet {
        /// How many networks the host occupies.
        occupied: usize,
    },
    /// The lock is another lab's.
    #[error(
        "the network lock belongs to lab {found}, not {expected}: use that lab's state directory, or remove the lock"
    )]
    LockOfOtherLab {
        /// The lab of the lock.
        found: LabName,
        /// The lab of the requirement.
        expected: LabName,
    },
    /// The requirement contradicts the lock.
    #[error(
        "{field} asks for {asked}, but {id} is locked as {locked}: put the field back, or take the lab down and remove its network lock to renumber it"
    )]
    Locked {
        /// The field.
        field: &'static str,
        /// What it asks for.
        asked: String,
        /// The allocation's name in the lock.
        id: String,
        /// Where it is.
        locked: Net,
    },
    /// The lock contradicts itself.
    #[error(
        "the network lock places {id} at {net}, {conflict}: restore the lock, or take the lab down and remove it"
    )]
    BadLock {
        /// The allocation's name in the lock.
        id: String,
        /// Its network.
        net: Net,
        /// What is wrong with that.
        conflict: String,
    },
}
