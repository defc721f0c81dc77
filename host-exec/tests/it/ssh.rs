//! A host behind `ssh`.

use crate::{LONG, conformance, sshd::Sshd};
use host_exec::{
    Command, ControlDirectory, File, Host, LocalHost, RunErrorKind, SshDestination, Stdin,
};
use std::{
    fs,
    io::ErrorKind,
    net::TcpListener,
    os::unix::fs::PermissionsExt,
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

#[test]
fn destinations_are_read_and_shown() {
    for (text, user, host, port) in [
        ("lab.example.org", None, "lab.example.org", None),
        ("root@192.0.2.1", Some("root"), "192.0.2.1", None),
        ("root@freebsd:2222", Some("root"), "freebsd", Some(2222)),
        ("2001:db8::1", None, "2001:db8::1", None),
        ("a@[2001:db8::1]:22", Some("a"), "2001:db8::1", Some(22)),
    ] {
        let read: SshDestination = text.parse().unwrap();
        assert_eq!(
            (read.user(), read.host(), read.port()),
            (user, host, port),
            "{text}"
        );
        assert_eq!(read.to_string(), text);
    }
}

#[test]
fn destinations_that_could_be_options_or_shell_are_refused() {
    for bad in [
        "",
        "@",
        "a@",
        "@b",
        "-oProxyCommand=x",
        "-l@b",
        "a@-b",
        "a b",
        "a;b",
        "a@b@c",
        "h:0",
        "h:70000",
        "h:",
        "[::1]x",
        "[::1]:",
        "[::1",
        "$(x)",
        "a@h:22:",
        "h%h",
        "ä",
    ] {
        let error = bad
            .parse::<SshDestination>()
            .map(drop)
            .unwrap_err()
            .to_string();
        assert!(
            error.contains(&format!("{bad:?}")) && error.contains("[USER@]HOST[:PORT]"),
            "{error}"
        );
    }
}

#[test]
fn control_directories_leave_room_for_a_socket() {
    let longest = format!("/{}", "x".repeat(ControlDirectory::MAX_LEN - 1));
    assert!(ControlDirectory::new(&longest).is_ok());
    for bad in [
        format!("{longest}x"),
        "run".into(),
        "/tmp/a b".into(),
        "/tmp/%h".into(),
        "/~".into(),
    ] {
        assert!(ControlDirectory::new(&bad).is_err(), "{bad}");
    }
}

#[test]
fn the_arguments_are_as_expected() {
    let control = ControlDirectory::new("/tmp/cm").unwrap();
    let host = host_exec::SshHost::new(
        "far".parse().unwrap(),
        "root@h:2222".parse().unwrap(),
        control,
    );
    let shown = host
        .enter(&Command::new("id").arg("-u").env("A", "b c"))
        .join("\n")
        + "\n";
    assert_eq!(shown, include_str!("../data/ssh_arguments.txt"));
    let shown = host.enter(&Command::new("sh").interactive());
    assert!(
        shown.contains(&"-t".to_owned()) && !shown.last().unwrap().contains("timeout"),
        "{shown:?}"
    );
}

#[tokio::test]
async fn a_control_directory_open_to_others_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o777)).unwrap();
    let control = ControlDirectory::new(dir.path()).unwrap();
    let host = host_exec::SshHost::new("far".parse().unwrap(), "h".parse().unwrap(), control);
    let error = host
        .output(&Command::new("true"))
        .await
        .unwrap_err()
        .to_string();
    assert!(error.contains("writable by nobody else"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs sshd"]
async fn keeps_the_promises_of_a_host() {
    let sshd = Sshd::start().await;
    let dir = tempfile::tempdir().unwrap();
    let host = sshd.host();
    conformance::check(&host, dir.path()).await;
    let closed = tempfile::tempdir().unwrap();
    conformance::check_secrets_stay_closed(&host, closed.path(), 20).await;
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    conformance::check_dial(&host, listener, address).await;
    host.disconnect().await.unwrap();
    host.disconnect().await.unwrap();
    assert_eq!(
        fs::read_dir(sshd.dir.path().join("cm")).unwrap().count(),
        0,
        "a socket is left"
    );
    let mode = fs::metadata(sshd.dir.path().join("cm"))
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o700);
}

/// More commands at once than sshd allows on one connection (`MaxSessions 10`), from the first moment on.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs sshd"]
async fn many_commands_share_one_connection() {
    let sshd = Sshd::start().await;
    let host = sshd.host();
    let tasks: Vec<_> = (0..30)
        .map(|i| {
            let host = host.clone();
            tokio::spawn(async move { host.run(&Command::new("echo").arg(i.to_string())).await })
        })
        .collect();
    for (i, task) in tasks.into_iter().enumerate() {
        let output = task.await.unwrap().unwrap();
        assert_eq!(output.stdout_text(), format!("{i}\n"));
        // The account's own login scripts may speak (pyenv does when thirty of them run at once); ssh may not.
        let said = output.stderr_text();
        let of_ssh = ["ssh", "mux_client", "channel", "ControlSocket", "Warning"];
        let complaint = said
            .lines()
            .find(|line| of_ssh.iter().any(|name| line.starts_with(name)));
        assert_eq!(complaint, None, "{said}");
    }
    let log = fs::read_to_string(sshd.dir.path().join("log")).unwrap();
    assert_eq!(log.matches("Accepted publickey").count(), 1, "{log}");
    host.disconnect().await.unwrap();
}

#[tokio::test]
#[ignore = "needs sshd"]
async fn a_host_that_cannot_be_reached_says_why() {
    let mut sshd = Sshd::start().await;
    fs::write(sshd.dir.path().join("nobody"), "").unwrap();
    let unused = sshd.host_with("user", "nobody");
    for (host, why) in [
        (&unused, "Host key verification failed"),
        (&sshd.host_with("other", "known_hosts"), "Permission denied"),
    ] {
        let error = host.output(&Command::new("true")).await.unwrap_err();
        let RunErrorKind::Unreachable(said) = &*error.kind else {
            panic!("{error}")
        };
        assert!(said.contains(why), "{said}");
    }
    sshd.stop().await;
    let host = sshd.host().with_connect_timeout(Duration::from_secs(2));
    let error = host.output(&Command::new("true")).await.unwrap_err();
    assert!(error.to_string().contains("Connection refused"), "{error}");
    let error = host
        .dial("127.0.0.1:1".parse().unwrap(), LONG)
        .await
        .err()
        .unwrap();
    assert_eq!(error.source.kind(), ErrorKind::HostUnreachable);
    let error = host.read_file("/etc/passwd".as_ref()).await.unwrap_err();
    assert_eq!(error.to_string(), "far: cannot read /etc/passwd");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs sshd"]
async fn a_connection_lost_in_the_middle_is_told_and_made_again() {
    let mut sshd = Sshd::start().await;
    let host = sshd.host();
    host.run(&Command::new("true")).await.unwrap();
    let running = tokio::spawn({
        let host = host.clone();
        async move { host.output(&Command::new("sleep").arg("15")).await }
    });
    host.run(&Command::new("sleep").arg("0.3")).await.unwrap();
    sshd.stop().await;
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
    sshd.start_again().await;
    host.run(&Command::new("true")).await.unwrap();
    host.disconnect().await.unwrap();
}

/// A machine that vanished sends no farewell: only its silence tells.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs sshd"]
async fn a_silent_host_counts_as_lost() {
    let sshd = Sshd::start().await;
    let host = sshd.host().with_keep_alive(Duration::from_secs(1));
    host.run(&Command::new("true")).await.unwrap();
    let running = tokio::spawn({
        let host = host.clone();
        async move { host.output(&Command::new("sleep").arg("50")).await }
    });
    host.run(&Command::new("sleep").arg("0.3")).await.unwrap();
    sshd.signal_sessions("-STOP").await;
    let ended = tokio::time::timeout(LONG, running).await.unwrap();
    let error = ended.unwrap().unwrap_err();
    assert!(
        matches!(*error.kind, RunErrorKind::Unreachable(_)),
        "{error}"
    );
}

/// A lost connection looks like the end of the input: a part of a file must not take the place of the whole.
#[tokio::test]
async fn half_a_file_replaces_nothing() {
    let here = LocalHost::new("here".parse().unwrap());
    let dir = tempfile::tempdir().unwrap();
    let text = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
    fs::write(text("state"), "old").unwrap();
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/src/ssh/write.sh");
    let write = Command::new("sh")
        .args([script.into(), text(""), text(".state.new"), text("state")])
        .args(["600", "100"]);
    let half = write.clone().stdin(Stdin::Bytes(vec![b'n'; 50]));
    let error = here.run(&half).await.unwrap_err();
    assert!(error.to_string().contains("the input broke off"), "{error}");
    assert_eq!(fs::read(text("state")).unwrap(), b"old");
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    here.run(&write.stdin(Stdin::Bytes(vec![b'n'; 100])))
        .await
        .unwrap();
    assert_eq!(fs::read(text("state")).unwrap(), vec![b'n'; 100]);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs sshd"]
async fn a_secret_is_in_no_argument_and_no_error() {
    const SECRET: &str = "correct-horse-battery";
    let sshd = Sshd::start().await;
    let (host, dir) = (sshd.host(), tempfile::tempdir().unwrap());
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let watch = scope.spawn(|| {
            let mut writers = 0_u32;
            while !done.load(Ordering::Relaxed) {
                for process in fs::read_dir("/proc").unwrap().flatten() {
                    let words = fs::read(process.path().join("cmdline")).unwrap_or_default();
                    let words = String::from_utf8_lossy(&words);
                    writers += u32::from(words.contains("broke off"));
                    assert!(!words.contains(SECRET), "{words}");
                }
            }
            writers
        });
        let write = async {
            for _ in 0..20 {
                let key = File::secret(dir.path().join("key"), SECRET);
                host.write_file(&key).await.unwrap();
            }
        };
        tokio::task::block_in_place(|| tokio::runtime::Handle::current().block_on(write));
        done.store(true, Ordering::Relaxed);
        assert!(watch.join().unwrap() > 0, "the watcher saw no write");
    });
    let error = host
        .write_file(&File::secret("/proc/no/key", SECRET))
        .await
        .unwrap_err();
    let shown = format!(
        "{error:?} {error} {}",
        std::error::Error::source(&error).unwrap()
    );
    assert!(
        shown.contains("cannot write /proc/no/key") && !shown.contains(SECRET),
        "{shown}"
    );
    host.disconnect().await.unwrap();
}
