//! What is wanted of one host, as data, and where each thing of it lies there.

use crate::image::{BaseVolume, Digest};
use crate::seed::SeedImage;
use crate::supervisor::Supervision;
use crate::{BridgeName, Console, HostPath, InvalidValue, LabMark, Release, RootVolume, VmName};
use crate::{VmSpec, ZfsDataset};
use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use std::{fmt, net::IpAddr, str::FromStr, time::Duration};

/// All VMs of one lab on one FreeBSD host, and what they stand on.
///
/// Everything of the lab is below one dataset and one directory, its mount point:
///
/// ```text
/// zroot/lab                       the dataset that labs share
/// zroot/lab/base/DIGEST@ready     images, shared by labs
/// zroot/lab/LAB                   the lab's file system, lab:owner=LAB
/// zroot/lab/LAB/VM                root volume of a VM, lab:owner=LAB/VM
/// /zroot/lab/files/SHA256.img     read-only files for several VMs, shared by labs
/// /zroot/lab/LAB/lab.json         what was done to the host for the lab, and how to undo it
/// /zroot/lab/LAB/journal.log      steps begun and done
/// /zroot/lab/LAB/anchor.rules     the firewall rules that were loaded
/// /zroot/lab/LAB/VM/              spec.json, seed.img, vars.fd, and the supervisor's files
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fleet {
    /// The lab: its name is the mark on everything.
    pub lab: LabMark,
    /// The dataset below which all lies, such as `zroot/lab`.
    pub dataset: ZfsDataset,
    /// Its mount point, such as `/zroot/lab`.
    pub directory: HostPath,
    /// The image that all VMs start from.
    pub base: FleetBase,
    /// Files that VMs have as read-only disks.
    pub shared: Vec<SharedFile>,
    /// The VMs.
    pub vms: Vec<FleetVm>,
    /// Bridges, addresses, settings and routes, in order.
    pub network: Vec<HostChange>,
    /// Rules of pf.
    pub firewall: Option<Anchor>,
    /// The release that the plan is made for; the host's own, once it was asked, counts.
    pub release: Release,
}

/// An image, as the volume that it becomes and as the raw file that it is made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FleetBase {
    /// The volume.
    pub volume: BaseVolume,
    /// The SHA-256 checksum of the raw file.
    pub raw_sha256: Digest,
    /// Its size.
    pub raw_bytes: u64,
}

/// A file that several VMs have as a read-only disk, kept by its checksum.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SharedFile {
    /// Its SHA-256 checksum, which is also its name.
    pub sha256: Digest,
    /// Its size.
    pub bytes: u64,
}

/// One VM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FleetVm {
    /// What it is. Its paths are those of [`Fleet::vm_directory`] and [`Fleet::root_dataset`].
    pub spec: VmSpec,
    /// Its root disk.
    pub root: RootVolume,
    /// What its guest is told; there if the specification names a seed.
    pub seed: Option<SeedImage>,
}

/// One change of the host's network.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HostChange {
    /// What it is for.
    pub what: String,
    /// The program and its arguments. An interface that it makes gets the lab's mark added to them.
    pub argv: Vec<String>,
    /// The command that takes it back, if it is not taken back with an earlier change.
    pub undo: Option<Vec<String>>,
    /// What is there afterwards.
    pub effect: HostEffect,
}

/// What is there after a change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum HostEffect {
    /// An interface, with the lab's mark as its description.
    Interface(BridgeName),
    /// This interface is up.
    Up(BridgeName),
    /// An address.
    Address {
        /// The interface that has it.
        interface: BridgeName,
        /// The address with its prefix length.
        address: IpNet,
    },
    /// A route.
    Route {
        /// Where to.
        to: IpNet,
        /// The next hop.
        via: IpAddr,
    },
    /// A kernel setting. The value that it had before is kept on the host, and put back when no lab wants it any more.
    Setting {
        /// Its name (sysctl(8)).
        name: String,
        /// Its value.
        value: String,
    },
    /// Options of this interface, which the arguments name: those of neighbour discovery (ifconfig(8)) are looked
    /// up, others are set whenever anything of the interface is.
    Properties(BridgeName),
}

/// The lab's rules, in a pf anchor of their own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Anchor {
    /// Its name, such as `labcluster/lab0`.
    pub name: AnchorName,
    /// The rules, as `pfctl -f -` reads them (pf.conf(5)).
    pub rules: String,
    /// What pf.conf has to have, once. The driver never writes it there.
    pub lines: Vec<String>,
}

crate::names::specified_text! {
    /// The name of a pf anchor: parts of letters, digits and any of `-_.`, joined by `/` (pf.conf(5), "ANCHORS").
    AnchorName, "pf anchor", broken_anchor
}

fn broken_anchor(text: &str) -> Option<&'static str> {
    let legal = |b: u8| b.is_ascii_alphanumeric() || b"-_.".contains(&b);
    let part = |part: &str| {
        part.starts_with(|c: char| c.is_ascii_alphanumeric()) && part.bytes().all(legal)
    };
    let good = text.len() <= 63 && text.contains('/') && text.split('/').all(part);
    (!good).then_some(
        "must be two or more parts of letters, digits and any of '-_.', joined by '/', such as labcluster/lab0",
    )
}

