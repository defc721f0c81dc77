//! The example `etcd_local`, as a user who is not root.

use crate::nobody;

#[test]
#[ignore = "needs root, setpriv and etcd"]
fn a_user_without_root_forms_a_cluster() {
    let said = nobody::run("etcd_local", &["etcd"], |dir| {
        let program = dir.join("etcd");
        vec![program.display().to_string(), nobody::version(&program)]
    });
    for start in [
        "etcd-2: start etcd",
        "ready after ",
        "etcd-3 is ready: ready, ",
        "etcd has one leader: ",
        "left to do: 0",
    ] {
        assert!(said.lines().any(|line| line.starts_with(start)), "{said}");
    }
}

/// What the documentation says of it.
#[test]
fn it_is_shorter_than_sixty_lines() {
    let lines = include_str!("../../examples/etcd_local.rs").lines().count();
    assert!(lines < 60, "{lines}");
}
