//! Who has been told whom to trust.

use super::{ROOT_CA, merge, moment, ready};
use crate::{ApiError, Desired, Hosts, ObjectKey, ObserveError};
use futures::future::try_join_all;
use serde_json::{Value, json};
use time::OffsetDateTime;

/// The ConfigMap that tells aggregated APIs whom to believe
/// (`pkg/controlplane/controller/clusterauthenticationtrust`).
const AUTHENTICATION: &str = "extension-apiserver-authentication";

/// Which namespaces have not been told of exactly the authorities that are trusted now.
///
/// # Errors
///
/// A host is missing or no API server answers.
pub async fn untold_namespaces(
    desired: &Desired,
    hosts: &Hosts,
) -> Result<Vec<String>, ObserveError> {
    let api = &ready(desired, hosts).await?;
    let namespaces = api.list("v1", "Namespace").await?;
    let looks = namespaces.keys().map(|name| async move {
        let live = api.get(&config_map(name, ROOT_CA)).await?;
        let told = live.is_some_and(|live| live["data"]["ca.crt"] == desired.ca_pem.as_str());
        Ok::<_, ApiError>((!told).then(|| name.clone()))
    });
    Ok(try_join_all(looks).await?.into_iter().flatten().collect())
}

/// When the namespaces were last told whom to trust, by the clock of the API; `None` while none has been.
///
/// # Errors
///
/// As [`untold_namespaces`].
pub async fn told_at(
    desired: &Desired,
    hosts: &Hosts,
) -> Result<Option<OffsetDateTime>, ObserveError> {
    let api = ready(desired, hosts).await?;
    let namespaces = api.list("v1", "Namespace").await?;
    let mut last = None;
    for name in namespaces.keys() {
        let live = api.get(&config_map(name, ROOT_CA)).await?;
        let fields = live.as_ref().map(|live| &live["metadata"]["managedFields"]);
        let fields = fields.and_then(Value::as_array).into_iter().flatten();
        last = last.max(fields.filter_map(|field| moment(&field["time"])).max());
    }
    Ok(last)
}

/// Tells aggregated APIs of no other authorities than those that are trusted now. The API servers add theirs to this
/// ConfigMap and never take one away (`combineCertLists`).
///
/// # Errors
///
/// As [`untold_namespaces`].
pub async fn tell_aggregated(
    desired: &Desired,
    hosts: &Hosts,
    front_proxy_pem: &str,
) -> Result<(), ObserveError> {
    let api = ready(desired, hosts).await?;
    let patch = json!({"data": {
        "client-ca-file": desired.ca_pem,
        "requestheader-client-ca-file": front_proxy_pem,
    }});
    Ok(merge(&api, &config_map("kube-system", AUTHENTICATION), &patch).await?)
}

fn config_map(namespace: &str, name: &str) -> ObjectKey {
    ObjectKey {
        api_version: "v1".into(),
        kind: "ConfigMap".into(),
        namespace: Some(namespace.to_owned()),
        name: name.to_owned(),
    }
}
