//! The example `control_plane_local`, as a user who is not root.

use std::{
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::Command,
};

/// What it starts.
const PROGRAMS: [&str; 4] = [
    "etcd",
    "kube-apiserver",
    "kube-controller-manager",
    "kube-scheduler",
];

/// `nobody`, whom no file of this machine belongs to.
const NOBODY: u32 = 65_534;

/// The example, which cargo builds beside the program `lab` with the tests.
fn example() -> PathBuf {
    let lab = Path::new(env!("CARGO_BIN_EXE_lab"));
    lab.with_file_name("examples").join("control_plane_local")
}

/// The version that a program prints, such as `Kubernetes v1.37.2` or `etcd Version: 3.7.3`.
#[expect(clippy::disallowed_methods, reason = "a test asks a program")]
fn version(program: &Path) -> String {
    let output = Command::new(program).arg("--version").output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let word = text.lines().next().unwrap().split(' ').next_back().unwrap();
    word.trim_start_matches('v').to_owned()
}

/// A copy that everybody may run: the home of root is closed.
fn copy(from: &Path, to: &Path) {
    std::fs::copy(from, to).unwrap_or_else(|error| panic!("{}: {error}", from.display()));
}

#[test]
#[ignore = "needs root, setpriv, etcd and the Kubernetes programs"]
#[expect(
    clippy::disallowed_methods,
    reason = "a test runs a program, and its caller says where others are"
)]
fn a_user_without_root_brings_up_a_control_plane() {
    let bin_dir = std::env::var_os("LAB_BIN_DIR").expect("LAB_BIN_DIR names the programs");
    let (bin_dir, dir) = (PathBuf::from(bin_dir), tempfile::tempdir().unwrap());
    let all = std::fs::Permissions::from_mode(0o777);
    std::fs::set_permissions(dir.path(), all).unwrap();
    for name in PROGRAMS {
        copy(&bin_dir.join(name), &dir.path().join(name));
    }
    copy(&example(), &dir.path().join("example"));
    let output = Command::new("setpriv")
        .args([format!("--reuid={NOBODY}"), format!("--regid={NOBODY}")])
        .arg("--clear-groups")
        .arg(dir.path().join("example"))
        .arg(dir.path())
        .arg(version(&bin_dir.join("kube-apiserver")))
        .arg(version(&bin_dir.join("etcd")))
        .env("TMPDIR", dir.path())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}\n{errors}");
    for line in [
        "API of cp-0 is ready: ready",
        "controller-manager of cp-0 is healthy: ok",
        "scheduler of cp-0 is healthy: ok",
    ] {
        assert!(said.lines().any(|found| found == line), "{said}");
    }
}
