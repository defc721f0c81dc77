//! A static pod takes the place of another: the kubelet is not left to wait for nothing.

use super::running::is_manifest;
use crate::yaml;
use futures::future::try_join_all;
use host_exec::{
    Command, File, FileError, Host, RunError,
    files::Drift,
    poll::{self, Attempt, Wait, WaitError},
};
use serde_json::Value;
use std::{
    collections::BTreeSet,
    path::Path,
    sync::atomic::{AtomicU8, Ordering::Relaxed},
    time::Duration,
};

/// Where the kubelet has a directory for each pod.
const PODS: &str = "/var/lib/kubelet/pods";

/// Where a pod has cgroups. They are the last that the kubelet removes of it (`SyncTerminatedPod`, pkg/kubelet/kubelet.go),
/// unless its housekeeping comes first.
const CGROUPS: &str = "/sys/fs/cgroup";

/// How deep they lie there, below a controller's name (v1) and two slices.
const DEPTH: &str = "5";

/// The annotation of a pod that waits for another one to end.
const WAITS: &str = "lab/waits";

/// For the end of the old pod. Less than the 10 s after which the kubelet looks again by itself (`backOffPeriod`,
/// pkg/kubelet/kubelet.go): later there is nothing to be gained.
const END_LIMIT: Duration = Duration::from_secs(8);

/// How often in a row, and how long after each other, they have to be gone: after the housekeeping the kubelet still waits
/// for volumes, for up to half a second as seen, before it calls the pod ended.
const LOOKS: u8 = 6;
const PAUSE: Duration = Duration::from_millis(200);

/// Writes the files of a machine, those that pods read before the manifests of these pods.
///
/// A static pod that is to take the place of a running one is refused by the kubelet, which tries it again after 10 to
/// 15 s, however soon the old one has ended (`allowPodStart`, pkg/kubelet/pod_workers.go). One that it has not seen
/// before it tries at once. So the manifest of a pod that runs goes out twice: with an annotation more, at whose sight
/// the kubelet ends the old pod, and, when that has gone, as it has to be. Whoever is killed in between leaves a
/// manifest that serves as well, and that the next run finds to differ.
pub(crate) async fn write(host: &dyn Host, files: &[(&File, Drift)]) -> Result<(), WriteError> {
    let is_handed_over =
        |(file, drift): &(&File, Drift)| *drift == Drift::Contents && is_manifest(&file.path);
    let (handed_over, others): (Vec<_>, Vec<_>) = files.iter().copied().partition(is_handed_over);
    let (manifests, read): (Vec<&File>, Vec<&File>) = others
        .into_iter()
        .map(|(file, _)| file)
        .partition(|file| is_manifest(&file.path));
    for files in [read, manifests] {
        if !files.is_empty() {
            host.write_files(&files).await?;
        }
    }
    let handed_over = handed_over.into_iter();
    try_join_all(handed_over.map(|(file, _)| hand_over(host, file))).await?;
    Ok(())
}

