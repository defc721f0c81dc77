//! What every host has to do, whatever it is made of: one function, called for each of them.

use crate::LONG;
use host_exec::{
    Command, File, FileErrorKind, Host, Mode, RunErrorKind, Status, Stdin,
    files::{self, Drift},
};
use std::{
    fs,
    io::ErrorKind,
    net::{SocketAddr, TcpListener},
    os::unix::fs::PermissionsExt,
    path::Path,
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, Instant},
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// All cases on one host; `dir` is an empty directory there.
pub(crate) async fn check(host: &dyn Host, dir: &Path) {
    runs_programs(host).await;
    passes_every_word_as_it_is(host).await;
    says_why_a_program_did_not_run(host).await;
    ends_what_takes_too_long(host, dir).await;
    carries_much_both_ways(host).await;
    keeps_files(host, &dir.join("files")).await;
    replaces_files_as_a_whole(host, &dir.join("whole")).await;
    refuses_bad_paths(host, dir).await;
}

/// The cases of [`Host::dial`]; `listener` listens where `host` sees `address`.
pub(crate) async fn check_dial(host: &dyn Host, listener: TcpListener, address: SocketAddr) {
    let serve = std::thread::spawn(move || {
        use std::io::{Read, Write};
        let (mut socket, _) = listener.accept().unwrap();
        let mut heard = String::new();
        socket.read_to_string(&mut heard).unwrap();
        socket.write_all(heard.to_uppercase().as_bytes()).unwrap();
    });
    let mut stream = host.dial(address, LONG).await.unwrap();
    stream.write_all(b"hello").await.unwrap();
    stream.shutdown().await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert_eq!(answer, "HELLO");
    serve.join().unwrap();

    // The listener is gone with its thread.
    let error = host.dial(address, LONG).await.err().unwrap();
    assert_eq!(
        error.source.kind(),
        ErrorKind::ConnectionRefused,
        "{error:?}"
    );
    assert_eq!(error.address, address);
}

/// Looks at a directory of this machine all the time while `host` writes a secret into it again and again:
/// no name is ever seen that is open to others, not even for a moment.
pub(crate) async fn check_secrets_stay_closed(host: &dyn Host, dir: &Path, writes: u32) {
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let watch = scope.spawn(|| {
            let mut looks = 0_u32;
            while !done.load(Ordering::Relaxed) {
                for entry in fs::read_dir(dir).unwrap().flatten() {
                    // Between the listing and the look the name may have become another.
                    let Ok(found) = entry.metadata() else {
                        continue;
                    };
                    looks += 1;
                    assert_eq!(found.permissions().mode() & 0o077, 0, "{entry:?}");
                }
            }
            looks
        });
        let write = async {
            for _ in 0..writes {
                let key = File::secret(dir.join("key"), vec![b'k'; 100_000]);
                host.write_file(&key).await.unwrap();
            }
        };
        tokio::task::block_in_place(|| tokio::runtime::Handle::current().block_on(write));
        done.store(true, Ordering::Relaxed);
        assert!(watch.join().unwrap() > 100, "the watcher saw nothing");
    });
}

async fn runs_programs(host: &dyn Host) {
    let output = host.run(&Command::new("echo").arg("a b")).await.unwrap();
    assert_eq!(
        (output.status, output.stdout_text().as_ref()),
        (Status::Exited(0), "a b\n")
    );

    let both = Command::new("sh").args(["-c", "echo out; echo err >&2; exit 3"]);
    let output = host.output(&both).await.unwrap();
    assert_eq!(output.status, Status::Exited(3));
    assert_eq!(
        (output.stdout.as_slice(), output.stderr.as_slice()),
        (&b"out\n"[..], &b"err\n"[..])
    );
    let error = host.run(&both).await.unwrap_err().to_string();
    for part in [host.name().as_str(), "exit 3", "exit status 3", "err"] {
        assert!(error.contains(part), "no {part:?} in {error}");
    }

    // The status that ssh also uses for itself.
    let output = host
        .output(&Command::new("sh").args(["-c", "exit 255"]))
        .await
        .unwrap();
    assert_eq!(output.status, Status::Exited(255));

    let killed = Command::new("sh").args(["-c", "kill -9 $$"]);
    let status = host.output(&killed).await.unwrap().status;
    assert!(
        matches!(status, Status::Signalled(9) | Status::Exited(137)),
        "{status}"
    );

    let secret = Stdin::Secret(b"hunter2".to_vec().into());
    let output = host.run(&Command::new("cat").stdin(secret)).await.unwrap();
    assert_eq!(output.stdout, b"hunter2");
    // A program that does not read its input is no failure.
    host.run(&Command::new("true").stdin(Stdin::Bytes(vec![0; 1 << 20])))
        .await
        .unwrap();
}

