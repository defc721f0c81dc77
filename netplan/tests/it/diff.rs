//! What changes between two locks.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use netplan::diff::{CertificateOf, Change, ChangeKind, Effect, Item, Membership};
use netplan::{
    ClassName, Diff, Families, HostFacts, Lock, NetworkName, Plan, Requirement, Role, diff, plan,
};
use proptest::prelude::*;

use crate::sound::lock_of_lines;
use crate::{golden, net, planned, requirement};

/// The lab of two edits: what the plan of the second says about the lock of the first.
fn edited(base: &Requirement, edit: impl Fn(&mut Requirement)) -> Diff {
    let lock = planned(base).lock();
    replanned(base, &lock, edit).changes_since(&lock)
}

fn replanned(base: &Requirement, lock: &Lock, edit: impl Fn(&mut Requirement)) -> Plan {
    let mut requirement = base.clone();
    edit(&mut requirement);
    plan(&requirement, &HostFacts::default(), Some(lock)).expect("a plan")
}

/// The same without the memory: everything is where it would be in a new lab.
fn anew(base: &Requirement, edit: impl Fn(&mut Requirement)) -> Diff {
    let lock = planned(base).lock();
    let mut requirement = base.clone();
    edit(&mut requirement);
    planned(&requirement).changes_since(&lock)
}

fn base() -> Requirement {
    let mut requirement = requirement(3, 1, 1);
    requirement.v4 = Some(net("10.77.0.0/16"));
    requirement.v6 = Some(net("fd5c:1b2a:9e10::/48"));
    requirement
}

fn count(requirement: &mut Requirement, class: &str, count: u32) {
    *requirement.count_mut(class).expect("a class") = count;
}

fn rename_network(requirement: &mut Requirement) {
    let (old, new) = ("etcd", NetworkName::new("store").expect("a name"));
    for network in requirement
        .networks
        .iter_mut()
        .filter(|network| network.name.as_str() == old)
    {
        network.renamed_from = Some(network.name.clone());
        network.name = new.clone();
    }
    for class in &mut requirement.classes {
        for network in class
            .networks
            .iter_mut()
            .filter(|network| network.as_str() == old)
        {
            *network = new.clone();
        }
    }
}

fn rename_class(requirement: &mut Requirement) {
    let class = &mut requirement.classes[2];
    class.renamed_from = Some(class.name.clone());
    class.name = ClassName::new("node").expect("a name");
}

/// More workers than a /24 holds.
fn grow(requirement: &mut Requirement) {
    requirement.classes[2].room = Some(400);
}

#[test]
fn examples_are_golden() {
    let one_family = |requirement: &mut Requirement| {
        for network in &mut requirement.networks {
            network.families = Families::V4;
        }
        requirement.v6 = None;
        requirement.kubernetes.as_mut().expect("a cluster").families = Families::V4;
    };
    let mut roomy = base();
    roomy.networks[1].slot = Some(4);
    let mut v4_only = base();
    one_family(&mut v4_only);
    let examples: [(&str, Diff); 11] = [
        ("nothing", edited(&base(), |_| {})),
        (
            "one more worker",
            edited(&base(), |r| count(r, "worker", 2)),
        ),
        (
            "one more control plane",
            edited(&base(), |r| count(r, "cp", 2)),
        ),
        (
            "one etcd member less",
            edited(&base(), |r| count(r, "etcd", 2)),
        ),
        ("a network grows", edited(&roomy, grow)),
        (
            "a network has another name",
            edited(&base(), rename_network),
        ),
        ("a class has another name", edited(&base(), rename_class)),
        (
            "workers become control planes",
            edited(&base(), |r| r.classes[2].role = Role::ControlPlane),
        ),
        ("IPv6 comes", edited(&v4_only, |r| *r = base())),
        ("the cluster goes", edited(&base(), |r| r.kubernetes = None)),
        (
            "pods and services move",
            anew(&base(), |r| {
                let kubernetes = r.kubernetes.as_mut().expect("a cluster");
                kubernetes.nodes = 64;
                kubernetes.pods_v4 = Some(net("10.77.64.0/18"));
                kubernetes.services_v6 = Some(net("fd5c:1b2a:9e10:17::/112"));
                r.networks[0].slot = Some(200);
                r.networks[1].slot = Some(201);
            }),
        ),
    ];
    let mut text = String::new();
    for (name, diff) in examples {
        let effects: Vec<String> = diff.effects().iter().map(ToString::to_string).collect();
        write!(text, "# {name}\n{diff}= {}\n\n", effects.join("; ")).expect("a string");
    }
    golden::check(".", "diffs.txt", &text);
}

