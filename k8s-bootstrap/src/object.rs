//! One object of the Kubernetes API as a value, and the question whether the API has it already.

use serde_json::Value;
use sha2::{Digest, Sha256};
use std::fmt::{self, Write as _};

/// The annotation that holds the digest of the manifest last applied.
pub const APPLIED: &str = "lab/applied";

/// Which object: enough to ask for it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectKey {
    /// `v1`, `apps/v1`, ...
    pub api_version: String,
    /// `ConfigMap`, ...
    pub kind: String,
    /// The namespace; `None` for objects of the whole cluster.
    pub namespace: Option<String>,
    /// The name.
    pub name: String,
}

impl ObjectKey {
    /// An object of the whole cluster.
    pub(crate) fn of_cluster(api_version: &str, kind: &str, name: &str) -> Self {
        Self {
            api_version: api_version.to_owned(),
            kind: kind.to_owned(),
            namespace: None,
            name: name.to_owned(),
        }
    }

    /// The Node of this name.
    pub(crate) fn node(name: &str) -> Self {
        Self::of_cluster("v1", "Node", name)
    }
}

impl fmt::Display for ObjectKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.namespace {
            Some(namespace) => write!(f, "{} {namespace}/{}", self.kind, self.name),
            None => write!(f, "{} {}", self.kind, self.name),
        }
    }
}

/// An object as it has to be. `Debug` shows its key alone, since it may be a Secret.
#[derive(Clone, PartialEq)]
pub struct Object {
    key: ObjectKey,
    body: Value,
}

impl fmt::Debug for Object {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Object({})", self.key)
    }
}

/// How an object in the API differs from what it has to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ObjectDrift {
    /// It is not there.
    Missing,
    /// It was applied from another manifest, or somebody changed it since.
    Differs,
    /// Nobody could ask, since the API was not ready.
    Unseen,
}

impl fmt::Display for ObjectDrift {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Missing => "missing",
            Self::Differs => "differs",
            Self::Unseen => "unseen so far",
        })
    }
}

impl Object {
    /// Takes a manifest and marks it with its digest.
    ///
    /// Manifests are part of this crate, so a malformed one is a defect of it and found by every test.
    pub(crate) fn new(mut body: Value) -> Self {
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let field = |value: &Value| text(value).expect("manifests have apiVersion, kind and name");
        let key = ObjectKey {
            api_version: field(&body["apiVersion"]),
            kind: field(&body["kind"]),
            namespace: text(&body["metadata"]["namespace"]),
            name: field(&body["metadata"]["name"]),
        };
        let digest = digest(body.to_string().as_bytes());
        body["metadata"]["annotations"][APPLIED] = digest.into();
        Self { key, body }
    }

    /// Which object it is.
    pub fn key(&self) -> &ObjectKey {
        &self.key
    }

    /// The whole manifest, with the annotation [`APPLIED`]. May hold secrets.
    pub fn body(&self) -> &Value {
        &self.body
    }

    /// How `live`, the object as the API has it, differs; `None` if it does not.
    ///
    /// Fields that only the API has (defaults, status) do not count. The digest catches a field that an
    /// older manifest set and this one does not; the comparison catches changes by others.
    pub fn drift(&self, live: Option<&Value>) -> Option<ObjectDrift> {
        match live {
            None => Some(ObjectDrift::Missing),
            Some(live) if covers(live, &self.body) => None,
            Some(_) => Some(ObjectDrift::Differs),
        }
    }
}

/// Whether `live` has everything that `wanted` has.
///
/// Lists of plain values must be equal; of a list of objects each must be there, in any order, since the API
/// adds entries of its own (taints).
fn covers(live: &Value, wanted: &Value) -> bool {
    match (live, wanted) {
        (Value::Object(live), Value::Object(wanted)) => wanted
            .iter()
            .all(|(key, value)| live.get(key).is_some_and(|found| covers(found, value))),
        (Value::Array(live), Value::Array(wanted)) if wanted.iter().any(Value::is_object) => wanted
            .iter()
            .all(|value| live.iter().any(|found| covers(found, value))),
        _ => live == wanted,
    }
}

/// SHA-256 in hexadecimal.
pub(crate) fn digest(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(64);
    for byte in Sha256::digest(bytes) {
        write!(text, "{byte:02x}").expect("writing into a String succeeds");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn object() -> Object {
        Object::new(json!({
            "apiVersion": "v1", "kind": "Node", "metadata": {"name": "a"},
            "spec": {"podCIDRs": ["10.0.0.0/24"], "taints": [{"key": "x", "effect": "NoSchedule"}]},
        }))
    }

    #[test]
    fn what_the_api_adds_is_no_drift() {
        let mut live = object().body().clone();
        live["status"] = json!({"phase": "x"});
        live["spec"]["taints"]
            .as_array_mut()
            .unwrap()
            .insert(0, json!({"key": "not-ready"}));
        live["spec"]["taints"][1]["timeAdded"] = "now".into();
        assert_eq!(object().drift(Some(&live)), None);
        assert_eq!(object().drift(None), Some(ObjectDrift::Missing));
    }

    #[test]
    fn what_others_change_or_take_away_is() {
        for pointer in [
            "/spec/podCIDRs/0",
            "/metadata/annotations/lab~1applied",
            "/spec/taints/0/key",
        ] {
            let mut live = object().body().clone();
            *live.pointer_mut(pointer).unwrap() = "other".into();
            assert_eq!(
                object().drift(Some(&live)),
                Some(ObjectDrift::Differs),
                "{pointer}"
            );
        }
    }

    #[test]
    fn debug_shows_the_key_alone() {
        let secret = json!({"apiVersion": "v1", "kind": "Secret",
            "metadata": {"name": "s", "namespace": "n"}, "data": {"k": "aHVudGVyMg=="}});
        assert_eq!(format!("{:?}", Object::new(secret)), "Object(Secret n/s)");
    }
}
