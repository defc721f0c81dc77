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
    path::{Path, PathBuf},
    time::Duration,
};

/// Where the kubelet has a directory for each pod, until it has done with it.
const PODS: &str = "/var/lib/kubelet/pods";

/// The annotation of a pod that waits for another one to end.
const WAITS: &str = "lab/waits";

/// For the end of the old pod. Less than the 10 s after which the kubelet looks again by itself (`backOffPeriod`,
/// pkg/kubelet/kubelet.go): later there is nothing to be gained.
const END_LIMIT: Duration = Duration::from_secs(8);

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
        let wait = Wait::new("end of the static pod before", END_LIMIT);
        let look = || async {
            let left = pods(host, &manifest.path).await?;
            Ok(match left.intersection(&old).next() {
                None => Attempt::Ready(()),
                Some(pod) => Attempt::NotYet(pod.display().to_string()),
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

/// The directories of the static pods that have, or had, the container which a manifest is named after.
async fn pods(host: &dyn Host, manifest: &Path) -> Result<BTreeSet<PathBuf>, RunError> {
    let Some(container) = manifest.file_stem() else {
        return Ok(BTreeSet::new());
    };
    // /var/lib/kubelet/pods/UID/containers/NAME
    let find = Command::new("find").args([PODS, "-mindepth", "3", "-maxdepth", "3", "-path"]);
    let find = find.arg(format!("*/containers/{}", container.to_string_lossy()));
    // A directory of a pod that goes meanwhile is no failure.
    let listed = host.output(&find).await?;
    let listed = listed.stdout_text().into_owned();
    Ok(listed
        .lines()
        .filter(|path| is_static(path))
        .map(PathBuf::from)
        .collect())
}

/// The UID of a static pod is a digest (`applyDefaults`, pkg/kubelet/config/common.go), that of another pod a UUID.
fn is_static(path: &str) -> bool {
    let uid = path.strip_prefix(PODS).and_then(|p| p.split('/').nth(1));
    uid.is_some_and(|uid| !uid.contains('-'))
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
        let of = |uid: &str| is_static(&format!("{PODS}/{uid}/containers/kube-apiserver"));
        assert!(of("88b493b0a157ee090bfbb714cacf5360"));
        assert!(!of("a2cedcec-9945-4b01-a377-6b09b0c30c6f"));
    }
}
