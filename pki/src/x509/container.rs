//! The containers that private keys come in, and the way from each to PKCS#8.
//!
//! | label | form | who writes it |
//! |---|---|---|
//! | `PRIVATE KEY` | PKCS#8, RFC 5958 | this crate, `openssl genpkey` |
//! | `EC PRIVATE KEY` | SEC1, RFC 5915 | kubeadm, `openssl ecparam -genkey` (after `EC PARAMETERS`) |
//! | `RSA PRIVATE KEY` | PKCS#1, RFC 8017 | kubeadm, older OpenSSL |
//! | `ENCRYPTED PRIVATE KEY` | PKCS#8 with PBES2, RFC 8018 | this crate, `openssl pkcs8 -topk8` |

use pkcs8::der::asn1::{AnyRef, ContextSpecific, ObjectIdentifier, OctetStringRef};
use pkcs8::der::{Decode as _, Encode as _, Reader as _, SliceReader, TagNumber};
use pkcs8::spki::AlgorithmIdentifierRef;
use pkcs8::{EncryptedPrivateKeyInfoRef, PrivateKeyInfoRef};
use zeroize::Zeroizing;

use super::pem::{Block, blocks};
use super::{KeyAlgorithm, KeyError, Passphrase};

const EC: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
const RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");
const P256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7");
const P384: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.132.0.34");
const ED25519: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.101.112");

/// A key as PKCS#8 bytes, with what kind of key it is.
pub(super) struct Unwrapped {
    pub(super) der: Zeroizing<Vec<u8>>,
    pub(super) algorithm: KeyAlgorithm,
}

/// Takes the first private key of a text out of its container.
pub(super) fn unwrap(pem: &str, passphrase: Option<&Passphrase>) -> Result<Unwrapped, KeyError> {
    let block = blocks(pem)
        .find(|block| block.label.ends_with("PRIVATE KEY"))
        .ok_or(KeyError::Malformed)?;
    if block.has_headers() {
        return Err(KeyError::OldEncryption);
    }
    let der = block.decode().ok_or(KeyError::Malformed)?;
    let der = match block.label {
        "PRIVATE KEY" => der,
        "EC PRIVATE KEY" => wrap_sec1(&der)?,
        "RSA PRIVATE KEY" => wrap(RSA, AnyRef::NULL, &der)?,
        "ENCRYPTED PRIVATE KEY" => decrypt(&der, passphrase)?,
        _ => return Err(other_container(&block)),
    };
    let algorithm = algorithm(&der)?;
    Ok(Unwrapped { der, algorithm })
}

fn other_container(block: &Block<'_>) -> KeyError {
    const KNOWN: [&str; 2] = ["OPENSSH PRIVATE KEY", "DSA PRIVATE KEY"];
    let label = KNOWN.into_iter().find(|label| *label == block.label);
    label.map_or(KeyError::Malformed, |label| KeyError::Container { label })
}

fn decrypt(der: &[u8], passphrase: Option<&Passphrase>) -> Result<Zeroizing<Vec<u8>>, KeyError> {
    let info = EncryptedPrivateKeyInfoRef::try_from(der).map_err(|_| KeyError::Malformed)?;
    let passphrase = passphrase.ok_or(KeyError::Encrypted)?;
    passphrase.open(&info)
}

/// What kind of key a PKCS#8 document holds, or why such a key is of no use here.
fn algorithm(der: &[u8]) -> Result<KeyAlgorithm, KeyError> {
    let info = PrivateKeyInfoRef::try_from(der).map_err(|_| KeyError::Malformed)?;
    match info.algorithm.oid {
        EC => curve(&info.algorithm),
        RSA => Ok(KeyAlgorithm::Rsa),
        ED25519 => Err(KeyError::Ed25519),
        _ => Err(KeyError::Algorithm),
    }
}

fn curve(algorithm: &AlgorithmIdentifierRef<'_>) -> Result<KeyAlgorithm, KeyError> {
    match algorithm.parameters_oid().map_err(|_| KeyError::Curve)? {
        P256 => Ok(KeyAlgorithm::EcdsaP256),
        P384 => Ok(KeyAlgorithm::EcdsaP384),
        _ => Err(KeyError::Curve),
    }
}

/// SEC1 keeps its curve inside, PKCS#8 outside: `ECPrivateKey ::= SEQUENCE { INTEGER 1, OCTET STRING, [0] curve, [1]
/// public key }`, RFC 5915 section 3.
fn wrap_sec1(der: &[u8]) -> Result<Zeroizing<Vec<u8>>, KeyError> {
    let read = || -> Result<Option<ObjectIdentifier>, pkcs8::der::Error> {
        SliceReader::new(der)?.sequence(|body| {
            u8::decode(body)?;
            <&OctetStringRef>::decode(body)?;
            let curve = ContextSpecific::decode_explicit(body, TagNumber(0))?;
            body.read_slice(body.remaining_len())?;
            Ok(curve.map(|found| found.value))
        })
    };
    let curve: Option<ObjectIdentifier> = read().map_err(|_| KeyError::Malformed)?;
    let curve = curve.ok_or(KeyError::Curve)?;
    wrap(EC, AnyRef::from(&curve), der)
}

fn wrap(
    oid: ObjectIdentifier,
    parameters: AnyRef<'_>,
    key: &[u8],
) -> Result<Zeroizing<Vec<u8>>, KeyError> {
    let algorithm = AlgorithmIdentifierRef {
        oid,
        parameters: Some(parameters),
    };
    let key = OctetStringRef::new(key).map_err(|_| KeyError::Malformed)?;
    let wrapped = PrivateKeyInfoRef::new(algorithm, key).to_der();
    wrapped.map(Zeroizing::new).map_err(|_| KeyError::Malformed)
}
