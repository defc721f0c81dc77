//! From one version of Kubernetes to the next, one machine at a time.
//!
//! The order is k8s-bootstrap's ([`skew::steps`]); each step is remembered, then reached like any state of the lab,
//! then confirmed. A run that was killed is gone on with by the next, and so is `lab up` in the middle of one. A step
//! that does not come true is taken back before the run ends.

mod backup;
mod error;
mod programs;
mod record;

pub use backup::Backup;
pub use error::{StepError, UpgradeError};
pub use record::{UnderWay, Upgrades};

use crate::{
    Blueprint, GuestStep, Hosts, Lab, LabPlanError, Machines, ObserveError, StateError, Wired,
    blueprint::PROGRAMS_DIR, plan::plan_kubernetes,
};
use artifacts::Version;
use host_exec::{EventSink, HostName};
use k8s_bootstrap::{
    Action, Desired, ExpiringToken,
    retire::{self, DrainOptions},
    skew::Step,
    upgrade::{ConfirmError, confirm},
};
use pki::PkiPlan;
use std::collections::BTreeMap;

/// What an upgrade did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Upgraded {
    /// The version before.
    pub from: Version,
    /// The steps that were done now; none if the lab was there already.
    pub steps: Vec<Step>,
    /// What was put aside before the first of them; `None` where an earlier run had done so.
    pub backup: Option<Backup>,
}

/// What an upgrade would do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UpgradePlan {
    /// The version before.
    pub from: Version,
    /// Every step, in order.
    pub steps: Vec<Step>,
    /// How many of them have been begun by a run that did not end.
    pub begun: usize,
    /// What is sent to machines before the first of them, where they do not see this machine's programs. Of a machine
    /// that does not run nothing is known.
    pub programs: BTreeMap<HostName, Vec<GuestStep>>,
    /// The images that each node is given before the first of them, where programs run in pods. Of a machine that does
    /// not run nothing is known.
    pub images: BTreeMap<HostName, Vec<String>>,
}

/// Everything that the steps share.
struct Run<'a> {
    lab: &'a Lab,
    blueprint: Blueprint,
    token: ExpiringToken,
    hosts: Hosts,
    steps: Vec<Step>,
    events: &'a dyn EventSink,
}

impl Lab {
    /// The steps from the version that the lab has to another. Changes nothing.
    ///
    /// # Errors
    ///
    /// There is no lab, or the upgrade is impossible.
    pub async fn plan_upgrade(&self, to: Version) -> Result<UpgradePlan, UpgradeError> {
        let blueprint = self.upgradable(to).await?;
        let under_way = self.under_way(to)?;
        let steps = blueprint.upgrade_steps(&under_way)?;
        let (mut programs, mut images) = (BTreeMap::new(), BTreeMap::new());
        if !steps.is_empty() {
            let seen = self.see(&blueprint).await?;
            images = self.lacking_images(&blueprint, to, &seen.hosts).await?;
            programs = programs::lacking(&blueprint.at(under_way), &seen.hosts).await?;
        }
        Ok(UpgradePlan {
            from: under_way.from,
            steps,
            begun: under_way.begun,
            programs,
            images,
        })
    }

    /// Upgrades the lab, from whatever an earlier run has left. With nothing left to do it changes nothing.
    ///
    /// # Errors
    ///
    /// The upgrade is impossible, or a step failed; then the message says how the lab is now.
    pub async fn upgrade(
        &self,
        to: Version,
        events: &dyn EventSink,
    ) -> Result<Upgraded, UpgradeError> {
        let blueprint = self.upgradable(to).await?;
        let mut under_way = self.under_way(to)?;
        let from = under_way.from;
        let steps = blueprint.upgrade_steps(&under_way)?;
        if let Some(first @ Step::Etcd { .. }) = steps.first() {
            return Err(UpgradeError::Etcd(first.to_string()));
        }
        if steps.is_empty() {
            let (steps, backup) = (Vec::new(), None);
            return Ok(Upgraded {
                from,
                steps,
                backup,
            });
        }
        let state = self.state();
        let _lock = state.lock()?;
        self.at_version(to).programs(None, events).await?;
        let (blueprint, hosts) = self.machines_for_upgrade(blueprint).await?;
        programs::send(&blueprint.clone().at(under_way), &hosts, events).await?;
        self.import_version(&blueprint, to, &hosts, events).await?;
        let run = Run {
            lab: self,
            blueprint,
            token: self.token_to_look_with::<LabPlanError>()?,
            hosts,
            steps,
            events,
        };
        let new = under_way.begun == 0 && state.upgrades()?.is_none_or(|u| u.under_way.is_none());
        let backup = if new {
            Some(run.begin(under_way).await?)
        } else {
            None
        };
        let first = run.first(under_way).await?;
        for at in first..run.steps.len() {
            under_way.begun = at + 1;
            run.step(under_way).await?;
        }
        run.certify(under_way).await?;
        run.finish(to)?;
        // What ran on the last nodes may have just begun elsewhere.
        self.await_dns(&run.blueprint, &run.hosts, events).await?;
        Ok(Upgraded {
            from,
            steps: run.steps[first..].to_vec(),
            backup,
        })
    }

