//! From what is on the host to the state of a VM. A state file alone is never believed.

use crate::{ConsoleState, Event, EventWord, Stage, VmState};
use std::fmt;

/// What was found of one VM.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Facts {
    /// Its directory with its specification is there.
    pub defined: bool,
    /// Its volume, seed and interfaces are there: none, some, or all of them.
    pub parts: Parts,
    /// Its node `/dev/vmm/NAME` is there.
    pub node: bool,
    /// The processes titled `bhyve: NAME`.
    pub running: Vec<u32>,
    /// The number in the supervisor's `bhyve.pid`, if the file is there.
    pub pid_file: Option<u32>,
    /// Whether a supervisor runs.
    pub supervised: bool,
    /// The events of its log.
    pub events: Vec<Event>,
    /// What its console tells.
    pub console: Option<ConsoleState>,
    /// Our mark on its volume, as it was read.
    pub owner: Option<String>,
}

/// How much of what a VM needs is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Parts {
    /// Nothing.
    #[default]
    None,
    /// Some, so making or removing them was cut off.
    Some,
    /// Everything.
    All,
}

/// Things that cannot be together. Each is named with what leads out of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Contradiction {
    /// A node without a process: it holds the memory of a VM that is over.
    LeakedNode,
    /// A process without a node: it is dying, or was destroyed by somebody.
    ProcessWithoutNode,
    /// More than one process runs the VM: its disks are in danger.
    RunsTwice,
    /// The file names a process that is not bhyve.
    StalePidFile,
    /// bhyve runs and nobody supervises it: a reboot will end it.
    Unsupervised,
    /// It runs, and parts of it are missing.
    PartsMissing,
    /// Its volume carries no mark of ours, or another VM's.
    NotOurs,
    /// Parts of it are there without its specification.
    Undefined,
}

/// The state of a VM, and what does not fit together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Observed {
    /// How it stands.
    pub state: VmState,
    /// How far a running guest has come by its console.
    pub stage: Option<Stage>,
    /// In ascending order.
    pub contradictions: Vec<Contradiction>,
}

/// The state of the VM `name` by what was found of it; [`VmState::Unknown`] if nothing could be asked (`None`).
///
/// Processes and nodes outweigh every file: the log only tells apart what they leave open.
pub fn observe(name: &str, facts: Option<&Facts>) -> Observed {
    let Some(facts) = facts else {
        return Observed {
            state: VmState::Unknown,
            stage: None,
            contradictions: Vec::new(),
        };
    };
    let runs = !facts.running.is_empty();
    let stage = facts.console.as_ref().map(|console| console.stage);
    Observed {
        state: if runs {
            running(facts, stage)
        } else {
            resting(facts)
        },
        stage: stage.filter(|_| runs),
        contradictions: contradictions(name, facts, runs),
    }
}

fn running(facts: &Facts, stage: Option<Stage>) -> VmState {
    // The last word of this run; older ones tell of runs that are over.
    let asked = facts
        .events
        .iter()
        .rev()
        .find_map(|event| match event.what {
            EventWord::Requested(_) | EventWord::Rung(_) => Some(true),
            EventWord::Starting | EventWord::Started(_) | EventWord::Exited(_) => Some(false),
            _ => None,
        });
    match (asked, stage) {
        (Some(true), _) => VmState::Stopping,
        (_, Some(Stage::Silent)) => VmState::Starting,
        _ => VmState::Running,
    }
}

fn resting(facts: &Facts) -> VmState {
    let last = facts.events.last().map(|event| &event.what);
    match (facts.supervised, last) {
        (true, Some(EventWord::Exited(_) | EventWord::Restarting { .. })) => VmState::Rebooting,
        (true, _) => VmState::Starting,
        (false, Some(EventWord::Failed(_))) if facts.defined => VmState::Failed,
        // Its supervisor and its bhyve are gone without a last word.
        (false, Some(EventWord::Starting | EventWord::Started(_) | EventWord::Exited(_)))
            if facts.defined =>
        {
            VmState::Crashed
        }
        _ if facts.node => VmState::Crashed,
        _ => match (facts.defined, facts.parts) {
            (true, Parts::All) => VmState::Stopped,
            (true, Parts::None) => VmState::Defined,
            (true, Parts::Some) => VmState::Provisioning,
            (false, Parts::None) => VmState::Absent,
            (false, _) => VmState::Deleting,
        },
    }
}

fn contradictions(name: &str, facts: &Facts, runs: bool) -> Vec<Contradiction> {
    let listed = facts
        .pid_file
        .is_some_and(|pid| !facts.running.contains(&pid));
    let strange_owner = facts.parts != Parts::None && facts.owner.as_deref() != Some(name);
    let table = [
        (
            facts.node && !runs && !facts.supervised,
            Contradiction::LeakedNode,
        ),
        (runs && !facts.node, Contradiction::ProcessWithoutNode),
        (facts.running.len() > 1, Contradiction::RunsTwice),
        (listed && !facts.supervised, Contradiction::StalePidFile),
        (runs && !facts.supervised, Contradiction::Unsupervised),
        (
            runs && facts.parts != Parts::All,
            Contradiction::PartsMissing,
        ),
        (strange_owner, Contradiction::NotOurs),
        (
            !facts.defined && (runs || facts.node || facts.parts != Parts::None),
            Contradiction::Undefined,
        ),
    ];
    table
        .into_iter()
        .filter(|(found, _)| *found)
        .map(|(_, found)| found)
        .collect()
}

impl fmt::Display for Contradiction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::LeakedNode => {
                "a node without a process holds memory; start it again, or bhyvectl --destroy"
            }
            Self::ProcessWithoutNode => "a process without a node; stop the VM",
            Self::RunsTwice => "several processes run it; kill all, then check its disks",
            Self::StalePidFile => {
                "bhyve.pid names another process; the next supervisor takes it away"
            }
            Self::Unsupervised => {
                "nobody supervises it, a reboot will end it; start its supervisor"
            }
            Self::PartsMissing => "it runs and parts of it are missing; stop and provision it",
            Self::NotOurs => {
                "its volume does not carry its mark lab:owner; it will not be destroyed"
            }
            Self::Undefined => "parts of it are there without its specification; destroy it",
        })
    }
}
