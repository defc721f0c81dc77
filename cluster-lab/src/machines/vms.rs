//! Machines that are bhyve VMs on a FreeBSD host.

use super::{MachineState, Seen, SeenDetail};
use crate::{
    BhyveSpec, Blueprint, GuestFacts, Hosts, Lab, ObserveError, UpError, bhyve::Supplied,
    blueprint::host_name,
};
use bhyve_vm::{
    VmState,
    fleet::{self, FleetObserved, VmFound},
};
use host_exec::{
    Command, EventSink, Host, RunErrorKind, SshHost,
    poll::{self, Attempt, Wait},
};
use netplan::{Machine, Role};
use std::{path::PathBuf, sync::Arc, time::Duration};

/// How long a guest may take from its firmware to its sshd, on a host of usual speed. A cloud image makes its first
/// boot in half a minute.
const BOOT_LIMIT: Duration = Duration::from_secs(180);
/// How long cloud-init may take after that.
const CLOUD_INIT_LIMIT: Duration = Duration::from_secs(600);
/// How long a guest that runs may take to answer one question.
const ANSWER_LIMIT: Duration = Duration::from_secs(15);
/// Where guests have programs.
const PROGRAM_DIRS: [&str; 4] = ["/usr/local/bin", "/usr/bin", "/usr/local/sbin", "/usr/sbin"];

impl Lab {
    /// Looks at the VMs, and at which of them answer.
    pub(super) async fn see_vms(
        &self,
        blueprint: &Blueprint,
        bhyve: &BhyveSpec,
    ) -> Result<Seen, ObserveError> {
        let stock = self.stock_at_hand(blueprint).await?;
        let fleet = blueprint.fleet(bhyve, &stock)?;
        if bhyve.host.is_none() {
            let states = blueprint.network.machines.iter();
            return Ok(Seen {
                states: states
                    .map(|machine| (host_name(machine), MachineState::Absent))
                    .collect(),
                hosts: Hosts::new(),
                detail: SeenDetail::Vms(Box::new((fleet, FleetObserved::without_host()))),
            });
        }
        let host = self.freebsd_host(bhyve)?;
        let observed = fleet::observe(&host, &fleet).await?;
        let looks = blueprint.network.machines.iter().map(|machine| async {
            let name = host_name(machine);
            let found = observed.vms.get(&blueprint.vm_name(&name)?);
            let guest = self.guest(blueprint, machine, &host)?;
            let state = found.map_or(MachineState::Absent, state);
            let state = match state.runs() {
                true => answering(&guest, state).await,
                false => state,
            };
            Ok::<_, ObserveError>((name, state, guest))
        });
        let seen = futures::future::try_join_all(looks).await?;
        let hosts = seen.iter().filter(|(_, state, _)| state.runs());
        let hosts =
            hosts.map(|(name, _, guest)| (name.clone(), Arc::new(guest.clone()) as Arc<dyn Host>));
        Ok(Seen {
            hosts: hosts.collect(),
            states: seen
                .into_iter()
                .map(|(name, state, _)| (name, state))
                .collect(),
            detail: SeenDetail::Vms(Box::new((fleet, observed))),
        })
    }

    /// Brings the VMs up. Also says whether anything had to be done.
    pub(crate) async fn raise_vms(
        &self,
        blueprint: &Blueprint,
        bhyve: &BhyveSpec,
        supplied: &Supplied,
        events: &dyn EventSink,
    ) -> Result<(Hosts, bool), UpError> {
        let host = self.freebsd_host(bhyve).map_err(ObserveError::from)?;
        let fleet = blueprint
            .fleet(bhyve, &supplied.stock)
            .map_err(ObserveError::from)?;
        let observed = fleet::observe(&host, &fleet)
            .await
            .map_err(ObserveError::from)?;
        let plan = fleet::plan(&fleet, &observed).map_err(ObserveError::from)?;
        if !plan.is_empty() {
            fleet::apply(&host, &fleet, &plan, &supplied.files, events).await?;
        }
        let machines = blueprint.network.machines.iter();
        let waits = machines.map(|machine| self.await_guest(blueprint, machine, &host, events));
        let hosts = futures::future::try_join_all(waits).await?;
        Ok((hosts.into_iter().collect(), !plan.is_empty()))
    }

