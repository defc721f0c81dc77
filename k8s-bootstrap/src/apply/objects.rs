//! Writing objects into an API that may still be starting.

use super::{ApplyError, Run, Stage};
use crate::{Api, ApiError, NodeSpec, Object, ObjectDrift, ObjectKey};
use futures::future::try_join_all;
use host_exec::poll::{self, Attempt};
use std::{collections::BTreeMap, time::Duration};

/// For an object, from the API's first answer on: refusals of a starting server end within seconds.
const OBJECT_LIMIT: Duration = Duration::from_secs(60);

impl Run<'_> {
    /// Whether one of them was written.
    pub(super) async fn apply_objects(
        &self,
        keys: &[(ObjectKey, ObjectDrift)],
    ) -> Result<bool, ApplyError> {
        let desired = self.desired;
        let known: BTreeMap<&ObjectKey, &Object> = desired
            .objects
            .iter()
            .chain([&desired.token_secret])
            .map(|object| (object.key(), object))
            .collect();
        let wrote = try_join_all(keys.iter().map(|(key, drift)| async {
            let object = known
                .get(key)
                .ok_or_else(|| ApplyError::ForeignPlan(key.to_string()))?;
            let look_first = self.looks_first && *drift == ObjectDrift::Unseen;
            self.apply_object(object, look_first).await
        }));
        Ok(wrote.await?.contains(&true))
    }

    async fn apply_object(&self, object: &Object, look_first: bool) -> Result<bool, ApplyError> {
        let key = object.key();
        let node = self
            .desired
            .spec
            .nodes()
            .map(|(_, node)| node)
            .find(|node| key.kind == "Node" && node.name.as_str() == key.name);
        if key.kind == "Service" {
            // Before it is ready a server may know its addresses of one family only.
            self.any(Stage::Ready).await;
        }
        let wait = self.wait(format!("acceptance of {key}"), OBJECT_LIMIT);
        let look = || async {
            // A starting server refuses as malformed what it cannot judge yet: the address of a Service while
            // it does not know its own ranges, and those it may learn even a moment after it is ready.
            let (name, api) = self.leading();
            let may_change = *self.stages[name].borrow() != Stage::Ready || key.kind == "Service";
            match write(api, object, node, look_first).await {
                Ok(written) => Ok(Attempt::Ready(written)),
                Err(error) if may_change || error.is_transient() => Ok(self.not_yet(&error)),
                Err(error) => Err(error),
            }
        };
        let done = poll::until(&wait, look);
        self.or_log(done.await, self.leading().0, "kube-apiserver")
            .await
    }
}

/// Whether it had to be written. A Node is always looked at first, see [`apply_node`].
async fn write(
    api: &Api,
    object: &Object,
    node: Option<&NodeSpec>,
    look_first: bool,
) -> Result<bool, ApiError> {
    let key = object.key();
    if (look_first || node.is_some()) && object.drift(api.get(key).await?.as_ref()).is_none() {
        return Ok(false);
    }
    match node {
        None if key.kind == "Service" => apply_service(api, object).await?,
        None => api.apply(object).await?,
        Some(node) => apply_node(api, object, node).await?,
    }
    Ok(true)
}

/// Where an address of it is lost, that is freed for the next time.
async fn apply_service(api: &Api, object: &Object) -> Result<(), ApiError> {
    let applied = api.apply(object).await;
    if applied
        .as_ref()
        .is_err_and(ApiError::is_about_a_taken_address)
    {
        api.free_addresses_of(object).await?;
    }
    applied
}

/// A Node's taints are one list, which applying takes over as a whole: a Node that is as it has to be must not come here, so
/// that it keeps what the controllers have put there.
///
/// A kubelet that has made its Node itself has given it two addresses of one type, InternalIP of either family.
async fn apply_node(api: &Api, object: &Object, node: &NodeSpec) -> Result<(), ApiError> {
    match api.apply(object).await {
        Err(error) if error.is_about_equal_keys() => api.merge(object).await?,
        applied => applied?,
    }
    api.apply_node_addresses(node).await
}