#[test]
fn a_new_worker_touches_no_other_machine() {
    let diff = edited(&base(), |r| count(r, "worker", 2));
    let machine = netplan::MachineName::new("worker-1").expect("a name");
    let expected = BTreeSet::from([
        Effect::NodeChange {
            machine: machine.clone(),
            change: Membership::Join,
        },
        Effect::NewCertificateName {
            of: CertificateOf::Machine(machine),
        },
        Effect::NodeRoutes,
        Effect::RouterReload,
    ]);
    assert_eq!(diff.effects(), expected.iter().collect());
}

#[test]
fn a_change_is_data() {
    let diff = edited(&base(), |r| count(r, "etcd", 2));
    let json = serde_json::to_value(&diff).expect("a diff is data");
    let expected = serde_json::json!({
        "item": "address/etcd/etcd-2",
        "kind": "removed",
        "from": "10.77.0.12/32",
        "effects": [
            { "effect": "etcd-member-change", "machine": "etcd-2", "change": "leave" },
            { "effect": "control-plane-restart" },
            { "effect": "router-reload" },
            { "effect": "guest-rules" },
        ],
    });
    assert_eq!(json[0], expected);
}

/// A lock's entries as texts: the name and the family, and the value.
type Entries = BTreeMap<(String, bool), String>;

fn entries(lock: &Lock) -> Entries {
    let nets = lock.nets().map(|(id, net)| {
        let net = net.to_string();
        ((id.to_owned(), net.contains(':')), net)
    });
    let classes = lock.classes().map(|(name, class)| {
        let (role, first, room) = (class.role, class.band.first, class.band.room);
        (
            (format!("class/{name}"), false),
            format!("{role} {first}+{room}"),
        )
    });
    let seed = format!("{:016x}", lock.seed());
    let rest = [("lab", lock.lab().to_string()), ("seed", seed)];
    let rest = rest.map(|(name, value)| ((name.to_owned(), false), value));
    nets.chain(classes).chain(rest).collect()
}

/// Does what a diff says. Every old value must be there, every new place must be free.
fn apply(entries: &Entries, diff: &Diff) -> Entries {
    let (mut come, mut gone) = (Vec::new(), Vec::new());
    for Change { item, kind, .. } in &diff.changes {
        match kind {
            ChangeKind::Added { to } => come.push((item, to)),
            ChangeKind::Removed { from } => gone.push((item, from)),
            ChangeKind::Moved { from, to }
            | ChangeKind::Grown { from, to }
            | ChangeKind::Shrunk { from, to } => {
                gone.push((item, from));
                come.push((item, to));
            }
            ChangeKind::Renamed { old, value } => {
                gone.push((old, value));
                come.push((item, value));
            }
            other => panic!("{other:?} is new to this test"),
        }
    }
    let mut entries = entries.clone();
    let key = |item: &Item, value: &str| (item.to_string(), value.contains(':'));
    for (item, value) in gone {
        let value = value.to_string();
        assert_eq!(entries.remove(&key(item, &value)), Some(value));
    }
    for (item, value) in come {
        let value = value.to_string();
        assert_eq!(entries.insert(key(item, &value), value), None);
    }
    entries
}

/// The change back.
fn mirrored(change: &Change) -> (String, ChangeKind) {
    let item = change.item.to_string();
    match change.kind.clone() {
        ChangeKind::Added { to } => (item, ChangeKind::Removed { from: to }),
        ChangeKind::Removed { from } => (item, ChangeKind::Added { to: from }),
        ChangeKind::Moved { from, to } => (item, ChangeKind::Moved { from: to, to: from }),
        ChangeKind::Grown { from, to } => (item, ChangeKind::Shrunk { from: to, to: from }),
        ChangeKind::Shrunk { from, to } => (item, ChangeKind::Grown { from: to, to: from }),
        ChangeKind::Renamed { old, value } => (
            old.to_string(),
            ChangeKind::Renamed {
                old: change.item.clone(),
                value,
            },
        ),
        other => panic!("{other:?} is new to this test"),
    }
}

fn assert_lawful(old: &Lock, new: &Lock) {
    let there = diff(old, new);
    assert_eq!(there.is_empty(), entries(old) == entries(new));
    assert_eq!(apply(&entries(old), &there), entries(new), "conservation");
    let mut back: Vec<_> = there.changes.iter().map(mirrored).collect();
    let back_again = diff(new, old);
    let mut expected: Vec<_> = back_again
        .changes
        .iter()
        .map(|change| (change.item.to_string(), change.kind.clone()))
        .collect();
    back.sort();
    expected.sort();
    assert_eq!(back, expected, "symmetry");
    for change in &there.changes {
        assert!(
            change.effects.is_sorted(),
            "worst first: {:?}",
            change.effects
        );
    }
    for effect in there.effects() {
        assert_has_cause(effect, old, new);
    }
    let is_sorted = there
        .changes
        .is_sorted_by(|one, other| one.item <= other.item);
    assert!(is_sorted, "{there}");
}

