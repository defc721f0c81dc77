//! Which files of machines change with an item of the store, and what has to be done then: on paper, for a plan.

use super::roll::{Round, by_node};
use crate::{Hosts, LabPlanError, ObserveError, Wired, lab::etcd_hosts};
use host_exec::files::Drift;
use pki::{FileContent, ItemId, NodeFile, PkiSpec};
use std::path::PathBuf;

/// What is to be done on the machines when files change that `is_changed` names, a line for each step, in the order
/// in which [`Roll`](super::Roll) does it. What else is to be done there is among it.
pub(super) async fn lines(
    wired: &Wired,
    hosts: &Hosts,
    pki: &PkiSpec,
    is_changed: &dyn Fn(&ItemId, bool) -> bool,
) -> Result<Vec<String>, LabPlanError> {
    let members = etcd_hosts(&wired.etcd, hosts);
    let etcd = etcd_bootstrap::observe(&wired.etcd, &members, &wired.etcd_tls);
    let kubernetes = k8s_bootstrap::observe(&wired.kubernetes, hosts);
    let (etcd, kubernetes) = tokio::join!(etcd, kubernetes);
    let mut etcd = etcd.map_err(ObserveError::from)?;
    let mut kubernetes = kubernetes.map_err(ObserveError::from)?;
    for member in wired.etcd.members() {
        let paths = changed(pki, member.name.as_str(), is_changed);
        if let Some(found) = etcd.members.get_mut(&member.name) {
            for path in paths {
                if found.drifted.iter().all(|(known, _)| *known != path) {
                    found.drifted.push((path, Drift::Contents));
                }
            }
        }
    }
    for (name, setup) in &wired.kubernetes.nodes {
        let paths = changed(pki, name.as_str(), is_changed);
        let Some(found) = kubernetes.nodes.get_mut(name) else {
            continue;
        };
        let known = paths
            .into_iter()
            .filter(|path| setup.files.iter().any(|file| file.path == *path));
        for path in known {
            let readers = setup.readers(&[path.as_path()].into());
            found
                .recorded_otherwise
                .extend(readers.iter().map(|service| service.unit.clone()));
            found
                .unrecorded
                .extend(readers.iter().map(|service| service.unit.clone()));
            found.files.entry(path).or_insert(Drift::Contents);
        }
    }
    let mut lines: Vec<String> = etcd_bootstrap::plan(&wired.etcd, &etcd)?
        .to_string()
        .lines()
        .map(str::to_owned)
        .collect();
    let plan = k8s_bootstrap::plan(&wired.kubernetes, &kubernetes);
    for (_, own) in by_node(&plan, wired.kubernetes.spec(), Round::Nodes) {
        lines.extend(own.to_string().lines().map(str::to_owned));
    }
    Ok(lines)
}

/// The files of a machine that change. A kubeconfig changes with its certificate and with whom it trusts.
fn changed(
    pki: &PkiSpec,
    machine: &str,
    is_changed: &dyn Fn(&ItemId, bool) -> bool,
) -> Vec<PathBuf> {
    let Ok(name) = pki::HostName::new(machine) else {
        return Vec::new();
    };
    let lists = [
        pki.files_for_control_plane(&name),
        pki.files_for_etcd_member(&name),
        pki.files_for_node(&name),
    ];
    let files = lists.into_iter().flatten().flatten();
    let changed = files.filter(|file| match &file.content {
        FileContent::Public(id) => is_changed(id, false),
        FileContent::Key(id) => is_changed(id, true),
        FileContent::Kubeconfig { id, .. } => {
            let signer = signer(id);
            is_changed(id, false) || signer.is_some_and(|signer| is_changed(&signer, false))
        }
    });
    let mut paths: Vec<PathBuf> = changed.map(|file: NodeFile| file.path.into()).collect();
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
