//! Keys under a pass phrase: PKCS#8 with PBES2 (RFC 8018), scrypt (RFC 7914) and AES-256-CBC, as `openssl pkey` reads
//! them.

use std::fmt;

use pkcs8::EncryptedPrivateKeyInfoRef;
use pkcs8::der::Encode as _;
use pkcs8::der::asn1::OctetStringRef;
use pkcs8::pkcs5::pbes2::{Kdf, Parameters};
use pkcs8::pkcs5::{EncryptionScheme, scrypt};
use zeroize::Zeroizing;

use super::KeyError;
use super::pem::encode;
use crate::random::{Random, RandomError};

/// 2^14, with a block size of 8: 16 MiB and about 50 ms. OpenSSL refuses what needs more than 32 MiB
/// (`EVP_PBE_scrypt(3)`), so no more can be asked for.
const SCRYPT_LOG_N: u8 = 14;
const SCRYPT_R: u32 = 8;
const SCRYPT_P: u32 = 1;
/// A foreign file may ask for any amount of work; beyond these it is refused instead of waited for.
const FOREIGN_SCRYPT_BYTES_MAX: u64 = 256 << 20;
const FOREIGN_SCRYPT_P_MAX: u16 = 16;
const FOREIGN_PBKDF2_ROUNDS_MAX: u32 = 10_000_000;

/// A pass phrase that encrypts keys at rest; wiped when dropped, and shown by no `Debug`.
#[derive(Clone, PartialEq, Eq)]
pub struct Passphrase(Zeroizing<String>);

/// A pass phrase that protects nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "the pass phrase has fewer than 8 characters or a control character, as a line break is; give a longer one without"
)]
pub struct PassphraseError;

impl Passphrase {
    /// Checks a pass phrase: 8 characters at least, none of them a control character. A text read from a file mostly
    /// ends in a line break, which has to be taken off, since other programs do so.
    ///
    /// # Errors
    /// Too short, or with a control character. The error does not repeat it.
    pub fn new(text: impl Into<String>) -> Result<Self, PassphraseError> {
        let text = Zeroizing::new(text.into());
        if text.chars().count() < 8 || text.chars().any(char::is_control) {
            return Err(PassphraseError);
        }
        Ok(Self(text))
    }

    /// The text itself, for derivations of other forms.
    pub(super) fn reveal(&self) -> &str {
        &self.0
    }

    /// Opens an encrypted key.
    pub(super) fn open(
        &self,
        info: &EncryptedPrivateKeyInfoRef<'_>,
    ) -> Result<Zeroizing<Vec<u8>>, KeyError> {
        if !affordable(&info.encryption_algorithm) {
            return Err(KeyError::Encryption);
        }
        let opened = info.decrypt(self.0.as_bytes());
        let opened = opened.map_err(|_| KeyError::Passphrase)?;
        Ok(Zeroizing::new(opened.as_bytes().to_vec()))
    }

    /// Encrypts a PKCS#8 document into PEM.
    pub(super) fn seal(
        &self,
        der: &[u8],
        random: &dyn Random,
    ) -> Result<Zeroizing<String>, RandomError> {
        let (mut salt, mut iv) = ([0; 16], [0; 16]);
        random.fill(&mut salt)?;
        random.fill(&mut iv)?;
        let cost = scrypt::Params::new(SCRYPT_LOG_N, SCRYPT_R, SCRYPT_P);
        let cost = cost.expect("the constants are in scrypt's range");
        let scheme = Parameters::generate_scrypt_aes256cbc(cost, &salt, iv)
            .map(EncryptionScheme::from)
            .expect("salt and vector have the lengths that are asked for");
        let sealed = scheme.encrypt(self.0.as_bytes(), der);
        let sealed = sealed.expect("a key is short enough for any cipher");
        let info = EncryptedPrivateKeyInfoRef {
            encryption_algorithm: scheme,
            encrypted_data: OctetStringRef::new(&sealed).expect("a key is far below 256 MiB"),
        };
        let der = info.to_der().expect("what was put together can be encoded");
        Ok(encode("ENCRYPTED PRIVATE KEY", &der))
    }
}

fn affordable(scheme: &EncryptionScheme) -> bool {
    let Some(parameters) = scheme.pbes2() else {
        return false;
    };
    match &parameters.kdf {
        Kdf::Pbkdf2(pbkdf2) => pbkdf2.iteration_count <= FOREIGN_PBKDF2_ROUNDS_MAX,
        Kdf::Scrypt(scrypt) => {
            let bytes = scrypt
                .cost_parameter
                .checked_mul(128 * u64::from(scrypt.block_size));
            bytes.is_some_and(|bytes| bytes <= FOREIGN_SCRYPT_BYTES_MAX)
                && scrypt.parallelization <= FOREIGN_SCRYPT_P_MAX
        }
        _ => false,
    }
}

impl fmt::Debug for Passphrase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Passphrase(..)")
    }
}
