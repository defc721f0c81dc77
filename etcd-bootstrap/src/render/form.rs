//! The three forms of the settings, and the way back for what an observation needs of them.

use super::{
    SettingsForm,
    setting::{Setting, SettingValue, settings},
};
use crate::{ClusterSpec, MemberSpec, tuning::go_duration};
use std::fmt::Write as _;

impl SettingValue {
    /// As a flag or variable has it.
    fn as_flag(&self) -> String {
        match self {
            Self::Text(text) => text.clone(),
            Self::Commas(texts) | Self::Sequence(texts) => texts.join(","),
            Self::Switch(on) => on.to_string(),
            Self::Number(number) => number.to_string(),
            Self::Time(time) => go_duration(*time),
        }
    }

    /// As the YAML file has it. Texts are always quoted: a member may be called `7` or `no`.
    fn as_yaml(&self) -> String {
        let quoted = |text: &str| serde_json::Value::from(text).to_string();
        match self {
            Self::Text(text) => quoted(text),
            Self::Commas(texts) => quoted(&texts.join(",")),
            Self::Sequence(texts) => {
                let texts: Vec<String> = texts.iter().map(|text| quoted(text)).collect();
                format!("[{}]", texts.join(", "))
            }
            Self::Switch(on) => on.to_string(),
            Self::Number(number) => number.to_string(),
            Self::Time(time) => time.as_nanos().to_string(),
        }
    }
}

/// The variable that etcd reads a setting from: `ETCD_` and its name in upper case (`pkg/flags`,
/// `FlagToEnv`).
fn variable(name: &str) -> String {
    format!("ETCD_{}", name.to_uppercase().replace('-', "_"))
}

/// The settings of a member as environment variables, in the order of the file.
#[must_use]
pub fn environment(spec: &ClusterSpec, member: &MemberSpec) -> Vec<(String, String)> {
    let all = settings(spec, member).into_iter();
    all.map(|setting| (variable(setting.name), setting.value.as_flag()))
        .collect()
}

/// The text of the environment file. Spec checks keep every value free of what would need quotes.
#[must_use]
pub fn environment_text(spec: &ClusterSpec, member: &MemberSpec) -> String {
    environment(spec, member)
        .iter()
        .fold(String::new(), |mut text, (key, value)| {
            // Writing into a String cannot fail.
            let _ = writeln!(text, "{key}={value}");
            text
        })
}

/// The settings of a member as the arguments of etcd.
#[must_use]
pub fn flags(spec: &ClusterSpec, member: &MemberSpec) -> Vec<String> {
    let all = settings(spec, member).into_iter();
    all.map(|setting| format!("--{}={}", setting.name, setting.value.as_flag()))
        .collect()
}

/// The text of the YAML file (`embed.Config` and its JSON names). Certificates are in two sections there, with
/// names that lack the prefix of the flags.
#[must_use]
pub fn yaml_text(spec: &ClusterSpec, member: &MemberSpec) -> String {
    const CLIENTS: &str = "client-transport-security";
    const PEERS: &str = "peer-transport-security";
    let (mut top, mut clients, mut peers) = (String::new(), String::new(), String::new());
    for Setting { name, value } in settings(spec, member) {
        let (section, indent, key) = match name {
            "cert-file" | "key-file" | "trusted-ca-file" | "client-cert-auth" => {
                (&mut clients, "  ", name)
            }
            "peer-cert-file"
            | "peer-key-file"
            | "peer-trusted-ca-file"
            | "peer-client-cert-auth" => (&mut peers, "  ", name.trim_start_matches("peer-")),
            _ => (&mut top, "", name),
        };
        let _ = writeln!(section, "{indent}{key}: {}", value.as_yaml());
    }
    format!("{top}{CLIENTS}:\n{clients}{PEERS}:\n{peers}")
}

/// The value of a top-level setting in a file that this crate wrote; `None` if it is not there.
///
/// ```text
/// ETCD_INITIAL_CLUSTER_TOKEN=lab-1
///   --initial-cluster-token=lab-1 \
/// initial-cluster-token: "lab-1"
/// ```
pub(crate) fn read_back(form: SettingsForm, text: &str, name: &str) -> Option<String> {
    let prefix = match form {
        SettingsForm::Environment => format!("{}=", variable(name)),
        SettingsForm::Flags => format!("  --{name}="),
        SettingsForm::Yaml => format!("{name}: "),
    };
    let value = text.lines().find_map(|line| line.strip_prefix(&prefix))?;
    let value = value.trim_end_matches(" \\");
    Some(value.trim_matches('"').to_owned())
}