async fn passes_every_word_as_it_is(host: &dyn Host) {
    let words = [
        "", " ", "it's", "$HOME", "`id`", "a\nb", "*", "\\", "-n", "!x", "~", "ä\t\"", "#",
    ];
    let print = Command::new("printf").arg("%s|").args(words);
    let expected: String = words.iter().map(|word| format!("{word}|")).collect();
    assert_eq!(host.run(&print).await.unwrap().stdout_text(), expected);

    let value = "two words; $PATH 'x'\n";
    let print = Command::new("printenv")
        .arg("LAB_TEST")
        .env("LAB_TEST", value);
    assert_eq!(
        host.run(&print).await.unwrap().stdout_text(),
        format!("{value}\n")
    );
}

async fn says_why_a_program_did_not_run(host: &dyn Host) {
    for missing in ["lab-no-such-program", "/nonexistent/program"] {
        let error = host.output(&Command::new(missing)).await.unwrap_err();
        assert!(matches!(*error.kind, RunErrorKind::NotFound), "{error}");
    }
    let error = host.output(&Command::new("/etc/passwd")).await.unwrap_err();
    let RunErrorKind::Io(cause) = &*error.kind else {
        panic!("{error}")
    };
    assert_eq!(cause.kind(), ErrorKind::PermissionDenied);
    // The same numbers from the program itself mean nothing.
    let output = host
        .output(&Command::new("sh").args(["-c", "exit 127"]))
        .await
        .unwrap();
    assert_eq!(output.status, Status::Exited(127));
}

async fn ends_what_takes_too_long(host: &dyn Host, dir: &Path) {
    // A child of a child, which holds the pipes open and writes its own mark when it is left alone.
    let mark = dir.join("mark");
    let script = r#"echo begun >&2; (sleep 4; : > "$0") & wait"#;
    let slow = Command::new("sh").args(["-c", script, mark.to_str().unwrap()]);
    let started = Instant::now();
    let limit = Duration::from_millis(500);
    let error = host.output(&slow.timeout(limit)).await.unwrap_err();
    assert!(
        started.elapsed() < Duration::from_secs(3),
        "{:?}",
        started.elapsed()
    );
    let RunErrorKind::TimedOut { after, stderr_tail } = &*error.kind else {
        panic!("{error}")
    };
    assert_eq!((*after, stderr_tail.as_str()), (limit, "begun"));
    // One that would have finished after it shows that the first was killed, not only left.
    host.run(&Command::new("sleep").arg("5")).await.unwrap();
    assert_eq!(
        host.file_mode(&mark).await.unwrap(),
        None,
        "the killed program went on"
    );
}

async fn carries_much_both_ways(host: &dyn Host) {
    let input = vec![b'x'; 3 << 20];
    // More than a pipe holds, on both outputs at the same time.
    let both = Command::new("sh")
        .args(["-c", "tee /dev/stderr"])
        .stdin(Stdin::Bytes(input));
    let output = host.run(&both).await.unwrap();
    assert_eq!(
        (output.stdout.len(), output.stderr.len()),
        (3 << 20, 3 << 20)
    );
}

