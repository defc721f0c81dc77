//! Addresses of Services that an API server has lost sight of.

use crate::{Api, ApiError, Object, ObjectKey};
use serde_json::Value;

/// Where the API keeps which Service has which address, from Kubernetes 1.33 on.
const API_VERSION: &str = "networking.k8s.io/v1";

impl Api {
    /// Frees the addresses of a Service that is not there.
    ///
    /// A server that knows its range of one family and not yet that of the other takes the address of the first, refuses
    /// the Service, and does not give the address back (`allocClusterIPs` in pkg/registry/core/service/storage/alloc.go of
    /// 1.36.3). It would by itself after a minute, but by then another try has taken the one of the other family in the
    /// same way, and so on without an end.
    pub(super) async fn free_addresses_of(&self, service: &Object) -> Result<(), ApiError> {
        let key = service.key();
        if self.get(key).await?.is_some() {
            return Ok(());
        }
        let addresses = service.body()["spec"]["clusterIPs"].as_array();
        for address in addresses.into_iter().flatten().filter_map(Value::as_str) {
            let taken = ObjectKey::of_cluster(API_VERSION, "IPAddress", address);
            let Some(found) = self.get(&taken).await? else {
                continue;
            };
            let parent = &found["spec"]["parentRef"];
            let ours = parent["resource"] == "services"
                && parent["namespace"].as_str() == key.namespace.as_deref()
                && parent["name"] == key.name.as_str();
            if ours {
                self.delete(&taken).await?;
            }
        }
        Ok(())
    }
}
