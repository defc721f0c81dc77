//! Doing what a [`RestorePlan`] says.

use super::{Places, RestoreOptions, RestorePlan, RestoreStep};
use crate::{
    ApplyError, ClusterSpec, EtcdutlError, Hosts, MemberName, MemberSpec, ObserveError, PlanError,
    StoredSnapshot, Tls, Unreachable,
    etcdutl::{Etcdutl, LIMIT, RestoreTo},
    probe::host_of,
    render,
    snapshot::transfer_limit,
};
use futures::future::try_join_all;
use host_exec::{
    Command, EventSink, FileError, Host, Mode, RunError, UploadError, files, systemd, upload,
};
use std::{path::Path, slice};

/// The step under which a restore is reported.
pub const RESTORE_STEP: &str = "etcd: restore";

/// A restore that stopped. What was done before it stays, and the next run goes on from there.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RestoreError {
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
    /// A command on a member failed.
    #[error("cannot {what} of etcd member {member}")]
    Run {
        /// What was to be done, as `stop the service`.
        what: &'static str,
        /// The member.
        member: MemberName,
        /// The cause.
        #[source]
        source: RunError,
    },
    /// A file could not be written or removed.
    #[error("cannot write the files of etcd member {member}")]
    File {
        /// The member.
        member: MemberName,
        /// The cause.
        #[source]
        source: FileError,
    },
    /// The snapshot could not be brought to a member.
    #[error("cannot bring the snapshot to etcd member {member}")]
    Upload {
        /// The member.
        member: MemberName,
        /// The cause.
        #[source]
        source: UploadError,
    },
    /// The snapshot is not good, or etcdutl is of another minor.
    #[error("cannot make the new data of etcd member {member}")]
    Etcdutl {
        /// The member.
        member: MemberName,
        /// The cause.
        #[source]
        source: EtcdutlError,
    },
    /// The members could not be looked at before their start.
    #[error(transparent)]
    Observe(#[from] ObserveError),
    /// The members must not be started.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// The members could not be started.
    #[error("cannot start the restored members")]
    Start(#[from] ApplyError),
}

/// Does the steps of `plan`: stops and stages on all members at once, swaps one after the other when all are staged, and
/// starts them.
///
/// # Errors
///
/// The first step that fails; old data is then still there, in its place or aside.
pub async fn apply(
    spec: &ClusterSpec,
    plan: &RestorePlan,
    snapshot: &StoredSnapshot,
    options: RestoreOptions,
    hosts: &Hosts,
    tls: &Tls,
    events: &dyn EventSink,
) -> Result<(), RestoreError> {
    let with = Shared {
        spec,
        snapshot,
        options,
        hosts,
        events,
    };
    let stops = plan
        .steps
        .iter()
        .filter(|step| matches!(step, RestoreStep::Stop { .. }));
    try_join_all(stops.map(|step| with.step(step))).await?;
    let stages = plan
        .steps
        .iter()
        .filter(|step| matches!(step, RestoreStep::Stage { .. }));
    try_join_all(stages.map(|step| with.step(step))).await?;
    for step in &plan.steps {
        match step {
            RestoreStep::Swap { .. } => with.step(step).await?,
            RestoreStep::Start { .. } => {
                let observed = crate::observe(spec, hosts, tls).await?;
                let start = crate::plan(spec, &observed)?;
                crate::apply(spec, &start, hosts, tls, events).await?;
            }
            RestoreStep::Stop { .. } | RestoreStep::Stage { .. } => {}
        }
    }
    Ok(())
}

struct Shared<'a> {
    spec: &'a ClusterSpec,
    snapshot: &'a StoredSnapshot,
    options: RestoreOptions,
    hosts: &'a Hosts,
    events: &'a dyn EventSink,
}

impl Shared<'_> {
    async fn step(&self, step: &RestoreStep) -> Result<(), RestoreError> {
        match step {
            RestoreStep::Stop { member } => self.at(member)?.stop().await,
            RestoreStep::Stage { member } => self.at(member)?.stage().await,
            RestoreStep::Swap { member, .. } => self.at(member)?.swap().await,
            RestoreStep::Start { .. } => Ok(()),
        }
    }

    fn at(&self, name: &MemberName) -> Result<Site<'_>, RestoreError> {
        let unknown = || RestoreError::UnknownMember {
            member: name.clone(),
        };
        let member = self.spec.member(name).ok_or_else(unknown)?;
        let host = host_of(self.hosts, name)?.as_ref();
        let places = Places::of(member, self.spec.token());
        Ok(Site {
            with: self,
            member,
            host,
            places,
        })
    }
}

/// A member on its host.
struct Site<'a> {
    with: &'a Shared<'a>,
    member: &'a MemberSpec,
    host: &'a dyn Host,
    places: Places,
}

