//! The lab's etcd made anew from a snapshot, with Kubernetes stopped around it.

use super::{
    EtcdKeptError, EtcdRecord, EtcdSource, Restoring, RunningEtcd,
    api_servers::ApiServers,
    source::{Source, forget_source, stored},
};
use crate::{Blueprint, DraftError, Hosts, Lab, LabPlanError, Shape, StateError, UpError, Wired};
use etcd_bootstrap::{
    ANSWER_TIMEOUT, MemberName, Probe, StoredSnapshotError, TrialError, Unreachable, restore,
    restore::{
        KUBERNETES_BUMP, ObserveRestoreError, RestoreError, RestoreOptions, RestorePlan,
        RestoreRefused, SalvageError, VerifyError,
    },
    try_restore,
};
use host_exec::{Condition, EventSink, HostName, RunError, poll::WaitError};
use netplan::Role;
use std::fmt;

/// What a restore does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EtcdRestorePlan {
    /// The control planes: before the steps of etcd their API servers, controller managers and schedulers are stopped, and
    /// after them started.
    pub control_planes: Vec<HostName>,
    /// Who keeps these running.
    pub shape: Shape,
    /// The steps of etcd.
    pub etcd: RestorePlan,
}

impl fmt::Display for EtcdRestorePlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut warnings = self.etcd.warnings.iter();
        warnings.try_for_each(|warning| writeln!(f, "{warning}"))?;
        for plane in &self.control_planes {
            let how = match self.shape {
                Shape::Services => "",
                Shape::StaticPods => {
                    ": move their manifests aside, and wait until the kubelet has ended them"
                }
            };
            writeln!(
                f,
                "{plane}: stop scheduler, controller manager and API server{how}"
            )?;
        }
        self.etcd
            .steps
            .iter()
            .try_for_each(|step| writeln!(f, "{step}"))?;
        for plane in &self.control_planes {
            let how = match self.shape {
                Shape::Services => "start them again",
                Shape::StaticPods => "move the manifests back",
            };
            writeln!(f, "{plane}: {how}, and wait until the API is ready")?;
        }
        Ok(())
    }
}

/// What a restore did.
#[derive(Debug, Clone, PartialEq)]
pub struct EtcdRestored {
    /// What was done now.
    pub plan: EtcdRestorePlan,
    /// What was found afterwards; all of it is so.
    pub conditions: Vec<Condition>,
}

