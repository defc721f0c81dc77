//! The lock: its text, and what it keeps in place.

use std::fs;
use std::process::Command;

use netplan::{
    ClassName, ClassSpec, Family, HostFacts, Lock, LockError, NetworkName, NetworkSpec, Plan,
    PlanError, Requirement, plan,
};
use proptest::prelude::*;

use crate::sound::assert_sound;
use crate::{net, planned, requirement};

fn replanned(requirement: &Requirement, lock: &Lock) -> Plan {
    plan(requirement, &HostFacts::default(), Some(lock)).expect("a plan")
}

fn network(name: &str) -> NetworkName {
    NetworkName::new(name).expect("a name")
}

fn class(name: &str) -> ClassName {
    ClassName::new(name).expect("a name")
}

/// One network of 8 machines; nothing is explicit.
fn plain() -> Requirement {
    Requirement {
        networks: vec![NetworkSpec::new(network("front"))],
        classes: vec![ClassSpec::new(class("web"), 4, vec![network("front")])],
        kubernetes: None,
        ..requirement(1, 1, 1)
    }
}

#[track_caller]
fn assert_same_machine(before: &Plan, after: &Plan, old: &str, new: &str) {
    let (old, new) = (before.machine(old), after.machine(new));
    let (old, new) = (old.expect("was there"), new.expect("is there"));
    let facts = |nics: &[netplan::Nic]| -> Vec<_> {
        nics.iter().map(|nic| (nic.mac, nic.address)).collect()
    };
    assert_eq!(facts(&old.nics), facts(&new.nics));
    assert_eq!(old.pods, new.pods);
}

#[test]
fn the_lock_names_each_allocation() {
    let plan = planned(&requirement(3, 1, 1));
    let lock = plan.lock();
    assert_eq!((lock.lab().as_str(), lock.seed()), ("lab", plan.seed));
    assert_eq!(lock.net("network/nothing", Family::V4), None);
    let link = lock.net("range/link", Family::V4);
    assert_eq!(link.map(|net| net.prefix_len()), Some(30));
    let worker = plan.machine("worker-0").and_then(|own| own.address("kube"));
    let id = "address/kube/worker-0";
    let locked = |family| lock.net(id, family).map(|net| net.address());
    for family in Family::BOTH {
        assert_eq!(locked(family), worker.and_then(|both| both.of(family)));
    }
    assert_eq!(lock.class("etcd").map(|class| class.band.first), Some(10));
    assert_eq!(lock.gone().count(), 0);
}

#[test]
fn sorted_lines_are_the_only_way_to_write_a_lock() {
    let text = planned(&requirement(3, 2, 4)).lock().to_text();
    let lines: Vec<&str> = text.lines().collect();
    let between = &lines[1..lines.len() - 1];
    assert!(between.is_sorted());
    for at in 1..between.len() {
        let mut swapped = lines.clone();
        swapped.swap(at, at + 1);
        let error = Lock::from_text(&format!("{}\n", swapped.join("\n"))).expect_err("swapped");
        assert!(matches!(error, LockError::Order { .. }), "{error}");
    }
}

#[test]
fn every_changed_byte_is_found() {
    let text = planned(&requirement(1, 1, 1)).lock().to_text();
    for at in 0..text.len() {
        let mut bytes = text.clone().into_bytes();
        bytes[at] ^= 1;
        let changed = String::from_utf8(bytes).expect("ASCII");
        Lock::from_text(&changed).expect_err("a changed byte");
    }
}

/// What the lock says holds, whatever the host shows: it may be the lab's own route. Its seed
/// counts too.
#[test]
fn the_lock_comes_before_seed_and_host() {
    let asked = requirement(3, 1, 1);
    let first = planned(&asked);
    let occupied = first.supernet.iter().map(|net| netplan::Occupied {
        net,
        by: "route via lab".to_owned(),
    });
    let facts = HostFacts {
        occupied: occupied.collect(),
        ..HostFacts::default()
    };
    let other_seed = Requirement { seed: 1, ..asked };
    let kept = plan(&other_seed, &facts, Some(&first.lock())).expect("a plan");
    assert_eq!(kept, first);
}