impl Site<'_> {
    async fn stop(&self) -> Result<(), RestoreError> {
        let unit = render::unit_name();
        // First: a member that booted between the two renames of a swap would found a cluster of its own. The plan that
        // starts it in the end enables it again.
        let units = slice::from_ref(&unit);
        let disabled = systemd::disable(self.host, units).await;
        disabled.map_err(self.failed("disable the service"))?;
        let stopped = systemd::stop(self.host, units).await;
        stopped.map_err(self.failed("stop the service"))?;
        self.done("stopped");
        Ok(())
    }

    async fn stage(&self) -> Result<(), RestoreError> {
        self.with
            .events
            .started(self.member.name.as_str(), RESTORE_STEP);
        let Places {
            unfinished,
            staging,
            snapshot,
            ..
        } = &self.places;
        // A member that lost its whole directory has none; systemd or etcd would make it at the start.
        let make = Command::new("mkdir").args(["-p", "-m", "0700", "--"]);
        let make = make.arg(text(&self.member.data_dir));
        self.run(&make, "make the data directory").await?;
        let remove = Command::new("rm").args(["-rf", "--"]).arg(text(unfinished));
        self.run(&remove.timeout(LIMIT), "remove the half-made data")
            .await?;
        self.bring_snapshot().await?;
        self.make(unfinished).await?;
        self.host
            .remove_file(snapshot)
            .await
            .map_err(self.not_written())?;
        self.rename(unfinished, staging).await?;
        self.done("new data is made");
        Ok(())
    }

    async fn bring_snapshot(&self) -> Result<(), RestoreError> {
        let from = self.with.snapshot;
        let (to, limit) = (&self.places.snapshot, transfer_limit(from.bytes));
        let sent = upload(self.host, &from.path, to, Mode::SECRET, &from.sha256, limit).await;
        sent.map(drop).map_err(|source| RestoreError::Upload {
            member: self.member.name.clone(),
            source,
        })
    }

    async fn make(&self, data_dir: &Path) -> Result<(), RestoreError> {
        let (spec, options) = (self.with.spec, self.with.options);
        let etcdutl = Etcdutl::beside(spec.program_of(self.member), self.host);
        let to = RestoreTo {
            name: &self.member.name,
            peer_url: &self.member.peer_url(),
            initial_cluster: &spec.initial_cluster(),
            token: spec.token(),
            data_dir,
            bump_revision: options.bump_revision,
            skip_hash_check: options.without_checksum,
        };
        let made = async {
            etcdutl.require(spec.version_of(self.member)).await?;
            etcdutl.restore(&self.places.snapshot, &to).await
        };
        made.await.map_err(|source| RestoreError::Etcdutl {
            member: self.member.name.clone(),
            source,
        })
    }

    /// In this order: with new settings and old data etcd still runs the old cluster, since its log wins; and the
    /// new data is in its place last, which is what [`Stage::Swapped`](super::Stage::Swapped) is seen by.
    async fn swap(&self) -> Result<(), RestoreError> {
        let Places {
            live,
            before,
            staging,
            ..
        } = &self.places;
        let wanted = render::all_files(self.with.spec, self.member);
        files::ensure(self.host, &wanted)
            .await
            .map_err(self.not_written())?;
        let reloaded = systemd::daemon_reload(self.host).await;
        reloaded.map_err(self.failed("reload the units"))?;
        // Asked again: a run that was killed may have done this.
        if self.is_there(live).await? && !self.is_there(before).await? {
            self.rename(live, before).await?;
        }
        self.rename(&staging.join("member"), live).await?;
        self.done("new data is in its place");
        Ok(())
    }

    async fn is_there(&self, path: &Path) -> Result<bool, RestoreError> {
        let test = Command::new("test").args(["-e".to_owned(), text(path)]);
        let output = self.host.output(&test).await;
        let output = output.map_err(self.failed("look at the data"))?;
        Ok(output.status.success())
    }

    async fn rename(&self, from: &Path, to: &Path) -> Result<(), RestoreError> {
        // -T: never into a directory that is there; the kernel refuses one that is not empty. sync: a power cut must not
        // undo one rename and keep the next.
        let rename = Command::new("mv").args(["-T", "--"]);
        let rename = rename.args([text(from), text(to)]);
        self.run(&rename, "move the data").await?;
        let sync = Command::new("sync").args(["--".to_owned(), text(&self.member.data_dir)]);
        self.run(&sync, "sync the data directory").await
    }

    async fn run(&self, command: &Command, what: &'static str) -> Result<(), RestoreError> {
        let done = self.host.run(command).await;
        done.map(drop).map_err(self.failed(what))
    }

    fn failed(&self, what: &'static str) -> impl FnOnce(RunError) -> RestoreError {
        let member = self.member.name.clone();
        move |source| RestoreError::Run {
            what,
            member,
            source,
        }
    }

    fn not_written(&self) -> impl FnOnce(FileError) -> RestoreError {
        let member = self.member.name.clone();
        move |source| RestoreError::File { member, source }
    }

    fn done(&self, what: &str) {
        self.with
            .events
            .done(self.member.name.as_str(), RESTORE_STEP, what);
    }
}

fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}
