//! kubeadm takes the set for its own: it lists every certificate, and makes none anew. It looks below /etc/kubernetes, so it
//! runs in a directory of its own as its root.
//!
//! `LAB_KUBEADM_DIR` names a directory with `1.28.3/kubeadm` and `1.37.2/kubeadm`; `./lab test` makes it.

#![expect(clippy::disallowed_methods, reason = "the tests run kubeadm")]

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use pki::{KubeletClients, OsRandom, PkiPlan, Store, apply};
use time::OffsetDateTime;

use crate::support::{host, spec};

/// A root directory with kubeadm, its configuration, and the files of the first control plane.
struct Root {
    directory: tempfile::TempDir,
}

impl Root {
    fn new(version: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let programs = std::env::var_os("LAB_KUBEADM_DIR");
        let programs = programs.expect("LAB_KUBEADM_DIR names the directory of kubeadm's versions");
        let program = Path::new(&programs).join(version).join("kubeadm");
        fs::copy(program, directory.path().join("kubeadm")).unwrap();
        fs::write(
            directory.path().join("kubeadm.yaml"),
            configuration(version),
        )
        .unwrap();
        let root = Self { directory };
        let mut spec = spec();
        spec.kubernetes_version = version.parse().unwrap();
        spec.kubelet_clients = KubeletClients::ControlPlanes;
        let store = Store::new(root.path("/var/lib/pki"));
        // kubeadm looks at the real clock.
        let now = OffsetDateTime::now_utc();
        let plan = PkiPlan::new(&spec, &store, now).unwrap();
        apply(&store, &plan, now, &OsRandom).unwrap();
        let mut files = spec.files_for_control_plane(&host("cp-0")).unwrap();
        files.extend(spec.files_for_node(&host("cp-0")).unwrap());
        for file in files {
            let path = root.path(&file.path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, store.contents(&file.content).unwrap().as_bytes()).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(file.mode)).unwrap();
        }
        root
    }

    fn path(&self, path: &str) -> PathBuf {
        self.directory.path().join(path.trim_start_matches('/'))
    }

    /// What kubeadm says, which has to succeed.
    fn kubeadm(&self, arguments: &str) -> String {
        let mut command = Command::new("chroot");
        command
            .arg(self.directory.path())
            .arg("/kubeadm")
            .args(arguments.split(' '));
        let output = command.arg("--config=/kubeadm.yaml").output();
        let output = output.expect("chroot must be installed");
        let text = [output.stdout, output.stderr].concat();
        let text = String::from_utf8_lossy(&text).into_owned();
        assert!(output.status.success(), "{arguments}: {text}");
        text
    }

    /// Every file below /etc/kubernetes with its bytes.
    fn files(&self) -> BTreeMap<PathBuf, Vec<u8>> {
        fn walk(directory: &Path, found: &mut BTreeMap<PathBuf, Vec<u8>>) {
            for entry in fs::read_dir(directory).unwrap() {
                let path = entry.unwrap().path();
                match path.is_dir() {
                    true => walk(&path, found),
                    false => drop(found.insert(path.clone(), fs::read(path).unwrap())),
                }
            }
        }
        let mut found = BTreeMap::new();
        walk(&self.path("/etc/kubernetes"), &mut found);
        found
    }
}

fn configuration(version: &str) -> String {
    let api = match version.starts_with("1.28") {
        true => "v1beta3",
        false => "v1beta4",
    };
    let pki = "/etc/kubernetes/pki";
    format!(
        "apiVersion: kubeadm.k8s.io/{api}\n\
         kind: InitConfiguration\n\
         localAPIEndpoint: {{advertiseAddress: 10.0.1.10}}\n\
         nodeRegistration: {{name: cp-0}}\n\
         ---\n\
         apiVersion: kubeadm.k8s.io/{api}\n\
         kind: ClusterConfiguration\n\
         clusterName: lab\n\
         kubernetesVersion: v{version}\n\
         controlPlaneEndpoint: 10.0.1.10:6443\n\
         networking: {{serviceSubnet: \"10.96.0.0/16,fd00:96::/112\", podSubnet: \"10.244.0.0/16,fd00:244::/56\"}}\n\
         apiServer: {{certSANs: [api.lab.test, 127.0.0.1]}}\n\
         etcd:\n  external:\n    endpoints: [\"https://10.0.0.2:2379\"]\n    caFile: {pki}/etcd/ca.crt\n    \
         certFile: {pki}/apiserver-etcd-client.crt\n    keyFile: {pki}/apiserver-etcd-client.key\n"
    )
}

fn accepts(version: &str) {
    let root = Root::new(version);
    let before = root.files();
    let text = root.kubeadm("init phase certs all");
    for name in [
        "apiserver",
        "apiserver-kubelet-client",
        "front-proxy-client",
    ] {
        let line = format!("Using existing {name} certificate and key on disk");
        assert!(text.contains(&line), "{version}: {text}");
    }
    let text = root.kubeadm("init phase kubeconfig all");
    let mut configs = vec![
        "admin.conf",
        "kubelet.conf",
        "controller-manager.conf",
        "scheduler.conf",
    ];
    if !version.starts_with("1.28") {
        configs.push("super-admin.conf");
    }
    for name in &configs {
        let line = format!("Using existing kubeconfig file: \"/etc/kubernetes/{name}\"");
        assert!(text.contains(&line), "{version}: {name}: {text}");
    }
    let text = root.kubeadm("certs check-expiration");
    let listed = [
        "admin.conf",
        "apiserver",
        "apiserver-kubelet-client",
        "controller-manager.conf",
    ];
    let listed = listed
        .into_iter()
        .chain(["front-proxy-client", "scheduler.conf"]);
    for name in listed {
        let line = text
            .lines()
            .find(|line| line.split_whitespace().next() == Some(name));
        let line = line.unwrap_or_else(|| panic!("{version}: {name} is not listed: {text}"));
        assert!(
            line.contains("364d") && !line.contains("invalid"),
            "{version}: {line}"
        );
    }
    for name in ["ca", "front-proxy-ca"] {
        let listed = text
            .lines()
            .any(|line| line.starts_with(&format!("{name} ")) && line.contains("9y"));
        assert!(listed, "{version}: {name}: {text}");
    }
    assert_eq!(root.files(), before, "{version}: kubeadm has written");
    // The mode of kubeadm in which no key of an authority lies on a control plane.
    fs::remove_file(root.path("/etc/kubernetes/pki/ca.key")).unwrap();
    let before = root.files();
    let text = root.kubeadm("init phase certs all");
    assert!(
        text.contains("Using existing ca keyless certificate authority"),
        "{text}"
    );
    root.kubeadm("init phase kubeconfig all");
    assert_eq!(
        root.files(),
        before,
        "{version}: kubeadm has written without a key"
    );
}

#[test]
#[ignore = "needs kubeadm and root"]
fn kubeadm_1_28_makes_nothing_anew() {
    accepts("1.28.3");
}

#[test]
#[ignore = "needs kubeadm and root"]
fn kubeadm_1_37_makes_nothing_anew() {
    accepts("1.37.2");
}
