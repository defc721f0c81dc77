//! What follows in the API when an authority, or the key of service accounts, is rotated: who has been told of the new
//! one, and who still holds the old.
//!
//! kubernetes.io, "Manual Rotation of CA Certificates", has the steps; each question here is asked of every API server
//! where they may differ.

use crate::{
    Api, ApiError, Desired, Hosts, ObjectKey, ObserveError, Readiness,
    observe::{self, readiness},
};
use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use futures::future::try_join_all;
use host_exec::HostName;
use http::Request;
use kube::api::{Patch, PatchParams};
use serde_json::{Value, json};
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};
use zeroize::Zeroizing;

/// The ConfigMap in each namespace that tells its pods whom to trust
/// (`pkg/controller/certificates/rootcacertpublisher`).
const ROOT_CA: &str = "kube-root-ca.crt";
/// The ConfigMap that tells aggregated APIs whom to believe
/// (`pkg/controlplane/controller/clusterauthenticationtrust`).
const AUTHENTICATION: &str = "extension-apiserver-authentication";

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

/// Pods with an account that started at a moment or before, and so may hold what was then.
///
/// # Errors
///
/// As [`untold_namespaces`].
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
/// As [`untold_namespaces`].
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
/// As [`untold_namespaces`].
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

/// The identifiers of the keys whose tokens each API server believes.
///
/// # Errors
///
/// A host is missing or an API server does not answer.
pub async fn token_keys(
    desired: &Desired,
    hosts: &Hosts,
) -> Result<BTreeMap<HostName, BTreeSet<String>>, ObserveError> {
    let mut found = BTreeMap::new();
    for (name, api) in observe::apis(desired, hosts)? {
        let path = "/openid/v1/jwks";
        let keys = raw(&api, Request::get(path), Vec::new(), path).await?;
        let ids = keys["keys"].as_array().into_iter().flatten();
        let ids = ids.filter_map(|key| key["kid"].as_str().map(str::to_owned));
        found.insert(name, ids.collect());
    }
    Ok(found)
}

/// The identifier of the key with which each API server signs a token now. One is asked for, for the account
/// `kube-system/default` and ten minutes, and thrown away.
///
/// # Errors
///
/// As [`token_keys`].
pub async fn token_signers(
    desired: &Desired,
    hosts: &Hosts,
) -> Result<BTreeMap<HostName, String>, ObserveError> {
    let mut found = BTreeMap::new();
    for (name, api) in observe::apis(desired, hosts)? {
        let path = "/api/v1/namespaces/kube-system/serviceaccounts/default/token";
        // The shortest that there is.
        let body = json!({
            "apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest",
            "spec": {"expirationSeconds": 600},
        });
        let mut answer = raw(
            &api,
            Request::post(path),
            body.to_string().into_bytes(),
            path,
        )
        .await?;
        let token = match answer["status"]["token"].take() {
            Value::String(token) => Zeroizing::new(token),
            _ => Zeroizing::default(),
        };
        found.insert(name, token_key(&token).unwrap_or_default());
    }
    Ok(found)
}

/// The Secrets of accounts, `namespace/name`, with the identifier of the key that signed the token of each; `None`
/// where the controller manager has made none yet. They are of type `kubernetes.io/service-account-token`.
///
/// # Errors
///
/// As [`untold_namespaces`].
pub async fn token_secrets(
    desired: &Desired,
    hosts: &Hosts,
) -> Result<Vec<(String, Option<String>)>, ObserveError> {
    let api = ready(desired, hosts).await?;
    let path = "/api/v1/secrets?fieldSelector=type%3Dkubernetes.io%2Fservice-account-token";
    let mut answer = raw(&api, Request::get(path), Vec::new(), path).await?;
    let secrets = answer["items"].as_array_mut().into_iter().flatten();
    let found = secrets.map(|secret| {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let (namespace, name) = (
            &secret["metadata"]["namespace"],
            &secret["metadata"]["name"],
        );
        let name = format!("{}/{}", text(namespace), text(name));
        let token = match secret["data"]["token"].take() {
            Value::String(token) => Zeroizing::new(token),
            _ => Zeroizing::default(),
        };
        let token = STANDARD
            .decode(&*token)
            .map(Zeroizing::new)
            .unwrap_or_default();
        let key = std::str::from_utf8(&token).ok().and_then(token_key);
        (name, key)
    });
    Ok(found.collect())
}

/// The identifier of the key that signed a token (RFC 7515, `kid`); `None` for what is no token.
#[must_use]
pub fn token_key(token: &str) -> Option<String> {
    let header = token.trim().split('.').next()?;
    let header = URL_SAFE_NO_PAD.decode(header).ok()?;
    let header: Value = serde_json::from_slice(&header).ok()?;
    header["kid"].as_str().map(str::to_owned)
}

/// The first API server that is ready, or the first.
async fn ready(desired: &Desired, hosts: &Hosts) -> Result<Api, ObserveError> {
    let states = readiness(desired, hosts).await?;
    let mut apis = observe::apis(desired, hosts)?;
    let is_ready = |(name, _): &(HostName, Api)| states.get(name) == Some(&Readiness::Ready);
    let at = apis.iter().position(is_ready).unwrap_or(0);
    Ok(apis.swap_remove(at).1)
}

async fn raw(
    api: &Api,
    request: http::request::Builder,
    body: Vec<u8>,
    what: &'static str,
) -> Result<Value, ApiError> {
    let request = request
        .header("content-type", "application/json")
        .body(body)
        .expect("a path and a field that are literals make a request");
    let client = api.client();
    api.bounded("ask", what, client.request::<Value>(request))
        .await
}

async fn merge(api: &Api, key: &ObjectKey, patch: &Value) -> Result<(), ApiError> {
    let (resource, params) = (api.resource(key), PatchParams::default());
    let patch = Patch::Merge(patch);
    let sent = resource.patch(&key.name, &params, &patch);
    api.bounded("patch", key, sent).await.map(drop)
}

fn config_map(namespace: &str, name: &str) -> ObjectKey {
    ObjectKey {
        api_version: "v1".into(),
        kind: "ConfigMap".into(),
        namespace: Some(namespace.to_owned()),
        name: name.to_owned(),
    }
}

fn moment(value: &Value) -> Option<OffsetDateTime> {
    OffsetDateTime::parse(value.as_str()?, &Rfc3339).ok()
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
    fn the_key_of_a_token_is_read_from_its_header() {
        let token = |header: &str| format!("{}.e30.c2ln\n", URL_SAFE_NO_PAD.encode(header));
        let read = |header: &str| token_key(&token(header));
        assert_eq!(
            read(r#"{"alg":"ES256","kid":"abc"}"#),
            Some("abc".to_owned())
        );
        assert_eq!(read(r#"{"alg":"ES256"}"#), None);
        assert_eq!(token_key("not a token"), None);
        assert_eq!(token_key(""), None);
    }

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
