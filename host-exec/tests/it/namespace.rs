//! A machine of namespaces, made by `unshare(1)` for the test.

use crate::{LONG, conformance, upload};
use host_exec::{Command, Host, LocalHost, NamespaceHost, RunErrorKind, poll};
use std::{
    fs,
    os::unix::fs::symlink,
    path::Path,
    process::{Child, Stdio},
};

/// A machine that ends with this value.
struct Machine {
    unshare: Child,
    leader: u32,
}

impl Machine {
    /// Process 1 is a `sleep` in namespaces of its own, below `root`.
    async fn start(root: &Path) -> Self {
        #[expect(
            clippy::disallowed_methods,
            reason = "the machine has to outlive one call"
        )]
        let unshare = std::process::Command::new("unshare")
            .args([
                "--mount", "--uts", "--ipc", "--net", "--pid", "--cgroup", "--fork",
            ])
            .args(["--kill-child", "--mount-proc", "--root"])
            .arg(root)
            .args(["/bin/sh", "-c", "ip link set lo up; exec sleep 1000"])
            .stdin(Stdio::null())
            .spawn()
            .unwrap();
        let children = format!("/proc/{0}/task/{0}/children", unshare.id());
        let wait = poll::Wait::new("process 1 of the machine", LONG);
        let leader = poll::until(&wait, || async {
            let listed = fs::read_to_string(&children).map_err(|e| e.to_string())?;
            let Ok(leader) = listed.trim().parse::<u32>() else {
                return Ok(poll::Attempt::NotYet(listed));
            };
            let command = fs::read_to_string(format!("/proc/{leader}/cmdline")).unwrap_or_default();
            Ok::<_, String>(match command.starts_with("sleep\0") {
                true => poll::Attempt::Ready(leader),
                false => poll::Attempt::NotYet(command),
            })
        });
        let leader = leader.await.unwrap();
        Self { unshare, leader }
    }

    fn host(&self) -> NamespaceHost {
        NamespaceHost::new("m".parse().unwrap(), self.leader)
    }

    fn kill(&mut self) {
        self.unshare.kill().unwrap();
        self.unshare.wait().unwrap();
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        // Killed already in one test.
        let _ = self.unshare.kill();
        let _ = self.unshare.wait();
    }
}

#[tokio::test]
#[ignore = "needs root"]
async fn keeps_the_promises_of_a_host() {
    let machine = Machine::start(Path::new("/")).await;
    let dir = tempfile::tempdir().unwrap();
    conformance::check(&machine.host(), dir.path()).await;
    upload::check(&machine.host(), &dir.path().join("uploads")).await;
}

#[tokio::test]
#[ignore = "needs root"]
async fn connections_are_opened_in_its_network() {
    let machine = Machine::start(Path::new("/")).await;
    // A listener of this machine is not there, inside.
    let outside = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let error = machine
        .host()
        .dial(outside.local_addr().unwrap(), LONG)
        .await
        .err()
        .unwrap();
    assert_eq!(error.source.kind(), std::io::ErrorKind::ConnectionRefused);

    let network = format!("/proc/{}/ns/net", machine.leader);
    let inside = std::thread::spawn(move || {
        nix::sched::setns(
            fs::File::open(network).unwrap(),
            nix::sched::CloneFlags::CLONE_NEWNET,
        )
        .unwrap();
        std::net::TcpListener::bind("[::1]:0").unwrap()
    });
    let inside = inside.join().unwrap();
    let address = inside.local_addr().unwrap();
    conformance::check_dial(&machine.host(), inside, address).await;
}

#[tokio::test]
#[ignore = "needs root"]
async fn absolute_links_stay_inside() {
    let outside = tempfile::tempdir().unwrap();
    let secret = outside.path().join("secret");
    fs::write(&secret, "of this machine").unwrap();
    let root = tempfile::tempdir().unwrap();
    make_root(root.path()).await;
    symlink(&secret, root.path().join("file")).unwrap();
    symlink(outside.path(), root.path().join("dir")).unwrap();
    symlink("../../../../../../../..", root.path().join("up")).unwrap();
    let machine = Machine::start(root.path()).await;
    let host = machine.host();

    let up = Path::new("/up").join(secret.strip_prefix("/").unwrap());
    for path in [Path::new("/file"), Path::new("/dir/secret"), &up] {
        assert_eq!(host.read_file(path).await.unwrap(), None, "{path:?}");
        assert_eq!(host.file_mode(path).await.unwrap(), None, "{path:?}");
    }
    host.remove_file(Path::new("/dir/secret")).await.unwrap();
    for path in ["/dir/new", "/up/new"] {
        // Whether it is refused or lands inside: nothing may change out here.
        let _ = host
            .write_file(&host_exec::File::public(path, "inside"))
            .await;
    }
    assert_eq!(fs::read(&secret).unwrap(), b"of this machine");
    assert_eq!(fs::read_dir(outside.path()).unwrap().count(), 1);
    assert!(!Path::new("/new").exists() && root.path().join("new").exists());
}

/// A root file system made of this one's programs, mounted read-only inside the machine's own mount namespace.
async fn make_root(root: &Path) {
    let here = LocalHost::new("here".parse().unwrap());
    for dir in ["bin", "proc", "tmp"] {
        fs::create_dir(root.join(dir)).unwrap();
    }
    for program in ["/bin/sh", "/bin/sleep", "/bin/ip"] {
        let ldd = here
            .output(&Command::new("ldd").arg(program))
            .await
            .unwrap();
        let libraries = ldd.stdout_text().into_owned();
        let libraries = libraries
            .split_whitespace()
            .filter(|word| word.starts_with('/'));
        for file in libraries.chain([program]) {
            let copy = root.join(file.strip_prefix('/').unwrap());
            fs::create_dir_all(copy.parent().unwrap()).unwrap();
            fs::copy(file, copy).unwrap();
        }
    }
}

#[tokio::test]
#[ignore = "needs root"]
async fn a_machine_that_is_gone_is_unreachable() {
    let mut machine = Machine::start(Path::new("/")).await;
    let host = machine.host();
    host.run(&Command::new("true")).await.unwrap();
    let running = tokio::spawn({
        let host = host.clone();
        async move { host.output(&Command::new("sleep").arg("100")).await }
    });
    host.run(&Command::new("sleep").arg("0.2")).await.unwrap();
    machine.kill();
    for result in [
        running.await.unwrap(),
        host.output(&Command::new("true")).await,
    ] {
        let error = result.unwrap_err();
        assert!(
            matches!(*error.kind, RunErrorKind::Unreachable(_)),
            "{error}"
        );
    }
}
