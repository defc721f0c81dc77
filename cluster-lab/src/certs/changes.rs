//! Which files of machines change with an item of the store, and what has to be done then: on paper, for a plan.

use super::roll::{Round, by_node};
use crate::{Hosts, LabPlanError, ObserveError, Wired, lab::etcd_hosts};
use host_exec::files::Drift;
use k8s_bootstrap::{
    NodeCertificate,
    component::{SIGNER_CA, kubelet::KUBECONFIG},
};
use pki::{
    CaRole, FileContent, ItemId, LeafRole, NodeFile, PkiSpec,
    rotation::{Phase, Rotated},
};
use std::path::{Path, PathBuf};

/// What changes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Changes {
    /// Certificates and keys of leaves.
    leaves: Vec<ItemId>,
    /// The leaves of an authority.
    leaves_of: Option<CaRole>,
    /// Who is trusted: the public half of an authority, or of the service account pair, as it lies on machines.
    trusted: Option<Rotated>,
    /// The key of an authority or of the service account pair, where machines have it.
    key: Option<Rotated>,
    /// Files of control planes that no item is.
    others: Vec<PathBuf>,
    /// What the cluster has signed for kubelets is to be signed anew.
    kubelets: bool,
}

/// Where an argument names the signer's file: a unit, or the manifest of a static pod.
const CONTROLLER_MANAGER: [&str; 2] = [
    "/etc/systemd/system/kube-controller-manager.service",
    "/etc/kubernetes/manifests/kube-controller-manager.yaml",
];

impl Changes {
    /// Leaves that are made anew.
    pub(super) fn of_leaves(leaves: Vec<ItemId>) -> Self {
        Self {
            leaves,
            ..Self::default()
        }
    }

    /// What is another one in a phase than in the one before. The first changes nothing on machines.
    pub(super) fn of_phase(rotated: Rotated, phase: Phase) -> Self {
        let is_kubernetes = rotated == Rotated::Authority(CaRole::Kubernetes);
        let mut changes = Self::default();
        match phase {
            Phase::Add => return changes,
            Phase::Trust | Phase::Drop => changes.trusted = Some(rotated),
            Phase::Swap => {
                changes.key = Some(rotated);
                if let Rotated::Authority(role) = rotated {
                    changes.leaves_of = Some(role);
                }
                // The one that signs comes first there.
                changes.trusted = is_kubernetes.then_some(rotated);
                changes.kubelets = is_kubernetes;
            }
        }
        if is_kubernetes {
            let is_signer_new = phase != Phase::Drop;
            let signer = is_signer_new.then_some(SIGNER_CA).into_iter();
            let names_it = CONTROLLER_MANAGER.into_iter();
            let names_it = names_it.filter(|_| phase != Phase::Swap);
            changes.others = signer.chain(names_it).map(PathBuf::from).collect();
        }
        changes
    }

    fn leaf(&self, id: &ItemId) -> bool {
        let of = |role: &LeafRole| self.leaves_of == Some(role.profile().signer);
        self.leaves.contains(id) || matches!(id, ItemId::Leaf { role, .. } if of(role))
    }

    fn is_in(&self, file: &NodeFile) -> bool {
        let is =
            |rotated: Option<Rotated>, id: &ItemId| rotated.map(Rotated::item).as_ref() == Some(id);
        match &file.content {
            FileContent::Public(id) => self.leaf(id) || is(self.trusted, id),
            FileContent::Key(id) => self.leaf(id) || is(self.key, id),
            // It changes with its certificate and with whom it trusts.
            FileContent::Kubeconfig { id, .. } => {
                self.leaf(id) || signer(id).is_some_and(|signer| is(self.trusted, &signer))
            }
        }
    }
}