#[test]
fn a_network_grows_where_it_is() {
    let mut asked = plain();
    asked.classes[0].room = Some(8);
    let first = planned(&asked);
    asked.classes[0].room = Some(32);
    let second = replanned(&asked, &first.lock());
    assert_sound(&second);
    let nets = |plan: &Plan| plan.network("front").and_then(|front| front.nets.v4);
    let (before, after) = (nets(&first).expect("IPv4"), nets(&second).expect("IPv4"));
    assert_eq!((before.prefix_len(), after.prefix_len()), (27, 26));
    assert_eq!(before.address(), after.address());
    for machine in &first.machines {
        let name = machine.name.as_str();
        assert_same_machine(&first, &second, name, name);
    }
    // It never shrinks again.
    asked.classes[0].room = Some(8);
    assert_eq!(nets(&replanned(&asked, &second.lock())), Some(after));
}

/// The block behind a network stays free for its growth until nothing else is left.
#[test]
fn room_to_grow_is_given_up_last() {
    let mut asked = plain();
    asked.router = netplan::RouterSpec::Host {
        uplink: netplan::InterfaceName::new("eth0").expect("a name"),
    };
    asked.v4 = Some(net("10.77.0.0/24"));
    asked.networks[0].families = netplan::Families::V4;
    // A /24 holds eight /27, four of them with the block behind free.
    for count in 2..=8 {
        let name = network(&format!("n{count}"));
        asked.networks.push(NetworkSpec {
            families: netplan::Families::V4,
            ..NetworkSpec::new(name.clone())
        });
        let class = class(&format!("c{count}"));
        asked.classes.push(ClassSpec::new(class, 4, vec![name]));
        let planned = planned(&asked);
        let nets: Vec<_> = planned
            .networks
            .iter()
            .filter_map(|own| own.nets.v4)
            .collect();
        let alone = nets.iter().filter(|one| {
            let twice = netplan::Net::containing(one.address(), 26).expect("a length");
            nets.iter().filter(|other| twice.covers(**other)).count() == 1
        });
        let expected = if count <= 4 { count } else { 8 - count };
        assert_eq!(alone.count(), expected, "{nets:?}");
    }
}

#[test]
fn a_machine_that_comes_back_has_its_old_address() {
    let mut asked = plain();
    asked.classes[0].count = 4;
    asked.classes[0].room = Some(8);
    let first = planned(&asked);
    asked.classes[0].count = 2;
    let second = replanned(&asked, &first.lock());
    let gone: Vec<String> = second.lock().gone().map(|(id, _)| id.to_owned()).collect();
    assert_eq!(gone.len(), 4, "two machines, two families: {gone:?}");
    // Another class comes in between, with the same host numbers.
    let mut db = ClassSpec::new(class("db"), 6, vec![network("front")]);
    db.first = Some(16);
    db.room = Some(10);
    asked.classes[0].first = Some(40);
    asked.classes.push(db);
    let third = replanned(&asked, &second.lock());
    assert_sound(&third);
    asked.classes[0].count = 4;
    let fourth = replanned(&asked, &third.lock());
    for name in ["web-0", "web-1", "web-2", "web-3"] {
        let address = |plan: &Plan| plan.machine(name).and_then(|own| own.address("front"));
        assert_eq!(address(&first), address(&fourth), "{name}");
    }
    assert_eq!(fourth.lock().gone().count(), 0);
}

#[test]
fn an_address_that_is_gone_is_given_away_when_there_is_no_other() {
    let mut asked = plain();
    asked.classes[0].count = 8;
    asked.classes[0].room = Some(8);
    asked.classes[0].first = Some(16);
    let first = planned(&asked);
    asked.classes.clear();
    let second = replanned(&asked, &first.lock());
    assert_eq!(second.lock().gone().count(), 16);
    let mut db = ClassSpec::new(class("db"), 2, vec![network("front")]);
    (db.first, db.room) = (Some(16), Some(8));
    asked.classes.push(db);
    let third = replanned(&asked, &second.lock());
    assert_sound(&third);
    assert_eq!(third.lock().gone().count(), 12, "two were given away");
    let mut lock = second.lock();
    lock.forget_gone();
    assert_eq!(replanned(&asked, &lock).lock().gone().count(), 0);
}

