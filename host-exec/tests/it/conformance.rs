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
    writes_many_at_once(host, &dir.join("batch")).await;
    replaces_files_as_a_whole(host, &dir.join("whole")).await;
    refuses_bad_paths(host, dir).await;
    tells_the_time(host).await;
}

async fn tells_the_time(host: &dyn Host) {
    // All of them have the clock of this machine.
    let before = time::OffsetDateTime::now_utc().unix_timestamp();
    let told = host_exec::clock(host).await.unwrap().unix_timestamp();
    let after = time::OffsetDateTime::now_utc().unix_timestamp();
    assert!((before..=after).contains(&told), "{before} {told} {after}");
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
                let small = ["a", "b"].map(|name| File::secret(dir.join(name), "kkk"));
                host.write_files(&small.each_ref()).await.unwrap();
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

    compares_whatever_is_there(host, dir).await;

    host.remove_file(&text.path).await.unwrap();
    host.remove_file(&text.path).await.unwrap();
    host.remove_file(&dir.join("never/was")).await.unwrap();
    assert_eq!(host.read_file(&text.path).await.unwrap(), None);
}

/// Many at once, with names that a listing could break on, and things in their places that are no files.
async fn compares_whatever_is_there(host: &dyn Host, dir: &Path) {
    let dir = dir.join("many");
    let named = |name: &str| File::public(dir.join(name), name);
    let odd = ["a\nb", "it's", "back\\slash", " ", "-n", "*", "ä"];
    let wanted: Vec<File> = (0..130).map(|n| named(&format!("f{n}"))).collect();
    let wanted: Vec<File> = odd.into_iter().map(named).chain(wanted).collect();
    assert_eq!(
        host.compare(&wanted).await.unwrap(),
        vec![Some(Drift::Missing); wanted.len()]
    );
    files::ensure(host, &wanted).await.unwrap();
    host.remove_file(&wanted[9].path).await.unwrap();
    let link = ["-s", "nowhere", wanted[9].path.to_str().unwrap()];
    host.run(&Command::new("ln").args(link)).await.unwrap();
    host.write_file(&named("f100").with_mode(Mode::new(0o640)))
        .await
        .unwrap();
    host.write_file(&File::public(&wanted[0].path, "x"))
        .await
        .unwrap();
    let mut expected = vec![None; wanted.len()];
    expected[0] = Some(Drift::Contents);
    expected[9] = Some(Drift::Missing);
    expected[odd.len() + 100] = Some(Drift::Mode);
    assert_eq!(host.compare(&wanted).await.unwrap(), expected);
    assert_eq!(host.compare(&[]).await.unwrap(), []);

    let below = File::public(wanted[1].path.join("x"), "");
    let drift = host.compare(std::slice::from_ref(&below)).await.unwrap();
    assert_eq!(drift, [Some(Drift::Missing)]);
    // What cannot be examined is named, whoever stands before it.
    let files = [wanted[1].clone(), File::public(&dir, "")];
    let error = host.compare(&files).await.unwrap_err();
    assert_eq!(error.path, dir);
}

/// Contents and modes that a script could break on, many at once.
async fn writes_many_at_once(host: &dyn Host, dir: &Path) {
    let every: Vec<u8> = (1..=255).collect();
    let contents = [
        &b""[..],
        b"\n",
        b"no end of line",
        b"two\n\n",
        b"  blanks \t ",
        br"\0041 \n \c %s %b",
        b"-n",
        b"$HOME `id` 'x' \"y\" !",
        b"\xff\xfe",
        &every,
        &vec![b'x'; 32 * 1024],
        &vec![b'\n'; 40 * 1024],
        &(0..=255).collect::<Vec<u8>>(),
    ];
    let modes = [
        0o644, 0o600, 0o755, 0o640, 0o4755, 0o400, 0o444, 0o1666, 0o666,
    ];
    let wanted: Vec<File> = (0..130)
        .map(|n| {
            let bytes = contents[n % contents.len()];
            let file = File::secret(dir.join(format!("{}/.f {n}", n % 7)), bytes);
            file.with_mode(Mode::new(modes[n % modes.len()]))
        })
        .collect();
    let refs: Vec<&File> = wanted.iter().collect();
    // Once anew, once in the place of what is there and of what a killed run left.
    for _ in 0..2 {
        host.write_files(&refs).await.unwrap();
        for file in &wanted {
            let found = host.read_file(&file.path).await.unwrap().unwrap();
            assert!(found == file.contents.bytes(), "{:?}", file.path);
            let mode = host.file_mode(&file.path).await.unwrap();
            assert_eq!(mode, Some(file.mode), "{:?}", file.path);
        }
        let left = File::public(dir.join("0/..f 0.new"), "left").with_mode(Mode::new(0o666));
        host.write_file(&left).await.unwrap();
    }
    let inside = dir.join("0");
    assert_eq!(
        host.file_mode(&inside).await.unwrap(),
        Some(Mode::EXECUTABLE)
    );
    let bad = [&wanted[0], &File::public(&inside, ""), &wanted[1]];
    let error = host.write_files(&bad).await.unwrap_err();
    assert_eq!(error.path, inside);
    host.write_files(&[]).await.unwrap();
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
