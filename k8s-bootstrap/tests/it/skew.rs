//! Which versions may run side by side, and the order of an upgrade, against the rules written down a second time.

use k8s_bootstrap::{
    EtcdVersion, Shape, SupportedVersion,
    skew::{
        ClusterVersions, ControlPlaneVersions, NodeVersions, RuntimeName, RuntimeVersion, Step,
        check, check_runtime, steps,
    },
};
use pki::KubernetesVersion;
use proptest::prelude::*;

fn version(minor: u16) -> KubernetesVersion {
    KubernetesVersion::new(1, minor, 3)
}

fn known(text: &str) -> SupportedVersion {
    text.parse().unwrap()
}

fn control_plane(minor: u16) -> Option<ControlPlaneVersions> {
    Some(ControlPlaneVersions {
        api_server: version(minor),
        controller_manager: version(minor),
        scheduler: version(minor),
    })
}

fn node(name: &str, control_plane: Option<ControlPlaneVersions>, minor: u16) -> NodeVersions {
    NodeVersions {
        name: name.parse().unwrap(),
        control_plane,
        kubelet: version(minor),
        kube_proxy: version(minor),
        runtime: None,
    }
}

/// Two control planes and a worker, all of one minor.
fn cluster(minor: u16) -> ClusterVersions {
    ClusterVersions {
        shape: Shape::Services,
        etcd: Some(EtcdVersion::new(3, 5, 35)),
        nodes: vec![
            node("cp-0", control_plane(minor), minor),
            node("cp-1", control_plane(minor), minor),
            node("worker-0", None, minor),
        ],
    }
}

/// The policy in other words: every pair of programs that may meet, one after the other.
fn allowed(cluster: &ClusterVersions) -> bool {
    let servers: Vec<u16> = cluster
        .nodes
        .iter()
        .filter_map(|node| Some(node.control_plane?.api_server.minor))
        .collect();
    let pairs = servers
        .iter()
        .flat_map(|a| servers.iter().map(move |b| (*a, *b)));
    let mut fine = !servers.is_empty() && pairs.clone().all(|(a, b)| a.abs_diff(b) <= 1);
    for node in &cluster.nodes {
        for server in &servers {
            for own in [node.kubelet.minor, node.kube_proxy.minor] {
                fine &= (0..=3).any(|older| own + older == *server);
            }
        }
        fine &= node.kubelet.minor.abs_diff(node.kube_proxy.minor) <= 3;
        if let Some(own) = node.control_plane {
            for client in [own.controller_manager.minor, own.scheduler.minor] {
                fine &= client == own.api_server.minor || client + 1 == own.api_server.minor;
            }
        }
        if let Some(runtime) = node.runtime {
            fine &= runtime.name == RuntimeName::Containerd || runtime.minor == node.kubelet.minor;
        }
    }
    fine
}

/// What a step does, in the parts in which it is done.
fn apply(cluster: &mut ClusterVersions, step: &Step, mut seen: impl FnMut(&ClusterVersions)) {
    let shape = cluster.shape;
    let of = |cluster: &mut ClusterVersions, name: &host_exec::HostName| {
        cluster.nodes.iter().position(|n| n.name == *name).unwrap()
    };
    match step {
        Step::Etcd { at_least } => cluster.etcd = Some(*at_least),
        Step::ControlPlane { node, to } => {
            let index = of(cluster, node);
            let own = |cluster: &mut ClusterVersions| cluster.nodes[index].control_plane.unwrap();
            let mut now = own(cluster);
            now.api_server = now.api_server.max(to.version());
            cluster.nodes[index].control_plane = Some(now);
            seen(cluster);
            now.controller_manager = now.controller_manager.max(to.version());
            cluster.nodes[index].control_plane = Some(now);
            seen(cluster);
            now.scheduler = now.scheduler.max(to.version());
            cluster.nodes[index].control_plane = Some(now);
        }
        Step::Objects { to } => {
            for index in 0..cluster.nodes.len() {
                if shape == Shape::StaticPods {
                    let own = &mut cluster.nodes[index].kube_proxy;
                    *own = to.version().max(*own);
                    seen(cluster);
                }
            }
        }
        Step::Node { node, to } => {
            let index = of(cluster, node);
            let own = &mut cluster.nodes[index];
            own.kubelet = to.version().max(own.kubelet);
            if let Some(runtime) = &mut own.runtime
                && runtime.name == RuntimeName::Crio
            {
                runtime.minor = own.kubelet.minor;
            }
            seen(cluster);
            if shape == Shape::Services {
                let own = &mut cluster.nodes[index].kube_proxy;
                *own = to.version().max(*own);
            }
        }
    }
    seen(cluster);
}

