//! The programs for which files are written, as their readers. None of them is started.

use crate::{cluster, real};
use host_exec::{Command, File, Host, LocalHost};
use k8s_bootstrap::Desired;
use std::path::{Path, PathBuf};

fn here() -> LocalHost {
    LocalHost::new("here".parse().unwrap())
}

/// The programs of this machine in place of those of a node.
fn desired(version: &str) -> Desired {
    let mut spec = cluster::spec(version);
    spec.bin_dir = real::bin_dir().to_str().unwrap().parse().unwrap();
    Desired::new(spec, &cluster::material()).unwrap()
}

async fn copy(desired: &Desired, node: &str, ending: &str, dir: &Path) -> Vec<PathBuf> {
    let setup = &desired.nodes[&node.parse().unwrap()];
    let mut copies = Vec::new();
    for file in &setup.files {
        let name = file.path.file_name().unwrap().to_str().unwrap();
        if name.ends_with(ending) {
            let path = dir.join(name);
            let copy = File::public(&path, file.contents.bytes());
            here().write_file(&copy).await.unwrap();
            copies.push(path);
        }
    }
    copies
}

/// systemd knows every key and finds every program.
#[tokio::test]
#[ignore = "needs systemd-analyze, containerd and the Kubernetes programs"]
async fn systemd_reads_every_unit() {
    for version in ["1.28.3", "1.37.2"] {
        let dir = tempfile::tempdir().unwrap();
        let units = copy(&desired(version), "cp-0", ".service", dir.path()).await;
        assert_eq!(units.len(), 7);
        let command = Command::new("systemd-analyze")
            .arg("verify")
            .args(units.iter().map(|unit| unit.to_str().unwrap()));
        let output = here().run(&command).await.unwrap();
        assert_eq!(output.stderr_text(), "");
    }
}

/// containerd 1 finds what we set where it looks for it.
#[tokio::test]
#[ignore = "needs containerd 1.6 or 1.7"]
async fn containerd_reads_its_configuration() {
    let dir = tempfile::tempdir().unwrap();
    let files = copy(&desired("1.28.3"), "worker-0", "config.toml", dir.path()).await;
    let command = Command::new("containerd")
        .arg("--config")
        .arg(files[0].to_str().unwrap())
        .args(["config", "dump"]);
    let output = here().run(&command).await.unwrap();
    let dump = output.stdout_text();
    for line in [
        "sandbox_image = \"registry.k8s.io/pause:3.9\"",
        "bin_dir = \"/usr/lib/cni\"",
        "default_runtime_name = \"oci\"",
        "BinaryName = \"/usr/bin/runc\"",
        "SystemdCgroup = true",
        "restrict_oom_score_adj = true",
    ] {
        assert!(
            dump.lines().any(|found| found.trim() == line),
            "{line} in {dump}"
        );
    }
}

/// kube-proxy reads our configuration without a complaint and knows every field of it.
#[tokio::test]
#[ignore = "needs kube-proxy"]
async fn kube_proxy_reads_its_configuration() {
    let dir = tempfile::tempdir().unwrap();
    let desired = desired("1.37.2");
    let files = copy(&desired, "worker-0", "kube-proxy-config.yaml", dir.path()).await;
    let output = dir.path().join("out.yaml");
    let command = Command::new(real::bin_dir().join("kube-proxy").to_str().unwrap())
        .arg(format!("--config={}", files[0].display()))
        .arg(format!("--write-config-to={}", output.display()));
    let ran = here().run(&command).await.unwrap();
    let said = ran.stderr_text();
    assert!(
        !said.contains("strict") && !said.contains("unknown"),
        "{said}"
    );
    let read = String::from_utf8(here().read_file(&output).await.unwrap().unwrap()).unwrap();
    assert!(
        read.contains("mode: nftables") && read.contains("hostnameOverride: worker-0"),
        "{read}"
    );
}

/// A certificate that HAProxy can read stands in for the cluster's.
fn authority(dir: &Path) -> PathBuf {
    let subject = pki::Subject::new("kubernetes", &[]).unwrap();
    let now = time::OffsetDateTime::from_unix_timestamp(1_800_000_000).unwrap();
    let ca = pki::Authority::create(&subject, pki::Life::AUTHORITY, now, &pki::OsRandom).unwrap();
    let path = dir.join("ca.crt");
    std::fs::write(&path, ca.certificate_pem()).unwrap();
    path
}

/// HAProxy takes the balancer's configuration without a warning.
#[tokio::test]
#[ignore = "needs haproxy"]
async fn haproxy_reads_its_configuration() {
    let dir = tempfile::tempdir().unwrap();
    let desired = Desired::new(cluster::spec_of_three("1.37.2"), &cluster::material()).unwrap();
    let files = copy(&desired, "worker-0", "balancer.cfg", dir.path()).await;
    let text = std::fs::read_to_string(&files[0]).unwrap();
    let ca = authority(dir.path());
    let text = text.replace("/etc/kubernetes/pki/ca.crt", ca.to_str().unwrap());
    std::fs::write(&files[0], text).unwrap();
    let command = Command::new("/usr/sbin/haproxy")
        .args(["-c", "-V", "-f"])
        .arg(files[0].to_str().unwrap());
    let output = here().run(&command).await.unwrap();
    let said = format!("{}{}", output.stdout_text(), output.stderr_text());
    assert!(said.contains("Configuration file is valid"), "{said}");
    assert!(!said.contains("WARNING"), "{said}");
}

/// keepalived takes the virtual router's configuration without a complaint.
#[tokio::test]
#[ignore = "needs keepalived and root"]
async fn keepalived_reads_its_configuration() {
    let dir = tempfile::tempdir().unwrap();
    let desired = Desired::new(cluster::spec_of_three("1.37.2"), &cluster::material()).unwrap();
    let files = copy(&desired, "cp-1", "virtual-address.conf", dir.path()).await;
    // It looks for the interface, so it is given a network of its own with one of that name.
    let script = "ip link add kube0 type veth && ip link set kube0 up \
        && exec /usr/sbin/keepalived --config-test --use-file \"$0\"";
    let command = Command::new("unshare")
        .args(["--net", "sh", "-c", script])
        .arg(files[0].to_str().unwrap());
    // Content, keepalived 2.2.7 ends its own script runner, and with it itself: what counts is what it says.
    let output = here().output(&command).await.unwrap();
    let said = format!("{}{}", output.stdout_text(), output.stderr_text());
    assert_eq!(said, "");
}
