//! What a person asks for when the machines are bhyve VMs on a FreeBSD host.

use super::SpecError;
use artifacts::{
    Architecture, CloudImage, ImageChecksum, InvalidChecksum, InvalidImageUrl, UnknownRelease,
};
use bhyve_vm::{HostPath, InvalidValue, Topology, VmSpec, ZfsDataset};
use host_exec::SshDestination;
use netplan::{Addresses, InterfaceName, Role};
use serde::{Deserialize, Serialize};
use std::{
    net::IpAddr,
    num::{NonZeroU8, NonZeroU32},
    path::PathBuf,
};

/// The machines are bhyve VMs on this FreeBSD host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct BhyveSpec {
    /// The host, as `ssh` reaches it. Without one a lab can be planned and no more.
    pub host: Option<SshDestination>,
    /// An ssh_config(5) in place of the user's own.
    pub ssh_config: Option<PathBuf>,
    /// Below this dataset everything of all labs lies on the host.
    pub dataset: ZfsDataset,
    /// The host's interface to the outside; left out, the one of its default route.
    pub uplink: Option<InterfaceName>,
    /// The name servers that guests ask; left out, those of the host, except itself.
    pub resolvers: Vec<IpAddr>,
    /// The guests' system: a name of the catalogue, a path here, or a URL.
    pub image: String,
    /// What says that an image is the right one that is not in the catalogue: its checksum, SHA-256 or SHA-512 in
    /// hexadecimal, or the URL of the publisher's list of them. A URL needs it.
    pub image_checksum: Option<String>,
    /// How IPv6 leaves the lab.
    pub ipv6: OutwardV6,
    /// Addresses of a server outside, one of each family at most, for `lab check` to try the way out to: at port 80 it
    /// tells whoever connects the address that it sees, as a line. Without them that way is not tried.
    pub outside: Vec<IpAddr>,
    /// Each member of etcd.
    pub etcd: VmSize,
    /// Each control plane.
    pub control_plane: VmSize,
    /// Each worker.
    pub worker: VmSize,
}

/// How IPv6 leaves a lab whose router is a FreeBSD host.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OutwardV6 {
    /// Behind the host's own address if it has a global one, else not at all.
    #[default]
    Auto,
    /// Behind the host's own address, which it must have.
    Nat66,
    /// As it is: somebody routes `network.v6` to the host.
    Routed,
    /// Not at all.
    Inside,
}

/// The size of a VM.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VmSize {
    /// Virtual processors, as cores of one package.
    pub cpus: NonZeroU8,
    /// Memory, in MiB.
    pub memory_mib: NonZeroU32,
    /// Disk, in GiB; it takes room on the host as it is written.
    pub disk_gib: NonZeroU32,
}

impl VmSize {
    const fn new(cpus: u8, memory_mib: u32, disk_gib: u32) -> Self {
        let (Some(cpus), Some(memory_mib), Some(disk_gib)) = (
            NonZeroU8::new(cpus),
            NonZeroU32::new(memory_mib),
            NonZeroU32::new(disk_gib),
        ) else {
            panic!("a size has no zero");
        };
        Self {
            cpus,
            memory_mib,
            disk_gib,
        }
    }

    pub(crate) fn topology(self) -> Topology {
        Topology::cores(self.cpus)
    }

    /// In MiB, which [`BhyveSpec::check`] has seen to fit.
    pub(crate) fn disk_mib(self) -> NonZeroU32 {
        self.disk_gib.saturating_mul(MIB_PER_GIB)
    }
}

const MIB_PER_GIB: NonZeroU32 = NonZeroU32::new(1024).expect("not zero");
/// A disk that no lab needs; above it somebody took GiB for MiB.
const MAX_DISK_GIB: u32 = 16 * 1024;
/// What kubelet and a control plane's programs leave nothing of; below it the guest's kernel ends them.
const MIN_MEMORY_MIB: u32 = 512;

impl Default for BhyveSpec {
    /// Debian 12; sizes that run the reference lab in 7 GiB of memory.
    fn default() -> Self {
        Self {
            host: None,
            ssh_config: None,
            dataset: "zroot/lab".parse().expect("a literal that is a dataset"),
            uplink: None,
            resolvers: Vec::new(),
            image: "debian-12".to_owned(),
            image_checksum: None,
            ipv6: OutwardV6::default(),
            outside: Vec::new(),
            etcd: VmSize::new(1, 1024, 10),
            control_plane: VmSize::new(2, 2048, 20),
            worker: VmSize::new(2, 2048, 20),
        }
    }
}

