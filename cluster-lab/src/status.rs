//! How a lab stands, at a glance: without trying anything.

use crate::{DraftError, Hosts, Lab, LabPlanError, MachineState, ObserveError};
use host_exec::{Host, HostName, systemd};
use k8s_bootstrap::Desired;
use serde::Serialize;
use std::{net::IpAddr, path::PathBuf};

/// How a lab stands.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Status {
    /// Its name.
    pub name: String,
    /// The version of Kubernetes.
    pub kubernetes: String,
    /// The version of etcd.
    pub etcd: String,
    /// The kubeconfig that reaches it from this machine.
    pub kubeconfig: PathBuf,
    /// Its machines.
    pub machines: Vec<MachineStatus>,
}

/// How a machine stands.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct MachineStatus {
    /// Its name.
    pub name: String,
    /// What it is for.
    pub class: netplan::Role,
    /// Its addresses.
    pub addresses: Vec<IpAddr>,
    /// Its state.
    pub state: MachineState,
    /// The services of the lab on it that do not run, in systemd's words.
    pub down: Vec<String>,
    /// How many services of the lab it has.
    pub services: usize,
}

impl Status {
    /// Whether all machines and their services run.
    pub fn ok(&self) -> bool {
        self.machines.iter().all(MachineStatus::ok)
    }
}

impl MachineStatus {
    /// Whether the machine and its services run.
    pub fn ok(&self) -> bool {
        self.state.runs() && self.down.is_empty()
    }
}

impl Lab {
    /// The machines that run, ready to be entered.
    ///
    /// # Errors
    ///
    /// The lab cannot be worked out or looked at. A machine that does not run is *not* an error.
    pub async fn hosts(&self) -> Result<Hosts, LabPlanError> {
        let blueprint = self.draft().await?;
        Ok(self.see(&blueprint).await?.hosts)
    }

    /// How the lab stands.
    ///
    /// # Errors
    ///
    /// The lab cannot be worked out or looked at. That something does not run is *not* an error.
    pub async fn status(&self) -> Result<Status, LabPlanError> {
        let blueprint = self.draft().await?;
        let seen = self.see(&blueprint).await?;
        let etcd = blueprint.etcd_version().map_err(DraftError::from)?;
        let token = self.fresh_token()?;
        let paper = crate::lab::desired(&blueprint, &token, crate::material::Source::Paper, None)?;
        let machines = blueprint.network.machines.iter().map(|machine| {
            let name = crate::blueprint::host_name(machine);
            let (host, units) = (seen.hosts.get(&name), units(&paper, machine, &name));
            let found = seen.states.get(&name).cloned();
            let state = found.unwrap_or(MachineState::Absent);
            async move {
                let down = match host {
                    Some(host) => units_down(host.as_ref(), &units)
                        .await
                        .map_err(ObserveError::Services)?,
                    None => Vec::new(),
                };
                Ok::<_, LabPlanError>(MachineStatus {
                    name: name.to_string(),
                    class: machine.role,
                    addresses: machine
                        .nics
                        .iter()
                        .flat_map(|nic| nic.address.iter())
                        .collect(),
                    state,
                    down,
                    services: units.len(),
                })
            }
        });
        Ok(Status {
            name: self.spec.name.to_string(),
            kubernetes: self.spec.kubernetes.to_string(),
            etcd: etcd.to_string(),
            kubeconfig: self.state().kubeconfig(),
            machines: futures::future::try_join_all(machines).await?,
        })
    }
}

fn units(desired: &Desired, machine: &netplan::Machine, name: &HostName) -> Vec<systemd::UnitName> {
    match machine.role {
        netplan::Role::Etcd => vec![etcd_bootstrap::render::unit_name()],
        _ => desired
            .nodes
            .get(name)
            .map(k8s_bootstrap::NodeSetup::units)
            .unwrap_or_default(),
    }
}

async fn units_down(
    host: &dyn Host,
    units: &[systemd::UnitName],
) -> Result<Vec<String>, host_exec::RunError> {
    let states = systemd::states(host, units).await?;
    let down = states.iter().filter(|(_, state)| state.active != "active");
    Ok(down
        .map(|(unit, state)| format!("{unit}: {state}"))
        .collect())
}
