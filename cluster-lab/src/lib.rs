//! A highly available Kubernetes lab on one machine, from one specification: the composition of this workspace's crates.
//!
//! [`LabSpec`] says what is wanted, [`Lab::plan`] what would be done, [`Lab::up`] does it, [`Lab::check`] proves with
//! packets and answers that it is so, [`Lab::down`] removes it all. The program `lab` is a thin shell around these.
//!
//! ```no_run
//! use cluster_lab::{Lab, LabSpec, Places};
//! use host_exec::event::Silent;
//!
//! # async fn run(places: Places, now: time::OffsetDateTime) -> Result<(), Box<dyn std::error::Error>> {
//! let lab = Lab::new(LabSpec::from_toml("name = 'demo'")?, places, now);
//! println!("{} machines", lab.plan().await?.blueprint.network.machines.len());
//! let up = lab.up(&Silent).await?;
//! println!("export KUBECONFIG={}", up.kubeconfig.display());
//! # Ok(())
//! # }
//! ```
//!
//! # What this crate does not do
//!
//! It decides nothing about networks, certificates, etcd or Kubernetes: those decisions are in `netplan`, `pki`,
//! `etcd-bootstrap` and `k8s-bootstrap`, and [`Blueprint`] is where their specifications are made to agree.
//! Machines are namespaces of this host ([`nspawn_vm`]) or VMs of a FreeBSD host ([`bhyve_vm`]); other providers will
//! stand beside these.
//! It prints nothing and reads neither environment nor clock: [`Places`] and the time are parameters.
//!
//! # Invariants
//!
//! - A second [`Lab::up`] changes nothing; one that was killed anywhere is finished by the next.
//! - [`Lab::plan`] changes nothing at all.
//! - Addresses stay: what a lab once had is in its lock, and an edit renumbers nobody.
//! - Keys, tokens and kubeconfigs are files of mode 0600 in a directory of mode 0700, and nowhere else.

mod bhyve;
mod blueprint;
mod certs;
mod change;
mod check;
mod doctor;
mod down;
mod etcd;
mod facts;
mod first_boot;
mod guest;
mod images;
mod inotify;
mod lab;
mod machines;
mod material;
mod node;
mod plan;
mod preflight;
mod shrink;
mod spec;
mod state;
mod status;
mod supplies;
mod up;
mod upgrade;

pub use bhyve::{HostError, KeysError, VmError, VmRequest};
pub use blueprint::{Blueprint, BlueprintError, WEB_IMAGE};
pub use certs::{
    CertsReport, OnMachine, OnMachineState, PlannedPhase, RenewError, RenewalPlan, Renewed,
    RollError, RotateError, RotatePlan, RotateReport, RotateWish, RotatingError, Rotation,
};
pub use check::{CheckError, CheckReport, CisReport, MatrixRow, Untried};
pub use doctor::Finding;
pub use down::{DownError, Gone};
pub use etcd::{
    EtcdCare, EtcdCareError, EtcdDowngrade, EtcdError, EtcdKeptError, EtcdMember, EtcdRecord,
    EtcdRestoreError, EtcdRestorePlan, EtcdRestored, EtcdScheduleError, EtcdSnapshot,
    EtcdSnapshotError, EtcdSource, EtcdStatus, EtcdUpgradeError, EtcdWish, InvalidKeptName,
    KeptName, Restoring, ScheduledSnapshots,
};
pub use facts::{Facts, FactsError, FreebsdFacts, GuestFacts};
pub use guest::{GuestError, GuestStep, SendProgramsError};
pub use host_exec::Condition;
pub use images::ImportError;
pub use k8s_bootstrap::cis;
pub use lab::{DraftError, Hosts, Lab, ObserveError, Wired};
pub use machines::{MachineState, Machines, MachinesPlan, VmsPlan};
pub use material::MaterialError;
pub use node::{NodeError, NodeWish};
pub use plan::{Certainty, LabPlan, LabPlanError};
pub use preflight::PreflightError;
pub use shrink::{Leaving, ShrinkError};
pub use spec::{
    AddonsSpec, BhyveSpec, CertificatesSpec, EtcdSpec, Every, LabSpec, MetricsServer, NetworkSpec,
    OciRuntime, OutwardV6, Profile, RuntimeError, Shape, SnapshotsSpec, SpecError, VmSize,
};
pub use state::{FORMAT, LabLock, Places, Record, StateDir, StateError};
pub use status::{MachineStatus, Status};
pub use supplies::SupplyError;
pub use up::{Up, UpError};
pub use upgrade::{Backup, StepError, UnderWay, UpgradeError, UpgradePlan, Upgraded, Upgrades};
