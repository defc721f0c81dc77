//! Pods that may still hold what was before.

use super::{ROOT_CA, merge, moment, ready};
use crate::{Desired, Hosts, ObjectKey, ObserveError};
use serde_json::{Value, json};
use std::{collections::BTreeSet, fmt};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

/// A pod that started before something changed, and may hold what was before in memory.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Holder {
    /// Its namespace and name.
    pub pod: String,
    /// Where it runs.
    pub node: String,
    /// Its identifier, which also names its directory on the node.
    pub uid: String,
    /// The object of this crate that it belongs to; none for one of a user.
    pub own: Option<ObjectKey>,
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} on {}", self.pod, self.node)
    }
}

/// Pods with an account that started at a moment or before, and so may hold what was then.
///
/// # Errors
///
/// As [`untold_namespaces`](super::untold_namespaces).
pub async fn holders(
    desired: &Desired,
    hosts: &Hosts,
    until: OffsetDateTime,
) -> Result<Vec<Holder>, ObserveError> {
    let api = ready(desired, hosts).await?;
    let pods = api.list("v1", "Pod").await?;
    Ok(pods
        .iter()
        .filter(|(_, pod)| has_account(pod))
        .filter(|(_, pod)| moment(&pod["status"]["startTime"]).is_some_and(|at| at <= until))
        .map(|(name, pod)| holder(desired, name, pod))
        .collect())
}

/// The pods with these identifiers.
///
/// # Errors
///
/// As [`untold_namespaces`](super::untold_namespaces).
pub async fn pods_by_uid(
    desired: &Desired,
    hosts: &Hosts,
    uids: &BTreeSet<String>,
) -> Result<Vec<Holder>, ObserveError> {
    let api = ready(desired, hosts).await?;
    let pods = api.list("v1", "Pod").await?;
    let holders = pods.iter().map(|(name, pod)| holder(desired, name, pod));
    Ok(holders
        .filter(|holder| uids.contains(&holder.uid))
        .collect())
}

/// Has the Deployments of this crate among those given make their pods anew, as `kubectl rollout restart` does.
///
/// # Errors
///
/// As [`untold_namespaces`](super::untold_namespaces).
pub async fn restart_own(
    desired: &Desired,
    hosts: &Hosts,
    holders: &[Holder],
    now: OffsetDateTime,
) -> Result<(), ObserveError> {
    let keys: BTreeSet<&ObjectKey> = holders.iter().filter_map(|one| one.own.as_ref()).collect();
    if keys.is_empty() {
        return Ok(());
    }
    let api = ready(desired, hosts).await?;
    let at = now.format(&Rfc3339).unwrap_or_default();
    let annotations = json!({"kubectl.kubernetes.io/restartedAt": at});
    let patch = json!({"spec": {"template": {"metadata": {"annotations": annotations}}}});
    for key in keys {
        merge(&api, key, &patch).await?;
    }
    Ok(())
}

/// Whether a pod has a projected volume with a token or the authorities.
fn has_account(pod: &Value) -> bool {
    let volumes = pod["spec"]["volumes"].as_array().into_iter().flatten();
    let mut sources = volumes
        .filter_map(|volume| volume["projected"]["sources"].as_array())
        .flatten();
    sources.any(|source| {
        source.get("serviceAccountToken").is_some() || source["configMap"]["name"] == ROOT_CA
    })
}

fn holder(desired: &Desired, name: &str, pod: &Value) -> Holder {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let namespace = pod["metadata"]["namespace"].as_str();
    let is_of = |key: &ObjectKey, body: &Value| {
        let labels = body["spec"]["selector"]["matchLabels"].as_object();
        key.namespace.as_deref() == namespace
            && labels.is_some_and(|labels| {
                let mut labels = labels.iter();
                labels.all(|(label, value)| pod["metadata"]["labels"].get(label) == Some(value))
            })
    };
    let own = desired.objects.iter().find(|object| {
        let key = object.key();
        matches!(key.kind.as_str(), "Deployment" | "DaemonSet") && is_of(key, object.body())
    });
    Holder {
        pod: name.to_owned(),
        node: text(&pod["spec"]["nodeName"]),
        uid: text(&pod["metadata"]["uid"]),
        own: own.map(|object| object.key().clone()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pods_with_an_account_are_told_from_those_without() {
        let with = |source: Value| {
            json!({"spec": {"volumes": [
                {"name": "a", "emptyDir": {}},
                {"name": "b", "projected": {"sources": [source]}},
            ]}})
        };
        assert!(has_account(&with(
            json!({"serviceAccountToken": {"path": "token"}})
        )));
        assert!(has_account(&with(json!({"configMap": {"name": ROOT_CA}}))));
        assert!(!has_account(&with(json!({"configMap": {"name": "mine"}}))));
        assert!(!has_account(&json!({"spec": {}})));
    }
}
