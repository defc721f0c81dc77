//! Labs of the tests, and the place where they are kept.

use crate::{
    run::{Done, Event, Running},
    traces::{Own, Traces},
    turn::{Room, Turn},
    waiting::{so, wait_for},
};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde_json::Value;
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::{Mutex, PoisonError},
    time::Instant,
};

/// For slow machines: more does no harm but where a flow has to be waited for that must not get through.
const PATIENCE: &str = "2";

/// A directory for labs on a real disk, and what this machine had before.
pub(crate) struct Scene {
    dir: tempfile::TempDir,
    before: Traces,
    labs: Mutex<Vec<&'static str>>,
    turn: Turn,
}

impl Scene {
    /// A scene that has the machine for itself.
    pub(crate) fn new() -> Self {
        Self::taking(Room::Whole)
    }

    /// A scene that may stand beside another one, as soon as there is room.
    pub(crate) fn taking(room: Room) -> Self {
        let turn = Turn::take(room);
        // Not /tmp, which may be in memory or an overlay.
        let dir = tempfile::Builder::new()
            .prefix("lab-test-")
            .tempdir_in("/var/tmp");
        Self {
            dir: dir.unwrap(),
            before: Traces::now(),
            labs: Mutex::default(),
            turn,
        }
    }

    /// Where labs are kept, once there is one.
    pub(crate) fn labs(&self) -> PathBuf {
        self.dir.path().join("labs")
    }

    /// A directory without a lab.toml, to be in.
    pub(crate) fn dir(&self) -> &Path {
        self.dir.path()
    }

    pub(crate) fn lab<'s>(&'s self, name: &'static str) -> Lab<'s> {
        let mut labs = self.labs.lock().unwrap_or_else(PoisonError::into_inner);
        labs.push(name);
        Lab { name, scene: self }
    }

    /// Demands that this machine is as before: nothing of a lab is left.
    #[track_caller]
    pub(crate) fn nothing_is_left(&self) {
        let labs = self.labs.lock().unwrap_or_else(PoisonError::into_inner);
        let own = Own {
            dir: self.dir(),
            labs: &labs,
            alone: self.turn.is_alone(),
        };
        // The kernel takes namespaces apart in the background.
        wait_for("machine as it was before", || {
            let changes = self.before.changes_to(&Traces::now(), &own);
            so(changes.is_empty(), changes)
        });
        assert!(!self.labs().exists(), "{} is there", self.labs().display());
    }
}

/// A lab of a test. Whatever comes of the test, the lab is taken down in the end.
pub(crate) struct Lab<'s> {
    pub(crate) name: &'static str,
    scene: &'s Scene,
}

impl Drop for Lab<'_> {
    fn drop(&mut self) {
        if !self.dir().exists() {
            return;
        }
        let done = self.run(&["down"]);
        if done.code != Some(0) {
            eprintln!("{}: down failed: {done:?}", self.name);
        }
    }
}

