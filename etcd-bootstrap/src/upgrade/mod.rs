//! From one version of etcd to the next, one member at a time.
//!
//! One minor at a time, as etcd demands ("Upgrading etcd clusters and applications"): a snapshot first, followers in
//! their order, the leader last, after it has handed over. Each member is stopped, gets the settings of its new version, is
//! started, and has to be well for [`SETTLE`] before the next. The first member that is not stops the upgrade; two of
//! three then still serve, and the way back is open as long as one member runs the old version.
//!
//! Back by one minor is [`plan_downgrade`]: etcd first rewrites the stores of all members, which it can from 3.6 on. On its
//! way it can be taken back by [`plan`] with the version that the cluster had.
//!
//! [`plan`] is pure; [`preflight`] is the table of what has to be so; [`apply`] tells a [`Journal`] what it is about to
//! do, so that the next run knows, after a kill at any moment, what each member is to run.

mod apply;
mod downgrade;
mod path;
mod plan;
mod preflight;
mod raft_snapshot;

pub use apply::{Journal, JournalError, MemberError, SETTLE, UPGRADE_STEP, UpgradeError, apply};
pub use downgrade::{DowngradeError, begin_downgrade, cancel_downgrade, downgrade_ended};
pub use path::{PATHS, PathError, PathRule, check_downgrade_path, check_path};
pub use plan::{UpgradePlan, UpgradeRefused, UpgradeStep, plan, plan_downgrade};
pub use preflight::{Facts, FactsError, look, preflight, preflight_downgrade};
pub use raft_snapshot::RaftSnapshotError;