/// A restore that cannot be, or did not come to its end.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EtcdRestoreError {
    /// Nothing is under way, and nothing was named.
    #[error(
        "no restore has begun; name the snapshot, as `lab etcd restore FILE`. One that was interrupted when etcd was \
        restored already is ended by `lab up`"
    )]
    NoSource,
    /// Nobody has this name.
    #[error("etcd has no member {member}; its members are {}", .members.join(", "))]
    UnknownMember {
        /// The name that was given.
        member: MemberName,
        /// Those that there are.
        members: Vec<String>,
    },
    /// Another one is under way.
    #[error(
        "a restore of another snapshot has begun (SHA-256 {sha256}); `lab etcd restore` without a file goes on with it"
    )]
    Other {
        /// The checksum of the snapshot that is being restored.
        sha256: String,
    },
    /// A machine does not run.
    #[error(
        "{0} does not run; a restore needs all machines of etcd and of the control plane: `lab up` starts them"
    )]
    Down(String),
    /// The lab could not be worked out.
    #[error(transparent)]
    Draft(#[from] DraftError),
    /// The lab could not be looked at.
    #[error(transparent)]
    Lab(Box<LabPlanError>),
    /// The lab's directory.
    #[error(transparent)]
    State(#[from] StateError),
    /// The snapshot cannot be read, or is none.
    #[error(transparent)]
    Stored(#[from] StoredSnapshotError),
    /// What a member has taken by its timer cannot be had. Nothing was touched.
    #[error(transparent)]
    Kept(#[from] Box<EtcdKeptError>),
    /// The snapshot cannot be restored. Nothing was touched.
    #[error("the snapshot is not good; nothing has been changed")]
    Trial(#[from] TrialError),
    /// The member has nothing.
    #[error(transparent)]
    Salvage(#[from] SalvageError),
    /// A machine could not be looked at.
    #[error(transparent)]
    Observe(#[from] ObserveRestoreError),
    /// The state of the members.
    #[error(transparent)]
    Refused(#[from] RestoreRefused),
    /// A member has no host or certificates.
    #[error(transparent)]
    Unreachable(#[from] Unreachable),
    /// A command of a machine failed.
    #[error("cannot {what} on {machine}; `lab etcd restore` tries again")]
    Machine {
        /// What was to be done, as `stop Kubernetes`.
        what: &'static str,
        /// The machine.
        machine: String,
        /// The cause.
        #[source]
        source: RunError,
    },
    /// Static pods whose manifests are gone run on.
    #[error(
        "the kubelet of {machine} does not end the static pods of the control plane; see `lab logs {machine} kubelet`, \
        and `lab etcd restore` goes on"
    )]
    NotEnded {
        /// The machine.
        machine: HostName,
        /// What was last seen.
        #[source]
        source: WaitError<RunError>,
    },
    /// A step failed.
    #[error("the restore stopped; `lab etcd restore` goes on from here")]
    Step(#[from] RestoreError),
    /// The restored members cannot be asked.
    #[error(transparent)]
    Verify(#[from] VerifyError),
    /// They are not as they have to be.
    #[error("etcd was restored, and not so: {0}")]
    NotSo(String),
    /// Kubernetes does not come back.
    #[error("etcd is restored; Kubernetes does not come back yet: `lab up` tries again")]
    Kubernetes(#[source] Box<UpError>),
}

impl From<LabPlanError> for EtcdRestoreError {
    fn from(error: LabPlanError) -> Self {
        Self::Lab(Box::new(error))
    }
}

/// The lab as it was found, once.
struct Ground {
    blueprint: Blueprint,
    hosts: Hosts,
}

impl Lab {
    /// What [`Lab::etcd_restore`] would do. Changes nothing: a member's store is not taken, and no trial is made.
    ///
    /// # Errors
    ///
    /// There is nothing to restore, a machine does not run, or the file is no whole snapshot.
    pub async fn plan_etcd_restore(
        &self,
        source: Option<&EtcdSource>,
    ) -> Result<EtcdRestorePlan, EtcdRestoreError> {
        let mut record = self.state().etcd_record()?;
        let without_checksum = match (&record.restoring, source) {
            (None, None) => return Err(EtcdRestoreError::NoSource),
            (Some(restoring), source) => same(restoring.clone(), source).await?.without_checksum,
            (None, Some(EtcdSource::File(path))) => {
                stored(path).await?;
                false
            }
            (None, Some(EtcdSource::Member(_))) => true,
            (None, Some(EtcdSource::Kept(_))) => false,
        };
        if record.restoring.is_none() {
            record.restored += 1;
        }
        let ground = self.ground().await?;
        let etcd = all_members(&self.wired_as(&ground, record)?, &ground)?;
        known(&etcd, source)?;
        let observed = restore::observe(&etcd.spec, &etcd.hosts).await?;
        let plan = restore::plan(&etcd.spec, &observed, without_checksum)?;
        Ok(self.api_servers(&ground)?.around(plan))
    }

    /// Restores etcd, from whatever an earlier run has left: tries the snapshot, stops the API servers, makes every member
    /// anew, proves that all hold the same, and brings Kubernetes back.
    ///
    /// # Errors
    ///
    /// The snapshot is not good, then nothing was touched; or a step failed, then the same call goes on.
    pub async fn etcd_restore(
        &self,
        source: Option<&EtcdSource>,
        events: &dyn EventSink,
    ) -> Result<EtcdRestored, EtcdRestoreError> {
        let state = self.state();
        let _lock = state.lock()?;
        let record = state.etcd_record()?;
        if record.restoring.is_none() && source.is_none() {
            return Err(EtcdRestoreError::NoSource);
        }
        let ground = self.ground().await?;
        let servers = self.api_servers(&ground)?;
        let restoring = match (record.restoring.clone(), source) {
            (None, Some(source)) => self.begin_restore(&ground, record, source).await?,
            (Some(restoring), source) => same(restoring, source).await?,
            (None, None) => return Err(EtcdRestoreError::NoSource),
        };
        let wired = self.wired_as(&ground, state.etcd_record()?)?;
        let etcd = all_members(&wired, &ground)?;
        servers.stop(events).await?;
        let (plan, conditions) = self.remake(&etcd, &restoring, events).await?;
        servers.let_start(events).await?;
        self.end_restore()?;
        self.bring_kubernetes_back(&wired, &ground.hosts, events)
            .await
            .map_err(|error| EtcdRestoreError::Kubernetes(Box::new(error)))?;
        Ok(EtcdRestored {
            plan: servers.around(plan),
            conditions,
        })
    }

    /// Makes every member anew, and proves it.
    async fn remake(
        &self,
        etcd: &RunningEtcd,
        restoring: &Restoring,
        events: &dyn EventSink,
    ) -> Result<(RestorePlan, Vec<Condition>), EtcdRestoreError> {
        let snapshot = self.kept_source(restoring).await?;
        let options = RestoreOptions {
            snapshot: restoring.snapshot,
            bump_revision: Some(KUBERNETES_BUMP),
            without_checksum: restoring.without_checksum,
        };
        let (spec, hosts) = (&etcd.spec, &etcd.hosts);
        let observed = restore::observe(spec, hosts).await?;
        let plan = restore::plan(spec, &observed, options.without_checksum)?;
        restore::apply(spec, &plan, &snapshot, options, hosts, &etcd.tls, events).await?;
        let conditions = verified(etcd, options).await?;
        Ok((plan, conditions))
    }

    /// Looks at the machines, whoever provides them.
    async fn ground(&self) -> Result<Ground, EtcdRestoreError> {
        let blueprint = self.draft().await?;
        let seen = self.see(&blueprint).await.map_err(LabPlanError::from)?;
        Ok(Ground {
            blueprint: self.informed(blueprint, &seen).await,
            hosts: seen.hosts,
        })
    }

    fn api_servers<'g>(&self, ground: &'g Ground) -> Result<ApiServers<'g>, EtcdRestoreError> {
        let planes = ground.blueprint.hosts_of(Role::ControlPlane);
        ApiServers::of(self.spec.shape, planes, &ground.hosts, self.spec.patience)
    }

    /// etcd and Kubernetes as they are where this is remembered of etcd: with each restore it is another cluster.
    fn wired_as(&self, ground: &Ground, record: EtcdRecord) -> Result<Wired, EtcdRestoreError> {
        let blueprint = ground.blueprint.clone().with_etcd_record(record);
        let token = self.token_to_look_with::<LabPlanError>()?;
        let wired = self.wire(&blueprint, &token);
        Ok(wired.map_err(LabPlanError::from)?)
    }

    /// Keeps the snapshot, tries it, and remembers that it is being restored: in this order, so that a run that is killed
    /// leaves either nothing that counts or all that the next one needs.
    async fn begin_restore(
        &self,
        ground: &Ground,
        mut record: EtcdRecord,
        source: &EtcdSource,
    ) -> Result<Restoring, EtcdRestoreError> {
        let etcd = all_members(&self.wired_as(ground, record.clone())?, ground)?;
        known(&etcd, Some(source))?;
        let source = self.keep_source(&etcd, source).await?;
        let Source {
            stored,
            without_checksum,
        } = &source;
        let (member, host) = etcd.hosts.iter().next().ok_or(EtcdRestoreError::NoSource)?;
        let (spec, host) = (&etcd.spec, host.as_ref());
        let tried = try_restore(spec, member, host, stored, *without_checksum).await?;
        let restoring = Restoring {
            sha256: stored.sha256.to_string(),
            snapshot: tried,
            without_checksum: *without_checksum,
        };
        record.restored += 1;
        record.restoring = Some(restoring.clone());
        self.state().remember_etcd(&record)?;
        Ok(restoring)
    }

    fn end_restore(&self) -> Result<(), StateError> {
        let state = self.state();
        // Which pods have been told of a new authority is another question now.
        state.forget_rotation()?;
        let mut record = state.etcd_record()?;
        record.restoring = None;
        state.remember_etcd(&record)?;
        forget_source(&state)
    }

    async fn bring_kubernetes_back(
        &self,
        wired: &Wired,
        hosts: &Hosts,
        events: &dyn EventSink,
    ) -> Result<(), UpError> {
        let token = self.token_to_look_with::<LabPlanError>()?;
        self.kubernetes(wired, &token, hosts, events)
            .await
            .map(drop)
    }
}

impl ApiServers<'_> {
    /// A plan of etcd with what happens around it.
    fn around(&self, etcd: RestorePlan) -> EtcdRestorePlan {
        let planes = self.planes.iter().map(|(name, _)| name.clone());
        EtcdRestorePlan {
            control_planes: planes.collect(),
            shape: self.shape,
            etcd,
        }
    }
}

/// etcd, all of whose machines run.
fn all_members(wired: &Wired, ground: &Ground) -> Result<RunningEtcd, EtcdRestoreError> {
    let etcd = RunningEtcd::of(wired, &ground.hosts);
    let mut members = etcd.spec.members().iter();
    match members.find(|member| !etcd.hosts.contains_key(&member.name)) {
        Some(down) => Err(EtcdRestoreError::Down(down.name.to_string())),
        None => Ok(etcd),
    }
}

/// Whether the member that is named is one.
fn known(etcd: &RunningEtcd, source: Option<&EtcdSource>) -> Result<(), EtcdRestoreError> {
    let Some(EtcdSource::Member(member)) = source else {
        return Ok(());
    };
    if etcd.spec.member(member).is_some() {
        return Ok(());
    }
    let members = etcd.spec.members().iter();
    Err(EtcdRestoreError::UnknownMember {
        member: member.clone(),
        members: members.map(|member| member.name.to_string()).collect(),
    })
}

/// A restore that has begun is gone on with by naming its snapshot again, or none.
async fn same(
    restoring: Restoring,
    source: Option<&EtcdSource>,
) -> Result<Restoring, EtcdRestoreError> {
    if let Some(EtcdSource::File(path)) = source
        && stored(path).await?.sha256.as_str() != restoring.sha256
    {
        let sha256 = restoring.sha256;
        return Err(EtcdRestoreError::Other { sha256 });
    }
    Ok(restoring)
}

async fn verified(
    etcd: &RunningEtcd,
    options: RestoreOptions,
) -> Result<Vec<Condition>, EtcdRestoreError> {
    let probe = Probe::new(&etcd.spec, &etcd.hosts, &etcd.tls, ANSWER_TIMEOUT)?;
    let conditions = restore::verify(&etcd.spec, &probe, options).await?;
    match conditions.iter().find(|condition| !condition.ok) {
        Some(bad) => Err(EtcdRestoreError::NotSo(format!(
            "{} ({})",
            bad.name, bad.evidence
        ))),
        None => Ok(conditions),
    }
}
