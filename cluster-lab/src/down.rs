//! Taking a lab down: from its name alone, whatever state it is in.

use crate::{FactsError, Lab, StateError, preflight::PreflightError};
use host_exec::EventSink;
use nix::unistd::Uid;
use nspawn_vm::{CgroupKind, GroupName, Leftovers};

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
}

impl Lab {
    /// Removes the lab: its processes, namespaces, control groups, interfaces and files, keys and kubeconfig
    /// included. Programs and images stay in the cache.
    ///
    /// A lab that is not there is *not* an error.
    ///
    /// # Errors
    ///
    /// Something could not be removed; another run works on the lab; the directory is not a lab's.
    pub async fn down(&self, events: &dyn EventSink) -> Result<Leftovers, DownError> {
        if !Uid::effective().is_root() {
            return Err(PreflightError::NotRoot.into());
        }
        let name: GroupName = self
            .spec
            .name
            .as_str()
            .parse()
            .expect("names of labs are names of groups");
        let state = self.state();
        let _lock = state.lock()?;
        match state.record() {
            // Nothing of it is needed: all is found by the lab's name.
            Ok(_) | Err(StateError::Damaged { .. }) => {}
            // Another version may have made what this one would not find.
            Err(error) => return Err(error.into()),
        }
        state.claim(&self.places.run_dir(&self.spec.name))?;
        let kind = CgroupKind::of_this_host().map_err(FactsError::Cgroups)?;
        let places = nspawn_vm::Places::new(state.root(), self.places.run_dir(&self.spec.name));
        let gone = nspawn_vm::destroy(&name, &places, kind, &self.here, events).await?;
        state.remove()?;
        // Shared by all labs: only an empty directory goes.
        for shared in [&self.places.run, &self.places.state] {
            // Not empty, or not there: both are right.
            let _ = std::fs::remove_dir(shared);
        }
        Ok(gone)
    }
}