#[test]
fn a_network_that_comes_back_is_where_it_was() {
    let mut asked = plain();
    asked.networks.push(NetworkSpec::new(network("store")));
    let db = ClassSpec::new(class("db"), 2, vec![network("store"), network("front")]);
    asked.classes.push(db);
    let first = planned(&asked);
    let mut without = asked.clone();
    without.networks.pop();
    without.classes[1].networks.remove(0);
    let second = replanned(&without, &first.lock());
    assert!(
        second
            .lock()
            .gone()
            .any(|(id, _)| id == "address/store/db-0")
    );
    assert_eq!(replanned(&asked, &second.lock()), first);
    // Where it cannot be again, it is placed anew; nobody is on it now.
    let front = first.network("front").and_then(|own| own.nets.v4);
    let supernet = first.supernet.v4.expect("IPv4");
    let elsewhere = (0..16)
        .filter_map(|at| supernet.nth(at << 12))
        .filter_map(|address| netplan::Net::new(address, 24).ok())
        .find(|net| front.is_some_and(|front| !net.overlaps(front)));
    asked.networks[1].v4 = elsewhere;
    let moved = replanned(&asked, &second.lock());
    assert_sound(&moved);
    assert_eq!(
        moved.network("store").and_then(|own| own.nets.v4),
        elsewhere
    );
}

#[test]
fn renaming_moves_nobody() {
    let asked = requirement(3, 2, 2);
    let first = planned(&asked);
    let mut renamed = asked.clone();
    renamed.networks[0].name = network("members");
    renamed.networks[0].renamed_from = Some(network("etcd"));
    renamed.classes[2].name = class("node");
    renamed.classes[2].renamed_from = Some(class("worker"));
    for class in &mut renamed.classes {
        for name in &mut class.networks {
            if name.as_str() == "etcd" {
                *name = network("members");
            }
        }
    }
    let second = replanned(&renamed, &first.lock());
    assert_sound(&second);
    assert_eq!(second.lock().gone().count(), 0);
    let nets = |plan: &Plan| -> Vec<_> { plan.networks.iter().map(|own| own.nets).collect() };
    assert_eq!(nets(&first), nets(&second));
    for machine in &first.machines {
        let old = machine.name.as_str();
        assert_same_machine(&first, &second, old, &old.replace("worker", "node"));
    }
    // The old name stays in the requirement until somebody removes it, and does nothing more.
    assert_eq!(replanned(&renamed, &second.lock()), second);
    // Nor does it take anything from a new bearer of the old name.
    renamed.networks.push(NetworkSpec::new(network("etcd")));
    let third = replanned(&renamed, &second.lock());
    assert_eq!(third.network("members"), second.network("members"));
    assert_sound(&third);
}

/// A class whose band had to move leaves its machines behind, and the numbers there are theirs.
#[test]
fn a_new_class_keeps_off_the_machines_of_a_class_that_grew() {
    let mut asked = plain();
    asked.classes[0].count = 8;
    asked.classes[0].room = Some(8);
    let mut db = ClassSpec::new(class("db"), 8, vec![network("front")]);
    db.room = Some(8);
    asked.classes.push(db);
    let first = planned(&asked);
    let bands = |plan: &Plan| -> Vec<_> {
        let classes = plan.classes.iter();
        classes.map(|own| (own.band.first, own.band.room)).collect()
    };
    assert_eq!(bands(&first), [(24, 8), (16, 8)]);
    asked.classes[1].count = 10;
    asked.classes[1].room = Some(16);
    let second = replanned(&asked, &first.lock());
    assert_eq!(bands(&second), [(24, 8), (32, 16)], "web does not move");
    let mut new = ClassSpec::new(class("cache"), 8, vec![network("front")]);
    new.room = Some(8);
    asked.classes.push(new);
    let third = replanned(&asked, &second.lock());
    assert_sound(&third);
    assert_eq!(bands(&third)[2], (48, 8));
    for machine in &second.machines {
        let name = machine.name.as_str();
        assert_same_machine(&second, &third, name, name);
    }
}

