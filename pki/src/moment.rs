//! Moments as people and programs write them.

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// `2027-01-15T08:00:00Z`; a year that RFC 3339 cannot say is written in the crate's own way.
pub(crate) fn rfc3339(moment: OffsetDateTime) -> String {
    let moment = moment.to_offset(time::UtcOffset::UTC);
    moment
        .format(&Rfc3339)
        .unwrap_or_else(|_| moment.to_string())
}
