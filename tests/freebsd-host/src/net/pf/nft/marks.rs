//! The bits of marks.
//!
//! A packet's: verdict (0 to 2), refusal (3), later packet of TCP (4), tag (8 to 15), translation on the way out (16 to
//! 23). A flow's: state in (0), state out (1), the tag of either (8 to 15, 16 to 23), generation (24 to 31).

/// The verdict of the last rule that matched.
pub(super) const VERDICT_MASK: u32 = 0x7;
pub(super) const KEEP: u32 = 1;
pub(super) const PASS: u32 = 2;
pub(super) const DROP: u32 = 3;
pub(super) const RETURN: u32 = 4;

/// What the filter answers itself, which it does not look at (needs fwmark_reflect).
pub(super) const REFUSAL: u32 = 0x8;

/// Not the first packet of a TCP connection.
pub(super) const LATER: u32 = 0x10;

pub(super) const TAG: u32 = 8;
pub(super) const TAG_MASK: u32 = 0xff00;
pub(super) const TRANSLATION: u32 = 16;
pub(super) const TRANSLATION_MASK: u32 = 0x00ff_0000;

/// A state that was made on the way in, and one on the way out.
pub(super) const IN_STATE: u32 = 0x1;
pub(super) const OUT_STATE: u32 = 0x2;
pub(super) const OUT_TAG: u32 = 16;
pub(super) const GENERATION: u32 = 24;
