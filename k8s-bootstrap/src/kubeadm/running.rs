//! Which static pods run: those of the manifests that are there, or those of older ones.
//!
//! kubeadm compares the hash that the kubelet writes on a mirror pod before and after (`WaitForStaticPodHashChange`,
//! `util/apiclient/wait.go`). Here the manifest is at hand, so the pod is compared with it: image, command and the
//! digest of the files that the program has read. A kubelet makes a mirror pod anew only when the old pod has ended.

use super::{MANIFESTS, READS};
use crate::{Desired, NodeSetup, Shape, component, observe::holds};
use host_exec::HostName;
use serde_json::Value;
use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

/// Whether a file is a manifest, which the kubelet follows by itself.
pub(crate) fn is_manifest(path: &Path) -> bool {
    path.starts_with(MANIFESTS) && path.extension().is_some_and(|kind| kind == "yaml")
}

impl Desired {
    /// The manifests of a node that change with one of `files`, since their programs read it at their start. None
    /// where programs are services.
    #[must_use]
    pub fn manifests_reading(&self, node: &HostName, files: &BTreeSet<&Path>) -> Vec<PathBuf> {
        let place = component::Place::of(&self.spec, node);
        let Some(place) = place.filter(|_| self.spec.shape == Shape::StaticPods) else {
            return Vec::new();
        };
        let components = component::control_plane(place).into_iter();
        let own = |component: &component::Component| {
            let files_of = component.files.iter().map(|file| file.path.as_path());
            let reads = component.reads.iter().map(PathBuf::as_path);
            files_of.chain(reads).any(|path| files.contains(path))
        };
        components
            .filter(own)
            .map(|component| PathBuf::from(format!("{MANIFESTS}/{}.yaml", component.name)))
            .collect()
    }
}

/// The control planes with a static pod that runs and is not the one of its manifest, out of all pods by
/// `namespace/name`. One that is not there says nothing: a kubelet that has just started has not told of it yet.
pub(crate) fn outdated(desired: &Desired, pods: &BTreeMap<String, Value>) -> BTreeSet<HostName> {
    let nodes = desired.nodes.iter();
    let is_outdated = |(node, setup): &(&HostName, &NodeSetup)| {
        let wanted = wanted(node, setup);
        let found = wanted
            .iter()
            .filter_map(|(name, pod)| Some((pod, pods.get(name)?)));
        found.into_iter().any(|(pod, live)| !is_same(pod, live))
    };
    nodes
        .filter(is_outdated)
        .map(|(node, _)| node.clone())
        .collect()
}

/// What a control plane's static pods lack to be those of its manifests, and ready; empty if nothing.
pub(crate) fn lacking(
    node: &HostName,
    setup: &NodeSetup,
    pods: &BTreeMap<String, Value>,
) -> Vec<String> {
    let wanted = wanted(node, setup).into_iter();
    let why = wanted.filter_map(|(name, pod)| {
        Some(match pods.get(&name) {
            None => format!("{name} is not there"),
            Some(live) if !is_same(&pod, live) => format!("{name} is still the old one"),
            Some(live) if !holds(live, "Ready") => format!("{name} is not ready"),
            Some(_) => return None,
        })
    });
    why.collect()
}

/// The pods of a node's manifests, by `namespace/name` of their mirrors.
fn wanted(node: &HostName, setup: &NodeSetup) -> Vec<(String, Value)> {
    let manifests = setup.files.iter().filter(|file| is_manifest(&file.path));
    let pods = manifests.filter_map(|file| {
        let pod: Value = serde_norway::from_slice(file.contents.bytes()).ok()?;
        let namespace = pod["metadata"]["namespace"].as_str()?;
        let name = pod["metadata"]["name"].as_str()?;
        Some((format!("{namespace}/{name}-{node}"), pod))
    });
    pods.collect()
}

fn is_same(pod: &Value, live: &Value) -> bool {
    let container = |of: &Value, field: &str| of["spec"]["containers"][0][field].clone();
    let fields = ["image", "command"];
    fields
        .iter()
        .all(|field| container(pod, field) == container(live, field))
        && pod["metadata"]["annotations"][READS] == live["metadata"]["annotations"][READS]
}

#[cfg(test)]
mod tests {
    use super::*;
    use host_exec::File;
    use serde_json::json;

    fn pod(name: &str, reads: &str, command: &str) -> Value {
        json!({
            "metadata": {"namespace": "kube-system", "name": name, "annotations": {READS: reads}},
            "spec": {"containers": [{"image": "i", "command": [name, command]}]},
        })
    }

    fn setup(pod: &Value) -> NodeSetup {
        let path = format!("{MANIFESTS}/kube-scheduler.yaml");
        NodeSetup {
            role: crate::Role::ControlPlane,
            files: vec![
                File::public(format!("{MANIFESTS}/.kubelet-keep"), ""),
                File::public(path, crate::yaml::render(pod)),
            ],
            services: Vec::new(),
        }
    }

    #[test]
    fn a_pod_is_new_when_it_has_read_what_is_there_and_is_ready() {
        let node: HostName = "cp-0".parse().expect("a host name");
        let setup = setup(&pod("kube-scheduler", "a", "--x=1"));
        let said = |live: Option<Value>| {
            let name = "kube-system/kube-scheduler-cp-0".to_owned();
            lacking(
                &node,
                &setup,
                &live.map(|live| (name, live)).into_iter().collect(),
            )
            .join("")
        };
        let live = |reads: &str, command: &str, ready: &str| {
            let mut live = pod("kube-scheduler-cp-0", reads, command);
            live["spec"]["containers"][0]["command"][0] = "kube-scheduler".into();
            live["status"]["conditions"] = json!([{"type": "Ready", "status": ready}]);
            Some(live)
        };
        assert_eq!(said(live("a", "--x=1", "True")), "");
        let name = "kube-system/kube-scheduler-cp-0";
        assert_eq!(said(None), format!("{name} is not there"));
        assert_eq!(
            said(live("a", "--x=1", "False")),
            format!("{name} is not ready")
        );
        let old = format!("{name} is still the old one");
        assert_eq!(said(live("b", "--x=1", "True")), old);
        assert_eq!(said(live("a", "--x=2", "True")), old);
    }
}
