//! A first formation that failed, made undone: the only case in which all data may be put out of the way.

use super::{ChangeError, ChangeStep, MEMBERS_STEP, aside};
use crate::{ClusterSpec, Hosts, MayHoldData, MemberSpec, Observed};
use host_exec::EventSink;

/// Plans to take out every member of a cluster that never formed, so that the next one can be formed with another
/// token; with the same one, members that still run somewhere could get in. Empty when there is nothing.
///
/// # Errors
///
/// It is not certain of every member that it never held data, see [`Observed::never_formed`].
pub fn plan_anew(spec: &ClusterSpec, observed: &Observed) -> Result<Vec<ChangeStep>, MayHoldData> {
    observed.never_formed()?;
    let left = |member: &&MemberSpec| {
        let found = observed.members.get(&member.name);
        found.is_some_and(|found| found.has_wal || found.unit.is_up())
    };
    let take_out = |member: &MemberSpec| ChangeStep::TakeOut {
        member: member.name.clone(),
        data_dir: member.data_dir.clone(),
    };
    Ok(spec.members().iter().filter(left).map(take_out).collect())
}

/// Does the steps of [`plan_anew`]. What is renamed stays on the disk.
///
/// # Errors
///
/// A service does not stop, or its data cannot be renamed; the next run goes on from there.
pub async fn apply_anew(
    spec: &ClusterSpec,
    steps: &[ChangeStep],
    hosts: &Hosts,
    events: &dyn EventSink,
) -> Result<(), ChangeError> {
    for step in steps {
        let name = step.member();
        let no_machine = || ChangeError::NoMachine {
            member: name.clone(),
        };
        let own = spec.member(name).ok_or_else(no_machine)?;
        let host = hosts.get(name).ok_or_else(no_machine)?;
        events.started(name.as_str(), MEMBERS_STEP);
        let done = aside::take_out(own, host.as_ref()).await;
        done.map_err(|source| ChangeError::Run {
            verb: "take out",
            member: name.clone(),
            source,
        })?;
        events.done(name.as_str(), MEMBERS_STEP, &step.action());
    }
    Ok(())
}
