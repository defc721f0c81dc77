//! The lab's etcd made anew from a snapshot, with Kubernetes stopped around it.

use super::{EtcdKeptError, KeptName, Restoring, RunningEtcd, schedule::kept};
use crate::{
    DraftError, Hosts, Lab, LabPlanError, Machines, Shape, StateError, UpError, Wired,
    state::forget,
};
use etcd_bootstrap::{
    ANSWER_TIMEOUT, MemberName, Probe, StoredSnapshot, StoredSnapshotError, TrialError,
    Unreachable, render, restore,
    restore::{
        KUBERNETES_BUMP, ObserveRestoreError, RestoreError, RestoreOptions, RestorePlan,
        RestoreRefused, SalvageError, VerifyError,
    },
    snapshot, try_restore,
};
use host_exec::{Condition, EventSink, Host, HostName, RunError, Sha256Hex, systemd};
use netplan::Role;
use std::{fs, path::PathBuf};
use zeroize::Zeroizing;

/// The step under which Kubernetes is stopped.
const STOP_STEP: &str = "API servers: stop";

/// What is restored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EtcdSource {
    /// A snapshot on this machine.
    File(PathBuf),
    /// What this member has, where the others have lost theirs: a snapshot if it can still give one, else its store, which
    /// has no checksum.
    Member(MemberName),
    /// What a member has taken by its timer.
    Kept(KeptName),
}

/// What a restore did.
#[derive(Debug, Clone, PartialEq)]
pub struct EtcdRestored {
    /// The steps that were done now.
    pub plan: RestorePlan,
    /// What was found afterwards; all of it is so.
    pub conditions: Vec<Condition>,
}

