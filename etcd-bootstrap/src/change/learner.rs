//! Starting a learner, and taking it back when it never comes.

use super::{ChangeError, apply::Change, told::Told};
use crate::{MemberId, MemberName, render};
use host_exec::{
    Host, RunError, files,
    poll::{self, Attempt, Wait, WaitError},
    systemd,
};
use std::{convert::Infallible, slice};

impl Change<'_> {
    /// Writes its files, starts it, and waits until it has joined.
    pub(super) async fn start(&mut self, member: &MemberName) -> Result<(), ChangeError> {
        let Some(id) = self.spec.member_ids().get(member).copied() else {
            return Ok(());
        };
        let (own, host) = self.site(member)?;
        let written = files::ensure(host, &render::all_files(&self.spec, own)).await;
        written.map_err(|source| ChangeError::Files {
            member: member.clone(),
            source,
        })?;
        let started = start_service(host).await;
        started.map_err(|source| ChangeError::Run {
            verb: "start",
            member: member.clone(),
            source,
        })?;
        match self.joined(member, id).await {
            Ok(()) => Ok(()),
            Err(last) => Err(self.take_back(member, id, last).await),
        }
    }

    /// Waits until the others list it with client URLs, which it tells them when it has joined.
    async fn joined(&self, member: &MemberName, id: MemberId) -> Result<(), String> {
        let what = format!("etcd member {member} in the list of its cluster");
        let wait = Wait::new(what, self.spec.ready_limit());
        let told = &Told::new(self.events, member);
        let look = || async move {
            let listed = match self.list(Some(member)).await {
                Ok((_, list)) => list.by_id(id).cloned(),
                Err(failed) => return Ok::<_, Infallible>(Attempt::NotYet(failed.to_string())),
            };
            if listed.is_some_and(|listed| !listed.client_urls.is_empty()) {
                return Ok(Attempt::Ready(()));
            }
            let seen = self.seen(member).await;
            told.tell(&seen);
            Ok(Attempt::NotYet(seen))
        };
        let waited = poll::until(&wait, look).await;
        waited.map_err(|error| match error {
            WaitError::TimedOut { last, .. } => last,
            WaitError::Failed(never) => match never {},
        })
    }

    /// What there is to see of a member that has not joined. It is not asked whether it is ready: with etcd 3.7.3 a
    /// linearizable read that comes too early can hold up all later ones until it ends after 7 s (etcd's source,
    /// `requestCurrentIndex`), and the less it is asked, the more rarely that was seen.
    async fn seen(&self, member: &MemberName) -> String {
        let unit = render::unit_name();
        let state = match self.site(member) {
            Ok((_, host)) => systemd::states(host, slice::from_ref(&unit)).await.ok(),
            Err(_) => None,
        };
        let state = state.and_then(|mut states| states.remove(&unit));
        let service = state.map_or("unknown".into(), |state| state.to_string());
        format!("service {service}; peers: {}", self.look.peer(member).await)
    }

    /// Removes a learner that never joined. If that fails too, it is a learner still, which costs no vote, and the
    /// next run finds it.
    async fn take_back(&mut self, member: &MemberName, id: MemberId, last: String) -> ChangeError {
        let undone = match self.remove(member, id).await {
            Ok(()) => self.take_out(member).await,
            failed => failed,
        };
        match undone {
            Ok(()) => ChangeError::NeverJoined {
                member: member.clone(),
                last,
            },
            Err(error) => error,
        }
    }
}

async fn start_service(host: &dyn Host) -> Result<(), RunError> {
    let unit = render::unit_name();
    let unit = slice::from_ref(&unit);
    systemd::daemon_reload(host).await?;
    systemd::enable(host, unit).await?;
    systemd::start(host, unit).await.map(drop)
}
