//! A host for these tests: the programs by their names, in namespaces that end with the value.

use nix::sched::{CloneFlags, setns};
use std::{
    fs::{self, File},
    io::{BufRead as _, BufReader, Write as _},
    os::unix::fs::symlink,
    path::PathBuf,
    process::{Child, ChildStdin, Command, Stdio},
    thread,
};

/// A process that is left alone in namespaces of its own, and ends when its input does.
pub(crate) struct Namespace {
    child: Child,
    input: Option<ChildStdin>,
}

impl Namespace {
    /// Runs this constant script with arguments in namespaces of its own; it says `ready` when it is.
    pub(crate) fn new(script: &str, arguments: &[&str]) -> Self {
        let mut command = command("unshare");
        command.args(["--net", "--mount", "--propagation", "private"]);
        command.args(["sh", "-ec", script, "sh"]).args(arguments);
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("unshare(1) is there");
        let input = child.stdin.take();
        let mut line = String::new();
        let output = child.stdout.take().expect("a pipe");
        BufReader::new(output).read_line(&mut line).expect("a line");
        assert_eq!(line, "ready\n", "the namespace is not ready");
        Self { child, input }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// A command in it.
    pub(crate) fn command(&self, program: &str) -> Command {
        let mut command = command("nsenter");
        let pid = self.pid().to_string();
        command.args(["--target", &pid, "--net", "--mount", "--", program]);
        command
    }

    /// Does this in its network, on a thread of its own.
    pub(crate) fn inside<T: Send>(&self, act: impl FnOnce() -> T + Send) -> T {
        let path = format!("/proc/{}/ns/net", self.pid());
        let network = File::open(path).expect("it runs");
        let entered = || {
            setns(network, CloneFlags::CLONE_NEWNET).expect("root enters a namespace");
            act()
        };
        thread::scope(|scope| scope.spawn(entered).join().expect("no panic"))
    }

    /// Runs ip(8) in it.
    pub(crate) fn ip(&self, words: &str) {
        let status = self.command("ip").args(words.split(' ')).status();
        assert!(status.expect("nsenter(1) is there").success(), "ip {words}");
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        drop(self.input.take());
        self.child.wait().expect("it ends with its input");
    }
}

/// The host: em0 with 192.0.2.2/24 and 2001:db8::2/64.
pub(crate) struct Host {
    pub(crate) namespace: Namespace,
    directory: tempfile::TempDir,
}

/// What a program said.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Said {
    pub(crate) out: String,
    pub(crate) err: String,
    pub(crate) status: i32,
}

/// What it hides below /var may be where the program lies: so that is bound to another place before.
const HOST: &str = r#"
mount --bind "$2" "$1/bin/freebsd-host"
mount -t tmpfs none /var
mkdir -p /var/db/freebsd-host
mount --bind "$1/world" /var/db/freebsd-host
mount --bind "$1/etc" /etc
"$1/bin/freebsd-host-net" prepare
ip link set lo up
ip link add em0 address 58:9c:fc:00:00:ff type bridge
echo 0 >/proc/sys/net/ipv6/conf/em0/disable_ipv6
ip link set em0 up
ip addr add 192.0.2.2/24 dev em0
ip addr add 2001:db8::2/64 dev em0 nodad
ip route add default via 192.0.2.1
ip route add default via 2001:db8::1
echo ready
exec cat
"#;

const PROGRAMS: [&str; 7] = [
    "freebsd-host-net",
    "ifconfig",
    "netstat",
    "pfctl",
    "route",
    "sysctl",
    "sysrc",
];

impl Host {
    pub(crate) fn new() -> Self {
        let directory = tempfile::tempdir_in("/tmp").expect("a directory");
        let root = directory.path();
        for name in ["world", "etc", "bin"] {
            fs::create_dir(root.join(name)).expect("a new directory");
        }
        for name in PROGRAMS {
            let link = root.join("bin").join(name);
            symlink("freebsd-host", link).expect("a new link");
        }
        File::create(root.join("bin/freebsd-host")).expect("a new file");
        let root = root.to_str().expect("a path of UTF-8");
        let namespace = Namespace::new(HOST, &[root, env!("CARGO_BIN_EXE_freebsd-host")]);
        Self {
            namespace,
            directory,
        }
    }

    fn program(&self, name: &str) -> Command {
        let path = self.directory.path().join("bin").join(name);
        self.namespace
            .command(path.to_str().expect("a path of UTF-8"))
    }

    /// A file of the host's /etc.
    pub(crate) fn etc(&self, name: &str) -> PathBuf {
        self.directory.path().join("etc").join(name)
    }

    /// A file of its world.
    pub(crate) fn world(&self, name: &str) -> PathBuf {
        self.directory.path().join("world").join(name)
    }

    /// Runs a program with this input.
    pub(crate) fn run_with(&self, words: &[&str], input: &str) -> Said {
        let mut command = self.program(words[0]);
        command.args(&words[1..]).stdin(Stdio::piped());
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("nsenter(1) is there");
        let mut pipe = child.stdin.take().expect("a pipe");
        pipe.write_all(input.as_bytes())
            .expect("it reads its input");
        drop(pipe);
        let output = child.wait_with_output().expect("it ends");
        Said {
            out: String::from_utf8(output.stdout).expect("text"),
            err: String::from_utf8(output.stderr).expect("text"),
            status: output.status.code().expect("an end without a signal"),
        }
    }

    /// Runs a program, its words parted by blanks.
    pub(crate) fn run(&self, words: &str) -> Said {
        let words: Vec<&str> = words.split(' ').collect();
        self.run_with(&words, "")
    }

    /// Runs a program that must succeed; its output.
    #[track_caller]
    pub(crate) fn ok(&self, words: &str) -> String {
        let said = self.run(words);
        assert_eq!((said.status, said.err.as_str()), (0, ""), "{words}");
        said.out
    }

    /// A process that holds a tap as bhyve(8) does, with the other end in this namespace, until it is dropped.
    pub(crate) fn hold(&self, tap: &str, guest: &Namespace, name: &str, mac: &str) -> Holder {
        let mut command = self.program("freebsd-host-net");
        command.args(["hold", tap, &guest.pid().to_string(), name, mac]);
        let mut child = command
            .stdin(Stdio::piped())
            .spawn()
            .expect("nsenter(1) is there");
        let holder = Holder {
            input: child.stdin.take(),
            child,
        };
        let opened = format!("Opened by PID {}\n", holder.child.id());
        wait_for(|| self.ok(&format!("ifconfig {tap}")).contains(&opened));
        holder
    }
}

/// It holds a tap until it is dropped.
pub(crate) struct Holder {
    pub(crate) child: Child,
    input: Option<ChildStdin>,
}

impl Drop for Holder {
    fn drop(&mut self) {
        drop(self.input.take());
        self.child.wait().expect("it ends with its input");
    }
}

/// Asks again, for ten seconds at most.
#[track_caller]
pub(crate) fn wait_for(mut is_so: impl FnMut() -> bool) {
    let start = std::time::Instant::now();
    while !is_so() {
        assert!(start.elapsed().as_secs() < 10, "it has not come to that");
        std::thread::yield_now();
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "the programs run in namespaces of this machine"
)]
fn command(program: &str) -> Command {
    Command::new(program)
}