/// All that has to be known of a VM to start, stop or explain it: the file `spec.json` in its directory on the host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VmDefinition {
    /// Its lab.
    pub lab: LabMark,
    /// Its directory.
    pub directory: HostPath,
    /// What it is.
    pub spec: VmSpec,
    /// Its root disk.
    pub root: RootVolume,
    /// The digest of its seed, if it has one.
    pub instance_id: Option<String>,
}

impl Fleet {
    /// The lab's own directory.
    ///
    /// # Errors
    ///
    /// The path is too long.
    pub fn lab_directory(&self) -> Result<HostPath, InvalidValue> {
        lab_directory(&self.directory, &self.lab)
    }

    /// The lab's own dataset.
    ///
    /// # Errors
    ///
    /// The name is too long.
    pub fn lab_dataset(&self) -> Result<ZfsDataset, InvalidValue> {
        format!("{}/{}", self.dataset, self.lab).parse()
    }

    /// The directory of a VM: its seed is `seed.img` in it, its firmware variables are `vars.fd`.
    ///
    /// # Errors
    ///
    /// The path is too long.
    pub fn vm_directory(&self, vm: &VmName) -> Result<HostPath, InvalidValue> {
        format!("{}/{}/{vm}", self.directory, self.lab).parse()
    }

    /// The root volume of a VM.
    ///
    /// # Errors
    ///
    /// The name is too long.
    pub fn root_dataset(&self, vm: &VmName) -> Result<ZfsDataset, InvalidValue> {
        format!("{}/{}/{vm}", self.dataset, self.lab).parse()
    }

    /// Where the raw file of the image is until it is a volume.
    ///
    /// # Errors
    ///
    /// The path is too long.
    pub fn raw_path(&self) -> Result<HostPath, InvalidValue> {
        format!("{}/import/{}.raw", self.directory, self.base.raw_sha256).parse()
    }

    /// What is kept of a VM on the host.
    ///
    /// # Errors
    ///
    /// Its path is too long.
    pub fn definition(&self, vm: &FleetVm) -> Result<VmDefinition, InvalidValue> {
        Ok(VmDefinition {
            lab: self.lab.clone(),
            directory: self.vm_directory(&vm.spec.name)?,
            spec: vm.spec.clone(),
            root: vm.root.clone(),
            instance_id: vm.seed.as_ref().map(|seed| seed.instance_id().to_string()),
        })
    }
}

pub(super) fn lab_directory(directory: &HostPath, lab: &LabMark) -> Result<HostPath, InvalidValue> {
    format!("{directory}/{lab}").parse()
}

impl SharedFile {
    /// Where it lies below the directory of a [`Fleet`]; a disk of a specification names it.
    ///
    /// # Errors
    ///
    /// The path is too long.
    pub fn path(&self, directory: &HostPath) -> Result<HostPath, InvalidValue> {
        format!("{directory}/files/{}.img", self.sha256).parse()
    }
}

impl VmDefinition {
    /// The VM's name, as bhyve knows it.
    pub fn name(&self) -> &VmName {
        &self.spec.name
    }

    /// `lab:LAB/VM`, the description of its taps.
    pub fn interface_mark(&self) -> String {
        format!("lab:{}", self.owner())
    }

    /// `LAB/VM`, the mark on its volume.
    pub fn owner(&self) -> String {
        self.lab.vm_mark(&self.spec.name)
    }

    /// A file in its directory.
    pub(super) fn file(&self, name: &str) -> String {
        format!("{}/{name}", self.directory)
    }

    /// Its supervisor, with the policies of its specification. The console is recorded if the first serial port is a
    /// null-modem device.
    pub fn supervision(&self) -> Supervision {
        let mut supervision = Supervision::new(self.spec.name.clone(), self.directory.clone());
        if self.spec.consoles.first() != Some(&Console::Nmdm) {
            supervision.console = None;
        }
        let (stop, limits) = (self.spec.stop, &mut supervision.limits);
        limits.press_again = Duration::from_secs(stop.press_again_s.into());
        limits.force = Duration::from_secs(stop.kill_after_s.into());
        supervision.grace = Duration::from_secs(stop.grace_s.into());
        supervision.restart = self.spec.restart;
        supervision
    }

    /// How long a stop may take, all rungs of the escalation together.
    pub fn longest_stop(&self) -> Duration {
        let supervision = self.supervision();
        let limits = supervision.limits;
        // A margin of its ticks, and of a busy host.
        let slack = Duration::from_secs(15);
        supervision.grace + limits.press_again + limits.force * 3 + limits.gone * 2 + slack
    }
}

impl HostEffect {
    /// The interface that it belongs to.
    pub(super) fn interface(&self) -> Option<&BridgeName> {
        match self {
            Self::Interface(name) | Self::Up(name) | Self::Properties(name) => Some(name),
            Self::Address { interface, .. } => Some(interface),
            Self::Route { .. } | Self::Setting { .. } => None,
        }
    }
}
