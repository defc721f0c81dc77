//! Tokens of service accounts and the key that signs them.

use crate::{
    lab::{Lab, Scene},
    waiting::{so, wait_for},
};
use serde_json::Value;

/// A token without an end.
const ENDLESS: &str = r#"
apiVersion: v1
kind: Secret
type: kubernetes.io/service-account-token
metadata:
  name: endless
  annotations: {kubernetes.io/service-account.name: default}
"#;

/// The key of service accounts: tokens are taken until their key is dropped, in either direction, and a Secret's keeps
/// it from that.
#[track_caller]
pub(crate) fn tokens_outlive_their_key(scene: &Scene, lab: &Lab<'_>) {
    let token = || lab.kubectl(&["create", "token", "default"]);
    let rotate = |words: &[&str]| {
        let all = [&["certs", "rotate", "service-account"], words].concat();
        lab.run(&all)
    };
    let old = token();
    assert_eq!(rotate(&["--to", "swap"]).code, Some(0));
    let new = token();
    assert_eq!([answer(lab, &old), answer(lab, &new)], ["200", "200"]);
    let manifest = scene.dir().join("endless.yaml");
    std::fs::write(&manifest, ENDLESS).unwrap();
    lab.kubectl(&["apply", "-f", manifest.to_str().unwrap()]);
    wait_for("a Secret with a token", || {
        let secret = lab.get(&["--namespace", "default", "secret", "endless"]);
        so(secret["data"]["token"].is_string(), "none yet")
    });
    assert_eq!(rotate(&["--back"]).code, Some(0));
    let held = rotate(&["--back"]);
    assert_eq!(held.code, Some(3), "{held:?}");
    assert!(held.out.contains("Secret default/endless"), "{held:?}");
    assert_eq!([answer(lab, &old), answer(lab, &new)], ["200", "200"]);
    lab.kubectl(&["delete", "secret", "endless"]);
    let done = rotate(&[]);
    assert_eq!(done.code, Some(0), "{done:?}");
    assert_eq!([answer(lab, &old), answer(lab, &new)], ["401", "200"]);
    assert_eq!(lab.json(&["certs"])["rotations"], Value::Array(Vec::new()));
}

/// What an API server answers to the holder of a token.
#[track_caller]
fn answer(lab: &Lab<'_>, token: &str) -> String {
    let ask = r#"curl --silent --insecure --output /dev/null --write-out '%{http_code}' \
        --header "Authorization: Bearer $1" https://127.0.0.1:6443/api"#;
    let said = lab.ok(&["exec", "cp-0", "--", "sh", "-c", ask, "ask", token.trim()]);
    said.trim_end().to_owned()
}
