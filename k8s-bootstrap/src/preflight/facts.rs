//! What a host says about itself.

use crate::{CgroupVersion, ClusterSpec, NodePart, NodeSpec, Role, Shape, component::Place};
use host_exec::{ClockError, Command, FileError, Host, RunError};
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

/// Every socket at which a kubelet could look for a runtime (kubeadm's `DefaultContainerRuntimeSockets`).
pub(super) const SOCKETS: [&str; 3] = [
    "/run/containerd/containerd.sock",
    "/run/crio/crio.sock",
    "/run/cri-dockerd.sock",
];

/// Who listens at a TCP port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listener {
    /// The port.
    pub port: u16,
    /// The process as `ss -p` names it; empty where it may not be seen.
    pub process: String,
}

/// What was seen on one host. All of it is for [`judge`](super::judge), and can be made by hand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostFacts {
    /// Devices and files that memory is swapped to, of `/proc/swaps`.
    pub swaps: Vec<String>,
    /// The hierarchy mounted at `/sys/fs/cgroup`.
    pub cgroup: CgroupVersion,
    /// The sockets of container runtimes that are there.
    pub sockets: Vec<PathBuf>,
    /// Listeners on TCP.
    pub listeners: Vec<Listener>,
    /// What each Kubernetes program says its version is; none where it is not there or does not run.
    pub programs: BTreeMap<String, Option<String>>,
    /// The wall clock, seconds since 1970.
    pub clock_s: i64,
}

/// A host that could not be asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FactsError {
    /// A command did not run, or failed.
    #[error(transparent)]
    Run(#[from] RunError),
    /// A file could not be read.
    #[error(transparent)]
    File(#[from] FileError),
    /// It does not tell the time.
    #[error(transparent)]
    Clock(#[from] ClockError),
}

/// Asks a host: one file, four commands, and one more for each program. Changes nothing.
///
/// # Errors
///
/// The host does not answer, or lacks `stat`, `find`, `ss` (iproute2) or `date`. A Kubernetes program that is missing
/// or fails is *not* an error.
pub async fn facts(
    spec: &ClusterSpec,
    role: Role,
    node: &NodeSpec,
    host: &dyn Host,
) -> Result<HostFacts, FactsError> {
    let swaps = host.read_file(Path::new("/proc/swaps")).await?;
    let stat = Command::new("stat").args(["-f", "-c", "%T", "/sys/fs/cgroup"]);
    let cgroup = host.run(&stat).await?;
    // It fails for each that is not there, and prints the others.
    let find = Command::new("find")
        .args(SOCKETS)
        .args(["-maxdepth", "0", "-type", "s"]);
    let sockets = host.output(&find).await?;
    let ss = Command::new("ss").args(["-H", "-l", "-t", "-n", "-p"]);
    let listeners = host.run(&ss).await?;
    let clock = host_exec::clock(host).await?;
    let place = Place {
        cluster: spec,
        node,
        role,
    };
    let mut programs = BTreeMap::new();
    for (name, _) in wanted_programs(spec, role) {
        let command = Command::new(place.program(name)).args(["--version"]);
        let output = host.output(&command).await.ok();
        let output = output.filter(|output| output.status.success());
        let version = output.map(|output| version(&output.stdout_text()));
        programs.insert(name.to_owned(), version);
    }
    Ok(HostFacts {
        swaps: swap_names(&String::from_utf8_lossy(&swaps.unwrap_or_default())),
        cgroup: match cgroup.stdout_text().trim() {
            "cgroup2fs" => CgroupVersion::V2,
            _ => CgroupVersion::V1,
        },
        sockets: sockets.stdout_text().lines().map(PathBuf::from).collect(),
        listeners: parse_listeners(&listeners.stdout_text()),
        programs,
        clock_s: clock.unix_timestamp(),
    })
}

/// The programs that have to be in `bin_dir`, with the part that says their version.
pub(super) fn wanted_programs(spec: &ClusterSpec, role: Role) -> Vec<(&'static str, NodePart)> {
    let mut names = vec![("kubelet", NodePart::Node)];
    if spec.shape == Shape::Services {
        names.push(("kube-proxy", NodePart::Node));
        if role == Role::ControlPlane {
            let own = [
                "kube-apiserver",
                "kube-controller-manager",
                "kube-scheduler",
            ];
            names.extend(own.map(|name| (name, NodePart::ControlPlane)));
        }
    }
    names
}

/// `Kubernetes v1.37.2` to `1.37.2`.
fn version(text: &str) -> String {
    let word = text.split_whitespace().next_back().unwrap_or_default();
    word.trim_start_matches('v').to_owned()
}

/// The first column, without the heading (proc_swaps(5)).
fn swap_names(text: &str) -> Vec<String> {
    let lines = text.lines().skip(1);
    let names = lines.filter_map(|line| line.split_whitespace().next());
    names.map(str::to_owned).collect()
}

/// ```text
/// LISTEN 0 4096 127.0.0.1:10257 0.0.0.0:* users:(("kube-controller",pid=7,fd=3))
/// ```
fn parse_listeners(text: &str) -> Vec<Listener> {
    let listener = |line: &str| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let port = words.get(3)?.rsplit(':').next()?.parse().ok()?;
        let process = words.get(5).and_then(|users| users.split('"').nth(1));
        Some(Listener {
            port,
            process: process.unwrap_or_default().to_owned(),
        })
    };
    text.lines().filter_map(listener).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Captured from Debian 12.
    #[test]
    fn what_programs_print_is_read() {
        assert_eq!(version("Kubernetes v1.37.2\n"), "1.37.2");
        let swaps = "Filename\tType\tSize\tUsed\tPriority\n/dev/sda2 partition\t99\t0\t-2\n";
        assert_eq!(swap_names(swaps), ["/dev/sda2"]);
        let lines = "LISTEN 0 4096 127.0.0.1:10257 0.0.0.0:* users:((\"kube-controller\",pid=7,fd=3))\n\
            LISTEN 0 128 [::]:22 [::]:*\n";
        let found = parse_listeners(lines);
        assert_eq!(
            (found[0].port, found[0].process.as_str()),
            (10257, "kube-controller")
        );
        assert_eq!((found[1].port, found[1].process.as_str()), (22, ""));
    }
}
