//! What is printed, word for word: tests/data holds each case and its texts, to be read beside the manual pages.

use crate::{etcd_0, root_of_etcd_0, spec};
use bhyve_vm::{DeviceTree, Release, Step, argv, config_file, create_steps, destroy_steps, keys};
use std::time::Duration;

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
    // Only the firmware's keys moved.
    let older = include_str!("../data/etcd-0.conf");
    let mut older: Vec<String> = older
        .lines()
        .map(|line| {
            if line.starts_with("boot") {
                format!("lpc.{line}")
            } else {
                line.to_owned()
            }
        })
        .collect();
    older.sort();
    let mut printed: Vec<String> = file(Release::V14).lines().map(str::to_owned).collect();
    printed.sort();
    assert_eq!(printed, older);
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
