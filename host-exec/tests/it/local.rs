//! This machine as a host.

use crate::conformance;
use host_exec::{Command, Host, LocalHost};
use std::{
    fs,
    net::TcpListener,
    os::unix::fs::symlink,
    sync::atomic::{AtomicBool, Ordering},
};

fn local() -> LocalHost {
    LocalHost::new("here".parse().unwrap())
}

#[tokio::test]
async fn keeps_the_promises_of_a_host() {
    let dir = tempfile::tempdir().unwrap();
    conformance::check(&local(), dir.path()).await;
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    conformance::check_dial(&local(), listener, address).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_is_closed_from_its_first_byte() {
    let dir = tempfile::tempdir().unwrap();
    conformance::check_secrets_stay_closed(&local(), dir.path(), 200).await;
}

/// Renames anywhere disturb a walk over a link with "..", and the kernel then asks to try again.
#[tokio::test(flavor = "multi_thread")]
async fn a_link_upwards_is_followed_while_files_are_renamed() {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("run")).unwrap();
    fs::create_dir(dir.path().join("etc")).unwrap();
    fs::write(dir.path().join("run/resolv.conf"), "x").unwrap();
    // A long way up and down, so that a rename falls into nearly every walk.
    let way = format!("../{}run/resolv.conf", "run/../".repeat(20));
    symlink(way, dir.path().join("etc/resolv.conf")).unwrap();
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let (a, b) = (dir.path().join("a"), dir.path().join("b"));
            fs::write(&a, "").unwrap();
            while !done.load(Ordering::Relaxed) {
                fs::rename(&a, &b).unwrap();
                fs::rename(&b, &a).unwrap();
            }
        });
        let read = async {
            for _ in 0..20_000 {
                let found = local().read_file(&dir.path().join("etc/resolv.conf")).await;
                if !matches!(&found, Ok(Some(bytes)) if bytes == b"x") {
                    return Err(found);
                }
            }
            Ok(())
        };
        let result =
            tokio::task::block_in_place(|| tokio::runtime::Handle::current().block_on(read));
        done.store(true, Ordering::Relaxed);
        result.unwrap();
    });
}

#[tokio::test]
async fn a_fifo_is_no_endless_wait() {
    let dir = tempfile::tempdir().unwrap();
    let fifo = dir.path().join("fifo");
    local()
        .run(&Command::new("mkfifo").arg(fifo.to_str().unwrap()))
        .await
        .unwrap();
    let read = tokio::time::timeout(crate::LONG, local().read_file(&fifo)).await;
    assert_eq!(read.unwrap().unwrap().unwrap(), b"");
}

#[tokio::test]
async fn an_abandoned_command_is_killed_with_its_children() {
    let dir = tempfile::tempdir().unwrap();
    let mark = dir.path().join("mark");
    let script = r#"(sleep 1; : > "$0") & wait"#;
    let slow = Command::new("sh").args(["-c", script, mark.to_str().unwrap()]);
    let host = local();
    let limit = std::time::Duration::from_millis(200);
    tokio::time::timeout(limit, host.output(&slow))
        .await
        .unwrap_err();
    host.run(&Command::new("sleep").arg("1.5")).await.unwrap();
    assert!(!mark.exists());
}
