//! The network of a guest, as its caller has planned it.

use serde_norway::Value;
use std::str::FromStr;

/// The file `network-config`: version 2 of cloud-init's network configuration, kept to the byte.
///
/// Checked is what cloud-init passes over in silence or only warns about. Its schema knows the rest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NetworkConfig(String);

/// A text that is no [`NetworkConfig`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("network-config: {problem}")]
pub struct InvalidNetworkConfig {
    problem: String,
}

impl NetworkConfig {
    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for NetworkConfig {
    type Err = InvalidNetworkConfig;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match problem(text) {
            None => Ok(Self(text.to_owned())),
            Some(problem) => Err(InvalidNetworkConfig { problem }),
        }
    }
}

fn problem(text: &str) -> Option<String> {
    let value: Value = match serde_norway::from_str(text) {
        Ok(value) => value,
        Err(error) => return Some(format!("is not YAML: {error}")),
    };
    if value.get("network").is_some() {
        return Some(
            "has a key `network`, as files of Netplan have; leave it out and indent less".into(),
        );
    }
    if value.get("version").and_then(Value::as_u64) != Some(2) {
        return Some("must say `version: 2` at its top".into());
    }
    let ethernets = value.get("ethernets").and_then(Value::as_mapping);
    let Some(ethernets) = ethernets else {
        return Some("must have `ethernets`, a mapping of names to interfaces".into());
    };
    let old = ["gateway4", "gateway6"];
    ethernets.iter().find_map(|(name, interface)| {
        let key = old.into_iter().find(|key| interface.get(key).is_some())?;
        let name = name.as_str().unwrap_or_default();
        Some(format!(
            "ethernets.{name}.{key} is deprecated; write a route to 0.0.0.0/0 or ::/0"
        ))
    })
}
