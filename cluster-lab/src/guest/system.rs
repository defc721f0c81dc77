//! What a guest with a system of its own needs before the lab's parts of it: packages, programs, images.
//!
//! Machines that are namespaces have this machine's packages, and get programs and images before they boot.

use super::{GuestError, GuestStep};
use crate::blueprint::BIN_DIR;
use artifacts::DiskLabel;
use host_exec::{
    Command, File, Host, RunErrorKind, Stdin, escape, files,
    systemd::{self, UnitName},
};
use netplan::Role;
use std::{path::Path, time::Duration};

/// The unit that mounts the programs; its name follows from [`BIN_DIR`] (systemd.mount(5)).
const MOUNT_UNIT: &str = "opt-lab-bin.mount";
/// A package archive far away, and a disk that is written for the first time.
const INSTALL_LIMIT: Duration = Duration::from_secs(15 * 60);
/// Two images of some MiB; measured in a namespace: 3 s.
const IMPORT_LIMIT: Duration = Duration::from_secs(5 * 60);
/// Where containerd keeps images, and with them the mark that ours are among them.
const CONTAINERD_ROOT: &str = "/var/lib/containerd";
/// The mark: the digest of the disk from which they were imported.
const IMPORTED: &str = "/var/lib/containerd/lab-disk";

/// Overlays for containers; frames between pods of one node have to meet kube-proxy's rules.
const MODULES: [&str; 2] = ["overlay", "br_netfilter"];
/// Nodes route for their pods (Kubernetes' documentation, "Container Runtimes", "Network configuration").
const SETTINGS: [&str; 4] = [
    "net.ipv4.ip_forward",
    "net.ipv6.conf.all.forwarding",
    "net.bridge.bridge-nf-call-iptables",
    "net.bridge.bridge-nf-call-ip6tables",
];

/// What a guest's own system has to have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct System {
    packages: Vec<Package>,
    /// The digest of the disk with programs and images.
    disk: String,
    node: bool,
}

/// A package, and the files of which one shows that it is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Package {
    name: &'static str,
    any_of: &'static [&'static str],
}

const FIREWALL: Package = Package {
    name: "nftables",
    any_of: &["/usr/sbin/nft"],
};

const ON_ALL: &[Package] = &[FIREWALL];

const ON_NODES: &[Package] = &[
    FIREWALL,
    Package {
        name: "containerd",
        any_of: &["/usr/bin/containerd"],
    },
    Package {
        name: "crun",
        any_of: &["/usr/bin/crun", "/usr/sbin/runc", "/usr/bin/runc"],
    },
    Package {
        name: "containernetworking-plugins",
        any_of: &["/usr/lib/cni/bridge", "/opt/cni/bin/bridge"],
    },
    Package {
        name: "conntrack",
        any_of: &["/usr/sbin/conntrack"],
    },
];

const BALANCER: Package = Package {
    name: "haproxy",
    any_of: &["/usr/sbin/haproxy"],
};

const VIRTUAL_ADDRESS: [Package; 2] = [
    Package {
        name: "keepalived",
        any_of: &["/usr/sbin/keepalived"],
    },
    Package {
        name: "curl",
        any_of: &["/usr/bin/curl"],
    },
];

/// What a machine of this role needs in a lab with so many control planes.
fn packages(role: Role, control_planes: usize) -> Vec<Package> {
    let is_node = matches!(role, Role::ControlPlane | Role::Worker);
    let mut packages = if is_node { ON_NODES } else { ON_ALL }.to_vec();
    if control_planes > 1 {
        packages.extend(is_node.then_some(BALANCER));
        if role == Role::ControlPlane {
            packages.extend(VIRTUAL_ADDRESS);
        }
    }
    packages
}

impl System {
    /// For a machine of this role, in a lab with so many control planes, that has the disk with this digest.
    pub(crate) fn new(role: Role, control_planes: usize, disk: &str) -> Self {
        let is_node = matches!(role, Role::ControlPlane | Role::Worker);
        Self {
            packages: packages(role, control_planes),
            disk: disk.to_owned(),
            node: is_node,
        }
    }

    /// Everything, for a guest that has not been made yet and whose image has none of it.
    pub(crate) fn on_paper(&self) -> Vec<GuestStep> {
        let names = self.packages.iter().map(|package| package.name.to_owned());
        let packages = names.collect();
        let mut steps = vec![GuestStep::Install { packages }];
        steps.extend(self.node.then_some(GuestStep::Kernel));
        steps.push(GuestStep::Mount);
        steps.extend(self.node.then_some(GuestStep::Import));
        steps
    }