    /// The lab as it is, if it can be upgraded at all.
    async fn upgradable(&self, to: Version) -> Result<Blueprint, UpgradeError> {
        if self.state().record()?.is_none() {
            return Err(UpgradeError::NoLab(to));
        }
        let blueprint = self.draft().await?;
        blueprint.refuse_restoring()?;
        self.refuse_rotating(None)?;
        Ok(blueprint)
    }

    /// The upgrade that has begun, or the one that is asked for.
    fn under_way(&self, to: Version) -> Result<UnderWay, UpgradeError> {
        let upgrades = self.state().upgrades()?;
        match upgrades.and_then(|upgrades| upgrades.under_way) {
            None => Ok(UnderWay::new(self.spec.kubernetes, to)),
            Some(under_way) if under_way.to == to => Ok(under_way),
            Some(UnderWay { from, to, .. }) => Err(UpgradeError::Other { from, to }),
        }
    }

    /// The lab with what its machines tell of themselves, and the machines, all of which have to run and, if they are
    /// namespaces, see the programs of other versions.
    async fn machines_for_upgrade(
        &self,
        blueprint: Blueprint,
    ) -> Result<(Blueprint, Hosts), UpgradeError> {
        let seen = self.see(&blueprint).await?;
        if !seen.all_run() {
            let down = seen.states.iter().find(|(_, state)| !state.runs());
            let name = down.map(|(name, _)| name.to_string()).unwrap_or_default();
            return Err(UpgradeError::NotWell(format!("{name} does not run")));
        }
        let blueprint = self.informed(blueprint, &seen).await;
        if let Machines::Vms(_) = blueprint.machines {
            return Ok((blueprint, seen.hosts));
        }
        for (name, host) in &seen.hosts {
            let list = host_exec::Command::new("ls").args(["-d", "--", PROGRAMS_DIR]);
            if !host
                .output(&list)
                .await?
                .stdout_text()
                .contains(PROGRAMS_DIR)
            {
                let machine = name.clone();
                return Err(UpgradeError::OldMachine { machine });
            }
        }
        Ok((blueprint, seen.hosts))
    }
}

