//! What a lab has from elsewhere: programs, and images for its nodes.

use crate::{
    Blueprint, KeysError, Lab, Machines, SpecError, StateError, bhyve::Supplied,
    lab::programs_places,
};
use bhyve_vm::image::InvalidDigest;
use host_exec::EventSink;
use netplan::Role;
use nspawn_vm::Group;
use std::path::{Path, PathBuf};

/// What machines are made of.
#[derive(Debug)]
pub(crate) enum Supplies {
    /// For namespaces: a containerd root with the images unpacked; programs are seen by all.
    Here(PathBuf),
    /// For VMs.
    Elsewhere(Box<Supplied>),
}

/// Programs or images could not be had. What was got stays in the cache.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SupplyError {
    /// Programs.
    #[error("cannot get the programs of the lab")]
    Programs(#[from] artifacts::ProgramsError),
    /// Images.
    #[error("cannot make the images of the lab")]
    Images(#[from] artifacts::ImagesError),
    /// Images, unpacked.
    #[error("cannot unpack the images of the lab")]
    Containerd(#[from] artifacts::ContainerdError),
    /// Images, for one machine.
    #[error("cannot give a machine the images of the lab")]
    Clone(#[from] artifacts::CloneError),
    /// Programs and images, as a disk.
    #[error("cannot make the disk of programs")]
    Disk(#[from] artifacts::ProgramsDiskError),
    /// The image of VMs.
    #[error("cannot get the image of the machines")]
    Image(#[from] artifacts::CloudImageError),
    /// Which image is wanted.
    #[error(transparent)]
    Spec(#[from] SpecError),
    /// A checksum.
    #[error(transparent)]
    Digest(#[from] InvalidDigest),
    /// Keys of SSH.
    #[error(transparent)]
    Keys(#[from] KeysError),
    /// The lab's directory.
    #[error(transparent)]
    State(#[from] StateError),
    /// A thread of this program ended early.
    #[error("a background task failed")]
    Task(#[from] tokio::task::JoinError),
}

impl Lab {
    /// Programs in the cache: found, downloaded or built.
    pub(crate) async fn get_programs(
        &self,
        wanted: &artifacts::Wanted,
        events: &dyn EventSink,
    ) -> Result<artifacts::ProgramSet, SupplyError> {
        Ok(artifacts::programs(&self.here, wanted, &programs_places(self), events).await?)
    }

    /// Images in the cache: found, or made of the programs.
    pub(crate) async fn get_images(
        &self,
        wanted: &artifacts::Wanted,
        set: &artifacts::ProgramSet,
        events: &dyn EventSink,
    ) -> Result<artifacts::ImageSet, SupplyError> {
        Ok(artifacts::images(&self.here, wanted, set, &programs_places(self), events).await?)
    }

    /// Programs and images in the cache, and what comes of them for the machines of the lab.
    pub(crate) async fn supplies(
        &self,
        blueprint: &Blueprint,
        events: &dyn EventSink,
    ) -> Result<Supplies, SupplyError> {
        let (places, wanted) = (programs_places(self), &blueprint.programs);
        let set = self.get_programs(wanted, events).await?;
        let images = self.get_images(wanted, &set, events).await?;
        let Machines::Vms(bhyve) = &blueprint.machines else {
            let root = artifacts::containerd_root(&self.here, &images, &places, events).await?;
            return Ok(Supplies::Here(root));
        };
        let disk = artifacts::programs_disk(&set, &images, &places, events).await?;
        let supplied = self.supply_vms(blueprint, bhyve, disk, events).await?;
        Ok(Supplies::Elsewhere(Box::new(supplied)))
    }
}

/// Gives the nodes that are about to start for the first time the images, unpacked.
pub(crate) async fn seed_images(
    blueprint: &Blueprint,
    group: &Group,
    plan: &nspawn_vm::Plan,
    images: &Path,
) -> Result<(), SupplyError> {
    let nodes: Vec<_> = [Role::ControlPlane, Role::Worker]
        .into_iter()
        .flat_map(|class| blueprint.hosts_of(class))
        .collect();
    let starting = plan.machines_to_start().filter(|name| nodes.contains(name));
    let targets: Vec<PathBuf> = starting
        .filter_map(|name| containerd_dir(group, name))
        .collect();
    let images = images.to_owned();
    tokio::task::spawn_blocking(move || {
        targets
            .iter()
            .try_for_each(|to| artifacts::clone_root(&images, to).map(drop))
    })
    .await??;
    Ok(())
}

fn containerd_dir(group: &Group, name: &host_exec::HostName) -> Option<PathBuf> {
    let machine = group
        .machines
        .iter()
        .find(|machine| machine.name == *name)?;
    let data = machine
        .data
        .iter()
        .find(|data| data.target == Path::new("/var/lib/containerd"))?;
    Some(group.places.data(name, data))
}
