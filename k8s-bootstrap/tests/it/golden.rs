//! Every file and object of the reference cluster, by version, against tests/data.
//! `K8S_BOOTSTRAP_BLESS=1 cargo test -p k8s-bootstrap` writes them anew.

use crate::cluster;
use host_exec::{Contents, File, Mode};
use k8s_bootstrap::{Crio, Desired, Observed, Runtime, plan};
use std::{fmt::Write as _, fs, path::Path};

/// The image that upstream's release 0.8.0 names.
pub(crate) const METRICS_SERVER: &str = "registry.k8s.io/metrics-server/metrics-server:v0.8.0";

pub(crate) fn check(name: &str, text: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/data")
        .join(name);
    if option_env!("K8S_BOOTSTRAP_BLESS").is_some() {
        fs::write(&path, text).unwrap();
    }
    let golden = fs::read_to_string(&path).unwrap_or_default();
    let differs = golden.lines().zip(text.lines()).position(|(a, b)| a != b);
    assert_eq!(
        golden, text,
        "{name} differs first at line index {differs:?}"
    );
}

pub(crate) fn node_text(desired: &Desired, name: &str) -> String {
    let setup = &desired.nodes[&name.parse().unwrap()];
    let mut text = String::new();
    for service in &setup.services {
        writeln!(text, "# {} {}", service.unit, service.gate).unwrap();
        for path in &service.reads {
            writeln!(text, "#   reads {}", path.display()).unwrap();
        }
    }
    // The caller's secrets are not ours to render.
    let public = |file: &&File| matches!(file.contents, Contents::Public(_));
    let own = setup.files.iter().filter(public);
    for File {
        path,
        mode,
        contents,
    } in own
    {
        let contents = String::from_utf8_lossy(contents.bytes());
        write!(text, "\n===== {} {mode}\n{contents}", path.display()).unwrap();
    }
    text
}

fn objects_text(desired: &Desired) -> String {
    let objects = std::iter::once(&desired.token_secret).chain(&desired.objects);
    objects
        .map(|object| format!("---\n{}", serde_norway::to_string(object.body()).unwrap()))
        .collect()
}

#[test]
fn files_of_1_37_control_plane() {
    check(
        "1.37-cp-0.txt",
        &node_text(&cluster::desired("1.37.2"), "cp-0"),
    );
}

#[test]
fn files_of_1_37_worker() {
    check(
        "1.37-worker-0.txt",
        &node_text(&cluster::desired("1.37.2"), "worker-0"),
    );
}

#[test]
fn files_of_1_28_control_plane() {
    check(
        "1.28-cp-0.txt",
        &node_text(&cluster::desired("1.28.3"), "cp-0"),
    );
}

#[test]
fn files_of_1_28_worker() {
    check(
        "1.28-worker-0.txt",
        &node_text(&cluster::desired("1.28.3"), "worker-0"),
    );
}

/// A control plane among three, and a node that finds them through its balancer.
#[test]
fn files_of_three_control_planes() {
    let spec = cluster::spec_of_three("1.37.2");
    let desired = Desired::new(spec, &cluster::material()).unwrap();
    for node in ["cp-1", "worker-0"] {
        let name = format!("1.37-three-{node}.txt");
        check(&name, &node_text(&desired, node));
    }
}

#[test]
fn objects_of_1_37() {
    check(
        "1.37-objects.yaml",
        &objects_text(&cluster::desired("1.37.2")),
    );
}

#[test]
fn objects_of_metrics_server() {
    let without = cluster::desired("1.37.2").objects.len();
    let mut spec = cluster::spec("1.37.2");
    spec.addons.metrics_server = Some(METRICS_SERVER.parse().unwrap());
    let mut desired = Desired::new(spec, &cluster::material()).unwrap();
    desired.objects.drain(..without);
    let text = desired.objects.iter();
    let text: String = text
        .map(|object| format!("---\n{}", serde_norway::to_string(object.body()).unwrap()))
        .collect();
    check("metrics-server.yaml", &text);
}

#[test]
fn objects_of_1_28() {
    check(
        "1.28-objects.yaml",
        &objects_text(&cluster::desired("1.28.3")),
    );
}

#[test]
fn static_pods_of_1_37() {
    let desired = cluster::static_pods("1.37.2");
    check("1.37-static-pods-cp-0.txt", &node_text(&desired, "cp-0"));
    check("1.37-static-pods-objects.yaml", &objects_text(&desired));
}

/// With a balancer in front of it an API server pauses before it ends, and kubeadm is told so.
#[test]
fn static_pods_behind_a_balancer_pause() {
    let texts = |spec| {
        let desired = cluster::of_static_pods(spec);
        [node_text(&desired, "cp-0"), objects_text(&desired)]
    };
    for (spec, pauses) in [
        (cluster::spec("1.37.2"), false),
        (cluster::spec_of_three("1.37.2"), true),
    ] {
        let [node, objects] = texts(spec);
        assert_eq!(node.contains("--shutdown-delay-duration=1s"), pauses);
        assert_eq!(objects.contains("name: shutdown-delay-duration"), pauses);
    }
}

#[test]
fn static_pods_of_1_28() {
    let desired = cluster::static_pods("1.28.3");
    check("1.28-static-pods-cp-0.txt", &node_text(&desired, "cp-0"));
    check("1.28-static-pods-objects.yaml", &objects_text(&desired));
}

#[test]
fn the_first_plan() {
    let desired = cluster::desired("1.37.2");
    check(
        "1.37-plan.txt",
        &plan(&desired, &Observed::default()).to_string(),
    );
}

#[test]
fn secrets_are_in_no_debug_text_and_in_no_public_file() {
    let desired = cluster::desired("1.37.2");
    let debug = format!("{desired:?} {:?}", cluster::material());
    for secret in ["0123456789abcdef", "its key", "pki/ca.key\\n"] {
        assert!(!debug.contains(secret), "{secret}");
    }
    for setup in desired.nodes.values() {
        for file in setup.files_before_boot() {
            let text = String::from_utf8_lossy(file.contents.bytes()).into_owned();
            let secret = text.contains("0123456789abcdef") || text.contains("its key");
            assert!(
                !secret || file.mode == Mode::SECRET,
                "{}",
                file.path.display()
            );
        }
    }
}

/// What nobody here can run is at least seen: CRI-O, and nodes that wait for a cloud.
#[test]
fn files_with_crio_and_a_cloud() {
    let mut spec = cluster::spec("1.37.2");
    spec.runtime = Runtime::Crio(Crio {
        program: "/usr/bin/crio".parse().unwrap(),
        minor: 37,
        oci_runtime: "/usr/bin/crun".parse().unwrap(),
        monitor: "/usr/bin/conmon".parse().unwrap(),
    });
    spec.external_cloud_provider = true;
    let desired = Desired::new(spec, &cluster::material()).unwrap();
    check("1.37-crio-cp-0.txt", &node_text(&desired, "cp-0"));
}

#[test]
fn crio_of_another_minor_is_refused() {
    let mut spec = cluster::spec("1.37.2");
    spec.runtime = Runtime::Crio(Crio {
        program: "/usr/bin/crio".parse().unwrap(),
        minor: 36,
        oci_runtime: "/usr/bin/crun".parse().unwrap(),
        monitor: "/usr/bin/conmon".parse().unwrap(),
    });
    let error = Desired::new(spec, &cluster::material()).unwrap_err();
    let text = error.to_string();
    assert!(text.contains("CRI-O") && text.contains("1.36"), "{text}");
}
