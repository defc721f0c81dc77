//! Machines that a smaller lab no longer has: their nodes are drained and removed, then they are ended for good.
//!
//! The lab as it was is kept in a file of its own until the last of them has gone, so that a run that was killed
//! anywhere is finished by the next. The order:
//!
//! 1. Drain, while the lab is still as it was: the firewall and the routes let pods end as usual. Members of etcd
//!    leave, while all of them can still reach each other.
//! 2. Bring up what stays. Balancers forget a control plane here, before its API server stops.
//! 3. Remove the nodes, and end the machines; take from those that stay what they need no longer, such as a balancer
//!    in front of one API server.
//!
//! A machine that does not run is not drained: nobody is there to end its pods. They go with its Node.

mod apply;
mod error;
mod plan;

pub use error::ShrinkError;
pub use plan::Leaving;

use crate::{Blueprint, Hosts, Lab, LabPlanError, LabSpec, StateError, Wired};
use etcd_bootstrap::MemberName;
use host_exec::HostName;
use k8s_bootstrap::{Desired, retire::DrainOptions};
use netplan::Role;
use std::collections::BTreeSet;

/// The lab as it was, and what of it goes.
pub(crate) struct Shrinking {
    was: Lab,
    blueprint: Blueprint,
    machines: BTreeSet<HostName>,
}

impl Lab {
    /// What is to go: by what this run asks for, and by what a run that was killed had begun.
    pub(crate) async fn shrinking(
        &self,
        blueprint: &Blueprint,
    ) -> Result<Option<Shrinking>, LabPlanError> {
        let state = self.state();
        let recorded = state.record()?.map(|record| record.spec);
        let Some(spec) = larger(state.leaving()?, recorded) else {
            return Ok(None);
        };
        let (was, wanted) = (&spec.machines, &self.spec.machines);
        let has_fewer = wanted.workers < was.workers
            || wanted.control_planes < was.control_planes
            || wanted.etcd < was.etcd;
        if !has_fewer {
            return Ok(None);
        }
        let was = Self {
            spec,
            ..self.clone()
        };
        let old = was.draft_as_was().await?;
        let mut machines = machines_of(&old);
        for stays in machines_of(blueprint) {
            machines.remove(&stays);
        }
        Ok((!machines.is_empty()).then_some(Shrinking {
            was,
            blueprint: old,
            machines,
        }))
    }

    /// Remembers the lab as it was, before the smaller one is remembered.
    pub(crate) fn remember_leaving(&self, shrinking: Option<&Shrinking>) -> Result<(), StateError> {
        let state = self.state();
        match shrinking {
            Some(shrinking) => state.remember_leaving(&shrinking.was.spec),
            // It has grown again before all had gone.
            None => state.forget_leaving(),
        }
    }
}

fn machines_of(blueprint: &Blueprint) -> BTreeSet<HostName> {
    let roles = [Role::Etcd, Role::ControlPlane, Role::Worker].into_iter();
    roles.flat_map(|role| blueprint.hosts_of(role)).collect()
}

/// Of the two the one that names every machine of both.
fn larger(leaving: Option<LabSpec>, recorded: Option<LabSpec>) -> Option<LabSpec> {
    match (leaving, recorded) {
        (Some(mut leaving), Some(recorded)) => {
            let (most, now) = (&mut leaving.machines, &recorded.machines);
            most.workers = most.workers.max(now.workers);
            most.control_planes = most.control_planes.max(now.control_planes);
            most.etcd = most.etcd.max(now.etcd);
            Some(leaving)
        }
        (leaving, recorded) => leaving.or(recorded),
    }
}

impl Shrinking {
    /// The machines of the larger lab that can be worked on, and what runs on them. The latter is none where
    /// certificates of a node that goes were never issued: it has never been one then. What else the store may lack,
    /// those that stay lack too, and that is told when they are brought up.
    async fn look(&self) -> Result<(Hosts, Option<Wired>), LabPlanError> {
        let seen = self.was.see(&self.blueprint).await?;
        let blueprint = self.was.informed(self.blueprint.clone(), &seen).await;
        let token = self.was.token_to_look_with::<LabPlanError>().ok();
        let wired = token.and_then(|token| self.was.wire(&blueprint, &token).ok());
        Ok((seen.hosts, wired))
    }

    /// The members of etcd among those that go.
    fn members(&self) -> Vec<MemberName> {
        let members = self.blueprint.hosts_of(Role::Etcd);
        let leaving = members.filter(|machine| self.machines.contains(machine));
        leaving
            .filter_map(|machine| machine.as_str().parse().ok())
            .collect()
    }
}

fn is_member(members: &[MemberName], machine: &HostName) -> bool {
    members
        .iter()
        .any(|member| member.as_str() == machine.as_str())
}

/// The nodes of both that can be worked on.
fn staying<'d>(
    was: &'d Desired,
    is: &'d Desired,
    hosts: &'d Hosts,
) -> impl Iterator<Item = &'d HostName> {
    let nodes = is.nodes.keys();
    nodes.filter(|node| was.nodes.contains_key(*node) && hosts.contains_key(*node))
}

/// Whoever asks for fewer machines consents to what is only on them.
fn drain_options() -> DrainOptions {
    DrainOptions {
        delete_emptydir_data: true,
        ..DrainOptions::default()
    }
}
