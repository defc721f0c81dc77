//! Looking at the members, and waiting for what they say.

use super::{Rig, SOON};
use crate::scene::member_name;
use anyhow::Context as _;
use etcd_bootstrap::{ANSWER_TIMEOUT, MemberName, MemberState, Observed, Probe, observe};
use host_exec::poll::{self, Attempt, Wait};
use std::{collections::BTreeMap, convert::Infallible, future::Future, time::Duration};

impl Rig {
    /// What the library sees.
    ///
    /// # Errors
    ///
    /// A machine cannot be looked at.
    pub async fn observe(&self) -> anyhow::Result<Observed> {
        let spec = self.scene.spec()?;
        Ok(observe(&spec, &self.hosts()?, &self.scene.tls(&spec)?).await?)
    }

    /// Where each member stands, in the library's words.
    ///
    /// # Errors
    ///
    /// A machine cannot be looked at.
    pub async fn states(&self) -> anyhow::Result<BTreeMap<u8, MemberState>> {
        let (spec, observed) = (self.scene.spec()?, self.observe().await?);
        let state = |number: &u8| {
            let state = observed.state(&spec, &member_name(*number));
            Ok((*number, state.context("not observed")?))
        };
        self.scene.members.iter().map(state).collect()
    }

    /// Questions to the members.
    ///
    /// # Errors
    ///
    /// A certificate is missing.
    pub fn probe(&self) -> anyhow::Result<Probe> {
        let spec = self.scene.spec()?;
        let tls = self.scene.tls(&spec)?;
        Ok(Probe::new(&spec, &self.hosts()?, &tls, ANSWER_TIMEOUT)?)
    }

    /// The member that leads, once one is known; and its term.
    ///
    /// # Errors
    ///
    /// None leads within half a minute.
    pub async fn leader(&self) -> anyhow::Result<(u8, u64)> {
        let (spec, probe) = (self.scene.spec()?, self.probe()?);
        let ids = spec.member_ids();
        let (ids, probe) = (&ids, &probe);
        self.eventually("leader", SOON, || async move {
            for number in &self.scene.members {
                let Ok(status) = probe.status(&member_name(*number)).await else {
                    continue;
                };
                let leader = self.scene.members.iter().find(|other| {
                    let id = ids.get(&member_name(**other)).copied();
                    id.is_some() && id == status.leader
                });
                // By its own word, since the others may still follow one that is gone.
                if leader == Some(number) {
                    return Some((*number, status.raft_term));
                }
            }
            None
        })
        .await
    }

    /// Looks again and again until there is something.
    ///
    /// # Errors
    ///
    /// There is nothing within `limit`.
    pub async fn eventually<T, F, Fut>(
        &self,
        what: &str,
        limit: Duration,
        mut look: F,
    ) -> anyhow::Result<T>
    where
        F: FnMut() -> Fut,
        Fut: Future<Output = Option<T>>,
    {
        let wait = Wait::new(what, limit).longest_pause(Duration::from_millis(20));
        let look = || {
            let found = look();
            async move {
                Ok::<_, Infallible>(match found.await {
                    Some(found) => Attempt::Ready(found),
                    None => Attempt::NotYet("not yet".into()),
                })
            }
        };
        Ok(poll::until(&wait, look).await?)
    }

    /// Waits until members `numbers` take reads and writes.
    ///
    /// # Errors
    ///
    /// One of them does not within `limit`.
    pub async fn ready(&self, numbers: &[u8], limit: Duration) -> anyhow::Result<()> {
        let (spec, probe) = (self.scene.spec()?, self.probe()?);
        let names: Vec<MemberName> = numbers.iter().map(|number| member_name(*number)).collect();
        let events = host_exec::event::Silent;
        Ok(etcd_bootstrap::wait_ready(&spec, &names, &probe, limit, &events).await?)
    }
}
