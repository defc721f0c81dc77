//! What has to be done on the host to have a VM, and to have it no more: steps as data.
//!
//! Nothing here does anything. Each step can be shown; a command of a step can be run by any
//! [`Host`](host_exec::Host).

use crate::{
    Dataset, DeviceTree, Firmware, HostPath, Interface, Supervision, VmName, VmSpec, ZfsDataset,
    argv,
};
use host_exec::Command;
use std::{fmt, num::NonZeroU32, time::Duration};

/// Where the root disk of a VM comes from and where it lives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RootVolume {
    /// The dataset of the image, whose snapshot `@ready` is cloned.
    pub image: ZfsDataset,
    /// The VM's own volume; a disk of the specification has its [`ZfsDataset::device`].
    pub dataset: ZfsDataset,
    /// Its size, in MiB: at least that of the image. The guest grows into it.
    pub size_mib: NonZeroU32,
}

/// One step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// What it is for.
    pub what: String,
    /// What is done.
    pub action: Action,
    /// What takes it back, for steps that make something.
    pub undo: Option<Command>,
}

/// What a step does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Runs a command that has to succeed.
    Run(Command),
    /// Runs a command that may find nothing left to do.
    Try(Command),
    /// Runs a command that has to print exactly this line; the plan ends here if it does not.
    Require {
        /// The question.
        command: Command,
        /// The answer.
        line: String,
    },
    /// Waits for a condition; the plan ends here if the time is over first.
    Await {
        /// What is waited for.
        condition: Condition,
        /// For how long.
        limit: Duration,
    },
    /// Waits for a condition and goes on in any case: the next step is the answer to time running out.
    Allow {
        /// What is waited for.
        condition: Condition,
        /// For how long.
        limit: Duration,
    },
}

/// Something that becomes true on the host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Condition {
    /// A path exists.
    Exists(String),
    /// A path exists no more.
    Gone(String),
    /// No process has the title that bhyve gives itself.
    Ended(VmName),
}

/// The ZFS user property that marks a dataset as ours, with the name of its VM (zfs(8), "User Properties").
pub const OWNER_PROPERTY: &str = "lab:owner";

/// The steps that make a VM and start it once.
///
/// The seed is a file for [`Host::write_file`](host_exec::Host::write_file) and has to be there before.
/// bhyve is started without a supervisor: at the guest's first reboot the VM ends.
pub fn create_steps(spec: &VmSpec, tree: &DeviceTree, root: &RootVolume) -> Vec<Step> {
    let mut steps = vec![load_modules()];
    steps.extend(clone_volume(&spec.name, root));
    steps.push(copy_vars(&spec.firmware));
    for nic in &spec.nics {
        let (tap, bridge) = (nic.tap.as_str(), nic.bridge.as_str());
        steps.push(Step {
            what: format!("make interface {tap}"),
            action: Action::Run(
                command(&["ifconfig", tap, "create", "description"]).arg(mark(&spec.name)),
            ),
            undo: Some(command(&["ifconfig", tap, "destroy"])),
        });
        steps.push(Step {
            what: format!("connect {tap} with {bridge}"),
            action: Action::Run(command(&["ifconfig", bridge, "addm", tap])),
            undo: Some(command(&["ifconfig", bridge, "deletem", tap])),
        });
    }
    steps.push(start(tree));
    steps.push(Step {
        what: "wait until the VM exists".into(),
        action: Action::Await {
            condition: Condition::Exists(node(&spec.name)),
            limit: Duration::from_secs(10),
        },
        undo: None,
    });
    steps
}

/// The steps that stop a VM, each harder than the one before, and remove what [`create_steps`] made.
///
/// After any interruption the list can be begun again at its start: each step finds nothing to do if its work is
/// done. The volume goes last, because it carries the mark by which the first step knows that all this is ours;
/// once it is gone that step fails, and there is nothing left to destroy.
pub fn destroy_steps(spec: &VmSpec, root: &RootVolume, grace: Duration) -> Vec<Step> {
    let mut steps = vec![owned(&spec.name, root)];
    steps.extend(stop_steps(&spec.name, grace));
    for nic in &spec.nics {
        let tap = nic.tap.as_str();
        let destroy = command(&["ifconfig", tap, "destroy"]);
        steps.push(step(
            format!("remove interface {tap}"),
            Action::Try(destroy),
        ));
    }
    let files = [Some(&spec.firmware.vars), spec.seed.as_ref()];
    for file in files.into_iter().flatten() {
        let remove = command(&["rm", "-f", "--", file.as_str()]);
        steps.push(step(format!("remove {file}"), Action::Run(remove)));
    }
    let volume = root.dataset.as_str();
    steps.push(step(
        format!("remove volume {volume}"),
        Action::Run(command(&["zfs", "destroy", volume])),
    ));
    steps
}

