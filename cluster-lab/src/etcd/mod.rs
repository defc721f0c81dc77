//! etcd of a lab that is there: what `lab etcd` is about.

mod api_servers;
mod care;
mod downgrade;
mod history;
mod members;
mod record;
mod restore;
mod schedule;
mod snapshot;
mod source;
mod status;
mod upgrade;

pub use care::{EtcdCare, EtcdCareError};
pub use downgrade::EtcdDowngrade;
pub use record::{EtcdRecord, Restoring};
pub use restore::{EtcdRestoreError, EtcdRestorePlan, EtcdRestored};
pub use schedule::{
    EtcdKeptError, EtcdScheduleError, InvalidKeptName, KeptName, ScheduledSnapshots,
};
pub(crate) use schedule::{look_at_schedule, settle_schedule};
pub use snapshot::{EtcdSnapshot, EtcdSnapshotError};
pub use source::EtcdSource;
pub use upgrade::EtcdUpgradeError;

pub(crate) use record::{PROGRAMS, SNAPSHOTS};

pub use members::{EtcdError, EtcdWish};
pub(crate) use members::{has_pending, plan_leaving, plan_pending};
pub use status::{EtcdMember, EtcdStatus};

use crate::{Lab, LabPlanError, Wired, lab::etcd_hosts};
use etcd_bootstrap::{ClusterSpec, Hosts, Tls};

/// The cluster of etcd, and of its machines those that run.
pub(crate) struct RunningEtcd {
    pub(crate) spec: ClusterSpec,
    pub(crate) hosts: Hosts,
    pub(crate) tls: Tls,
}

impl Lab {
    /// etcd of this lab, with its certificates, which have to be there.
    pub(crate) async fn running_etcd(&self) -> Result<RunningEtcd, LabPlanError> {
        let (wired, hosts) = self.running().await?;
        Ok(RunningEtcd::of(&wired, &hosts))
    }
}

impl RunningEtcd {
    pub(crate) fn of(wired: &Wired, machines: &crate::Hosts) -> Self {
        Self {
            spec: wired.etcd.clone(),
            hosts: etcd_hosts(&wired.etcd, machines),
            tls: wired.etcd_tls.clone(),
        }
    }
}
