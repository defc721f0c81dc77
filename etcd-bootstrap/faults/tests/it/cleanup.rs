//! A run that is killed leaves nothing behind.

use etcd_faults::work::sweep;
use host_exec::poll::{Attempt, Wait, until};
use std::{
    convert::Infallible,
    fs,
    os::unix::process::CommandExt as _,
    path::Path,
    process::{Command, Stdio},
    time::Duration,
};

/// The command lines of all processes that hold `word`.
fn processes(word: &str) -> Vec<String> {
    let all = fs::read_dir("/proc").unwrap();
    let line = |entry: fs::DirEntry| fs::read_to_string(entry.path().join("cmdline")).ok();
    all.filter_map(|entry| line(entry.ok()?))
        .filter(|line| line.contains(word))
        .map(|line| line.replace('\0', " "))
        .collect()
}

/// The directories of rows below `parent`.
fn works(parent: &Path) -> usize {
    let all = fs::read_dir(parent).unwrap();
    let names = all.map(|entry| entry.unwrap().file_name());
    let names = names.map(|name| name.to_string_lossy().into_owned());
    names
        .filter(|name| name.starts_with("etcd-faults-"))
        .count()
}

#[tokio::test]
#[ignore = "needs etcd, root"]
#[expect(
    clippy::disallowed_methods,
    reason = "a test kills a program, and its caller says where others are"
)]
async fn a_run_that_is_killed_leaves_nothing_behind() {
    let parent = tempfile::tempdir_in("/var/tmp").unwrap();
    let word = parent.path().to_str().unwrap();
    let mut run = Command::new(env!("CARGO_BIN_EXE_etcd-faults"))
        .args([
            "run",
            "--seeds",
            "1",
            "--jobs",
            "1",
            "--below",
            word,
            "lost-data",
        ])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .process_group(0)
        .spawn()
        .unwrap();
    let until_processes = async |what: &str, good: fn(usize) -> bool| {
        let look = || async {
            let found = processes(word);
            Ok::<_, Infallible>(match good(found.len()) {
                true => Attempt::Ready(()),
                false => Attempt::NotYet(format!("{found:?}")),
            })
        };
        until(&Wait::new(what, Duration::from_secs(60)), look)
            .await
            .unwrap();
    };
    // The program, timeout(1), unshare(1), the world and three machines.
    until_processes("running machines", |count| count >= 7).await;
    run.kill().unwrap();
    run.wait().unwrap();
    until_processes("end of all that it started", |count| count == 0).await;
    assert_eq!(works(parent.path()), 1);
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap();
    assert!(!mounts.contains(word), "{mounts}");
    sweep(parent.path()).unwrap();
    assert_eq!(works(parent.path()), 0);
}
