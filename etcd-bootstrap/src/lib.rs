//! Form an etcd cluster on machines that are already there, and watch it.
//!
//! Give each member a name, its addresses and its certificates, and a [`Host`](host_exec::Host) to act on.
//! [`observe`] looks, [`plan`] decides without touching anything, [`apply`] does it: writes the files,
//! starts the members so that none waits for another, and returns when all take reads and writes.
//!
//! ```
//! use etcd_bootstrap::{ClusterSpec, MemberSpec, render};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let member = |name: &str, ip: [u8; 4]| {
//!     Ok::<_, etcd_bootstrap::InvalidName>(MemberSpec::new(name.parse()?, ip.into(), vec![ip.into()]))
//! };
//! let spec = ClusterSpec::new(
//!     "lab-1".parse()?,
//!     "3.7.3".parse()?,
//!     "/usr/local/bin/etcd".into(),
//!     vec![
//!         member("etcd-0", [10, 0, 0, 10])?,
//!         member("etcd-1", [10, 0, 0, 11])?,
//!         member("etcd-2", [10, 0, 0, 12])?,
//!     ],
//! )?;
//! // The ID that this cluster will have is known before anything runs.
//! assert_eq!(spec.cluster_id().to_string(), "f33cc744e1b2a2e8");
//! let text = render::environment_text(&spec, &spec.members()[0]);
//! assert!(text.contains("ETCD_LISTEN_PEER_URLS=https://10.0.0.10:2380\n"));
//! # Ok(())
//! # }
//! ```
//!
//! The rest needs hosts:
//!
//! ```no_run
//! # async fn up(spec: etcd_bootstrap::ClusterSpec, hosts: etcd_bootstrap::Hosts, crt: &str, key: &str)
//! # -> Result<(), Box<dyn std::error::Error>> {
//! use etcd_bootstrap::{Tls, apply, observe, plan};
//!
//! let tls = Tls::new(&spec, crt, key)?;
//! let plan = plan(&spec, &observe(&spec, &hosts, &tls).await?)?;
//! println!("{plan}");
//! apply(&spec, &plan, &hosts, &tls, &host_exec::event::Silent).await?;
//! # Ok(())
//! # }
//! ```
//!
//! # What this crate does not do
//!
//! It issues no certificates (crate `pki` does) and installs no program. Forming never
//! replaces, adds or removes a member: one that needs that is reported and refused, and [`change`] does it when asked. No discovery service, no proxies, no etcd before 3.5.11.
//!
//! # Invariants
//!
//! - No data directory is ever removed or emptied. Of a member that is removed or replaced the data is renamed aside.
//! - No planned step leaves fewer healthy voters than must agree; a plan shows both numbers for each step.
//! - A member whose data is lost is not started with an empty memory: it could help to elect a leader that
//!   lacks acknowledged writes.
//! - What a cluster is follows from who founded it ([`History`]), not from who is in it now; the settings of a
//!   running member never change because another one comes or goes.
//! - A member of another cluster (token, member list, former use) is refused by its ID, not waited for.
//! - A member that may be part of a majority is restarted only alone, and the next one only when it is ready.
//! - A second run plans nothing; a run killed anywhere is finished by the next.
//!
//! Facts are from etcd's own documentation (etcd.io/docs, "Clustering Guide", "Configuration options",
//! "Monitoring etcd") and source; the units follow `systemd.service(5)`.

mod apply;
pub mod certificates;
pub mod change;
mod cluster_state;
mod gate;
mod gateway;
mod health;
mod history;
mod id;
mod member;
mod name;
mod observe;
mod plan;
mod probe;
mod ready;
pub mod render;
mod snapshot;
mod spec;
mod state;
mod tls;
pub mod tuning;

pub use apply::{
    ApplyError, FILES_STEP, RESTART_STEP, START_STEP, apply, finish, prepare, start_members,
};
pub use cluster_state::{ClusterState, MayHoldData};
pub use gate::{GATE_LIMIT, gate, start_gated};
pub use gateway::RequestFailed;
pub use health::{conditions, health};
pub use history::{History, InitialCluster, InitialMembers, Joined, LearnError};
pub use id::{ClusterId, MemberId, ids_of};
pub use member::{CLIENT_PORT, MemberPems, MemberSpec, PEER_PORT, PkiPaths};
pub use name::{ClusterToken, EtcdVersion, InvalidName, MemberName};
pub use observe::{
    ANSWER_TIMEOUT, CertificateFault, MemberObservation, ObserveError, Observed, observe,
};
pub use plan::{Plan, PlanError, Step, plan};
pub use probe::{ClientAnswer, Hosts, ListedMember, PeerAnswer, Probe, Status, Unreachable};
pub use ready::{Laggard, READY_LIMIT, READY_STEP, WaitReadyError, wait_ready};
pub use snapshot::{Snapshot, SnapshotError, SnapshotStatus, snapshot};
pub use spec::{ClusterSpec, SpecError, SpecLint};
pub use state::MemberState;
pub use tls::{Tls, TlsError};
