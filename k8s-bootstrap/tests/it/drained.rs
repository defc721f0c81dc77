//! Draining against a real API server and its controllers. The node has no kubelet, so what is evicted is marked and stays.

use host_exec::event::Silent;
use k8s_bootstrap::{
    Api, Desired, Hosts,
    retire::{self, DrainOptions, RetireError, RetireStep},
};
use k8s_openapi::api::{
    core::v1::{Node, Pod},
    policy::v1::PodDisruptionBudget,
};
use kube::api::{DeleteParams, Patch, PatchParams, PostParams};
use serde_json::json;
use std::time::Duration;

/// A pod that needs consent is named and nothing is touched; a budget is waited for and named; then it goes, and the
/// second call finds nothing to do.
pub(crate) async fn drains(desired: &Desired, hosts: &Hosts, api: &Api) {
    let name = "cp-0".parse().unwrap();
    let pods = kube::Api::<Pod>::default_namespaced(api.client());
    let budgets = kube::Api::<PodDisruptionBudget>::default_namespaced(api.client());
    running_pod(&pods).await;
    let options = DrainOptions {
        timeout: Duration::from_secs(2),
        ..DrainOptions::default()
    };
    let drain = |options| retire::drain(desired, hosts, &name, options, &Silent);
    let error = drain(options).await.unwrap_err();
    assert!(matches!(error, RetireError::Blocked { .. }), "{error}");
    assert!(!unschedulable(api).await, "nothing was touched");

    let force = DrainOptions {
        force: true,
        ..options
    };
    let budget = json!({"metadata": {"name": "held"}, "spec": {
        "minAvailable": 1, "selector": {"matchLabels": {"app": "alone"}},
    }});
    let budget = serde_json::from_value(budget).unwrap();
    budgets
        .create(&PostParams::default(), &budget)
        .await
        .unwrap();
    let error = drain(force).await.unwrap_err();
    let text = error.to_string();
    assert!(matches!(error, RetireError::TimedOut { .. }), "{text}");
    assert!(text.contains("default/alone may not go yet"), "{text}");
    assert!(text.contains("disruption budget"), "{text}");
    assert!(unschedulable(api).await, "it stays cordoned");

    let at_once = DeleteParams::default();
    budgets.delete("held", &at_once).await.unwrap();
    let plan = drain(force).await.unwrap();
    assert_eq!(plan.to_string(), "cp-0: evict and wait for default/alone\n");
    let pod = pods.get("alone").await.unwrap();
    assert!(pod.metadata.deletion_timestamp.is_some());
    assert!(drain(force).await.unwrap().is_empty());

    let uncordon = || retire::uncordon(desired, hosts, &name, &Silent);
    assert_eq!(uncordon().await.unwrap().steps, [RetireStep::Uncordon]);
    assert!(!unschedulable(api).await);
    assert!(uncordon().await.unwrap().is_empty());
    pods.delete("alone", &DeleteParams::default().grace_period(0))
        .await
        .unwrap();
}

/// A pod without controller on the node, which somebody says is Ready.
async fn running_pod(pods: &kube::Api<Pod>) {
    let pod = json!({
        "metadata": {"name": "alone", "labels": {"app": "alone"}},
        "spec": {"nodeName": "cp-0", "containers": [{"name": "a", "image": "lab.local/a:1"}]},
    });
    let pod = serde_json::from_value(pod).unwrap();
    pods.create(&PostParams::default(), &pod).await.unwrap();
    let ready = json!({"status": {
        "phase": "Running", "conditions": [{"type": "Ready", "status": "True"}],
    }});
    pods.patch_status("alone", &PatchParams::default(), &Patch::Merge(ready))
        .await
        .unwrap();
}

async fn unschedulable(api: &Api) -> bool {
    let nodes = kube::Api::<Node>::all(api.client());
    let node = nodes.get("cp-0").await.unwrap();
    node.spec.unwrap().unschedulable == Some(true)
}
