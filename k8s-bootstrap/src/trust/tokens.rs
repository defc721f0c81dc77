//! Whose tokens are believed, who signs them, and which of them have no end.

use super::ready;
use crate::{Api, ApiError, Desired, Hosts, ObserveError, observe};
use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use host_exec::HostName;
use http::Request;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use zeroize::Zeroizing;

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
/// As [`untold_namespaces`](super::untold_namespaces).
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
}
