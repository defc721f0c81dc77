//! The Kubernetes API of one control plane, spoken to from a host that reaches it.

mod error;
mod readiness;

pub use error::ApiError;
pub use readiness::Readiness;

use crate::{ClientIdentity, Object, ObjectKey};
use host_exec::{
    Host,
    https::{self, Connector, HttpsClient, TlsError},
};
use http::{HeaderValue, Request, header::AUTHORIZATION};
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use kube::{
    api::{
        ApiResource, DeleteParams, DynamicObject, GroupVersionKind, ListParams, Patch, PatchParams,
        PostParams, TypeMeta,
    },
    client::{Body, middleware::BaseUriLayer},
};
use pki::BootstrapToken;
use serde_json::{Value, json};
use std::{collections::BTreeMap, fmt, net::SocketAddr, sync::Arc, time::Duration};
use tower::{BoxError, Layer as _, ServiceExt as _};
use zeroize::Zeroizing;

/// The name under which this crate owns fields (server-side apply).
const FIELD_MANAGER: &str = "lab";

/// A client of one API server.
#[derive(Clone)]
pub struct Api {
    client: kube::Client,
    probe: HttpsClient,
    address: SocketAddr,
    timeout: Duration,
}

impl fmt::Debug for Api {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Api({})", self.address)
    }
}

impl Api {
    /// A client that dials `address` from `host`, trusts `ca_pem` only and is `identity`. Each request may
    /// take `timeout`. Connects when first used; needs a tokio runtime already here.
    ///
    /// # Errors
    ///
    /// The certificates are no PEM or do not belong together. A server that is not there is *not* an error.
    pub fn new(
        host: Arc<dyn Host>,
        address: SocketAddr,
        ca_pem: &str,
        identity: &ClientIdentity,
        timeout: Duration,
    ) -> Result<Self, TlsError> {
        let own = (identity.certificate_pem.as_str(), identity.key_pem.as_str());
        let connector = Connector::new(host, https::client_config(ca_pem, Some(own))?, timeout);
        Ok(Self::over(connector, address, None, timeout))
    }

    /// As [`Api::new`], for somebody who has nothing but a bootstrap token yet.
    ///
    /// # Errors
    ///
    /// The certificate is no PEM.
    pub fn with_token(
        host: Arc<dyn Host>,
        address: SocketAddr,
        ca_pem: &str,
        token: &BootstrapToken,
        timeout: Duration,
    ) -> Result<Self, TlsError> {
        let connector = Connector::new(host, https::client_config(ca_pem, None)?, timeout);
        let text = Zeroizing::new(format!("Bearer {}", token.expose()));
        let mut bearer = HeaderValue::from_str(&text).expect("tokens are letters and digits");
        // Left out of the `Debug` text of requests.
        bearer.set_sensitive(true);
        Ok(Self::over(connector, address, Some(bearer), timeout))
    }

    fn over(
        connector: Connector,
        address: SocketAddr,
        bearer: Option<HeaderValue>,
        timeout: Duration,
    ) -> Self {
        let base = format!("https://{address}")
            .parse()
            .expect("an address makes a URI");
        let hyper = Client::builder(TokioExecutor::new()).build::<_, Body>(connector.clone());
        let hyper = hyper
            .map_request(move |mut request: Request<Body>| {
                if let Some(bearer) = &bearer {
                    request.headers_mut().insert(AUTHORIZATION, bearer.clone());
                }
                request
            })
            .map_err(BoxError::from);
        Self {
            client: kube::Client::new(BaseUriLayer::new(base).layer(hyper), "default"),
            probe: HttpsClient::new(connector, timeout),
            address,
            timeout,
        }
    }

    /// The `kube` client, for what this type does not offer.
    pub fn client(&self) -> kube::Client {
        self.client.clone()
    }

    /// Asks `/readyz`.
    pub async fn readiness(&self) -> Readiness {
        match self
            .probe
            .get(&format!("https://{}/readyz?verbose", self.address))
            .await
        {
            Err(error) => Readiness::Silent(error.to_string()),
            Ok(answer) if https::is_ok(&answer) => Readiness::Ready,
            Ok(answer) => {
                let text = String::from_utf8_lossy(answer.body());
                Readiness::Answers(readiness::failing_checks(&text, answer.status().as_u16()))
            }
        }
    }

    /// The version that the server says it is, such as `v1.37.2`.
    ///
    /// # Errors
    ///
    /// No answer in time, or a refusal.
    pub async fn version(&self) -> Result<String, ApiError> {
        let client = self.client();
        let info = self.bounded("get", "/version", client.apiserver_version());
        Ok(info.await?.git_version)
    }

    /// One object as the API has it; `None` if it is not there.
    ///
    /// # Errors
    ///
    /// No answer in time, or any refusal but 404.
    pub async fn get(&self, key: &ObjectKey) -> Result<Option<Value>, ApiError> {
        let api = self.resource(key);
        let found = self.bounded("get", key, api.get_opt(&key.name)).await?;
        Ok(found.map(|object| to_value(&object)))
    }

