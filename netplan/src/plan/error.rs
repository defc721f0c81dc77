//! Why there is no plan.

use thiserror::Error;

use crate::names::LabName;
use crate::net::Net;
use crate::pool::AllocateError;

/// Why a requirement cannot be planned. `field` is the path in the requirement; networks and
/// classes are named instead of counted: `networks.kube.v4`.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum PlanError {
    /// A value that is impossible by itself or beside the others.
    #[error("{field} = {value} is impossible: {reason}; {remedy}")]
    Field {
        /// The field.
        field: String,
        /// Its value.
        value: String,
        /// What is wrong with it.
        reason: String,
        /// How to mend it.
        remedy: String,
    },
    /// An explicit network of the wrong kind.
    #[error("{field} = {net} cannot be used: write {wanted}")]
    Unsuitable {
        /// The field.
        field: String,
        /// Its value.
        net: Net,
        /// What would do.
        wanted: String,
    },
    /// An explicit network that the host uses.
    #[error(
        "{field} = {net} overlaps {occupied} of this host ({by}): choose another network, leave the field out to have a free one chosen, or allow {lint} and say why"
    )]
    Occupied {
        /// The field.
        field: String,
        /// Its value.
        net: Net,
        /// The network of the host.
        occupied: Net,
        /// What uses it.
        by: String,
        /// The name of the lint that lets it be.
        lint: &'static str,
    },
    /// Two networks of the lab that share addresses.
    #[error(
        "{field} = {net} overlaps {other_net} ({other}): move one of them, or leave {field} out to have it placed"
    )]
    Overlap {
        /// The field.
        field: String,
        /// Its value.
        net: Net,
        /// The field or the lock's name of the other.
        other: String,
        /// The other.
        other_net: Net,
    },
    /// A range is used up.
    #[error("{field} has no place for {id}: {cause}; {remedy}")]
    Exhausted {
        /// The field that decides about it.
        field: String,
        /// The allocation's name in the lock.
        id: String,
        /// What was looked for, and the largest that is free. Not a source: the remedy follows it.
        cause: AllocateError,
        /// What to change.
        remedy: String,
    },
    /// The host numbers of a class are used up by others.
    #[error(
        "no host number of class {class} ({first} to {last}) is free on all its networks for {machine}: make classes.{class}.room larger"
    )]
    NoNumber {
        /// The class.
        class: String,
        /// The first number of its band.
        first: u32,
        /// The last.
        last: u32,
        /// The machine that needs one.
        machine: String,
    },
    /// Nothing is left of the private IPv4 ranges.
    #[error(
        "v4 has no free /{prefix_len} for the lab in 10.0.0.0/8 and 172.16.0.0/12, of which this host uses {occupied} networks: make rooms and ranges smaller, or set v4 to a network that the lab may shadow"
    )]
    NoSupernet {
        /// The length looked for.
        prefix_len: u8,
        /// How many networks in there the host occupies.
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
        field: String,
        /// What it asks for.
        asked: String,
        /// The allocation's name in the lock.
        id: String,
        /// Where it is.
        locked: Net,
    },
    /// A locked network is too small now, and cannot grow where it is.
    #[error(
        "{field} needs a /{needed}, but {id} is locked as {locked} and cannot grow in place: {blocked}; ask for fewer machines, or take the lab down and remove its network lock to renumber it"
    )]
    CannotGrow {
        /// The field.
        field: String,
        /// The prefix length that is needed.
        needed: u8,
        /// The allocation's name in the lock.
        id: String,
        /// Where it is.
        locked: Net,
        /// What is in the way.
        blocked: String,
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

impl PlanError {
    pub(crate) fn field(
        field: impl Into<String>,
        value: impl ToString,
        reason: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Self {
        Self::Field {
            field: field.into(),
            value: value.to_string(),
            reason: reason.into(),
            remedy: remedy.into(),
        }
    }
}