    async fn await_guest(
        &self,
        blueprint: &Blueprint,
        machine: &Machine,
        host: &SshHost,
        events: &dyn EventSink,
    ) -> Result<(host_exec::HostName, Arc<dyn Host>), UpError> {
        let guest = self
            .guest(blueprint, machine, host)
            .map_err(ObserveError::from)?;
        let (name, step) = (guest.name().clone(), "first contact");
        // A guest that has run for a while answers at once, and nothing has to be told.
        if guest.run(&question()).await.is_ok() {
            await_cloud_init(&guest, self.spec.patience)
                .await
                .map_err(ObserveError::Services)?;
            return Ok((name, Arc::new(guest)));
        }
        events.started(name.as_str(), step);
        let limit = BOOT_LIMIT.mul_f64(self.spec.patience);
        let wait = Wait::new(format!("answer of {name} over SSH"), limit);
        let answered = poll::until(&wait, || async {
            match guest.run(&question()).await {
                Ok(_) => Ok(Attempt::Ready(())),
                // Another key than it was given, or none of ours let in: waiting does not help.
                Err(error) if matches!(*error.kind, RunErrorKind::Refused(_)) => Err(error),
                Err(error) => Ok(Attempt::NotYet(error.kind.to_string())),
            }
        });
        answered.await.map_err(|source| UpError::Contact {
            machine: name.clone(),
            source,
        })?;
        await_cloud_init(&guest, self.spec.patience)
            .await
            .map_err(ObserveError::Services)?;
        events.done(
            name.as_str(),
            step,
            "answers, with the key that it was given",
        );
        Ok((name, Arc::new(guest)))
    }

    /// The lab, with what only its machines tell: of VMs, what their own system has.
    pub(crate) async fn informed(&self, blueprint: Blueprint, seen: &Seen) -> Blueprint {
        let SeenDetail::Vms(vms) = &seen.detail else {
            return blueprint;
        };
        let disks = vms.0.shared.iter().map(|file| file.sha256.to_string());
        let blueprint = blueprint.with_disk(&disks.collect::<String>());
        self.with_guests_asked(blueprint, &seen.hosts).await
    }

    /// What the guests have in their own system; what is assumed of them where none can be asked yet.
    pub(crate) async fn with_guests_asked(&self, blueprint: Blueprint, hosts: &Hosts) -> Blueprint {
        let nodes = [Role::Worker, Role::ControlPlane].into_iter();
        let node = nodes
            .flat_map(|role| blueprint.hosts_of(role))
            .find_map(|name| hosts.get(&name));
        let Some(node) = node.cloned() else {
            return blueprint;
        };
        let dirs = PROGRAM_DIRS.map(PathBuf::from);
        // A node without containerd gets it first, and is asked again then.
        match GuestFacts::observe(node.as_ref(), &dirs).await {
            Ok(guests) => blueprint.with_guests(guests),
            Err(_) => blueprint,
        }
    }
}

/// Waits until cloud-init is done with the first boot, where the image has it: before, it may change what we write.
async fn await_cloud_init(guest: &SshHost, patience: f64) -> Result<(), host_exec::RunError> {
    let status = Command::new("cloud-init").args(["status", "--wait"]);
    let status = status.timeout(CLOUD_INIT_LIMIT.mul_f64(patience));
    match guest.output(&status).await {
        // 2: done, with something to say in its log (cloud-init's documentation, "Exit codes").
        Ok(output) if matches!(output.status, host_exec::Status::Exited(0 | 2)) => Ok(()),
        Ok(_) => guest.run(&status).await.map(drop),
        Err(error) if matches!(*error.kind, RunErrorKind::NotFound) => Ok(()),
        Err(error) => Err(error),
    }
}

fn question() -> Command {
    Command::new("true").timeout(ANSWER_LIMIT)
}

async fn answering(guest: &SshHost, state: MachineState) -> MachineState {
    match guest.run(&question()).await {
        Ok(_) => state,
        Err(error) => MachineState::Booting {
            evidence: format!("no answer over SSH: {}", error.kind),
        },
    }
}

fn state(found: &VmFound) -> MachineState {
    let observed = &found.observed;
    match observed.state {
        VmState::Absent | VmState::Defined | VmState::Provisioning => MachineState::Absent,
        VmState::Stopped => MachineState::Stopped,
        VmState::Starting => MachineState::Booting {
            evidence: "nothing on its console yet".into(),
        },
        VmState::Rebooting => MachineState::Booting {
            evidence: "bhyve is about to start again".into(),
        },
        VmState::Stopping | VmState::Deleting => MachineState::Stopping,
        VmState::Running => MachineState::Running {
            evidence: match observed.stage {
                Some(stage) => format!("bhyve runs; its console has come to: {stage}"),
                None => "bhyve runs".to_owned(),
            },
            leader: None,
        },
        state @ (VmState::Crashed | VmState::Failed | VmState::Unknown) => MachineState::Broken {
            why: match observed.contradictions.first() {
                Some(contradiction) => format!("it is {state}: {contradiction}"),
                None => format!("it is {state}; `lab vm explain` says why"),
            },
        },
    }
}
