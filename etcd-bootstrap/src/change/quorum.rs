//! How many votes there are and how many of them count.

use serde::Serialize;
use std::fmt;

/// The votes of a cluster at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Quorum {
    /// Members with a vote.
    pub voters: usize,
    /// How many of them take reads and writes. One that nothing is known of counts as one that does not.
    pub healthy: usize,
}

impl Quorum {
    /// How many must agree before anything is written.
    #[must_use]
    pub const fn needed(self) -> usize {
        self.voters / 2 + 1
    }

    /// Whether so many are there.
    #[must_use]
    pub const fn holds(self) -> bool {
        self.healthy >= self.needed()
    }
}

impl fmt::Display for Quorum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (healthy, voters, needed) = (self.healthy, self.voters, self.needed());
        write!(f, "{healthy} of {voters} healthy, {needed} needed")
    }
}
