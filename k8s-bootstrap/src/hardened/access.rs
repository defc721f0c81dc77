//! What somebody without an identity may ask of the API.

use crate::{NodePart, Shape, component::Place};

/// How anonymous requests are kept to health.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Anonymous {
    /// The API server itself knows the paths (KEP-4633): 401 for every other. The `apiVersion` of its configuration is
    /// that of the release. From 1.32 on, where that works without a gate.
    HealthOnly {
        /// What `apiVersion` says.
        api_version: &'static str,
    },
    /// Nobody (`--anonymous-auth=false`). Before 1.32, where nothing asks for health without an identity: with services
    /// systemd watches processes, and this crate asks with a certificate.
    Nobody,
    /// By roles alone, as Kubernetes has it by default: `system:public-info-viewer` lets everybody see `/healthz`,
    /// `/livez`, `/readyz` and `/version`, and all else is 403. Before 1.32, where `--anonymous-auth=false` would break
    /// the probes of static pods or of a balancer, which have no certificate to show. Check 1.2.1 of the benchmark is
    /// then an exception.
    ByRoles,
}

impl Anonymous {
    /// What fits the version of the API server, the shape and the balancer.
    pub fn of(place: Place<'_>) -> Self {
        let release = place.version_of(NodePart::ControlPlane).release();
        let cluster = place.cluster;
        match release.authentication_config {
            Some(file) if release.anonymous_endpoints.is_on() => Self::HealthOnly {
                api_version: file.api_version,
            },
            _ if cluster.shape == Shape::Services && cluster.balancer.is_none() => Self::Nobody,
            _ => Self::ByRoles,
        }
    }
}
