//! What a person asks for about the certificates of a lab.

use super::SpecError;
use pki::{KeySpec, Life};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// Keys and certificates; the names are those of kubeadm's configuration (v1beta4) where it has them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CertificatesSpec {
    /// The kind of all keys. Leaves of another kind are made anew, authorities keep theirs until they are rotated.
    pub encryption_algorithm: KeySpec,
    /// How long a certificate lives that is issued from now on.
    pub certificate_validity_days: u32,
    /// How long an authority lives that is made from now on.
    pub ca_certificate_validity_days: u32,
    /// A directory with authorities that somebody else has made, as kubeadm lays them out: `ca.crt` and `ca.key`,
    /// `front-proxy-ca.*`, `etcd/ca.*`, `etcd/peer-ca.*`. Those that are not there are made.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub authorities: Option<PathBuf>,
    /// A file with the pass phrase under which the keys of the authorities lie in the lab's directory. It also opens the
    /// keys in `authorities`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub authority_passphrase_file: Option<PathBuf>,
}

/// kubeadm's 8760 hours.
const LEAF_DAYS: u32 = 365;
/// kubeadm's 87600 hours.
const AUTHORITY_DAYS: u32 = 3650;

impl Default for CertificatesSpec {
    /// kubeadm's lives, and the kind of key that is quickest.
    fn default() -> Self {
        Self {
            encryption_algorithm: KeySpec::default(),
            certificate_validity_days: LEAF_DAYS,
            ca_certificate_validity_days: AUTHORITY_DAYS,
            authorities: None,
            authority_passphrase_file: None,
        }
    }
}

impl CertificatesSpec {
    /// The same, whose paths are found from anywhere: in a file they are relative to its directory.
    pub(super) fn resolve(&mut self, directory: &Path) {
        let paths = [&mut self.authorities, &mut self.authority_passphrase_file];
        for path in paths.into_iter().flatten() {
            *path = directory.join(&*path);
        }
    }

    /// How long leaves live, if [`CertificatesSpec::check`] has seen it.
    pub(crate) fn leaf_life(&self) -> Life {
        Life::days(self.certificate_validity_days).unwrap_or(Life::LEAF)
    }

    /// How long authorities live, if [`CertificatesSpec::check`] has seen it.
    pub(crate) fn authority_life(&self) -> Life {
        Life::days(self.ca_certificate_validity_days).unwrap_or(Life::AUTHORITY)
    }

    pub(super) fn check(&self) -> Result<(), SpecError> {
        let refuse = |field, value: &dyn ToString, remedy| {
            let value = value.to_string();
            Err(SpecError::Range {
                field,
                value,
                remedy,
            })
        };
        if !self.encryption_algorithm.is_drawn_here() {
            let remedy = "this build draws no such key; build with --features aws-lc-rs, or take ECDSA-P256 or ECDSA-P384";
            return refuse(
                "pki.encryption_algorithm",
                &self.encryption_algorithm,
                remedy,
            );
        }
        let (leaf, authority) = (
            self.certificate_validity_days,
            self.ca_certificate_validity_days,
        );
        if Life::days(authority).is_err() {
            let remedy = "must be 2 to 36500";
            return refuse("pki.ca_certificate_validity_days", &authority, remedy);
        }
        if Life::days(leaf).is_err() || leaf >= authority {
            let remedy = "must be at least 1, and less than pki.ca_certificate_validity_days: no certificate outlives its \
                          authority";
            return refuse("pki.certificate_validity_days", &leaf, remedy);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::LabSpec;

    #[test]
    fn certificates_are_told_in_the_words_of_kubeadm() {
        let text = "[pki]\nencryption_algorithm = 'ECDSA-P384'\ncertificate_validity_days = 30\n";
        let spec = LabSpec::from_toml(text).unwrap();
        spec.check().unwrap();
        assert_eq!(spec.pki.encryption_algorithm, KeySpec::EcdsaP384);
        assert_eq!(spec.pki.leaf_life(), Life::days(30).unwrap());
        assert_eq!(spec.pki.authority_life(), Life::AUTHORITY);
        assert_eq!(CertificatesSpec::default().leaf_life(), Life::LEAF);
        let again = toml::to_string(&spec).unwrap();
        assert_eq!(LabSpec::from_toml(&again).unwrap(), spec);
    }

    #[test]
    fn impossible_values_are_named_with_what_they_may_be() {
        for (text, expected) in [
            (
                "certificate_validity_days = 0",
                "pki.certificate_validity_days = 0: must be at least 1",
            ),
            (
                "certificate_validity_days = 3650",
                "pki.certificate_validity_days = 3650: must",
            ),
            (
                "ca_certificate_validity_days = 40000",
                "pki.ca_certificate_validity_days = 40000: must be 2 to 36500",
            ),
            (
                "encryption_algorithm = 'p384'",
                "expected one of `ECDSA-P256`, `ECDSA-P384`, `RSA-2048`",
            ),
        ] {
            let read = LabSpec::from_toml(&format!("[pki]\n{text}"));
            let error = read.and_then(|spec| spec.check()).unwrap_err().to_string();
            assert!(error.contains(expected), "{text}: {error}");
        }
    }

    #[test]
    fn paths_in_a_file_start_where_the_file_is() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("lab.toml");
        let text = "[pki]\nauthorities = 'company'\nauthority_passphrase_file = '/etc/phrase'\n";
        std::fs::write(&file, text).unwrap();
        let pki = LabSpec::from_file(&file).unwrap().pki;
        assert_eq!(pki.authorities, Some(directory.path().join("company")));
        assert_eq!(pki.authority_passphrase_file, Some("/etc/phrase".into()));
    }
}
