//! The settings of a member, typed, in etcd's own names. What differs between minors is decided here.

use crate::{ClusterSpec, MemberSpec, tuning::FeatureGate};
use std::{collections::BTreeMap, path::Path, time::Duration};

/// One setting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting {
    /// The name of its flag without the dashes, such as `listen-peer-urls`.
    pub name: &'static str,
    /// Its value.
    pub value: SettingValue,
}

/// The value of a setting. The forms write these differently.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SettingValue {
    /// A name, path, token or word.
    Text(String),
    /// Several, which etcd takes as one text with commas between, in YAML too: lists of URLs and members.
    Commas(Vec<String>),
    /// Several, which YAML has as a sequence.
    Sequence(Vec<String>),
    /// Yes or no.
    Switch(bool),
    /// A number: bytes, entries, or milliseconds for the two timers of raft.
    Number(u64),
    /// A time, which YAML has in nanoseconds (`time.Duration` of Go's JSON).
    Time(Duration),
}

/// The settings of a member, in the order in which they are written.
///
/// The `initial-` ones are read only while there is no write-ahead log yet, so they stay as they were when the
/// member came in, whoever came or went since ([`ClusterSpec::initial_cluster_of`]).
#[must_use]
pub fn settings(spec: &ClusterSpec, member: &MemberSpec) -> Vec<Setting> {
    let mut all = identity(spec, member);
    all.extend(certificates(member));
    let minor = spec.version_of(member).minor;
    all.extend(features(&spec.tuning().feature_gates, minor));
    all.extend(limits(spec, minor));
    all.extend(words(spec, minor));
    all
}

fn text(name: &'static str, value: impl Into<String>) -> Setting {
    let value = SettingValue::Text(value.into());
    Setting { name, value }
}

fn commas(name: &'static str, values: Vec<String>) -> Setting {
    let value = SettingValue::Commas(values);
    Setting { name, value }
}

fn path(name: &'static str, path: &Path) -> Setting {
    text(name, path.display().to_string())
}

fn switch(name: &'static str, on: bool) -> Setting {
    let value = SettingValue::Switch(on);
    Setting { name, value }
}

/// Who it is, where it listens, and whom it found or finds.
fn identity(spec: &ClusterSpec, member: &MemberSpec) -> Vec<Setting> {
    let client_urls = member.client_urls();
    let advertised = client_urls.iter().take(1).cloned().collect();
    let initial = spec.initial_cluster_of(member);
    let pairs = initial.members.iter();
    let pairs = pairs.map(|(name, url)| format!("{name}={url}")).collect();
    vec![
        text("name", member.name.as_str()),
        path("data-dir", &member.data_dir),
        commas("listen-peer-urls", vec![member.peer_url()]),
        commas("listen-client-urls", client_urls),
        commas("initial-advertise-peer-urls", vec![member.peer_url()]),
        commas("advertise-client-urls", advertised),
        commas(
            "listen-metrics-urls",
            vec![format!("http://{}", member.metrics)],
        ),
        commas("initial-cluster", pairs),
        text("initial-cluster-token", spec.token().as_str()),
        text("initial-cluster-state", initial.state()),
    ]
}

fn certificates(member: &MemberSpec) -> [Setting; 8] {
    let pki = &member.pki;
    [
        path("cert-file", &pki.server_certificate),
        path("key-file", &pki.server_key),
        path("trusted-ca-file", &pki.client_ca),
        switch("client-cert-auth", true),
        path("peer-cert-file", &pki.peer_certificate),
        path("peer-key-file", &pki.peer_key),
        path("peer-trusted-ca-file", &pki.peer_ca),
        switch("peer-client-cert-auth", true),
    ]
}

