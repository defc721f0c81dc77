//! The service of a member.

use super::{ENVIRONMENT_FILE, SettingsForm, YAML_FILE, form::flags};
use crate::{ClusterSpec, MemberSpec, tuning::ServiceTuning};
use std::{fmt::Write as _, path::Path};

/// The unit of the service, see `systemd.service(5)` and `systemd.exec(5)`.
#[must_use]
pub fn unit_text(spec: &ClusterSpec, member: &MemberSpec) -> String {
    let start = start(spec, member);
    let service = &spec.tuning().service;
    let restart_delay_s = service.restart_delay.as_secs();
    let open_files_limit = service.open_files_limit;
    let resources = resources(service);
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
{start}
# A member that was removed exits with 0 and must stay down.
Restart=on-failure
RestartSec={restart_delay_s}
LimitNOFILE={open_files_limit}
{resources}{state_directory}
[Install]
WantedBy=multi-user.target
",
        name = member.name,
    )
}

/// The command, and where it finds its settings. No value holds what systemd would expand (`%`, `$`, quotes).
fn start(spec: &ClusterSpec, member: &MemberSpec) -> String {
    let program = spec.program_of(member).display();
    match spec.settings_form() {
        SettingsForm::Environment => {
            format!("EnvironmentFile={ENVIRONMENT_FILE}\nExecStart={program}")
        }
        SettingsForm::Flags => {
            let flags = flags(spec, member).join(" \\\n  ");
            format!("ExecStart={program} \\\n  {flags}")
        }
        SettingsForm::Yaml => format!("ExecStart={program} --config-file={YAML_FILE}"),
    }
}

fn resources(service: &ServiceTuning) -> String {
    let priority = service.io_priority.map(|priority| priority.get());
    let lines = [
        ("Nice", service.nice.map(|n| n.to_string())),
        (
            "IOSchedulingClass",
            priority.map(|_| "best-effort".to_owned()),
        ),
        ("IOSchedulingPriority", priority.map(|p| p.to_string())),
        (
            "OOMScoreAdjust",
            service.oom_score_adjust.map(|o| o.to_string()),
        ),
        ("MemoryLow", service.memory_low_bytes.map(|m| m.to_string())),
    ];
    let given = lines
        .into_iter()
        .filter_map(|(key, value)| Some((key, value?)));
    given.fold(String::new(), |mut text, (key, value)| {
        let _ = writeln!(text, "{key}={value}");
        text
    })
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
