//! What certificates a lab has, in its store and on its machines, and how long they last.

use crate::{Blueprint, Lab, LabPlanError, ObserveError, Shape};
use futures::future::try_join_all;
use host_exec::{FileError, Host, HostName};
use pki::{Expiry, ExpiryLevel, FileContent, ItemId, LeafRole, NodeFile, Store, rotation};
use serde::Serialize;
use std::path::{Path, PathBuf};
use time::OffsetDateTime;
use zeroize::Zeroizing;

/// Where kubelets keep the certificates that the cluster has given them, as clients and as servers.
const OF_KUBELETS: [&str; 2] = [
    k8s_bootstrap::component::kubelet::CURRENT_PAIR,
    k8s_bootstrap::component::kubelet::CURRENT_SERVING_PAIR,
];

/// What certificates a lab has.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CertsReport {
    /// Those of the store, the first to end first.
    pub store: Vec<Expiry>,
    /// Those on machines that run.
    pub machines: Vec<OnMachine>,
    /// What is being rotated.
    pub rotations: Vec<Rotation>,
}

/// A rotation that has begun and not ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Rotation {
    /// Of what.
    pub rotated: rotation::Rotated,
    /// How far it is.
    pub phase: rotation::Phase,
}

/// A file with a certificate on a machine.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct OnMachine {
    /// The machine.
    pub machine: String,
    /// The file there.
    pub file: PathBuf,
    /// The item of the store that it comes from; none for what the cluster signs for a kubelet.
    pub item: Option<ItemId>,
    /// How it compares with the store.
    pub state: OnMachineState,
    /// How long it lasts, if there is one that can be read.
    pub expiry: Option<Expiry>,
}

/// How a certificate on a machine compares with the one of the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum OnMachineState {
    /// It is the same.
    Same,
    /// It is another one; `lab up` brings the one of the store.
    Differs,
    /// It is not there.
    Missing,
    /// The kubelet has it from the cluster, and renews it by itself.
    Own,
}

impl CertsReport {
    /// The most pressing of all.
    pub fn level(&self) -> ExpiryLevel {
        let on_machines = self.machines.iter().filter_map(|one| one.expiry.as_ref());
        let levels = self.store.iter().chain(on_machines).map(|one| one.level);
        levels.max().unwrap_or(ExpiryLevel::Fine)
    }

    /// How many files on machines are not what the store has.
    pub fn stale(&self) -> usize {
        let is_stale = |one: &&OnMachine| {
            matches!(one.state, OnMachineState::Differs | OnMachineState::Missing)
        };
        self.machines.iter().filter(is_stale).count()
    }

    /// Whether machines have what the store has, and nobody has to act soon: more than a tenth of each life is left.
    pub fn is_well(&self) -> bool {
        self.stale() == 0 && self.level() < ExpiryLevel::Error
    }
}

impl Lab {
    /// What certificates the lab has: in its store, and on those of its machines that run. Changes nothing.
    ///
    /// # Errors
    ///
    /// The lab cannot be worked out or looked at, or a file of the store cannot be read. A machine that does not run,
    /// and a certificate that has expired, are *not* errors.
    pub async fn certificates(&self) -> Result<CertsReport, LabPlanError> {
        let store = self.store();
        let read = |error: pki::ReadError| ObserveError::Material(error.into());
        let expiries = pki::expiry(&store, self.now).map_err(read)?;
        let rotations = store.rotations().map_err(read)?;
        let machines = match expiries.is_empty() {
            true => Vec::new(),
            false => self.certificates_on_machines(&store).await?,
        };
        Ok(CertsReport {
            store: expiries,
            machines,
            rotations: rotations
                .into_iter()
                .map(|(rotated, phase)| Rotation { rotated, phase })
                .collect(),
        })
    }

    async fn certificates_on_machines(
        &self,
        store: &Store,
    ) -> Result<Vec<OnMachine>, LabPlanError> {
        let blueprint = self.draft().await?;
        let hosts = self.see(&blueprint).await?.hosts;
        let looks = hosts.iter().map(|(name, host)| {
            let files = files_of(&blueprint, name);
            async move {
                let looks = files
                    .iter()
                    .map(|file| look(host.as_ref(), file, store, self.now));
                try_join_all(looks).await
            }
        });
        let found = try_join_all(looks).await?;
        Ok(found.into_iter().flatten().flatten().collect())
    }
}

