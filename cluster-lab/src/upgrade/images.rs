//! The images of another version than the one that a lab was made with: brought into the containerd of nodes that run.
//!
//! A new node finds the images of the lab's first version in the root of its containerd (`supplies`), or on its disk of
//! programs. What a later version runs in pods comes to it as an archive, through the standard input of ctr(8).

use crate::{
    Blueprint, BlueprintError, Hosts, Lab, SupplyError, blueprint::programs_wanted, machines::Seen,
};
use artifacts::{CONTAINERD_NAMESPACE, PINNED, ProgramName, Version, Wanted};
use futures::future::try_join_all;
use host_exec::{
    Command, EventSink, Host, HostName, RunError, Stdin,
    poll::{self, Attempt, Wait, WaitError},
};
use netplan::Role;
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    time::Duration,
};

const STEP: &str = "images";
/// For an archive of 100 MB over a connection of SSH, and unpacking it.
const IMPORT_LIMIT: Duration = Duration::from_secs(300);
/// For a containerd that has just been started with its machine.
const START_LIMIT: Duration = Duration::from_secs(30);
/// The images that nodes lack, by node.
type Lacking = BTreeMap<HostName, Vec<String>>;

/// Images could not be brought to the nodes. What has come stays, and the next run brings the rest.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ImportError {
    /// Which are wanted.
    #[error(transparent)]
    Blueprint(#[from] BlueprintError),
    /// They could not be made.
    #[error(transparent)]
    Supply(#[from] SupplyError),
    /// containerd of a node does not tell what it has.
    #[error("{node} does not list its images; see `lab logs {node} containerd`")]
    Silent {
        /// The node.
        node: HostName,
        /// What was last seen.
        #[source]
        source: WaitError<RunError>,
    },
    /// containerd of a node does not take them.
    #[error("cannot bring images to a node; see `lab logs NODE containerd`")]
    Containerd(#[from] RunError),
}

impl Lab {
    /// The images of Kubernetes of `version` that nodes lack; none in a lab of services.
    pub(super) async fn lacking_images(
        &self,
        blueprint: &Blueprint,
        version: Version,
        hosts: &Hosts,
    ) -> Result<Lacking, ImportError> {
        let wanted = programs_wanted(&self.spec.at_version(version))?;
        lacking(blueprint, &wanted, hosts).await
    }

    /// Those of all versions that the lab was upgraded to, or is, which nodes lack, and which nodes will lack that are yet
    /// to be made.
    pub(crate) async fn plan_later_images(
        &self,
        blueprint: &Blueprint,
        seen: &Seen,
    ) -> Result<Lacking, ImportError> {
        let mut all = Lacking::new();
        for version in blueprint.later_versions() {
            let wanted = programs_wanted(&self.spec.at_version(version))?;
            let new = nodes(blueprint).filter(|(_, name)| seen.is_new(name));
            let new = new.map(|(role, name)| (name, images_of(&wanted, role)));
            let there = lacking(blueprint, &wanted, &seen.hosts).await?;
            for (node, images) in new.chain(there) {
                all.entry(node).or_default().extend(images);
            }
        }
        all.retain(|_, images| !images.is_empty());
        Ok(all)
    }

    /// Brings those of all versions that the lab was upgraded to, or is: a node that came since was made without them. Says
    /// whether any were lacking.
    pub(crate) async fn import_later_images(
        &self,
        blueprint: &Blueprint,
        hosts: &Hosts,
        events: &dyn EventSink,
    ) -> Result<bool, ImportError> {
        let mut changed = false;
        for version in blueprint.later_versions() {
            changed |= self
                .import_images(blueprint, version, hosts, events)
                .await?;
        }
        Ok(changed)
    }

    /// Brings them there, and says whether any were lacking.
    pub(super) async fn import_images(
        &self,
        blueprint: &Blueprint,
        version: Version,
        hosts: &Hosts,
        events: &dyn EventSink,
    ) -> Result<bool, ImportError> {
        let wanted = programs_wanted(&self.spec.at_version(version))?;
        let lacking = lacking(blueprint, &wanted, hosts).await?;
        if lacking.is_empty() {
            return Ok(false);
        }
        let archives = self.archives(&wanted, events).await?;
        let imports = lacking.iter().filter_map(|(name, images)| {
            let host = hosts.get(name)?.as_ref();
            Some(import(host, images, &archives, events))
        });
        try_join_all(imports).await?;
        Ok(true)
    }

    /// The archive of each image.
    async fn archives(
        &self,
        wanted: &Wanted,
        events: &dyn EventSink,
    ) -> Result<BTreeMap<String, PathBuf>, SupplyError> {
        let set = self.get_programs(wanted, events).await?;
        let made = self.get_images(wanted, &set, events).await?;
        let archive = |image: artifacts::BuiltImage| (image.reference.to_string(), image.archive);
        Ok(made.images.into_iter().map(archive).collect())
    }
}

async fn lacking(
    blueprint: &Blueprint,
    wanted: &Wanted,
    hosts: &Hosts,
) -> Result<Lacking, ImportError> {
    let looks = nodes(blueprint).filter_map(|(role, name)| {
        let (host, images) = (hosts.get(&name)?, images_of(wanted, role));
        Some(async move {
            let images = match images.is_empty() {
                true => images,
                false => not_there(host.as_ref(), images, blueprint.spec.patience).await?,
            };
            Ok::<_, ImportError>((name, images))
        })
    });
    let mut lacking: Lacking = try_join_all(looks).await?.into_iter().collect();
    lacking.retain(|_, images| !images.is_empty());
    Ok(lacking)
}

fn nodes(blueprint: &Blueprint) -> impl Iterator<Item = (Role, HostName)> {
    let roles = [Role::ControlPlane, Role::Worker].into_iter();
    roles.flat_map(|role| blueprint.hosts_of(role).map(move |name| (role, name)))
}

/// Of Kubernetes itself: all others are those that the lab was made with.
fn images_of(wanted: &Wanted, role: Role) -> Vec<String> {
    let programs = wanted.as_images.iter();
    let programs = programs
        .filter(|program| role == Role::ControlPlane || **program == ProgramName::KubeProxy);
    let version = wanted.versions.kubernetes;
    programs
        .map(|program| format!("lab.local/{program}:v{version}"))
        .collect()
}

async fn not_there(
    host: &dyn Host,
    mut images: Vec<String>,
    patience: f64,
) -> Result<Vec<String>, ImportError> {
    let wait = Wait::new("containerd that answers", START_LIMIT.mul_f64(patience));
    let listed = poll::until(&wait, || async {
        let output = host.output(&ctr().args(["images", "list"])).await?;
        Ok(match output.status.success() {
            true => Attempt::Ready(output.stdout_text().into_owned()),
            false => Attempt::NotYet(output.stderr_text().trim().to_owned()),
        })
    });
    let listed = listed.await.map_err(|source| ImportError::Silent {
        node: host.name().clone(),
        source,
    })?;
    images.retain(|image| !is_listed(&listed, image));
    Ok(images)
}

/// Whether an image is in the output of `ctr images list` (containerd 1.6), and pinned:
///
/// ```text
/// REF                   TYPE                                       DIGEST      SIZE      PLATFORMS   LABELS
/// lab.local/pause:3.9   application/vnd.oci.image.manifest.v1+json sha256:16a1 706.5 KiB linux/amd64 io.cri-containerd.image=managed,io.cri-containerd.pinned=pinned
/// ```
fn is_listed(listed: &str, image: &str) -> bool {
    listed.lines().any(|line| {
        let mut words = line.split_whitespace();
        words.next() == Some(image) && words.any(|word| word.split(',').any(|l| l == PINNED))
    })
}

async fn import(
    host: &dyn Host,
    images: &[String],
    archives: &BTreeMap<String, PathBuf>,
    events: &dyn EventSink,
) -> Result<(), RunError> {
    let name = host.name().as_str();
    events.started(name, STEP);
    for image in images {
        let archive = archives
            .get(image)
            .map_or(Path::new(image), PathBuf::as_path);
        let import = ctr()
            .args(["images", "import", "--snapshotter", "overlayfs", "-"])
            .stdin(Stdin::File(archive.to_owned()))
            .timeout(IMPORT_LIMIT);
        host.run(&import).await?;
        // Last: an image without it is one whose import may have been killed.
        host.run(&ctr().args(["images", "label", image, PINNED]))
            .await?;
    }
    events.done(name, STEP, &format!("{} imported", images.len()));
    Ok(())
}

fn ctr() -> Command {
    Command::new("ctr").args(["--namespace", CONTAINERD_NAMESPACE])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_is_there_when_it_is_pinned_too() {
        let row = |labels: &str| {
            format!(
                "REF TYPE DIGEST SIZE PLATFORMS LABELS\n\
                 lab.local/kube-proxy:v1.37.2 application/vnd.oci.image.manifest.v1+json sha256:16a1 40.1 MiB \
                 linux/amd64 {labels} \n"
            )
        };
        let managed = "io.cri-containerd.image=managed";
        let whole = row(&format!("{managed},{PINNED}"));
        assert!(is_listed(&whole, "lab.local/kube-proxy:v1.37.2"));
        assert!(!is_listed(&whole, "lab.local/kube-proxy:v1.37"));
        assert!(!is_listed(&row(managed), "lab.local/kube-proxy:v1.37.2"));
    }
}