/// What is to be done on the machines when files change, a line for each step, in the order in which
/// [`Roll`](super::Roll) does it. What else is to be done there is among it.
pub(super) async fn lines(
    wired: &Wired,
    hosts: &Hosts,
    pki: &PkiSpec,
    changes: &Changes,
) -> Result<Vec<String>, LabPlanError> {
    let members = etcd_hosts(&wired.etcd, hosts);
    let etcd = etcd_bootstrap::observe(&wired.etcd, &members, &wired.etcd_tls);
    let kubernetes = k8s_bootstrap::observe(&wired.kubernetes, hosts);
    let (etcd, kubernetes) = tokio::join!(etcd, kubernetes);
    let mut etcd = etcd.map_err(ObserveError::from)?;
    let mut kubernetes = kubernetes.map_err(ObserveError::from)?;
    mark_members(&mut etcd, wired, pki, changes);
    mark_nodes(&mut kubernetes, wired, pki, changes);
    let mut lines: Vec<String> = etcd_bootstrap::plan(&wired.etcd, &etcd)?
        .to_string()
        .lines()
        .map(str::to_owned)
        .collect();
    let plan = k8s_bootstrap::plan(&wired.kubernetes, &kubernetes);
    for (_, own) in by_node(&plan, wired.kubernetes.spec(), Round::All) {
        lines.extend(own.to_string().lines().map(str::to_owned));
    }
    Ok(lines)
}

/// Has the members look as if their files were other ones already.
fn mark_members(
    found: &mut etcd_bootstrap::Observed,
    wired: &Wired,
    pki: &PkiSpec,
    changes: &Changes,
) {
    for member in wired.etcd.members() {
        let Some(found) = found.members.get_mut(&member.name) else {
            continue;
        };
        for path in changed(pki, member.name.as_str(), changes) {
            if found.drifted.iter().all(|(known, _)| *known != path) {
                found.drifted.push((path, Drift::Contents));
            }
        }
    }
}

/// The same of the nodes, whose programs then run on what was recorded otherwise.
fn mark_nodes(
    found: &mut k8s_bootstrap::Observed,
    wired: &Wired,
    pki: &PkiSpec,
    changes: &Changes,
) {
    for (name, setup) in &wired.kubernetes.nodes {
        let Some(found) = found.nodes.get_mut(name) else {
            continue;
        };
        let is_there = |path: &PathBuf| {
            // Without a rotation there is no such file.
            path == Path::new(SIGNER_CA) || setup.files.iter().any(|file| file.path == *path)
        };
        let paths = changed(pki, name.as_str(), changes).into_iter();
        let mut known: Vec<PathBuf> = paths.filter(is_there).collect();
        let read = known.iter().map(PathBuf::as_path).collect();
        known.extend(wired.kubernetes.manifests_reading(name, &read));
        for path in known {
            for service in setup.readers(&[path.as_path()].into()) {
                found.recorded_otherwise.insert(service.unit.clone());
                found.unrecorded.insert(service.unit.clone());
            }
            found.files.entry(path).or_insert(Drift::Contents);
        }
    }
    if changes.kubelets {
        for found in found.nodes.values_mut() {
            let old = NodeCertificate::Unusable("it is of the old authority".to_owned());
            (found.certificate, found.serving) = (old.clone(), old);
        }
    }
}

/// The files of a machine that change.
fn changed(pki: &PkiSpec, machine: &str, changes: &Changes) -> Vec<PathBuf> {
    let Ok(name) = pki::HostName::new(machine) else {
        return Vec::new();
    };
    let lists = [
        pki.files_for_control_plane(&name),
        pki.files_for_etcd_member(&name),
        pki.files_for_node(&name),
    ];
    let mut paths: Vec<PathBuf> = Vec::new();
    if lists[0].is_ok() {
        paths.extend(changes.others.iter().cloned());
    }
    let files = lists.into_iter().flatten().flatten();
    // A kubelet gets the first pair alone, and has its own way to the next.
    let files = files.filter(|file| file.path != KUBECONFIG && changes.is_in(file));
    paths.extend(files.map(|file| PathBuf::from(file.path)));
    let trusts = changes.trusted == Some(Rotated::Authority(CaRole::Kubernetes));
    if trusts && pki.nodes.iter().any(|node| node.name == name) {
        // Its kubeconfig is k8s-bootstrap's, and has the authorities embedded.
        paths.push(KUBECONFIG.into());
    }
    paths.sort();
    paths.dedup();
    paths
}

/// The authority that a leaf's owner trusts.
fn signer(id: &ItemId) -> Option<ItemId> {
    match id {
        ItemId::Leaf { role, .. } => Some(ItemId::Authority(role.profile().signer)),
        _ => None,
    }
}
