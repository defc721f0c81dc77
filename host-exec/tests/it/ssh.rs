//! A host behind `ssh`.

use crate::{conformance, sshd::Sshd};
use host_exec::{Command, ControlDirectory, File, Host, LocalHost, SshDestination, SshHost, Stdin};
use std::{
    fs,
    net::TcpListener,
    os::unix::fs::PermissionsExt,
    sync::atomic::{AtomicBool, Ordering},
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
fn destinations_are_read_from_uris_and_shown_plainly() {
    for (uri, plain) in [
        ("ssh://root@host", "root@host"),
        ("ssh://host/", "host"),
        ("ssh://192.0.2.1:2222", "192.0.2.1:2222"),
        ("ssh://a@[2001:db8::1]", "a@2001:db8::1"),
        ("ssh://a@[2001:db8::1]:22/", "a@[2001:db8::1]:22"),
    ] {
        let read: SshDestination = uri.parse().unwrap();
        assert_eq!(read, plain.parse().unwrap(), "{uri}");
        assert_eq!(read.to_string(), plain);
    }
}

#[test]
fn uris_that_say_more_than_where_are_refused_and_show_no_password() {
    for (bad, problem) in [
        (
            "ssh://root:hunter2@host",
            "ssh://root:...@host\" has a password",
        ),
        (
            "ssh://root:hunter2@host:22/x",
            "ssh://root:...@host:22/x\" has a path",
        ),
        (
            "root:hunter2@host",
            "\"root:...@host\" has a user that is no plain word",
        ),
        ("ssh://host/etc/passwd", "has a path"),
        ("ssh://host//", "has a path"),
        ("ssh://host?x", "no plain host name"),
        ("ssh://2001:db8::1", "IPv6 address without brackets"),
        ("ssh://", "no plain host name"),
        ("ssh://@host", "no plain word"),
        ("ssh://host:", "not 1 to 65535"),
        ("ssh://-oProxyCommand=x", "no plain host name"),
        ("ssh://a%40b@host", "no plain word"),
        ("SSH://host", "no"),
        ("https://host", "no"),
    ] {
        let error = bad.parse::<SshDestination>().unwrap_err().to_string();
        assert!(error.contains(problem), "{error}");
        assert!(!error.contains("hunter2"), "{error}");
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
    let host = SshHost::new(
        "far".parse().unwrap(),
        "root@h:2222".parse().unwrap(),
        control,
    );
    let shown = host
        .enter(&Command::new("id").arg("-u").env("A", "b c"))
        .join("\n")
        + "\n";
    assert_eq!(shown, include_str!("../data/ssh_arguments.txt"));
    let inner = SshHost::new(
        "cp-0".parse().unwrap(),
        "10.0.0.1".parse().unwrap(),
        ControlDirectory::new("/tmp/cm").unwrap(),
    )
    .with_config_file("/dev/null")
    .with_identity_file("/tmp/the lab/key")
    .with_known_hosts_file("/tmp/the lab/known")
    .with_host_key_alias("cp-0".parse().unwrap())
    .through(&host);
    let shown = inner.enter(&Command::new("id")).join("\n") + "\n";
    assert_eq!(shown, include_str!("../data/ssh_arguments_through.txt"));
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
    let host = SshHost::new("far".parse().unwrap(), "h".parse().unwrap(), control);
    let error = host
        .output(&Command::new("true"))
        .await
        .unwrap_err()
        .to_string();
    assert!(error.contains("writable by nobody else"), "{error}");
}

/// Somebody else may have put a socket there under the right name.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs sshd"]
async fn a_control_directory_opened_to_others_is_refused_from_then_on() {
    let sshd = Sshd::start().await;
    let host = sshd.host();
    host.run(&Command::new("true")).await.unwrap();
    let control = sshd.dir.path().join("cm");
    fs::set_permissions(&control, fs::Permissions::from_mode(0o777)).unwrap();
    let error = host.run(&Command::new("true")).await.unwrap_err();
    assert!(
        error.to_string().contains("writable by nobody else"),
        "{error}"
    );
    host.disconnect().await.unwrap();
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
                let twice = ["a", "b"].map(|name| File::secret(dir.path().join(name), SECRET));
                host.write_files(&twice.each_ref()).await.unwrap();
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
