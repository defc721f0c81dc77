//! The lab's etcd one minor back.

use super::{
    EtcdUpgradeError,
    upgrade::{Planner, plan},
};
use crate::Lab;
use artifacts::Version;
use etcd_bootstrap::upgrade::{self, UpgradePlan};
use host_exec::EventSink;

/// Where a downgrade goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EtcdDowngrade {
    /// To this version, of the minor before.
    To(Version),
    /// Back to the version that the lab had before it began.
    Cancel,
}

impl Lab {
    /// The steps one minor back, or those that take a downgrade back that has begun. Gets the programs into the cache, as
    /// [`Lab::plan_etcd_upgrade`]; changes nothing else.
    ///
    /// # Errors
    ///
    /// As [`Lab::plan_etcd_upgrade`]; etcd has no way to that version.
    pub async fn plan_etcd_downgrade(
        &self,
        wish: EtcdDowngrade,
        events: &dyn EventSink,
    ) -> Result<UpgradePlan, EtcdUpgradeError> {
        let (to, planner) = self.towards(wish).await?;
        let way = self.etcd_way(to, events).await?;
        plan(&way, planner).await
    }

    /// Takes etcd one minor back, from whatever an earlier run has left, or takes that back.
    ///
    /// # Errors
    ///
    /// As [`Lab::plan_etcd_downgrade`], or a step fails; the message says how etcd is then.
    pub async fn etcd_downgrade(
        &self,
        wish: EtcdDowngrade,
        events: &dyn EventSink,
    ) -> Result<UpgradePlan, EtcdUpgradeError> {
        let (to, planner) = self.towards(wish).await?;
        self.change_etcd(to, planner, events).await
    }

    async fn towards(&self, wish: EtcdDowngrade) -> Result<(Version, Planner), EtcdUpgradeError> {
        Ok(match wish {
            EtcdDowngrade::To(version) => (version, upgrade::plan_downgrade),
            EtcdDowngrade::Cancel => {
                let version = self.draft().await?.etcd_version()?;
                (version, upgrade::plan)
            }
        })
    }
}
