//! Faults on real etcd clusters, and what must hold whatever happens.
//!
//! A test support crate of `etcd-bootstrap`, shipped in no library: machines of namespaces whose services are real etcd
//! processes ([`rig`]), a load of concurrent clients ([`load`]), the rows of the fault table ([`rows`]), and a check that
//! what the clients were told is linearizable ([`linear`]).
//!
//! # Invariants
//!
//! - Whatever a row does follows from its seed, but for what the system's timing makes of it.
//! - A row leaves nothing behind: its processes, mounts and networks are in namespaces that end with their first
//!   process, which ends with whoever started it; the directory of a killed one is removed by the next run.

#![expect(
    clippy::disallowed_methods,
    reason = "it plays machines and their service manager, and measures: processes, pauses, the clock"
)]

pub mod client;
pub mod delay;
pub mod dice;
pub mod linear;
pub mod load;
pub mod machine;
pub mod material;
pub mod rig;
pub mod rows;
pub mod run;
pub mod scene;
pub mod task;
pub mod tool;
pub mod work;
