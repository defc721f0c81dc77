//! Static pods of the control plane (`phases/controlplane` and `util/staticpod` of kubeadm).

use super::{MANIFESTS, args, image};
use crate::{
    NodePart, SupportedVersion,
    component::{self, Component, PKI, Place, controller_manager, scheduler},
    object::digest,
    version::{ProbePaths, Release},
    yaml,
};
use host_exec::{File, Mode};
use serde_json::{Map, Value, json};
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

/// The annotation with the digest of all files that the program of a static pod reads at its start.
pub const READS: &str = "lab/reads";

/// kubeadm's name for the port that probes ask (`constants.ProbePort`).
const PROBE_PORT: &str = "probe-port";

/// The manifests of a control plane, which need what `files` has. A file that a program reads and that is not there
/// is returned with the name of the program.
pub(crate) fn manifests(
    place: Place<'_>,
    files: &BTreeMap<PathBuf, File>,
) -> Result<Vec<File>, (&'static str, PathBuf)> {
    let components = component::control_plane(place).into_iter();
    components
        .map(|component| {
            let mut read = String::new();
            let own = component.files.iter().map(|file| &file.path);
            for path in own.chain(&component.reads) {
                let file = files.get(path);
                let file = file.ok_or_else(|| (component.name, path.clone()))?;
                read.push_str(&digest(file.contents.bytes()));
            }
            let mut pod = pod(place, &component);
            pod["metadata"]["annotations"][READS] = digest(read.as_bytes()).into();
            let path = format!("{MANIFESTS}/{}.yaml", component.name);
            Ok(File::public(path, yaml::render(&pod)).with_mode(Mode::SECRET))
        })
        .collect()
}

/// What kubeadm knows about one of the three programs.
struct Part {
    host: String,
    port: u16,
    cpu: &'static str,
    probes: ProbePaths,
    /// The readiness of the controller manager is never asked for.
    asks_ready: bool,
    mounts: Vec<Mount>,
}

struct Mount {
    name: String,
    path: String,
    is_file: bool,
    is_written: bool,
}

impl Mount {
    fn directory(name: &str, path: &str) -> Self {
        Self {
            name: name.to_owned(),
            path: path.to_owned(),
            is_file: false,
            is_written: false,
        }
    }

    fn kubeconfig(path: &str) -> Self {
        Self {
            is_file: true,
            ..Self::directory("kubeconfig", path)
        }
    }
}

fn part(place: Place<'_>, component: &Component) -> Part {
    let release = version(place).release();
    let mut mounts = Vec::new();
    let authorities = |mounts: &mut Vec<Mount>| {
        mounts.push(Mount::directory("k8s-certs", PKI));
        mounts.push(Mount::directory("ca-certs", "/etc/ssl/certs"));
        for path in &place.cluster.trust_dirs {
            let path = path.as_str();
            // Those that kubeadm of this minor looks for.
            if release.ca_mounts.contains(&path) {
                let name = path.trim_start_matches('/').replace('/', "-");
                mounts.push(Mount::directory(&name, path));
            }
        }
    };
    let local = |port, cpu, probes, asks_ready, mounts| Part {
        host: "127.0.0.1".to_owned(),
        port,
        cpu,
        probes,
        asks_ready,
        mounts,
    };
    match component.name {
        "kube-apiserver" => {
            authorities(&mut mounts);
            Part {
                host: place.node.address.v4.to_string(),
                ..local(
                    place.cluster.api_port,
                    "250m",
                    ProbePaths::LivezReadyz,
                    true,
                    mounts,
                )
            }
        }
        "kube-controller-manager" => {
            authorities(&mut mounts);
            mounts.push(Mount::kubeconfig(controller_manager::KUBECONFIG));
            if release.flex_volume_mount {
                let drivers = component::kubelet::VOLUME_PLUGINS;
                let directory = Mount::directory("flexvolume-dir", drivers);
                mounts.push(Mount {
                    is_written: true,
                    ..directory
                });
            }
            local(10257, "200m", ProbePaths::Healthz, false, mounts)
        }
        _ => {
            mounts.push(Mount::kubeconfig(scheduler::KUBECONFIG));
            let probes = release.scheduler_probes;
            let asks_ready = probes == ProbePaths::LivezReadyz;
            local(10259, "100m", probes, asks_ready, mounts)
        }
    }
}

/// The version of the control plane of a node, which in the middle of an upgrade is not that of its kubelet.
fn version(place: Place<'_>) -> SupportedVersion {
    place.version_of(NodePart::ControlPlane)
}

