//! What a person asks for: the only types of this crate that are read from a file.

mod addons;
mod bhyve;
mod certificates;
mod control_plane;
mod error;
mod etcd;
mod runtime;

pub use addons::{AddonsSpec, MetricsServer};
pub use bhyve::{BhyveSpec, OutwardV6, VmSize};
pub use certificates::CertificatesSpec;
pub use control_plane::{Profile, Shape};
pub use error::SpecError;
pub use etcd::{EtcdSpec, Every, SnapshotsSpec};
pub use runtime::{OciRuntime, RuntimeError};

use artifacts::{UnknownKubernetes, Version, VersionSet};
use k8s_bootstrap::SupportedVersion;
use netplan::{Allow, LabName, MachineCounts, Net};
use serde::{Deserialize, Serialize};
use std::{fs, path::Path};

/// A lab, as `lab.toml` describes it; every field has a default, and an unknown one is an error.
///
/// ```
/// let spec = cluster_lab::LabSpec::from_toml("name = 'demo'\n[machines]\nworkers = 2\n")?;
/// assert_eq!(spec.machines.workers, 2);
/// assert_eq!(spec.machines.etcd, 3);
/// # Ok::<(), cluster_lab::SpecError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LabSpec {
    /// The name, from which those of namespaces, interfaces and directories are made.
    pub name: LabName,
    /// The version of Kubernetes; those of etcd and CoreDNS follow from it.
    pub kubernetes: Version,
    /// A Kubernetes newer than this program knows is brought up by the rules of the newest that it knows.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub unsupported_version: bool,
    /// How many machines of each class.
    pub machines: MachineCounts,
    /// What etcd has beyond its members.
    pub etcd: EtcdSpec,
    /// Networks that must be where they are told.
    pub network: NetworkSpec,
    /// The OCI runtime under containerd.
    pub runtime: OciRuntime,
    /// Who keeps the control plane running.
    pub shape: Shape,
    /// How much the cluster trusts by default.
    pub profile: Profile,
    /// Keys and certificates.
    pub pki: CertificatesSpec,
    /// What the cluster has beyond its own parts.
    pub addons: AddonsSpec,
    /// Multiplies every time limit: more than 1 for slow machines. 0.1 to 1000.
    pub patience: f64,
    /// The machines are bhyve VMs on a FreeBSD host; left out, they are namespaces of this machine.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bhyve: Option<BhyveSpec>,
}

/// Networks that must be where they are told; the rest is chosen.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct NetworkSpec {
    /// The IPv4 /16 of the whole lab.
    pub v4: Option<Net>,
    /// The IPv6 /48 of the whole lab, a ULA (RFC 4193).
    pub v6: Option<Net>,
    /// What `lab plan` finds to say about the networks, and is meant so.
    pub allow: Vec<Allow>,
}

impl Default for LabSpec {
    /// The reference lab: three etcd members, one control plane, one worker, the newest Kubernetes.
    fn default() -> Self {
        Self {
            name: LabName::new("lab").expect("a literal that is a legal name"),
            kubernetes: artifacts::DEFAULT_KUBERNETES,
            unsupported_version: false,
            machines: MachineCounts::default(),
            etcd: EtcdSpec::default(),
            network: NetworkSpec::default(),
            runtime: OciRuntime::Crun,
            shape: Shape::Services,
            profile: Profile::Standard,
            pki: CertificatesSpec::default(),
            addons: AddonsSpec::default(),
            patience: 1.0,
            bhyve: None,
        }
    }
}

impl LabSpec {
    /// Reads a specification from a text.
    ///
    /// # Errors
    ///
    /// The text is not TOML, has an unknown field, or a value of another type. Whether the values make sense
    /// together is for [`LabSpec::check`] to say.
    pub fn from_toml(text: &str) -> Result<Self, SpecError> {
        toml::from_str(text).map_err(|source| SpecError::Parse {
            path: None,
            source: Box::new(source),
        })
    }

    /// Reads a specification from a file.
    ///
    /// # Errors
    ///
    /// As [`LabSpec::from_toml`]; the file cannot be read.
    pub fn from_file(path: &Path) -> Result<Self, SpecError> {
        let read = fs::read_to_string(path);
        let text = read.map_err(|source| SpecError::Read {
            path: path.to_owned(),
            source,
        })?;
        let read = toml::from_str(&text).map_err(|source| SpecError::Parse {
            path: Some(path.to_owned()),
            source: Box::new(source),
        });
        let mut spec: Self = read?;
        let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
        spec.pki
            .resolve(absolute.parent().unwrap_or(Path::new("/")));
        Ok(spec)
    }

    /// The same lab of another version.
    pub(crate) fn at_version(&self, kubernetes: Version) -> Self {
        Self {
            kubernetes,
            ..self.clone()
        }
    }

    /// The versions that go together.
    ///
    /// # Errors
    ///
    /// The version is older than the catalogue, or newer and [`LabSpec::unsupported_version`] is not set.
    pub fn versions(&self) -> Result<VersionSet, UnknownKubernetes> {
        if self.unsupported_version {
            VersionSet::unsupported(self.kubernetes)
        } else {
            VersionSet::for_kubernetes(self.kubernetes)
        }
    }