/// Corruption is looked for at the start and with every compaction unless that is switched off. 3.5 knows no
/// gates and has a flag for each; 3.7 ends at any flag that begins with `experimental`. A member in the middle of
/// an upgrade may be of a minor that lacks a gate: there it is left out.
fn features(wanted: &BTreeMap<FeatureGate, bool>, minor: u16) -> Vec<Setting> {
    let mut gates = BTreeMap::from([
        (FeatureGate::InitialCorruptCheck, true),
        (FeatureGate::CompactHashCheck, true),
    ]);
    gates.extend(wanted);
    if minor <= 5 {
        let flag = |(gate, on): (FeatureGate, bool)| Some(switch(gate.flag_in_3_5()?, on));
        return gates.into_iter().filter_map(flag).collect();
    }
    let known = gates.iter().filter(|(gate, _)| gate.known_in(minor));
    let pairs = known.map(|(gate, on)| format!("{gate}={on}")).collect();
    vec![commas("feature-gates", pairs)]
}

/// Times and numbers. Three of them lost a prefix with 3.6.
fn limits(spec: &ClusterSpec, minor: u16) -> Vec<Setting> {
    let tuning = spec.tuning();
    let renamed = |old, new| if minor <= 5 { old } else { new };
    let milliseconds = |time: Option<Duration>| {
        // Checked to be whole milliseconds, at most 50,000.
        time.map(|time| u64::try_from(time.as_millis()).unwrap_or(u64::MAX))
    };
    let progress = tuning.watch_progress_notify_interval;
    let times = [
        (
            renamed(
                "experimental-watch-progress-notify-interval",
                "watch-progress-notify-interval",
            ),
            Some(progress.unwrap_or(Duration::from_secs(5))),
        ),
        (
            renamed("experimental-corrupt-check-time", "corrupt-check-time"),
            tuning.corrupt_check_interval,
        ),
    ];
    let snapshot_count = tuning.snapshot_count.or((minor <= 5).then_some(10_000));
    let number = |value: Option<u32>| value.map(u64::from);
    let learners = tuning.max_learners.filter(|_| minor >= 6);
    let numbers = [
        ("snapshot-count", snapshot_count),
        (
            "heartbeat-interval",
            milliseconds(tuning.heartbeat_interval),
        ),
        ("election-timeout", milliseconds(tuning.election_timeout)),
        ("quota-backend-bytes", tuning.quota_backend_bytes),
        (
            renamed(
                "experimental-compaction-batch-limit",
                "compaction-batch-limit",
            ),
            number(tuning.compaction_batch_limit),
        ),
        ("max-request-bytes", number(tuning.max_request_bytes)),
        ("max-txn-ops", number(tuning.max_txn_ops)),
        ("max-learners", learners.map(u64::from)),
    ];
    let times = times.into_iter().filter_map(|(name, time)| {
        let value = SettingValue::Time(time?);
        Some(Setting { name, value })
    });
    let numbers = numbers.into_iter().filter_map(|(name, number)| {
        let value = SettingValue::Number(number?);
        Some(Setting { name, value })
    });
    times.chain(numbers).collect()
}

/// What is chosen from a list of words.
fn words(spec: &ClusterSpec, minor: u16) -> Vec<Setting> {
    let tuning = spec.tuning();
    let log_format = tuning.log_format.filter(|_| minor >= 6);
    let compaction = tuning.auto_compaction;
    let words = [
        (
            "auto-compaction-mode",
            compaction.map(|c| c.mode().to_owned()),
        ),
        (
            "auto-compaction-retention",
            compaction.map(|c| c.retention()),
        ),
        ("log-level", tuning.log_level.map(|l| l.to_string())),
        ("log-format", log_format.map(|l| l.to_string())),
        ("metrics", tuning.metrics.map(|m| m.to_string())),
        (
            "tls-min-version",
            tuning.tls_min_version.map(|t| t.to_string()),
        ),
    ];
    let words = words
        .into_iter()
        .filter_map(|(name, word)| Some(text(name, word?)));
    let suites = tuning.cipher_suites.iter().map(ToString::to_string);
    let suites: Vec<String> = suites.collect();
    let suites = (!suites.is_empty()).then_some(Setting {
        name: "cipher-suites",
        value: SettingValue::Sequence(suites),
    });
    words.chain(suites).collect()
}
