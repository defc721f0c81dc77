//! What of a group is there: asked from the kernel, never from a file that says what was once done.

use crate::{Group, GroupName, ObserveError, network, process};
use host_exec::{Command, Host, HostName, NamespaceHost};
use serde::Serialize;
use sha2::{Digest, Sha256};
use std::{collections::BTreeMap, fs, path::PathBuf};

/// What a machine is found to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "state")]
pub enum MachineState {
    /// No directory and no process.
    Absent,
    /// It has been prepared, and nothing of it runs.
    Stopped,
    /// It is on its way up, for the first time or after a reboot: its systemd takes no requests yet.
    Booting,
    /// It is on its way down; whether it comes back, only its end shows.
    Stopping,
    /// Its systemd runs.
    Running {
        /// The number of its process 1, seen from this host.
        leader: u32,
    },
    /// Processes of it run, but not those it needs: its supervisor or its process 1 was killed.
    Broken {
        /// How many.
        processes: usize,
    },
}

/// What of a group is there.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Observed {
    /// Each machine of the group, and each that has processes although the group does not name it.
    pub machines: BTreeMap<String, MachineState>,
    pub(crate) skeleton: bool,
    pub(crate) network: network::Seen,
    pub(crate) rules_loaded: bool,
}

impl Observed {
    /// A host on which nothing of a group is there.
    pub fn nothing() -> Self {
        Self::default()
    }

    /// The machines that run, ready to be worked on.
    pub fn hosts(&self) -> BTreeMap<HostName, NamespaceHost> {
        let running = self
            .machines
            .iter()
            .filter_map(|(name, state)| match state {
                MachineState::Running { leader } => {
                    let name: HostName = name.parse().ok()?;
                    Some((name.clone(), NamespaceHost::new(name, *leader)))
                }
                _ => None,
            });
        running.collect()
    }
}

/// Looks at the network, the rules and the machines of `group` on `host`, which is this machine.
///
/// # Errors
///
/// A command that only looks fails, or says what its manual does not. That something is missing, half there
/// or broken is *not* an error: it is what was observed.
pub async fn observe(group: &Group, host: &dyn Host) -> Result<Observed, ObserveError> {
    let wanted = network::wanted(group);
    let network = network::observe(host, &wanted).await?;
    let rules_loaded = rules_loaded(group, host, &network).await?;
    Ok(Observed {
        machines: machines(group)?,
        skeleton: group.places.skeleton().is_dir(),
        network,
        rules_loaded,
    })
}

/// The states of all machines of `group`, by its processes and directories. Quick: no command is run.
pub(crate) fn machines(group: &Group) -> Result<BTreeMap<String, MachineState>, ObserveError> {
    let mut states: BTreeMap<String, MachineState> = group
        .machines
        .iter()
        .map(|machine| {
            // `lower` is what is made last: a machine without it was interrupted and is prepared again.
            let prepared = group
                .places
                .machine(&machine.name)
                .join("lower/etc/resolv.conf")
                .exists();
            let state = if prepared {
                MachineState::Stopped
            } else {
                MachineState::Absent
            };
            (machine.name.as_str().to_owned(), state)
        })
        .collect();
    for (name, processes) in running(&group.name)? {
        let leader = processes.iter().find(|process| process.leader);
        let supervised = processes.iter().any(|process| process.nspawn);
        let state = match (leader, supervised) {
            (Some(leader), true) => state_of(leader.pid),
            (None, true) => MachineState::Booting,
            (_, false) => MachineState::Broken {
                processes: processes.len(),
            },
        };
        states.insert(name, state);
    }
    Ok(states)
}

/// The state of a machine whose process 1 and supervisor live, by two files that its systemd makes.
fn state_of(leader: u32) -> MachineState {
    let run = PathBuf::from(format!("/proc/{leader}/root/run"));
    // systemd-user-sessions(8) writes it when the machine goes down; at boot it says another thing.
    let nologin = fs::read_to_string(run.join("nologin")).unwrap_or_default();
    if nologin.contains("going down") {
        return MachineState::Stopping;
    }
    // systemctl(1) talks to this socket; it is there from the moment on that systemd takes requests.
    if run.join("systemd/private").exists() {
        MachineState::Running { leader }
    } else {
        MachineState::Booting
    }
}

/// The processes of a group, by machine.
pub(crate) fn running(
    group: &GroupName,
) -> Result<BTreeMap<String, Vec<process::Process>>, ObserveError> {
    let proc = process::proc_dir();
    process::of_group(group, &proc).map_err(|source| ObserveError::Read { path: proc, source })
}

/// Whether the router has our rules: it must list what it listed after we had loaded these very rules.
async fn rules_loaded(
    group: &Group,
    host: &dyn Host,
    network: &network::Seen,
) -> Result<bool, ObserveError> {
    let router = network::Scope::Named(group.name.netns(network::ROUTER));
    let recorded = fs::read_to_string(rules_record(group)).unwrap_or_default();
    if recorded.is_empty() || !network.namespaces.contains_key(&router) {
        return Ok(false);
    }
    Ok(recorded == rules_fingerprint(group, host).await?)
}

/// Where it is kept which rules were loaded; lost when the host reboots, as the rules are.
pub(crate) fn rules_record(group: &Group) -> PathBuf {
    group.places.run().join("router.rules")
}

/// A digest of the rules that were given and of what the kernel made of them.
pub(crate) async fn rules_fingerprint(
    group: &Group,
    host: &dyn Host,
) -> Result<String, ObserveError> {
    // Stateless: counters and sets that fill themselves are no change.
    let list = in_router(
        group,
        Command::new("nft").args(["--stateless", "list", "ruleset"]),
    );
    let listed = host.run(&list).await?;
    let digest = Sha256::new()
        .chain_update(&group.router.rules)
        .chain_update([0])
        .chain_update(&listed.stdout);
    Ok(digest
        .finalize()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect())
}

/// `command` in the network namespace of the router, and in no other namespace of it: `ip netns exec` would
/// mount /sys anew.
pub(crate) fn in_router(group: &Group, command: Command) -> Command {
    let mut entered = Command::new("nsenter")
        .arg(format!(
            "--net=/run/netns/{}",
            group.name.netns(network::ROUTER)
        ))
        .arg("--")
        .arg(command.program());
    entered = entered.args(command.arguments().iter().cloned());
    entered
}
