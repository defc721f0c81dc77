//! What a lab has from elsewhere: programs, and images for its nodes.

use crate::{Blueprint, Lab, lab::programs_places};
use host_exec::EventSink;
use netplan::Role;
use nspawn_vm::Group;
use std::path::{Path, PathBuf};

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
    /// A thread of this program ended early.
    #[error("a background task failed")]
    Task(#[from] tokio::task::JoinError),
}

impl Lab {
    /// Programs and images in the cache; returns a containerd root with the images unpacked.
    pub(crate) async fn supplies(
        &self,
        blueprint: &Blueprint,
        events: &dyn EventSink,
    ) -> Result<PathBuf, SupplyError> {
        let (places, wanted) = (programs_places(self), &blueprint.programs);
        let set = artifacts::programs(&self.here, wanted, &places, events).await?;
        let images = artifacts::images(&self.here, wanted, &set, &places, events).await?;
        Ok(artifacts::containerd_root(&self.here, &images, &places, events).await?)
    }
}

/// Gives the nodes that are about to start for the first time the images, unpacked.
pub(crate) async fn seed_images(
    blueprint: &Blueprint,
    plan: &nspawn_vm::Plan,
    images: &Path,
) -> Result<(), SupplyError> {
    let nodes: Vec<_> = [Role::ControlPlane, Role::Worker]
        .into_iter()
        .flat_map(|class| blueprint.hosts_of(class))
        .collect();
    let starting = plan.machines_to_start().filter(|name| nodes.contains(name));
    let targets: Vec<PathBuf> = starting
        .filter_map(|name| containerd_dir(&blueprint.group, name))
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
