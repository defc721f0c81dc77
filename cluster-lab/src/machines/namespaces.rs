//! Machines that are namespaces of this machine.

use super::{MachineState, Seen, SeenDetail};
use crate::{
    Blueprint, Hosts, Lab, ObserveError, UpError, Wired, first_boot::with_first_boot,
    supplies::seed_images,
};
use host_exec::{EventSink, Host, LocalHost};
use nspawn_vm::{CgroupKind, Group, Observed};
use std::{path::Path, sync::Arc, time::Duration};

/// How long a machine may take to boot, on a machine of usual speed. By hand it took half a second.
const BOOT_LIMIT: Duration = Duration::from_secs(60);

pub(super) async fn see(group: &Group, here: &LocalHost) -> Result<Seen, ObserveError> {
    let observed = nspawn_vm::observe(group, here).await?;
    let states = group.machines.iter().map(|machine| {
        let found = observed.machines.get(machine.name.as_str());
        let state = found.map_or(MachineState::Absent, |found| state(*found));
        (machine.name.clone(), state)
    });
    Ok(Seen {
        states: states.collect(),
        hosts: hosts(&observed),
        detail: SeenDetail::Namespaces(observed),
    })
}

fn state(found: nspawn_vm::MachineState) -> MachineState {
    use nspawn_vm::MachineState as Found;
    match found {
        Found::Absent => MachineState::Absent,
        Found::Stopped => MachineState::Stopped,
        Found::Booting => MachineState::Booting {
            evidence: "its systemd takes no requests yet".into(),
        },
        Found::Stopping => MachineState::Stopping,
        Found::Running { leader } => MachineState::Running {
            evidence: format!("its process 1 is {leader} here"),
            leader: Some(leader),
        },
        Found::Broken { processes } => MachineState::Broken {
            why: format!("{processes} processes are left of it, and no working machine"),
        },
    }
}

fn hosts(observed: &Observed) -> Hosts {
    let share = |(name, host)| (name, Arc::new(host) as Arc<dyn Host>);
    observed.hosts().into_iter().map(share).collect()
}

impl Lab {
    /// Brings the namespaces up. Also says whether anything had to be done.
    pub(crate) async fn raise_namespaces(
        &self,
        blueprint: &Blueprint,
        group: &Group,
        wired: &Wired,
        images: &Path,
        events: &dyn EventSink,
    ) -> Result<(Hosts, bool), UpError> {
        let group = &with_first_boot(blueprint, group, &wired.etcd, &wired.kubernetes);
        let kind = CgroupKind::of_this_host()
            .map_err(|why| crate::DraftError::from(crate::FactsError::Cgroups(why)))?;
        let patience = BOOT_LIMIT.mul_f64(self.spec.patience);
        let look = || nspawn_vm::observe(group, &self.here);
        let mut observed = look().await.map_err(ObserveError::from)?;
        let mut plan = nspawn_vm::plan(group, &observed);
        let changed = !plan.is_empty();
        // A machine that is on its way up or down, as an interrupted run leaves it, is waited for before it is
        // decided what it needs. Twice is enough: what is down then is started, and what is up runs.
        for _ in 0..2 {
            if plan.is_empty() {
                break;
            }
            seed_images(blueprint, group, &plan, images).await?;
            nspawn_vm::apply(group, &plan, kind, &self.here, patience, events).await?;
            observed = look().await.map_err(ObserveError::from)?;
            plan = nspawn_vm::plan(group, &observed);
        }
        Ok((hosts(&observed), changed))
    }
}