    /// What `host` lacks of it.
    pub(super) async fn observe(&self, host: &dyn Host) -> Result<Vec<GuestStep>, GuestError> {
        let mut steps = Vec::new();
        let files = self.packages.iter().flat_map(|package| package.any_of);
        let list = Command::new("ls").args(["-d", "--"]).args(files.copied());
        let there = host.output(&list).await?;
        let there = there.stdout_text();
        let is_there = |package: &&Package| {
            let mut lines = there.lines();
            lines.any(|line| package.any_of.contains(&line))
        };
        let missing = self.packages.iter().filter(|package| !is_there(package));
        let packages: Vec<_> = missing.map(|package| package.name.to_owned()).collect();
        if !packages.is_empty() {
            steps.push(GuestStep::Install { packages });
        }
        if self.node && !kernel_is_set(host).await? {
            steps.push(GuestStep::Kernel);
        }
        let unit = mount_unit();
        let states = systemd::states(host, std::slice::from_ref(&unit)).await?;
        if !states.get(&unit).is_some_and(systemd::UnitState::is_up) {
            steps.push(GuestStep::Mount);
        }
        if self.node {
            // Whatever disk they came from: a containerd that runs takes no others this way.
            if host.read_file(Path::new(IMPORTED)).await?.is_none() {
                steps.push(GuestStep::Import);
            }
        }
        Ok(steps)
    }

    pub(super) async fn install(
        &self,
        packages: &[String],
        host: &dyn Host,
    ) -> Result<(), GuestError> {
        // cloud-init or a timer of the distribution may hold apt's lock at first.
        let apt = |words: &[&str]| {
            Command::new("apt-get")
                .args(["-q", "-y", "-o", "DPkg::Lock::Timeout=300"])
                .args(words.iter().copied())
                .env("DEBIAN_FRONTEND", "noninteractive")
                .timeout(INSTALL_LIMIT)
        };
        host.run(&apt(&["update"])).await?;
        let install = apt(&["install", "--no-install-recommends"]);
        host.run(&install.args(packages.iter().cloned())).await?;
        if packages.iter().any(|package| package == "containerd") {
            // The package has started it, with its own configuration.
            let stop = Command::new("systemctl").args(["stop", "containerd.service"]);
            host.run(&stop).await?;
        }
        Ok(())
    }

    pub(super) async fn set_kernel(&self, host: &dyn Host) -> Result<(), GuestError> {
        let [modules, settings] = kernel_files();
        let load = Command::new("modprobe").arg("-a").args(MODULES);
        // What is built in cannot be loaded, and a kernel without modules has no such program; the settings below show
        // whether all is there.
        match host.output(&load).await {
            Err(error) if !matches!(*error.kind, RunErrorKind::NotFound) => {
                return Err(error.into());
            }
            _ => {}
        }
        let set = Command::new("sysctl").args(["-q", "-p", "-"]);
        let lines = settings.contents.bytes().to_vec();
        host.run(&set.stdin(Stdin::Bytes(lines))).await?;
        // Last, as everywhere: what is found there has been done.
        Ok(host.write_files(&[&modules, &settings]).await?)
    }

    pub(super) async fn mount(&self, host: &dyn Host) -> Result<(), GuestError> {
        let path = format!("/etc/systemd/system/{MOUNT_UNIT}");
        host.write_file(&File::public(path, mount_text())).await?;
        systemd::daemon_reload(host).await?;
        systemd::enable(host, &[mount_unit()]).await?;
        systemd::start(host, &[mount_unit()]).await?;
        Ok(())
    }

    pub(super) async fn import(&self, host: &dyn Host) -> Result<(), GuestError> {
        let import = Command::new("sh").args(["-c", artifacts::IMPORT_IMAGES, "lab-images"]);
        let import = import.args([BIN_DIR, CONTAINERD_ROOT]);
        let imported = host.run(&import.timeout(IMPORT_LIMIT)).await;
        imported.map_err(|mut error| {
            // The script is the same each time and helps nobody who reads the error.
            let script = escape::quote(artifacts::IMPORT_IMAGES);
            error.command = error.command.replace(&*script, "IMPORT_IMAGES");
            error
        })?;
        // Last: whoever finds it may rely on the images.
        Ok(host
            .write_file(&File::public(IMPORTED, self.disk.clone()))
            .await?)
    }
}

/// What containerd and kube-proxy need, for systemd-modules-load and systemd-sysctl at every boot.
fn kernel_files() -> [File; 2] {
    let modules: String = MODULES.map(|name| format!("{name}\n")).concat();
    let settings: String = SETTINGS.map(|name| format!("{name} = 1\n")).concat();
    [
        File::public("/etc/modules-load.d/lab.conf", modules),
        File::public("/etc/sysctl.d/90-lab.conf", settings),
    ]
}

/// Whether the files are there and the kernel does as they say.
async fn kernel_is_set(host: &dyn Host) -> Result<bool, GuestError> {
    if !files::observe(host, &kernel_files()).await?.is_empty() {
        return Ok(false);
    }
    let ask = Command::new("sysctl").arg("-n").args(SETTINGS);
    let told = host.output(&ask).await?;
    let values = told.stdout_text();
    Ok(values.lines().count() == SETTINGS.len() && values.lines().all(|value| value == "1"))
}

fn mount_unit() -> UnitName {
    MOUNT_UNIT
        .parse()
        .expect("a literal that is a legal unit name")
}

fn mount_text() -> String {
    format!(
        "[Unit]\nDescription=the programs of the lab\n\n\
        [Mount]\nWhat=/dev/disk/by-label/{label}\nWhere={BIN_DIR}\nType=vfat\nOptions=ro,umask=0022\n\n\
        [Install]\nWantedBy=local-fs.target\n",
        label = DiskLabel::PROGRAMS
    )
}
