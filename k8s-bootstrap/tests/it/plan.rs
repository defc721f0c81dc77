//! The plan against a model of the machines that can be killed after any step.

use crate::cluster;
use host_exec::{files::Drift, systemd::UnitName};
use k8s_bootstrap::{
    Action, ClusterObserved, Desired, NodeCertificate, NodeObserved, NodeSetup, ObjectDrift,
    Observed, Plan, Readiness, Step, component::Gate, plan,
};
use proptest::prelude::*;
use std::path::Path;

/// Machines on which nothing was ever done.
fn fresh(desired: &Desired) -> Observed {
    let mut observed = Observed::default();
    for (name, setup) in &desired.nodes {
        observed
            .nodes
            .insert(name.clone(), NodeObserved::blank(setup));
    }
    observed
}

/// What a step does to the machines. Services run with what their files say only when started after it.
fn apply(desired: &Desired, observed: &mut Observed, step: &Step) {
    let node = step
        .node
        .as_ref()
        .and_then(|name| observed.nodes.get_mut(name));
    match (&step.action, node) {
        (Action::WriteFiles { files, readers }, Some(node)) => {
            node.unrecorded.extend(readers.iter().cloned());
            node.recorded_otherwise
                .retain(|unit| !readers.contains(unit));
            for (path, _) in files {
                node.files.remove(path);
            }
        }
        (Action::Join(_), Some(node)) => {
            let setup = &desired.nodes[step.node.as_ref().unwrap()];
            node.unrecorded.extend(joining(setup));
            node.certificate = NodeCertificate::Valid;
        }
        (Action::DropServing(_), Some(node)) => {
            let setup = &desired.nodes[step.node.as_ref().unwrap()];
            node.unrecorded.extend(joining(setup));
            node.serving = NodeCertificate::Missing;
        }
        (Action::AwaitServing(_), Some(node)) => {
            let kubelet = node.units.get(&"kubelet.service".parse().unwrap()).unwrap();
            assert!(kubelet.is_up(), "nobody asks for it");
            assert!(
                !matches!(node.serving, NodeCertificate::Unusable(_)),
                "it is kept"
            );
            node.serving = NodeCertificate::Valid;
            let cluster = observed
                .cluster
                .as_mut()
                .expect("nothing is approved without an API");
            cluster.serving_requests.remove(step.node.as_ref().unwrap());
        }
        (Action::ReloadUnits, Some(node)) => {
            node.units
                .values_mut()
                .for_each(|state| state.needs_reload = false);
        }
        (Action::Enable(units), Some(node)) => {
            for unit in units {
                node.units.get_mut(unit).unwrap().file = "enabled".into();
            }
        }
        (Action::Start { unit, gate, .. }, Some(node)) => {
            assert!(
                *gate != Gate::Joined || node.joined(),
                "{unit} without a certificate"
            );
            node.units.get_mut(unit).unwrap().active = "active".into();
            node.unrecorded.remove(unit);
            node.recorded_otherwise.remove(unit);
        }
        (Action::Reload(unit), Some(node)) => {
            assert!(node.units[unit].is_up(), "{unit} is down");
            node.unrecorded.remove(unit);
            node.recorded_otherwise.remove(unit);
        }
        (Action::AwaitApi, Some(_)) => {
            observed
                .apis
                .insert(step.node.clone().unwrap(), Readiness::Ready);
            let missing = desired.objects.iter().chain([&desired.token_secret]);
            observed.cluster.get_or_insert_with(|| ClusterObserved {
                objects: missing
                    .map(|o| (o.key().clone(), ObjectDrift::Missing))
                    .collect(),
                ..ClusterObserved::default()
            });
        }
        (Action::AwaitPods, Some(_)) => {
            let cluster = observed.cluster.as_mut().expect("pods are seen in an API");
            cluster.outdated_pods.remove(step.node.as_ref().unwrap());
        }
        (Action::AwaitNode, Some(node)) => {
            assert!(node.joined(), "not Ready without a certificate");
            let cluster = observed
                .cluster
                .as_mut()
                .expect("no node is Ready without an API");
            cluster
                .ready_nodes
                .insert(step.node.clone().unwrap().to_string());
        }
        (Action::ApplyObjects(objects), None) => {
            let cluster = observed.cluster.as_mut().expect("objects need an API");
            objects
                .iter()
                .for_each(|(key, _)| _ = cluster.objects.remove(key));
        }
        (Action::AwaitDns, None) => observed.cluster.as_mut().unwrap().dns_available = true,
        (action, _) => panic!("{action} at {:?}", step.node),
    }
}

