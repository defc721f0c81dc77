//! Where image, programs and keys of VMs come from.

use super::{
    Stock, StockRecord,
    keys::{KeyFiles, Keys},
    stock::Blob,
};
use crate::{
    BhyveSpec, Blueprint, Lab, ObserveError, StateError, SupplyError, blueprint::host_name,
    lab::programs_places,
};
use artifacts::{BoxedError, Checksum};
use bhyve_vm::{
    fleet::Supply,
    image::{self, Digest},
};
use host_exec::{EventSink, HostName};
use std::{
    fs::File,
    path::{Path, PathBuf},
};

/// What VMs are made of, and where the files of it are on this machine.
#[derive(Debug)]
pub(crate) struct Supplied {
    pub(crate) stock: Stock,
    pub(crate) files: Supply,
}

impl Lab {
    /// What VMs are made of, as far as it is known without getting anything: for plans and for looks. Keys that are
    /// not there yet are made up, and forgotten.
    pub(crate) async fn stock_at_hand(&self, blueprint: &Blueprint) -> Result<Stock, ObserveError> {
        let state = self.state();
        let record = state.stock_record()?.unwrap_or_else(StockRecord::unknown);
        let (image, programs) = record.blobs(&state)?;
        let names = machine_names(blueprint);
        let files = KeyFiles::new(state.ssh());
        let keys = if files.missing(names.iter()).is_empty() {
            files.read(names.iter())?
        } else {
            self.keys_on_paper(&names).await?
        };
        Ok(Stock::new(image, programs, keys))
    }

    /// What `up` would get and make before it touches the host.
    pub(crate) fn plan_supplies(&self, blueprint: &Blueprint) -> Result<Vec<String>, StateError> {
        let Some(bhyve) = &self.spec.bhyve else {
            return Ok(Vec::new());
        };
        let mut lines = Vec::new();
        if self.state().stock_record()?.is_none() {
            let image = &bhyve.image;
            lines.extend([
                format!("get image {image}, compare its checksum, make a raw disk of it"),
                "write programs and images to a disk".to_owned(),
                "the checksums of both, zeros in what follows, are known then".to_owned(),
            ]);
        }
        let names = machine_names(blueprint);
        let files = KeyFiles::new(self.state().ssh());
        let missing = files.missing(names.iter()).len();
        if missing > 0 {
            lines.push(format!(
                "make {missing} keys of SSH: ours, and one per guest"
            ));
        }
        Ok(lines)
    }

    async fn keys_on_paper(&self, names: &[HostName]) -> Result<Keys, ObserveError> {
        let directory = tempfile::tempdir().map_err(|source| super::KeysError::Io {
            path: std::env::temp_dir(),
            source,
        })?;
        let files = KeyFiles::new(directory.path().to_owned());
        let missing = files.missing(names.iter());
        files.make(&missing, self.here()).await?;
        Ok(files.read(names.iter())?)
    }

    /// Gets everything that VMs are made of.
    pub(crate) async fn supply_vms(
        &self,
        blueprint: &Blueprint,
        bhyve: &BhyveSpec,
        programs: artifacts::ProgramsDisk,
        events: &dyn EventSink,
    ) -> Result<Supplied, SupplyError> {
        let (image, raw) = self.image(bhyve, events).await?;
        let sha256: Digest = programs.sha256.to_string().parse()?;
        let disk = Blob {
            sha256: sha256.clone(),
            bytes: programs.bytes,
        };
        let keys = self.keys(blueprint, events).await?;
        let files = [(image.sha256.clone(), raw), (sha256, programs.path)];
        let stock = Stock::new(image, disk, keys);
        self.state().remember_stock(&stock.record())?;
        Ok(Supplied {
            stock,
            files: Supply {
                files: files.into(),
            },
        })
    }

    /// Keys for this machine and every guest, and the list of them that `ssh` reads.
    async fn keys(
        &self,
        blueprint: &Blueprint,
        events: &dyn EventSink,
    ) -> Result<Keys, SupplyError> {
        let names = machine_names(blueprint);
        let files = KeyFiles::new(self.state().ssh());
        let missing = files.missing(names.iter());
        if !missing.is_empty() {
            let step = "keys of SSH";
            events.started("", step);
            self.state().make_ssh()?;
            files.make(&missing, self.here()).await?;
            events.done("", step, &format!("{} made", missing.len()));
        }
        let keys = files.read(names.iter())?;
        let machines = blueprint.network.machines.iter();
        let addresses = machines.map(|machine| vec![blueprint.ssh_address(machine)]);
        files.remember_guests(&keys, names.iter().zip(addresses))?;
        Ok(keys)
    }

    async fn image(
        &self,
        bhyve: &BhyveSpec,
        events: &dyn EventSink,
    ) -> Result<(Blob, PathBuf), SupplyError> {
        let places = programs_places(self);
        let image = bhyve.cloud_image()?;
        let raw = artifacts::cloud_image(&image, &places, convert, events).await?;
        let blob = Blob {
            sha256: raw.sha256.to_string().parse()?,
            bytes: raw.disk_bytes,
        };
        Ok((blob, raw.path))
    }
}

/// The raw disk of a published image, whose checksum is looked at once more on the way.
fn convert(published: &Path, checksum: &Checksum, raw: &mut File) -> Result<(), BoxedError> {
    let name = published.file_name().unwrap_or_default().to_string_lossy();
    let digest = checksum.to_string().parse()?;
    image::import(File::open(published)?, &name, &digest, raw)?;
    Ok(())
}

fn machine_names(blueprint: &Blueprint) -> Vec<HostName> {
    blueprint.network.machines.iter().map(host_name).collect()
}
