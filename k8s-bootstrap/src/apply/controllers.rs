//! Waiting for the controllers that a run has started.

use super::{ApplyError, Run};
use crate::{component::Gate, health::component_health, plan::Action};
use host_exec::{
    HostName,
    poll::{self, Attempt},
};
use std::{convert::Infallible, time::Duration};

/// From their start on, which was when the API server answered: they take one second.
const CONTROLLER_LIMIT: Duration = Duration::from_secs(60);

/// What a ComponentStatus calls them, and what their programs and units are called.
const CONTROLLERS: [(&str, &str); 2] = [
    ("controller-manager", "kube-controller-manager"),
    ("scheduler", "kube-scheduler"),
];

impl Run<'_> {
    /// Nothing else would tell of one that ends again and again, as where its port is somebody else's. Those that stand
    /// by are not waited for.
    pub(super) async fn await_controllers(
        &self,
        name: &HostName,
        actions: &[&Action],
    ) -> Result<(), ApplyError> {
        let Some((_, api)) = self.apis.iter().find(|(own, _)| own == name) else {
            return Ok(());
        };
        for (component, program) in CONTROLLERS {
            let service = format!("{program}.service");
            let starts = |action: &&Action| {
                matches!(action, Action::Start { unit, gate, .. }
                    if unit.as_str() == service && *gate != Gate::Spare)
            };
            if !actions.iter().any(starts) {
                continue;
            }
            let wait = self.wait(format!("healthy {program} on {name}"), CONTROLLER_LIMIT);
            let look = || async {
                let told = match api.list("v1", "ComponentStatus").await {
                    Ok(list) => list.get(component).map(component_health),
                    Err(error) => return Ok(Attempt::NotYet(error.source.to_string())),
                };
                Ok::<_, Infallible>(match told {
                    Some((true, _)) => Attempt::Ready(()),
                    Some((false, said)) => Attempt::NotYet(said),
                    None => Attempt::NotYet("the API does not know it".to_owned()),
                })
            };
            self.or_log(poll::until(&wait, look).await, name, program)
                .await?;
        }
        Ok(())
    }
}