impl Lab<'_> {
    /// The program with these words about this lab, ready to be started.
    #[expect(
        clippy::disallowed_methods,
        reason = "the program is run as a user does"
    )]
    pub(crate) fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_lab"));
        command
            .args(["--name", self.name, "--state-dir"])
            .arg(self.scene.labs())
            .args(words)
            .current_dir(self.scene.dir())
            .env("NO_COLOR", "1")
            .env_remove("LAB_COMMAND");
        command
    }

    #[track_caller]
    pub(crate) fn start(&self, words: &[&str]) -> Running {
        Running::start(self.command(words))
    }

    #[track_caller]
    pub(crate) fn run(&self, words: &[&str]) -> Done {
        self.start(words).end()
    }

    /// Runs what has to succeed; returns its output.
    #[track_caller]
    pub(crate) fn ok(&self, words: &[&str]) -> String {
        let done = self.run(words);
        assert_eq!(done.code, Some(0), "{words:?}: {}\n{}", done.err, done.out);
        done.out
    }

    #[track_caller]
    pub(crate) fn json(&self, words: &[&str]) -> Value {
        let all: Vec<&str> = ["--output", "json"].iter().chain(words).copied().collect();
        serde_json::from_str(&self.ok(&all)).unwrap()
    }

    /// Starts `up` with its events as lines.
    #[track_caller]
    pub(crate) fn start_up(&self, words: &[&str]) -> Running {
        let up = ["up", "--output", "json", "--patience", PATIENCE];
        let all: Vec<&str> = up.iter().chain(words).copied().collect();
        self.start(&all)
    }

    /// Brings the lab up.
    #[track_caller]
    pub(crate) fn up(&self, words: &[&str]) -> Up {
        let began = Instant::now();
        let up = self.came_up(&self.start_up(words).end());
        let seconds = began.elapsed().as_secs_f64();
        eprintln!(
            "{}: up took {seconds:.1} s, {} events",
            self.name,
            up.events.len()
        );
        up
    }

    /// What a run of `up` said, which has to have succeeded.
    #[track_caller]
    pub(crate) fn came_up(&self, done: &Done) -> Up {
        assert_eq!(
            done.code,
            Some(0),
            "{}: up: {}\n{}",
            self.name,
            done.err,
            done.out
        );
        let (events, result) = split(&done.out);
        Up { events, result }
    }

    /// Demands that `plan` finds nothing to do, at the latest when everything has answered that was silent for a moment;
    /// what it found else is in its parts.
    #[track_caller]
    pub(crate) fn nothing_is_planned(&self) -> Value {
        wait_for("plan that has nothing to do", || {
            let plan = self.json(&["plan"]);
            let parts = [
                "leaving",
                "machines",
                "guests",
                "images",
                "etcd",
                "kubernetes",
            ];
            let found = parts.map(|part| format!("{part}: {}", plan[part]));
            so(plan["nothing_to_do"] == true, found).map(|()| plan)
        })
    }

    /// What `check` reports at this moment, and what of it is not as it has to be; its exit status says whether there is any.
    #[track_caller]
    pub(crate) fn checked(&self) -> (Value, Vec<Value>) {
        let done = self.run(&["check", "--output", "json"]);
        let report = done.json();
        let bad = bad_rows(&report);
        let status = if bad.is_empty() { 0 } else { 3 };
        assert_eq!(done.code, Some(status), "{done:?}");
        (report, bad)
    }

    /// Demands that `check` finds everything as it has to be, at the latest when everything has answered that was silent
    /// for a moment, and returns its report.
    #[track_caller]
    pub(crate) fn check(&self) -> Value {
        let began = Instant::now();
        let mut looks = 0;
        let report = wait_for("check that is content", || {
            let (report, bad) = self.checked();
            looks += 1;
            if looks == 1 && !bad.is_empty() {
                eprintln!("{}: not yet: {bad:?}", self.name);
            }
            so(bad.is_empty(), bad).map(|()| report)
        });
        let seconds = began.elapsed().as_secs_f64();
        eprintln!(
            "{}: check is content after {looks} looks, {seconds:.1} s",
            self.name
        );
        report
    }

    #[track_caller]
    pub(crate) fn kubectl(&self, words: &[&str]) -> String {
        let all: Vec<&str> = ["kubectl"].iter().chain(words).copied().collect();
        self.ok(&all)
    }

    /// What kubectl says of objects, as an object.
    #[track_caller]
    pub(crate) fn get(&self, words: &[&str]) -> Value {
        let all: Vec<&str> = ["get", "--output", "json"]
            .iter()
            .chain(words)
            .copied()
            .collect();
        serde_json::from_str(&self.kubectl(&all)).unwrap()
    }

    /// Waits until `check` misses these rows and nothing else, in a lab where somebody has broken something: what else was
    /// silent for a moment has answered by then.
    #[track_caller]
    pub(crate) fn check_misses(&self, missed: impl Fn(&Value) -> bool) -> Vec<Value> {
        wait_for("check that misses what is broken, and nothing else", || {
            let (_, bad) = self.checked();
            let only = !bad.is_empty() && bad.iter().all(&missed);
            so(only, &bad).map(|()| bad)
        })
    }

    /// Applies one of the files in `data`.
    #[track_caller]
    pub(crate) fn apply(&self, file: &str) {
        let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/lab/data");
        self.kubectl(&["apply", "--filename", data.join(file).to_str().unwrap()]);
    }

    /// The directory of this lab.
    pub(crate) fn dir(&self) -> PathBuf {
        self.scene.labs().join(self.name)
    }

    /// The process on this machine that is number 1 of each machine that runs.
    #[track_caller]
    pub(crate) fn leaders(&self) -> BTreeMap<String, i32> {
        let status = self.json(&["status"]);
        let machines = status["machines"].as_array().unwrap().iter();
        let leader = |machine: &Value| {
            let pid = machine["state"]["leader"].as_i64()?;
            let name = machine["name"].as_str()?.to_owned();
            Some((name, pid.try_into().ok()?))
        };
        machines.filter_map(leader).collect()
    }

    /// Kills a machine: with its number 1 the kernel ends all its processes.
    #[track_caller]
    pub(crate) fn kill_machine(&self, name: &str) {
        let leader = self.leaders()[name];
        kill(Pid::from_raw(leader), Signal::SIGKILL).unwrap();
        wait_for("end of the machine", || {
            let leaders = self.leaders();
            so(!leaders.contains_key(name), leaders)
        });
    }

    /// Takes the lab down, and demands that nothing is left of it.
    #[track_caller]
    pub(crate) fn down(&self) {
        let began = Instant::now();
        self.ok(&["down"]);
        eprintln!(
            "{}: down took {:.1} s",
            self.name,
            began.elapsed().as_secs_f64()
        );
    }

    /// Its network, as its plan has it.
    #[track_caller]
    pub(crate) fn network(&self) -> Value {
        self.json(&["map"])
    }

    /// The certificate of an authority, if there is one yet.
    pub(crate) fn authority(&self, name: &str) -> Option<String> {
        fs::read_to_string(self.dir().join(format!("pki/ca/{name}.crt"))).ok()
    }
}

