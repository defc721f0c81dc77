//! The CIS benchmark over what this crate writes, without a machine: the facts are made from the desired state.

use crate::{cluster, hardened};
use host_exec::HostName;
use k8s_bootstrap::{
    ClusterSpec, Desired, Profile, Role,
    cis::{
        self, Benchmark, Duty, FileFacts, Finding, Machine, MachineFacts, Process, Program, Verdict,
    },
    component::{self, Component, Place},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

const PROGRAMS: [Program; 5] = [
    Program::ApiServer,
    Program::ControllerManager,
    Program::Scheduler,
    Program::Kubelet,
    Program::Proxy,
];

/// The flags whose files are looked into.
const DOCUMENTS: [&str; 3] = [
    "admission-control-config-file",
    "authentication-config",
    "config",
];

fn process(program: Program, component: &Component, desired: &Desired, node: &HostName) -> Process {
    let files = &desired.nodes[node].files;
    let mut process = Process::new(program, component.arguments.clone(), BTreeMap::new());
    for flag in DOCUMENTS {
        let path = process.flag(flag);
        let file = files
            .iter()
            .find(|file| path.as_deref() == file.path.to_str());
        if let Some(file) = file {
            let document = serde_norway::from_slice(file.contents.bytes()).unwrap();
            process.documents.insert(flag, document);
        }
    }
    process.encryption_providers = process
        .flag("encryption-provider-config")
        .map(|_| vec!["secretbox".to_owned(), "identity".to_owned()]);
    process
}

/// What a machine would show that is as it has to be, and root's.
fn facts(
    spec: &ClusterSpec,
    desired: &Desired,
    role: Role,
    node: &k8s_bootstrap::NodeSpec,
) -> MachineFacts {
    let place = Place {
        cluster: spec,
        node,
        role,
    };
    let components = component::all(place, "");
    let running = PROGRAMS.into_iter().filter_map(|program| {
        let own = components.iter().find(|one| one.name == program.as_str())?;
        Some((program, process(program, own, desired, &node.name)))
    });
    let files = desired.nodes[&node.name].files.iter().map(|file| {
        let facts = FileFacts {
            mode: file.mode.bits(),
            owner: "root:root".to_owned(),
            is_directory: false,
        };
        (file.path.clone(), facts)
    });
    MachineFacts {
        processes: running.collect(),
        files: files.collect(),
    }
}

fn machines(spec: &ClusterSpec, desired: &Desired) -> BTreeMap<HostName, Machine> {
    let machine = |(role, node)| {
        let duties = match role {
            Role::ControlPlane => BTreeSet::from([Duty::ControlPlane, Duty::Node]),
            Role::Worker => BTreeSet::from([Duty::Node]),
        };
        let node: &k8s_bootstrap::NodeSpec = node;
        let facts = facts(spec, desired, role, node);
        (node.name.clone(), Machine { duties, facts })
    };
    spec.nodes().map(machine).collect()
}

fn findings(version: &str, profile: Profile) -> Vec<Finding> {
    let mut spec = cluster::spec(version);
    spec.profile = profile;
    spec.images.registry = false;
    let desired = Desired::new(spec.clone(), &hardened::material()).unwrap();
    let benchmark = Benchmark::for_minor(spec.version.version().minor);
    cis::judge(
        benchmark,
        &cis::exceptions(&spec),
        &machines(&spec, &desired),
    )
}

fn numbers(findings: &[Finding], verdict: Verdict) -> BTreeSet<&'static str> {
    let findings = findings.iter().filter(|finding| finding.verdict == verdict);
    findings.map(|finding| finding.number).collect()
}

#[test]
fn a_hardened_cluster_fails_nothing_in_any_version() {
    for release in k8s_bootstrap::RELEASES {
        let findings = findings(&format!("1.{}.0", release.minor), Profile::Hardened);
        let failed: Vec<_> = findings
            .iter()
            .filter(|finding| finding.verdict == Verdict::Fail)
            .collect();
        assert!(failed.is_empty(), "1.{}: {failed:#?}", release.minor);
        let excepted = numbers(&findings, Verdict::Excepted);
        assert_eq!(excepted, ["1.2.11", "4.2.7"].into(), "1.{}", release.minor);
    }
}

