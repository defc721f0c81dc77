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
//! let member = |name, ip: &str| MemberSpec::parse(name, ip, &[ip]);
//! let members = vec![
//!     member("etcd-0", "10.0.0.10")?,
//!     member("etcd-1", "10.0.0.11")?,
//!     member("etcd-2", "10.0.0.12")?,
//! ];
//! let (token, version) = ("lab-1".parse()?, "3.7.3".parse()?);
//! let spec = ClusterSpec::new(token, version, "/usr/local/bin/etcd".into(), members)?;
//! // The ID that this cluster will have is known before anything runs.
//! assert_eq!(spec.cluster_id().to_string(), "f33cc744e1b2a2e8");
//! let text = render::environment_text(&spec, &spec.members()[0]);
//! assert!(text.contains("ETCD_LISTEN_PEER_URLS=https://10.0.0.10:2380\n"));
//! # Ok(())
//! # }
//! ```
//!
//! The rest needs hosts. Here they are processes of this program, with files in a directory each: no root, no systemd,
//! no machines. Elsewhere a host is a machine behind SSH, or one made of namespaces, and nothing else changes.
//!
//! ```no_run
//! # async fn up(dir: &std::path::Path, program: &str, now: time::OffsetDateTime)
//! # -> Result<(), Box<dyn std::error::Error>> {
//! use etcd_bootstrap::{ClusterSpec, Hosts, MemberSpec, Tls, apply, certificates, observe, plan};
//! use host_exec::{ProcessHost, event::Silent};
//! use pki::OsRandom;
//! use std::sync::Arc;
//!
//! let authorities = certificates::Authorities::create(now, &OsRandom)?;
//! let (mut members, mut hosts) = (Vec::new(), Hosts::new());
//! for n in 1..=3 {
//!     let (name, ip) = (format!("etcd-{n}"), format!("127.84.0.{n}"));
//!     let home = dir.join(&name);
//!     let member = MemberSpec::parse(&name, &ip, &[&ip])?.below(&home);
//!     members.push(authorities.equip(member, now, &OsRandom)?);
//!     hosts.insert(name.parse()?, Arc::new(ProcessHost::new(name.parse()?, home)));
//! }
//! let (token, version) = ("lab-1".parse()?, "3.7.3".parse()?);
//! let spec = ClusterSpec::new(token, version, program.into(), members)?;
//! certificates::check(&spec, now)?;
//! let client = authorities.client("me", now, &OsRandom)?;
//! let tls = Tls::new(&spec, &client.certificate_pem, &client.key_pem)?;
//!
//! let plan = plan(&spec, &observe(&spec, &hosts, &tls).await?)?;
//! println!("{plan}");
//! apply(&spec, &plan, &hosts, &tls, &Silent).await?;
//! # Ok(())
//! # }
//! ```
//!
//! The whole of it is `examples/examples/etcd_local.rs`, under 60 lines, run by a user without root in the tests.
//!
//! # What this crate does not do
//!
//! It keeps no certificates (crate `pki` does; [`certificates::Authorities`] are gone with the program) and installs
//! no program. Forming never replaces, adds or removes a member: one that needs that is reported and refused, and
//! [`change`] does it when asked. No discovery service, no proxies, no etcd before 3.5.11.
//!
//! # Invariants
//!
//! - No data directory is ever removed or emptied. Of a member that is removed, replaced or restored the data is renamed
//!   aside. (What a killed restore had half made, and no member ever ran on, is made anew.)
//! - A restore never reuses a token, and never takes a snapshot whose checksum does not fit; a copy of a store without one
//!   is taken only when it is called so.
//! - No member is defragmented or upgraded while another one is not ready.
//! - A snapshot that a member takes by its timer ([`schedule`]) takes the place of another one only when it was restored for
//!   a trial; the timer never starts etcd.
//! - No planned step leaves fewer healthy voters than must agree; a plan shows both numbers for each step.
//! - A member whose data is lost is not started with an empty memory: it could help to elect a leader that
//!   lacks acknowledged writes.
//! - What a cluster is follows from who founded it ([`History`]), not from who is in it now; the settings of a
//!   running member never change because another one comes or goes. A lost history is believed only where a majority
//!   tells it and its ID follows from the token ([`recall()`]).
//! - No member is given an older minor before the stores of all are in its format.
//! - A member of another cluster (token, member list, former use) is refused by its ID, not waited for.
//! - A member that may be part of a majority is restarted only alone, and the next one only when it is ready.
//! - Certificates are judged before anything starts ([`certificates`]), and settings before they are written
//!   ([`tuning`]): what etcd would end at, or never say, is an error that names member, field, value and remedy.
//! - A second run plans nothing; a run killed anywhere is finished by the next.
//!
//! Facts are from etcd's own documentation (etcd.io/docs, "Clustering Guide", "Configuration options",
//! "Monitoring etcd") and source; the units follow `systemd.service(5)`.

mod apply;
pub mod certificates;
pub mod change;
mod cluster_state;
mod etcdutl;
mod gate;
mod gateway;
mod handover;
mod health;
mod history;
mod id;
mod listen;
pub mod maintenance;
mod member;
mod name;
mod observe;
mod plan;
mod probe;
mod ready;
mod recall;
pub mod render;
pub mod restore;
pub mod schedule;
mod snapshot;
mod spec;
mod state;
mod tls;
pub mod tuning;
pub mod upgrade;

pub use apply::{
    ApplyError, FILES_STEP, RESTART_STEP, START_STEP, apply, finish, prepare, start_members,
};
pub use cluster_state::{ClusterState, MayHoldData};
pub use etcdutl::EtcdutlError;
pub use gate::{GATE_LIMIT, gate, start_gated};
pub use gateway::{Alarm, AlarmKind, DowngradeAction, KvHash, RequestFailed};
pub use health::{conditions, health};
pub use history::{History, InitialCluster, InitialMembers, Joined, LearnError};
pub use id::{ClusterId, MemberId, ids_of};
pub use member::{CLIENT_PORT, MemberPems, MemberProgram, MemberSpec, PEER_PORT, PkiPaths};
pub use name::{ClusterToken, EtcdVersion, InvalidName, MemberName};
pub use observe::{
    ANSWER_TIMEOUT, CertificateFault, MemberObservation, ObserveError, Observed, observe,
};
pub use plan::{Plan, PlanError, Step, plan};
pub use probe::{ClientAnswer, Hosts, ListedMember, PeerAnswer, Probe, Status, Unreachable};
pub use ready::{Laggard, READY_LIMIT, READY_STEP, WaitReadyError, wait_ready};
pub use recall::{RecallError, recall};
pub use snapshot::{
    Damage, SnapshotError, SnapshotRecord, SnapshotStatus, StoredSnapshot, StoredSnapshotError,
    TrialError, check_whole, record_path, snapshot, try_restore,
};
pub use spec::{ClusterSpec, SpecError, SpecLint};
pub use state::MemberState;
pub use tls::{Tls, TlsError};
