//! Plans: the networks of a lab, the whole lab as data, and host addresses in large numbers.

#![expect(clippy::unwrap_used, reason = "a bench that cannot go on must stop")]

use std::net::IpAddr;

use benches::reference_inputs;
use cluster_lab::Blueprint;
use criterion::{Criterion, Throughput};
use netplan::{Fit, HostFacts, HostPool, LabName, MachineCounts, Pool, Requirement, plan};

const SEGMENTS: usize = 100;

fn reference() -> Requirement {
    Requirement::new(LabName::new("bench").unwrap(), 0x5eed_cafe_f00d_beef)
}

/// As many machines as a plan takes; pods of /25, or the range would not reach for all nodes.
fn largest() -> Requirement {
    let mut requirement = reference();
    requirement.machines = MachineCounts {
        etcd: 20,
        control_planes: 20,
        workers: 205,
    };
    requirement.sizes.node_pods_v4 = 25;
    requirement
}

fn networks(criterion: &mut Criterion) {
    let facts = HostFacts::default();
    let mut group = criterion.benchmark_group("netplan::plan");
    for (name, requirement) in [
        ("5 machines, reference", reference()),
        ("245 machines, its limit", largest()),
    ] {
        let machines = requirement.machines;
        let machines = machines.etcd + machines.control_planes + machines.workers;
        group.throughput(Throughput::Elements(machines.into()));
        group.bench_function(name, |bencher| {
            bencher.iter(|| plan(&requirement, &facts, None).unwrap());
        });
        let lock = plan(&requirement, &facts, None).unwrap().lock();
        group.bench_function(format!("{name}, from its lock"), |bencher| {
            bencher.iter(|| plan(&requirement, &facts, Some(&lock)).unwrap());
        });
    }
    group.finish();
}

/// Networks, policy, machines, certificates wanted, programs: what `lab plan` and `lab up` begin with.
fn lab(criterion: &mut Criterion) {
    let (spec, facts, places) = reference_inputs();
    criterion.bench_function("cluster_lab::Blueprint::new, reference", |bencher| {
        bencher.iter(|| Blueprint::new(&spec, &facts, &places, None).unwrap());
    });
}

/// 100 segments and an address of each family for each machine: the part of a plan that grows.
/// Each machine is on one segment. `netplan::plan` itself ends at two networks.
fn addresses(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("addresses, 100 segments");
    for machines in [1_000, 100_000] {
        group.throughput(Throughput::Elements(machines as u64));
        group.bench_function(format!("{machines} machines"), |bencher| {
            bencher.iter_with_large_drop(|| place(machines / SEGMENTS));
        });
    }
    group.finish();
}

fn place(machines_per_segment: usize) -> Vec<(IpAddr, IpAddr)> {
    let mut segments_v4 = Pool::new("10.0.0.0/8".parse().unwrap());
    let mut segments_v6 = Pool::new("fd5c:1:2::/48".parse().unwrap());
    let mut all = Vec::new();
    for _ in 0..SEGMENTS {
        // 1,022 hosts, the smallest that takes 1,000.
        let mut v4 = HostPool::new(segments_v4.allocate(22, Fit::Lowest).unwrap());
        let mut v6 = HostPool::new(segments_v6.allocate(64, Fit::Lowest).unwrap());
        for _ in 0..machines_per_segment {
            let v4 = v4.allocate(Fit::Lowest).unwrap();
            all.push((v4, v6.allocate(Fit::Lowest).unwrap()));
        }
    }
    all
}

fn main() {
    let mut criterion = benches::settings();
    networks(&mut criterion);
    lab(&mut criterion);
    addresses(&mut criterion);
    criterion.final_summary();
}
