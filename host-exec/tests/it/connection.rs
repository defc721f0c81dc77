//! The shared connection: one for all, lost, stuck, opened again, and through another host.

use crate::{LONG, conformance, sshd::Sshd};
use host_exec::{
    Command, Host, LocalHost, Output, RunErrorKind, Status, escape,
    poll::{self, Attempt},
};
use std::{
    convert::Infallible,
    fs,
    io::ErrorKind,
    net::TcpListener,
    os::unix::net::UnixStream,
    path::PathBuf,
    time::{Duration, Instant},
};

/// The account's own login scripts may speak (pyenv does when thirty of them run at once); ssh may not.
fn no_complaint(output: &Output) {
    let said = output.stderr_text();
    let of_ssh = ["ssh", "mux_client", "channel", "ControlSocket", "Warning"];
    let complaint = said
        .lines()
        .find(|line| of_ssh.iter().any(|name| line.starts_with(name)));
    assert_eq!(complaint, None, "{said}");
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
        no_complaint(&output);
    }
    assert_eq!(sshd.logins(), 1);
    host.disconnect().await.unwrap();
}

#[tokio::test]
#[ignore = "needs sshd"]
async fn a_host_that_cannot_be_reached_says_why() {
    let mut sshd = Sshd::start().await;
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

/// A part of the work of a cut command may be done: it is told, and never done again unasked.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs sshd"]
async fn a_cut_command_is_not_repeated() {
    let sshd = Sshd::start().await;
    let host = sshd.host();
    let mark = sshd.dir.path().join("mark");
    let script = r#"echo once >> "$0"; exec sleep 15"#;
    let once = Command::new("sh").args(["-c", script, mark.to_str().unwrap()]);
    let cut = async {
        let wait = poll::Wait::new("begin of the command", LONG);
        let begun = poll::until(&wait, || async {
            Ok::<_, Infallible>(match mark.exists() {
                true => Attempt::Ready(()),
                false => Attempt::NotYet("nothing".into()),
            })
        });
        begun.await.unwrap();
        sshd.signal_sessions("-KILL").await;
    };
    let (ended, ()) = tokio::join!(host.output(&once), cut);
    let error = ended.unwrap_err();
    assert!(
        matches!(*error.kind, RunErrorKind::Unreachable(_)),
        "{error}"
    );
    host.run(&Command::new("true")).await.unwrap();
    assert_eq!(fs::read_to_string(&mark).unwrap(), "once\n");
    host.disconnect().await.unwrap();
}

/// The process that holds the shared connection, and its socket.
async fn holder(sshd: &Sshd) -> (String, PathBuf) {
    let mut sockets = fs::read_dir(sshd.dir.path().join("cm")).unwrap();
    let socket = sockets.next().unwrap().unwrap().path();
    let here = LocalHost::new("here".parse().unwrap());
    let check = Command::new("ssh").args(["-F", "/dev/null", "-O", "check", "-S"]);
    let check = check.args([socket.to_str().unwrap(), "anywhere"]);
    // Master running (pid=4711)
    let said = here.run(&check).await.unwrap().stderr_text().into_owned();
    let (_, pid) = said.split_once("pid=").unwrap();
    (pid.split(')').next().unwrap().to_owned(), socket)
}

async fn signal(pid: &str, signal: &str) {
    let here = LocalHost::new("here".parse().unwrap());
    here.run(&Command::new("kill").args([signal, pid]))
        .await
        .unwrap();
}

/// A killed `ssh` leaves its socket: of many commands one opens the connection again, and none complains.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs sshd"]
async fn a_stale_socket_is_replaced_once() {
    let sshd = Sshd::start().await;
    let host = sshd.host();
    host.run(&Command::new("true")).await.unwrap();
    let (pid, socket) = holder(&sshd).await;
    signal(&pid, "-KILL").await;
    let wait = poll::Wait::new("end of ssh", LONG);
    let dead = poll::until(&wait, || async {
        Ok::<_, Infallible>(match UnixStream::connect(&socket) {
            Ok(_) => Attempt::NotYet("it answers".into()),
            Err(e) if e.kind() == ErrorKind::ConnectionRefused => Attempt::Ready(()),
            Err(e) => Attempt::NotYet(e.to_string()),
        })
    });
    dead.await.unwrap();
    let jobs: Vec<_> = (0..20)
        .map(|_| {
            let host = host.clone();
            tokio::spawn(async move { host.run(&Command::new("true")).await })
        })
        .collect();
    for job in jobs {
        no_complaint(&job.await.unwrap().unwrap());
    }
    assert_eq!(sshd.logins(), 2);
    host.disconnect().await.unwrap();
}

/// An `ssh` that is stuck answers nobody: that is found out in bounded time, and it is left alone then.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs sshd"]
async fn a_stuck_connection_is_given_up() {
    let sshd = Sshd::start().await;
    let host = sshd.host();
    host.run(&Command::new("true")).await.unwrap();
    let (pid, _) = holder(&sshd).await;
    signal(&pid, "-STOP").await;
    let started = Instant::now();
    let command = Command::new("true").timeout(Duration::from_secs(1));
    let error = host.output(&command).await.unwrap_err();
    assert!(
        matches!(&*error.kind, RunErrorKind::Unreachable(why) if why.contains("does not answer")),
        "{error}"
    );
    assert!(started.elapsed() < Duration::from_secs(9));
    host.run(&Command::new("true")).await.unwrap();
    signal(&pid, "-KILL").await;
    host.run(&Command::new("true")).await.unwrap();
    assert_eq!(sshd.logins(), 2);
    // A connection through it finds out as well.
    let (pid, _) = holder(&sshd).await;
    signal(&pid, "-STOP").await;
    let address = "127.0.0.1:1".parse().unwrap();
    let dialled = host.dial(address, Duration::from_secs(1)).await;
    assert_eq!(dialled.err().unwrap().source.kind(), ErrorKind::TimedOut);
    host.run(&Command::new("true")).await.unwrap();
    signal(&pid, "-KILL").await;
    assert_eq!(sshd.logins(), 3);
    host.disconnect().await.unwrap();
}

/// With a terminal of its own, made by script(1), and with whatever this test has.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs sshd"]
async fn interactive_programs_have_a_terminal_and_tell_their_status() {
    let sshd = Sshd::start().await;
    let host = sshd.host();
    host.run(&Command::new("true")).await.unwrap();
    let program = Command::new("sh").args(["-c", "test -t 0 && test -t 1 && exit 7"]);
    let words = host.enter(&program.interactive());
    let words: Vec<_> = words.iter().map(|word| escape::quote(word)).collect();
    let line = format!("ssh {}", words.join(" "));
    let here = LocalHost::new("here".parse().unwrap());
    let script = Command::new("script").args(["-q", "-e", "-c", &line, "/dev/null"]);
    let output = here.output(&script).await.unwrap();
    assert_eq!(output.status, Status::Exited(7), "{output:?}");
    let plain = Command::new("sh").args(["-c", "exit 9"]).interactive();
    let output = host.output(&plain).await.unwrap();
    assert_eq!(output.status, Status::Exited(9));
    host.disconnect().await.unwrap();
}

/// Two servers, one reached by way of the other; the second has a key and known hosts of its own.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs sshd"]
async fn a_host_is_reached_through_another() {
    let (mut outer, mut inner) = (Sshd::start().await, Sshd::start().await);
    let jump = outer.host();
    let host = inner.host().through(&jump);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    conformance::check_dial(&host, listener, address).await;
    let words = ["a b", "$HOME", "it's", "!", "a\nb", "%h"];
    let print = Command::new("printf").arg("%s|").args(words);
    let output = host.run(&print).await.unwrap();
    assert_eq!(
        output.stdout_text(),
        words.map(|w| format!("{w}|")).concat()
    );
    // Both are one login, and the second came by way of the first.
    let jobs: Vec<_> = (0..10)
        .map(|_| {
            let host = host.clone();
            tokio::spawn(async move { host.run(&Command::new("true")).await })
        })
        .collect();
    for job in jobs {
        job.await.unwrap().unwrap();
    }
    assert_eq!((outer.logins(), inner.logins()), (1, 1));

    // With the jump's connection everything over it is lost; the next call opens both again.
    let running = tokio::spawn({
        let host = host.clone();
        async move { host.output(&Command::new("sleep").arg("15")).await }
    });
    host.run(&Command::new("sleep").arg("0.3")).await.unwrap();
    outer.signal_sessions("-KILL").await;
    let error = running.await.unwrap().unwrap_err();
    assert!(
        matches!(*error.kind, RunErrorKind::Unreachable(_)),
        "{error}"
    );
    host.run(&Command::new("true")).await.unwrap();
    assert_eq!((outer.logins(), inner.logins()), (2, 2));

    inner.stop().await;
    let error = host.output(&Command::new("true")).await.unwrap_err();
    assert!(error.to_string().contains("by way of far: "), "{error}");
    jump.disconnect().await.unwrap();
    outer.stop().await;
    // What fails on the way is told of the host on the way.
    let error = host.output(&Command::new("true")).await.unwrap_err();
    assert!(error.to_string().contains("Connection refused"), "{error}");
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
