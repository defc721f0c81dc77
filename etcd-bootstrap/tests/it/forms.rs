//! The three forms of the settings, by minor: as golden files, and as the real etcd of that minor takes them.

use crate::{golden::check, real, world};
use etcd_bootstrap::{
    ClusterSpec, EtcdVersion,
    render::{self, SettingsForm},
    tuning::{
        AutoCompaction, CipherSuite, FeatureGate, LogFormat, LogLevel, MetricsLevel, ServiceTuning,
        TlsMinVersion, Tuning,
    },
};
use host_exec::{Command, Host as _, LocalHost};
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

const VERSIONS: [&str; 3] = ["3.5.33", "3.6.15", "3.7.3"];

/// Every setting that this minor knows, each other than its default.
fn all_settings(minor: u16) -> Tuning {
    let known = |gate: &&FeatureGate| gate.known_in(minor);
    Tuning {
        heartbeat_interval: Some(Duration::from_millis(50)),
        election_timeout: Some(Duration::from_millis(500)),
        quota_backend_bytes: Some(4 << 30),
        snapshot_count: Some(5000),
        auto_compaction: Some(AutoCompaction::Periodic(Duration::from_secs(8 * 3600))),
        compaction_batch_limit: Some(500),
        max_request_bytes: Some(2 << 20),
        max_txn_ops: Some(256),
        max_learners: (minor >= 6).then_some(2),
        corrupt_check_interval: Some(Duration::from_secs(4 * 3600)),
        watch_progress_notify_interval: Some(Duration::from_millis(2500)),
        log_level: Some(LogLevel::Debug),
        log_format: (minor >= 6).then_some(LogFormat::Json),
        metrics: Some(MetricsLevel::Extensive),
        tls_min_version: Some(TlsMinVersion::V1_2),
        cipher_suites: vec![
            CipherSuite::EcdheEcdsaAes128Gcm,
            CipherSuite::EcdheEcdsaAes256Gcm,
        ],
        feature_gates: FeatureGate::ALL
            .iter()
            .filter(known)
            .map(|gate| (*gate, *gate != FeatureGate::TxnModeWriteWithSharedBuffer))
            .collect(),
        service: ServiceTuning::dedicated(),
    }
}

fn spec_of(version: &str, form: SettingsForm, tuned: bool) -> ClusterSpec {
    let version: EtcdVersion = version.parse().unwrap();
    let spec = world::spec_of(version, "lab-1", 3).with_settings_form(form);
    if tuned {
        spec.with_tuning(all_settings(version.minor)).unwrap()
    } else {
        spec
    }
}

/// All files of a member in one text.
fn text(spec: &ClusterSpec) -> String {
    render::files(spec, &spec.members()[1])
        .iter()
        .map(|file| {
            let contents = String::from_utf8_lossy(file.contents.bytes());
            format!("===== {}\n{contents}", file.path.display())
        })
        .collect()
}

fn case(version: &str, form: SettingsForm, tuned: bool) -> String {
    let minor = version.parse::<EtcdVersion>().unwrap().minor;
    let form = format!("{form:?}").to_lowercase();
    let tuned = if tuned { "-tuned" } else { "" };
    format!("forms/3.{minor}-{form}{tuned}.txt")
}

#[test]
fn each_form_of_each_minor_is_as_it_was() {
    for version in VERSIONS {
        for form in SettingsForm::ALL {
            for tuned in [false, true] {
                let spec = spec_of(version, form, tuned);
                check(&case(version, form, tuned), &text(&spec));
            }
        }
    }
}

#[test]
fn the_three_forms_hold_the_same_settings() {
    for version in VERSIONS {
        let spec = spec_of(version, SettingsForm::Yaml, true);
        let member = &spec.members()[0];
        let flags = render::flags(&spec, member);
        let yaml = render::yaml_text(&spec, member);
        let environment = render::environment(&spec, member);
        assert_eq!(flags.len(), environment.len());
        for (flag, (key, value)) in flags.iter().zip(environment) {
            let (name, given) = flag.trim_start_matches("--").split_once('=').unwrap();
            assert_eq!(
                format!("ETCD_{}", name.to_uppercase().replace('-', "_")),
                key
            );
            assert_eq!(given, value);
        }
        // The two sections' headings are the only lines that are no setting.
        assert_eq!(yaml.lines().count(), flags.len() + 2);
    }
}

#[test]
fn a_member_that_is_upgraded_is_given_only_what_its_minor_knows() {
    let spec = spec_of("3.5.33", SettingsForm::Flags, true);
    let flags = render::flags(&spec, &spec.members()[0]).join("\n");
    for later in ["feature-gates", "max-learners", "log-format"] {
        assert!(!flags.contains(later), "{later}");
    }
}

