//! Doing what a plan says: the only file with effects.

use crate::{
    ClusterSpec, Hosts, MemberName, MemberSpec, Plan, Probe, Step, Tls, Unreachable,
    WaitReadyError,
    gate::start_gated,
    handover::hand_over,
    observe::ANSWER_TIMEOUT,
    probe::host_of,
    ready::{wait_ready, wait_steady},
    render,
};
use futures::future::try_join_all;
use host_exec::{EventSink, FileError, Host, Output, RunError, systemd};
use std::{future::Future, path::PathBuf, slice};

/// The step under which files are reported.
pub const FILES_STEP: &str = "etcd: files";
/// The step under which starts are reported: for each member, and, with an empty machine name, once for
/// all when the last one is started.
pub const START_STEP: &str = "etcd: start";
/// The step under which restarts are reported.
pub const RESTART_STEP: &str = "etcd: restart";

/// A step that failed. What was done before it stays, and the next plan goes on from there.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ApplyError {
    /// The caller gave no host or no certificates for a member.
    #[error(transparent)]
    Unreachable(#[from] Unreachable),
    /// The plan is of another cluster.
    #[error(
        "{member} is in the plan and not in the cluster; plan and apply the same specification"
    )]
    UnknownMember {
        /// The member of the plan.
        member: MemberName,
    },
    /// A file could not be written.
    #[error("cannot write the files of etcd member {member}")]
    Files {
        /// The member.
        member: MemberName,
        /// The cause.
        #[source]
        source: FileError,
    },
    /// systemd refused.
    #[error("cannot {verb} the service of etcd member {member}")]
    Service {
        /// `reload`, `start`, `stop` or `enable`.
        verb: &'static str,
        /// The member.
        member: MemberName,
        /// The cause.
        #[source]
        source: RunError,
    },
    /// A member without data turned out to be one that lost it.
    #[error(
        "etcd member {member} is not started: {witness} saw it join before, and its data directory is \
         empty now; put the directory back, or replace the member"
    )]
    LostData {
        /// The member.
        member: MemberName,
        /// The member that lists it as joined.
        witness: MemberName,
    },
    /// Members did not become ready.
    #[error(transparent)]
    Ready(#[from] WaitReadyError),
}

/// Does all of `plan`: [`prepare`], [`start_members`], [`finish`].
///
/// # Errors
///
/// The first step that fails; see each of the three.
pub async fn apply(
    spec: &ClusterSpec,
    plan: &Plan,
    hosts: &Hosts,
    tls: &Tls,
    events: &dyn EventSink,
) -> Result<(), ApplyError> {
    if plan.is_empty() {
        return Ok(());
    }
    prepare(spec, plan, hosts, events).await?;
    start_members(spec, plan, hosts, tls, events).await?;
    finish(spec, plan, hosts, tls, events).await
}

/// Writes files and reloads units, on all members at the same time. Starts nothing.
///
/// # Errors
///
/// A file cannot be written or systemd refuses.
pub async fn prepare(
    spec: &ClusterSpec,
    plan: &Plan,
    hosts: &Hosts,
    events: &dyn EventSink,
) -> Result<(), ApplyError> {
    let of_member = |member: &MemberSpec| {
        let name = member.name.clone();
        plan.prepare
            .iter()
            .filter(move |step| step.member() == Some(&name))
    };
    let all = spec.members().iter().map(|member| async move {
        let site = Site::of(spec, hosts, &member.name)?;
        for step in of_member(member) {
            match step {
                Step::WriteFiles { paths, .. } => site.write(paths, events).await?,
                Step::ReloadUnits { .. } => site.reload().await?,
                _ => {}
            }
        }
        Ok::<_, ApplyError>(())
    });
    try_join_all(all).await.map(drop)
}

/// Starts the members that are down, each as soon as the one before serves its peers. Returns when all are
/// *started*; what only needs to find them there, such as kube-apiserver, can start now.
///
/// # Errors
///
/// systemd refuses; or a member without data turns out to have lost it.
pub async fn start_members(
    spec: &ClusterSpec,
    plan: &Plan,
    hosts: &Hosts,
    tls: &Tls,
    events: &dyn EventSink,
) -> Result<(), ApplyError> {
    if plan.start.is_empty() {
        return Ok(());
    }
    let probe = &Probe::new(spec, hosts, tls, ANSWER_TIMEOUT)?;
    let names: Vec<MemberName> = plan
        .start
        .iter()
        .filter_map(|s| s.member().cloned())
        .collect();
    let step_of = |name: &MemberName| plan.start.iter().find(|s| s.member() == Some(name));
    start_gated(&names, probe, |name| async move {
        let site = Site::of(spec, hosts, &name)?;
        match step_of(&name) {
            Some(Step::Start { confirm_new, .. }) => {
                if *confirm_new {
                    confirm_never_joined(spec, &name, probe).await?;
                }
                site.start(events).await
            }
            Some(Step::Restart { paths, .. }) => site.restart(paths, events).await,
            _ => Ok(()),
        }
    })
    .await?;
    events.done("", START_STEP, &format!("{} started", names.len()));
    Ok(())
}

