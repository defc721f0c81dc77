//! The members of etcd: who comes with a larger lab, who goes with a smaller one, who is replaced.

use super::{EtcdScheduleError, RunningEtcd, settle_schedule};
use crate::{Hosts, Lab, LabPlanError, StateError, Wired};
use etcd_bootstrap::{
    ClusterSpec, MemberName, MemberState, Observed,
    change::{
        self, ChangeError, ChangePlan, ChangeRefused, ObserveMembersError, PlannedStep, Site, Wish,
    },
};
use host_exec::EventSink;

/// What is done with the members of a lab that is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EtcdWish {
    /// Take out a member whose data is lost or not to be trusted, and have it come anew. One that is healthy is left
    /// alone.
    Replace(MemberName),
    /// Have this member lead, or any other healthy one.
    MoveLeader(Option<MemberName>),
}

/// The members could not be changed. What was done stays; the same call again goes on from there.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EtcdError {
    /// The lab could not be worked out or looked at.
    #[error(transparent)]
    Lab(#[from] LabPlanError),
    /// The lab's directory.
    #[error(transparent)]
    State(#[from] StateError),
    /// etcd does not say who its members are.
    #[error(transparent)]
    Observe(#[from] ObserveMembersError),
    /// The change must not be begun.
    #[error(transparent)]
    Refused(#[from] ChangeRefused),
    /// The change failed.
    #[error(transparent)]
    Change(#[from] ChangeError),
    /// The members are as they have to be, and a timer is not.
    #[error(transparent)]
    Schedule(#[from] EtcdScheduleError),
}

impl Lab {
    /// What [`Lab::etcd_members`] would do, each step with the quorum before and after it. Changes nothing.
    ///
    /// # Errors
    ///
    /// The lab cannot be looked at, etcd has no majority, or a step would cost it.
    pub async fn plan_etcd_members(&self, wish: &EtcdWish) -> Result<ChangePlan, EtcdError> {
        let etcd = self.running_etcd().await?;
        plan_wish(&etcd, wish).await
    }

    /// Replaces a member or moves the lead; returns what was done.
    ///
    /// # Errors
    ///
    /// As [`Lab::plan_etcd_members`]; a step fails.
    pub async fn etcd_members(
        &self,
        wish: &EtcdWish,
        events: &dyn EventSink,
    ) -> Result<ChangePlan, EtcdError> {
        let _lock = self.state().lock()?;
        let etcd = self.running_etcd().await?;
        let plan = plan_wish(&etcd, wish).await?;
        self.apply_members(&etcd, &plan, events).await?;
        // One that was taken out has lost its timer, and may be back.
        settle_schedule(&etcd.spec, &etcd.hosts, events).await?;
        Ok(plan)
    }

    async fn apply_members(
        &self,
        etcd: &RunningEtcd,
        plan: &ChangePlan,
        events: &dyn EventSink,
    ) -> Result<(), EtcdError> {
        let state = self.state();
        let keep = |history: &_| state.keep_etcd_history(etcd.spec.token(), history);
        change::apply(&etcd.spec, plan, &etcd.hosts, &etcd.tls, &keep, events).await?;
        Ok(())
    }

    /// Takes in the members that a larger lab has, and finishes what a killed run began. True if there was anything.
    pub(crate) async fn settle_members(
        &self,
        wired: &Wired,
        hosts: &Hosts,
        events: &dyn EventSink,
    ) -> Result<bool, EtcdError> {
        let etcd = RunningEtcd::of(wired, hosts);
        let plan = plan_change(&etcd, &Wish::default()).await?;
        self.apply_members(&etcd, &plan, events).await?;
        Ok(!plan.is_empty())
    }

    /// Takes members out of the cluster that a smaller lab does not have, while the lab is still as it was.
    pub(crate) async fn dismiss_members(
        &self,
        wired: &Wired,
        hosts: &Hosts,
        leaving: &[MemberName],
        events: &dyn EventSink,
    ) -> Result<(), EtcdError> {
        let etcd = RunningEtcd::of(wired, hosts);
        let plan = plan_change(&etcd, &leave(leaving)).await?;
        self.apply_members(&etcd, &plan, events).await
    }

    /// What [`Lab::settle_members`] will do with the members of `wanted`, some of which have no machine yet.
    pub(crate) async fn growth_on_paper(
        &self,
        wanted: &ClusterSpec,
    ) -> Result<Vec<PlannedStep>, EtcdError> {
        let Some(record) = self.state().record()? else {
            return Ok(Vec::new());
        };
        if wanted.members().iter().all(|m| wanted.is_member(&m.name)) {
            return Ok(Vec::new());
        }
        let was = Self {
            spec: record.spec,
            ..self.clone()
        };
        // Of a lab that is not up, or not whole, that shows when it is.
        let Ok(etcd) = was.running_etcd().await else {
            return Ok(Vec::new());
        };
        let found = change::observe(&etcd.spec, &etcd.hosts, &etcd.tls).await;
        let Ok(mut found) = found else {
            return Ok(Vec::new());
        };
        for member in wanted.members() {
            // Its machine will be there by then.
            let blank = Site {
                reachable: true,
                ..Site::default()
            };
            found.sites.entry(member.name.clone()).or_insert(blank);
        }
        Ok(change::plan(wanted, &Wish::default(), &found)?.steps)
    }
}

/// What will be done with members that leave.
pub(crate) async fn plan_leaving(
    wired: &Wired,
    hosts: &Hosts,
    leaving: &[MemberName],
) -> Result<Vec<PlannedStep>, EtcdError> {
    let plan = plan_change(&RunningEtcd::of(wired, hosts), &leave(leaving)).await?;
    Ok(plan.steps)
}

/// Whether a member is not yet in the cluster with a vote, or no more, so that forming leaves it alone.
pub(crate) fn has_pending(spec: &ClusterSpec, observed: &Observed) -> bool {
    use MemberState::{Learner, NotAdded, Removed};
    let mut states = spec.members().iter().map(|m| observed.state(spec, &m.name));
    states.any(|state| matches!(state, Some(Learner | NotAdded | Removed)))
}

/// The steps that are pending.
pub(crate) async fn plan_pending(
    wired: &Wired,
    hosts: &Hosts,
) -> Result<Vec<PlannedStep>, EtcdError> {
    let plan = plan_change(&RunningEtcd::of(wired, hosts), &Wish::default()).await?;
    Ok(plan.steps)
}

fn leave(members: &[MemberName]) -> Wish {
    members.iter().cloned().fold(Wish::default(), Wish::remove)
}

async fn plan_wish(etcd: &RunningEtcd, wish: &EtcdWish) -> Result<ChangePlan, EtcdError> {
    match wish {
        EtcdWish::Replace(member) => {
            plan_change(etcd, &Wish::default().replace(member.clone())).await
        }
        EtcdWish::MoveLeader(to) => {
            let found = change::observe(&etcd.spec, &etcd.hosts, &etcd.tls).await?;
            Ok(change::plan_move_leader(&etcd.spec, to.as_ref(), &found)?)
        }
    }
}

async fn plan_change(etcd: &RunningEtcd, wish: &Wish) -> Result<ChangePlan, EtcdError> {
    let found = change::observe(&etcd.spec, &etcd.hosts, &etcd.tls).await?;
    Ok(change::plan(&etcd.spec, wish, &found)?)
}
