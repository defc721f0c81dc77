//! A leader hands over before it is stopped: without it the others notice only after an election's time-out, and
//! writes that came to any member wait for that long, some longer than their clients do.

use crate::{ClusterSpec, MemberName, Probe, Status, ready::READY_STEP};
use host_exec::EventSink;

/// Has `member` hand over the lead to another member that is ready, if it leads.
///
/// A failure is told and is none: stopped all the same, the others elect one of themselves.
pub(crate) async fn hand_over(
    spec: &ClusterSpec,
    member: &MemberName,
    probe: &Probe,
    events: &dyn EventSink,
) {
    let answer = probe.client(member).await;
    if !answer.status().is_some_and(Status::leads) {
        return;
    }
    let ids = spec.member_ids();
    for other in spec.members().iter().filter(|other| other.name != *member) {
        let Some(id) = ids.get(&other.name) else {
            continue;
        };
        if !probe.client(&other.name).await.is_ready() {
            continue;
        }
        match probe.move_leader(member, *id).await {
            Ok(()) => {
                let said = format!("hands over the lead to {}", other.name);
                events.running(member.as_str(), READY_STEP, &said);
                return;
            }
            Err(error) => events.running(member.as_str(), READY_STEP, &error.to_string()),
        }
    }
}
