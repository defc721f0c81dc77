//! The gates of definitions, for a caller who starts the programs himself.

use crate::{Api, Desired, Hosts, ObserveError, Readiness, component::Gate, control_plane_health};
use host_exec::{
    Condition,
    poll::{self, Attempt, Wait, WaitError},
};
use std::{convert::Infallible, time::Duration};

/// How often a starting server is asked.
const PAUSE: Duration = Duration::from_millis(50);

/// Waits until `api` has come as far as `gate` asks for, at most `limit`.
///
/// One API server alone cannot tell more than that it is ready: [`Gate::ApiPrepared`], [`Gate::Joined`] and
/// [`Gate::Spare`] are taken as [`Gate::ApiReady`], and the rest of them is the caller's. [`apply`](crate::apply()) does all
/// of it.
///
/// # Errors
///
/// Time is up; the error ends with what the server said last. A server that is not there yet is *not* an error.
pub async fn wait_for_gate(
    api: &Api,
    gate: Gate,
    limit: Duration,
) -> Result<(), WaitError<Infallible>> {
    let wait = Wait::new(format!("API for {gate:?}"), limit).longest_pause(PAUSE);
    if gate == Gate::AtOnce {
        return Ok(());
    }
    let look = || async {
        let readiness = api.readiness().await;
        Ok(match (&readiness, gate) {
            (Readiness::Ready, _) | (Readiness::Answers(_), Gate::ApiAnswers) => Attempt::Ready(()),
            _ => Attempt::NotYet(readiness.to_string()),
        })
    };
    poll::until(&wait, look).await
}

/// Waits until every condition of [`control_plane_health`] is met, at most `limit`, and gives them with their evidence.
///
/// # Errors
///
/// Time is up; the error ends with the conditions that are not met. A host is missing, or the material makes no
/// TLS client.
pub async fn wait_for_control_plane(
    desired: &Desired,
    hosts: &Hosts,
    limit: Duration,
) -> Result<Vec<Condition>, WaitError<ObserveError>> {
    let wait = Wait::new("healthy control plane", limit).longest_pause(PAUSE);
    let look = || async {
        let conditions = control_plane_health(desired, hosts).await?;
        let open: Vec<String> = conditions
            .iter()
            .filter(|condition| !condition.ok)
            .map(Condition::to_string)
            .collect();
        Ok(match open.is_empty() {
            true => Attempt::Ready(conditions),
            false => Attempt::NotYet(open.join("; ")),
        })
    };
    poll::until(&wait, look).await
}
