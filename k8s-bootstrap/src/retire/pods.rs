//! What becomes of each pod of a node that is drained. Pure.

use super::DrainOptions;
use serde_json::Value;
use std::{collections::BTreeMap, fmt};

/// Marks the API's image of a static pod (`kubernetes.io/config.mirror`): its kubelet makes it again at once.
const MIRROR: &str = "kubernetes.io/config.mirror";

/// A pod by namespace and name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PodName {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
}

impl fmt::Display for PodName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

/// Why a pod is not evicted without consent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Blocker {
    /// Nobody makes it again.
    NoController,
    /// What it has written goes with it.
    EmptyDir,
}

impl fmt::Display for Blocker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoController => {
                "has no controller that would make it again; consent with --force"
            }
            Self::EmptyDir => "keeps data in an emptyDir; consent with --delete-emptydir-data",
        })
    }
}

/// What a drain does with a pod.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PodPlace {
    /// It belongs to this very node: a DaemonSet's, or a static pod's image.
    Stays,
    /// It is evicted.
    Goes,
    /// It has been told to end already, and is waited for.
    Ends,
    /// It needs consent.
    Blocked(Blocker),
}

/// A pod on the node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PodFound {
    /// Which.
    pub name: PodName,
    /// Its controller's kind, where it has one.
    pub controller: Option<String>,
    /// It is the image of a static pod.
    pub mirror: bool,
    /// It has an `emptyDir`.
    pub empty_dir: bool,
    /// It has run to its end.
    pub finished: bool,
    /// It has been told to end.
    pub ending: bool,
}

impl PodFound {
    /// Reads a Pod of the API.
    pub(super) fn read(pod: &Value) -> Option<Self> {
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let meta = &pod["metadata"];
        let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
        let owners = list(&meta["ownerReferences"]);
        let controller = owners.iter().find(|owner| owner["controller"] == true);
        Some(Self {
            name: PodName {
                namespace: text(&meta["namespace"])?,
                name: text(&meta["name"])?,
            },
            controller: controller.and_then(|owner| text(&owner["kind"])),
            mirror: !meta["annotations"][MIRROR].is_null(),
            empty_dir: list(&pod["spec"]["volumes"])
                .iter()
                .any(|volume| !volume["emptyDir"].is_null()),
            finished: ["Succeeded", "Failed"]
                .iter()
                .any(|phase| pod["status"]["phase"] == *phase),
            ending: !meta["deletionTimestamp"].is_null(),
        })
    }

    /// What a drain with these options does with it; the order of the questions is that of `kubectl drain`
    /// (k8s.io/kubectl/pkg/drain, `makeFilters`).
    pub fn place(&self, options: &DrainOptions) -> PodPlace {
        let daemon = self.controller.as_deref() == Some("DaemonSet");
        if self.mirror || (daemon && !self.finished) {
            return PodPlace::Stays;
        }
        if self.ending {
            return PodPlace::Ends;
        }
        if self.finished {
            return PodPlace::Goes;
        }
        if self.empty_dir && !options.delete_emptydir_data {
            return PodPlace::Blocked(Blocker::EmptyDir);
        }
        if self.controller.is_none() && !options.force {
            return PodPlace::Blocked(Blocker::NoController);
        }
        PodPlace::Goes
    }
}

/// The pods of a node out of a list of pods.
pub(super) fn on_node(list: &BTreeMap<String, Value>, node: &str) -> Vec<PodFound> {
    let here = list.values().filter(|pod| pod["spec"]["nodeName"] == node);
    here.filter_map(PodFound::read).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn pod(change: impl FnOnce(&mut Value)) -> PodFound {
        let mut pod = json!({
            "metadata": {"namespace": "default", "name": "web", "annotations": {},
                "ownerReferences": [{"kind": "ReplicaSet", "controller": true}]},
            "spec": {"nodeName": "worker-0", "volumes": [{"name": "t", "projected": {}}]},
            "status": {"phase": "Running"},
        });
        change(&mut pod);
        let list = BTreeMap::from([("default/web".to_owned(), pod)]);
        assert!(on_node(&list, "worker-1").is_empty());
        on_node(&list, "worker-0").remove(0)
    }

    #[test]
    fn pods_go_stay_or_need_consent() {
        let careful = DrainOptions::default();
        let reckless = DrainOptions {
            force: true,
            delete_emptydir_data: true,
            ..careful
        };
        let places = |pod: PodFound| [careful, reckless].map(|options| pod.place(&options));
        let goes = [PodPlace::Goes; 2];
        let blocked = |blocker| [PodPlace::Blocked(blocker), PodPlace::Goes];
        assert_eq!(places(pod(|_| ())), goes);
        let daemon =
            |p: &mut Value| p["metadata"]["ownerReferences"][0]["kind"] = "DaemonSet".into();
        assert_eq!(places(pod(daemon)), [PodPlace::Stays; 2]);
        let mirror = |p: &mut Value| {
            p["metadata"]["annotations"][MIRROR] = "x".into();
            p["metadata"]["ownerReferences"][0]["kind"] = "Node".into();
        };
        assert_eq!(places(pod(mirror)), [PodPlace::Stays; 2]);
        let alone = |p: &mut Value| p["metadata"]["ownerReferences"] = json!([]);
        assert_eq!(places(pod(alone)), blocked(Blocker::NoController));
        // An owner that is no controller makes no new pod.
        let owned =
            |p: &mut Value| p["metadata"]["ownerReferences"][0]["controller"] = false.into();
        assert_eq!(places(pod(owned)), blocked(Blocker::NoController));
        let data = |p: &mut Value| p["spec"]["volumes"] = json!([{"name": "d", "emptyDir": {}}]);
        assert_eq!(places(pod(data)), blocked(Blocker::EmptyDir));
        let ended = |p: &mut Value| {
            alone(p);
            p["status"]["phase"] = "Succeeded".into();
        };
        assert_eq!(places(pod(ended)), goes);
        let ending = |p: &mut Value| {
            alone(p);
            p["metadata"]["deletionTimestamp"] = "2027-01-15T08:00:00Z".into();
        };
        assert_eq!(places(pod(ending)), [PodPlace::Ends; 2]);
    }
}
