//! A host made of files and stand-ins, one per test.

use bhyve_vm::{Event, EventWord, RestartPolicy, Supervision, parse_events};
use std::{
    fs,
    os::unix::fs::{PermissionsExt, symlink},
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

/// No test waits so long unless it fails: a machine with much else to do is slow.
const PATIENCE: Duration = Duration::from_secs(60);

const STAND_INS: [&str; 5] = ["bhyve", "bhyvectl", "ps", "pgrep", "daemon"];

pub(crate) struct World {
    root: tempfile::TempDir,
    shell: &'static str,
    pub(crate) supervision: Supervision,
    children: Vec<Child>,
}

impl World {
    pub(crate) fn new(shell: &'static str) -> Self {
        let root = tempfile::tempdir().unwrap();
        for directory in ["bin", "vmm", "proc", "vm"] {
            fs::create_dir(root.path().join(directory)).unwrap();
        }
        for name in STAND_INS {
            let of_ours = format!("{}/tests/stand-in/{name}", env!("CARGO_MANIFEST_DIR"));
            symlink(of_ours, root.path().join("bin").join(name)).unwrap();
        }
        symlink(shell, root.path().join("bin/sh")).unwrap();
        fs::write(root.path().join("disk"), "").unwrap();
        let path = |name: &str| root.path().join(name).to_str().unwrap().parse().unwrap();
        let mut supervision = Supervision::new("etcd-0".parse().unwrap(), path("vm"));
        supervision.console = None;
        supervision.grace = Duration::from_millis(400);
        supervision.restart = RestartPolicy {
            restarts: 3,
            within_s: 600,
            pause_s: 0,
        };
        let limits = &mut supervision.limits;
        limits.tick = Duration::from_millis(40);
        limits.press_again = Duration::from_millis(100);
        limits.force = Duration::from_millis(400);
        limits.gone = Duration::from_millis(300);
        limits.start_up = Duration::ZERO;
        limits.nodes = path("vmm");
        limits.pid_files = path("proc");
        limits.path = vec![
            path("bin"),
            "/usr/bin".parse().unwrap(),
            "/bin".parse().unwrap(),
        ];
        let world = Self {
            root,
            shell,
            supervision,
            children: Vec::new(),
        };
        world.install();
        world
    }

    /// Writes the scripts, again after a change of the supervision.
    pub(crate) fn install(&self) {
        let disk = format!("3:0,virtio-blk,{}", self.path("disk").display());
        let com = format!("com1,{}", self.path("guest-console").display());
        let words = [
            "-A",
            "-H",
            "-m",
            "512M",
            "-s",
            "0:0,hostbridge",
            "-s",
            &disk,
            "-l",
            "bootrom,/rom",
            "-l",
            &com,
        ];
        self.install_for(&words);
    }

    /// The same, with bhyve called in another way.
    pub(crate) fn install_for(&self, words: &[&str]) {
        let mut words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
        words.push("etcd-0".to_owned());
        for (name, text) in [
            ("supervise", self.supervision.script(&words)),
            ("record", self.supervision.recorder()),
        ] {
            fs::write(self.directory(name), text).unwrap();
            fs::set_permissions(self.directory(name), fs::Permissions::from_mode(0o700)).unwrap();
        }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    pub(crate) fn directory(&self, name: &str) -> PathBuf {
        self.path("vm").join(name)
    }

    /// What bhyve is to do, run by run.
    pub(crate) fn plan(&self, lines: &[&str]) {
        fs::write(self.path("plan"), lines.join("\n") + "\n").unwrap();
    }

    pub(crate) fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.env("WORLD", self.root.path()).stdin(Stdio::null());
        command
    }

    /// Starts the supervisor itself, without daemon(8); its process.
    pub(crate) fn start(&mut self) -> u32 {
        let mut command = self.command(self.shell);
        let log = fs::File::options()
            .append(true)
            .create(true)
            .open(self.path("log"))
            .unwrap();
        let child = command
            .arg(self.directory("supervise"))
            .stderr(log)
            .spawn()
            .unwrap();
        let pid = child.id();
        self.children.push(child);
        pid
    }

    /// The status of the supervisor that was started last.
    pub(crate) fn end(&mut self) -> Option<i32> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.children.last_mut().unwrap().try_wait().unwrap() {
                return status.code();
            }
            assert!(Instant::now() < deadline, "still running\n{}", self.told());
            pause();
        }
    }

    pub(crate) fn request(&self, word: &str) {
        fs::write(self.directory("request.tmp"), format!("{word}\n")).unwrap();
        fs::rename(self.directory("request.tmp"), self.directory("request")).unwrap();
    }

    pub(crate) fn kill(&self, signal: &str, pid: u32) {
        let status = self
            .command("/bin/kill")
            .args([signal, &pid.to_string()])
            .status();
        assert!(status.unwrap().success());
    }

    pub(crate) fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap_or_default()
    }

    pub(crate) fn events(&self) -> Vec<Event> {
        let text = self.read("vm/events.1") + &self.read("vm/events");
        let log = parse_events(&text).unwrap();
        // What the scripts write is what we would print.
        let printed: String = log
            .events
            .iter()
            .map(|event| format!("{event}\n"))
            .collect();
        assert_eq!(log.torn, 0, "{text}");
        assert_eq!(printed, text);
        log.events
    }

    /// The log without times, processes and details that vary.
    pub(crate) fn story(&self) -> Vec<String> {
        let words = |event: &Event| match &event.what {
            EventWord::Exited(exited) => {
                let status = exited
                    .status
                    .map_or("lost".into(), |status| status.to_string());
                format!("{} exited {status} {}", event.boot, exited.cause)
            }
            what => {
                let line = format!("{} {what}", event.boot);
                let words: Vec<&str> = line
                    .split(' ')
                    .filter(|word| !word.starts_with("pid="))
                    .collect();
                words.join(" ")
            }
        };
        self.events().iter().map(words).collect()
    }

    /// The story from this line on.
    pub(crate) fn story_since(&self, line: &str) -> Vec<String> {
        self.story()
            .into_iter()
            .skip_while(|told| told != line)
            .collect()
    }

    pub(crate) fn told(&self) -> String {
        format!("{}: {:#?}\n{}", self.shell, self.story(), self.read("log"))
    }

    /// Waits until an event of this kind was logged so many times.
    pub(crate) fn await_event(&self, line: &str, times: usize) {
        let found = |world: &Self| {
            world
                .story()
                .iter()
                .filter(|told| told.ends_with(line))
                .count()
                >= times
        };
        self.wait(line, found);
    }

    pub(crate) fn wait(&self, what: &str, condition: impl Fn(&Self) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !condition(self) {
            assert!(Instant::now() < deadline, "no {what}\n{}", self.told());
            pause();
        }
    }

    /// The guest of the latest run has come so far that it does as the plan says.
    pub(crate) fn await_armed(&self) {
        self.wait("armed guest", |world| world.path("armed").exists());
        fs::remove_file(self.path("armed")).unwrap();
    }

    pub(crate) fn bhyve(&self) -> u32 {
        self.read("vm/bhyve.pid").trim().parse().unwrap()
    }

    pub(crate) fn node(&self) -> PathBuf {
        self.path("vmm/etcd-0")
    }

    /// Nothing is left of a VM that is stopped, but its logs.
    pub(crate) fn assert_clean(&self) {
        assert!(!self.node().exists(), "{}", self.told());
        assert!(!self.path("broken").exists(), "{}", self.told());
        let mut left: Vec<String> = fs::read_dir(self.path("vm"))
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        left.sort();
        left.retain(|name| {
            !matches!(
                name.as_str(),
                "boot"
                    | "events"
                    | "events.1"
                    | "restarts"
                    | "stderr"
                    | "stderr.1"
                    | "bhyvectl.log"
                    | "record"
                    | "record.log"
                    | "supervise"
                    | "supervise.log"
                    | "console"
                    | "console.1"
            )
        });
        assert_eq!(left, Vec::<String>::new(), "{}", self.told());
    }
}

impl Drop for World {
    fn drop(&mut self) {
        for child in &mut self.children {
            let _ = child.kill();
            let _ = child.wait();
        }
        let mut left: Vec<u32> = fs::read_dir(self.path("proc"))
            .into_iter()
            .flatten()
            .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
            .collect();
        for name in ["vm/runner.pid", "vm/recorder.pid"] {
            left.extend(self.read(name).trim().parse::<u32>());
        }
        for pid in left {
            let _ = self
                .command("/bin/kill")
                .args(["-9", &pid.to_string()])
                .stderr(Stdio::null())
                .status();
        }
    }
}

/// Between two looks.
#[expect(clippy::disallowed_methods, reason = "the pause of a bounded poll")]
pub(crate) fn pause() {
    std::thread::sleep(Duration::from_millis(10));
}
