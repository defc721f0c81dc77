//! What can be refused before a host was asked.

use super::model::{Fleet, FleetVm};
use crate::image::TooSmall;
use crate::{DeviceTree, InvalidValue, SpecError, VmName, refuse_shared};
use std::collections::BTreeSet;

/// A fleet that contradicts itself. Nothing was asked of a host, and nothing changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FleetError {
    /// A derived path or name breaks a rule.
    #[error("{0}; take shorter names for lab, VM or directory")]
    Name(#[from] InvalidValue),
    /// One VM contradicts itself.
    #[error("{vm} contradicts itself")]
    Spec {
        /// The VM.
        vm: VmName,
        /// How.
        source: SpecError,
    },
    /// Two VMs want the same.
    #[error(transparent)]
    Shared(SpecError),
    /// Something of a VM lies elsewhere than all of it has to.
    #[error(
        "{vm}: {field} is {found}, and has to be {wanted}: what is elsewhere is not removed with the lab"
    )]
    Place {
        /// The VM.
        vm: VmName,
        /// The field.
        field: &'static str,
        /// Its value.
        found: String,
        /// What it has to be.
        wanted: String,
    },
    /// No disk of a VM is its root volume.
    #[error("{vm}: none of its disks is {device}; add one with this path")]
    NoRootDisk {
        /// The VM.
        vm: VmName,
        /// The device of its root volume.
        device: String,
    },
    /// A VM starts from another image than the fleet has.
    #[error("{vm}: root.image is {found}, and the image of this lab is {wanted}")]
    Image {
        /// The VM.
        vm: VmName,
        /// What it names.
        found: String,
        /// What there is.
        wanted: String,
    },
    /// The root disk has less room than the image.
    #[error("{vm} has too small a disk")]
    TooSmall {
        /// The VM.
        vm: VmName,
        /// By how much.
        source: TooSmall,
    },
    /// A seed that the specification does not attach, or the other way round.
    #[error("{vm}: {problem}")]
    Seed {
        /// The VM.
        vm: VmName,
        /// Which of both is missing.
        problem: &'static str,
    },
    /// A disk is a file of the shared ones, and it is none of them.
    #[error("{vm}: disk {path} is no shared file of this lab; add it to `shared`")]
    UnknownFile {
        /// The VM.
        vm: VmName,
        /// The disk.
        path: String,
    },
    /// A shared file that a guest could change under another.
    #[error("{vm}: disk {path} is shared, and would be written; set read_only = true")]
    WrittenFile {
        /// The VM.
        vm: VmName,
        /// The disk.
        path: String,
    },
    /// A checksum of a kind that the base system's sha256(1) does not print.
    #[error("{field} {digest} is not a SHA-256 checksum")]
    Checksum {
        /// The field.
        field: &'static str,
        /// Its value.
        digest: String,
    },
    /// The raw file has another size than the image.
    #[error(
        "base.raw_bytes is {raw_bytes}, and the volume of the image has {mib} MiB; give the size of the raw file"
    )]
    RawSize {
        /// The size of the file.
        raw_bytes: u64,
        /// The size of the volume.
        mib: u32,
    },
    /// A change without a program.
    #[error("network[{index}] ({what}) has an empty {field}; give a program")]
    EmptyCommand {
        /// Its place in the list.
        index: usize,
        /// What it is for.
        what: String,
        /// `argv` or `undo`.
        field: &'static str,
    },
    /// A VM is on a bridge that nobody makes.
    #[error("{vm}: bridge {bridge} is made by none of `network`; add the change that makes it")]
    NoBridge {
        /// The VM.
        vm: VmName,
        /// The bridge.
        bridge: String,
    },
}

impl Fleet {
    /// Checks all that can be known without a host.
    ///
    /// # Errors
    ///
    /// The first thing that contradicts another; it names VM, field and value.
    pub fn check(&self) -> Result<(), FleetError> {
        self.check_base()?;
        self.check_network()?;
        for vm in &self.vms {
            let name = &vm.spec.name;
            DeviceTree::new(&vm.spec).map_err(|source| FleetError::Spec {
                vm: name.clone(),
                source,
            })?;
            self.check_places(vm)?;
            self.check_disks(vm)?;
            self.check_bridges(vm)?;
        }
        let specs: Vec<_> = self.vms.iter().map(|vm| vm.spec.clone()).collect();
        refuse_shared(&specs).map_err(FleetError::Shared)
    }