/// Enables the services and waits until the members are ready; then restarts, one at a time, those that run
/// on files that changed.
///
/// # Errors
///
/// systemd refuses, a file cannot be written, or a member does not become ready within [`ClusterSpec::ready_limit`].
pub async fn finish(
    spec: &ClusterSpec,
    plan: &Plan,
    hosts: &Hosts,
    tls: &Tls,
    events: &dyn EventSink,
) -> Result<(), ApplyError> {
    let probe = &Probe::new(spec, hosts, tls, ANSWER_TIMEOUT)?;
    let settle = plan
        .settle
        .iter()
        .map(|step| finish_step(spec, step, &[], hosts, probe, events));
    try_join_all(settle).await?;
    for (index, step) in plan.roll.iter().enumerate() {
        let later = &plan.roll[index + 1..];
        finish_step(spec, step, later, hosts, probe, events).await?;
    }
    Ok(())
}

async fn finish_step(
    spec: &ClusterSpec,
    step: &Step,
    later: &[Step],
    hosts: &Hosts,
    probe: &Probe,
    events: &dyn EventSink,
) -> Result<(), ApplyError> {
    match step {
        Step::Enable { member } => Site::of(spec, hosts, member)?.enable().await,
        Step::Restart { member, paths } => {
            hand_over(spec, member, later, probe, events).await;
            Site::of(spec, hosts, member)?.restart(paths, events).await
        }
        Step::WaitReady { members } => {
            Ok(wait_ready(spec, members, probe, spec.ready_limit(), events).await?)
        }
        Step::WaitSteady { members } => {
            Ok(wait_steady(members, probe, spec.ready_limit(), events).await?)
        }
        _ => Ok(()),
    }
}

/// Asks the other members whether they know `name` as joined. Those that are down cannot say; etcd asks
/// the same question itself at its start, and then it would end and be started again for ever.
async fn confirm_never_joined(
    spec: &ClusterSpec,
    name: &MemberName,
    probe: &Probe,
) -> Result<(), ApplyError> {
    let others = spec
        .members()
        .iter()
        .map(|other| &other.name)
        .filter(|other| *other != name);
    let asked = others.map(|other| async move { (other, probe.peer(other).await) });
    let answers = futures::future::join_all(asked).await;
    match answers
        .into_iter()
        .find(|(_, answer)| answer.saw_join(spec, name))
    {
        Some((witness, _)) => Err(ApplyError::LostData {
            member: name.clone(),
            witness: witness.clone(),
        }),
        None => Ok(()),
    }
}

/// A member on its host.
struct Site<'a> {
    spec: &'a ClusterSpec,
    member: &'a MemberSpec,
    host: &'a dyn Host,
}

impl<'a> Site<'a> {
    fn of(spec: &'a ClusterSpec, hosts: &'a Hosts, name: &MemberName) -> Result<Self, ApplyError> {
        let unknown = || ApplyError::UnknownMember {
            member: name.clone(),
        };
        let member = spec.member(name).ok_or_else(unknown)?;
        let host = host_of(hosts, name)?.as_ref();
        Ok(Self { spec, member, host })
    }

    async fn write(&self, paths: &[PathBuf], events: &dyn EventSink) -> Result<(), ApplyError> {
        let name = &self.member.name;
        events.started(name.as_str(), FILES_STEP);
        let wanted = render::all_files(self.spec, self.member);
        let wanted = wanted.iter().filter(|file| paths.contains(&file.path));
        let wanted: Vec<_> = wanted.collect();
        let written = self.host.write_files(&wanted).await;
        written.map_err(|source| ApplyError::Files {
            member: name.clone(),
            source,
        })?;
        events.done(
            name.as_str(),
            FILES_STEP,
            &format!("{} written", paths.len()),
        );
        Ok(())
    }

    async fn start(&self, events: &dyn EventSink) -> Result<(), ApplyError> {
        events.started(self.member.name.as_str(), START_STEP);
        let unit = render::unit_name();
        self.service("start", systemd::start(self.host, slice::from_ref(&unit)))
            .await?;
        events.done(self.member.name.as_str(), START_STEP, "started");
        Ok(())
    }

    /// Stop, write, start: `systemctl restart` would leave no moment in which the files can change unseen
    /// by a process that reads them.
    async fn restart(&self, paths: &[PathBuf], events: &dyn EventSink) -> Result<(), ApplyError> {
        let unit = render::unit_name();
        let unit = slice::from_ref(&unit);
        events.started(self.member.name.as_str(), RESTART_STEP);
        self.service("stop", systemd::stop(self.host, unit)).await?;
        self.write(paths, events).await?;
        self.reload().await?;
        self.service("start", systemd::start(self.host, unit))
            .await?;
        events.done(self.member.name.as_str(), RESTART_STEP, "started again");
        Ok(())
    }

    async fn reload(&self) -> Result<(), ApplyError> {
        self.service("reload", systemd::daemon_reload(self.host))
            .await
    }

    async fn enable(&self) -> Result<(), ApplyError> {
        let unit = render::unit_name();
        self.service("enable", systemd::enable(self.host, slice::from_ref(&unit)))
            .await
    }

    async fn service(
        &self,
        verb: &'static str,
        call: impl Future<Output = Result<Output, RunError>>,
    ) -> Result<(), ApplyError> {
        let member = &self.member.name;
        let failed = |source| ApplyError::Service {
            verb,
            member: member.clone(),
            source,
        };
        call.await.map(drop).map_err(failed)
    }
}
