//! What every plan must keep, whatever was asked for. The fuzz targets include this file too, so
//! it knows the public API only.

use std::collections::BTreeSet;
use std::net::IpAddr;

use netplan::{
    Family, HostFacts, Lock, Machine, Net, Nets, Plan, PlanError, Requirement, Route, plan,
    reserved,
};

/// No two networks share an address, and no two machines an address, a MAC address or a port; each
/// machine has one way out; pods are where the routes say.
#[track_caller]
pub(crate) fn assert_sound(plan: &Plan) {
    assert_ranges(plan);
    assert_machines(plan);
    assert_pods(plan);
    let mut routes: BTreeSet<Net> = BTreeSet::new();
    assert!(
        plan.router_routes
            .iter()
            .all(|route| routes.insert(route.to))
    );
}

#[track_caller]
fn assert_ranges(plan: &Plan) {
    let networks = plan.networks.iter().map(|network| network.nets);
    let kubernetes = plan.kubernetes.iter();
    let ranges = kubernetes.flat_map(|own| [own.services.nets, own.pods]);
    let link = plan.link.iter().map(|link| link.nets);
    let all: Vec<Net> = networks
        .chain(ranges)
        .chain(link)
        .flat_map(Nets::iter)
        .collect();
    assert_disjoint(&all);
    for net in all {
        let supernet = plan.supernet.of(net.family());
        assert!(
            supernet.is_some_and(|all| all.covers(net)),
            "{net} is outside"
        );
    }
    let names = plan.networks.iter().map(|network| &network.bridge);
    assert_unique(names.map(|name| name.as_str()));
}

#[track_caller]
fn assert_machines(plan: &Plan) {
    let gateways = plan.networks.iter().flat_map(|own| own.gateway.iter());
    let mut addresses: BTreeSet<IpAddr> = gateways.collect();
    let nics = || plan.machines.iter().flat_map(|machine| &machine.nics);
    assert_unique(nics().map(|nic| nic.mac));
    assert_unique(nics().map(|nic| nic.port.as_str()));
    assert_unique(plan.machines.iter().map(|machine| &machine.name));
    for machine in &plan.machines {
        let ways_out = machine.nics.iter().filter(|nic| nic.default_route);
        assert_eq!(ways_out.count(), 1, "{}", machine.name);
    }
    for nic in nics() {
        assert_eq!(nic.mac.octets()[0], 2, "locally administered, unicast");
        assert!(nic.port.as_str().len() <= 15 && nic.name.as_str().len() <= 15);
        let nets = plan.network_of(nic).nets;
        assert_eq!(nic.address.iter().count(), nets.iter().count());
        for address in nic.address.iter() {
            let net = nets.of(Family::of(address)).expect("a network of it");
            assert!(net.contains(address), "{address} is not in {net}");
            let mut refused = reserved(net).into_iter();
            assert!(!refused.any(|reserved| reserved.net.contains(address)));
            assert!(addresses.insert(address), "{address} twice");
        }
    }
}

#[track_caller]
fn assert_pods(plan: &Plan) {
    let all = plan.machines.iter().filter_map(|machine| machine.pods);
    let all: Vec<Net> = all.flat_map(Nets::iter).collect();
    assert_disjoint(&all);
    let Some(kubernetes) = &plan.kubernetes else {
        assert!(all.is_empty());
        return;
    };
    for net in all {
        let pods = kubernetes.pods.of(net.family());
        assert!(
            pods.is_some_and(|pods| pods.covers(net)),
            "{net} is outside"
        );
    }
    let nodes: Vec<&Machine> = plan
        .machines
        .iter()
        .filter(|machine| machine.role.is_node())
        .collect();
    assert!(nodes.iter().all(|node| node.pods.is_some()));
    if let Some(node) = nodes.first() {
        let routes: Vec<Route> = plan.routes_of(node);
        let own: Vec<Net> = node.pods.into_iter().flat_map(Nets::iter).collect();
        assert_eq!(routes.len(), own.len() * (nodes.len() - 1));
        assert!(routes.iter().all(|route| !own.contains(&route.to)));
    }
}

