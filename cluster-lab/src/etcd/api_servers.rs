//! What uses etcd: stopped before a restore, and able to start after it.

use super::EtcdRestoreError;
use crate::{Hosts, Shape};
use futures::future::try_join_all;
use host_exec::{
    Command, EventSink, Host, HostName, RunError,
    poll::{self, Attempt, Wait},
    systemd,
};
use k8s_bootstrap::kubeadm::MANIFESTS;
use std::{collections::BTreeSet, time::Duration};

/// The step under which they are stopped.
const STOP_STEP: &str = "API servers: stop";
/// The step under which they may start again.
const RETURN_STEP: &str = "API servers: let start";
/// What would show, or write, what is no more; who only uses the API server first.
const PROGRAMS: [&str; 3] = [
    "kube-scheduler",
    "kube-controller-manager",
    "kube-apiserver",
];
/// Where the manifests of static pods are meanwhile: the kubelet reads nothing there.
const ASIDE: &str = "/etc/kubernetes/manifests-during-restore";
/// How long a kubelet may take to end a static pod: it sees at once that the manifest is gone, and the pod has the 30 s
/// that Kubernetes gives everybody who names no `terminationGracePeriodSeconds`.
const END_LIMIT: Duration = Duration::from_secs(90);

/// What fails where they are not stopped.
const STOP: &str = "stop Kubernetes";

/// The API servers of a lab, with controller managers and schedulers.
pub(super) struct ApiServers<'h> {
    pub(super) shape: Shape,
    pub(super) planes: Vec<(HostName, &'h dyn Host)>,
    pub(super) patience: f64,
}

impl<'h> ApiServers<'h> {
    pub(super) fn of(
        shape: Shape,
        planes: impl Iterator<Item = HostName>,
        hosts: &'h Hosts,
        patience: f64,
    ) -> Result<Self, EtcdRestoreError> {
        let plane = |name: HostName| match hosts.get(&name) {
            Some(host) => Ok((name, host.as_ref())),
            None => Err(EtcdRestoreError::Down(name.to_string())),
        };
        Ok(Self {
            shape,
            planes: planes.map(plane).collect::<Result<_, _>>()?,
            patience,
        })
    }

    /// Stops them all, and returns when none of them runs.
    pub(super) async fn stop(&self, events: &dyn EventSink) -> Result<(), EtcdRestoreError> {
        let stops = self.planes.iter().map(|(name, host)| async move {
            events.started(name.as_str(), STOP_STEP);
            match self.shape {
                Shape::Services => stop_units(*host, STOP, &PROGRAMS).await?,
                Shape::StaticPods => self.stop_pods(name, *host).await?,
            }
            events.done(name.as_str(), STOP_STEP, "stopped");
            Ok::<_, EtcdRestoreError>(())
        });
        try_join_all(stops).await.map(drop)
    }

    /// Puts manifests back that were moved aside; services are started by whoever looks at the lab next.
    pub(super) async fn let_start(&self, events: &dyn EventSink) -> Result<(), EtcdRestoreError> {
        if self.shape == Shape::Services {
            return Ok(());
        }
        for (name, host) in &self.planes {
            let moved = move_manifests(*host, ASIDE, MANIFESTS).await;
            moved.map_err(failed("let start Kubernetes", *host))?;
            events.done(name.as_str(), RETURN_STEP, "the manifests are back");
        }
        Ok(())
    }

    /// As people do it who have kubeadm: a manifest that is gone is a pod that the kubelet ends.
    async fn stop_pods(&self, name: &HostName, host: &dyn Host) -> Result<(), EtcdRestoreError> {
        let make = Command::new("mkdir").args(["-p", "-m", "0700", "--", ASIDE]);
        let made = host.run(&make).await;
        made.map_err(failed(STOP, host))?;
        let moved = move_manifests(host, MANIFESTS, ASIDE).await;
        moved.map_err(failed(STOP, host))?;
        let wait = Wait::new("end of the static pods", END_LIMIT.mul_f64(self.patience));
        let look = || async {
            let running = running(host).await?;
            Ok(match running.is_empty() {
                true => Attempt::Ready(()),
                false => Attempt::NotYet(format!("containers {} run", running.join(", "))),
            })
        };
        let ended = poll::until(&wait, look).await;
        ended.map_err(|source| EtcdRestoreError::NotEnded {
            machine: name.clone(),
            source,
        })
    }
}

/// Moves those manifests that are there, one by one, each as a whole.
async fn move_manifests(host: &dyn Host, from: &str, to: &str) -> Result<(), RunError> {
    for program in PROGRAMS {
        let (from, to) = (
            format!("{from}/{program}.yaml"),
            format!("{to}/{program}.yaml"),
        );
        let there = host
            .output(&Command::new("test").args(["-e", &from]))
            .await?;
        if there.status.success() {
            let rename = Command::new("mv").args(["-f", "-T", "--", &from, &to]);
            host.run(&rename).await?;
        }
    }
    Ok(())
}

/// The containers of the static pods that run, by containerd's word: the kubelet's own word is in an API that is being
/// stopped.
async fn running(host: &dyn Host) -> Result<Vec<String>, RunError> {
    let ctr = || Command::new("ctr").args(["--namespace", "k8s.io"]);
    let filter = |program| format!("labels.\"io.kubernetes.container.name\"=={program}");
    let list = ctr().args(["containers", "list", "--quiet"]);
    let ours = host.run(&list.args(PROGRAMS.map(filter))).await?;
    let tasks = host.run(&ctr().args(["tasks", "list"])).await?;
    let alive = alive(&tasks.stdout_text());
    let ours = ours.stdout_text().into_owned();
    let ours = ours.lines().filter(|id| alive.contains(*id));
    Ok(ours.map(|id| id.chars().take(13).collect()).collect())
}

/// Who has a process, by `ctr tasks list` (containerd 1.6):
///
/// ```text
/// TASK                                                                PID      STATUS
/// 0a1b09ac2c0ef42f4e0a0c2a6b2d16f2ae1a05aa4fd8ab9ccd16ec14dbe6b1b4    4711     RUNNING
/// ```
fn alive(tasks: &str) -> BTreeSet<String> {
    let rows = tasks.lines().skip(1).map(|line| line.split_whitespace());
    let alive = rows.filter_map(|mut words| {
        let (id, _pid, status) = (words.next()?, words.next()?, words.next()?);
        (status != "STOPPED").then(|| id.to_owned())
    });
    alive.collect()
}

/// Stops units of a machine that are there; `units` without `.service`.
pub(super) async fn stop_units(
    host: &dyn Host,
    what: &'static str,
    units: &[&str],
) -> Result<(), EtcdRestoreError> {
    let units: Vec<_> = units
        .iter()
        .map(|unit| {
            format!("{unit}.service")
                .parse()
                .expect("a legal unit name")
        })
        .collect();
    let stopped = systemd::stop(host, &units).await;
    stopped.map(drop).map_err(failed(what, host))
}

fn failed(what: &'static str, host: &dyn Host) -> impl FnOnce(RunError) -> EtcdRestoreError {
    let machine = host.name().to_string();
    move |source| EtcdRestoreError::Machine {
        what,
        machine,
        source,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_task_that_stopped_is_not_alive() {
        let text = "TASK    PID     STATUS    \n\
            aa      4711    RUNNING\n\
            bb      4712    STOPPED\n\
            cc      4713    PAUSED\n";
        let expected = ["aa", "cc"].map(str::to_owned);
        assert_eq!(alive(text), expected.into());
        assert_eq!(alive(""), BTreeSet::new());
    }
}
