//! Static pods in the middle of an upgrade, where a control plane is ahead of its cluster.

use crate::cluster;
use k8s_bootstrap::{
    ClusterSpec, Desired, Shape,
    skew::{ClusterVersions, Step, steps},
    upgrade::advanced,
};
use std::collections::BTreeMap;

/// The images of a node's manifests, by the name of their program.
fn images(desired: &Desired, node: &str) -> BTreeMap<String, String> {
    let files = &desired.nodes[&node.parse().unwrap()].files;
    let manifests = files.iter().filter(|file| {
        let path = &file.path;
        path.starts_with("/etc/kubernetes/manifests") && path.extension().is_some()
    });
    let pods = manifests.filter_map(|file| {
        let pod: serde_json::Value = serde_norway::from_slice(file.contents.bytes()).unwrap();
        let container = &pod["spec"]["containers"][0];
        let text = |field: &str| container[field].as_str().map(str::to_owned);
        Some((text("name")?, text("image")?))
    });
    pods.collect()
}

/// From 1.35 to 1.36 the controller manager loses an argument and a mount, and arguments change their order.
#[test]
fn a_control_plane_that_is_ahead_has_the_pods_of_its_own_version_and_the_cluster_its_objects() {
    let old = ClusterSpec {
        shape: Shape::StaticPods,
        ..cluster::spec_of_three("1.35.0")
    };
    let to = "1.36.3".parse().unwrap();
    let steps = steps(&ClusterVersions::of(&old), to, &[]).unwrap();
    let bin_dir = "/opt/new".parse().unwrap();
    let mut spec = old.clone();
    let mut was = cluster::of_static_pods(spec.clone());
    let new = cluster::of_static_pods(ClusterSpec {
        // Names of images are the caller's.
        images: old.images.clone(),
        ..cluster::spec_of_three("1.36.3")
    });
    for step in &steps {
        spec = advanced(&spec, step, &bin_dir);
        let now = cluster::of_static_pods(spec.clone());
        let same_objects = now.objects == was.objects;
        let is_objects = matches!(step, Step::Objects { .. });
        assert_eq!(same_objects, !is_objects, "{step}");
        was = now;
        if let Step::ControlPlane { node, .. } = step {
            let images = images(&was, node.as_str());
            assert_eq!(images.len(), 3);
            assert!(
                images.values().all(|image| image.ends_with(":v1.36.3")),
                "{images:?}"
            );
            let manifests = |of: &Desired| {
                let files = of.nodes[node].files.iter();
                let of_pods =
                    files.filter(|file| file.path.starts_with("/etc/kubernetes/manifests"));
                of_pods.cloned().collect::<Vec<_>>()
            };
            assert_eq!(manifests(&was), manifests(&new), "{node}");
        }
    }
    assert_eq!(was.objects, new.objects);
}