    fn check_base(&self) -> Result<(), FleetError> {
        let shared = self
            .shared
            .iter()
            .map(|file| ("shared.sha256", &file.sha256));
        let all = shared.chain([("base.raw_sha256", &self.base.raw_sha256)]);
        for (field, digest) in all {
            if digest.as_str().len() != 64 {
                return Err(FleetError::Checksum {
                    field,
                    digest: digest.to_string(),
                });
            }
        }
        self.raw_path()?;
        self.lab_dataset()?;
        let (raw_bytes, mib) = (self.base.raw_bytes, self.base.volume.size_mib().get());
        if raw_bytes.div_ceil(1 << 20) != u64::from(mib) {
            return Err(FleetError::RawSize { raw_bytes, mib });
        }
        Ok(())
    }

    fn check_network(&self) -> Result<(), FleetError> {
        for (index, change) in self.network.iter().enumerate() {
            let undo_empty = change.undo.as_ref().is_some_and(Vec::is_empty);
            for (field, empty) in [("argv", change.argv.is_empty()), ("undo", undo_empty)] {
                if empty {
                    return Err(FleetError::EmptyCommand {
                        index,
                        what: change.what.clone(),
                        field,
                    });
                }
            }
        }
        Ok(())
    }

    fn check_places(&self, vm: &FleetVm) -> Result<(), FleetError> {
        let name = &vm.spec.name;
        let directory = self.vm_directory(name)?;
        let seed = vm.spec.seed.as_ref().map(ToString::to_string);
        let root = self.root_dataset(name)?.to_string();
        let places = [
            (
                "firmware.vars",
                Some(vm.spec.firmware.vars.to_string()),
                format!("{directory}/vars.fd"),
            ),
            ("seed", seed, format!("{directory}/seed.img")),
            ("root.dataset", Some(vm.root.dataset.to_string()), root),
        ];
        for (field, found, wanted) in places {
            if let Some(found) = found.filter(|found| *found != wanted) {
                return Err(FleetError::Place {
                    vm: name.clone(),
                    field,
                    found,
                    wanted,
                });
            }
        }
        let problem = match (&vm.spec.seed, &vm.seed) {
            (Some(_), None) => "its specification names a seed, and there is none; give `seed`",
            (None, Some(_)) => {
                "there is a seed, and its specification attaches none; set spec.seed"
            }
            _ => return Ok(()),
        };
        Err(FleetError::Seed {
            vm: name.clone(),
            problem,
        })
    }

    fn check_disks(&self, vm: &FleetVm) -> Result<(), FleetError> {
        let name = || vm.spec.name.clone();
        let wanted = self.base.volume.dataset();
        if vm.root.image != *wanted {
            return Err(FleetError::Image {
                vm: name(),
                found: vm.root.image.to_string(),
                wanted: wanted.to_string(),
            });
        }
        let size = self
            .base
            .volume
            .root_volume(vm.root.dataset.clone(), vm.root.size_mib);
        size.map_err(|source| FleetError::TooSmall { vm: name(), source })?;
        let device = vm.root.dataset.device();
        if !vm.spec.disks.iter().any(|disk| disk.path == device) {
            return Err(FleetError::NoRootDisk {
                vm: name(),
                device: device.to_string(),
            });
        }
        self.check_shared(vm)
    }

    fn check_shared(&self, vm: &FleetVm) -> Result<(), FleetError> {
        let known = self.shared.iter().map(|file| file.path(&self.directory));
        let known: BTreeSet<_> = known.collect::<Result<_, _>>()?;
        let place = format!("{}/files/", self.directory);
        for disk in &vm.spec.disks {
            let (vm, path) = (vm.spec.name.clone(), disk.path.to_string());
            if !path.starts_with(&place) {
                continue;
            }
            if !known.contains(&disk.path) {
                return Err(FleetError::UnknownFile { vm, path });
            }
            if !disk.read_only {
                return Err(FleetError::WrittenFile { vm, path });
            }
        }
        Ok(())
    }

    /// A VM without any of our network may be on a bridge of the site's own.
    fn check_bridges(&self, vm: &FleetVm) -> Result<(), FleetError> {
        let made: BTreeSet<_> = self.bridges().collect();
        let missing = vm.spec.nics.iter().find(|nic| !made.contains(&nic.bridge));
        match missing {
            Some(nic) if !made.is_empty() => Err(FleetError::NoBridge {
                vm: vm.spec.name.clone(),
                bridge: nic.bridge.to_string(),
            }),
            _ => Ok(()),
        }
    }
}
