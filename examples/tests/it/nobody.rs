//! An example, run by a user who is not root.

use std::{
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::Command,
};

/// `nobody`, whom no file of this machine belongs to.
const NOBODY: u32 = 65_534;

/// Where the real programs are.
#[expect(
    clippy::disallowed_methods,
    reason = "the caller of a test says where programs are"
)]
pub(crate) fn bin_dir() -> PathBuf {
    let bin_dir = std::env::var_os("LAB_BIN_DIR").expect("LAB_BIN_DIR names the programs");
    PathBuf::from(bin_dir)
}

/// The version that a program prints, such as `Kubernetes v1.37.2` or `etcd Version: 3.7.3`.
#[expect(clippy::disallowed_methods, reason = "a test asks a program")]
pub(crate) fn version(program: &Path) -> String {
    let output = Command::new(program).arg("--version").output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let word = text.lines().next().unwrap().split(' ').next_back().unwrap();
    word.trim_start_matches('v').to_owned()
}

/// A copy that everybody may run: the home of root is closed.
fn copy(from: &Path, to: &Path) {
    std::fs::copy(from, to).unwrap_or_else(|error| panic!("{}: {error}", from.display()));
}

/// Runs an example, which cargo builds beside the program `lab` with the tests, and gives what it printed. `arguments`
/// are made from the directory that holds the `programs`.
#[expect(clippy::disallowed_methods, reason = "a test runs a program")]
pub(crate) fn run(
    example: &str,
    programs: &[&str],
    arguments: impl FnOnce(&Path) -> Vec<String>,
) -> String {
    let dir = tempfile::tempdir().unwrap();
    let all = std::fs::Permissions::from_mode(0o777);
    std::fs::set_permissions(dir.path(), all).unwrap();
    for name in programs {
        copy(&bin_dir().join(name), &dir.path().join(name));
    }
    let lab = Path::new(env!("CARGO_BIN_EXE_lab"));
    let built = lab.with_file_name("examples").join(example);
    copy(&built, &dir.path().join("example"));
    let output = Command::new("setpriv")
        .args([format!("--reuid={NOBODY}"), format!("--regid={NOBODY}")])
        .arg("--clear-groups")
        .arg(dir.path().join("example"))
        .args(arguments(dir.path()))
        .env("TMPDIR", dir.path())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}\n{errors}");
    said
}