/// The services that run with the node's certificate.
fn joining(setup: &NodeSetup) -> impl Iterator<Item = UnitName> {
    let services = setup.services.iter();
    let joining = services.filter(|service| service.gate == Gate::Joined);
    joining.map(|service| service.unit.clone())
}

fn converge(desired: &Desired, observed: &mut Observed) {
    for step in &plan(desired, observed).steps {
        apply(desired, observed, step);
    }
}

fn word<T: Clone + std::fmt::Debug + 'static>(words: &[T]) -> impl Strategy<Value = T> + use<T> {
    prop::sample::select(words.to_vec())
}

/// Spoils a converged cluster in one way.
fn spoil(desired: &Desired, observed: &mut Observed, how: u8, which: usize, drift: Drift) {
    let names: Vec<_> = desired.nodes.keys().cloned().collect();
    let name = &names[which % names.len()];
    let setup = &desired.nodes[name];
    let unit = setup.units()[which % setup.services.len()].clone();
    let node = observed.nodes.get_mut(name).unwrap();
    match how {
        0 => drop(
            node.files
                .insert(setup.files[which % setup.files.len()].path.clone(), drift),
        ),
        1 => _ = node.unrecorded.insert(unit),
        2 => "failed".clone_into(&mut node.units.get_mut(&unit).unwrap().active),
        3 => node.units.get_mut(&unit).unwrap().needs_reload = true,
        4 => "disabled".clone_into(&mut node.units.get_mut(&unit).unwrap().file),
        5 => node.certificate = NodeCertificate::Unusable("expired".into()),
        8 => node.serving = NodeCertificate::Unusable("expired".into()),
        9 => {
            let cluster = observed.cluster.get_or_insert_default();
            cluster.serving_requests.insert(name.clone());
        }
        6 => {
            observed.apis.clear();
            observed.cluster = None;
        }
        _ => {
            let key = desired.objects[which % desired.objects.len()].key().clone();
            let cluster = observed.cluster.get_or_insert_default();
            cluster.objects.insert(key, ObjectDrift::Differs);
        }
    }
}

#[test]
fn a_fresh_cluster_needs_one_run() {
    let desired = cluster::desired("1.37.2");
    let mut observed = fresh(&desired);
    converge(&desired, &mut observed);
    assert_eq!(plan(&desired, &observed), Plan::default());
}

#[test]
fn a_changed_file_restarts_its_readers_only() {
    let desired = cluster::desired("1.37.2");
    let mut observed = fresh(&desired);
    converge(&desired, &mut observed);
    for (file, readers) in [
        (
            "/etc/kubernetes/pki/sa.key",
            &["kube-apiserver", "kube-controller-manager"][..],
        ),
        ("/var/lib/kubelet/config.yaml", &["kubelet"]),
        ("/etc/cni/net.d/10-pods.conflist", &[]),
        // Read again by itself, by whoever has it.
        ("/etc/kubernetes/pki/apiserver.crt", &[]),
        ("/etc/kubernetes/pki/apiserver-etcd-client.key", &[]),
        ("/etc/kubernetes/pki/front-proxy-ca.crt", &[]),
        ("/etc/kubernetes/pki/etcd/ca.crt", &["kube-apiserver"]),
        (
            "/etc/kubernetes/pki/ca.crt",
            &["kube-apiserver", "kube-controller-manager"],
        ),
        (
            "/etc/systemd/system/kube-scheduler.service",
            &["kube-scheduler"],
        ),
    ] {
        let mut observed = observed.clone();
        let node = observed.nodes.get_mut(&"cp-0".parse().unwrap()).unwrap();
        node.files.insert(file.into(), Drift::Contents);
        let steps = plan(&desired, &observed).steps;
        let started: Vec<String> = steps
            .iter()
            .filter_map(|step| match &step.action {
                Action::Start {
                    unit, anew: true, ..
                } => Some(unit.to_string()),
                Action::Start { .. } => panic!("{file}: {:?}", step),
                _ => None,
            })
            .collect();
        let expected: Vec<String> = readers
            .iter()
            .map(|name| format!("{name}.service"))
            .collect();
        assert_eq!(started, expected, "{file}");
        assert!(
            steps
                .iter()
                .all(|step| step.node.as_ref().is_some_and(|n| n.as_str() == "cp-0"))
        );
    }
}

