//! The program `lab`, run as a user does. Most of it is what it says to wrong usage, impossible labs and machines that
//! lack something: status, message with its remedy, and nothing made.

#![expect(
    clippy::unwrap_used,
    reason = "a panic is how a test says what went wrong"
)]

mod command_line;
mod control_plane_local;
mod etcd_local;
mod lab_toml;
mod machine;
mod nobody;
mod plan;
mod scene;
mod state_dir;
