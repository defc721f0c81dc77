//! The lab's etcd from one version to the next.

use super::{EtcdRecord, EtcdScheduleError, PROGRAMS, RunningEtcd, settle_schedule};
use crate::{
    Blueprint, BlueprintError, DraftError, Lab, LabPlanError, Machines, RotatingError,
    SendProgramsError, StateDir, StateError, SupplyError, UpError, blueprint::etcd_of,
    guest::ProgramSet, lab::programs_places,
};
use artifacts::{DEFAULT_KUBERNETES, NEWEST_MINOR, OLDEST_MINOR, Version};
use etcd_bootstrap::{
    ANSWER_TIMEOUT, ClusterSpec, MemberName, MemberProgram, Probe, Unreachable,
    upgrade::{
        self, Facts, FactsError, Journal, JournalError, UpgradeError, UpgradePlan, UpgradeRefused,
    },
};
use futures::future::try_join_all;
use host_exec::EventSink;
use std::path::PathBuf;

/// The step under which programs are sent to VMs.
const SEND_STEP: &str = "etcd: send programs";

/// etcd that could not be upgraded.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EtcdUpgradeError {
    /// No version set has it.
    #[error(
        "etcd {0} is in no version set; `lab programs --kubernetes VERSION` says which goes with a Kubernetes"
    )]
    Unknown(Version),
    /// Certificates are on their way from one authority to the next.
    #[error(transparent)]
    Rotating(#[from] RotatingError),
    /// The lab could not be worked out.
    #[error(transparent)]
    Draft(#[from] DraftError),
    /// What each crate wants told.
    #[error(transparent)]
    Blueprint(#[from] BlueprintError),
    /// The lab could not be looked at.
    #[error(transparent)]
    Lab(Box<LabPlanError>),
    /// The lab's directory.
    #[error(transparent)]
    State(#[from] StateError),
    /// The programs of the version could not be had.
    #[error(transparent)]
    Programs(#[from] SupplyError),
    /// The programs could not be sent to a VM.
    #[error("cannot send the programs of the new etcd to its machine; nothing has been changed")]
    Send(#[from] SendProgramsError),
    /// A machine of etcd does not run.
    #[error("a machine of etcd does not run; `lab up` starts it")]
    Unreachable(#[from] Unreachable),
    /// A member could not be looked at.
    #[error(transparent)]
    Facts(#[from] FactsError),
    /// It must not be begun.
    #[error(transparent)]
    Refused(#[from] UpgradeRefused),
    /// A step failed.
    #[error(transparent)]
    Step(#[from] UpgradeError),
    /// etcd is upgraded, and the timers of its snapshots still have the old programs; `lab up` mends that.
    #[error(transparent)]
    Schedule(#[from] EtcdScheduleError),
}

impl From<LabPlanError> for EtcdUpgradeError {
    fn from(error: LabPlanError) -> Self {
        Self::Lab(Box::new(error))
    }
}

/// The steps to another version: [`upgrade::plan`] or [`upgrade::plan_downgrade`].
pub(super) type Planner =
    fn(&ClusterSpec, &MemberProgram, &Facts) -> Result<UpgradePlan, UpgradeRefused>;

/// An upgrade that can be tried.
pub(super) struct Way {
    /// The version set with the programs; `None` for the lab's own.
    set: Option<Version>,
    program: MemberProgram,
    etcd: RunningEtcd,
}

impl Lab {
    /// The steps to another version of etcd. Gets its programs into the cache, and sends them to members that are VMs,
    /// since members are asked whether they can run them; changes nothing else.
    ///
    /// # Errors
    ///
    /// No set has the version, or a line of the table is not so.
    pub async fn plan_etcd_upgrade(
        &self,
        to: Version,
        events: &dyn EventSink,
    ) -> Result<UpgradePlan, EtcdUpgradeError> {
        let way = self.etcd_way(to, events).await?;
        plan(&way, upgrade::plan).await
    }

    /// Upgrades etcd, from whatever an earlier run has left, or takes it back while a member still runs the old version.
    ///
    /// # Errors
    ///
    /// As [`Lab::plan_etcd_upgrade`], or a step fails; the message says how etcd is then, and the way back.
    pub async fn etcd_upgrade(
        &self,
        to: Version,
        events: &dyn EventSink,
    ) -> Result<UpgradePlan, EtcdUpgradeError> {
        self.change_etcd(to, upgrade::plan, events).await
    }

    pub(super) async fn change_etcd(
        &self,
        to: Version,
        planner: Planner,
        events: &dyn EventSink,
    ) -> Result<UpgradePlan, EtcdUpgradeError> {
        let state = self.state();
        let _lock = state.lock()?;
        let way = self.etcd_way(to, events).await?;
        let plan = plan(&way, planner).await?;
        let Way { set, program, etcd } = &way;
        let journal = Keeper {
            snapshot: state.backups().join(format!("before-etcd-{to}.db")),
            set: *set,
            state: state.clone(),
        };
        upgrade::apply(
            &etcd.spec,
            &plan,
            program,
            &etcd.hosts,
            &etcd.tls,
            &journal,
            events,
        )
        .await?;
        state.remember_etcd(&EtcdRecord {
            programs: *set,
            upgraded: Default::default(),
            ..state.etcd_record()?
        })?;
        // Snapshots are taken with the programs that the members have now.
        let etcd = self.running_etcd().await?;
        settle_schedule(&etcd.spec, &etcd.hosts, events).await?;
        Ok(plan)
    }

    pub(super) async fn etcd_way(
        &self,
        to: Version,
        events: &dyn EventSink,
    ) -> Result<Way, EtcdUpgradeError> {
        let blueprint = self.draft().await?;
        blueprint.refuse_restoring()?;
        self.refuse_rotating(None)?;
        let set = self.set_with(&blueprint, to)?;
        if let Some(set) = set {
            self.get_programs(&etcd_of(set)?, events).await?;
        }
        let etcd = self.running_etcd().await?;
        if let (Machines::Vms(_), Some(set)) = (&blueprint.machines, set) {
            send(&blueprint.program_set(set)?, &etcd, events).await?;
        }
        Ok(Way {
            set,
            program: blueprint.etcd_program(set)?,
            etcd,
        })
    }

    /// Gets the programs of etcd that an upgrade has given the lab, which are in no version set of its own.
    pub(crate) async fn etcd_programs(
        &self,
        blueprint: &Blueprint,
        events: &dyn EventSink,
    ) -> Result<(), UpError> {
        let record = blueprint.etcd_record();
        for set in record.programs.iter().chain(record.upgraded.values()) {
            let wanted = etcd_of(*set).map_err(DraftError::from)?;
            self.get_programs(&wanted, events).await?;
        }
        Ok(())
    }

    /// The version set that has this etcd: the lab's own, one whose programs are in the cache, or the newest.
    fn set_with(
        &self,
        blueprint: &Blueprint,
        to: Version,
    ) -> Result<Option<Version>, EtcdUpgradeError> {
        // After a whole upgrade they are a set like any other, so that a member on its way back can be remembered.
        let was_upgraded = blueprint.etcd_record().programs.is_some();
        if blueprint.programs.versions.etcd == to && !was_upgraded {
            return Ok(None);
        }
        let minors = (OLDEST_MINOR..=NEWEST_MINOR).rev();
        let firsts = minors.map(|minor| Version::new(1, minor, 0));
        let known = [self.spec.kubernetes, DEFAULT_KUBERNETES];
        let mut fitting = Vec::new();
        for kubernetes in known.into_iter().chain(self.cached_sets()).chain(firsts) {
            let wanted = etcd_of(kubernetes)?;
            if wanted.versions.etcd == to {
                fitting.push((kubernetes, programs_places(self).set_dir(&wanted)));
            }
        }
        let has_all = |dir: &PathBuf| {
            PROGRAMS
                .iter()
                .all(|program| dir.join(program.as_str()).exists())
        };
        let there = fitting.iter().find(|(_, dir)| has_all(dir));
        let chosen = there.or_else(|| fitting.first());
        let chosen = chosen.ok_or(EtcdUpgradeError::Unknown(to))?;
        Ok(Some(chosen.0))
    }

    /// The versions of Kubernetes whose programs are in the cache.
    fn cached_sets(&self) -> Vec<Version> {
        let sets = std::fs::read_dir(self.places.cache.join("programs"));
        let names = sets
            .into_iter()
            .flatten()
            .flatten()
            .map(|entry| entry.file_name());
        let version = |name: std::ffi::OsString| {
            let name = name.to_str()?.strip_prefix("kubernetes-")?;
            name.split_once('_')?.0.parse().ok()
        };
        names.filter_map(version).collect()
    }
}

/// VMs see the disk of programs that the lab was made with, and nothing else of this machine.
async fn send(
    programs: &ProgramSet,
    etcd: &RunningEtcd,
    events: &dyn EventSink,
) -> Result<(), SendProgramsError> {
    let sends = etcd.hosts.iter().map(|(member, host)| async move {
        events.started(member.as_str(), SEND_STEP);
        programs.send(programs.programs(), host.as_ref()).await?;
        events.done(member.as_str(), SEND_STEP, programs.name());
        Ok(())
    });
    try_join_all(sends).await.map(drop)
}

pub(super) async fn plan(way: &Way, planner: Planner) -> Result<UpgradePlan, EtcdUpgradeError> {
    let etcd = &way.etcd;
    let probe = Probe::new(&etcd.spec, &etcd.hosts, &etcd.tls, ANSWER_TIMEOUT)?;
    let facts = upgrade::look(&etcd.spec, &way.program, &etcd.hosts, &probe).await?;
    Ok(planner(&etcd.spec, &way.program, &facts)?)
}

/// Keeps what the next run has to know in the lab's directory.
struct Keeper {
    state: StateDir,
    snapshot: PathBuf,
    set: Option<Version>,
}

impl Journal for Keeper {
    fn snapshot(&self) -> Result<PathBuf, JournalError> {
        crate::state::make_dir(&self.state.backups())?;
        Ok(self.snapshot.clone())
    }

    fn begin(&self, member: &MemberName, _: &MemberProgram) -> Result<(), JournalError> {
        let mut record = self.state.etcd_record()?;
        match self.set {
            set if set == record.programs => record.upgraded.remove(member),
            Some(set) => record.upgraded.insert(member.clone(), set),
            None => record.upgraded.remove(member),
        };
        self.state.remember_etcd(&record)?;
        Ok(())
    }
}
