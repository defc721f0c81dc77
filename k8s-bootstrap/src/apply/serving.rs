//! Approving the kubelets' serving certificates as their requests come.

use super::{ApplyError, Run, forget_kubelet_start};
use crate::{
    Api, ApiError, NodeCertificate, NodeSetup, ObjectKey,
    component::{Gate, kubelet},
    observe,
    serving::{self, REQUESTS, ServingRequest},
};
use futures::future::try_join_all;
use host_exec::{
    Host, HostName,
    poll::{self, Attempt},
};
use kube::api::{Patch, PatchParams};
use serde_json::json;
use std::{path::Path, time::Duration};

/// From the kubelet's start on: it looks once a second whether its Node has addresses, and then asks.
const SERVING_LIMIT: Duration = Duration::from_secs(60);
/// Between two looks at the requests.
const LOOK_PAUSE: Duration = Duration::from_millis(200);

impl Run<'_> {
    /// Waits until a node has a serving certificate, and approves on the way what it may have.
    pub(super) async fn await_serving(&self, name: &HostName) -> Result<(), ApplyError> {
        self.open(name, Gate::ApiPrepared).await;
        self.joined(name).await;
        let host = &**observe::host(self.hosts, name)?;
        let wait = self.wait(format!("serving certificate of {name}"), SERVING_LIMIT);
        let wait = wait.longest_pause(LOOK_PAUSE);
        let look = || async {
            let (_, api) = self.leading();
            let asked = match approve(self, api, name).await {
                Ok(asked) => asked,
                Err(error) if error.is_transient() => return Ok(self.not_yet(&error)),
                Err(error) => return Err(ApplyError::from(error)),
            };
            let found = observe::serving_certificate(host, self.desired, name).await?;
            Ok(match found {
                NodeCertificate::Valid => Attempt::Ready(()),
                found if asked.is_empty() => {
                    Attempt::NotYet(format!("it is {found}, and no request waits"))
                }
                _ => Attempt::NotYet(asked.join("; ")),
            })
        };
        let ready = async {
            self.or_log(poll::until(&wait, look).await, name, "kubelet")
                .await
        };
        self.timed(name.as_str(), "serving certificate", ready)
            .await
    }
}

/// Approves what waits and may be had by this node, and says what there is about the node.
async fn approve(run: &Run<'_>, api: &Api, node: &HostName) -> Result<Vec<String>, ApiError> {
    let list = api.list(REQUESTS.0, REQUESTS.1).await?;
    let pending = serving::pending(&run.desired.spec, &list);
    let own = pending.iter().filter(|request| match &request.verdict {
        Ok(of) => of == node,
        // Whose it is nobody believes, so every node that waits shows it.
        Err(_) => true,
    });
    try_join_all(own.map(|request| async {
        if request.verdict.is_ok() {
            approved(api, request).await?;
            return Ok(format!("{} has just been approved", request.name));
        }
        Ok(request.to_string())
    }))
    .await
}

/// Only one that nobody has decided on gets here, so the list of conditions is ours to set.
async fn approved(api: &Api, request: &ServingRequest) -> Result<(), ApiError> {
    let key = ObjectKey::of_cluster(REQUESTS.0, REQUESTS.1, &request.name);
    let condition = json!({
        "type": "Approved",
        "status": "True",
        "reason": "NodeInSpec",
        "message": "names and addresses are those of this node in the spec of the cluster",
    });
    let patch = Patch::Merge(json!({"status": {"conditions": [condition]}}));
    let (requests, params) = (api.resource(&key), PatchParams::default());
    let sent = requests.patch_subresource("approval", &key.name, &params, &patch);
    api.bounded("approve", &key, sent).await?;
    Ok(())
}

/// Takes away a serving certificate that will not do: a kubelet keeps one until it expires, whoever signed it. The
/// record of the kubelet goes first, so that it is started anew also by the run after one that was killed in between.
pub(super) async fn drop_certificate(host: &dyn Host, setup: &NodeSetup) -> Result<(), ApplyError> {
    forget_kubelet_start(host, setup).await?;
    host.remove_file(Path::new(kubelet::CURRENT_SERVING_PAIR))
        .await?;
    Ok(())
}
