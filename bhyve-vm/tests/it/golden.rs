//! What is printed, word for word: tests/data holds each case and its texts, to be read beside the manual pages.

use crate::{etcd_0, root_of_etcd_0, spec};
use bhyve_vm::{
    Dataset, Derived, DeviceTree, Interface, Release, Step, Supervision, argv, config_file,
    create_steps, destroy_found, destroy_steps, keys, parse_datasets,
};
use std::{collections::BTreeSet, time::Duration};

fn lines(words: &[String]) -> String {
    words.iter().map(|word| format!("{word}\n")).collect()
}

fn steps(steps: &[Step]) -> String {
    steps.iter().map(|step| format!("{step}\n")).collect()
}

#[test]
fn arguments() {
    let tree = DeviceTree::new(&etcd_0()).unwrap();
    assert_eq!(lines(&argv(&tree)), include_str!("../data/etcd-0.argv"));
    let tree = DeviceTree::new(&spec(include_str!("../data/smallest.toml"))).unwrap();
    assert_eq!(lines(&argv(&tree)), include_str!("../data/smallest.argv"));
}

#[test]
fn config_files() {
    let tree = DeviceTree::new(&etcd_0()).unwrap();
    let file = |release| config_file(&keys(&tree, release));
    assert_eq!(file(Release::V15), include_str!("../data/etcd-0.conf"));
    assert_eq!(file(Release::V14), include_str!("../data/etcd-0.14.conf"));
}

#[test]
fn every_field() {
    let spec = spec(include_str!("../data/all-fields.toml"));
    let tree = DeviceTree::new(&spec).unwrap();
    assert_eq!(lines(&argv(&tree)), include_str!("../data/all-fields.argv"));
    let file = |release| config_file(&keys(&tree, release));
    assert_eq!(file(Release::V15), include_str!("../data/all-fields.conf"));
    assert_eq!(
        file(Release::V14),
        include_str!("../data/all-fields.14.conf")
    );
}

#[test]
fn no_key_of_one_vm_depends_on_another() {
    let name = |text: &str| text.parse().unwrap();
    let (a, b) = (
        Derived::new("lab", &name("a")),
        Derived::new("lab", &name("b")),
    );
    let other_lab = Derived::new("laba", &name("a"));
    assert_ne!(a.uuid(), b.uuid());
    assert_ne!(a.uuid(), other_lab.uuid());
    assert_ne!(a.mac(0), a.mac(1));
    assert_ne!(a.mac(0), b.mac(0));
    // They are what their types take from outside too.
    assert_eq!(a.uuid().to_string().parse(), Ok(a.uuid()));
    assert_eq!(a.mac(3).to_string().parse(), Ok(a.mac(3)));
    let tap = a.tap(0, &BTreeSet::new()).unwrap();
    assert_eq!(tap.to_string().parse(), Ok(tap));
}

/// By what was found: all, the rest after an interruption, and what is somebody else's.
#[test]
fn destruction_of_what_was_found() {
    let (spec, root) = (etcd_0(), root_of_etcd_0());
    let supervision = Supervision::new(spec.name.clone(), "/var/db/lab/etcd-0".parse().unwrap());
    let taps = || {
        let tap = |nic: &bhyve_vm::Nic| Interface {
            name: nic.tap.to_string(),
            description: Some("lab:etcd-0".into()),
            ..Interface::default()
        };
        spec.nics.iter().map(tap).collect::<Vec<_>>()
    };
    let volume = |owner: &str| {
        let line = format!("{}\tvolume\t1\t1\t-\t{owner}\n", root.dataset);
        parse_datasets(&line).unwrap()
    };
    let found = |taps: &[Interface], volumes: &[Dataset]| {
        destroy_found(&spec, &root, &supervision, taps, volumes)
    };
    let all = found(&taps(), &volume("etcd-0")).unwrap();
    assert_eq!(
        steps(&all),
        include_str!("../data/etcd-0.found"),
        "{}",
        steps(&all)
    );
    let rest = steps(&found(&[], &[]).unwrap());
    assert!(
        !rest.contains("zfs") && !rest.contains("ifconfig"),
        "{rest}"
    );
    let mut strange = taps();
    strange[0].description = None;
    let errors = [
        found(&strange, &volume("etcd-0")).unwrap_err(),
        found(&taps(), &volume("-")).unwrap_err(),
        found(&taps(), &volume("etcd-1")).unwrap_err(),
    ];
    let told = errors.map(|error| error.to_string());
    let volume = &root.dataset;
    assert_eq!(
        told,
        [
            format!(
                "interface {} is not marked as \"lab:etcd-0\" but with nothing; remove or rename it by hand",
                spec.nics[0].tap
            ),
            format!(
                "volume {volume} is not marked as \"etcd-0\" but with nothing; remove or rename it by hand"
            ),
            format!(
                "volume {volume} is not marked as \"etcd-0\" but \"etcd-1\"; remove or rename it by hand"
            ),
        ]
    );
}

#[test]
fn plans() {
    let (spec, root) = (etcd_0(), root_of_etcd_0());
    let tree = DeviceTree::new(&spec).unwrap();
    assert_eq!(
        steps(&create_steps(&spec, &tree, &root)),
        include_str!("../data/etcd-0.create")
    );
    let destroy = destroy_steps(&spec, &root, Duration::from_secs(60));
    assert_eq!(steps(&destroy), include_str!("../data/etcd-0.destroy"));
    assert_eq!(spec.disks[0].path, root.dataset.device());
}
