//! A member's settings and service, as text. Pure, and keyed by etcd's minor version.
//!
//! One list of typed [`Setting`]s has three forms: environment, flags and YAML file. All three are etcd's own,
//! and mean the same; which one a cluster uses is [`ClusterSpec::with_settings_form`].

mod form;
mod setting;
mod unit;

pub use form::{environment, environment_text, flags, yaml_text};
pub use setting::{Setting, SettingValue, settings};
pub use unit::unit_text;

pub(crate) use form::read_back;

use crate::{ClusterSpec, MemberSpec};
use host_exec::{File, systemd::UnitName};
use std::path::Path;

/// Where a member's settings are as an environment.
pub const ENVIRONMENT_FILE: &str = "/etc/etcd/etcd.env";
/// Where a member's settings are as YAML.
pub const YAML_FILE: &str = "/etc/etcd/etcd.yaml";
/// Where its unit is.
pub const UNIT_FILE: &str = "/etc/systemd/system/etcd.service";

/// How a member is given its settings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SettingsForm {
    /// As variables in an environment file. What an administrator adds to the unit by hand, a flag or another
    /// variable, still counts.
    #[default]
    Environment,
    /// As flags in the unit, where `systemctl cat` and `ps` show them.
    Flags,
    /// As a YAML file. Once etcd is given one it ignores every flag and every variable (etcd.io,
    /// "Configuration options"): nothing else can change what is in it.
    Yaml,
}

impl SettingsForm {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Environment, Self::Flags, Self::Yaml];

    /// The file that holds the settings.
    #[must_use]
    pub fn file(self) -> &'static Path {
        Path::new(match self {
            Self::Environment => ENVIRONMENT_FILE,
            Self::Flags => UNIT_FILE,
            Self::Yaml => YAML_FILE,
        })
    }
}

/// The name of the service.
#[must_use]
pub fn unit_name() -> UnitName {
    "etcd.service".parse().expect("a legal unit name")
}

/// The files that this crate writes for a member: settings, where they have a file of their own, and unit.
#[must_use]
pub fn files(spec: &ClusterSpec, member: &MemberSpec) -> Vec<File> {
    let settings = match spec.settings_form() {
        SettingsForm::Environment => Some(environment_text(spec, member)),
        SettingsForm::Flags => None,
        SettingsForm::Yaml => Some(yaml_text(spec, member)),
    };
    let settings = settings.map(|text| File::public(spec.settings_form().file(), text));
    let unit = File::public(UNIT_FILE, unit_text(spec, member));
    settings
        .into_iter()
        .chain([unit])
        .map(|file| file.with_mode(spec.file_mode()))
        .collect()
}

/// All files of a member: its certificates and keys first, then what needs them.
#[must_use]
pub fn all_files(spec: &ClusterSpec, member: &MemberSpec) -> Vec<File> {
    let mut all = member.certificates.clone();
    all.extend(files(spec, member));
    all
}
