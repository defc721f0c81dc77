//! What a lab's cluster has beyond its own parts.

use k8s_bootstrap::{ImageName, InvalidImageName};
use serde::{Deserialize, Serialize};

/// What the cluster has beyond its own parts; none by default.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AddonsSpec {
    /// metrics-server, for `kubectl top` and autoscalers. Taken out of the file again, it stays in the cluster.
    #[serde(skip_serializing_if = "MetricsServer::is_none")]
    pub metrics_server: MetricsServer,
}

/// Which metrics-server, if any: `true`, `false` or the name of an image.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Words", into = "Words")]
pub enum MetricsServer {
    /// None.
    #[default]
    None,
    /// The one that goes with the version of Kubernetes that the lab was made with, built here and given to the workers.
    Built,
    /// This image, which nodes pull, or which is in the workers' containerd.
    Image(ImageName),
}

impl MetricsServer {
    fn is_none(&self) -> bool {
        *self == Self::None
    }
}

/// The two kinds of values in the file.
#[derive(Clone, Serialize, Deserialize)]
#[serde(untagged, expecting = "say true, false or the name of an image")]
enum Words {
    Wish(bool),
    Image(String),
}

impl TryFrom<Words> for MetricsServer {
    type Error = InvalidImageName;

    fn try_from(words: Words) -> Result<Self, Self::Error> {
        Ok(match words {
            Words::Wish(false) => Self::None,
            Words::Wish(true) => Self::Built,
            Words::Image(name) => Self::Image(name.parse()?),
        })
    }
}

impl From<MetricsServer> for Words {
    fn from(wanted: MetricsServer) -> Self {
        match wanted {
            MetricsServer::None => Self::Wish(false),
            MetricsServer::Built => Self::Wish(true),
            MetricsServer::Image(name) => Self::Image(name.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metrics_server_is_built_here_or_an_image_or_none() {
        let read = |value: &str| toml::from_str::<AddonsSpec>(&format!("metrics_server = {value}"));
        let image = "registry.k8s.io/metrics-server/metrics-server:v0.9.0";
        for (value, expected) in [
            ("true", MetricsServer::Built),
            ("false", MetricsServer::None),
            (
                &*format!("'{image}'"),
                MetricsServer::Image(image.parse().unwrap()),
            ),
        ] {
            let spec = read(value).unwrap();
            assert_eq!(spec.metrics_server, expected);
            // As the record of a lab keeps it.
            let kept = serde_json::to_string(&spec).unwrap();
            assert_eq!(serde_json::from_str::<AddonsSpec>(&kept).unwrap(), spec);
        }
        assert_eq!(serde_json::to_string(&AddonsSpec::default()).unwrap(), "{}");
        for (value, why) in [
            ("'a b'", "image name \"a b\""),
            ("7", "say true, false or the name of an image"),
        ] {
            let error = read(value).unwrap_err().to_string();
            assert!(error.contains(why), "{error}");
        }
    }
}
