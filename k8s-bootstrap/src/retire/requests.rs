//! The requests that only this module makes.

use super::PodName;
use crate::{Api, ApiError, ObjectKey};
use k8s_openapi::api::core::v1::Pod;
use kube::api::{DeleteParams, EvictParams, Patch, PatchParams};
use serde_json::json;
use std::time::Duration;

/// What the API says to an eviction.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Eviction {
    /// The pod ends, or has gone.
    Granted,
    /// Not now: a PodDisruptionBudget, or a server that is busy; the text is the API's.
    NotNow(String),
}

/// Sets whether a node takes new pods.
pub(super) async fn cordon(api: &Api, node: &str, unschedulable: bool) -> Result<(), ApiError> {
    let key = ObjectKey::node(node);
    let patch = Patch::Merge(json!({"spec": {"unschedulable": unschedulable}}));
    let (nodes, params) = (api.resource(&key), PatchParams::default());
    let verb = if unschedulable { "cordon" } else { "uncordon" };
    api.bounded(verb, &key, nodes.patch(node, &params, &patch))
        .await?;
    Ok(())
}

/// Asks for an eviction (`policy/v1`), which honours PodDisruptionBudgets.
///
/// # Errors
///
/// A refusal that stays one, such as two budgets for one pod (500). A pod that is not there is *not* an error.
pub(super) async fn evict(
    api: &Api,
    pod: &PodName,
    grace: Option<Duration>,
) -> Result<Eviction, ApiError> {
    let pods: kube::Api<Pod> = kube::Api::namespaced(api.client(), &pod.namespace);
    let seconds = |grace: Duration| u32::try_from(grace.as_secs()).unwrap_or(u32::MAX);
    let params = EvictParams {
        delete_options: grace.map(|grace| DeleteParams {
            grace_period_seconds: Some(seconds(grace)),
            ..DeleteParams::default()
        }),
        ..EvictParams::default()
    };
    match api
        .bounded(
            "evict",
            format!("Pod {pod}"),
            pods.evict(&pod.name, &params),
        )
        .await
    {
        Ok(_) => Ok(Eviction::Granted),
        Err(error) => match &*error.source {
            kube::Error::Api(status) if status.code == 404 => Ok(Eviction::Granted),
            // 429: a budget, or the server's own limit; 409: the pod is being written; 503, 504: no server behind.
            kube::Error::Api(status) if matches!(status.code, 409 | 429 | 503 | 504) => {
                Ok(Eviction::NotNow(refusal(status)))
            }
            kube::Error::Api(_) => Err(error),
            source => Ok(Eviction::NotNow(source.to_string())),
        },
    }
}

/// The API's own words, with its causes, which name the budget.
fn refusal(status: &kube::core::Status) -> String {
    let causes = status.details.iter().flat_map(|details| &details.causes);
    let texts: Vec<&str> = std::iter::once(status.message.as_str())
        .chain(causes.map(|cause| cause.message.as_str()))
        .filter(|text| !text.is_empty())
        .collect();
    texts.join(" ")
}
