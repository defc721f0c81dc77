//! Starting members one after the other, without waiting for more than the next one needs.
//!
//! At its first start a member asks each other one whether it has been bootstrapped already, one second
//! each at most. A peer that is down refuses at once; one that is just starting accepts and answers
//! nothing, so three members started together wait for each other. Each start is therefore held back
//! until the member before serves its peers, which takes some 30 ms.

use crate::{MemberName, Probe};
use host_exec::poll::{self, Attempt, Wait};
use std::{convert::Infallible, future::Future, time::Duration};

/// How long a start is held back at most. etcd itself asks no longer per peer, so waiting longer could only cost.
pub const GATE_LIMIT: Duration = Duration::from_secs(1);
/// The pause between two looks: short against the 30 ms that a member needs.
const GATE_PAUSE: Duration = Duration::from_millis(5);

/// Waits until `member` serves its peers, at most [`GATE_LIMIT`]; says whether it does.
pub async fn gate(probe: &Probe, member: &MemberName) -> bool {
    let wait = Wait::new(format!("answer from the peer port of {member}"), GATE_LIMIT)
        .longest_pause(GATE_PAUSE);
    let look = || async move {
        Ok::<_, Infallible>(match probe.serves_peers(member).await {
            Ok(()) => Attempt::Ready(()),
            Err(seen) => Attempt::NotYet(seen),
        })
    };
    poll::until(&wait, look).await.is_ok()
}

/// Calls `start` for each of `members` in turn, with a [`gate`] between two of them. `start` is whatever brings
/// a member's process up and must not wait for it to be ready.
///
/// # Errors
///
/// The first error of `start`; later members are then not started. A gate that does not open is *not*
/// an error: the next member is started all the same.
pub async fn start_gated<F, Fut, E>(
    members: &[MemberName],
    probe: &Probe,
    mut start: F,
) -> Result<(), E>
where
    F: FnMut(MemberName) -> Fut,
    Fut: Future<Output = Result<(), E>>,
{
    let mut before: Option<&MemberName> = None;
    for member in members {
        if let Some(before) = before {
            gate(probe, before).await;
        }
        start(member.clone()).await?;
        before = Some(member);
    }
    Ok(())
}
