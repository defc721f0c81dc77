//! An authority, or the key of service accounts, replaced while the lab runs: phase after phase, each brought to every
//! machine and proven at every port before the next.
//!
//! The phases and their order are those of [`pki::rotation`]; which one a lab is in is a word in its store, from which
//! every file of every machine follows. So a run that was killed goes on by bringing the lab to that phase once more,
//! and `lab up` in between keeps it there.

mod error;

pub use error::RotateError;

use super::{
    RotationRecord,
    changes::{self, Changes},
    gate::Gate,
    holders::{Search, is_held},
};
use crate::{Blueprint, Hosts, Lab, LabPlanError, ObserveError, Wired};
use host_exec::EventSink;
use k8s_bootstrap::{component::SIGNER_CA, trust};
use netplan::Role;
use pki::{
    CaRole, OsRandom, PkiPlan,
    rotation::{self, Phase, Rotated, RotationError},
};
use serde::Serialize;
use std::path::Path;
use time::OffsetDateTime;

/// How a rotation is moved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RotateWish {
    /// Through its phases, up to one or, without one, to the end.
    Forward {
        /// The phase to stop in.
        to: Option<Phase>,
        /// Drop the old one although pods may hold it.
        force: bool,
    },
    /// One phase back.
    Back {
        /// Drop the new one although pods may hold its tokens.
        force: bool,
    },
}

/// Where a rotation has come to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RotateReport {
    /// What was rotated.
    pub rotated: Rotated,
    /// The phase that it is in; none when it has ended, or was taken back altogether.
    pub phase: Option<Phase>,
    /// Pods that may hold the old one, and Secrets with a token that it has signed: they keep it from being dropped.
    pub held_by: Vec<String>,
}

/// What a rotation would do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RotatePlan {
    /// What would be rotated.
    pub rotated: Rotated,
    /// The phase that it is in, if it has begun.
    pub at: Option<Phase>,
    /// The phases that are left, each with a line for every step.
    pub phases: Vec<PlannedPhase>,
}

/// A phase that is left.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PlannedPhase {
    /// Which; none is the lab as it was before the rotation.
    pub phase: Option<Phase>,
    /// What would be done, in order.
    pub steps: Vec<String>,
}

impl Lab {
    /// What [`Lab::rotate`] would do. Changes nothing.
    ///
    /// # Errors
    ///
    /// There is no lab, it is not whole, another rotation or an upgrade has not ended; no way back.
    pub async fn plan_rotation(
        &self,
        rotated: Rotated,
        wish: RotateWish,
    ) -> Result<RotatePlan, RotateError> {
        let (blueprint, hosts) = self.rotatable(rotated).await?;
        let store = self.store();
        let at = store.rotation(rotated).map_err(RotationError::from)?;
        let wired = self.wire(&blueprint, &self.token_to_look_with::<LabPlanError>()?)?;
        let mut phases = Vec::new();
        for (phase, changed) in ahead(rotated, at, wish)? {
            let steps = match changed {
                Some(Phase::Add) => vec![format!(
                    "{rotated} is made anew in the store, beside the old one"
                )],
                Some(changed) => {
                    let changes = Changes::of_phase(rotated, changed);
                    changes::lines(&wired, &hosts, &blueprint.pki, &changes).await?
                }
                None => vec![format!("the new {rotated} is removed from the store")],
            };
            phases.push(PlannedPhase { phase, steps });
        }
        Ok(RotatePlan {
            rotated,
            at,
            phases,
        })
    }

    /// Moves a rotation, beginning it if there is none.
    ///
    /// # Errors
    ///
    /// As [`Lab::plan_rotation`]; a phase that does not arrive; no way back. Pods that hold the old one are *not* an
    /// error: the report names them.
    pub async fn rotate(
        &self,
        rotated: Rotated,
        wish: RotateWish,
        events: &dyn EventSink,
    ) -> Result<RotateReport, RotateError> {
        let (blueprint, hosts) = self.rotatable(rotated).await?;
        let _lock = self.state().lock()?;
        let run = Run {
            lab: self,
            blueprint,
            hosts,
            rotated,
            events,
        };
        match wish {
            RotateWish::Back { force } => run.back(force).await,
            RotateWish::Forward { to, force } => {
                run.forward(to.unwrap_or(Phase::Drop), force).await
            }
        }
    }

    async fn rotatable(&self, rotated: Rotated) -> Result<(Blueprint, Hosts), RotateError> {
        let settled = self.settled().await?;
        self.refuse_rotating(Some(rotated))?;
        Ok(settled)
    }
}