/// A file of a machine that shows a certificate.
struct Shown {
    machine: HostName,
    path: PathBuf,
    item: Option<ItemId>,
}

/// The files of a machine that show a certificate, in the order of the set, and those of its kubelet.
fn files_of(blueprint: &Blueprint, machine: &HostName) -> Vec<Shown> {
    let Ok(name) = pki::HostName::new(machine.as_str()) else {
        return Vec::new();
    };
    let pki = &blueprint.pki;
    // A machine is in those lists that fit what it is for.
    let lists = [
        pki.files_for_control_plane(&name),
        pki.files_for_etcd_member(&name),
        pki.files_for_node(&name),
    ];
    let mut shown: Vec<Shown> = Vec::new();
    for file in lists.into_iter().flatten().flatten() {
        let path = PathBuf::from(&file.path);
        let is_new = shown.iter().all(|one| one.path != path);
        // Beside static pods the pod of kube-proxy has an account, and a kubelet a pair that it renews.
        let is_elsewhere = |item: &ItemId| {
            blueprint.spec.shape == Shape::StaticPods
                && matches!(
                    item,
                    ItemId::Leaf {
                        role: LeafRole::KubeProxy | LeafRole::Kubelet,
                        ..
                    }
                )
        };
        if let Some(item) = item_of(&file).filter(|item| is_new && !is_elsewhere(item)) {
            let (machine, item) = (machine.clone(), Some(item));
            shown.push(Shown {
                machine,
                path,
                item,
            });
        }
    }
    if pki.nodes.iter().any(|node| node.name == name) {
        shown.extend(OF_KUBELETS.map(|path| Shown {
            machine: machine.clone(),
            path: path.into(),
            item: None,
        }));
    }
    shown
}

/// The certificate that a file shows.
fn item_of(file: &NodeFile) -> Option<ItemId> {
    match &file.content {
        FileContent::Public(ItemId::ServiceAccount) | FileContent::Key(_) => None,
        FileContent::Public(id) | FileContent::Kubeconfig { id, .. } => Some(id.clone()),
    }
}

async fn look(
    host: &dyn Host,
    shown: &Shown,
    store: &Store,
    now: OffsetDateTime,
) -> Result<Option<OnMachine>, ObserveError> {
    let text = read(host, &shown.path).await.map_err(ObserveError::Look)?;
    let state = match (&text, &shown.item) {
        (None, None) => return Ok(None),
        (None, Some(_)) => OnMachineState::Missing,
        (Some(_), None) => OnMachineState::Own,
        (Some(text), Some(item)) if is_same(store, item, text) => OnMachineState::Same,
        (Some(_), Some(_)) => OnMachineState::Differs,
    };
    let found = text.and_then(|text| pki::certificate_in(&text).ok().flatten());
    Ok(Some(OnMachine {
        machine: shown.machine.to_string(),
        file: shown.path.clone(),
        item: shown.item.clone(),
        state,
        expiry: found.map(|found| Expiry::of(shown.path.clone(), &found, now)),
    }))
}

/// Whether a file shows what the store has: of an authority all that is trusted, which are two while it is rotated.
fn is_same(store: &Store, item: &ItemId, text: &str) -> bool {
    if let ItemId::Authority(role) = item {
        let trusted = store.trusted(rotation::Rotated::Authority(*role));
        return trusted.is_ok_and(|trusted| trusted == text);
    }
    let found = pki::certificate_in(text).ok().flatten();
    match (found, store.certificate(item)) {
        (Some(found), Ok(own)) => found.der() == own.der(),
        _ => false,
    }
}

/// A file as text, if it is there and is one. It may hold a key.
async fn read(host: &dyn Host, path: &Path) -> Result<Option<Zeroizing<String>>, FileError> {
    let bytes = host.read_file(path).await?.map(Zeroizing::new);
    let text = bytes.as_ref().map(|bytes| String::from_utf8_lossy(bytes));
    Ok(text.map(|text| Zeroizing::new(text.into_owned())))
}
