//! The programs of the new version, for machines that see none of this machine's: sent before the first step.

use crate::{Blueprint, GuestError, GuestStep, Hosts};
use futures::future::try_join_all;
use host_exec::{EventSink, HostName};
use std::collections::BTreeMap;

const STEP: &str = "send programs";

/// What has to be sent to each machine; `blueprint` is of the lab in the middle of the upgrade.
pub(super) async fn lacking(
    blueprint: &Blueprint,
    hosts: &Hosts,
) -> Result<BTreeMap<HostName, Vec<GuestStep>>, GuestError> {
    let guests = blueprint.guests();
    let looks = guests.iter().filter_map(|(name, guest)| {
        let host = hosts.get(name)?;
        Some(async move {
            let lacking = guest.lacking_programs(host.as_ref()).await?;
            Ok::<_, GuestError>((name.clone(), lacking))
        })
    });
    let mut lacking: BTreeMap<_, _> = try_join_all(looks).await?.into_iter().collect();
    lacking.retain(|_, steps: &mut Vec<GuestStep>| !steps.is_empty());
    Ok(lacking)
}

/// Sends it. One program after the other to each machine, to all of them side by side; what has come already stays.
pub(super) async fn send(
    blueprint: &Blueprint,
    hosts: &Hosts,
    events: &dyn EventSink,
) -> Result<(), GuestError> {
    let (guests, lacking) = (blueprint.guests(), lacking(blueprint, hosts).await?);
    let sends = lacking.iter().filter_map(|(name, steps)| {
        let (guest, host) = (guests.get(name)?, hosts.get(name)?);
        Some(async move {
            for step in steps {
                events.started(name.as_str(), STEP);
                guest.take(step, host.as_ref()).await?;
                events.done(name.as_str(), STEP, &step.to_string());
            }
            Ok::<_, GuestError>(())
        })
    });
    try_join_all(sends).await.map(drop)
}