    /// All objects of a kind in all namespaces, by `namespace/name` or name.
    ///
    /// # Errors
    ///
    /// No answer in time, or a refusal.
    pub async fn list(
        &self,
        api_version: &str,
        kind: &str,
    ) -> Result<BTreeMap<String, Value>, ApiError> {
        let api: kube::Api<DynamicObject> =
            kube::Api::all_with(self.client(), &resource(api_version, kind));
        let list = self
            .bounded("list", kind, api.list(&ListParams::default()))
            .await?;
        let name = |object: &DynamicObject| {
            let name = object.metadata.name.clone().unwrap_or_default();
            object
                .metadata
                .namespace
                .as_ref()
                .map_or(name.clone(), |space| format!("{space}/{name}"))
        };
        Ok(list
            .items
            .iter()
            .map(|object| (name(object), to_value(object)))
            .collect())
    }

    /// Writes an object by server-side apply; fields of others stay, fields set here become ours.
    ///
    /// # Errors
    ///
    /// No answer in time, or a refusal; see [`ApiError::is_transient`].
    pub async fn apply(&self, object: &Object) -> Result<(), ApiError> {
        let key = object.key();
        let params = PatchParams::apply(FIELD_MANAGER).force();
        let (api, patch) = (self.resource(key), Patch::Apply(object.body()));
        self.bounded("apply", key, api.patch(&key.name, &params, &patch))
            .await?;
        Ok(())
    }

    /// Writes an object's fields into the one that is there; a list is replaced as a whole (RFC 7386).
    pub(crate) async fn merge(&self, object: &Object) -> Result<(), ApiError> {
        let key = object.key();
        let params = PatchParams {
            field_manager: Some(FIELD_MANAGER.to_owned()),
            ..PatchParams::default()
        };
        let (api, patch) = (self.resource(key), Patch::Merge(object.body()));
        self.bounded("merge", key, api.patch(&key.name, &params, &patch))
            .await?;
        Ok(())
    }

    /// Makes an object that is not there. One of this name that is there already is left as it is.
    ///
    /// # Errors
    ///
    /// No answer in time, or any refusal but "already exists" (409).
    pub async fn create(&self, object: &Object) -> Result<(), ApiError> {
        let key = object.key();
        let body: DynamicObject =
            serde_json::from_value(object.body().clone()).expect("an object has type and metadata");
        let (api, params) = (self.resource(key), PostParams::default());
        let created = self.bounded("create", key, api.create(&params, &body));
        match created.await {
            Err(error) if error.status() != Some(409) => Err(error),
            _ => Ok(()),
        }
    }

    /// Deletes an object. One that is not there is *not* an error.
    pub(crate) async fn delete(&self, key: &ObjectKey) -> Result<(), ApiError> {
        let (api, params) = (self.resource(key), DeleteParams::default());
        let deleted = self.bounded("delete", key, api.delete(&key.name, &params));
        match deleted.await {
            Err(error) if error.status() != Some(404) => Err(error),
            _ => Ok(()),
        }
    }

    /// Gives a Node its addresses before its kubelet runs: kube-proxy asks for them at its start, and after
    /// growing pauses if there are none. The kubelet replaces them by the same.
    ///
    /// # Errors
    ///
    /// As [`Api::apply`].
    pub async fn apply_node_addresses(&self, node: &crate::NodeSpec) -> Result<(), ApiError> {
        let key = ObjectKey::node(node.name.as_str());
        let internal = node
            .address
            .both()
            .map(|ip| json!({"type": "InternalIP", "address": ip}));
        let hostname = json!({"type": "Hostname", "address": node.name.as_str()});
        let addresses: Vec<Value> = internal.into_iter().chain([hostname]).collect();
        let patch = Patch::Merge(json!({"status": {"addresses": addresses}}));
        let api = self.resource(&key);
        self.bounded(
            "apply",
            &key,
            api.patch_status(&key.name, &PatchParams::default(), &patch),
        )
        .await?;
        Ok(())
    }

    pub(crate) fn resource(&self, key: &ObjectKey) -> kube::Api<DynamicObject> {
        let resource = resource(&key.api_version, &key.kind);
        match &key.namespace {
            Some(namespace) => kube::Api::namespaced_with(self.client(), namespace, &resource),
            None => kube::Api::all_with(self.client(), &resource),
        }
    }

    /// Gives a request its time limit, and its error the names.
    pub(crate) async fn bounded<T>(
        &self,
        verb: &'static str,
        what: impl fmt::Display,
        request: impl Future<Output = Result<T, kube::Error>>,
    ) -> Result<T, ApiError> {
        let answer = match tokio::time::timeout(self.timeout, request).await {
            Ok(answer) => answer,
            Err(elapsed) => Err(kube::Error::Service(elapsed.into())),
        };
        answer.map_err(|source| ApiError {
            address: self.address,
            verb,
            what: what.to_string(),
            source: Box::new(source),
        })
    }
}

fn resource(api_version: &str, kind: &str) -> ApiResource {
    let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
    ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, kind))
}

fn to_value(object: &DynamicObject) -> Value {
    let mut value = serde_json::to_value(object).expect("what came as JSON goes as JSON");
    if let Some(TypeMeta { api_version, kind }) = &object.types {
        value["apiVersion"] = api_version.as_str().into();
        value["kind"] = kind.as_str().into();
    }
    value
}
