//! The lab program, and one small example per crate