impl BhyveSpec {
    /// The size of a machine of this role.
    pub fn size(&self, role: Role) -> VmSize {
        match role {
            Role::Etcd => self.etcd,
            Role::ControlPlane => self.control_plane,
            Role::Worker | Role::Other => self.worker,
        }
    }

    /// Where the dataset is mounted.
    pub(crate) fn directory(&self) -> Result<HostPath, InvalidValue> {
        format!("/{}", self.dataset).parse()
    }

    /// The image, as `artifacts` wants it told.
    pub(crate) fn cloud_image(&self) -> Result<CloudImage, SpecError> {
        let image = self.image.as_str();
        let refuse = |why: String| SpecError::Image {
            field: "bhyve.image",
            value: image.to_owned(),
            why,
        };
        if image.contains("://") {
            let url = image.parse();
            let url = url.map_err(|e: InvalidImageUrl| refuse(e.to_string()))?;
            let why = "nothing says that it is the right one; give bhyve.image_checksum";
            let checksum = self.checksum()?.ok_or_else(|| refuse(why.to_owned()))?;
            return Ok(CloudImage::Url { url, checksum });
        }
        if image.starts_with('/') {
            let checksum = match self.checksum()? {
                Some(ImageChecksum::Known(checksum)) => Some(checksum),
                Some(ImageChecksum::List(_)) => {
                    let why = "a file is compared with its own checksum, not with a list of others";
                    return Err(refuse(why.to_owned()));
                }
                None => None,
            };
            let path = image.into();
            return Ok(CloudImage::File { path, checksum });
        }
        let release = image.parse();
        Ok(CloudImage::Debian {
            release: release.map_err(|e: UnknownRelease| refuse(e.to_string()))?,
            architecture: Architecture::here().map_err(|e| refuse(e.to_string()))?,
        })
    }

    fn checksum(&self) -> Result<Option<ImageChecksum>, SpecError> {
        let Some(text) = self.image_checksum.as_deref() else {
            return Ok(None);
        };
        let refuse = |why: String| SpecError::Image {
            field: "bhyve.image_checksum",
            value: text.to_owned(),
            why,
        };
        Ok(Some(if text.contains("://") {
            let list = text.parse();
            ImageChecksum::List(list.map_err(|e: InvalidImageUrl| refuse(e.to_string()))?)
        } else {
            let known = text.parse();
            ImageChecksum::Known(known.map_err(|e: InvalidChecksum| refuse(e.to_string()))?)
        }))
    }

    /// The server outside.
    pub(crate) fn outside(&self) -> Addresses {
        let mut all = Addresses::default();
        for address in &self.outside {
            match address {
                IpAddr::V4(address) => all.v4 = Some(*address),
                IpAddr::V6(address) => all.v6 = Some(*address),
            }
        }
        all
    }

    pub(super) fn check(&self) -> Result<(), SpecError> {
        self.cloud_image()?;
        let sizes = [
            ("bhyve.etcd", self.etcd),
            ("bhyve.control_plane", self.control_plane),
            ("bhyve.worker", self.worker),
        ];
        for (field, size) in sizes {
            check_size(field, size)?;
        }
        Ok(())
    }
}

fn check_size(field: &str, size: VmSize) -> Result<(), SpecError> {
    let refuse = |part, value: u32, remedy| {
        Err(SpecError::Size {
            field: format!("{field}.{part}"),
            value,
            remedy,
        })
    };
    let (memory, disk) = (size.memory_mib.get(), size.disk_gib.get());
    if !(MIN_MEMORY_MIB..=VmSpec::MAX_MEMORY_MIB).contains(&memory) {
        let remedy = "must be at least 512, and at most 268435456 (256 TiB)";
        return refuse("memory_mib", memory, remedy);
    }
    if disk > MAX_DISK_GIB {
        return refuse("disk_gib", disk, "must be at most 16384; it is in GiB");
    }
    Ok(())
}
