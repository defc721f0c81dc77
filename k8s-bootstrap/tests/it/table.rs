//! The table of releases against kubeadm itself, the oldest and the newest: `LAB_KUBEADM_DIR/1.28.3/kubeadm` and
//! `LAB_KUBEADM_DIR/1.37.2/kubeadm`.

use host_exec::{Command, Host, LocalHost};
use k8s_bootstrap::{ProbePaths, SupportedVersion};
use serde_json::Value;
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

#[expect(
    clippy::disallowed_methods,
    reason = "whoever runs the tests says where the programs are"
)]
fn kubeadms() -> BTreeMap<String, PathBuf> {
    let dir = std::env::var_os("LAB_KUBEADM_DIR");
    let dir = PathBuf::from(dir.expect("LAB_KUBEADM_DIR says where kubeadm is"));
    ["1.28.3", "1.37.2"]
        .map(|version| (version.to_owned(), dir.join(version).join("kubeadm")))
        .into()
}

async fn say(command: Command) -> String {
    let host = LocalHost::new("here".parse().unwrap());
    let output = host.run(&command).await.unwrap();
    output.stdout_text().into_owned()
}

fn kubeadm(program: &Path, words: &str) -> Command {
    Command::new(program.to_str().unwrap()).args(words.split(' '))
}

#[tokio::test]
#[ignore = "needs kubeadm"]
async fn images_and_configuration_are_those_of_kubeadm() {
    for (text, program) in kubeadms() {
        let version: SupportedVersion = text.parse().unwrap();
        let words = format!("config images list --kubernetes-version=v{version}");
        let said = say(kubeadm(&program, &words)).await;
        for image in [
            format!("registry.k8s.io/pause:{}", version.release().pause),
            format!("registry.k8s.io/etcd:{}", version.etcd_image_tag()),
            format!("registry.k8s.io/coredns/coredns:{}", version.coredns()),
        ] {
            assert!(said.lines().any(|line| line == image), "{image} in {said}");
        }
        let said = say(kubeadm(&program, "config print init-defaults")).await;
        let line = format!("apiVersion: {}", version.release().config_api.api_version());
        assert!(said.lines().any(|found| found == line), "{line} in {said}");
    }
}

#[tokio::test]
#[ignore = "needs kubeadm"]
async fn static_pods_are_those_of_kubeadm() {
    for (text, program) in kubeadms() {
        let version: SupportedVersion = text.parse().unwrap();
        let release = version.release();
        let dir = tempfile::tempdir().unwrap();
        let words = format!(
            "init phase control-plane all --dry-run --kubernetes-version=v{version} \
             --apiserver-advertise-address=10.0.0.1"
        );
        let command = kubeadm(&program, &words);
        say(command.env("KUBEADM_INIT_DRYRUN_DIR", dir.path().to_str().unwrap())).await;
        let manifest = |name: &str| -> Value {
            let path = find(dir.path(), &format!("{name}.yaml"));
            let path = path.unwrap_or_else(|| panic!("{text}: no manifest of {name}"));
            serde_norway::from_str(&fs::read_to_string(path).unwrap()).unwrap()
        };

        let scheduler = &manifest("kube-scheduler")["spec"]["containers"][0];
        let path = |probe: &str| scheduler[probe]["httpGet"]["path"].as_str();
        let paths = match release.scheduler_probes {
            ProbePaths::Healthz => (Some("/healthz"), None),
            ProbePaths::LivezReadyz => (Some("/livez"), Some("/readyz")),
        };
        assert_eq!(
            (path("livenessProbe"), path("readinessProbe")),
            paths,
            "{text}"
        );
        let port = &scheduler["livenessProbe"]["httpGet"]["port"];
        assert_eq!(
            port.is_string(),
            release.named_probe_ports,
            "{text}: {port}"
        );

        let manager = manifest("kube-controller-manager");
        let volumes = manager["spec"]["volumes"].as_array().unwrap();
        let mounts: BTreeSet<&str> = volumes
            .iter()
            .map(|volume| volume["hostPath"]["path"].as_str().unwrap())
            .collect();
        let flex = mounts.iter().any(|path| path.contains("kubelet-plugins"));
        assert_eq!(flex, release.flex_volume_mount, "{text}: {mounts:?}");
        let authorities =
            |path: &&str| path.contains("certificates") || path.starts_with("/etc/pki");
        let found: BTreeSet<&str> = mounts.iter().copied().filter(authorities).collect();
        let there = release.ca_mounts.iter().copied();
        let there: BTreeSet<&str> = there.filter(|path| Path::new(path).exists()).collect();
        assert_eq!(found, there, "{text}");
    }
}

/// kubeadm 1.28 makes directories of its own below the one that it is given.
fn find(dir: &Path, name: &str) -> Option<PathBuf> {
    let mut entries = fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    entries.find_map(|path| match path.is_dir() {
        true => find(&path, name),
        false => path.ends_with(name).then_some(path),
    })
}
