//! Doing what a plan of changes says.

use super::{
    ChangePlan, ChangeStep, aside,
    cluster::{List, passes},
    model::name_of,
    told::Told,
};
use crate::{
    ANSWER_TIMEOUT, ClusterSpec, History, Hosts, InitialMembers, Joined, MemberId, MemberName,
    MemberSpec, Probe, SpecError, Tls, WaitReadyError,
    gateway::RequestFailed,
    schedule::{self, RemoveError},
    wait_ready,
};
use host_exec::{
    EventSink, FileError, Host, RunError,
    poll::{self, Attempt, Wait, WaitError},
};
use std::{future::Future, io, time::Duration};

/// The step under which changes of the membership are reported.
pub const MEMBERS_STEP: &str = "etcd: membership";

/// Keeps a [`History`] before anything depends on it.
pub type KeepHistory<'k> = &'k (dyn Fn(&History) -> io::Result<()> + Sync);

/// A change that failed. What was done before it stays, and the next plan goes on from there.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ChangeError {
    /// The history could not be kept.
    #[error(
        "cannot keep the history of the cluster; what was done to {member} will be found by the next run"
    )]
    Keep {
        /// The member that was changed.
        member: MemberName,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// The history does not go with the specification.
    #[error(transparent)]
    History(#[from] SpecError),
    /// The plan is of another cluster.
    #[error("{member} is in the plan and has no machine; plan and apply the same specification")]
    NoMachine {
        /// The member.
        member: MemberName,
    },
    /// etcd refuses, and will go on refusing.
    #[error("cannot change etcd member {member}")]
    Refused {
        /// The member.
        member: MemberName,
        /// What etcd said.
        #[source]
        source: RequestFailed,
    },
    /// etcd went on refusing what mostly passes, or no member answered.
    #[error(
        "cannot change etcd member {member}: {what} after {} s, last: {last}; run this again when the other members \
         are healthy", .after.as_secs()
    )]
    TimedOut {
        /// The member.
        member: MemberName,
        /// What was waited for.
        what: &'static str,
        /// How long.
        after: Duration,
        /// What was seen last.
        last: String,
    },
    /// A learner did not come. It was removed again.
    #[error(
        "etcd member {member} never joined ({last}) and was removed again, so it counts for nothing; \
         `journalctl -u etcd` on its machine says more"
    )]
    NeverJoined {
        /// The member.
        member: MemberName,
        /// What was seen last.
        last: String,
    },
    /// The files of a member could not be written.
    #[error("cannot write the files of etcd member {member}")]
    Files {
        /// The member.
        member: MemberName,
        /// The cause.
        #[source]
        source: FileError,
    },
    /// The service or the data of a member could not be dealt with.
    #[error("cannot {verb} etcd member {member}")]
    Run {
        /// What was to be done.
        verb: &'static str,
        /// The member.
        member: MemberName,
        /// The cause.
        #[source]
        source: RunError,
    },
    /// A member that was promoted does not take reads and writes.
    #[error(transparent)]
    NotReady(#[from] WaitReadyError),
}

/// Does what `plan` says, one step after the other, and returns the cluster with its new history. `keep` is called
/// before a member is started that etcd has just given its ID, and after each removal.
///
/// # Errors
///
/// etcd refuses for another reason than one that passes; a machine does not do what it should; a wait is over.
pub async fn apply(
    spec: &ClusterSpec,
    plan: &ChangePlan,
    hosts: &Hosts,
    tls: &Tls,
    keep: KeepHistory<'_>,
    events: &dyn EventSink,
) -> Result<ClusterSpec, ChangeError> {
    let probe = |timeout| Probe::of_reachable(spec, hosts, tls, timeout);
    let mut change = Change {
        spec: spec.clone(),
        hosts,
        look: probe(ANSWER_TIMEOUT),
        ask: probe(spec.tuning().agreement_limit()),
        keep,
        events,
    };
    if plan.history != *spec.history() {
        let first = spec.members().first().map(|member| member.name.clone());
        if let Some(member) = plan
            .steps
            .first()
            .map(|s| s.step.member().clone())
            .or(first)
        {
            change.keep(&member, plan.history.clone())?;
        }
    }
    for planned in &plan.steps {
        let member = planned.step.member().as_str();
        events.started(member, MEMBERS_STEP);
        change.step(&planned.step).await?;
        events.done(member, MEMBERS_STEP, &planned.action());
    }
    Ok(change.spec)
}