/// A restore that cannot be, or did not come to its end.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EtcdRestoreError {
    /// kubeadm's own business.
    #[error("the API servers of a lab of static pods cannot be stopped around a restore yet")]
    StaticPods,
    /// VMs have not been tried.
    #[error("etcd of a lab of VMs cannot be restored yet")]
    Vms,
    /// Nothing is under way, and nothing was named.
    #[error("no restore has begun; name the snapshot, as `lab etcd restore FILE`")]
    NoSource,
    /// Another one is under way.
    #[error(
        "a restore of another snapshot has begun (SHA-256 {sha256}); `lab etcd restore` without a file goes on with it"
    )]
    Other {
        /// The checksum of the snapshot that is being restored.
        sha256: String,
    },
    /// A machine does not run.
    #[error("{0} does not run, and every member of etcd is made anew; `lab up` starts machines")]
    Down(MemberName),
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
    Kept(#[from] EtcdKeptError),
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
    /// A service could not be stopped.
    #[error("cannot stop {what} of {machine}")]
    Stop {
        /// `etcd` or `Kubernetes`.
        what: &'static str,
        /// The machine.
        machine: String,
        /// The cause.
        #[source]
        source: RunError,
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

/// A snapshot and what is known of it.
struct Source {
    bytes: Zeroizing<Vec<u8>>,
    without_checksum: bool,
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
    ) -> Result<RestorePlan, EtcdRestoreError> {
        let state = self.state();
        let mut record = state.etcd_record()?;
        let without_checksum = match (&record.restoring, source) {
            (None, None) => return Err(EtcdRestoreError::NoSource),
            (Some(restoring), _) => restoring.without_checksum,
            (None, Some(EtcdSource::File(path))) => {
                StoredSnapshot::read(path)?;
                false
            }
            (None, Some(EtcdSource::Member(_))) => true,
            (None, Some(EtcdSource::Kept(_))) => false,
        };
        let restoring = record.restoring.clone();
        if restoring.is_none() {
            record.restored += 1;
        }
        let blueprint = self.restorable().await?.with_etcd_record(record);
        let etcd = self.etcd_at(&blueprint).await?;
        if let (None, Some(EtcdSource::Kept(name))) = (&restoring, source) {
            kept(&etcd, name).await?;
        }
        let observed = restore::observe(&etcd.spec, &etcd.hosts).await?;
        Ok(restore::plan(&etcd.spec, &observed, without_checksum)?)
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
        let restoring = match (state.etcd_record()?.restoring, source) {
            (None, None) => return Err(EtcdRestoreError::NoSource),
            (None, Some(source)) => self.begin_restore(source).await?,
            (Some(restoring), source) => same(restoring, source)?,
        };
        let bytes = fs::read(state.restoring()).map(Zeroizing::new);
        let bytes = bytes.map_err(|source| StateError::Io {
            what: "read",
            path: state.restoring(),
            source,
        })?;
        let blueprint = self.restorable().await?;
        let etcd = self.etcd_at(&blueprint).await?;
        let (wired, hosts) = self.running().await?;
        let planes: Vec<HostName> = blueprint.hosts_of(Role::ControlPlane).collect();
        stop_kubernetes(&hosts, &planes, events).await?;
        let options = RestoreOptions {
            snapshot: restoring.snapshot,
            bump_revision: Some(KUBERNETES_BUMP),
            without_checksum: restoring.without_checksum,
        };
        let observed = restore::observe(&etcd.spec, &etcd.hosts).await?;
        let plan = restore::plan(&etcd.spec, &observed, options.without_checksum)?;
        restore::apply(
            &etcd.spec,
            &plan,
            &bytes,
            options,
            &etcd.hosts,
            &etcd.tls,
            events,
        )
        .await?;
        let conditions = verified(&etcd, options).await?;
        self.end_restore()?;
        self.bring_kubernetes_back(&wired, &hosts, events)
            .await
            .map_err(|error| EtcdRestoreError::Kubernetes(Box::new(error)))?;
        Ok(EtcdRestored { plan, conditions })
    }

    async fn restorable(&self) -> Result<crate::Blueprint, EtcdRestoreError> {
        let blueprint = self.draft().await?;
        match &blueprint.machines {
            Machines::Vms(_) => Err(EtcdRestoreError::Vms),
            Machines::Namespaces(_) if self.spec.shape == Shape::StaticPods => {
                Err(EtcdRestoreError::StaticPods)
            }
            Machines::Namespaces(_) => Ok(blueprint),
        }
    }

    /// etcd as it is to be, all of whose machines run.
    async fn etcd_at(&self, blueprint: &crate::Blueprint) -> Result<RunningEtcd, EtcdRestoreError> {
        let seen = self.see(blueprint).await.map_err(LabPlanError::from)?;
        let token = self.token_to_look_with::<LabPlanError>()?;
        let wired = self.wire(blueprint, &token).map_err(LabPlanError::from)?;
        let etcd = RunningEtcd::of(wired, &seen.hosts);
        let mut members = etcd.spec.members().iter();
        match members.find(|member| !etcd.hosts.contains_key(&member.name)) {
            Some(down) => Err(EtcdRestoreError::Down(down.name.clone())),
            None => Ok(etcd),
        }
    }

    /// Tries the snapshot, keeps it, and remembers that it is being restored: in this order, so that a run that is killed
    /// leaves either nothing or all that the next one needs.
    async fn begin_restore(&self, source: &EtcdSource) -> Result<Restoring, EtcdRestoreError> {
        let blueprint = self.restorable().await?;
        let etcd = self.etcd_at(&blueprint).await?;
        let source = read(&etcd, source).await?;
        let (member, host) = etcd.hosts.iter().next().ok_or(EtcdRestoreError::NoSource)?;
        let (bytes, without_checksum) = (&source.bytes, source.without_checksum);
        let tried = try_restore(&etcd.spec, member, host.as_ref(), bytes, without_checksum).await?;
        let state = self.state();
        state.write(&state.restoring(), bytes)?;
        let restoring = Restoring {
            sha256: Sha256Hex::of(bytes).to_string(),
            snapshot: tried,
            without_checksum,
        };
        let mut record = state.etcd_record()?;
        record.restored += 1;
        record.restoring = Some(restoring.clone());
        state.remember_etcd(&record)?;
        Ok(restoring)
    }

    fn end_restore(&self) -> Result<(), StateError> {
        let state = self.state();
        // Which pods have been told of a new authority is another question now.
        state.forget_rotation()?;
        let mut record = state.etcd_record()?;
        record.restoring = None;
        state.remember_etcd(&record)?;
        forget(&state.restoring())
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

fn same(restoring: Restoring, source: Option<&EtcdSource>) -> Result<Restoring, EtcdRestoreError> {
    if let Some(EtcdSource::File(path)) = source {
        let stored = StoredSnapshot::read(path)?;
        if !restoring.is_of(&stored.bytes) {
            let sha256 = restoring.sha256;
            return Err(EtcdRestoreError::Other { sha256 });
        }
    }
    Ok(restoring)
}

async fn read(etcd: &RunningEtcd, source: &EtcdSource) -> Result<Source, EtcdRestoreError> {
    let member = match source {
        EtcdSource::File(path) => {
            let stored = StoredSnapshot::read(path)?;
            return Ok(Source {
                bytes: stored.bytes,
                without_checksum: false,
            });
        }
        EtcdSource::Kept(name) => {
            return Ok(Source {
                bytes: kept(etcd, name).await?,
                without_checksum: false,
            });
        }
        EtcdSource::Member(member) => member,
    };
    let host = etcd.hosts.get(member);
    let host = host.ok_or_else(|| EtcdRestoreError::Down(member.clone()))?;
    // With a checksum, if the member still gives one: also without a majority, as long as it was not restarted since.
    if let Ok(taken) = snapshot(&etcd.spec, member, host.as_ref()).await {
        return Ok(Source {
            bytes: taken.bytes,
            without_checksum: false,
        });
    }
    stop(host.as_ref(), "etcd", &[render::unit_name().as_str()]).await?;
    Ok(Source {
        bytes: restore::salvage(&etcd.spec, member, host.as_ref()).await?,
        without_checksum: true,
    })
}

/// What would show, or write, what is no more.
async fn stop_kubernetes(
    hosts: &Hosts,
    planes: &[HostName],
    events: &dyn EventSink,
) -> Result<(), EtcdRestoreError> {
    const UNITS: [&str; 3] = [
        "kube-scheduler.service",
        "kube-controller-manager.service",
        "kube-apiserver.service",
    ];
    for (name, host) in hosts.iter().filter(|(name, _)| planes.contains(name)) {
        events.started(name.as_str(), STOP_STEP);
        stop(host.as_ref(), "Kubernetes", &UNITS).await?;
        events.done(name.as_str(), STOP_STEP, "stopped");
    }
    Ok(())
}

async fn stop(host: &dyn Host, what: &'static str, units: &[&str]) -> Result<(), EtcdRestoreError> {
    let units: Vec<_> = units
        .iter()
        .map(|unit| unit.parse().expect("a legal unit name"))
        .collect();
    let stopped = systemd::stop(host, &units).await;
    stopped.map(drop).map_err(|source| EtcdRestoreError::Stop {
        what,
        machine: host.name().to_string(),
        source,
    })
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
