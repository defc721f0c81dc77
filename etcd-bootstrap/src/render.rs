//! A member's settings and service, as text. Pure, and keyed by etcd's minor version.

use crate::{ClusterSpec, MemberSpec};
use host_exec::{File, systemd::UnitName};
use std::path::Path;

/// Where a member's settings are.
pub const ENVIRONMENT_FILE: &str = "/etc/etcd/etcd.env";
/// Where its unit is.
pub const UNIT_FILE: &str = "/etc/systemd/system/etcd.service";

/// The name of the service.
#[must_use]
pub fn unit_name() -> UnitName {
    "etcd.service".parse().expect("a legal unit name")
}

/// The settings of a member as environment variables, in the order of the file.
///
/// etcd reads each flag also from `ETCD_` and its name in upper case. An environment is used rather
/// than the YAML file because that one, once given, silences every other setting (etcd.io,
/// "Configuration options").
///
/// The `INITIAL` ones are read only while there is no write-ahead log yet, so they can stay for ever.
#[must_use]
pub fn environment(spec: &ClusterSpec, member: &MemberSpec) -> Vec<(&'static str, String)> {
    let path = |path: &Path| path.display().to_string();
    let initial_cluster: Vec<String> = spec
        .initial_cluster()
        .iter()
        .map(|(name, url)| format!("{name}={url}"))
        .collect();
    let client_urls = member.client_urls();
    let mut settings = vec![
        ("ETCD_NAME", member.name.to_string()),
        ("ETCD_DATA_DIR", path(&member.data_dir)),
        ("ETCD_LISTEN_PEER_URLS", member.peer_url()),
        ("ETCD_LISTEN_CLIENT_URLS", client_urls.join(",")),
        ("ETCD_INITIAL_ADVERTISE_PEER_URLS", member.peer_url()),
        (
            "ETCD_ADVERTISE_CLIENT_URLS",
            client_urls.first().cloned().unwrap_or_default(),
        ),
        (
            "ETCD_LISTEN_METRICS_URLS",
            format!("http://{}", member.metrics),
        ),
        ("ETCD_INITIAL_CLUSTER", initial_cluster.join(",")),
        ("ETCD_INITIAL_CLUSTER_TOKEN", spec.token().to_string()),
        ("ETCD_INITIAL_CLUSTER_STATE", "new".into()),
        ("ETCD_CERT_FILE", path(&member.pki.server_certificate)),
        ("ETCD_KEY_FILE", path(&member.pki.server_key)),
        ("ETCD_TRUSTED_CA_FILE", path(&member.pki.client_ca)),
        ("ETCD_CLIENT_CERT_AUTH", "true".into()),
        ("ETCD_PEER_CERT_FILE", path(&member.pki.peer_certificate)),
        ("ETCD_PEER_KEY_FILE", path(&member.pki.peer_key)),
        ("ETCD_PEER_TRUSTED_CA_FILE", path(&member.pki.peer_ca)),
        ("ETCD_PEER_CLIENT_CERT_AUTH", "true".into()),
    ];
    settings.extend(
        minor_settings(spec.version_of(member).minor).map(|(key, value)| (key, value.into())),
    );
    settings
}

/// What is the same wish under another name in each minor: corruption is looked for at the start and
/// with every compaction, and an idle watch hears of progress every 5 s, which kube-apiserver's
/// consistent reads from its cache need (KEP-2340).
fn minor_settings(minor: u16) -> impl Iterator<Item = (&'static str, &'static str)> {
    // 3.5 knows no feature gates; 3.7 ends at any name that begins with `experimental`.
    const V3_5: &[(&str, &str)] = &[
        ("ETCD_EXPERIMENTAL_INITIAL_CORRUPT_CHECK", "true"),
        ("ETCD_EXPERIMENTAL_COMPACT_HASH_CHECK_ENABLED", "true"),
        ("ETCD_EXPERIMENTAL_WATCH_PROGRESS_NOTIFY_INTERVAL", "5s"),
        // The default from 3.6 on; 3.5's own is 100000, and a member that comes back replays that many.
        ("ETCD_SNAPSHOT_COUNT", "10000"),
    ];
    const V3_6: &[(&str, &str)] = &[
        (
            "ETCD_FEATURE_GATES",
            "InitialCorruptCheck=true,CompactHashCheck=true",
        ),
        ("ETCD_WATCH_PROGRESS_NOTIFY_INTERVAL", "5s"),
    ];
    let settings = if minor <= 5 { V3_5 } else { V3_6 };
    settings.iter().copied()
}

/// The text of the environment file. Spec checks keep every value free of what would need quotes.
#[must_use]
pub fn environment_text(spec: &ClusterSpec, member: &MemberSpec) -> String {
    let settings = environment(spec, member);
    settings
        .iter()
        .map(|(key, value)| format!("{key}={value}\n"))
        .collect()
}

/// The unit of the service, see `systemd.service(5)` and `systemd.exec(5)`.
#[must_use]
pub fn unit_text(spec: &ClusterSpec, member: &MemberSpec) -> String {
    let program = spec.program_of(member).display();
    let state_directory = state_directory(&member.data_dir);
    format!(
        "\
[Unit]
Description=etcd member {name}
Documentation=https://etcd.io/docs/
Wants=network-online.target
After=network-online.target time-sync.target
StartLimitIntervalSec=0

[Service]
# etcd says that it is ready once it has joined, which the first member can do only after the second started.
Type=notify
TimeoutStartSec=infinity
EnvironmentFile={ENVIRONMENT_FILE}
ExecStart={program}
# A member that was removed exits with 0 and must stay down.
Restart=on-failure
RestartSec=1
LimitNOFILE=65536
{state_directory}
[Install]
WantedBy=multi-user.target
",
        name = member.name,
    )
}

/// A data directory below /var/lib is made by systemd with its final mode; elsewhere etcd makes it
/// itself, also with 0700.
///
/// The service runs as root, because the key files are root's with mode 0600 and a `Host` writes
/// files as the user that it is.
fn state_directory(data_dir: &Path) -> String {
    match data_dir.strip_prefix("/var/lib") {
        Ok(below) if !below.as_os_str().is_empty() => {
            format!(
                "StateDirectory={}\nStateDirectoryMode=0700\n",
                below.display()
            )
        }
        _ => String::new(),
    }
}

/// The two files that this crate writes for a member.
#[must_use]
pub fn files(spec: &ClusterSpec, member: &MemberSpec) -> Vec<File> {
    [
        File::public(ENVIRONMENT_FILE, environment_text(spec, member)),
        File::public(UNIT_FILE, unit_text(spec, member)),
    ]
    .map(|file| file.with_mode(spec.file_mode()))
    .into()
}

/// All files of a member: its certificates and keys first, then what needs them.
#[must_use]
pub fn all_files(spec: &ClusterSpec, member: &MemberSpec) -> Vec<File> {
    let mut all = member.certificates.clone();
    all.extend(files(spec, member));
    all
}
