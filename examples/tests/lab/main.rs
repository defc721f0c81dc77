//! The lab on this machine, used as a person uses it: brought up, checked, worked on, broken, resumed, taken down.
//!
//! Every test makes labs of its own, whose names begin with `t-`, in a directory of its own, as many tests at a
//! time as the machine has room for ([`turn`]), and those in [`alone`] by themselves; labs that are not of the tests are left
//! as they are. `./lab test` runs them:
//!
//! ```text
//! cargo test -p examples --test lab -- --include-ignored --nocapture
//! ```

#![expect(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a panic is how a test says what went wrong; the times that were seen are printed"
)]

mod alone;
mod down;
mod etcd_members;
mod etcd_restore;
mod freebsd;
mod hardened;
mod http;
mod interrupted;
mod killed;
mod kubeadm;
mod lab;
mod machines;
mod network;
mod nodes;
mod oldest;
mod people;
mod plan;
mod reference;
mod run;
mod side_by_side;
mod smoke;
mod tokens;
mod traces;
mod turn;
mod waiting;
mod work;
