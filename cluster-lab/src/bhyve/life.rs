//! The VMs of a lab one by one: listed, moved, explained; and the way to the API that is behind their host.

use crate::{BhyveSpec, DraftError, HostError, Lab, blueprint::vm_name};
use bhyve_vm::{
    InvalidValue, VmName,
    fleet::{self, AskError, Explanation, LifeError, VmDefinition, VmSummary},
};
use host_exec::{Command, EventSink, ForwardError, ForwardErrorKind, SshHost};
use netplan::Role;

/// What may be asked of a VM.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VmRequest {
    /// Run it.
    Start,
    /// Have its guest shut down, by force in the end.
    Stop,
    /// Cut its power.
    Kill,
    /// Have its guest shut down and start again.
    Reboot,
}

/// A VM could not be looked at or moved.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum VmError {
    /// The machines of the lab are none.
    #[error(
        "the machines of lab {lab} are namespaces of this machine, not VMs; `lab status` shows them"
    )]
    NoVms {
        /// The lab.
        lab: String,
    },
    /// The FreeBSD host.
    #[error(transparent)]
    Host(#[from] HostError),
    /// No VM can have this name.
    #[error(transparent)]
    Name(#[from] InvalidValue),
    /// There is no such VM.
    #[error("lab {lab} has no VM {name} on {host}; `lab vm list` shows those that are there")]
    Unknown {
        /// The lab.
        lab: String,
        /// The VM.
        name: VmName,
        /// Its host.
        host: String,
    },
    /// The host was asked in vain.
    #[error(transparent)]
    Ask(#[from] AskError),
    /// It cannot be moved.
    #[error(transparent)]
    Life(#[from] LifeError),
    /// A member of etcd without its data must never be started as if it were new.
    #[error(
        "VM {name} holds a member of etcd, which would come back without its data; \
        `lab vm stop` switches it off, `lab down` removes the whole lab"
    )]
    HoldsMember {
        /// The VM.
        name: VmName,
    },
    /// The lab could not be worked out.
    #[error(transparent)]
    Draft(#[from] Box<DraftError>),
    /// It could not be removed, or not all of it.
    #[error(transparent)]
    Destroy(#[from] Box<fleet::DestroyError>),
    /// Its first serial port leads elsewhere.
    #[error(
        "VM {name} has no console that is recorded on its host; its first serial port leads elsewhere"
    )]
    NoConsole {
        /// The VM.
        name: VmName,
    },
    /// The tunnel to the API.
    #[error("cannot open the way to the API; another program may have the port")]
    Forward(#[from] ForwardError),
}

impl Lab {
    /// The VMs of all labs below the same dataset of the host.
    ///
    /// # Errors
    ///
    /// The lab has no VMs, or the host does not answer.
    pub async fn vms(&self) -> Result<Vec<VmSummary>, VmError> {
        let (host, bhyve) = self.vm_host()?;
        Ok(fleet::list(&host, &bhyve.directory()?).await?)
    }

    /// Moves the VM of a machine.
    ///
    /// # Errors
    ///
    /// There is none; it stands so that this cannot be asked of it; it did not do it in time.
    pub async fn move_vm(
        &self,
        node: &str,
        request: VmRequest,
        events: &dyn EventSink,
    ) -> Result<(), VmError> {
        let (host, vm) = self.vm(node).await?;
        let moved = match request {
            VmRequest::Start => fleet::start(&host, &vm, events).await,
            VmRequest::Stop => fleet::stop(&host, &vm, events).await,
            VmRequest::Kill => fleet::kill(&host, &vm, events).await,
            VmRequest::Reboot => fleet::reboot(&host, &vm, events).await,
        };
        Ok(moved?)
    }

    /// Removes the VM of a machine with its disk; the next [`Lab::up`] makes it anew.
    ///
    /// # Errors
    ///
    /// It holds a member of etcd, which would come back without its data; the host does not answer.
    pub async fn destroy_vm(&self, node: &str, events: &dyn EventSink) -> Result<(), VmError> {
        let (host, vm) = self.vm(node).await?;
        let (_, bhyve) = self.vm_host()?;
        let blueprint = self.remembered(bhyve).map_err(Box::new)?;
        let machine = blueprint.network.machine(node);
        if machine.is_some_and(|machine| machine.role == Role::Etcd) {
            return Err(VmError::HoldsMember { name: vm.spec.name });
        }
        let removal = self.removal_of(bhyve, vm.spec.name)?;
        let gone = fleet::destroy(&host, &removal, events).await;
        gone.map_err(Box::new)?;
        Ok(())
    }

    /// Why the VM of a machine is as it is.
    ///
    /// # Errors
    ///
    /// There is none, or the host does not answer.
    pub async fn explain_vm(&self, node: &str) -> Result<Explanation, VmError> {
        let (host, vm) = self.vm(node).await?;
        Ok(fleet::explain(&host, &vm).await?)
    }

    /// The command that shows the console of a machine's VM, and the host to run it on.
    ///
    /// # Errors
    ///
    /// There is none, the host does not answer, or its console is not recorded.
    pub async fn console(&self, node: &str) -> Result<(SshHost, Command), VmError> {
        let (host, vm) = self.vm(node).await?;
        match fleet::console_command(&vm) {
            Some(command) => Ok((host, command)),
            None => Err(VmError::NoConsole { name: vm.spec.name }),
        }
    }

    /// Sees to it that the address of the kubeconfig leads to the API: for VMs by a tunnel, which stays when this
    /// program ends; of namespaces it does anyway. Whether the host has the lab is not asked: addresses are remembered here.
    ///
    /// # Errors
    ///
    /// The host does not answer, or the port of this machine is taken.
    pub async fn reach_api(&self) -> Result<(), VmError> {
        let Some(bhyve) = &self.spec.bhyve else {
            return Ok(());
        };
        let blueprint = self.remembered(bhyve).map_err(Box::new)?;
        self.open_tunnel(&blueprint).await
    }

    pub(crate) async fn open_tunnel(&self, blueprint: &crate::Blueprint) -> Result<(), VmError> {
        let (host, _) = self.vm_host()?;
        let (here, there) = blueprint.tunnel();
        match host.forward(here, there).await {
            Err(error) if matches!(*error.kind, ForwardErrorKind::Denied(_)) => {
                // It may still lead to where the API was while the lab had more or fewer control planes.
                host.cancel(here, blueprint.other_end_of_tunnel()).await?;
                Ok(host.forward(here, there).await?)
            }
            answer => Ok(answer?),
        }
    }

    pub(super) fn vm_host(&self) -> Result<(SshHost, &BhyveSpec), VmError> {
        let bhyve = self.spec.bhyve.as_ref().ok_or_else(|| VmError::NoVms {
            lab: self.spec.name.to_string(),
        })?;
        Ok((self.freebsd_host(bhyve)?, bhyve))
    }

    async fn vm(&self, node: &str) -> Result<(SshHost, VmDefinition), VmError> {
        let (host, bhyve) = self.vm_host()?;
        let name = vm_name(&self.spec.name, node)?;
        let lab = self.spec.name.as_str().parse()?;
        let found = fleet::find(&host, &bhyve.directory()?, &lab, &name).await?;
        let vm = found.ok_or_else(|| VmError::Unknown {
            lab: self.spec.name.to_string(),
            name,
            host: host.destination().to_string(),
        })?;
        Ok((host, vm))
    }
}
