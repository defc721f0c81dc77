//! What unit tests of several modules need.

use pki::{Authority, Life, OsRandom, Subject};
use time::OffsetDateTime;

/// A cluster's authority, made at [`now`]. No two are the same.
pub(crate) fn authority() -> Authority {
    let subject = Subject::new("kubernetes", &[]).expect("a subject");
    Authority::create(&subject, Life::AUTHORITY, now(), &OsRandom).expect("an authority")
}

/// The moment that counts as now: 2027-01-15T08:00:00Z.
pub(crate) fn now() -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp(1_800_000_000).expect("a time")
}