/// Something with the name of ours that carries another mark, or none: nothing of it is touched.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{kind} {name} is not marked as {expected:?} but {found}; remove or rename it by hand")]
pub struct NotOurs {
    /// `interface` or `volume`.
    pub kind: &'static str,
    /// Its name.
    pub name: String,
    /// The mark that ours would carry.
    pub expected: String,
    /// What it carries.
    pub found: String,
}

/// The steps that end a supervised VM and remove what is left of it, by what was found on the host.
///
/// In order: the supervisor, which lets the guest shut down and climbs its own escalation; the same by hand, where
/// nobody supervises; interfaces, files, the volume (never its image), the supervisor's directory. What is gone
/// already gets no step, so after an interruption the host is asked again and the rest is done. A process with our
/// VM's name is stopped by hand only while something with our mark is there: else it is somebody else's.
///
/// # Errors
///
/// An interface or volume of that name is not ours. Then there is no step at all.
pub fn destroy_found(
    spec: &VmSpec,
    root: &RootVolume,
    supervision: &Supervision,
    interfaces: &[Interface],
    datasets: &[Dataset],
) -> Result<Vec<Step>, NotOurs> {
    let name = &spec.name;
    let mut removals = Vec::new();
    let mut marked = false;
    for nic in &spec.nics {
        let tap = nic.tap.as_str();
        if let Some(found) = interfaces.iter().find(|found| found.name == tap) {
            check("interface", tap, mark(name), found.description.as_deref())?;
            marked = true;
            removals.push(step(
                format!("remove interface {tap}"),
                Action::Run(command(&["ifconfig", tap, "destroy"])),
            ));
        }
    }
    let files = [Some(&spec.firmware.vars), spec.seed.as_ref()];
    for file in files.into_iter().flatten() {
        let remove = command(&["rm", "-f", "--", file.as_str()]);
        removals.push(step(format!("remove {file}"), Action::Run(remove)));
    }
    let volume = root.dataset.as_str();
    if let Some(found) = datasets.iter().find(|found| found.name == volume) {
        check("volume", volume, name.to_string(), found.owner.as_deref())?;
        marked = true;
        removals.push(step(
            format!("remove volume {volume}"),
            Action::Run(command(&["zfs", "destroy", volume])),
        ));
    }
    let directory = supervision.directory.as_str();
    removals.push(step(
        format!("remove {directory}"),
        Action::Run(command(&["rm", "-r", "-f", "--", directory])),
    ));
    let mut steps = supervised_stop(supervision);
    if marked {
        steps.extend(stop_steps(name, Duration::from_secs(1)));
    }
    steps.extend(removals);
    Ok(steps)
}

fn check(
    kind: &'static str,
    name: &str,
    expected: String,
    found: Option<&str>,
) -> Result<(), NotOurs> {
    if found == Some(expected.as_str()) {
        return Ok(());
    }
    Err(NotOurs {
        kind,
        name: name.to_owned(),
        expected,
        found: found.map_or_else(|| "with nothing".to_owned(), |mark| format!("{mark:?}")),
    })
}

/// daemon(8) passes the signal on, and takes its file away when the supervisor is done. `-L`: only while it is locked.
fn supervised_stop(supervision: &Supervision) -> Vec<Step> {
    let file = supervision.pid_file();
    let limits = &supervision.limits;
    let limit = supervision.grace + limits.press_again + limits.force * 3 + limits.gone * 2;
    let stop = Action::Try(command(&["pkill", "-TERM", "-L", "-F", &file]));
    let gone = Action::Allow {
        condition: Condition::Gone(file),
        limit,
    };
    vec![
        step("have the supervisor stop the VM".into(), stop),
        step("wait for the supervisor".into(), gone),
    ]
}

fn stop_steps(name: &VmName, grace: Duration) -> Vec<Step> {
    let ended = |limit| Action::Allow {
        condition: Condition::Ended(name.clone()),
        limit,
    };
    let signal = |signal| Action::Try(command(&["pkill", signal, "-fx", &title(name)]));
    let bhyvectl = |verb| command(&["bhyvectl", &format!("--vm={name}"), verb]);
    let gone = Condition::Gone(node(name));
    let steps = [
        ("press the power button", signal("-TERM")),
        ("wait", ended(Duration::from_secs(2))),
        // A guest that was still busy with the first press has missed it.
        ("press the power button again", signal("-TERM")),
        ("wait for the guest to shut down", ended(grace)),
        (
            "power off by force",
            Action::Try(bhyvectl("--force-poweroff")),
        ),
        ("wait", ended(Duration::from_secs(5))),
        ("kill bhyve", signal("-KILL")),
        ("wait", ended(Duration::from_secs(5))),
        (
            "free the memory of the VM",
            Action::Try(bhyvectl("--destroy")),
        ),
        (
            "wait",
            Action::Await {
                condition: gone,
                limit: Duration::from_secs(10),
            },
        ),
    ];
    steps
        .into_iter()
        .map(|(what, action)| step(what.into(), action))
        .collect()
}

