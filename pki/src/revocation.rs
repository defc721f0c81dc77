//! Revocation lists (RFC 5280 section 5). etcd reads one (`--client-crl-file`, DER); kube-apiserver reads none, so there only a
//! short life, RBAC or another authority ends a client's rights.

use time::{Duration, OffsetDateTime};

use crate::authority::Authority;
use crate::moment::rfc3339;
use crate::serial::SerialNumber;
use crate::x509::{
    RevocationListError, RevocationParams, SignError, check_revocations, encode_pem,
    may_sign_revocations,
};

/// Why a certificate was revoked, RFC 5280 section 5.3.1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RevocationReason {
    /// Somebody else may have the key.
    KeyCompromise,
    /// Another certificate has taken its place.
    Superseded,
    /// Its holder is gone.
    CessationOfOperation,
}

/// A certificate that is no longer to be accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Revoked {
    /// Its number.
    pub serial: SerialNumber,
    /// Since when.
    pub revoked_at: OffsetDateTime,
    /// Why.
    pub reason: RevocationReason,
}

/// A signed list of what is revoked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RevocationList {
    der: Vec<u8>,
}

impl RevocationList {
    /// The list as DER, the only form that etcd reads.
    #[must_use]
    pub fn der(&self) -> &[u8] {
        &self.der
    }

    /// The list as PEM `X509 CRL`, the form that OpenSSL and most other programs read.
    #[must_use]
    pub fn to_pem(&self) -> String {
        encode_pem("X509 CRL", &self.der).to_string()
    }
}

/// A list that could not be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RevokeError {
    /// The authority's certificate does not let it sign lists, as kubeadm's does not.
    #[error(
        "authority `{authority}` may not sign revocation lists (its key usage lacks cRLSign), so OpenSSL would refuse \
         them; take an authority with that usage"
    )]
    KeyUsage {
        /// The authority's common name.
        authority: String,
    },
    /// A list that would hold for no time, or past what certificates can say.
    #[error("a revocation list of `{authority}` cannot hold for {holds} from {}; give a second or more", rfc3339(*.now))]
    Life {
        /// The authority's common name.
        authority: String,
        /// How long it was to hold.
        holds: Duration,
        /// The moment given.
        now: OffsetDateTime,
    },
    /// The same certificate twice.
    #[error("serial number {serial} is revoked twice; give it once")]
    Twice {
        /// The number.
        serial: SerialNumber,
    },
    /// The encoder refused.
    #[error("signing the revocation list of `{authority}`")]
    Sign {
        /// The authority's common name.
        authority: String,
        /// The encoder's reason.
        #[source]
        source: SignError,
    },
    /// What was made is not what was asked for, or would be refused.
    #[error("checking the revocation list of `{authority}`")]
    Check {
        /// The authority's common name.
        authority: String,
        /// What is wrong with it.
        #[source]
        source: RevocationListError,
    },
}

impl Authority {
    /// Signs a list of what this authority has revoked, and reads it back as its readers will.
    ///
    /// `number` has to grow from list to list (RFC 5280 section 5.2.3); `holds` is how long readers may keep it, after
    /// which OpenSSL and webpki refuse it. etcd looks at neither and reads the file again for each connection.
    ///
    /// # Errors
    /// An authority without that right, a number that is revoked twice, a list without a life, or a failed check. A list
    /// of nothing is not an error.
    pub fn revocation_list(
        &self,
        revoked: &[Revoked],
        number: u64,
        now: OffsetDateTime,
        holds: Duration,
    ) -> Result<RevocationList, RevokeError> {
        let authority = self.certificate().common_name().to_owned();
        if !may_sign_revocations(self.certificate()) {
            return Err(RevokeError::KeyUsage { authority });
        }
        for (index, one) in revoked.iter().enumerate() {
            if revoked[..index]
                .iter()
                .any(|other| other.serial == one.serial)
            {
                let serial = one.serial.clone();
                return Err(RevokeError::Twice { serial });
            }
        }
        let this_update = now - Duration::nanoseconds(now.nanosecond().into());
        let next_update = this_update.checked_add(holds);
        let next_update = next_update.filter(|_| holds >= Duration::SECOND);
        let Some(next_update) = next_update else {
            return Err(RevokeError::Life {
                authority,
                holds,
                now,
            });
        };
        let params = RevocationParams {
            revoked,
            number,
            this_update,
            next_update,
            authority_key_id: self.certificate().subject_key_id().unwrap_or_default(),
        };
        let der = match self.signer().sign_revocations(&params) {
            Ok(der) => der,
            Err(source) => return Err(RevokeError::Sign { authority, source }),
        };
        match check_revocations(&der, &params, self.certificate()) {
            Ok(()) => Ok(RevocationList { der: der.to_vec() }),
            Err(source) => Err(RevokeError::Check { authority, source }),
        }
    }
}
