//! A whole cluster as a text: what each version makes of one spec, in sections of one file, object or certificate.
//!
//! The spec: external etcd, both families, a control plane that begins (cp-0), one that joins (cp-1), a worker, the
//! old cgroups, containerd 2.

use crate::cluster;
use host_exec::Contents;
use k8s_bootstrap::{
    APPLIED, CgroupVersion, ClusterSpec, Desired, Material, NodeSpec, Profile, Route, Shape,
};
use pki::{ApiUrl, CommonName, KubeletClients, KubernetesVersion, PkiSpec};
use std::{collections::BTreeMap, fmt::Write as _};

/// The sections of a tree: a title, which is the same in every version, and the text.
pub(crate) type Tree = BTreeMap<String, String>;

/// Everything that `version` makes of the spec.
pub(crate) fn tree(shape: Shape, profile: Profile, version: &str) -> Tree {
    let mut spec = spec(version);
    (spec.shape, spec.profile) = (shape, profile);
    let pki = pki_spec(&spec);
    let token = cluster::material().token;
    let mut material = Material::on_paper(&pki, token).unwrap();
    if profile == Profile::Hardened {
        let control_planes = spec.control_planes.iter().map(|node| node.name.clone());
        material = material.encrypting_on_paper(control_planes);
    }
    let desired = Desired::new(spec, &material).unwrap();
    let mut tree = Tree::new();
    files(&desired, &mut tree);
    services(&desired, &mut tree);
    objects(&desired, &mut tree);
    certificates(pki.kubernetes_version, &mut tree);
    // It is in every image of Kubernetes, and would hide what else changes.
    let tag = format!("v{version}");
    for text in tree.values_mut() {
        *text = text.replace(&tag, "vVERSION");
    }
    tree
}

/// A tree as one text.
pub(crate) fn text(tree: &Tree) -> String {
    let sections = tree.iter();
    sections
        .map(|(title, text)| format!("===== {title}\n{text}\n"))
        .collect()
}

fn spec(version: &str) -> ClusterSpec {
    let mut spec = cluster::spec(version);
    let nodes = [("cp-0", 10), ("cp-1", 11), ("worker-0", 20)];
    let node = |name, number| NodeSpec {
        routes: nodes
            .iter()
            .filter(|(_, other)| *other != number)
            .flat_map(|(_, other)| routes(*other))
            .collect(),
        ..cluster::node(name, number)
    };
    spec.control_planes = vec![node("cp-0", 10), node("cp-1", 11)];
    spec.workers = vec![node("worker-0", 20)];
    let paper = ClusterSpec::new(
        spec.version,
        spec.etcd_endpoints.clone(),
        spec.pods,
        spec.control_planes[0].clone(),
    );
    // The same for all versions, where the cluster of the other tests differs.
    let paper = paper.unwrap();
    spec.runtime = paper.runtime;
    spec.tuning = paper.tuning;
    spec.upstream_dns = vec!["10.10.1.1".parse().unwrap()];
    spec.cgroup = CgroupVersion::V1;
    spec
}

fn routes(other: u8) -> [Route; 2] {
    let to = cluster::node("other", other);
    [
        Route {
            to: to.pods.v4.into(),
            via: to.address.v4.into(),
        },
        Route {
            to: to.pods.v6.into(),
            via: to.address.v6.into(),
        },
    ]
}

fn pki_spec(spec: &ClusterSpec) -> PkiSpec {
    let mut pki_spec = spec.certificates(Vec::new()).unwrap();
    let own = pki_spec
        .control_planes
        .iter_mut()
        .chain(&mut pki_spec.nodes);
    for node in own {
        node.api_server_url = Some(ApiUrl::of_address(node.ips[0], 6443).unwrap());
    }
    if spec.shape == Shape::StaticPods {
        pki_spec.kubelet_clients = KubeletClients::ControlPlanes;
    }
    pki_spec
}

/// What several nodes have alike stands there once.
fn alike(tree: &mut Tree, what: &str, by_node: Vec<(String, String)>) {
    let mut holders: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (node, text) in by_node {
        holders.entry(text).or_default().push(node);
    }
    for (text, nodes) in holders {
        tree.insert(format!("{what} ({})", nodes.join(", ")), text);
    }
}

fn files(desired: &Desired, tree: &mut Tree) {
    let mut files: BTreeMap<String, Vec<(String, String)>> = BTreeMap::new();
    for (node, setup) in &desired.nodes {
        for file in &setup.files {
            let mut text = format!("mode {}\n", file.mode);
            match &file.contents {
                Contents::Public(bytes) => text += &String::from_utf8_lossy(bytes),
                Contents::Secret(_) => text += "(secret)\n",
            }
            let by_node = files.entry(file.path.display().to_string()).or_default();
            by_node.push((node.to_string(), text));
        }
    }
    for (path, by_node) in files {
        alike(tree, &path, by_node);
    }
}

fn services(desired: &Desired, tree: &mut Tree) {
    let nodes = desired.nodes.iter();
    let by_node = nodes.map(|(node, setup)| {
        let lines = setup.services.iter();
        let text = lines
            .map(|service| format!("{}, {}\n", service.unit, service.gate))
            .collect();
        (node.to_string(), text)
    });
    alike(tree, "services", by_node.collect());
}

fn objects(desired: &Desired, tree: &mut Tree) {
    for object in std::iter::once(&desired.token_secret).chain(&desired.objects) {
        let mut body = object.body().clone();
        // It changes with the body, which is here itself.
        let metadata = body["metadata"].as_object_mut().unwrap();
        let annotations = metadata["annotations"].as_object_mut().unwrap();
        annotations.remove(APPLIED);
        if annotations.is_empty() {
            metadata.remove("annotations");
        }
        let text = serde_norway::to_string(&body).unwrap();
        tree.insert(object.key().to_string(), text);
    }
}

/// Who the leaves are, since the files themselves are not issued here.
fn certificates(version: KubernetesVersion, tree: &mut Tree) {
    let known = pki::PROFILES.iter().filter(|leaf| leaf.since <= version);
    for leaf in known {
        let mut text = format!("signed by {}\n", leaf.signer.common_name());
        match leaf.common_name {
            CommonName::Fixed(name) => writeln!(text, "CN {name}"),
            CommonName::NodeWithPrefix(prefix) => writeln!(text, "CN {prefix}NAME"),
        }
        .unwrap();
        for group in leaf.groups(version) {
            writeln!(text, "O {group}").unwrap();
        }
        tree.insert(format!("certificate {}", leaf.name), text);
    }
}
