//! Who is a member: replace, add, remove, move the leader. Grow and shrink one voter at a time.
//!
//! ```no_run
//! # async fn replace(spec: etcd_bootstrap::ClusterSpec, hosts: etcd_bootstrap::Hosts, tls: etcd_bootstrap::Tls)
//! # -> Result<(), Box<dyn std::error::Error>> {
//! use etcd_bootstrap::change::{Wish, apply, observe, plan};
//!
//! let wish = Wish::default().replace("etcd-1".parse()?);
//! let plan = plan(&spec, &wish, &observe(&spec, &hosts, &tls).await?)?;
//! println!("{plan}"); // Each step with the quorum before and after it.
//! let keep = |history: &etcd_bootstrap::History| {
//!     std::fs::write("history.json", serde_json::to_vec(history)?)
//! };
//! let _changed = apply(&spec, &plan, &hosts, &tls, &keep, &host_exec::event::Silent).await?;
//! # Ok(())
//! # }
//! ```
//!
//! # How a member comes in
//!
//! As a learner, which has no vote: a member that never starts then takes nothing from the majority, and is taken
//! back. It is started with the list that etcd returned, and gets its vote when it has caught up.
//!
//! One that is dead is removed *before* its successor is added: with one of three dead, a fourth voter would need
//! three of four. Its data is never deleted: what is in its data directory is renamed aside.
//!
//! # What is waited for
//!
//! etcd refuses a change while it has not been connected to a majority for 5 s ("unhealthy cluster"), and a promotion
//! while the learner lags. Both pass by themselves, so they are waited for, up to
//! [`ClusterSpec::ready_limit`](crate::ClusterSpec::ready_limit).
//!
//! # A run that is killed
//!
//! The next one finds what the last one did in etcd's own list: a member that was added and not recorded by its peer
//! URL, one that was not started yet by its missing client URLs, one that has no vote by `isLearner`.

mod anew;
mod apply;
mod aside;
mod cluster;
mod learner;
mod model;
mod observe;
mod plan;
mod quorum;
mod step;
mod told;

pub use anew::{apply_anew, plan_anew};
pub use apply::{ChangeError, KeepHistory, MEMBERS_STEP, apply};
pub use observe::{Membership, ObserveMembersError, Site, observe};
pub use plan::{ChangeRefused, plan, plan_move_leader};
pub use quorum::Quorum;
pub use step::{ChangePlan, ChangeStep, PlannedStep, Wish};