/// The pod as kubeadm would write it.
fn pod(place: Place<'_>, component: &Component) -> Value {
    let mut part = part(place, component);
    part.mounts.extend(extra_mounts(&part.mounts, component));
    part.mounts.sort_by(|a, b| a.name.cmp(&b.name));
    let mut pod = json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "labels": {"component": component.name, "tier": "control-plane"},
            "name": component.name,
            "namespace": "kube-system",
        },
        "spec": {
            "containers": [container(place, component, &part)],
            "hostNetwork": true,
            "priority": 2_000_001_000,
            "priorityClassName": "system-node-critical",
            "securityContext": {"seccompProfile": {"type": "RuntimeDefault"}},
            "volumes": part.mounts.iter().map(volume).collect::<Vec<_>>(),
        },
        "status": {},
    });
    if component.name == "kube-apiserver" {
        // `kubeadm join` and `upgrade` read the address from here.
        let endpoint = format!("{}:{}", part.host, part.port);
        pod["metadata"]["annotations"]["kubeadm.kubernetes.io/kube-apiserver.advertise-address.endpoint"] =
            endpoint.into();
    }
    pod
}

/// Directories of files that none of kubeadm's mounts has, and of the log.
fn extra_mounts(mounts: &[Mount], component: &Component) -> Vec<Mount> {
    let mut extra: Vec<Mount> = Vec::new();
    let own = component.files.iter().map(|file| file.path.as_path());
    let others = component.reads.iter().chain(&component.follows);
    let read = own.chain(others.map(PathBuf::as_path));
    let log = component
        .arguments
        .iter()
        .find_map(|argument| argument.strip_prefix("--audit-log-path="));
    let read = read.map(|path| (path, false));
    for (path, is_written) in read.chain(log.map(|path| (Path::new(path), true))) {
        let is_mounted = |mount: &Mount| path.starts_with(&mount.path);
        if mounts.iter().chain(&extra).any(is_mounted) {
            continue;
        }
        let Some(parent) = path.parent().and_then(Path::to_str) else {
            continue;
        };
        let name = parent.trim_start_matches('/').replace('/', "-");
        extra.push(Mount {
            is_written,
            ..Mount::directory(&name, parent)
        });
    }
    extra
}

/// The same in the words of kubeadm's configuration.
pub(super) fn extra_volumes(place: Place<'_>, component: &Component) -> Vec<Value> {
    let extra = extra_mounts(&part(place, component).mounts, component);
    extra
        .iter()
        .map(|mount| {
            json!({
                "hostPath": mount.path,
                "mountPath": mount.path,
                "name": mount.name,
                "pathType": "DirectoryOrCreate",
                "readOnly": !mount.is_written,
            })
        })
        .collect()
}

fn volume(mount: &Mount) -> Value {
    let kind = if mount.is_file {
        "FileOrCreate"
    } else {
        "DirectoryOrCreate"
    };
    json!({"name": mount.name, "hostPath": {"path": mount.path, "type": kind}})
}

fn container(place: Place<'_>, component: &Component, part: &Part) -> Value {
    let version = version(place);
    let release = version.release();
    let mut command = vec![component.name.to_owned()];
    command.extend(args::in_order(place, component));
    let mounts = part.mounts.iter().map(|mount| {
        let mut value = json!({"name": mount.name, "mountPath": mount.path});
        if !mount.is_written {
            value["readOnly"] = true.into();
        }
        value
    });
    let mut container = json!({
        "name": component.name,
        "command": command,
        "image": image(place.cluster, component.name, version),
        "imagePullPolicy": "IfNotPresent",
        "resources": {"requests": {"cpu": part.cpu}},
        "volumeMounts": mounts.collect::<Vec<_>>(),
    });
    if release.named_probe_ports {
        container["ports"] =
            json!([{"name": PROBE_PORT, "containerPort": part.port, "protocol": "TCP"}]);
    }
    for (name, probe) in probes(release, part) {
        container[name] = probe;
    }
    container
}

/// kubeadm's figures: seconds, and how often a probe may fail.
fn probes(release: &Release, part: &Part) -> Map<String, Value> {
    let (alive, ready) = match part.probes {
        ProbePaths::Healthz => ("/healthz", "/readyz"),
        ProbePaths::LivezReadyz => ("/livez", "/readyz"),
    };
    let port = if release.named_probe_ports {
        json!(PROBE_PORT)
    } else {
        json!(part.port)
    };
    let probe = |path: &str, delay: u16, failures: u16, period: u16| {
        let mut probe = json!({
            "failureThreshold": failures,
            "httpGet": {"host": part.host, "path": path, "port": port, "scheme": "HTTPS"},
            "periodSeconds": period,
            "timeoutSeconds": 15,
        });
        if delay > 0 {
            probe["initialDelaySeconds"] = delay.into();
        }
        probe
    };
    let mut probes = Map::new();
    probes.insert("livenessProbe".into(), probe(alive, 10, 8, 10));
    // 24 times 10 s: kubeadm's four minutes for a control plane.
    probes.insert("startupProbe".into(), probe(alive, 10, 24, 10));
    if part.asks_ready {
        probes.insert("readinessProbe".into(), probe(ready, 0, 3, 1));
    }
    probes
}
