//! Doing what a [`SchedulePlan`] says.

use super::{
    SERVICE_FILE, SchedulePlan, ScheduleStep, TIMER_FILE,
    unit::{files, service_name, timer_name},
};
use crate::{ClusterSpec, Hosts, MemberName, MemberSpec, Unreachable, probe::host_of};
use futures::future::try_join_all;
use host_exec::{EventSink, FileError, Host, RunError, systemd};
use std::{
    path::{Path, PathBuf},
    slice,
};

/// The step under which the schedule is reported.
pub const SCHEDULE_STEP: &str = "etcd: snapshot timer";

/// A step that failed. What was done before it stays, and the next plan goes on from there. etcd goes on as before.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ScheduleApplyError {
    /// The caller gave no host for a member.
    #[error(transparent)]
    Unreachable(#[from] Unreachable),
    /// A unit could not be written, or a file not deleted.
    #[error("cannot {step} on the machine of etcd member {member}")]
    File {
        /// What was to be done.
        step: &'static str,
        /// The member.
        member: MemberName,
        /// The cause.
        #[source]
        source: FileError,
    },
    /// systemd refused.
    #[error("cannot {step} on the machine of etcd member {member}")]
    Run {
        /// What was to be done.
        step: &'static str,
        /// The member.
        member: MemberName,
        /// The cause.
        #[source]
        source: RunError,
    },
}

/// Does what `plan` says, on all members at the same time. Takes no snapshot, and touches no etcd.
///
/// # Errors
///
/// A member has no host, a file cannot be written, or systemd refuses.
pub async fn apply(
    spec: &ClusterSpec,
    plan: &SchedulePlan,
    hosts: &Hosts,
    events: &dyn EventSink,
) -> Result<(), ScheduleApplyError> {
    let work = spec.members().iter().map(|member| async move {
        let own = plan.steps.iter().filter(|s| *s.member() == member.name);
        for step in own {
            let name = member.name.as_str();
            events.started(name, SCHEDULE_STEP);
            let host = host_of(hosts, &member.name)?.as_ref();
            do_step(spec, member, step, host).await?;
            let said = step.to_string();
            let said = said.strip_prefix(name).and_then(|s| s.strip_prefix(": "));
            events.done(name, SCHEDULE_STEP, said.unwrap_or_default());
        }
        Ok::<_, ScheduleApplyError>(())
    });
    try_join_all(work).await.map(drop)
}

async fn do_step(
    spec: &ClusterSpec,
    member: &MemberSpec,
    step: &ScheduleStep,
    host: &dyn Host,
) -> Result<(), ScheduleApplyError> {
    let file = |step| {
        let member = member.name.clone();
        move |source| ScheduleApplyError::File {
            step,
            member,
            source,
        }
    };
    let run = |step| {
        let member = member.name.clone();
        move |source| ScheduleApplyError::Run {
            step,
            member,
            source,
        }
    };
    let timer = timer_name();
    let timer = slice::from_ref(&timer);
    match step {
        ScheduleStep::WriteFiles { paths, .. } => {
            let wanted = files(spec, member);
            let wanted: Vec<_> = wanted.iter().filter(|f| paths.contains(&f.path)).collect();
            let written = host.write_files(&wanted).await;
            written.map_err(file("write the units for snapshots"))
        }
        ScheduleStep::ReloadUnits { .. } => {
            let done = systemd::daemon_reload(host).await;
            done.map(drop).map_err(run("reload systemd"))
        }
        ScheduleStep::Enable { .. } => {
            let done = systemd::enable(host, timer).await;
            done.map(drop).map_err(run("enable the timer of snapshots"))
        }
        ScheduleStep::StartTimer { .. } => {
            let done = systemd::restart(host, timer).await;
            done.map(drop).map_err(run("start the timer of snapshots"))
        }
        ScheduleStep::Delete { paths, .. } => {
            delete(host, paths).await.map_err(file("delete snapshots"))
        }
        ScheduleStep::Remove { .. } => match remove_from(host).await {
            Ok(()) => Ok(()),
            Err(RemoveError::Run(source)) => Err(run("stop the timer of snapshots")(source)),
            Err(RemoveError::File(source)) => Err(file("delete the units for snapshots")(source)),
        },
    }
}

async fn delete(host: &dyn Host, paths: &[PathBuf]) -> Result<(), FileError> {
    for path in paths {
        host.remove_file(path).await?;
    }
    Ok(())
}

/// The timer of a host could not be removed.
pub(crate) enum RemoveError {
    /// systemd refused.
    Run(RunError),
    /// A unit could not be deleted.
    File(FileError),
}

/// Stops timer and service, has neither started again, and deletes their units, the timer's last: as long as it is there,
/// a run that was killed is seen. A host that has none of them is left alone.
pub(crate) async fn remove_from(host: &dyn Host) -> Result<(), RemoveError> {
    let units = [timer_name(), service_name()];
    let states = systemd::states(host, &units).await;
    let known = states.map_err(RemoveError::Run)?.into_iter();
    let known = known.filter(|(_, state)| state.load != "not-found");
    let known: Vec<_> = known.map(|(unit, _)| unit).collect();
    if known.is_empty() {
        return Ok(());
    }
    let stopped = systemd::stop(host, &known).await;
    stopped.map_err(RemoveError::Run)?;
    let disabled = systemd::disable(host, slice::from_ref(&units[0])).await;
    disabled.map_err(RemoveError::Run)?;
    for path in [SERVICE_FILE, TIMER_FILE] {
        let removed = host.remove_file(Path::new(path)).await;
        removed.map_err(RemoveError::File)?;
    }
    let reloaded = systemd::daemon_reload(host).await;
    reloaded.map(drop).map_err(RemoveError::Run)
}