/// Any patch that an upgrade to [`version`] does not take back.
fn any_patch(minor: u16) -> impl Strategy<Value = KubernetesVersion> {
    (0_u16..=3).prop_map(move |patch| KubernetesVersion::new(1, minor, patch))
}

fn any_node(base: u16) -> impl Strategy<Value = NodeVersions> {
    // The last is too old for an API server one minor further.
    let minor = prop_oneof![12 => base - 2..=base, 1 => Just(base - 3)];
    let program = minor.prop_flat_map(any_patch);
    let runtime = prop::option::of(prop_oneof![
        Just(RuntimeName::Containerd),
        Just(RuntimeName::Crio)
    ]);
    (program.clone(), program, runtime).prop_map(|(kubelet, kube_proxy, runtime)| NodeVersions {
        name: "unnamed".parse().unwrap(),
        control_plane: None,
        kubelet,
        kube_proxy,
        runtime: runtime.map(|name| match name {
            RuntimeName::Containerd => RuntimeVersion::new(name, 2, 1),
            RuntimeName::Crio => RuntimeVersion::new(name, 1, kubelet.minor),
        }),
    })
}

/// Clusters around `base`: most of them within the rules, many not.
fn any_cluster() -> impl Strategy<Value = ClusterVersions> {
    (31_u16..=36).prop_flat_map(|base| {
        let minors = (base..=base + 1, 0_u16..=1, 0_u16..=1);
        let programs = minors.prop_flat_map(|(api, older, even)| {
            (
                any_patch(api),
                any_patch(api - older),
                any_patch(api - even),
            )
        });
        let server = programs.prop_map(|(api_server, controller_manager, scheduler)| {
            Some(ControlPlaneVersions {
                api_server,
                controller_manager,
                scheduler,
            })
        });
        let servers = prop::collection::vec((server, any_node(base)), 1..4);
        let workers = prop::collection::vec(any_node(base), 0..4);
        let shape = prop_oneof![Just(Shape::Services), Just(Shape::StaticPods)];
        (servers, workers, shape).prop_map(|(servers, workers, shape)| {
            let servers = servers
                .into_iter()
                .map(|(control_plane, node)| NodeVersions {
                    control_plane,
                    ..node
                });
            let nodes = servers
                .chain(workers)
                .enumerate()
                .map(|(index, node)| NodeVersions {
                    name: format!("node-{index}").parse().unwrap(),
                    ..node
                });
            ClusterVersions {
                shape,
                etcd: None,
                nodes: nodes.collect(),
            }
        })
    })
}

fn any_path() -> Vec<SupportedVersion> {
    (28..=37)
        .map(|minor| known(&format!("1.{minor}.3")))
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    /// Also of clusters that somebody has brought out of order.
    #[test]
    fn check_says_what_the_policy_says(
        mut cluster in any_cluster(), which in 0_usize..6, minor in 28_u16..=37, spoil in any::<bool>(),
    ) {
        if spoil {
            let index = which % cluster.nodes.len();
            let node = &mut cluster.nodes[index];
            match (which % 3, &mut node.control_plane) {
                (0, Some(own)) => own.api_server = version(minor),
                (1, Some(own)) => own.scheduler = version(minor),
                (2, _) => node.kube_proxy = version(minor),
                _ => node.kubelet = version(minor),
            }
        }
        prop_assert_eq!(check(&cluster).is_ok(), allowed(&cluster), "{:?}", check(&cluster));
    }

    /// Nobody has to have made sense of what machines say.
    #[test]
    fn no_version_makes_it_panic(
        numbers in prop::collection::vec((0_u16..3, prop_oneof![0_u16..99, Just(u16::MAX)], any::<u16>()), 8),
        to in prop_oneof![28_u16..99, Just(u16::MAX)],
    ) {
        let mut versions = numbers.into_iter().map(|(a, b, c)| KubernetesVersion::new(a, b, c));
        let mut next = || versions.next().unwrap();
        let mut cluster = cluster(36);
        for node in &mut cluster.nodes {
            (node.kubelet, node.kube_proxy) = (next(), version(36));
        }
        for node in cluster.nodes.iter_mut().take(2) {
            let (api_server, controller_manager) = (next(), next());
            node.control_plane = Some(ControlPlaneVersions { api_server, controller_manager, scheduler: version(36) });
        }
        let _ = check(&cluster);
        let _ = steps(&cluster, SupportedVersion::unsupported(version(to)).unwrap(), &any_path());
    }

    /// Whatever the start, no moment of an upgrade breaks a rule; its end is the goal; and killed anywhere, what is
    /// left is done by the next one.
    #[test]
    fn every_moment_of_an_upgrade_is_within_the_rules(
        mut start in any_cluster(), ahead in 0_u16..=3, kill in 0_usize..12,
    ) {
        let servers = start.nodes.iter().filter_map(|n| Some(n.control_plane?.api_server));
        let newest = SupportedVersion::new(servers.max().unwrap()).unwrap();
        start.etcd = Some(newest.etcd_floor());
        prop_assume!(check(&start).is_ok());
        let to = newest.version().minor + ahead;
        let to = known(&format!("1.{}.3", to.min(37)));
        let plan = steps(&start, to, &any_path()).unwrap();
        let mut now = start.clone();
        for step in &plan {
            apply(&mut now, step, |now| assert!(allowed(now), "{step}: {now:?}"));
            prop_assert_eq!(check(&now), Ok(()), "after {}", step);
        }
        for (program, own) in now.nodes.iter().flat_map(NodeVersions::programs) {
            prop_assert_eq!(own, to.version(), "{}", program);
        }
        prop_assert_eq!(steps(&now, to, &[]), Ok(Vec::new()));

        let mut killed = start;
        for step in plan.iter().take(kill) {
            apply(&mut killed, step, |_| {});
        }
        for step in &steps(&killed, to, &any_path()).unwrap() {
            apply(&mut killed, step, |now| assert!(allowed(now), "{step}: {now:?}"));
        }
        prop_assert_eq!(killed, now);
    }
}