/// The kubelet replaces a static pod when it sees fit, so the plan has the wait; a pod that is still the old one is
/// waited for by the next run too.
#[test]
fn static_pods_are_waited_for_until_they_are_new() {
    let desired = cluster::static_pods("1.37.2");
    let mut observed = fresh(&desired);
    converge(&desired, &mut observed);
    assert_eq!(plan(&desired, &observed), Plan::default());
    let name = "cp-0".parse().unwrap();
    let sa: &Path = "/etc/kubernetes/pki/sa.pub".as_ref();
    let manifests = desired.manifests_reading(&name, &[sa].into());
    let manifest: &Path = "/etc/kubernetes/manifests/kube-apiserver.yaml".as_ref();
    assert_eq!(manifests, [manifest]);
    let mut changed = observed.clone();
    let node = changed.nodes.get_mut(&name).unwrap();
    node.files.insert(manifest.into(), Drift::Contents);
    assert_eq!(
        plan(&desired, &changed).to_string(),
        format!(
            "cp-0: write {} (differs)\ncp-0: wait until its static pods are new\n",
            manifest.display()
        )
    );
    let cluster = observed.cluster.as_mut().unwrap();
    cluster.outdated_pods.insert(name);
    assert_eq!(
        plan(&desired, &observed).to_string(),
        "cp-0: wait until its static pods are new\n"
    );
    // Services have no manifests.
    let services = cluster::desired("1.37.2");
    let read = services.manifests_reading(&"cp-0".parse().unwrap(), &[sa].into());
    assert!(read.is_empty());
}

/// Clients of a node never meet a closed port for a changed authority. Where it is not known with which files and
/// arguments the balancer was started, a reload would not do.
#[test]
fn the_balancer_is_reloaded_for_a_changed_authority_and_restarted_for_more() {
    let spec = cluster::spec_of_three("1.37.2");
    let desired = Desired::new(spec, &cluster::material()).unwrap();
    let mut observed = fresh(&desired);
    converge(&desired, &mut observed);
    let name = "worker-0".parse().unwrap();
    let unit: UnitName = "api-balancer.service".parse().unwrap();
    let steps = |known: bool, file: &str| {
        let mut observed = observed.clone();
        let node = observed.nodes.get_mut(&name).unwrap();
        node.files.insert(file.into(), Drift::Contents);
        node.unrecorded.insert(unit.clone());
        if known {
            node.recorded_otherwise.insert(unit.clone());
        }
        plan(&desired, &observed).to_string()
    };
    let ca = "/etc/kubernetes/pki/ca.crt";
    let write = format!("worker-0: write {ca} (differs)\n");
    let reloaded = format!("{write}worker-0: reload {unit}\n");
    let restarted = format!("{write}worker-0: restart {unit} at once\n");
    assert_eq!(steps(true, ca), reloaded);
    assert_eq!(steps(false, ca), restarted);
    // Another unit that changes with it, as while an authority is rotated, changes nothing for this one.
    let mut rotated = observed.clone();
    let node = rotated.nodes.get_mut(&"cp-0".parse().unwrap()).unwrap();
    for file in [ca, "/etc/systemd/system/kube-controller-manager.service"] {
        node.files.insert(file.into(), Drift::Contents);
    }
    node.unrecorded.insert(unit.clone());
    node.recorded_otherwise.insert(unit.clone());
    let rotated = plan(&desired, &rotated).to_string();
    assert!(
        rotated.contains(&format!("cp-0: reload {unit}\n")),
        "{rotated}"
    );
    let unit_file = "/etc/systemd/system/api-balancer.service";
    assert!(steps(true, unit_file).contains(&format!("restart {unit}")));
}