/// systemd-analyze ends with 0 whatever it finds, so its silence is what counts.
#[tokio::test]
#[ignore = "needs systemd-analyze"]
async fn systemd_finds_nothing_to_say_about_the_units() {
    let host = LocalHost::new("here".parse().unwrap());
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("etcd.service");
    for form in SettingsForm::ALL {
        let members = vec![world::member(0)];
        let (token, version) = ("lab-1".parse().unwrap(), EtcdVersion::new(3, 7, 3));
        let spec = ClusterSpec::new(token, version, "/bin/true".into(), members).unwrap();
        let spec = spec.with_settings_form(form).with_tuning(all_settings(7));
        let spec = spec.unwrap();
        fs::write(&path, render::unit_text(&spec, &spec.members()[0])).unwrap();
        let verify = Command::new("systemd-analyze").args(["verify", path.to_str().unwrap()]);
        let output = host.run(&verify).await.unwrap();
        assert_eq!(output.stderr_text(), "", "{form:?}");
    }
}

/// The settings that a member says it has, from its log line "starting an etcd server".
fn taken(log: &str) -> serde_json::Value {
    let line = log
        .lines()
        .find(|line| line.contains("\"starting an etcd server\""))
        .unwrap_or_else(|| panic!("{log}"));
    serde_json::from_str(line).unwrap()
}

/// Each etcd of `LAB_ETCD_DIRS`, directories with colons between as in PATH, or the one of `LAB_BIN_DIR`.
#[expect(
    clippy::disallowed_methods,
    reason = "a test asks where the real programs are"
)]
pub(crate) fn programs() -> Vec<PathBuf> {
    let directories = std::env::var("LAB_ETCD_DIRS").or_else(|_| std::env::var("LAB_BIN_DIR"));
    let directories = directories.expect("LAB_ETCD_DIRS or LAB_BIN_DIR says where etcd is");
    directories
        .split(':')
        .map(|directory| Path::new(directory).join("etcd"))
        .collect()
}

#[tokio::test]
#[ignore = "needs etcd"]
async fn etcd_takes_each_form_and_reports_the_same_settings() {
    for (index, program) in programs().into_iter().enumerate() {
        for (number, form) in SettingsForm::ALL.into_iter().enumerate() {
            for tuned in [false, true] {
                let net = u8::try_from(100 + index * 10 + number * 2).unwrap() + u8::from(tuned);
                one_form(net, &program, form, tuned).await;
            }
        }
    }
}

async fn one_form(net: u8, program: &Path, form: SettingsForm, tuned: bool) {
    let what = format!("{} {form:?} {tuned}", program.display());
    let mut cluster = real::Cluster::of(net, program, 1, |spec| {
        let minor = spec.version().minor;
        let spec = spec.with_settings_form(form);
        if tuned {
            spec.with_tuning(all_settings(minor)).unwrap()
        } else {
            spec
        }
    })
    .await;
    let names = cluster.names();
    cluster.start(&names).await;
    if let Err(error) = cluster.wait(&names).await {
        panic!("{what}: {error}\n{}", cluster.log(&names[0]));
    }
    let log = cluster.log(&names[0]);
    for refused in [
        "unrecognized environment",
        "unused environment",
        "deprecated flag",
    ] {
        assert!(!log.contains(refused), "{what}: {refused}\n{log}");
    }
    let said = taken(&log);
    let minor = cluster.spec.version().minor;
    let expected = if tuned {
        tuned_report(minor)
    } else {
        default_report(minor)
    };
    for (key, value) in expected {
        assert_eq!(said[key], value, "{what}: {key} of {said}");
    }
}

fn default_report(minor: u16) -> Vec<(&'static str, serde_json::Value)> {
    let mut report = vec![
        ("initial-cluster-token", "first".into()),
        ("initial-cluster-state", "new".into()),
        ("heartbeat-interval", "100ms".into()),
        ("election-timeout", "1s".into()),
        ("snapshot-count", 10_000.into()),
    ];
    // From 3.6 on the line has a field `initial-corrupt-check` that is false whatever the gate is.
    report.push(if minor >= 6 {
        let gates = "CompactHashCheck=true,InitialCorruptCheck=true";
        ("feature-gates", gates.into())
    } else {
        ("initial-corrupt-check", true.into())
    });
    report
}

fn tuned_report(minor: u16) -> Vec<(&'static str, serde_json::Value)> {
    let mut report = vec![
        ("heartbeat-interval", "50ms".into()),
        ("election-timeout", "500ms".into()),
        ("snapshot-count", 5000.into()),
        ("quota-backend-bytes", (4_u64 << 30).into()),
        ("auto-compaction-mode", "periodic".into()),
        ("auto-compaction-interval", "8h0m0s".into()),
        ("corrupt-check-time-interval", "4h0m0s".into()),
        ("max-request-bytes", (2 << 20).into()),
    ];
    if minor >= 6 {
        // etcd sorts them by name.
        let gates: BTreeMap<&str, bool> = all_settings(minor)
            .feature_gates
            .into_iter()
            .map(|(gate, on)| (gate.as_str(), on))
            .collect();
        let gates: Vec<String> = gates
            .into_iter()
            .map(|(gate, on)| format!("{gate}={on}"))
            .collect();
        report.push(("feature-gates", gates.join(",").into()));
        report.push(("max-learners", 2.into()));
    }
    report
}
