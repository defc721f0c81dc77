//! What is there of a node on its machine.

use super::{
    BRIDGE, Found, KUBELET_DIR, PODS_SLICE, ResetError, STATE_DIRS, our_files, setup,
    uses_iptables, work::routes_of,
};
use crate::{Desired, Hosts, Route, observe};
use host_exec::{Command, Host, HostName, RunError, RunErrorKind, systemd};
use std::path::{Path, PathBuf};

/// Looks at a machine; changes nothing.
///
/// # Errors
///
/// The node is not in the desired state, has no host, or a command does not answer. A program that the machine does
/// not have, such as `nft`, has left nothing there and is *not* an error.
pub async fn see_machine(
    desired: &Desired,
    hosts: &Hosts,
    node: &HostName,
) -> Result<Found, ResetError> {
    let setup = setup(desired, node)?;
    let host = &**observe::host(hosts, node)?;
    let routes = routes_of(desired, node);
    let slice = PODS_SLICE.parse().expect("a constant is a unit name");
    let slices = systemd::states(host, std::slice::from_ref(&slice)).await?;
    let mut files = Vec::new();
    for path in our_files(setup) {
        if host.file_mode(&path).await?.is_some() {
            files.push(path);
        }
    }
    let mut state = Vec::new();
    for dir in STATE_DIRS {
        let find = Command::new("find").args([dir, "-mindepth", "1", "-maxdepth", "1"]);
        if !said(host, &find).await?.is_empty() {
            state.push(PathBuf::from(dir));
        }
    }
    let net = Command::new("ip").args(["-o", "link", "show", "dev", BRIDGE]);
    // Asked by a program of the machine: this one's own mounts are others.
    let mounts = Command::new("cat").arg("/proc/self/mountinfo");
    Ok(Found {
        units: systemd::states(host, &setup.units()).await?,
        pods: slices.values().any(|state| state.active == "active"),
        mounts: mounts_below(&said(host, &mounts).await?, KUBELET_DIR),
        namespaces: pod_namespaces(&said(host, &Command::new("ip").args(["netns", "list"])).await?),
        bridge: !said(host, &net).await?.is_empty(),
        routes: present_routes(host, routes).await?,
        tables: proxy_tables(&said(host, &Command::new("nft").args(["list", "tables"])).await?),
        chains: uses_iptables(desired, node) && has_chains(host).await?,
        state,
        files,
    })
}

/// What a command prints; nothing where it fails or is not there: then what it is asked for is not there either.
async fn said(host: &dyn Host, command: &Command) -> Result<String, RunError> {
    match host.output(command).await {
        Ok(output) if output.status.success() => Ok(output.stdout_text().into_owned()),
        Ok(_) => Ok(String::new()),
        Err(error) if matches!(*error.kind, RunErrorKind::NotFound) => Ok(String::new()),
        Err(error) => Err(error),
    }
}

/// Mount points strictly below `dir`, the last mounted first (proc_pid_mountinfo(5): field 5, octal escapes).
fn mounts_below(mountinfo: &str, dir: &str) -> Vec<PathBuf> {
    let points = mountinfo.lines().filter_map(|line| line.split(' ').nth(4));
    let below = points
        .map(|point| point.replace("\\040", " ").replace("\\134", "\\"))
        .filter(|point| Path::new(point) != Path::new(dir) && Path::new(point).starts_with(dir));
    let mut mounts: Vec<PathBuf> = below.map(PathBuf::from).collect();
    mounts.reverse();
    mounts
}

/// The runtimes name them `cni-` and a random part (github.com/containerd/containerd/pkg/netns; CRI-O alike). `ip netns list`:
///
/// ```text
/// cni-3f0e8a5c-7d49-2d51-9b53-0f3a1a2f6a11 (id: 2)
/// other
/// ```
fn pod_namespaces(text: &str) -> Vec<String> {
    let names = text.lines().filter_map(|line| line.split(' ').next());
    let ours = names.filter(|name| name.starts_with("cni-"));
    ours.map(str::to_owned).collect()
}

/// The families of the tables named `kube-proxy`. `nft list tables`: `table ip kube-proxy`, one a line.
fn proxy_tables(text: &str) -> Vec<String> {
    let families = text.lines().filter_map(|line| {
        let rest = line.trim().strip_prefix("table ")?;
        let (family, name) = rest.split_once(' ')?;
        (name == "kube-proxy").then(|| family.to_owned())
    });
    families.collect()
}

async fn present_routes(host: &dyn Host, routes: &[Route]) -> Result<Vec<Route>, RunError> {
    let mut present = Vec::new();
    for route in routes {
        let (to, via) = (route.to.trunc().to_string(), route.via.to_string());
        let family = if route.via.is_ipv4() { "-4" } else { "-6" };
        let show = ["route", "show", "exact", &to, "via", &via];
        let show = Command::new("ip").arg(family).args(show);
        if !said(host, &show).await?.trim().is_empty() {
            present.push(*route);
        }
    }
    Ok(present)
}

async fn has_chains(host: &dyn Host) -> Result<bool, RunError> {
    let save = Command::new("iptables-save").args(["-t", "nat"]);
    Ok(said(host, &save).await?.contains(":KUBE-SERVICES "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mounts_are_read_innermost_first() {
        let text = "22 1 0:5 / /var/lib/kubelet rw - ext4 /dev/a rw\n\
            23 22 0:6 / /var/lib/kubelet/pods/x/volumes/a\\040b rw - tmpfs tmpfs rw\n\
            24 23 0:7 / /var/lib/kubelet/pods/x/volumes/a\\040b/c rw - tmpfs tmpfs rw\n\
            25 1 0:8 / /var/lib/kubelet2 rw - tmpfs tmpfs rw\n";
        assert_eq!(
            mounts_below(text, "/var/lib/kubelet"),
            [
                PathBuf::from("/var/lib/kubelet/pods/x/volumes/a b/c"),
                PathBuf::from("/var/lib/kubelet/pods/x/volumes/a b")
            ]
        );
    }

    #[test]
    fn what_belongs_to_others_is_not_ours() {
        assert_eq!(
            pod_namespaces("cni-3f0e (id: 2)\nother\ncni-4\n"),
            ["cni-3f0e", "cni-4"]
        );
        let tables = "table inet filter\ntable ip kube-proxy\ntable ip6 kube-proxy\n";
        assert_eq!(proxy_tables(tables), ["ip", "ip6"]);
    }
}
