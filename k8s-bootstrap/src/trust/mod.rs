//! What follows in the API when an authority, or the key of service accounts, is rotated: who has been told of the new
//! one, and who still holds the old.
//!
//! kubernetes.io, "Manual Rotation of CA Certificates", has the steps; each question here is asked of every API server
//! where they may differ.

mod holders;
mod tokens;
mod told;

pub use holders::{Holder, holders, pods_by_uid, restart_own};
pub use tokens::{token_key, token_keys, token_secrets, token_signers};
pub use told::{tell_aggregated, told_at, untold_namespaces};

use crate::{Api, ApiError, Desired, Hosts, ObjectKey, ObserveError, Readiness, observe};
use host_exec::HostName;
use kube::api::{Patch, PatchParams};
use serde_json::Value;
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

/// The ConfigMap in each namespace that tells its pods whom to trust
/// (`pkg/controller/certificates/rootcacertpublisher`).
const ROOT_CA: &str = "kube-root-ca.crt";

/// The first API server that is ready, or the first.
async fn ready(desired: &Desired, hosts: &Hosts) -> Result<Api, ObserveError> {
    let states = observe::readiness(desired, hosts).await?;
    let mut apis = observe::apis(desired, hosts)?;
    let is_ready = |(name, _): &(HostName, Api)| states.get(name) == Some(&Readiness::Ready);
    let at = apis.iter().position(is_ready).unwrap_or(0);
    Ok(apis.swap_remove(at).1)
}

async fn merge(api: &Api, key: &ObjectKey, patch: &Value) -> Result<(), ApiError> {
    let (resource, params) = (api.resource(key), PatchParams::default());
    let patch = Patch::Merge(patch);
    let sent = resource.patch(&key.name, &params, &patch);
    api.bounded("patch", key, sent).await.map(drop)
}

fn moment(value: &Value) -> Option<OffsetDateTime> {
    OffsetDateTime::parse(value.as_str()?, &Rfc3339).ok()
}