#[test]
fn contradictions_of_the_lock_are_refused() {
    let asked = requirement(3, 1, 1);
    let first = planned(&asked);
    let field_of = |edit: &dyn Fn(&mut Requirement)| {
        let mut changed = asked.clone();
        edit(&mut changed);
        match plan(&changed, &HostFacts::default(), Some(&first.lock())) {
            Err(PlanError::Locked { field, .. }) => field,
            other => panic!("{other:?}"),
        }
    };
    fn kubernetes(changed: &mut Requirement) -> &mut netplan::KubernetesSpec {
        changed.kubernetes.as_mut().expect("a cluster")
    }
    assert_eq!(field_of(&|own| own.v4 = Some(net("10.77.0.0/16"))), "v4");
    assert_eq!(field_of(&|own| own.v6 = Some(net("fd5c::/48"))), "v6");
    let elsewhere = |own: &mut Requirement| own.networks[1].v4 = Some(net("10.44.9.0/24"));
    assert_eq!(field_of(&elsewhere), "networks.kube.v4");
    let nodes = |own: &mut Requirement| kubernetes(own).nodes = 256;
    assert_eq!(field_of(&nodes), "kubernetes.nodes");
    let services = |own: &mut Requirement| kubernetes(own).sizes.services_v6 = Some(110);
    assert_eq!(field_of(&services), "kubernetes.sizes.services_v6");
    let pods = |own: &mut Requirement| {
        kubernetes(own).sizes.pods_v4 = Some(17);
        kubernetes(own).sizes.node_pods_v4 = Some(25);
    };
    assert_eq!(field_of(&pods), "kubernetes.sizes.node_pods_v4");
}

/// Two people edit one lock; git puts the edits together, and the result is the lock of both.
#[test]
#[ignore = "needs git"]
#[expect(
    clippy::disallowed_methods,
    reason = "this crate is below host-exec, and this is a test of a text"
)]
fn two_edits_merge_as_text() {
    let base = planned(&requirement(3, 1, 1)).lock();
    let ours = replanned(&requirement(4, 1, 1), &base).lock();
    let theirs = replanned(&requirement(3, 1, 3), &base).lock();
    let folder = std::env::temp_dir().join(format!("netplan-merge-{}", std::process::id()));
    fs::create_dir_all(&folder).expect("a folder");
    let path = |name: &str| folder.join(name);
    for (name, lock) in [("ours", &ours), ("base", &base), ("theirs", &theirs)] {
        fs::write(path(name), lock.to_text()).expect("a file");
    }
    let merged = Command::new("git")
        .args(["merge-file", "-p"])
        .args([path("ours"), path("base"), path("theirs")])
        .output()
        .expect("git");
    fs::remove_dir_all(&folder).expect("the folder of before");
    assert!(merged.status.success(), "a conflict");
    let text = String::from_utf8(merged.stdout).expect("text");
    let lock = Lock::from_text(&text).expect("a lock");
    let both = requirement(4, 1, 3);
    let planned = replanned(&both, &lock);
    assert_sound(&planned);
    assert_eq!(planned.lock(), lock);
    for (own, other) in [(&ours, &lock), (&theirs, &lock)] {
        assert!(
            own.nets()
                .all(|(id, net)| other.net(id, net.family()) == Some(net))
        );
    }
}

proptest! {
    #[test]
    fn no_text_panics(
        text in "(netplan lock, version 2\n)?((lab [a-z-]{0,3}|seed [0-9a-f]{15,17}|[a-z/0-9]{1,9} 10.0.0.0/8)( #[0-9a-f]{8})?\n){0,3}\\PC{0,30}\n?(end\n)?",
    ) {
        crate::sound::try_lock(&text);
        crate::sound::try_lock_lines(&text, &requirement(1, 1, 1));
    }
}

/// Nobody gets what is kept for the machines of a class that is gone, while there is other room;
/// then those come first that were kept at the lowest numbers.
#[test]
fn a_class_in_place_of_another_leaves_its_numbers_alone() {
    let mut asked = plain();
    asked.classes[0].count = 12;
    asked.classes[0].room = Some(16);
    let first = planned(&asked);
    asked.classes[0].name = class("other");
    asked.classes[0].count = 6;
    let second = replanned(&asked, &first.lock());
    assert_sound(&second);
    let numbers = |plan: &Plan| -> Vec<u8> {
        let machines = plan.machines.iter();
        let address = machines.map(|own| own.address("front").and_then(|own| own.v4));
        address
            .map(|v4| v4.expect("IPv4").octets()[3] % 64)
            .collect()
    };
    assert_eq!(numbers(&first), (16..28).collect::<Vec<u8>>());
    assert_eq!(numbers(&second), [28, 29, 30, 31, 16, 17]);
    assert_eq!(second.lock().gone().count(), 2 * 10);
}