/// A file of a machine could not be written, or the machine not be looked at.
#[derive(Debug, thiserror::Error)]
pub(crate) enum WriteError {
    #[error(transparent)]
    File(#[from] FileError),
    #[error(transparent)]
    Run(#[from] RunError),
}

async fn hand_over(host: &dyn Host, manifest: &File) -> Result<(), WriteError> {
    let old = pods(host, &manifest.path).await?;
    if let Some(waiting) = waiting(manifest).filter(|_| !old.is_empty()) {
        host.write_file(&waiting).await?;
        let wait = Wait::new("end of the static pod before", END_LIMIT).longest_pause(PAUSE);
        let in_a_row = AtomicU8::new(0);
        let look = || async {
            let left = cgroups(host, &old).await?;
            let looks = if left.is_empty() {
                in_a_row.load(Relaxed) + 1
            } else {
                0
            };
            in_a_row.store(looks, Relaxed);
            Ok(if looks < LOOKS {
                Attempt::NotYet(left)
            } else {
                Attempt::Ready(())
            })
        };
        match poll::until(&wait, look).await {
            // One that takes longer ends all the same.
            Ok(()) | Err(WaitError::TimedOut { .. }) => {}
            Err(WaitError::Failed(error)) => return Err(error),
        }
    }
    Ok(host.write_file(manifest).await?)
}

/// The same pod to us, and another one to the kubelet.
fn waiting(manifest: &File) -> Option<File> {
    let mut pod: Value = serde_norway::from_slice(manifest.contents.bytes()).ok()?;
    pod["metadata"]["annotations"][WAITS] = "for the end of the pod before".into();
    let file = File::public(manifest.path.clone(), yaml::render(&pod));
    Some(file.with_mode(manifest.mode))
}

/// The UIDs of the static pods with the container that a manifest is named after.
async fn pods(host: &dyn Host, manifest: &Path) -> Result<BTreeSet<String>, RunError> {
    let Some(container) = manifest.file_stem() else {
        return Ok(BTreeSet::new());
    };
    // /var/lib/kubelet/pods/UID/containers/NAME
    let find = Command::new("find").args([PODS, "-mindepth", "3", "-maxdepth", "3", "-path"]);
    let find = find.arg(format!("*/containers/{}", container.to_string_lossy()));
    // A directory of a pod that goes meanwhile is no failure.
    let listed = host.output(&find).await?;
    let listed = listed.stdout_text().into_owned();
    let uids = listed.lines().filter_map(static_uid);
    Ok(uids.map(str::to_owned).collect())
}

/// The UID of a static pod is a digest (`applyDefaults`, pkg/kubelet/config/common.go), that of another pod a UUID.
fn static_uid(directory: &str) -> Option<&str> {
    let uid = directory.strip_prefix(PODS)?.split('/').nth(1)?;
    (!uid.contains('-')).then_some(uid)
}

/// The cgroups of pods, a line for each: `podUID`, or `kubepods-burstable-podUID.slice` with systemd.
async fn cgroups(host: &dyn Host, uids: &BTreeSet<String>) -> Result<String, RunError> {
    let mut find = Command::new("find").args([CGROUPS, "-maxdepth", DEPTH, "-type", "d", "("]);
    for (at, uid) in uids.iter().enumerate() {
        let or = (at > 0).then_some("-o");
        find = find.args(or).args(["-name", &format!("*pod{uid}*")]);
    }
    // Those of others come and go.
    let listed = host.output(&find.arg(")")).await?;
    Ok(listed.stdout_text().trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kubeadm::{MANIFESTS, READS};
    use host_exec::Mode;
    use serde_json::json;

    #[test]
    fn a_pod_that_waits_differs_in_one_annotation() {
        let pod = json!({"metadata": {"name": "kube-scheduler", "annotations": {READS: "a"}}});
        let path = format!("{MANIFESTS}/kube-scheduler.yaml");
        let manifest = File::public(path, yaml::render(&pod)).with_mode(Mode::SECRET);
        let waiting = waiting(&manifest).expect("a manifest");
        assert_eq!(waiting.path, manifest.path);
        assert_eq!(waiting.mode, Mode::SECRET);
        assert_ne!(waiting.contents.bytes(), manifest.contents.bytes());
        let mut read: Value = serde_norway::from_slice(waiting.contents.bytes()).expect("YAML");
        let annotations = read["metadata"]["annotations"].as_object_mut();
        annotations.expect("annotations").remove(WAITS);
        assert_eq!(read, pod);
    }

    #[test]
    fn the_pods_of_users_are_not_waited_for() {
        let of = |uid: &str| {
            let directory = format!("{PODS}/{uid}/containers/kube-apiserver");
            static_uid(&directory).map(str::to_owned)
        };
        let uid = "88b493b0a157ee090bfbb714cacf5360";
        assert_eq!(of(uid).as_deref(), Some(uid));
        assert_eq!(of("a2cedcec-9945-4b01-a377-6b09b0c30c6f"), None);
    }
}
