//! What the machines of a lab find in their own system, as far as Kubernetes depends on it.

use super::FactsError;
use artifacts::Version;
use host_exec::{Command, Host};
use k8s_bootstrap::CgroupVersion;
use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

/// What the machines of a lab find in their own system. They all have the same one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GuestFacts {
    /// How control groups are kept.
    pub cgroups: CgroupVersion,
    /// Whether processes may write a negative `oom_score_adj` (`CAP_SYS_RESOURCE`).
    pub may_protect_from_oom: bool,
    /// The program containerd.
    pub containerd_program: String,
    /// Its version.
    pub containerd: Version,
    /// The OCI runtimes that are there, by name, with their paths.
    pub oci_runtimes: BTreeMap<String, String>,
    /// The version of crun, where containerd is one that not every crun works with.
    pub crun: Option<Version>,
    /// Directories with CNI plugins.
    pub cni_dirs: Vec<String>,
    /// The resolv.conf(5) with name servers that pods reach too.
    pub resolv_conf: String,
}

/// Debian's package, then the directory that CNI's own releases and containerd's defaults name.
const CNI_DIRS: [&str; 2] = ["/usr/lib/cni", "/opt/cni/bin"];
/// What systemd-resolved keeps where it answers at 127.0.0.53, which in a pod is the pod itself.
const RESOLVED: &str = "/run/systemd/resolve/resolv.conf";
/// What every other system has.
const RESOLV_CONF: &str = "/etc/resolv.conf";
/// There where control groups are of version 2 (cgroups(7)).
const UNIFIED: &str = "/sys/fs/cgroup/cgroup.controllers";

impl GuestFacts {
    /// A Debian 12 of its own with the packages that a node needs.
    pub fn debian_12() -> Self {
        let runtimes = [("crun", "/usr/bin/crun"), ("runc", "/usr/sbin/runc")];
        Self {
            cgroups: CgroupVersion::V2,
            may_protect_from_oom: true,
            containerd_program: "/usr/bin/containerd".to_owned(),
            containerd: Version::new(1, 6, 20),
            oci_runtimes: runtimes.map(|(a, b)| (a.to_owned(), b.to_owned())).into(),
            crun: None,
            cni_dirs: vec![CNI_DIRS[0].to_owned()],
            resolv_conf: RESOLVED.to_owned(),
        }
    }

    /// The same for namespaces, which have a resolv.conf(5) of their own and nobody who keeps it.
    pub(crate) fn of_namespaces(self) -> Self {
        Self {
            resolv_conf: RESOLV_CONF.to_owned(),
            ..self
        }
    }

    /// Asks a machine, which looks for programs in `dirs`.
    pub(crate) async fn observe(host: &dyn Host, dirs: &[PathBuf]) -> Result<Self, FactsError> {
        let candidates = |name: &str| dirs.iter().map(|dir| dir.join(name)).collect::<Vec<_>>();
        let plugins = CNI_DIRS.map(|dir| Path::new(dir).join("bridge"));
        let programs = ["containerd", "crun", "runc"].map(candidates).concat();
        let all = programs.iter().chain(&plugins);
        let files = [UNIFIED, RESOLVED].map(PathBuf::from);
        let there = existing(host, all.chain(&files)).await?;
        let first = |name: &str| {
            let found = candidates(name).into_iter().map(|path| text(&path));
            found.into_iter().find(|path| there.contains(path))
        };
        let containerd = first("containerd").unwrap_or("/usr/bin/containerd".to_owned());
        let version = containerd_version(host, &containerd).await?;
        let runtimes = ["crun", "runc"].into_iter();
        let status = host.read_file(Path::new("/proc/self/status")).await;
        let status = status.map_err(FactsError::Process)?.unwrap_or_default();
        Ok(Self {
            cgroups: match there.contains(UNIFIED) {
                true => CgroupVersion::V2,
                false => CgroupVersion::V1,
            },
            may_protect_from_oom: may_protect_from_oom(&String::from_utf8_lossy(&status)),
            crun: match first("crun") {
                Some(crun) if version.major >= 2 => crun_version(host, &crun).await?,
                _ => None,
            },
            containerd: version,
            containerd_program: containerd,
            oci_runtimes: runtimes
                .filter_map(|name| Some((name.to_owned(), first(name)?)))
                .collect(),
            cni_dirs: CNI_DIRS
                .into_iter()
                .filter(|dir| there.contains(&format!("{dir}/bridge")))
                .map(str::to_owned)
                .collect(),
            resolv_conf: match there.contains(RESOLVED) {
                true => RESOLVED.to_owned(),
                false => RESOLV_CONF.to_owned(),
            },
        })
    }
}

/// Those of `paths` that are there: `ls` names them, and complains about the others.
async fn existing(
    host: &dyn Host,
    paths: impl IntoIterator<Item = &PathBuf>,
) -> Result<BTreeSet<String>, FactsError> {
    let paths = paths.into_iter().map(|path| text(path));
    let list = Command::new("ls").args(["-d", "--"]).args(paths);
    let output = host.output(&list).await.map_err(FactsError::Programs)?;
    Ok(output.stdout_text().lines().map(str::to_owned).collect())
}

async fn containerd_version(host: &dyn Host, program: &str) -> Result<Version, FactsError> {
    let output = host
        .run(&Command::new(program).arg("--version"))
        .await
        .map_err(FactsError::Containerd)?;
    let said = output.stdout_text();
    let version = artifacts::parse_containerd_version(&said)
        .ok_or_else(|| FactsError::ContainerdVersion(said.trim().to_owned()))?;
    match speaks_cri_v1(version) {
        true => Ok(version),
        false => Err(FactsError::ContainerdUnsupported {
            program: program.to_owned(),
            version,
        }),
    }
}

/// Sample: `crun version 1.8.1`, on the first line.
async fn crun_version(host: &dyn Host, program: &str) -> Result<Option<Version>, FactsError> {
    let asked = host.run(&Command::new(program).arg("--version")).await;
    let said = asked.map_err(FactsError::Crun)?.stdout_text().into_owned();
    let number = said
        .lines()
        .next()
        .and_then(|line| line.strip_prefix("crun version "));
    // Debian's has a third number only where upstream's has one.
    Ok(number.and_then(|text| {
        let text = text.trim();
        text.parse().or_else(|_| format!("{text}.0").parse()).ok()
    }))
}

/// Kubelets from 1.26 on speak nothing else (kubernetes#110618).
fn speaks_cri_v1(version: Version) -> bool {
    (version.major, version.minor) >= (1, 6)
}

fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

/// Reads `CapEff:` of proc(5): CAP_SYS_RESOURCE is bit 24 of capability.h.
fn may_protect_from_oom(status: &str) -> bool {
    const CAP_SYS_RESOURCE: u64 = 1 << 24;
    let set = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
    set.and_then(|hex| u64::from_str_radix(hex.trim(), 16).ok())
        .is_some_and(|set| set & CAP_SYS_RESOURCE != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_containerd_that_no_kubelet_speaks_to_is_refused() {
        assert!(!speaks_cri_v1(Version::new(1, 5, 18)));
        assert!(speaks_cri_v1(Version::new(1, 6, 20)) && speaks_cri_v1(Version::new(2, 0, 0)));
    }

    #[test]
    fn capabilities_are_read() {
        assert!(may_protect_from_oom(
            "Name:\tx\nCapEff:\t000001ffffffffff\n"
        ));
        assert!(!may_protect_from_oom("CapEff:\t000001fffeffffff\n"));
    }
}
