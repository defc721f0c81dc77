//! The plans of a reset against a model of a machine that can be killed after any step.

use crate::cluster;
use host_exec::systemd::UnitState;
use k8s_bootstrap::{
    Desired, Route,
    retire::{Found, ResetPlan, ResetStep, plan_prune, plan_reset},
};
use proptest::prelude::*;
use std::path::PathBuf;

const NODE: &str = "cp-0";

/// A node that runs, with all that it and its pods leave on a machine.
fn running(desired: &Desired) -> Found {
    let setup = &desired.nodes[&NODE.parse().unwrap()];
    let up = UnitState {
        load: "loaded".into(),
        active: "active".into(),
        file: "enabled".into(),
        ..UnitState::default()
    };
    let units = setup.units().into_iter().map(|unit| (unit, up.clone()));
    let files = setup.files.iter().map(|file| file.path.clone());
    Found {
        units: units.collect(),
        pods: true,
        mounts: vec![PathBuf::from("/var/lib/kubelet/pods/x/volumes/y")],
        namespaces: vec!["cni-1".into()],
        bridge: true,
        routes: routes(desired),
        tables: vec!["ip".into(), "ip6".into()],
        chains: false,
        state: vec!["/var/lib/kubelet".into()],
        files: files.collect(),
    }
}

fn routes(desired: &Desired) -> Vec<Route> {
    desired.spec().control_planes[0].routes.clone()
}

fn reset(desired: &Desired, found: &Found) -> ResetPlan {
    plan_reset(desired, &NODE.parse().unwrap(), found).unwrap()
}

/// What a step does. What it must not meet any more is demanded.
fn apply(found: &mut Found, step: &ResetStep) {
    let kubelet = "kubelet.service".parse().unwrap();
    let runs = |found: &Found, unit| found.units.get(unit).is_some_and(UnitState::is_up);
    match step {
        ResetStep::Stop(units) => {
            for unit in units {
                found.units.insert(unit.clone(), UnitState::default());
            }
        }
        ResetStep::EndPods => {
            assert!(!runs(found, &kubelet), "it would make them again");
            found.pods = false;
        }
        ResetStep::EndRuntime(unit) => {
            assert!(!found.pods, "containers outlive their runtime");
            found.units.insert(unit.clone(), UnitState::default());
        }
        ResetStep::Unmount(_) => found.mounts.clear(),
        ResetStep::RemoveNamespaces(_) => {
            assert!(!found.pods, "they are in use");
            found.namespaces.clear();
        }
        ResetStep::RemoveBridge => found.bridge = false,
        ResetStep::RemoveRoutes(gone) => found.routes.retain(|route| !gone.contains(route)),
        ResetStep::RemoveTables(_) => found.tables.clear(),
        ResetStep::RemoveChains => found.chains = false,
        ResetStep::Empty(_) => {
            assert!(found.mounts.is_empty(), "volumes would be emptied");
            found.state.clear();
        }
        ResetStep::RemoveFiles(gone) => {
            let units = found.units.values();
            assert!(units.clone().count() > 0 && !found.pods);
            found.files.retain(|file| !gone.contains(file));
        }
    }
}

#[test]
fn a_reset_takes_what_is_ours_and_nothing_else() {
    let desired = cluster::desired("1.37.2");
    let text = reset(&desired, &running(&desired)).to_string();
    let first = text.lines().next().unwrap();
    assert!(
        first.starts_with("cp-0: stop and disable kubelet.service "),
        "{first}"
    );
    for line in [
        "cp-0: end all containers of pods",
        "cp-0: stop and disable containerd.service with its shims",
        "cp-0: unmount /var/lib/kubelet/pods/x/volumes/y",
        "cp-0: remove network namespaces cni-1",
        "cp-0: remove interface cni0",
        "cp-0: remove route 10.244.20.0/24 via 10.10.1.20",
        "cp-0: remove nftables kube-proxy of ip ip6",
        "cp-0: empty /var/lib/kubelet",
        "cp-0: remove /etc/kubernetes/pki/ca.key",
        "cp-0: remove /etc/systemd/system/kubelet.service",
    ] {
        assert!(text.lines().any(|found| found == line), "{line}\n{text}");
    }
    assert!(!text.contains("/opt/lab/bin"), "programs stay");
    assert!(reset(&desired, &Found::default()).is_empty());
}

/// A balancer that has nothing to balance ends; what the node still needs is left alone.
#[test]
fn a_node_that_stays_loses_what_the_spec_no_longer_has() {
    let mut with = cluster::spec("1.37.2");
    with.balancer = Some(k8s_bootstrap::Balancer {
        program: "/usr/sbin/haproxy".parse().unwrap(),
        port: 6444,
    });
    let was = Desired::new(with, &cluster::material()).unwrap();
    let mut without = cluster::spec("1.37.2");
    without.control_planes[0].routes.pop();
    let is = Desired::new(without, &cluster::material()).unwrap();
    let node = NODE.parse().unwrap();
    let mut found = running(&was);
    let plan = plan_prune(&was, &is, &node, &found).unwrap();
    let text = plan.to_string();
    assert!(
        text.starts_with("cp-0: stop and disable api-balancer.service\n"),
        "{text}"
    );
    assert!(
        text.contains("cp-0: remove route fd44:0:0:20::/64 via fd10:1::20\n"),
        "{text}"
    );
    assert!(
        text.contains("cp-0: remove /etc/systemd/system/api-balancer.service\n"),
        "{text}"
    );
    assert!(
        !text.contains("kubelet") && !text.contains("10.244.20.0"),
        "{text}"
    );
    for step in &plan.steps {
        if !matches!(step, ResetStep::RemoveFiles(_)) {
            apply(&mut found, step);
        }
    }
    let gone: Vec<PathBuf> = is.nodes[&node]
        .files
        .iter()
        .map(|file| file.path.clone())
        .collect();
    found.files = gone;
    assert!(plan_prune(&was, &is, &node, &found).unwrap().is_empty());
}

proptest! {
    /// Killed after any number of steps, the next reset finishes, and the one after it finds nothing.
    #[test]
    fn a_killed_reset_is_finished_by_the_next(kills in prop::collection::vec(0_usize..12, 0..5)) {
        let desired = cluster::desired("1.37.2");
        let mut found = running(&desired);
        for kill in kills {
            for step in reset(&desired, &found).steps.iter().take(kill) {
                apply(&mut found, step);
            }
        }
        for step in &reset(&desired, &found).steps {
            apply(&mut found, step);
        }
        prop_assert!(reset(&desired, &found).is_empty());
    }
}