/// It is had anew, the kubelet alone runs on with it, and the token is there for the time of the join.
#[test]
fn a_certificate_that_will_not_do_is_replaced() {
    let desired = cluster::desired("1.37.2");
    let mut observed = fresh(&desired);
    converge(&desired, &mut observed);
    let key = desired.token_secret.key().clone();
    let objects = &mut observed.cluster.as_mut().unwrap().objects;
    objects.insert(key, ObjectDrift::Missing);
    let name = "worker-0".parse().unwrap();
    let node = observed.nodes.get_mut(&name).unwrap();
    node.certificate = NodeCertificate::Unusable("it has expired".into());
    assert_eq!(
        plan(&desired, &observed).to_string(),
        "worker-0: join with a new client certificate (it has expired)\n\
         worker-0: restart kubelet.service when it has joined\n\
         worker-0: wait until it is Ready\n\
         cluster: apply Secret kube-system/bootstrap-token-abcdef (missing)\n"
    );
}

/// A kubelet keeps what it has until it expires, so what will not do is taken away first.
#[test]
fn a_serving_certificate_that_will_not_do_is_replaced() {
    let desired = cluster::desired("1.37.2");
    let mut observed = fresh(&desired);
    converge(&desired, &mut observed);
    let node = observed
        .nodes
        .get_mut(&"worker-0".parse().unwrap())
        .unwrap();
    node.serving = NodeCertificate::Unusable("it has expired".into());
    let cluster = observed.cluster.as_mut().unwrap();
    cluster.serving_requests.insert("cp-0".parse().unwrap());
    assert_eq!(
        plan(&desired, &observed).to_string(),
        "cp-0: approve its serving certificate (valid)\n\
         worker-0: remove its serving certificate (it has expired)\n\
         worker-0: restart kubelet.service when it has joined\n\
         worker-0: approve its serving certificate (it has expired)\n"
    );
}

#[test]
fn a_joined_cluster_does_not_want_its_token_back() {
    let desired = cluster::desired("1.37.2");
    let mut observed = fresh(&desired);
    converge(&desired, &mut observed);
    let key = desired.token_secret.key().clone();
    observed
        .cluster
        .as_mut()
        .unwrap()
        .objects
        .insert(key, ObjectDrift::Missing);
    assert!(plan(&desired, &observed).is_empty());
}

#[test]
fn waiting_changes_nothing() {
    let desired = cluster::desired("1.37.2");
    let mut observed = fresh(&desired);
    converge(&desired, &mut observed);
    assert!(plan(&desired, &observed).only_waits());
    let cluster = observed.cluster.as_mut().unwrap();
    cluster.dns_available = false;
    cluster.ready_nodes.remove("worker-0");
    let waits = plan(&desired, &observed);
    assert_eq!(waits.steps.len(), 2, "{waits}");
    assert!(waits.only_waits(), "{waits}");
    let key = desired.objects[0].key().clone();
    let cluster = observed.cluster.as_mut().unwrap();
    cluster.objects.insert(key, ObjectDrift::Differs);
    assert!(!plan(&desired, &observed).only_waits());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// Killed after any number of steps, the next run finishes, and the one after it finds nothing.
    #[test]
    fn a_killed_run_is_finished_by_the_next(kills in prop::collection::vec(0_usize..40, 0..4)) {
        let desired = cluster::desired("1.37.2");
        let mut observed = fresh(&desired);
        for kill in kills {
            for step in plan(&desired, &observed).steps.iter().take(kill) {
                apply(&desired, &mut observed, step);
            }
        }
        converge(&desired, &mut observed);
        prop_assert_eq!(plan(&desired, &observed), Plan::default());
    }

    /// Whatever somebody does to a running cluster, one run mends it, also when the run before was killed.
    #[test]
    fn one_run_mends_everything(
        spoils in prop::collection::vec(
            (0_u8..10, 0_usize..1000, word(&[Drift::Missing, Drift::Contents, Drift::Mode])), 1..6),
        kill in 0_usize..20,
    ) {
        let desired = cluster::desired("1.37.2");
        let mut observed = fresh(&desired);
        converge(&desired, &mut observed);
        for (how, which, drift) in spoils {
            spoil(&desired, &mut observed, how, which, drift);
        }
        prop_assert!(!plan(&desired, &observed).is_empty());
        for step in plan(&desired, &observed).steps.iter().take(kill) {
            apply(&desired, &mut observed, step);
        }
        converge(&desired, &mut observed);
        prop_assert_eq!(plan(&desired, &observed), Plan::default());
    }
}