#[test]
fn a_standard_cluster_fails_what_kubeadm_leaves_open() {
    let findings = findings("1.37.2", Profile::Standard);
    let automated: Vec<Finding> = findings.into_iter().filter(|one| one.automated).collect();
    let wanted = [
        "1.1.1", "1.1.3", "1.1.5", "1.2.15", "1.2.16", "1.2.17", "1.2.18", "1.2.19", "1.2.30",
        "1.3.2", "1.4.1", "4.1.1", "4.1.9",
    ];
    assert_eq!(numbers(&automated, Verdict::Fail), wanted.into());
}

#[test]
fn each_demand_of_the_profile_is_seen_when_it_is_taken_away() {
    let mut spec = cluster::spec("1.37.2");
    spec.profile = Profile::Hardened;
    spec.images.registry = false;
    let desired = Desired::new(spec.clone(), &hardened::material()).unwrap();
    let whole = machines(&spec, &desired);
    let failed = |machines: &BTreeMap<HostName, Machine>| {
        let findings = cis::judge(Benchmark::V1_12, &cis::exceptions(&spec), machines);
        numbers(&findings, Verdict::Fail)
    };
    let control_plane: HostName = "cp-0".parse().unwrap();
    for (program, flag, check) in [
        (Program::ApiServer, "profiling", "1.2.15"),
        (Program::ApiServer, "audit-log-path", "1.2.16"),
        (Program::ApiServer, "kubelet-certificate-authority", "1.2.5"),
        (Program::ApiServer, "tls-cipher-suites", "1.2.29"),
        (
            Program::ControllerManager,
            "terminated-pod-gc-threshold",
            "1.3.1",
        ),
        (Program::Scheduler, "profiling", "1.4.1"),
    ] {
        let mut machines = whole.clone();
        let facts = &mut machines.get_mut(&control_plane).unwrap().facts;
        let process = facts.processes.get_mut(&program).unwrap();
        let start = format!("--{flag}=");
        process
            .arguments
            .retain(|argument| !argument.starts_with(&start));
        assert_eq!(failed(&machines), [check].into(), "{program} {flag}");
    }
    for (path, check) in [
        ("/etc/systemd/system/kubelet.service", "4.1.1"),
        ("/var/lib/kubelet/config.yaml", "4.1.9"),
        ("/etc/kubernetes/pki/ca.key", "1.1.21"),
        ("/etc/cni/net.d/10-pods.conflist", "1.1.9"),
    ] {
        let mut machines = whole.clone();
        let facts = &mut machines.get_mut(&control_plane).unwrap().facts;
        facts.files.get_mut(Path::new(path)).unwrap().mode = 0o644;
        assert_eq!(failed(&machines), [check].into(), "{path}");
    }
    for (flag, pointer, check) in [
        ("authentication-config", "/anonymous/conditions", "1.2.1"),
        ("admission-control-config-file", "/plugins", "5.2.1"),
    ] {
        let mut machines = whole.clone();
        let facts = &mut machines.get_mut(&control_plane).unwrap().facts;
        let process = facts.processes.get_mut(&Program::ApiServer).unwrap();
        let document = process.documents.get_mut(flag).unwrap();
        *document.pointer_mut(pointer).unwrap() = serde_json::Value::Null;
        assert_eq!(failed(&machines), [check].into(), "{flag}");
    }
}

#[test]
fn a_machine_that_runs_nothing_fails_instead_of_passing() {
    let machine = Machine {
        duties: BTreeSet::from([Duty::ControlPlane, Duty::Node, Duty::Etcd]),
        facts: MachineFacts::default(),
    };
    let machines = BTreeMap::from([("cp-0".parse().unwrap(), machine)]);
    let exceptions = cis::exceptions(&cluster::spec("1.37.2"));
    let findings = cis::judge(Benchmark::V1_12, &exceptions, &machines);
    assert_eq!(numbers(&findings, Verdict::Pass), BTreeSet::new());
    assert_eq!(numbers(&findings, Verdict::Excepted), BTreeSet::new());
}

#[test]
fn editions_differ_by_the_checks_that_they_brought_and_dropped() {
    let of = |edition| -> BTreeSet<_> { cis::checks(edition).map(|check| check.number).collect() };
    let (old, middle, new) = (
        of(Benchmark::V1_10),
        of(Benchmark::V1_11),
        of(Benchmark::V1_12),
    );
    let added: Vec<_> = middle.difference(&old).copied().collect();
    assert_eq!(added, ["1.2.30", "4.2.14", "4.2.15"]);
    let dropped: Vec<_> = middle.difference(&new).copied().collect();
    assert_eq!(dropped, ["4.2.15"]);
    let count = cis::checks(Benchmark::V1_12).count();
    assert_eq!(count, new.len(), "a number is there twice");
}
