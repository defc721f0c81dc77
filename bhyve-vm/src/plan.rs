//! What has to be done on the host to have a VM, and to have it no more: steps as data.
//!
//! Nothing here does anything. Each step can be shown; a command of a step can be run by any
//! [`Host`](host_exec::Host).

use crate::{DeviceTree, Firmware, HostPath, VmName, VmSpec, ZfsDataset, argv};
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
        // It may be gone: nobody has looked.
        steps.push(remove_tap(nic.tap.as_str(), Action::Try));
    }
    steps.extend(remove_files(spec));
    steps.push(remove_volume(root.dataset.as_str()));
    steps
}

pub(crate) fn remove_tap(tap: &str, run: fn(Command) -> Action) -> Step {
    let destroy = command(&["ifconfig", tap, "destroy"]);
    step(format!("remove interface {tap}"), run(destroy))
}

/// The files that are the VM's own.
pub(crate) fn remove_files(spec: &VmSpec) -> impl Iterator<Item = Step> {
    let files = [Some(&spec.firmware.vars), spec.seed.as_ref()];
    files.into_iter().flatten().map(|file| {
        let remove = command(&["rm", "-f", "--", file.as_str()]);
        step(format!("remove {file}"), Action::Run(remove))
    })
}

pub(crate) fn remove_volume(volume: &str) -> Step {
    let destroy = command(&["zfs", "destroy", volume]);
    step(format!("remove volume {volume}"), Action::Run(destroy))
}

pub(crate) fn stop_steps(name: &VmName, grace: Duration) -> Vec<Step> {
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

pub(crate) fn step(what: String, action: Action) -> Step {
    Step {
        what,
        action,
        undo: None,
    }
}

pub(crate) fn command(words: &[&str]) -> Command {
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
pub(crate) fn mark(name: &VmName) -> String {
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
