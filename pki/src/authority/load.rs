//! An authority read back from its two texts.

use time::OffsetDateTime;

use super::{Authority, LoadError, ledger_of};
use crate::x509::{Certificate, Passphrase, PrivateKey, SignError, Signer, check_authority};

impl Authority {
    /// Loads an authority from two PEM texts, this crate's or another program's: kubeadm's and OpenSSL's too, with keys in
    /// PKCS#8, SEC1 or PKCS#1. Its name and key identifier stay as they are, byte for byte.
    ///
    /// # Errors
    /// Unreadable halves, halves of two pairs, no authority, one whose life does not hold `now`, or a name that would be
    /// written in other bytes.
    pub fn from_pem(
        certificate_pem: &str,
        key_pem: &str,
        now: OffsetDateTime,
    ) -> Result<Self, LoadError> {
        let key = PrivateKey::from_pem(key_pem).map_err(LoadError::Key)?;
        Self::from_key(certificate_pem, key, now)
    }

    /// As [`Authority::from_pem`], with a key under a pass phrase.
    ///
    /// # Errors
    /// As [`Authority::from_pem`], and for a pass phrase that does not fit.
    pub fn from_encrypted_pem(
        certificate_pem: &str,
        key_pem: &str,
        passphrase: &Passphrase,
        now: OffsetDateTime,
    ) -> Result<Self, LoadError> {
        let key = PrivateKey::from_encrypted_pem(key_pem, passphrase).map_err(LoadError::Key)?;
        Self::from_key(certificate_pem, key, now)
    }

    fn from_key(
        certificate_pem: &str,
        key: PrivateKey,
        now: OffsetDateTime,
    ) -> Result<Self, LoadError> {
        let certificate = Certificate::from_pem(certificate_pem).map_err(LoadError::Certificate)?;
        let common_name = certificate.common_name().to_owned();
        if !certificate.holds_public_key(&key.public_key_der()) {
            return Err(LoadError::Mismatch { common_name });
        }
        if let Err(source) = check_authority(&certificate, now) {
            return Err(LoadError::Unusable {
                common_name,
                source,
            });
        }
        let signer = match signer_of(&certificate, key) {
            Ok(Some(signer)) => signer,
            Ok(None) => return Err(LoadError::Name { common_name }),
            Err(source) => {
                return Err(LoadError::Sign {
                    common_name,
                    source,
                });
            }
        };
        Ok(Self {
            signer,
            certificate_pem: certificate_pem.to_owned(),
            ledger: ledger_of(&certificate),
            certificate,
        })
    }
}

/// The signer of an authority, or `None` where its certificates would not name it byte for byte.
fn signer_of(ca: &Certificate, key: PrivateKey) -> Result<Option<Signer>, SignError> {
    let signer = Signer::new(ca, key)?;
    let probe = Certificate::from_der(&signer.sign_probe()?);
    Ok(probe
        .is_ok_and(|probe| probe.is_issued_by(ca))
        .then_some(signer))
}