impl Run<'_> {
    /// Looks whether the cluster is well, puts aside what an upgrade could spoil, and remembers that it begins.
    async fn begin(&self, under_way: UnderWay) -> Result<Backup, UpgradeError> {
        let wired = self.wired_at(under_way)?;
        let health = k8s_bootstrap::health(&wired.kubernetes, &self.hosts).await;
        let health = health.map_err(ObserveError::from)?;
        if let Some(bad) = health.into_iter().find(|condition| !condition.ok) {
            return Err(UpgradeError::NotWell(bad.to_string()));
        }
        let step = "backup";
        self.events.started("", step);
        let dir = self.lab.state().backup(under_way.from, under_way.to);
        let backup = backup::take(&wired, &self.hosts, &dir).await?;
        let said = format!(
            "etcd at revision {}, {} files",
            backup.revision, backup.files
        );
        self.events.done("", step, &said);
        self.remember(Some(under_way))?;
        Ok(backup)
    }

    /// The step to go on with: the one that was begun last, unless it has been finished.
    async fn first(&self, under_way: UnderWay) -> Result<usize, UpgradeError> {
        let Some(last) = under_way.begun.checked_sub(1) else {
            return Ok(0);
        };
        let wired = self.wired_at(under_way)?;
        let plan = plan_kubernetes(&wired, &self.hosts).await?;
        let open = match &self.steps[last] {
            Step::Node { node, .. } => {
                let found = retire::see_node(&wired.kubernetes, &self.hosts, node).await?;
                retire::plan_uncordon(&found)?.is_empty()
            }
            _ => true,
        };
        let finished = plan.is_empty() && open;
        Ok(if finished { under_way.begun } else { last })
    }

    /// Does one step, and takes it back if it does not come true.
    async fn step(&self, under_way: UnderWay) -> Result<(), UpgradeError> {
        let step = &self.steps[under_way.begun - 1];
        let (machine, name) = (machine_of(step), "upgrade");
        self.events.started(machine, name);
        let Err(cause) = self.reach(step, under_way).await else {
            self.events.done(machine, name, &step.to_string());
            return Ok(());
        };
        self.events.failed(machine, name, &cause.to_string());
        let before = UnderWay {
            begun: under_way.begun - 1,
            ..under_way
        };
        let way_back = "way back";
        self.events.started(machine, way_back);
        let (step_text, cause) = (step.to_string(), Box::new(cause));
        match self.reach(step, before).await {
            Ok(()) => {
                self.events.done(machine, way_back, "as before the step");
                Err(UpgradeError::TakenBack {
                    step: step_text,
                    cause,
                })
            }
            Err(back) => Err(UpgradeError::Stuck {
                step: step_text,
                cause,
                back: Box::new(back),
            }),
        }
    }

    /// Brings the machine of a step to where it is at `at`, and confirms it. Used for the way there and the way back.
    async fn reach(&self, step: &Step, at: UnderWay) -> Result<(), StepError> {
        let wired = self.wired_at(at)?;
        if let Step::Node { node, .. } = step {
            // What only one node has cannot go elsewhere, and what an emptyDir holds goes with its pod: an upgrade of
            // a machine is announced, unlike its loss.
            let options = DrainOptions {
                force: true,
                delete_emptydir_data: true,
                ..DrainOptions::default()
            };
            retire::drain(&wired.kubernetes, &self.hosts, node, options, self.events).await?;
        }
        // Before the step changes anything: whoever comes next finds what was meant.
        self.remember(Some(at))?;
        let mut plan = plan_kubernetes(&wired, &self.hosts).await?;
        if let Step::Node { .. } = step {
            // It takes no pods yet, and may be the only one that could have the name server.
            plan.steps
                .retain(|step| !matches!(step.action, Action::AwaitDns));
        }
        k8s_bootstrap::apply(&wired.kubernetes, &plan, &self.hosts, self.events).await?;
        self.confirm(step, &wired.kubernetes).await?;
        if let Step::Node { node, .. } = step {
            retire::uncordon(&wired.kubernetes, &self.hosts, node, self.events).await?;
            // The next is drained when the name server is back.
            let plan = plan_kubernetes(&wired, &self.hosts).await?;
            k8s_bootstrap::apply(&wired.kubernetes, &plan, &self.hosts, self.events).await?;
        }
        Ok(())
    }

    async fn confirm(&self, step: &Step, desired: &Desired) -> Result<(), ConfirmError> {
        match step {
            Step::ControlPlane { node, .. } | Step::Node { node, .. } => {
                confirm(desired, &self.hosts, node).await
            }
            Step::Etcd { .. } | Step::Objects { .. } => Ok(()),
        }
    }

    fn remember(&self, under_way: Option<UnderWay>) -> Result<(), StateError> {
        self.lab.state().remember_upgrades(&Upgrades {
            made_with: self.blueprint.programs.versions.kubernetes,
            under_way,
        })
    }

    /// The certificates become those that go with the new version: some identities have other groups there, and the
    /// bindings that they need have come with the last step.
    async fn certify(&self, at: UnderWay) -> Result<(), UpgradeError> {
        let blueprint = self.blueprint.clone().at(at).certified_for(at.to)?;
        let (lab, step) = (self.lab, "certificates");
        let plan = PkiPlan::new(&blueprint.pki, &lab.store(), lab.now);
        let plan = plan.map_err(ObserveError::from)?;
        self.events.started("", step);
        let report = pki::apply(&lab.store(), &plan, lab.now, &pki::OsRandom)?;
        let said = format!("{} issued for {}", report.written.len(), at.to);
        self.events.done("", step, &said);
        let brought = lab.bring(&blueprint, &self.hosts, self.events).await;
        brought
            .map(drop)
            .map_err(|error| UpgradeError::Certificates(Box::new(error)))
    }

    /// The version becomes that of the lab.
    fn finish(&self, to: Version) -> Result<(), StateError> {
        // In this order: in between, the lab is at the last step, which leaves nothing to do.
        self.lab.state().remember(&self.lab.spec.at_version(to))?;
        self.remember(None)
    }

    /// The lab's Kubernetes in the middle of an upgrade, with its certificates.
    fn wired_at(&self, at: UnderWay) -> Result<Wired, LabPlanError> {
        let blueprint = self.blueprint.clone().at(at);
        Ok(self.lab.wire(&blueprint, &self.token)?)
    }
}

/// The machine that an event is about; empty for the cluster.
fn machine_of(step: &Step) -> &str {
    match step {
        Step::ControlPlane { node, .. } | Step::Node { node, .. } => node.as_str(),
        Step::Etcd { .. } | Step::Objects { .. } => "",
    }
}