#[track_caller]
fn assert_disjoint(nets: &[Net]) {
    // A network sorts directly before what it covers.
    let mut nets = nets.to_vec();
    nets.sort_unstable();
    for pair in nets.windows(2) {
        assert!(!pair[0].overlaps(pair[1]), "{} on {}", pair[0], pair[1]);
    }
}

#[track_caller]
fn assert_unique<T: Ord + std::fmt::Debug>(all: impl Iterator<Item = T>) {
    let mut all: Vec<T> = all.collect();
    all.sort_unstable();
    for pair in all.windows(2) {
        assert_ne!(pair[0], pair[1], "twice");
    }
}

/// The lock of a plan as text and back gives the same lock and, with the same requirement, the
/// same plan.
#[track_caller]
pub(crate) fn assert_repeats(requirement: &Requirement, facts: &HostFacts, first: &Plan) {
    let lock = first.lock();
    let text = lock.to_text();
    let read = Lock::from_text(&text).expect("its own text");
    assert_eq!(read, lock);
    assert_eq!(read.to_text(), text);
    let again = plan(requirement, facts, Some(&read)).expect("a plan from its own lock");
    assert_eq!(&again, first);
}

/// Any text is a lock, written in one way only, or an error.
pub(crate) fn try_lock(text: &str) {
    if let Ok(lock) = Lock::from_text(text) {
        assert_eq!(lock.to_text(), text);
    }
}

/// A lock of these lines, sorted and with their checksums: what follows those is then reached.
pub(crate) fn lock_of_lines(lines: &str) -> String {
    let mut lines: Vec<String> = lines
        .lines()
        .map(|line| format!("{line} #{:08x}", checksum(line) >> 32))
        .collect();
    lines.sort_unstable();
    format!("netplan lock, version 2\n{}\nend\n", lines.join("\n"))
}

/// A lock of these lines is an error, or gives a sound plan or an error.
pub(crate) fn try_lock_lines(lines: &str, asked: &Requirement) {
    let text = lock_of_lines(lines);
    try_lock(&text);
    if let Ok(lock) = Lock::from_text(&text)
        && let Ok(plan) = plan(asked, &HostFacts::default(), Some(&lock))
    {
        assert_sound(&plan);
        assert_repeats(asked, &HostFacts::default(), &plan);
    }
}

/// FNV-1a, 64 bits, as the lock's text has it.
fn checksum(line: &str) -> u64 {
    line.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

/// Any text is a requirement in TOML, or an error. More than 200 machines only make it slow.
pub(crate) fn try_spec(text: &str) {
    if let Ok(requirement) = toml::from_str::<Requirement>(text) {
        let counts = requirement.classes.iter().map(|own| u64::from(own.count));
        if counts.sum::<u64>() <= 200 {
            try_requirement(&requirement, &HostFacts::default());
        }
    }
}

/// Requirements one after the other, each with the lock of the last one that could be planned.
/// No lock that a plan made contradicts itself.
pub(crate) fn try_in_a_row(all: &[Requirement]) {
    let facts = HostFacts::default();
    let mut lock: Option<Lock> = None;
    for asked in all {
        match plan(asked, &facts, lock.as_ref()) {
            Ok(plan) => {
                assert_sound(&plan);
                assert_repeats(asked, &facts, &plan);
                lock = Some(plan.lock());
            }
            Err(error @ PlanError::BadLock { .. }) => panic!("{error}"),
            Err(_) => {}
        }
    }
}

/// Any requirement has a sound plan that repeats itself, or an error.
pub(crate) fn try_requirement(requirement: &Requirement, facts: &HostFacts) {
    if let Ok(plan) = plan(requirement, facts, None) {
        assert_sound(&plan);
        assert_repeats(requirement, facts, &plan);
    }
}
