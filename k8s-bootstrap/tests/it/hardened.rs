//! The hardened profile: golden files beside those of the standard one, and what must hold of every version.

use crate::{
    cluster,
    golden::{check, node_text},
};
use host_exec::{HostName, Mode};
use k8s_bootstrap::{
    Balancer, Desired, DesiredError, Material, Profile, RELEASES, Shape, hardened::EncryptionKey,
};
use std::path::Path;

/// 32 times the letter `k`, in base64.
const KEY: &str = "a2tra2tra2tra2tra2tra2tra2tra2tra2tra2tra2s=";

pub(crate) fn material() -> Material {
    let key = EncryptionKey::from_text(KEY).unwrap();
    cluster::material().encrypting(["cp-0".parse().unwrap()], &key)
}

fn desired(version: &str) -> Desired {
    let mut spec = cluster::spec(version);
    spec.profile = Profile::Hardened;
    spec.images.registry = false;
    Desired::new(spec, &material()).unwrap()
}

fn text_of<'d>(desired: &'d Desired, node: &str, path: &str) -> Option<&'d str> {
    let node: HostName = node.parse().unwrap();
    let mut files = desired.nodes[&node].files.iter();
    let file = files.find(|file| file.path == Path::new(path))?;
    std::str::from_utf8(file.contents.bytes()).ok()
}

fn api_server_unit(desired: &Desired) -> &str {
    text_of(
        desired,
        "cp-0",
        "/etc/systemd/system/kube-apiserver.service",
    )
    .unwrap()
}

#[test]
fn files_of_hardened_1_37() {
    let desired = desired("1.37.2");
    check("1.37-hardened-cp-0.txt", &node_text(&desired, "cp-0"));
    check(
        "1.37-hardened-worker-0.txt",
        &node_text(&desired, "worker-0"),
    );
}

#[test]
fn files_of_hardened_1_28() {
    let desired = desired("1.28.3");
    check("1.28-hardened-cp-0.txt", &node_text(&desired, "cp-0"));
    check(
        "1.28-hardened-worker-0.txt",
        &node_text(&desired, "worker-0"),
    );
}

#[test]
fn anonymous_requests_are_kept_to_health_as_each_version_can() {
    for release in RELEASES {
        let desired = desired(&format!("1.{}.0", release.minor));
        let unit = api_server_unit(&desired);
        let file = text_of(
            &desired,
            "cp-0",
            "/etc/kubernetes/apiserver/authentication.yaml",
        );
        if release.minor < 32 {
            assert!(unit.contains("--anonymous-auth=false"), "{unit}");
            assert_eq!(file, None);
        } else {
            // One excludes the other.
            assert!(!unit.contains("--anonymous-auth"), "{unit}");
            let version = if release.minor < 34 { "v1beta1" } else { "v1" };
            let wanted = format!("apiVersion: apiserver.config.k8s.io/{version}\n");
            assert!(file.unwrap().contains(&wanted), "{file:?}");
        }
    }
}

#[test]
fn probes_without_a_certificate_still_get_in_before_1_32() {
    let mut spec = cluster::spec("1.28.3");
    spec.profile = Profile::Hardened;
    spec.shape = Shape::StaticPods;
    let place = k8s_bootstrap::component::Place {
        cluster: &spec,
        node: &spec.control_planes[0],
        role: k8s_bootstrap::Role::ControlPlane,
    };
    let server = k8s_bootstrap::component::apiserver::component(place);
    let mut arguments = server.arguments.iter();
    assert!(!arguments.any(|argument| argument.starts_with("--anonymous-auth")));
}

#[test]
fn pods_ask_a_registry_only_where_there_is_one() {
    let without = desired("1.37.2");
    assert!(!api_server_unit(&without).contains("AlwaysPullImages"));
    let mut spec = cluster::spec("1.37.2");
    spec.profile = Profile::Hardened;
    let with = Desired::new(spec, &material()).unwrap();
    assert!(api_server_unit(&with).contains("=AlwaysPullImages,DenyServiceExternalIPs,"));
}

#[test]
fn nobody_else_reads_what_is_not_a_certificate() {
    for setup in desired("1.37.2").nodes.values() {
        for file in &setup.files {
            let certificate = file.path.starts_with("/etc/kubernetes/pki");
            let private = file.mode == Mode::SECRET;
            assert!(
                private || certificate,
                "{} {}",
                file.path.display(),
                file.mode
            );
        }
    }
}

#[test]
fn a_cluster_without_a_key_is_refused_by_the_name_of_the_file() {
    let mut spec = cluster::spec("1.37.2");
    spec.profile = Profile::Hardened;
    let error = Desired::new(spec, &cluster::material()).unwrap_err();
    assert!(matches!(error, DesiredError::MissingFile { .. }));
    assert_eq!(
        error.to_string(),
        "kube-apiserver.service of cp-0 reads /etc/kubernetes/apiserver/encryption.yaml, which is not among the \
         node's files; add it to the material"
    );
}

#[test]
fn the_key_is_in_its_own_file_and_nowhere_else() {
    let desired = desired("1.37.2");
    let debug = format!("{desired:?} {:?}", material());
    assert!(!debug.contains(KEY), "{debug}");
    for setup in desired.nodes.values() {
        let with_key = setup
            .files_before_boot()
            .into_iter()
            .filter(|file| String::from_utf8_lossy(file.contents.bytes()).contains(KEY));
        let paths: Vec<_> = with_key.map(|file| (file.path, file.mode)).collect();
        let wanted = [(
            "/etc/kubernetes/apiserver/encryption.yaml".into(),
            Mode::SECRET,
        )];
        let is_control_plane = setup.role == k8s_bootstrap::Role::ControlPlane;
        assert_eq!(paths, &wanted[..usize::from(is_control_plane)]);
    }
}

#[test]
fn the_balancer_reads_its_configuration_as_a_user_of_its_own() {
    let mut spec = cluster::spec("1.37.2");
    spec.profile = Profile::Hardened;
    spec.balancer = Some(Balancer {
        program: "/usr/sbin/haproxy".parse().unwrap(),
        port: 7443,
    });
    let desired = Desired::new(spec, &material()).unwrap();
    let mut files = desired.nodes[&"worker-0".parse().unwrap()].files.iter();
    let config = files.find(|file| file.path == Path::new("/etc/kubernetes/balancer.cfg"));
    assert_eq!(config.unwrap().mode, Mode::PUBLIC);
}

#[test]
fn a_static_pod_mounts_what_the_profile_has_it_read_and_write() {
    let mut spec = cluster::spec("1.37.2");
    spec.profile = Profile::Hardened;
    spec.shape = Shape::StaticPods;
    let desired = Desired::new(spec, &material()).unwrap();
    let path = "/etc/kubernetes/manifests/kube-apiserver.yaml";
    let pod: serde_json::Value =
        serde_norway::from_str(text_of(&desired, "cp-0", path).unwrap()).unwrap();
    let mounts = pod["spec"]["containers"][0]["volumeMounts"]
        .as_array()
        .unwrap();
    let of = |path: &str| {
        mounts
            .iter()
            .find(|mount| mount["mountPath"] == path)
            .unwrap()
    };
    assert_eq!(of("/etc/kubernetes/apiserver")["readOnly"], true);
    assert!(of("/var/log/kubernetes")["readOnly"].is_null());
    let kubelet = text_of(&desired, "cp-0", "/etc/systemd/system/kubelet.service").unwrap();
    assert!(
        kubelet.contains("LogsDirectory=kubernetes\nLogsDirectoryMode=0700\n"),
        "{kubelet}"
    );
}