/// A change under way.
pub(super) struct Change<'a> {
    pub(super) spec: ClusterSpec,
    hosts: &'a Hosts,
    /// Questions that a healthy member answers at once.
    pub(super) look: Probe,
    /// Requests that take a round of raft.
    pub(super) ask: Probe,
    keep: KeepHistory<'a>,
    pub(super) events: &'a dyn EventSink,
}

impl Change<'_> {
    async fn step(&mut self, step: &ChangeStep) -> Result<(), ChangeError> {
        match step {
            ChangeStep::MoveLeader { from, to } => self.move_leader(from, to).await,
            ChangeStep::Remove { member, id } => self.remove(member, *id).await,
            ChangeStep::TakeOut { member, .. } => self.take_out(member).await,
            ChangeStep::AddLearner { member, peer_url } => self.add(member, peer_url).await,
            ChangeStep::Start { member } => self.start(member).await,
            ChangeStep::Promote { member } => self.promote(member).await,
        }
    }

    async fn move_leader(&self, from: &MemberName, to: &MemberName) -> Result<(), ChangeError> {
        let Some(id) = self.spec.member_ids().get(to).copied() else {
            return Ok(());
        };
        let look = || async move {
            match self.look.status(from).await {
                Ok(status) if status.leads() => self.ask.move_leader(from, id).await.map(|()| None),
                Ok(status) if status.leader.is_none() => Ok(None),
                // Somebody else leads already.
                Ok(_) | Err(_) => Ok(Some(())),
            }
        };
        self.until(from, "no other leader", look).await
    }

    pub(super) async fn remove(
        &mut self,
        member: &MemberName,
        id: MemberId,
    ) -> Result<(), ChangeError> {
        let this = &*self;
        let look = || async move {
            let (asked, list) = this.list(Some(member)).await?;
            if list.by_id(id).is_none() {
                return Ok(Some(()));
            }
            this.ask.remove_member(&asked, id).await.map(|_| Some(()))
        };
        this.until(member, "not removed", look).await?;
        let mut history = self.spec.history().clone();
        history.record_removed(member);
        self.keep(member, history)
    }

    async fn add(&mut self, member: &MemberName, peer_url: &str) -> Result<(), ChangeError> {
        let this = &*self;
        let look = || async move {
            let (asked, list) = this.list(Some(member)).await?;
            if list.by_url(peer_url).is_some() {
                return Ok(Some(list));
            }
            match this.ask.add_learner(&asked, peer_url).await {
                // The ID is made of address and second. One that was removed in this same second would come back
                // with its ID, which etcd refuses for ever, in these words: the next second gives another.
                Err(failed) if failed.said.contains("member not found") => Ok(None),
                answer => answer.map(Some),
            }
        };
        let list = this.until(member, "not added", look).await?;
        let Some(added) = list.by_url(peer_url) else {
            return Ok(());
        };
        let mut history = self.spec.history().clone();
        let joined = Joined {
            id: added.id,
            initial_cluster: self.initial_cluster(&list),
        };
        history.record_added(member.clone(), joined);
        self.keep(member, history)
    }

    /// The list that etcd returned, which a joiner compares with what running members tell it.
    fn initial_cluster(&self, list: &List) -> InitialMembers {
        let named = list.members.iter().filter_map(|listed| {
            let url = listed.peer_urls.first()?.clone();
            // kubeadm too names those that have not started yet by their IDs.
            let by_id = || listed.id.to_string().parse().ok();
            Some((name_of(listed, &self.spec).or_else(by_id)?, url))
        });
        named.collect()
    }

    async fn promote(&mut self, member: &MemberName) -> Result<(), ChangeError> {
        let Some(id) = self.spec.member_ids().get(member).copied() else {
            return Ok(());
        };
        let this = &*self;
        let look = || async move {
            let (asked, list) = this.list(Some(member)).await?;
            if list.by_id(id).is_some_and(|listed| !listed.is_learner) {
                return Ok(Some(()));
            }
            this.ask.promote_member(&asked, id).await.map(|_| Some(()))
        };
        this.until(member, "not promoted", look).await?;
        let members = std::slice::from_ref(member);
        let limit = self.spec.ready_limit();
        Ok(wait_ready(&self.spec, members, &self.look, limit, self.events).await?)
    }

    pub(super) async fn take_out(&self, member: &MemberName) -> Result<(), ChangeError> {
        let (own, host) = self.site(member)?;
        let run = |source| ChangeError::Run {
            verb: "take out",
            member: member.clone(),
            source,
        };
        // A member that comes back gets its timer again when it is one, see `schedule`.
        match schedule::remove_from(host).await {
            Ok(()) => {}
            Err(RemoveError::Run(source)) => return Err(run(source)),
            Err(RemoveError::File(source)) => {
                let member = member.clone();
                return Err(ChangeError::Files { member, source });
            }
        }
        aside::take_out(own, host).await.map_err(run)
    }

    pub(super) fn site(
        &self,
        member: &MemberName,
    ) -> Result<(&MemberSpec, &dyn Host), ChangeError> {
        let own = self.spec.member(member);
        let host = self.hosts.get(member).map(AsRef::as_ref);
        own.zip(host).ok_or_else(|| ChangeError::NoMachine {
            member: member.clone(),
        })
    }

    fn keep(&mut self, member: &MemberName, history: History) -> Result<(), ChangeError> {
        let kept = (self.keep)(&history);
        self.spec = self.spec.clone().with_history(history)?;
        kept.map_err(|source| ChangeError::Keep {
            member: member.clone(),
            source,
        })
    }

    /// The members, and who told: a ready one that is not `but`, which may be about to go.
    ///
    /// The leader if possible: it alone knows how far a learner is, and a follower that hands on a promotion and is
    /// refused asks again for 7 s before it says so (etcd's source, `PromoteMember`).
    pub(super) async fn list(
        &self,
        but: Option<&MemberName>,
    ) -> Result<(MemberName, List), RequestFailed> {
        let mut last = None;
        let members = self.spec.members().iter().map(|member| member.name.clone());
        let leader = self.leader(but).await;
        for name in leader.into_iter().chain(members) {
            let passed_over = Some(&name) == but || !self.spec.is_member(&name);
            if passed_over || !matches!(self.look.readiness(&name).await, Ok(None)) {
                continue;
            }
            match self.look.list_members(&name).await {
                Ok(list) => return Ok((name, list)),
                Err(failed) => last = Some(failed),
            }
        }
        Err(last.unwrap_or_else(|| RequestFailed {
            member: but
                .cloned()
                .unwrap_or_else(|| self.spec.members()[0].name.clone()),
            what: "find another member to ask",
            said: "no member is ready".into(),
        }))
    }

    /// Whom the first member that answers follows. One that is just coming in would only hang.
    async fn leader(&self, but: Option<&MemberName>) -> Option<MemberName> {
        let ids = self.spec.member_ids();
        for name in ids.keys().filter(|name| Some(*name) != but) {
            if let Ok(Some(leader)) = self.look.status(name).await.map(|status| status.leader) {
                let mut known = ids.iter();
                return known
                    .find(|(_, id)| **id == leader)
                    .map(|(name, _)| name.clone());
            }
        }
        None
    }

    /// Looks again while etcd refuses for a reason that passes.
    pub(super) async fn until<T, F, Fut>(
        &self,
        member: &MemberName,
        what: &'static str,
        mut look: F,
    ) -> Result<T, ChangeError>
    where
        F: FnMut() -> Fut,
        Fut: Future<Output = Result<Option<T>, RequestFailed>>,
    {
        let limit = self.spec.ready_limit();
        let wait = Wait::new(format!("change of etcd member {member}"), limit);
        let told = &Told::new(self.events, member);
        let attempt = |answer: Result<Option<T>, RequestFailed>| match answer {
            Ok(Some(value)) => Ok(Attempt::Ready(value)),
            Ok(None) => Ok(Attempt::NotYet("not yet".into())),
            Err(failed) if passes(&failed) => {
                told.tell(&failed.said);
                Ok(Attempt::NotYet(failed.to_string()))
            }
            Err(failed) => Err(failed),
        };
        let polled = poll::until(&wait, || {
            let answer = look();
            async move { attempt(answer.await) }
        });
        polled.await.map_err(|error| match error {
            WaitError::Failed(source) => ChangeError::Refused {
                member: member.clone(),
                source,
            },
            WaitError::TimedOut { after, last, .. } => ChangeError::TimedOut {
                member: member.clone(),
                what,
                after,
                last,
            },
        })
    }
}
