//! What is printed, word for word: tests/data holds each case and its texts, to be read beside the manual pages.

use crate::{etcd_0, spec};
use bhyve_vm::{Derived, DeviceTree, Release, argv, config_file, keys};
use std::collections::BTreeSet;

fn lines(words: &[String]) -> String {
    words.iter().map(|word| format!("{word}\n")).collect()
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
