//! A leader hands over before it is stopped: without it the others notice only after an election's time-out, and
//! writes that came to any member wait for that long, some longer than their clients do.
//!
//! Each hand-over costs the writes that reach the leader while it lasts. From its beginning until another member asks for
//! votes etcd drops them (raft's `stepLeader`, while `leadTransferee` is set). A client of the leader hears "raft proposal
//! dropped" at once; one of another member, which had passed its write on, hears "request timed out" after `ReqTimeout`,
//! which is 5 s and two elections. So the lead goes to where it can stay.

use crate::{ClusterSpec, MemberName, Probe, RequestFailed, Status, Step, ready::READY_STEP};
use host_exec::EventSink;

/// Has `from` hand over the lead to `to` if it leads, and says whether it did. etcd answers when it follows `to` itself, which
/// it looks at once each heartbeat; so did all others by then, at each of 30 looks after ten hand-overs on a busy machine
/// (etcd 3.7.3), so that nobody passes a write on to one that is going to be stopped.
///
/// # Errors
///
/// It does not answer, or the other one does not take over in time.
pub(crate) async fn give_lead(
    spec: &ClusterSpec,
    from: &MemberName,
    to: &MemberName,
    probe: &Probe,
) -> Result<bool, RequestFailed> {
    let status = probe.status(from).await;
    let Some(id) = spec.member_ids().get(to).copied() else {
        return Ok(false);
    };
    if !status.is_ok_and(|status| status.leads()) {
        return Ok(false);
    }
    probe.move_leader(from, id).await.map(|()| true)
}

/// Has `member` hand over the lead to another member that is ready, if it leads. `later` are the steps that follow.
///
/// A failure is told and is none: stopped all the same, the others elect one of themselves.
pub(crate) async fn hand_over(
    spec: &ClusterSpec,
    member: &MemberName,
    later: &[Step],
    probe: &Probe,
    events: &dyn EventSink,
) {
    let answer = probe.client(member).await;
    if !answer.status().is_some_and(Status::leads) {
        return;
    }
    for other in successors(spec, member, later) {
        if !probe.client(other).await.is_ready() {
            continue;
        }
        match give_lead(spec, member, other, probe).await {
            Ok(true) => {
                let said = format!("hands over the lead to {other}");
                events.running(member.as_str(), READY_STEP, &said);
                return;
            }
            // It has none any more.
            Ok(false) => return,
            Err(error) => events.running(member.as_str(), READY_STEP, &error.to_string()),
        }
    }
}

/// The other members, those first that none of the `later` steps restarts, then those whose turn comes last.
fn successors<'a>(
    spec: &'a ClusterSpec,
    member: &MemberName,
    later: &[Step],
) -> Vec<&'a MemberName> {
    let others = spec.members().iter().map(|other| &other.name);
    let mut others: Vec<_> = others.filter(|other| *other != member).collect();
    others.sort_by_key(|other| {
        let turn = later
            .iter()
            .position(|step| matches!(step, Step::Restart { member, .. } if member == *other));
        turn.map_or(0, |turn| later.len() - turn)
    });
    others
}