/// Nobody reboots, and no cluster is made anew, for nothing.
fn assert_has_cause(effect: &Effect, old: &Lock, new: &Lock) {
    match effect {
        Effect::Reboot { machine } => {
            let machine = machine.as_str();
            assert_ne!(seen_by(old, machine), seen_by(new, machine), "{machine}");
        }
        Effect::ClusterRebuild { .. } => {
            let ids = ["lab", "seed", "range/services", "range/pods"];
            let of = |lock| {
                let mut entries = entries(lock);
                entries.retain(|(id, _), _| ids.contains(&id.as_str()));
                entries
            };
            assert_ne!(of(old), of(new));
        }
        _ => {}
    }
}

/// What a machine is configured with: its addresses, and their networks.
fn seen_by(lock: &Lock, machine: &str) -> Entries {
    let all = entries(lock);
    let mine = all
        .iter()
        .filter(|((id, _), _)| id.starts_with("address/") && id.ends_with(&format!("/{machine}")));
    let networks = mine.clone().filter_map(|((id, is_v6), _)| {
        let network = id.split('/').nth(1).expect("a network");
        let key = (format!("network/{network}"), *is_v6);
        all.get_key_value(&key)
    });
    mine.chain(networks)
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect()
}

/// Lines of few names and few values, so that two locks have much in common.
fn any_lock() -> impl Strategy<Value = Lock> {
    const IDS: [&str; 16] = [
        "supernet",
        "network/a",
        "network/b",
        "network/c",
        "range/link",
        "range/services",
        "range/pods",
        "pods/w-0",
        "pods/w-1",
        "pods/x-0",
        "address/a/w-0",
        "address/a/w-1",
        "address/b/w-0",
        "address/a/x-0",
        "address/b/e-0",
        "unknown/thing",
    ];
    let value = prop_oneof![
        "10\\.77\\.[0-3]\\.0/24",
        "10\\.77\\.[02]\\.0/23",
        "10\\.77\\.0\\.[0-5]/32",
        "fd5c::[1-4]/128",
        "fd5c:0:0:[1-3]::/64",
    ];
    let nets = prop::collection::btree_map(
        (prop::sample::select(&IDS[..]), any::<bool>()),
        value,
        0..24,
    );
    let class = (
        "[wxe]",
        prop::sample::select(&["etcd", "worker", "control-plane"][..]),
        16..18_u32,
        8..10_u32,
    );
    let classes = prop::collection::btree_map("[wxe]", class, 0..3);
    (nets, classes, 0..2_u64).prop_map(|(nets, classes, seed)| {
        let nets = nets
            .iter()
            .filter(|((_, is_v6), net)| net.contains(':') == *is_v6);
        let classes = classes
            .iter()
            .map(|(name, (_, role, first, room))| format!("class/{name} {role} {first}+{room}"));
        let lines = nets
            .map(|((id, _), net)| format!("{id} {net}"))
            .chain(classes);
        let rest = ["lab demo".to_owned(), format!("seed {seed:016x}")];
        let lines: Vec<String> = lines.chain(rest).collect();
        Lock::from_text(&lock_of_lines(&lines.join("\n"))).expect("a lock")
    })
}

proptest! {
    #[test]
    fn any_two_locks_differ_lawfully(old in any_lock(), new in any_lock()) {
        assert_lawful(&old, &old);
        assert_lawful(&old, &new);
    }

    #[test]
    fn plans_differ_lawfully(
        first in (1..5_u16, 1..5_u16, 0..9_u16),
        second in (1..5_u16, 1..5_u16, 0..9_u16),
        renamed in any::<bool>(),
    ) {
        let (etcd, planes, workers) = first;
        let old = planned(&requirement(etcd, planes, workers)).lock();
        let (etcd, planes, workers) = second;
        let mut wanted = requirement(etcd, planes, workers);
        if renamed {
            rename_network(&mut wanted);
            rename_class(&mut wanted);
        }
        let new = plan(&wanted, &HostFacts::default(), Some(&old)).expect("a plan").lock();
        assert_lawful(&old, &new);
        let moved = diff(&old, &new).changes.into_iter();
        let moved = moved.filter(|change| matches!(change.kind, ChangeKind::Moved { .. }));
        prop_assert_eq!(moved.count(), 0, "edits move nobody");
    }
}