fn load_modules() -> Step {
    step(
        "load the kernel modules".into(),
        Action::Run(command(&["kldload", "-n", "vmm", "nmdm", "if_tuntap"])),
    )
}

fn clone_volume(name: &VmName, root: &RootVolume) -> [Step; 3] {
    let (snapshot, volume) = (format!("{}@ready", root.image), root.dataset.as_str());
    let owner = format!("{OWNER_PROPERTY}={name}");
    // volmode=dev: else the host itself looks into the guest's partitions.
    let clone = command(&[
        "zfs",
        "clone",
        "-p",
        "-o",
        "volmode=dev",
        "-o",
        &owner,
        &snapshot,
        volume,
    ]);
    let grow = command(&["zfs", "set", &format!("volsize={}M", root.size_mib), volume]);
    let device = root.dataset.device();
    [
        Step {
            what: format!("clone {snapshot}"),
            action: Action::Run(clone),
            undo: Some(command(&["zfs", "destroy", volume])),
        },
        step(
            format!("grow it to {} MiB", root.size_mib),
            Action::Run(grow),
        ),
        step(
            "wait for its device".into(),
            Action::Await {
                condition: Condition::Exists(device.to_string()),
                limit: Duration::from_secs(30),
            },
        ),
    ]
}

fn copy_vars(firmware: &Firmware) -> Step {
    let vars: &HostPath = &firmware.vars;
    Step {
        what: "copy the firmware variables".into(),
        action: Action::Run(command(&[
            "install",
            "-m",
            "600",
            firmware.vars_template.as_str(),
            vars.as_str(),
        ])),
        undo: Some(command(&["rm", "-f", "--", vars.as_str()])),
    }
}

fn start(tree: &DeviceTree) -> Step {
    let name = &tree.name;
    // daemon(8): -f frees it from this session, -p names its process, -o keeps what bhyve says.
    let (pid, log) = (
        format!("/var/run/bhyve-{name}.pid"),
        format!("/var/log/bhyve-{name}.log"),
    );
    let daemon = command(&["daemon", "-f", "-p", &pid, "-o", &log, "--", "bhyve"]);
    Step {
        what: "start bhyve".into(),
        action: Action::Run(daemon.args(argv(tree))),
        undo: Some(command(&["bhyvectl", &format!("--vm={name}"), "--destroy"])),
    }
}

fn owned(name: &VmName, root: &RootVolume) -> Step {
    let volume = root.dataset.as_str();
    let command = command(&["zfs", "get", "-H", "-o", "value", OWNER_PROPERTY, volume]);
    step(
        format!("make sure that {volume} is ours"),
        Action::Require {
            command,
            line: name.to_string(),
        },
    )
}

fn step(what: String, action: Action) -> Step {
    Step {
        what,
        action,
        undo: None,
    }
}

fn command(words: &[&str]) -> Command {
    let (program, args) = words.split_first().unwrap_or((&"true", &[]));
    Command::new(*program).args(args.iter().copied())
}

fn node(name: &VmName) -> String {
    format!("/dev/vmm/{name}")
}

/// The title that bhyve gives its process (setproctitle(3)).
fn title(name: &VmName) -> String {
    format!("bhyve: {name}")
}

/// The mark on an interface, by which a person and a later run know whose it is.
fn mark(name: &VmName) -> String {
    format!("lab:{name}")
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.what, self.action)
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Run(command) => write!(f, "{command}"),
            Self::Try(command) => write!(f, "{command} (may find nothing)"),
            Self::Require { command, line } => write!(f, "{command} (must print {line:?})"),
            Self::Await { condition, limit } => {
                write!(f, "until {condition}, or fail after {} s", limit.as_secs())
            }
            Self::Allow { condition, limit } => {
                write!(f, "until {condition}, or go on after {} s", limit.as_secs())
            }
        }
    }
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exists(path) => write!(f, "{path} exists"),
            Self::Gone(path) => write!(f, "{path} is gone"),
            Self::Ended(name) => write!(f, "no process is titled {:?}", title(name)),
        }
    }
}
