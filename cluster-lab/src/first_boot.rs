//! What machines find at their first boot, and what is left to do after it.

use crate::Blueprint;
use etcd_bootstrap::{ClusterSpec, schedule};
use host_exec::{HostName, systemd::UnitState};
use k8s_bootstrap::{Desired, NodeObserved, NodeSetup, component::Gate};
use nspawn_vm::Group;
use std::collections::{BTreeMap, BTreeSet};

/// The machines with everything that is known before they boot: what each crate would write after the boot, it
/// then finds written, and systemd has read the units.
pub(crate) fn with_first_boot(
    blueprint: &Blueprint,
    group: &Group,
    etcd: &ClusterSpec,
    kubernetes: &Desired,
) -> Group {
    let mut group = group.clone();
    let guests = blueprint.guests();
    for machine in &mut group.machines {
        let first = &mut machine.first_boot;
        if let Some(guest) = guests.get(&machine.name) {
            first.files.extend(guest.files());
            first.enabled.extend(guest.units());
        }
        let member = etcd
            .members()
            .iter()
            .find(|m| m.name.as_str() == machine.name.as_str());
        first.files.extend(
            member
                .into_iter()
                .flat_map(|m| etcd_bootstrap::render::all_files(etcd, m)),
        );
        if let Some(member) = member.filter(|_| etcd.schedule().is_some()) {
            first.files.extend(schedule::files(etcd, member));
            first.enabled.push(schedule::timer_name());
        }
        if let Some(node) = kubernetes.nodes.get(&machine.name) {
            first.files.extend(node.files_before_boot());
            let at_once = node
                .services
                .iter()
                .filter(|service| service.gate == Gate::AtOnce);
            first
                .enabled
                .extend(at_once.map(|service| service.unit.clone()));
        }
    }
    group
}

/// etcd's machines after their first boot: files there, nothing started.
pub(crate) fn etcd_after_boot(etcd: &ClusterSpec) -> etcd_bootstrap::Observed {
    let mut observed = etcd_bootstrap::Observed::nothing(etcd);
    for member in observed.members.values_mut() {
        member.drifted.clear();
    }
    observed
}

/// Kubernetes' machines after their first boot: files there, and what waits for nothing started.
pub(crate) fn kubernetes_after_boot(desired: &Desired) -> k8s_bootstrap::Observed {
    let node = |(name, setup): (&HostName, &NodeSetup)| {
        let unit = |service: &k8s_bootstrap::Service| {
            let started = service.gate == Gate::AtOnce;
            let word = |yes: &str, no: &str| (if started { yes } else { no }).to_owned();
            let state = UnitState {
                load: "loaded".to_owned(),
                active: word("active", "inactive"),
                sub: word("running", "dead"),
                file: word("enabled", "disabled"),
                result: "success".to_owned(),
                needs_reload: false,
            };
            (service.unit.clone(), state)
        };
        let units = setup.services.iter().map(unit).collect();
        let blank = NodeObserved::blank(setup);
        let booted = NodeObserved {
            files: BTreeMap::new(),
            unrecorded: BTreeSet::new(),
            recorded_otherwise: BTreeSet::new(),
            units,
            ..blank
        };
        (name.clone(), booted)
    };
    let nodes = desired.nodes.iter().map(node).collect();
    k8s_bootstrap::Observed {
        nodes,
        ..k8s_bootstrap::Observed::default()
    }
}

/// Kubernetes' machines that have booted and have nothing of it.
pub(crate) fn kubernetes_blank(desired: &Desired) -> k8s_bootstrap::Observed {
    let nodes = desired.nodes.iter();
    k8s_bootstrap::Observed {
        nodes: nodes
            .map(|(name, setup)| (name.clone(), NodeObserved::blank(setup)))
            .collect(),
        ..k8s_bootstrap::Observed::default()
    }
}
