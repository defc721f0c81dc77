//! What namespaces as machines need from the distribution: how to see that it is there, and what to install.

use host_exec::{FileError, Host};
use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

/// One thing that has to be on the host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Requirement {
    /// What it is for.
    pub purpose: &'static str,
    /// File names; one of them is enough.
    pub any_of: &'static [&'static str],
    /// The directories to look in.
    pub dirs: &'static [&'static str],
    /// The package of Debian and Ubuntu.
    pub debian: &'static str,
    /// Whether a lab runs without it, with something less.
    pub optional: bool,
}

/// Where programs lie, whatever `PATH` the caller has: that of a user often lacks the `sbin` directories.
const PROGRAM_DIRS: &[&str] = &[
    "/usr/local/sbin",
    "/usr/local/bin",
    "/usr/sbin",
    "/usr/bin",
    "/sbin",
    "/bin",
];

/// Debian's directory of CNI plugins and the one of all others.
const CNI_DIRS: &[&str] = &["/usr/lib/cni", "/opt/cni/bin"];

/// Where distributions put static libraries.
const C_LIBRARY_DIRS: &[&str] = &[
    "/usr/lib/x86_64-linux-gnu",
    "/usr/lib/aarch64-linux-gnu",
    "/usr/lib64",
    "/usr/lib",
];

const fn program(
    purpose: &'static str,
    any_of: &'static [&'static str],
    debian: &'static str,
) -> Requirement {
    Requirement {
        purpose,
        any_of,
        dirs: PROGRAM_DIRS,
        debian,
        optional: false,
    }
}

const fn plugin(purpose: &'static str, any_of: &'static [&'static str]) -> Requirement {
    Requirement {
        purpose,
        any_of,
        dirs: CNI_DIRS,
        debian: "containernetworking-plugins",
        optional: false,
    }
}

/// Everything that a lab of namespaces needs, in the order in which it needs it.
pub const REQUIREMENTS: [Requirement; 16] = [
    program("starts machines", &["systemd-nspawn"], "systemd-container"),
    program("makes networks", &["ip"], "iproute2"),
    program("keeps the firewall of the networks", &["nft"], "nftables"),
    program("runs commands inside machines", &["nsenter"], "util-linux"),
    program(
        "ends helpers together with their starter",
        &["setpriv"],
        "util-linux",
    ),
    program("runs containers on nodes", &["containerd"], "containerd"),
    program("imports images", &["ctr"], "containerd"),
    program(
        "holds a pod for containerd",
        &["containerd-shim-runc-v2"],
        "containerd",
    ),
    program("starts containers", &["crun", "runc"], "crun"),
    plugin("connects pods to a bridge", &["bridge"]),
    plugin("gives pods addresses", &["host-local"]),
    plugin("gives pods host ports", &["portmap"]),
    plugin("gives pods a loopback interface", &["loopback"]),
    program("compiles the pause image", &["cc", "gcc"], "gcc"),
    Requirement {
        dirs: C_LIBRARY_DIRS,
        ..program("makes the pause image static", &["libc.a"], "libc6-dev")
    },
    Requirement {
        optional: true,
        ..program(
            "lets kube-proxy end stale UDP flows",
            &["conntrack"],
            "conntrack",
        )
    },
];

/// What several control planes need besides.
pub const BALANCED: [Requirement; 3] = [
    program(
        "leads every node to an API server that lives",
        &["haproxy"],
        "haproxy",
    ),
    program(
        "moves the virtual address between control planes",
        &["keepalived"],
        "keepalived",
    ),
    program(
        "asks an API server whether its machine may have that address",
        &["curl"],
        "curl",
    ),
];

/// A requirement that the host does not meet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Missing {
    /// The file that was looked for; with a choice, all of them.
    pub what: String,
    /// What it is for.
    pub purpose: &'static str,
    /// The package that has it, by its Debian name.
    pub package: &'static str,
    /// What to type on this host.
    pub command: String,
    /// Whether a lab runs without it.
    pub optional: bool,
}

/// A family of distributions, as far as it decides how to install a package.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    /// Debian, Ubuntu and what comes of them: apt, with the names of [`Requirement::debian`].
    Debian,
    /// Any other: the package may have another name.
    Other,
}

impl Family {
    /// Reads `/etc/os-release` (os-release(5)): `ID` and `ID_LIKE`.
    pub fn parse(os_release: &str) -> Self {
        let value = |line: &str| {
            let (key, value) = line.split_once('=')?;
            matches!(key, "ID" | "ID_LIKE").then(|| value.trim_matches(['"', '\'']).to_owned())
        };
        let values: Vec<_> = os_release.lines().filter_map(value).collect();
        let debian = |word: &str| matches!(word, "debian" | "ubuntu");
        match values
            .iter()
            .any(|value| value.split_whitespace().any(debian))
        {
            true => Self::Debian,
            false => Self::Other,
        }
    }

    /// What to type to get a package.
    pub fn install_command(self, package: &str) -> String {
        match self {
            Self::Debian => format!("apt-get install -y {package}"),
            Self::Other => {
                format!("install what your distribution calls {package} (its Debian name)")
            }
        }
    }
}

impl Requirement {
    /// The files of which one is enough, in the order in which they are looked for.
    pub fn candidates(&self) -> impl Iterator<Item = PathBuf> {
        let in_dir = |dir| {
            self.any_of
                .iter()
                .map(move |name| Path::new(dir).join(name))
        };
        self.dirs.iter().flat_map(in_dir)
    }
}

/// Those of `requirements` that a host does not meet; empty if all is well. Looks for files, runs nothing.
///
/// # Errors
///
/// The host cannot be asked. A missing file is *not* an error: it is the answer.
pub async fn missing(
    host: &dyn Host,
    requirements: &[Requirement],
) -> Result<Vec<Missing>, FileError> {
    let os_release = host.read_file(Path::new("/etc/os-release")).await?;
    let family = Family::parse(&String::from_utf8_lossy(&os_release.unwrap_or_default()));
    let mut present = BTreeSet::new();
    for requirement in requirements {
        for path in requirement.candidates() {
            if host.file_mode(&path).await?.is_some() {
                present.insert(path);
                break;
            }
        }
    }
    Ok(lacking(family, requirements, &present))
}

/// Those of `requirements` that none of these files meets; pure.
pub fn lacking(
    family: Family,
    requirements: &[Requirement],
    present: &BTreeSet<PathBuf>,
) -> Vec<Missing> {
    let unmet = requirements
        .iter()
        .filter(|requirement| !requirement.candidates().any(|path| present.contains(&path)));
    unmet
        .map(|requirement| Missing {
            what: requirement.any_of.join(" or "),
            purpose: requirement.purpose,
            package: requirement.debian,
            command: family.install_command(requirement.debian),
            optional: requirement.optional,
        })
        .collect()
}