#[test]
fn an_upgrade_reads_like_this() {
    let plan = steps(&cluster(33), known("1.35.5"), &[known("1.34.8")]).unwrap();
    let text: String = plan.iter().map(|step| format!("{step}\n")).collect();
    assert_eq!(
        text,
        "cp-0: upgrade kube-apiserver, then kube-controller-manager and kube-scheduler, to 1.34.8\n\
         cp-1: upgrade kube-apiserver, then kube-controller-manager and kube-scheduler, to 1.34.8\n\
         cluster: write the objects of 1.34.8\n\
         cp-0: drain, upgrade to 1.34.8, uncordon\n\
         cp-1: drain, upgrade to 1.34.8, uncordon\n\
         worker-0: drain, upgrade to 1.34.8, uncordon\n\
         cp-0: upgrade kube-apiserver, then kube-controller-manager and kube-scheduler, to 1.35.5\n\
         cp-1: upgrade kube-apiserver, then kube-controller-manager and kube-scheduler, to 1.35.5\n\
         cluster: write the objects of 1.35.5\n\
         cp-0: drain, upgrade to 1.35.5, uncordon\n\
         cp-1: drain, upgrade to 1.35.5, uncordon\n\
         worker-0: drain, upgrade to 1.35.5, uncordon\n"
    );
}

#[test]
fn etcd_comes_first_where_the_floor_asks_for_it() {
    let mut old = cluster(30);
    old.etcd = Some(EtcdVersion::new(3, 5, 9));
    let plan = steps(&old, known("1.31.0"), &[]).unwrap();
    assert_eq!(
        plan[0].to_string(),
        "etcd: upgrade every member to 3.5.11 or later"
    );
    let plan = steps(&old, known("1.31.14"), &[]).unwrap();
    assert_eq!(
        plan[0].to_string(),
        "etcd: upgrade every member to 3.5.24 or later"
    );
    let etcd = |step: &Step| matches!(step, Step::Etcd { .. });
    assert_eq!(plan.iter().filter(|step| etcd(step)).count(), 1);
    old.etcd = None;
    assert!(!steps(&old, known("1.31.0"), &[]).unwrap().iter().any(etcd));
}

/// Its API servers would leave it behind for good.
#[test]
fn a_node_that_lags_behind_is_fetched_first() {
    let mut lagging = cluster(33);
    lagging.nodes[2].kubelet = version(30);
    let plan = steps(&lagging, known("1.34.0"), &[]).unwrap();
    let first: Vec<String> = plan.iter().take(3).map(ToString::to_string).collect();
    assert_eq!(
        first,
        [
            "cluster: write the objects of 1.33.3",
            "worker-0: drain, upgrade to 1.33.3, uncordon",
            "cp-0: upgrade kube-apiserver, then kube-controller-manager and kube-scheduler, to 1.34.0",
        ]
    );
}

