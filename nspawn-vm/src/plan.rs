//! What is to be done: pure.

use crate::{
    Group, MachineSpec, MachineState, Observed,
    network::{self, Change},
};
use host_exec::HostName;
use serde::Serialize;
use std::{fmt, path::PathBuf};

/// One step. The steps of a plan are in an order in which they can be done; machines start together.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "step")]
#[non_exhaustive]
pub enum Step {
    /// Make the lowest layer of all roots.
    Skeleton,
    /// Make namespaces, wires, addresses and routes.
    Network(NetworkChanges),
    /// Let the router forward, and load its rules.
    Router {
        /// How many lines of rules.
        lines: usize,
    },
    /// End the processes of a machine that cannot go on.
    Clear {
        /// The machine.
        machine: HostName,
    },
    /// Wait for a machine that is on its way up or down. What else it needs shows then: observe and plan again.
    Await {
        /// The machine.
        machine: HostName,
    },
    /// Make the directories of a machine, and what it finds at its first boot.
    Prepare {
        /// The machine.
        machine: HostName,
        /// Files for its first boot; none for a machine that has booted before.
        files: Vec<PathBuf>,
        /// Units that start at its first boot.
        units: Vec<String>,
    },
    /// Boot a machine and wait until its systemd answers.
    Start {
        /// The machine.
        machine: HostName,
    },
}

/// The `ip` commands of a plan, one text each.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct NetworkChanges {
    pub(crate) commands: Vec<Change>,
}

impl NetworkChanges {
    /// The commands as one would type them.
    pub fn commands(&self) -> impl Iterator<Item = String> {
        self.commands.iter().map(ToString::to_string)
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Skeleton => f.write_str("make the common root of the machines"),
            Self::Network(changes) => write!(f, "network: {} commands", changes.commands.len()),
            Self::Router { lines } => write!(f, "router: forward, load {lines} lines of rules"),
            Self::Clear { machine } => write!(f, "{machine}: end its remaining processes"),
            Self::Await { machine } => write!(f, "{machine}: wait until it is up or down"),
            Self::Prepare { machine, files, .. } if !files.is_empty() => {
                let count = files.len();
                write!(
                    f,
                    "{machine}: make its directories, and {count} files for its first boot"
                )
            }
            Self::Prepare { machine, .. } => write!(f, "{machine}: make its directories"),
            Self::Start { machine } => write!(f, "{machine}: boot"),
        }
    }
}

/// The steps from what was observed to what is wanted; empty when nothing is to be done.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Plan {
    /// The steps, in order.
    pub steps: Vec<Step>,
}

impl Plan {
    /// Whether nothing is to be done.
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }

    /// The machines that are on their way up or down. While there are any, another plan must follow this one.
    pub fn machines_to_await(&self) -> impl Iterator<Item = &HostName> {
        self.steps.iter().filter_map(|step| match step {
            Step::Await { machine } => Some(machine),
            _ => None,
        })
    }

    /// The machines that will be booted.
    pub fn machines_to_start(&self) -> impl Iterator<Item = &HostName> {
        self.steps.iter().filter_map(|step| match step {
            Step::Start { machine } => Some(machine),
            _ => None,
        })
    }
}

/// The plan that leads from `observed` to `group`.
///
/// A machine that runs is never touched, and nothing is taken away that the group does not name: shrinking a
/// group is [`destroy`](crate::destroy).
pub fn plan(group: &Group, observed: &Observed) -> Plan {
    let mut steps = Vec::new();
    if !observed.skeleton {
        steps.push(Step::Skeleton);
    }
    let commands = network::changes(&network::wanted(group), &observed.network);
    if !commands.is_empty() {
        steps.push(Step::Network(NetworkChanges { commands }));
    }
    if !observed.rules_loaded {
        steps.push(Step::Router {
            lines: group.router.rules.lines().count(),
        });
    }
    for machine in &group.machines {
        let name = || machine.name.clone();
        let state = observed
            .machines
            .get(machine.name.as_str())
            .unwrap_or(&MachineState::Absent);
        match state {
            MachineState::Running { .. } => continue,
            MachineState::Booting | MachineState::Stopping => {
                steps.push(Step::Await { machine: name() });
                continue;
            }
            MachineState::Broken { .. } => steps.push(Step::Clear { machine: name() }),
            MachineState::Stopped | MachineState::Absent => {}
        }
        // Also for one that has been prepared: its mount points follow from the specification.
        steps.push(prepare(machine, state));
        steps.push(Step::Start { machine: name() });
    }
    Plan { steps }
}

fn prepare(machine: &MachineSpec, state: &MachineState) -> Step {
    let first = &machine.first_boot;
    let (files, units) = match state {
        MachineState::Absent => (
            first.files.iter().map(|file| file.path.clone()).collect(),
            first.enabled.iter().map(ToString::to_string).collect(),
        ),
        _ => (Vec::new(), Vec::new()),
    };
    Step::Prepare {
        machine: machine.name.clone(),
        files,
        units,
    }
}