/// A phase, none at the end of the way back, and the one whose changes are made on the way to it: back from a phase the
/// same files change as on the way there. None is for no machine.
type Ahead = (Option<Phase>, Option<Phase>);

/// The phases that a wish leads through.
fn ahead(
    rotated: Rotated,
    at: Option<Phase>,
    wish: RotateWish,
) -> Result<Vec<Ahead>, RotationError> {
    let to = match wish {
        RotateWish::Forward { to, .. } => to.unwrap_or(Phase::Drop),
        RotateWish::Back { .. } => {
            let at = at.ok_or(RotationError::NotRotating(rotated))?;
            return Ok(vec![(at.back()?, (at != Phase::Add).then_some(at))]);
        }
    };
    let left = Phase::ALL.into_iter().filter(|phase| *phase <= to);
    let left = left.filter(|phase| at.is_none_or(|at| *phase > at));
    Ok(left.map(|phase| (Some(phase), Some(phase))).collect())
}

struct Run<'a> {
    lab: &'a Lab,
    blueprint: Blueprint,
    hosts: Hosts,
    rotated: Rotated,
    events: &'a dyn EventSink,
}

impl Run<'_> {
    async fn forward(&self, to: Phase, force: bool) -> Result<RotateReport, RotateError> {
        let (store, lab) = (self.lab.store(), self.lab);
        let life = self.blueprint.pki.authority_life;
        let is_new = store
            .rotation(self.rotated)
            .map_err(RotationError::from)?
            .is_none();
        let kind = self.blueprint.pki.key;
        let mut phase = rotation::begin(&store, self.rotated, life, kind, lab.now, &OsRandom)?;
        loop {
            // Also the phase that was there: whoever began it may have been killed. The first changes no machine.
            if phase != Phase::Add || !is_new {
                self.enter(phase).await?;
            }
            let Some(next) = phase.next().filter(|next| *next <= to) else {
                break;
            };
            if next == Phase::Drop && !force {
                let held_by = self.held_by(phase).await?;
                if !held_by.is_empty() {
                    return Ok(self.report(Some(phase), held_by));
                }
            }
            rotation::advance(&store, self.rotated, next)?;
            phase = next;
        }
        if phase != Phase::Drop {
            return Ok(self.report(Some(phase), Vec::new()));
        }
        self.forget().await?;
        rotation::finish(&store, self.rotated)?;
        lab.state().forget_rotation()?;
        Ok(self.report(None, Vec::new()))
    }

    async fn back(&self, force: bool) -> Result<RotateReport, RotateError> {
        let store = self.lab.store();
        let at = store.rotation(self.rotated).map_err(RotationError::from)?;
        if let Some(at @ (Phase::Add | Phase::Trust)) = at {
            // Whoever came back to it may have been killed: machines may still show, or trust, what goes next.
            self.enter(at).await?;
            // Tokens of the new key, from when it signed.
            let held_by = match self.rotated {
                Rotated::ServiceAccount if at == Phase::Trust && !force => self.held_by(at).await?,
                _ => Vec::new(),
            };
            if !held_by.is_empty() {
                return Ok(self.report(Some(at), held_by));
            }
        }
        let phase = rotation::step_back(&store, self.rotated)?;
        if phase.is_none_or(|phase| phase == Phase::Add) {
            // Whoever starts from here on is told of the old one alone.
            self.lab.state().forget_rotation()?;
        }
        if let Some(phase) = phase {
            self.enter(phase).await?;
        }
        Ok(self.report(phase, Vec::new()))
    }

    fn report(&self, phase: Option<Phase>, held_by: Vec<String>) -> RotateReport {
        RotateReport {
            rotated: self.rotated,
            phase,
            held_by,
        }
    }

    /// Brings the lab to a phase, and returns when it has arrived everywhere.
    async fn enter(&self, phase: Phase) -> Result<(), RotateError> {
        let (lab, step) = (self.lab, format!("{} of {}", phase, self.rotated));
        self.events.started("", &step);
        let plan = PkiPlan::new(&self.blueprint.pki, &lab.store(), lab.now)?;
        pki::apply(&lab.store(), &plan, lab.now, &OsRandom)?;
        let changed = lab.bring(&self.blueprint, &self.hosts, self.events).await?;
        let wired = self.wired()?;
        let gate = Gate {
            lab,
            wired: &wired,
            hosts: &self.hosts,
            events: self.events,
        };
        let arrived = gate.arrived(self.rotated, phase).await;
        arrived.map_err(|source| RotateError::Gate {
            rotated: self.rotated,
            phase,
            source: Box::new(source),
        })?;
        if is_held(self.rotated, phase) {
            self.replace_own(&wired, phase).await?;
        }
        if changed {
            // A kubelet that has just started calls its pods not ready for a moment, and the controllers that take them
            // in again may have just started too.
            let answers = lab
                .await_dns(&self.blueprint, &self.hosts, self.events)
                .await;
            answers.map_err(|error| RotateError::Dns(Box::new(error)))?;
        }
        self.events.done("", &step, "has arrived");
        Ok(())
    }

    fn wired(&self) -> Result<Wired, RotateError> {
        let token = self.lab.token_to_look_with::<LabPlanError>()?;
        Ok(self.lab.wire(&self.blueprint, &token)?)
    }

    /// Remembers when pods were told of the new one, and has those of the lab's own that hold the other start anew.
    async fn replace_own(&self, wired: &Wired, phase: Phase) -> Result<(), RotateError> {
        let told = match self.told()? {
            None if self.rotated != Rotated::ServiceAccount => {
                let told = trust::told_at(&wired.kubernetes, &self.hosts).await;
                told.map_err(ObserveError::from)?
            }
            told => told,
        };
        if let Some(told) = told {
            self.lab.state().remember_rotation(&RotationRecord {
                rotated: self.rotated.name().to_owned(),
                told: told.unix_timestamp(),
            })?;
        }
        self.search(wired, phase, told)
            .replace_own(self.events)
            .await
    }

    /// The users' pods that may hold what goes after a phase, and Secrets that do.
    async fn held_by(&self, phase: Phase) -> Result<Vec<String>, RotateError> {
        let wired = self.wired()?;
        let search = self.search(&wired, phase, self.told()?);
        let pods = search.all().await?;
        let pods = pods.iter().map(ToString::to_string);
        Ok(pods.chain(search.secrets().await?).collect())
    }

    fn search<'s>(
        &'s self,
        wired: &'s Wired,
        phase: Phase,
        told: Option<OffsetDateTime>,
    ) -> Search<'s> {
        Search {
            lab: self.lab,
            wired,
            hosts: &self.hosts,
            rotated: self.rotated,
            phase,
            told,
        }
    }

    fn told(&self) -> Result<Option<OffsetDateTime>, RotateError> {
        let record = self.lab.state().rotation()?;
        let own = record.filter(|record| record.rotated == self.rotated.name());
        Ok(own.and_then(|own| OffsetDateTime::from_unix_timestamp(own.told).ok()))
    }

    /// Takes away what of the old one no file of a machine says any more.
    async fn forget(&self) -> Result<(), RotateError> {
        let store = self.lab.store();
        let front_proxy = Rotated::Authority(CaRole::FrontProxy);
        if matches!(
            self.rotated,
            Rotated::Authority(CaRole::Kubernetes | CaRole::FrontProxy)
        ) {
            let front_proxy = store.trusted(front_proxy).map_err(RotationError::from)?;
            let wired = self.wired()?;
            let told = trust::tell_aggregated(&wired.kubernetes, &self.hosts, &front_proxy);
            told.await.map_err(ObserveError::from)?;
        }
        if self.rotated == Rotated::Authority(CaRole::Kubernetes) {
            for name in self.blueprint.hosts_of(Role::ControlPlane) {
                if let Some(host) = self.hosts.get(&name) {
                    host.remove_file(Path::new(SIGNER_CA)).await?;
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plan_has_the_phases_that_are_gone_through() {
        let phases = |at, wish| {
            let ahead = ahead(Rotated::ServiceAccount, at, wish);
            ahead.map(|phases| {
                phases
                    .into_iter()
                    .map(|(phase, _)| phase)
                    .collect::<Vec<_>>()
            })
        };
        let forward = |to| RotateWish::Forward { to, force: false };
        let all = Phase::ALL.map(Some);
        assert_eq!(phases(None, forward(None)).ok().as_deref(), Some(&all[..]));
        let some = phases(Some(Phase::Add), forward(Some(Phase::Swap))).ok();
        assert_eq!(some.as_deref(), Some(&all[1..3]));
        let back = RotateWish::Back { force: false };
        assert_eq!(
            phases(Some(Phase::Swap), back).ok(),
            Some(vec![Some(Phase::Trust)])
        );
        assert_eq!(phases(Some(Phase::Add), back).ok(), Some(vec![None]));
        assert!(phases(Some(Phase::Drop), back).is_err());
        assert!(phases(None, back).is_err());
    }
}
