//! Keeping a cluster well that runs: space, alarms, and whether all members hold the same.
//!
//! Three plans, one kind of step. [`plan_defrag`] gives free pages back, [`plan_space`] is the way out of a `NOSPACE`
//! alarm, and [`compare_hashes`] only looks. What a plan says is what [`maintain`] does, and it stops at the first step
//! that fails: a member whose defragmentation went wrong is one less, and the next one would be two.

mod apply;
mod hash;
mod plan;

pub use apply::{DEFRAG_LIMIT, MAINTENANCE_STEP, MaintainError, maintain};
pub use hash::{CompareError, HashComparison, compare_hashes};
pub use plan::{
    DefragOptions, MaintenancePlan, MaintenanceRefused, MaintenanceStep, Seen, Skipped,
    plan_defrag, plan_space,
};

use crate::{ClusterSpec, Probe, RequestFailed};
use futures::future::join_all;

/// Asks every member how it is, and one that is ready for the alarms.
///
/// # Errors
///
/// A ready member does not tell the alarms. Members that are silent are *not* an error but part of the answer.
pub async fn see(spec: &ClusterSpec, probe: &Probe) -> Result<Seen, RequestFailed> {
    let asked = spec.members().iter().map(|member| async {
        let answer = probe.client(&member.name).await;
        (member.name.clone(), answer)
    });
    let answers: Vec<_> = join_all(asked).await;
    let ready = answers.iter().find(|(_, answer)| answer.is_ready());
    let alarms = match ready {
        Some((name, _)) => probe.alarms(name).await?,
        // Whoever plans refuses before it looks at alarms.
        None => Vec::new(),
    };
    Ok(Seen {
        members: answers.into_iter().collect(),
        alarms,
    })
}

impl Seen {
    /// What a member says of its store and its raft; `None` if it does not answer.
    #[must_use]
    pub fn status(&self, member: &crate::MemberName) -> Option<&crate::Status> {
        self.members.get(member)?.status()
    }
}
