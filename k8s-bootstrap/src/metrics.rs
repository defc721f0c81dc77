//! Whether metrics-server, where the cluster is to have one, has figures.

use crate::{Api, ApiError, Desired, ObjectKey, observe};
use host_exec::Condition;
use kube::api::{ApiResource, DynamicObject, GroupVersionKind, ListParams};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

pub(crate) const NAME: &str = "metrics-server has figures of every node";
/// What the pods of its Deployment are called first.
const PODS: &str = "kube-system/metrics-server-";

/// The condition; none where no metrics-server is wanted. It has no figures of a node in the first half minute: a rate
/// of use takes two looks at a kubelet, 15 s apart.
pub(crate) async fn condition(desired: &Desired, api: &Api) -> Option<Condition> {
    desired.spec.addons.metrics_server.as_ref()?;
    Some(match nodes_with_figures(api).await {
        Err(error) => {
            let evidence = match reasons(api).await {
                none if none.is_empty() => format!("{error}: {}", error.source),
                // The error is then nothing but the status 503.
                reasons => reasons.join("; "),
            };
            Condition::new(NAME, false, evidence)
        }
        Ok(found) => {
            let (ok, evidence) = judge(desired.nodes.keys().map(|name| name.as_str()), &found);
            Condition::new(NAME, ok, evidence)
        }
    })
}

/// The nodes that it has figures of: what `kubectl top nodes` asks for.
async fn nodes_with_figures(api: &Api) -> Result<BTreeSet<String>, ApiError> {
    // The kind is NodeMetrics, and its path that of the nodes.
    let kind = GroupVersionKind::gvk("metrics.k8s.io", "v1beta1", "NodeMetrics");
    let resource = ApiResource::from_gvk_with_plural(&kind, "nodes");
    let figures: kube::Api<DynamicObject> = kube::Api::all_with(api.client(), &resource);
    let everything = ListParams::default();
    let list = api.bounded("list", "NodeMetrics", figures.list(&everything));
    let names = list.await?.items.into_iter();
    Ok(names.filter_map(|node| node.metadata.name).collect())
}

fn judge<'a>(wanted: impl Iterator<Item = &'a str>, found: &BTreeSet<String>) -> (bool, String) {
    let missing: Vec<&str> = wanted.filter(|name| !found.contains(*name)).collect();
    match missing.is_empty() {
        true => (true, format!("{} nodes", found.len())),
        false => (false, format!("none of {} yet", missing.join(", "))),
    }
}

/// Why it does not answer, as far as the API server and the kubelets know.
async fn reasons(api: &Api) -> Vec<String> {
    let service = ("apiregistration.k8s.io/v1", "APIService");
    let key = ObjectKey::of_cluster(service.0, service.1, "v1beta1.metrics.k8s.io");
    let mut reasons = Vec::new();
    if let Ok(Some(service)) = api.get(&key).await {
        reasons.extend(unavailable(&service));
    }
    if let Ok(pods) = api.list("v1", "Pod").await {
        reasons.extend(waiting(&pods));
    }
    reasons
}

/// The words of the API server about a service of the API that it cannot hand requests to.
fn unavailable(service: &Value) -> Option<String> {
    let available = observe::condition(service, "Available");
    let message = available["message"].as_str()?;
    (available["status"] != "True").then(|| message.to_owned())
}

/// What containers of its pods wait for, and what pods that have no node wait for.
fn waiting(pods: &BTreeMap<String, Value>) -> Vec<String> {
    let own = pods.iter().filter(|(name, _)| name.starts_with(PODS));
    let texts = own.flat_map(|(name, pod)| {
        let containers = pod["status"]["containerStatuses"].as_array();
        let states = containers.into_iter().flatten();
        let states = states.map(|one| &one["state"]["waiting"]);
        let scheduled = observe::condition(pod, "PodScheduled");
        let unscheduled = Some(scheduled).filter(|scheduled| scheduled["status"] != "True");
        states.chain(unscheduled).filter_map(move |why| {
            let reason = why["reason"].as_str()?;
            let message = why["message"].as_str().unwrap_or("no more is said");
            Some(format!("{name}: {reason}: {message}"))
        })
    });
    texts.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_node_without_figures_is_named() {
        let found = BTreeSet::from(["cp-0".to_owned()]);
        assert_eq!(
            judge(["cp-0"].into_iter(), &found),
            (true, "1 nodes".to_owned())
        );
        let (ok, evidence) = judge(["cp-0", "worker-0"].into_iter(), &found);
        assert_eq!((ok, &*evidence), (false, "none of worker-0 yet"));
    }

    #[test]
    fn what_it_waits_for_is_told() {
        let pods = BTreeMap::from([
            (
                "kube-system/metrics-server-5c7".to_owned(),
                json!({"status": {"containerStatuses": [{"state": {"waiting": {
                    "reason": "ErrImagePull", "message": "no such host"}}}]}}),
            ),
            (
                "kube-system/coredns-1".to_owned(),
                json!({"status": {"conditions": [{"type": "PodScheduled", "status": "False",
                    "reason": "Unschedulable", "message": "no"}]}}),
            ),
        ]);
        assert_eq!(
            waiting(&pods),
            ["kube-system/metrics-server-5c7: ErrImagePull: no such host"]
        );
        let service = json!({"status": {"conditions": [{"type": "Available", "status": "False",
            "reason": "MissingEndpoints", "message": "endpoints have no addresses"}]}});
        assert_eq!(
            unavailable(&service).unwrap(),
            "endpoints have no addresses"
        );
        assert_eq!(unavailable(&json!({})), None);
    }
}
