//! Images beyond those that a lab was made with: of another version, and of add-ons. They are brought into the containerd of
//! nodes that run.
//!
//! A new node finds the images of the lab's first version in the root of its containerd (`supplies`), or on its disk of
//! programs. All others come to it as archives, through the standard input of ctr(8), so that they can be asked for later.

use crate::{
    Blueprint, BlueprintError, Hosts, Lab, MetricsServer, SupplyError,
    blueprint::{metrics_server, programs_wanted},
    machines::Seen,
};
use artifacts::{CONTAINERD_NAMESPACE, PINNED, ProgramName, Version, Wanted};
use futures::future::try_join_all;
use host_exec::{
    Command, EventSink, Host, HostName, RunError, Stdin,
    poll::{self, Attempt, Wait, WaitError},
    systemd::{self, UnitName},
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
    pub(crate) async fn lacking_images(
        &self,
        blueprint: &Blueprint,
        version: Version,
        hosts: &Hosts,
    ) -> Result<Lacking, ImportError> {
        let wanted = programs_wanted(&self.spec.at_version(version))?;
        lacking(blueprint, &wanted, hosts).await
    }

    /// All that nodes lack, and that nodes will lack which are yet to be made.
    pub(crate) async fn plan_added_images(
        &self,
        blueprint: &Blueprint,
        seen: &Seen,
    ) -> Result<Lacking, ImportError> {
        let mut all = Lacking::new();
        for wanted in blueprint.added_images()? {
            let new = nodes(blueprint).filter(|(_, name)| seen.is_new(name));
            let new = new.map(|(role, name)| Ok((name, images_of(&wanted, role)?)));
            let new: Vec<_> = new.collect::<Result<_, BlueprintError>>()?;
            let there = lacking(blueprint, &wanted, &seen.hosts).await?;
            for (node, images) in new.into_iter().chain(there) {
                all.entry(node).or_default().extend(images);
            }
        }
        all.retain(|_, images| !images.is_empty());
        Ok(all)
    }

    /// Brings what nodes lack: one that came since was made without. Says whether any did.
    pub(crate) async fn import_added_images(
        &self,
        blueprint: &Blueprint,
        hosts: &Hosts,
        events: &dyn EventSink,
    ) -> Result<bool, ImportError> {
        let mut changed = false;
        for wanted in blueprint.added_images()? {
            changed |= self
                .import_images(blueprint, &wanted, hosts, events)
                .await?;
        }
        Ok(changed)
    }

    /// Brings the images of Kubernetes of a version there.
    pub(crate) async fn import_version(
        &self,
        blueprint: &Blueprint,
        version: Version,
        hosts: &Hosts,
        events: &dyn EventSink,
    ) -> Result<(), ImportError> {
        let wanted = programs_wanted(&self.spec.at_version(version))?;
        self.import_images(blueprint, &wanted, hosts, events)
            .await
            .map(drop)
    }

    async fn import_images(
        &self,
        blueprint: &Blueprint,
        wanted: &Wanted,
        hosts: &Hosts,
        events: &dyn EventSink,
    ) -> Result<bool, ImportError> {
        let lacking = lacking(blueprint, wanted, hosts).await?;
        if lacking.is_empty() {
            return Ok(false);
        }
        let archives = self.archives(wanted, events).await?;
        let imports = lacking.iter().filter_map(|(name, images)| {
            let host = hosts.get(name)?.as_ref();
            let patience = blueprint.spec.patience;
            Some(import(host, images, &archives, patience, events))
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

impl Blueprint {
    /// What nodes have to have in their containerd beyond what the lab was made with.
    fn added_images(&self) -> Result<Vec<Wanted>, BlueprintError> {
        let versions = self.later_versions().into_iter();
        let versions = versions.map(|version| programs_wanted(&self.spec.at_version(version)));
        let mut all: Vec<_> = versions.collect::<Result<_, _>>()?;
        if self.spec.addons.metrics_server == MetricsServer::Built {
            let of_addons = Wanted::lab(self.programs.versions.clone(), self.programs.architecture);
            all.push(of_addons.with_metrics_server());
        }
        Ok(all)
    }
}

async fn lacking(
    blueprint: &Blueprint,
    wanted: &Wanted,
    hosts: &Hosts,
) -> Result<Lacking, ImportError> {
    let looks = nodes(blueprint).filter_map(|(role, name)| {
        let host = hosts.get(&name)?;
        Some(async move {
            let images = images_of(wanted, role)?;
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

/// Of Kubernetes and of add-ons: all others are those that the lab was made with.
fn images_of(wanted: &Wanted, role: Role) -> Result<Vec<String>, BlueprintError> {
    let programs = wanted.as_images.iter();
    let programs = programs
        .filter(|program| role == Role::ControlPlane || **program == ProgramName::KubeProxy);
    let version = wanted.versions.kubernetes;
    let mut images: Vec<_> = programs
        .map(|program| format!("lab.local/{program}:v{version}"))
        .collect();
    // Control planes run nothing that does not belong to them.
    if wanted.metrics_server && role == Role::Worker {
        images.push(metrics_server(&wanted.versions)?.to_string());
    }
    Ok(images)
}

/// Those that a node lacks: all of them where containerd does not run yet.
async fn not_there(
    host: &dyn Host,
    mut images: Vec<String>,
    patience: f64,
) -> Result<Vec<String>, ImportError> {
    let unit = containerd();
    let states = systemd::states(host, std::slice::from_ref(&unit)).await?;
    if states.get(&unit).is_some_and(systemd::UnitState::is_up) {
        let listed = listed(host, patience).await?;
        images.retain(|image| !is_listed(&listed, image));
    }
    Ok(images)
}

/// What containerd lists, as soon as it answers.
async fn listed(host: &dyn Host, patience: f64) -> Result<String, ImportError> {
    let wait = Wait::new("containerd that answers", START_LIMIT.mul_f64(patience));
    let listed = poll::until(&wait, || async {
        let output = host.output(&ctr().args(["images", "list"])).await?;
        Ok(match output.status.success() {
            true => Attempt::Ready(output.stdout_text().into_owned()),
            false => Attempt::NotYet(output.stderr_text().trim().to_owned()),
        })
    });
    listed.await.map_err(|source| ImportError::Silent {
        node: host.name().clone(),
        source,
    })
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
    patience: f64,
    events: &dyn EventSink,
) -> Result<(), ImportError> {
    let name = host.name().as_str();
    events.started(name, STEP);
    // On a new VM the distribution's has been stopped. Kubernetes will start it anew, with a configuration of ours.
    systemd::start(host, &[containerd()]).await?;
    listed(host, patience).await?;
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

fn containerd() -> UnitName {
    "containerd.service"
        .parse()
        .expect("a literal that is a legal unit name")
}

fn ctr() -> Command {
    Command::new("ctr").args(["--namespace", CONTAINERD_NAMESPACE])
}

#[cfg(test)]
mod tests {
    use super::*;
    use artifacts::{Architecture, CONTROL_PLANE_IMAGES};

    #[test]
    fn control_planes_get_kubernetes_and_workers_what_runs_there() {
        let versions = crate::LabSpec::default().versions().unwrap();
        let kubernetes = versions.kubernetes;
        let lab = Wanted::lab(versions, Architecture::Amd64);
        assert!(images_of(&lab, Role::ControlPlane).unwrap().is_empty());
        let all = lab.with_control_plane_images().with_metrics_server();
        let of = |role| images_of(&all, role).unwrap();
        assert_eq!(of(Role::ControlPlane).len(), CONTROL_PLANE_IMAGES.len());
        let worker = of(Role::Worker);
        assert_eq!(worker[0], format!("lab.local/kube-proxy:v{kubernetes}"));
        assert!(
            worker[1].starts_with("lab.local/metrics-server:v"),
            "{worker:?}"
        );
        assert_eq!(worker.len(), 2);
    }

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