fn refused(running: &ClusterVersions, to: &str, via: &[&str]) -> String {
    let via: Vec<SupportedVersion> = via.iter().copied().map(known).collect();
    steps(running, known(to), &via).unwrap_err().to_string()
}

#[test]
fn what_cannot_be_upgraded_is_named() {
    let running = cluster(33);
    let cases = [
        (
            refused(&running, "1.32.1", &[]),
            "kube-apiserver of cp-0 is 1.33.3, newer than 1.32.1; Kubernetes cannot go back, so ask for 1.33.3 or later",
        ),
        (
            refused(&running, "1.33.2", &[]),
            "kube-apiserver of cp-0 is 1.33.3, newer than 1.33.2; Kubernetes cannot go back, so ask for 1.33.3 or later",
        ),
        (
            refused(&running, "1.37.2", &["1.34.0", "1.36.0"]),
            "going from 1.33.3 to 1.37.2 skips 1.35; name a version of 1.35 to stop at, or upgrade to it first",
        ),
    ];
    for (said, expected) in cases {
        assert_eq!(said, expected);
    }
}

fn broken(change: impl FnOnce(&mut ClusterVersions)) -> String {
    let mut cluster = cluster(34);
    change(&mut cluster);
    check(&cluster).unwrap_err().to_string()
}

fn runtime(name: RuntimeName, major: u16, minor: u16) -> Option<RuntimeVersion> {
    Some(RuntimeVersion::new(name, major, minor))
}

#[test]
fn broken_rules_are_named() {
    let cases = [
        (
            broken(|c| c.nodes.truncate(0)),
            "no node has an API server; name at least one control plane",
        ),
        (
            broken(|c| c.nodes[1].control_plane = control_plane(32)),
            "kube-apiserver of cp-0 is 1.34.3 and that of cp-1 is 1.32.3, but API servers may be one minor apart at \
             most; bring cp-1 up to it minor by minor",
        ),
        (
            broken(|c| c.nodes[2].kubelet = version(35)),
            "kubelet of worker-0 is 1.35.3, newer than kube-apiserver of cp-0, which is 1.34.3; upgrade every API \
             server first, or give worker-0 kubelet 1.34",
        ),
        (
            broken(|c| c.nodes[2].kube_proxy = version(30)),
            "kube-proxy of worker-0 is 1.30.3, too old for kube-apiserver of cp-1, which is 1.34.3: it may \
             be older by at most 3 in the minor; upgrade kube-proxy of worker-0 to 1.31 or later first",
        ),
        (
            broken(|c| c.nodes[0].control_plane.as_mut().unwrap().scheduler = version(32)),
            "kube-scheduler of cp-0 is 1.32.3, too old for kube-apiserver of cp-0, which is 1.34.3: it may \
             be older by at most 1 in the minor; upgrade kube-scheduler of cp-0 to 1.33 or later first",
        ),
        (
            broken(|c| c.etcd = Some(EtcdVersion::new(3, 5, 9))),
            "etcd is 3.5.9, but Kubernetes 1.34.3 needs 3.5.24 or later; upgrade etcd first",
        ),
        (
            broken(|c| c.nodes[2].runtime = runtime(RuntimeName::Crio, 1, 33)),
            "CRI-O of worker-0 is 1.33 and its kubelet 1.34.3, but CRI-O has to be of the same minor; install CRI-O \
             1.34",
        ),
        (
            broken(|c| c.nodes[2].runtime = runtime(RuntimeName::Containerd, 1, 5)),
            "containerd of worker-0 is 1.5, but a kubelet 1.34.3 needs 1.6 or later (CRI v1); install a newer \
             containerd",
        ),
    ];
    for (said, expected) in cases {
        assert_eq!(said, expected);
    }
}

#[test]
fn an_old_containerd_is_warned_of_from_1_35_on() {
    let node = "worker-0".parse().unwrap();
    let warning = |kubelet: &str, minor: (u16, u16)| {
        let runtime = RuntimeVersion::new(RuntimeName::Containerd, minor.0, minor.1);
        check_runtime(&node, known(kubelet), runtime)
            .unwrap()
            .map(|warning| warning.to_string())
    };
    assert_eq!(warning("1.34.8", (1, 7)), None);
    assert_eq!(warning("1.37.2", (2, 0)), None);
    assert_eq!(
        warning("1.35.0", (1, 7)).unwrap(),
        "containerd of worker-0 is 1.7, which cannot name its cgroup driver; kubelets from 1.38 on are to refuse \
         that, so plan for containerd 2.0 or later"
    );
}