    /// The version with the rules by which it is brought up; [`SupportedVersion::warning`] is for the user.
    ///
    /// # Errors
    ///
    /// As [`LabSpec::versions`].
    pub fn kubernetes_version(&self) -> Result<SupportedVersion, k8s_bootstrap::VersionError> {
        let version = self.kubernetes.to_string().parse()?;
        if self.unsupported_version {
            SupportedVersion::unsupported(version)
        } else {
            SupportedVersion::new(version)
        }
    }

    /// Checks what types cannot.
    ///
    /// # Errors
    ///
    /// The first field that asks for something impossible.
    pub fn check(&self) -> Result<(), SpecError> {
        let range = |field, value: String, remedy| {
            Err(SpecError::Range {
                field,
                value,
                remedy,
            })
        };
        let MachineCounts {
            etcd,
            control_planes,
            workers,
        } = self.machines;
        if !matches!(etcd, 1 | 3 | 5) {
            let remedy = "must be 1, 3 or 5: an even number of members survives no more losses than one less";
            return range("machines.etcd", etcd.to_string(), remedy);
        }
        if !(1..=7).contains(&control_planes) {
            let remedy = "must be 1 to 7: a cluster needs an API, and more than two or three serve nothing but size";
            return range(
                "machines.control_planes",
                control_planes.to_string(),
                remedy,
            );
        }
        if !(1..=20).contains(&workers) {
            let remedy =
                "must be 1 to 20: user containers run on workers, and one machine carries them all";
            return range("machines.workers", workers.to_string(), remedy);
        }
        self.etcd.snapshots.schedule()?;
        if !(0.1..=1000.0).contains(&self.patience) {
            return range("patience", self.patience.to_string(), "must be 0.1 to 1000");
        }
        self.pki.check()?;
        self.versions()
            .map_err(|unknown| SpecError::Kubernetes { unknown })?;
        self.bhyve.as_ref().map_or(Ok(()), BhyveSpec::check)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_of_the_file_have_line_and_column() {
        let error =
            LabSpec::from_toml("name = 'x'\n\n[machines]\nworkers = 2\nworkesr = 3\n").unwrap_err();
        let message = error.to_string();
        assert!(
            message.contains("line 5, column 1") && message.contains("workesr"),
            "{message}"
        );
    }

    #[test]
    fn a_version_that_is_too_new_is_taken_when_asked_for() {
        let text = "kubernetes = '1.38.1'\nunsupported_version = true";
        let spec = LabSpec::from_toml(text).unwrap();
        spec.check().unwrap();
        let version = spec.kubernetes_version().unwrap();
        assert_eq!(version.to_string(), "1.38.1");
        assert!(version.warning().is_some());
        assert_eq!(spec.versions().unwrap().kubernetes, spec.kubernetes);
        assert_eq!(
            LabSpec::default().kubernetes_version().unwrap().warning(),
            None
        );
    }

    /// The catalogue of programs and the rules of the cluster are two tables.
    #[test]
    fn what_the_catalogue_pairs_is_what_the_rules_ask_for() {
        for minor in artifacts::OLDEST_MINOR..=artifacts::NEWEST_MINOR {
            let spec = LabSpec {
                kubernetes: Version::new(1, minor, 99),
                ..LabSpec::default()
            };
            let versions = spec.versions().unwrap();
            let rules = spec.kubernetes_version().unwrap();
            assert_eq!(versions.pause, rules.release().pause, "1.{minor}");
            let etcd: k8s_bootstrap::EtcdVersion = versions.etcd.to_string().parse().unwrap();
            assert!(etcd >= rules.etcd_floor(), "1.{minor}: {etcd}");
            let image = rules.etcd_image_tag();
            let line = format!("{}.{}.", etcd.major, etcd.minor);
            assert!(image.starts_with(&line), "1.{minor}: {etcd} and {image}");
        }
    }

    #[test]
    fn impossible_values_name_field_value_and_remedy() {
        for (text, expected) in [
            (
                "[machines]\netcd = 2",
                "machines.etcd = 2: must be 1, 3 or 5",
            ),
            (
                "[machines]\nworkers = 0",
                "machines.workers = 0: must be 1 to 20",
            ),
            (
                "[machines]\ncontrol_planes = 8",
                "machines.control_planes = 8: must be 1 to 7",
            ),
            (
                "[machines]\ncontrol_planes = 0",
                "machines.control_planes = 0",
            ),
            ("patience = 0.0", "patience = 0"),
            ("kubernetes = '1.20.0'", "1.20.0 is not in the catalogue"),
            (
                "kubernetes = '1.38.0'",
                "such as 1.37.2; to try it all the same, say unsupported_version = true",
            ),
            (
                "kubernetes = '1.20.0'\nunsupported_version = true",
                "1.20.0 is not in the catalogue",
            ),
        ] {
            let error = LabSpec::from_toml(text)
                .unwrap()
                .check()
                .unwrap_err()
                .to_string();
            assert!(error.contains(expected), "{text}: {error}");
        }
    }

    #[test]
    fn the_default_is_the_reference_lab() {
        let spec = LabSpec::default();
        spec.check().unwrap();
        assert_eq!(
            spec.machines,
            MachineCounts {
                etcd: 3,
                control_planes: 1,
                workers: 1
            }
        );
        let text = toml::to_string(&spec).unwrap();
        assert_eq!(LabSpec::from_toml(&text).unwrap(), spec);
    }
}