async fn keeps_files(host: &dyn Host, dir: &Path) {
    let text = File::public(dir.join("a/b/motd"), "hello\n");
    let key = File::secret(dir.join("key's $1"), vec![0_u8, 255, b'\n']);
    let tool = File::public(dir.join("tool"), "#!/bin/sh\n").with_mode(Mode::new(0o4755));
    let empty = File::public(dir.join("empty"), "");
    let wanted = [text.clone(), key.clone(), tool, empty];

    assert_eq!(
        host.read_file(&text.path).await.unwrap(),
        None,
        "no directory either"
    );
    assert_eq!(host.file_mode(&text.path).await.unwrap(), None);
    assert_eq!(
        files::ensure(host, &wanted).await.unwrap().len(),
        wanted.len()
    );
    assert_eq!(files::observe(host, &wanted).await.unwrap(), []);
    assert_eq!(
        host.read_file(&text.path.join("x")).await.unwrap(),
        None,
        "below a file"
    );
    for file in &wanted {
        assert_eq!(host.file_mode(&file.path).await.unwrap(), Some(file.mode));
        assert_eq!(
            host.read_file(&file.path).await.unwrap().unwrap(),
            file.contents.bytes()
        );
    }
    assert_eq!(
        host.file_mode(&dir.join("a")).await.unwrap(),
        Some(Mode::EXECUTABLE)
    );

    let changed = [
        File::public(&text.path, "bye\n"),
        key.with_mode(Mode::new(0o400)),
    ];
    let drift = files::observe(host, &changed).await.unwrap();
    assert_eq!(
        drift.iter().map(|(_, d)| *d).collect::<Vec<_>>(),
        [Drift::Contents, Drift::Mode]
    );
    assert_eq!(files::ensure(host, &changed).await.unwrap().len(), 2);
    assert_eq!(files::observe(host, &changed).await.unwrap(), []);

    host.remove_file(&text.path).await.unwrap();
    host.remove_file(&text.path).await.unwrap();
    host.remove_file(&dir.join("never/was")).await.unwrap();
    assert_eq!(host.read_file(&text.path).await.unwrap(), None);
}

async fn replaces_files_as_a_whole(host: &dyn Host, dir: &Path) {
    let path = dir.join("state");
    host.write_file(&File::public(&path, "old")).await.unwrap();
    // What a killed run left behind, open to all: the next run must not write its secret into that.
    let left = dir.join(".state.new");
    host.write_file(&File::public(&left, "left").with_mode(Mode::new(0o666)))
        .await
        .unwrap();
    // A second name of the old file shows whether a new file took its place.
    let (old, second) = (path.to_str().unwrap(), dir.join("second"));
    host.run(&Command::new("ln").args([old, second.to_str().unwrap()]))
        .await
        .unwrap();
    host.write_file(&File::secret(&path, "new")).await.unwrap();
    assert_eq!(host.read_file(&second).await.unwrap().unwrap(), b"old");
    assert_eq!(host.read_file(&path).await.unwrap().unwrap(), b"new");
    assert_eq!(host.file_mode(&path).await.unwrap(), Some(Mode::SECRET));
    assert_eq!(
        host.file_mode(&left).await.unwrap(),
        None,
        "nothing is left over"
    );

    // A symbolic link is replaced, not written through.
    let (link, target) = (dir.join("link"), second.to_str().unwrap());
    host.run(&Command::new("ln").args(["-s", target, link.to_str().unwrap()]))
        .await
        .unwrap();
    assert_eq!(host.read_file(&link).await.unwrap().unwrap(), b"old");
    host.write_file(&File::public(&link, "mine")).await.unwrap();
    assert_eq!(host.read_file(&second).await.unwrap().unwrap(), b"old");
    assert_eq!(host.read_file(&link).await.unwrap().unwrap(), b"mine");
}

async fn refuses_bad_paths(host: &dyn Host, dir: &Path) {
    for bad in [Path::new("relative"), &dir.join("../up"), Path::new("/")] {
        let error = host
            .write_file(&File::secret(bad, "hunter2"))
            .await
            .unwrap_err();
        let FileErrorKind::Io(cause) = &*error.kind else {
            panic!("{error:?}")
        };
        assert_eq!(cause.kind(), ErrorKind::InvalidInput, "{bad:?}");
        assert!(!format!("{error:?}").contains("hunter2"));
    }
    for error in [
        host.write_file(&File::public(dir, "a directory is there"))
            .await
            .err(),
        host.read_file(dir).await.err(),
        host.remove_file(dir).await.err(),
    ] {
        let error = error.expect("a directory is no file");
        assert!(
            error
                .to_string()
                .starts_with(&format!("{}: cannot ", host.name())),
            "{error}"
        );
    }
}