/// What `up` said.
pub(crate) struct Up {
    pub(crate) events: Vec<Event>,
    pub(crate) result: Value,
}

impl Up {
    /// Demands that everything was as it has to be; what was not is in the events. On a busy machine a node that is not
    /// Ready for a moment, or a member of etcd that does not answer, is waited for.
    #[track_caller]
    pub(crate) fn changed_nothing(&self) {
        assert_eq!(self.result["changed"], false, "{:?}", self.events);
        if self.result["waited"] != true {
            assert_eq!(self.events, []);
        }
    }
}

/// Events, and the result, which is the last line.
#[track_caller]
fn split(out: &str) -> (Vec<Event>, Value) {
    let mut lines: Vec<&str> = out.lines().collect();
    let last: Value = serde_json::from_str(lines.pop().unwrap()).unwrap();
    let events = lines.iter().map(|line| Event::read(line).unwrap());
    (events.collect(), last["result"].clone())
}

/// Conditions and flows that are not as they have to be.
#[track_caller]
fn bad_rows(report: &Value) -> Vec<Value> {
    let list = |name: &str| report[name].as_array().unwrap().clone();
    let all = list("conditions").into_iter().chain(list("matrix"));
    all.filter(|row| row["ok"] != true).collect()
}

/// Each machine with its addresses, as a plan or a map has them.
#[track_caller]
pub(crate) fn addresses(network: &Value) -> BTreeMap<String, Vec<String>> {
    let machines = network["machines"].as_array().unwrap().iter();
    let of = |machine: &Value| {
        let nics = machine["nics"].as_array().unwrap().iter();
        let both = nics.flat_map(|nic| ["v4", "v6"].map(|family| &nic["address"][family]));
        let texts = both.map(|address| address.as_str().unwrap().to_owned());
        (
            machine["name"].as_str().unwrap().to_owned(),
            texts.collect(),
        )
    };
    machines.map(of).collect()
}
