//! Taking a lab down: from its name alone, whatever state it is in.

use crate::{BhyveSpec, FactsError, HostError, Lab, StateError, preflight::PreflightError};
use bhyve_vm::fleet::{self, Extent, Removal};
use host_exec::EventSink;
use nix::unistd::Uid;
use nspawn_vm::{CgroupKind, GroupName};
use serde::Serialize;

/// A lab that could not be taken down completely. Another `down` goes on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DownError {
    /// Not allowed.
    #[error(transparent)]
    Preflight(#[from] PreflightError),
    /// The lab's directory.
    #[error(transparent)]
    State(#[from] StateError),
    /// This machine.
    #[error(transparent)]
    Facts(#[from] FactsError),
    /// Machines and networks.
    #[error(transparent)]
    Machines(#[from] nspawn_vm::DestroyError),
    /// The FreeBSD host.
    #[error(transparent)]
    Host(#[from] HostError),
    /// VMs, and what of the host they stood on.
    #[error(transparent)]
    Vms(#[from] fleet::DestroyError),
    /// A name that is none on a FreeBSD host.
    #[error(transparent)]
    Name(#[from] bhyve_vm::InvalidValue),
}

/// What was there, and is gone.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Gone {
    /// Machines that ran or rested.
    pub machines: usize,
    /// Namespaces of this machine, or what else of a FreeBSD host was taken away.
    pub others: usize,
}

impl Lab {
    /// Removes the lab: its processes, namespaces, control groups, interfaces and files, keys and kubeconfig
    /// included. Programs and images stay in the cache. On a FreeBSD host so do the image and the disk of programs,
    /// which labs share; `purge` removes those too that no other lab uses.
    ///
    /// A lab that is not there is *not* an error.
    ///
    /// # Errors
    ///
    /// Something could not be removed; another run works on the lab; the directory is not a lab's.
    pub async fn down(&self, purge: bool, events: &dyn EventSink) -> Result<Gone, DownError> {
        if self.spec.bhyve.is_none() && !Uid::effective().is_root() {
            return Err(PreflightError::NotRoot.into());
        }
        let done = self.remove(purge, events).await;
        // Shared by all labs: only an empty directory goes. That of sockets is left to labs that have them: one of those
        // may be about to bind its first.
        let sockets = self.spec.bhyve.as_ref().map(|_| self.places.sockets());
        let shared = [&self.places.run, &self.places.state];
        for shared in sockets.iter().chain(shared) {
            // Not empty, or not there: both are right.
            let _ = std::fs::remove_dir(shared);
        }
        done
    }

    async fn remove(&self, purge: bool, events: &dyn EventSink) -> Result<Gone, DownError> {
        let state = self.state();
        if let (Some(bhyve), false) = (&self.spec.bhyve, state.root().exists()) {
            // Of VMs only the host may know; a lab that is not here leaves nothing here, also where the host is silent.
            return self.end_vms(bhyve, purge, events).await;
        }
        let _lock = state.lock()?;
        match state.record() {
            // Nothing of it is needed: all is found by the lab's name.
            Ok(_) | Err(StateError::Damaged { .. }) => {}
            // Another version may have made what this one would not find.
            Err(error) => return Err(error.into()),
        }
        state.claim(&self.places.run_dir(&self.spec.name))?;
        let gone = match &self.spec.bhyve {
            None => self.end_namespaces(events).await?,
            Some(bhyve) => self.end_vms(bhyve, purge, events).await?,
        };
        state.remove()?;
        Ok(gone)
    }

    async fn end_namespaces(&self, events: &dyn EventSink) -> Result<Gone, DownError> {
        let name = self.spec.name.as_str().parse::<GroupName>();
        let name = name.expect("names of labs are names of groups");
        let kind = CgroupKind::of_this_host().map_err(FactsError::Cgroups)?;
        let run = self.places.run_dir(&self.spec.name);
        let places = nspawn_vm::Places::new(self.state().root(), run);
        let gone = nspawn_vm::destroy(&name, &places, kind, &self.here, events).await?;
        Ok(Gone {
            machines: gone.machines,
            others: gone.namespaces,
        })
    }

    /// A lab without a host was never more than a plan.
    async fn end_vms(
        &self,
        bhyve: &BhyveSpec,
        purge: bool,
        events: &dyn EventSink,
    ) -> Result<Gone, DownError> {
        if bhyve.host.is_none() {
            return Ok(Gone::default());
        }
        let host = self.freebsd_host(bhyve)?;
        let removal = Removal {
            lab: self.spec.name.as_str().parse()?,
            dataset: bhyve.dataset.clone(),
            directory: bhyve.directory()?,
            extent: match purge {
                true => Extent::LabAndShared,
                false => Extent::Lab,
            },
        };
        let gone = fleet::destroy(&host, &removal, events).await?;
        // Also the tunnels; a host that has gone by now has closed them.
        let _ = host.disconnect().await;
        // The claim on the lab's name; namespaces take theirs along.
        let _ = std::fs::remove_dir_all(self.places.run_dir(&self.spec.name));
        Ok(Gone {
            machines: gone.stopped.len(),
            others: gone.removed.len(),
        })
    }
}
