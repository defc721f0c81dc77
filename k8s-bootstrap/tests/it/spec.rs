//! Specs that cannot be, and what is said about them.

use crate::cluster;
use k8s_bootstrap::{
    ClusterSpec, Desired, EtcdVersion, Material, NodePart, NodePrograms, NodeSpec,
};

fn message(change: impl FnOnce(&mut ClusterSpec)) -> String {
    let mut spec = cluster::spec("1.37.2");
    change(&mut spec);
    Desired::new(spec, &cluster::material())
        .unwrap_err()
        .to_string()
}

#[test]
fn contradictions_are_named() {
    let cases = [
        (
            message(|s| s.control_planes.clear()),
            "control_planes is empty; give at least one",
        ),
        (
            message(|s| s.etcd_endpoints.clear()),
            "etcd_endpoints is empty; give at least one",
        ),
        (
            message(|s| s.cni_bin_dirs.clear()),
            "cni_bin_dirs is empty; give at least one",
        ),
        (
            message(|s| s.workers.push(cluster::node("cp-0", 30))),
            "two nodes are named cp-0; give each its own name",
        ),
        (
            message(|s| s.workers[0].name = "w".repeat(53).parse().unwrap()),
            "the node name wwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwww is too long for its certificate; \
             give it at most 52 characters",
        ),
        (
            message(|s| s.services.v6 = "fd96::/64".parse().unwrap()),
            "services is fd96::/64, but its prefix must be /108 to /124",
        ),
        (
            message(|s| s.services.v4 = "10.96.0.0/29".parse().unwrap()),
            "services is 10.96.0.0/29, but its prefix must be /12 to /28",
        ),
        (
            message(|s| s.services.v4 = "10.244.0.0/16".parse().unwrap()),
            "10.244.10.0/24 of pods of cp-0 and 10.244.0.0/16 of services overlap; make them disjoint",
        ),
        (
            message(|s| s.workers.push(cluster::node("worker-1", 10))),
            "10.244.10.0/24 of pods of worker-1 and 10.244.10.0/24 of pods of cp-0 overlap; make them disjoint",
        ),
        (
            message(|s| s.pods.v4 = "10.245.0.0/16".parse().unwrap()),
            "pods of cp-0 are 10.244.10.0/24, outside the cluster's pods 10.245.0.0/16; give it a part of these, or widen \
             `pods`",
        ),
        (
            message(|s| s.workers[0].routes[0].via = "fd10:1::10".parse().unwrap()),
            "the route of worker-0 to 10.244.10.0/24 goes via fd10:1::10, which is of the other family; name a gateway of \
             the same",
        ),
        (
            message(|s| s.patience = f64::NAN),
            "patience is NaN, but must be a number from 0.1 to 1000",
        ),
        (
            message(|s| s.patience = 0.0),
            "patience is 0, but must be a number from 0.1 to 1000",
        ),
    ];
    for (said, expected) in cases {
        assert_eq!(said, expected);
    }
}

fn upgraded(node: &mut NodeSpec, part: NodePart, version: &str) {
    node.programs = Some(NodePrograms {
        part,
        version: version.parse().unwrap(),
        bin_dir: "/opt/other/bin".parse().unwrap(),
    });
}

#[test]
fn versions_that_do_not_go_together_are_named() {
    let cases = [
        (
            message(|s| s.etcd_version = Some(EtcdVersion::new(3, 5, 9))),
            "etcd is 3.5.9, but Kubernetes 1.37.2 needs 3.5.24 or later; upgrade etcd first",
        ),
        (
            message(|s| upgraded(&mut s.workers[0], NodePart::Node, "1.33.4")),
            "kubelet of worker-0 is 1.33.4, too old for kube-apiserver of cp-0, which is 1.37.2: it may be older by \
             at most 3 in the minor; upgrade kubelet of worker-0 to 1.34 or later first",
        ),
        (
            message(|s| {
                s.version = "1.36.3".parse().unwrap();
                upgraded(&mut s.workers[0], NodePart::All, "1.37.2");
            }),
            "kubelet of worker-0 is 1.37.2, newer than kube-apiserver of cp-0, which is 1.36.3; upgrade every API \
             server first, or give worker-0 kubelet 1.36",
        ),
    ];
    for (said, expected) in cases {
        assert_eq!(said, expected);
    }
}

/// In the middle of an upgrade its API server and its kubelet are of two versions, each with its own files.
#[test]
fn a_control_plane_is_upgraded_in_two_parts() {
    let mut spec = cluster::spec("1.36.3");
    upgraded(
        &mut spec.control_planes[0],
        NodePart::ControlPlane,
        "1.37.2",
    );
    let desired = Desired::new(spec, &cluster::material()).unwrap();
    let files = &desired.nodes[&"cp-0".parse().unwrap()].files;
    let program = |unit: &str| {
        let unit = files.iter().find(|file| file.path.ends_with(unit)).unwrap();
        let text = String::from_utf8(unit.contents.bytes().to_vec()).unwrap();
        let line = text
            .lines()
            .find_map(|line| line.strip_prefix("ExecStart="));
        line.unwrap().split(' ').next().unwrap().to_owned()
    };
    assert_eq!(
        program("kube-apiserver.service"),
        "/opt/other/bin/kube-apiserver"
    );
    assert_eq!(
        program("kube-scheduler.service"),
        "/opt/other/bin/kube-scheduler"
    );
    assert_eq!(program("kubelet.service"), "/opt/lab/bin/kubelet");
    assert_eq!(program("kube-proxy.service"), "/opt/lab/bin/kube-proxy");
}

#[test]
fn a_missing_key_is_found_before_anything_is_touched() {
    let mut material: Material = cluster::material();
    let files = material.files.get_mut(&"cp-0".parse().unwrap()).unwrap();
    files.retain(|file| !file.path.ends_with("sa.key"));
    let error = Desired::new(cluster::spec("1.37.2"), &material).unwrap_err();
    let expected = "kube-apiserver.service of cp-0 reads /etc/kubernetes/pki/sa.key, \
        which is not among the node's files; add it to the material";
    assert_eq!(error.to_string(), expected);
}

#[test]
fn an_election_is_held_among_several_only() {
    let mut spec = cluster::spec("1.37.2");
    let mut material = cluster::material();
    let text = |spec: ClusterSpec, material: &Material| {
        let desired = Desired::new(spec, material).unwrap();
        let files = &desired.nodes[&"cp-0".parse().unwrap()].files;
        let unit = files
            .iter()
            .find(|file| file.path.ends_with("kube-scheduler.service"))
            .unwrap();
        String::from_utf8(unit.contents.bytes().to_vec()).unwrap()
    };
    assert!(text(spec.clone(), &material).contains("--leader-elect=false"));
    spec.control_planes.push(cluster::node("cp-1", 11));
    let files = material.files[&"cp-0".parse().unwrap()].clone();
    material.files.insert("cp-1".parse().unwrap(), files);
    assert!(text(spec, &material).contains("--leader-elect=true"));
}
