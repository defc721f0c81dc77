//! Parts of a machine, for whoever starts one in another way than as one of a [`Group`](crate::Group): the stand-in
//! FreeBSD host of the tests, whose guests are such machines.

use crate::{CgroupKind, cgroup, skeleton};
use std::{
    io,
    path::{Path, PathBuf},
};

/// Makes the lowest layer of a machine's root at `to`, whole or not at all: a clean `/etc` of this host's files,
/// empty mount points, and `/preinit`, the first program of a machine.
///
/// # Errors
///
/// A file cannot be read or written.
pub fn make_skeleton(to: &Path) -> io::Result<()> {
    skeleton::make(to)
}

/// Removes a tree of control groups from its leaves up; one that is not there is removed already.
///
/// # Errors
///
/// A group still has processes.
pub fn remove_cgroups(dir: &Path) -> io::Result<()> {
    cgroup::remove_tree(dir)
}

/// The variables that systemd-nspawn needs to start a [`Container`] (systemd's docs/ENVIRONMENT.md).
pub fn environment(kind: CgroupKind) -> Vec<(&'static str, &'static str)> {
    let mut environment = vec![
        // `network`, not `yes`: that would make all of /proc/sys writable, the host's too.
        ("SYSTEMD_NSPAWN_API_VFS_WRITABLE", "network"),
        // Containers bring their own filters; nspawn's would apply below them and forbid what runc needs.
        ("SYSTEMD_SECCOMP", "0"),
    ];
    if kind == CgroupKind::CgroupV2 {
        // nspawn looks for systemd in the image, finds an empty /usr (it is bound later), and would fall back
        // to version 1, which mounts a hierarchy on the host for the rest of its up time.
        environment.push(("SYSTEMD_NSPAWN_UNIFIED_HIERARCHY", "1"));
    }
    environment
}

/// What systemd-nspawn is told about a machine that boots systemd and runs containers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Container<'a> {
    /// The machine's root: an overlay over a skeleton.
    pub directory: &'a Path,
    /// Its host name.
    pub name: &'a str,
    /// Its machine-id(5).
    pub id: &'a str,
    /// Its network namespace.
    pub network: &'a Path,
    /// A form of `--console=` of systemd-nspawn(1).
    pub console: &'a str,
    /// Directories here and there that it reads.
    pub read: Vec<(PathBuf, PathBuf)>,
    /// Directories here and there that it writes.
    pub written: Vec<(PathBuf, PathBuf)>,
}

impl Container<'_> {
    /// The words, `systemd-nspawn` first. Neither machined nor a scope is asked for: the control group that the
    /// starter is in is the machine's.
    pub fn words(&self) -> Vec<String> {
        let mut words: Vec<String> = vec![
            "systemd-nspawn".into(),
            "--quiet".into(),
            format!("--directory={}", text(self.directory)),
            format!("--machine={}", self.name),
            format!("--uuid={}", self.id),
            format!("--network-namespace-path={}", text(self.network)),
            "--register=no".into(),
            "--keep-unit".into(),
            "--capability=all".into(),
            "--system-call-filter=@default @known".into(),
            format!("--console={}", self.console),
            // SIGRTMIN+3 is systemd(1)'s request to power off.
            "--kill-signal=SIGRTMIN+3".into(),
            "--resolv-conf=off".into(),
            "--timezone=off".into(),
            "--link-journal=no".into(),
            "--bind=/dev/kmsg".into(),
        ];
        let bind = |option: &str, (here, there): &(PathBuf, PathBuf)| {
            format!("--{option}={}:{}", colons(here), colons(there))
        };
        words.extend(self.read.iter().map(|pair| bind("bind-ro", pair)));
        words.extend(self.written.iter().map(|pair| bind("bind", pair)));
        words.push("/preinit".into());
        words
    }
}

/// nspawn separates source and target by a colon and takes `\:` for a colon in a path.
fn colons(path: &Path) -> String {
    text(path).replace(':', "\\:")
}

fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}
