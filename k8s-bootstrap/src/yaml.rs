//! Configuration files as YAML text.

use serde_json::Value;

/// The document as text; keys are sorted, since `serde_json` keeps them so.
pub(crate) fn render(document: &Value) -> String {
    serde_norway::to_string(document).expect("a JSON value is a YAML document with text keys")
}
