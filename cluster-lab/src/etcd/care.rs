//! Room in the stores of etcd: defragmentation, and the way out of NOSPACE.

use super::RunningEtcd;
use crate::{Lab, LabPlanError, StateError};
use etcd_bootstrap::{
    ANSWER_TIMEOUT, Probe, RequestFailed, Unreachable,
    maintenance::{
        DEFRAG_LIMIT, DefragOptions, MaintainError, MaintenancePlan, MaintenanceRefused, maintain,
        plan_defrag, plan_space, see,
    },
};
use host_exec::EventSink;

/// What is done about space.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EtcdCare {
    /// Give free pages back to the disks.
    Defragment {
        /// Also where there is little to win.
        force: bool,
    },
    /// Compact, defragment, and take the alarms NOSPACE back if there is room then.
    FreeSpace,
}

/// The stores of etcd could not be looked after.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EtcdCareError {
    /// The lab could not be looked at.
    #[error(transparent)]
    Lab(#[from] LabPlanError),
    /// The lab's directory.
    #[error(transparent)]
    State(#[from] StateError),
    /// A machine of etcd does not run.
    #[error("a machine of etcd does not run; `lab up` starts it")]
    Unreachable(#[from] Unreachable),
    /// A member does not answer.
    #[error(transparent)]
    Request(#[from] RequestFailed),
    /// The members are not well enough.
    #[error(transparent)]
    Refused(#[from] MaintenanceRefused),
    /// A step failed.
    #[error(transparent)]
    Step(#[from] MaintainError),
}

impl Lab {
    /// What [`Lab::etcd_care`] would do. Changes nothing.
    ///
    /// # Errors
    ///
    /// A machine does not run, or a member is not well.
    pub async fn plan_etcd_care(&self, care: EtcdCare) -> Result<MaintenancePlan, EtcdCareError> {
        plan(&self.running_etcd().await?, care).await
    }

    /// Makes room, one member at a time, the leader last; returns what was done.
    ///
    /// # Errors
    ///
    /// As [`Lab::plan_etcd_care`], or a step fails; then members after it were not touched.
    pub async fn etcd_care(
        &self,
        care: EtcdCare,
        events: &dyn EventSink,
    ) -> Result<MaintenancePlan, EtcdCareError> {
        let _lock = self.state().lock()?;
        let etcd = self.running_etcd().await?;
        let plan = plan(&etcd, care).await?;
        let (probe, patient) = (
            probe(&etcd)?,
            Probe::new(&etcd.spec, &etcd.hosts, &etcd.tls, DEFRAG_LIMIT)?,
        );
        maintain(&etcd.spec, &plan, &probe, &patient, events).await?;
        Ok(plan)
    }
}

async fn plan(etcd: &RunningEtcd, care: EtcdCare) -> Result<MaintenancePlan, EtcdCareError> {
    let seen = see(&etcd.spec, &probe(etcd)?).await?;
    Ok(match care {
        EtcdCare::Defragment { force } => plan_defrag(&etcd.spec, &seen, DefragOptions { force })?,
        EtcdCare::FreeSpace => plan_space(&etcd.spec, &seen)?,
    })
}

fn probe(etcd: &RunningEtcd) -> Result<Probe, Unreachable> {
    Probe::new(&etcd.spec, &etcd.hosts, &etcd.tls, ANSWER_TIMEOUT)
}
