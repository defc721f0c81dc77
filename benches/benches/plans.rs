//! Plans: the networks of a lab, the whole lab as data, and host addresses in large numbers.

#![expect(clippy::unwrap_used, reason = "a bench that cannot go on must stop")]

use benches::reference_inputs;
use cluster_lab::Blueprint;
use criterion::{Criterion, Throughput};
use netplan::{
    ClassName, ClassSpec, HostFacts, KubernetesVersion, LabName, Lock, MachineCounts, NetworkName,
    NetworkSpec, Policy, Requirement, lint, plan, reachability,
};

const SEGMENTS: u32 = 100;

fn reference() -> Requirement {
    let lab = LabName::new("bench").unwrap();
    let version = KubernetesVersion::new(37);
    Requirement::reference(
        lab,
        0x5eed_cafe_f00d_beef,
        version,
        MachineCounts::default(),
    )
}

/// 100 segments, a class of machines on each; no cluster, so no pods.
fn segments(machines: u32) -> Requirement {
    let mut requirement = reference();
    requirement.kubernetes = None;
    let names = (0..SEGMENTS).map(|at| format!("n{at}"));
    let names: Vec<NetworkName> = names.map(|name| NetworkName::new(name).unwrap()).collect();
    let class = |name: &NetworkName| {
        let class = ClassName::new(format!("on-{name}")).unwrap();
        ClassSpec::new(class, machines / SEGMENTS, vec![name.clone()])
    };
    requirement.classes = names.iter().map(class).collect();
    requirement.networks = names.into_iter().map(NetworkSpec::new).collect();
    requirement
}

/// Plans, from nothing and from a lock, and what is said about them.
fn networks(criterion: &mut Criterion) {
    let facts = HostFacts::default();
    let mut group = criterion.benchmark_group("netplan::plan");
    group.sample_size(10);
    for (name, requirement, machines) in [
        ("5 machines, reference", reference(), 5),
        ("100 segments, 1,000 machines", segments(1_000), 1_000),
        ("100 segments, 10,000 machines", segments(10_000), 10_000),
        ("100 segments, 100,000 machines", segments(100_000), 100_000),
    ] {
        group.throughput(Throughput::Elements(machines));
        group.bench_function(name, |bencher| {
            bencher.iter_with_large_drop(|| plan(&requirement, &facts, None).unwrap());
        });
        let lock = plan(&requirement, &facts, None).unwrap().lock();
        group.bench_function(format!("{name}, from its lock"), |bencher| {
            bencher.iter_with_large_drop(|| plan(&requirement, &facts, Some(&lock)).unwrap());
        });
        let text = lock.to_text();
        group.bench_function(format!("{name}, its lock read"), |bencher| {
            bencher.iter_with_large_drop(|| Lock::from_text(&text).unwrap());
        });
    }
    group.finish();
}

/// What follows from a plan of the reference lab.
fn views(criterion: &mut Criterion) {
    let facts = HostFacts::default();
    let requirement = reference();
    let plan = plan(&requirement, &facts, None).unwrap();
    criterion.bench_function("lints, reference", |bencher| {
        bencher.iter(|| lint(&requirement, &plan, &facts));
    });
    criterion.bench_function("policy and its matrix, reference", |bencher| {
        bencher.iter(|| reachability(&plan, &Policy::standard(&plan)));
    });
}

/// Networks, policy, machines, certificates wanted, programs: what `lab plan` and `lab up` begin with.
fn lab(criterion: &mut Criterion) {
    let (spec, facts, places) = reference_inputs();
    criterion.bench_function("cluster_lab::Blueprint::new, reference", |bencher| {
        bencher.iter(|| Blueprint::new(&spec, &facts, &places, None, None).unwrap());
    });
}

fn main() {
    let mut criterion = benches::settings();
    networks(&mut criterion);
    views(&mut criterion);
    lab(&mut criterion);
    criterion.final_summary();
}
