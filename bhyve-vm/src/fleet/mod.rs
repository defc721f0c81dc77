//! All VMs of a lab on one FreeBSD host: asked, planned, made, run, explained and removed, through any
//! [`Host`](host_exec::Host).
//!
//! ```no_run
//! # async fn up(host: &dyn host_exec::Host, fleet: bhyve_vm::fleet::Fleet, raw: std::path::PathBuf)
//! # -> Result<(), Box<dyn std::error::Error>> {
//! use bhyve_vm::fleet::{self, Extent, Removal, Supply};
//! use host_exec::event::Silent;
//!
//! let plan = fleet::plan(&fleet, &fleet::observe(host, &fleet).await?)?;
//! println!("{plan}");
//! let supply = Supply::of(&fleet, raw, []);
//! fleet::apply(host, &fleet, &plan, &supply, &Silent).await?;
//! // Nothing is left to do.
//! assert!(fleet::plan(&fleet, &fleet::observe(host, &fleet).await?)?.is_empty());
//!
//! for vm in fleet::list(host, &fleet.directory).await? {
//!     fleet::stop(host, &vm.definition, &Silent).await?;
//! }
//! let (lab, dataset, directory) = (fleet.lab, fleet.dataset, fleet.directory);
//! let removal = Removal { lab, dataset, directory, extent: Extent::LabAndShared };
//! fleet::destroy(host, &removal, &Silent).await?;
//! # Ok(())
//! # }
//! ```
//!
//! # Contracts
//!
//! | call | before | after | if it is cut off |
//! |---|---|---|---|
//! | [`survey`], [`observe`] | any host | nothing has changed | ask again |
//! | [`plan`] | what was observed | nothing has changed; whatever stands against it was refused | - |
//! | [`apply`] | a plan of what was just observed | every VM's supervisor runs, and a new plan is empty but for VMs that ended | observe, plan and apply again: what is there is not made twice |
//! | [`start`] | stopped, crashed or failed; or running without a supervisor | bhyve runs, its node is there | the supervisor goes on by itself |
//! | [`stop`], [`kill`] | running or starting | no process, no node | the supervisor goes on by itself |
//! | [`reboot`] | running | bhyve runs again | the supervisor goes on by itself |
//! | [`destroy`] | any | nothing with the lab's mark is there; settings are as they were | call it again |
//!
//! # Invariants
//!
//! - Nothing is changed before the whole plan was found possible.
//! - What carries no mark of the lab is never changed or removed ([`NotOurs`]).
//! - pf.conf and rc.conf are never written. Settings are changed only where the fleet names them, and put back.
//! - A route that the fleet names no more is taken back. What else it names no more, VMs too, stays until it is destroyed.
//! - The truth is asked of the host. Its journal is for people.

mod apply;
mod ask;
mod check;
mod console;
mod destroy;
mod lab_file;
mod life;
mod list;
mod model;
mod observe;
mod plan;
mod survey;
mod upload;

pub use apply::{FleetApplyError, StepError, apply};
pub use ask::{AskError, AskErrorKind};
pub use check::FleetError;
pub use console::console_command;
pub use destroy::{
    DestroyError, Extent, Gone, Removal, RemovalObserved, RemovalPlan, destroy, observe_removal,
    plan_removal,
};
pub use lab_file::LabFile;
pub use life::{LifeError, LifeErrorKind, kill, reboot, start, stop};
pub use list::{Explanation, VmSummary, explain, find, list};
pub use model::{
    Anchor, AnchorName, Fleet, FleetBase, FleetVm, HostChange, HostEffect, SharedFile, VmDefinition,
};
pub use observe::{FleetObserved, VmFound, observe};
pub use plan::{FleetPlan, FleetPlanError, NotOurs, StartBatch, VmSteps, needs, plan};
pub use survey::{DatasetDetails, HostSurvey, Population, SurveyError, survey};
pub use upload::{SendError, Supply, SupplyError};
