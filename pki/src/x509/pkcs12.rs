//! Key and certificates in one file under a pass phrase: PKCS #12 (RFC 7292), written as `openssl pkcs12 -export` of
//! OpenSSL 3 writes it, and as NSS (Firefox), GnuTLS and Java read it.
//!
//! The key lies in a shrouded bag, the certificates in encrypted data, both by PBES2 with PBKDF2-HMAC-SHA256 and
//! AES-256-CBC (RFC 8018); the whole is under HMAC-SHA256 with a key by appendix B. The crates that write this form draw
//! their own randomness and are built on pre-releases, and no more than this is needed: nothing is read here.

use pkcs8::der::Encode as _;
use pkcs8::pkcs5::EncryptionScheme;
use pkcs8::pkcs5::pbes2::Parameters;
use ring::{digest, hmac};
use zeroize::Zeroizing;

use super::{Certificate, Passphrase, PrivateKey};
use crate::random::{Random, RandomError};

/// Rounds of both key derivations: whoever guesses takes the cheaper one. OpenSSL's default is 2048; NSS refuses more
/// than 1,000,000.
const ROUNDS: u32 = 100_000;

/// Object identifiers, as the content of their DER.
const DATA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 7, 1];
const ENCRYPTED_DATA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 7, 6];
const SHROUDED_KEY_BAG: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 12, 10, 1, 2];
const CERTIFICATE_BAG: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 12, 10, 1, 3];
const X509_CERTIFICATE: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 9, 22, 1];
const FRIENDLY_NAME: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 9, 20];
const LOCAL_KEY_ID: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 9, 21];
const SHA256: &[u8] = &[0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2, 1];

/// Tags of DER (X.690 section 8.14).
const INTEGER: u8 = 0x02;
const OCTET_STRING: u8 = 0x04;
const OBJECT_IDENTIFIER: u8 = 0x06;
const BMP_STRING: u8 = 0x1e;
const SEQUENCE: u8 = 0x30;
const SET: u8 = 0x31;
const EXPLICIT_0: u8 = 0xa0;
const IMPLICIT_0: u8 = 0x80;
const NULL: &[u8] = &[0x05, 0x00];

/// Block and output of SHA-256, `v` and `u` of RFC 7292 appendix B.
const BLOCK: usize = 64;
/// The diversifier of a key for a MAC, appendix B.3.
const FOR_MAC: u8 = 3;

type Bytes = Zeroizing<Vec<u8>>;

/// The whole file. `chain` are the certificates beside the key's own, as that of its authority.
pub(crate) fn encode_pkcs12(
    certificate: &Certificate,
    key: &PrivateKey,
    chain: &[Certificate],
    passphrase: &Passphrase,
    random: &dyn Random,
) -> Result<Bytes, RandomError> {
    let attributes = attributes(certificate);
    let (scheme, sealed) = encrypt(key.pkcs8_der(), passphrase, random)?;
    let sealed = tlv(SEQUENCE, &[&scheme, &tlv(OCTET_STRING, &[&sealed])]);
    let key = tlv(SEQUENCE, &[&bag(SHROUDED_KEY_BAG, &sealed, &attributes)]);
    let mut bags = vec![certificate_bag(certificate, &attributes)];
    bags.extend(chain.iter().map(|one| certificate_bag(one, &[])));
    let bags: Vec<&[u8]> = bags.iter().map(|bag| bag.as_slice()).collect();
    let (scheme, sealed) = encrypt(&tlv(SEQUENCE, &bags), passphrase, random)?;
    let contents = [encrypted_data(&scheme, &sealed), data(&key)];
    let safe = tlv(SEQUENCE, &[&contents[0], &contents[1]]);
    let mac = mac(&safe, passphrase, random)?;
    Ok(tlv(SEQUENCE, &[&integer(3), &data(&safe), &mac]))
}

/// A value with tag and length. Key material goes through here, so it is wiped when dropped.
fn tlv(tag: u8, parts: &[&[u8]]) -> Bytes {
    let length = parts.iter().map(|part| part.len()).sum::<usize>();
    let digits = length.to_be_bytes();
    let zeros = digits.iter().take_while(|byte| **byte == 0).count();
    let digits = &digits[zeros..];
    let mut bytes = Zeroizing::new(Vec::with_capacity(length + 2 + digits.len()));
    bytes.push(tag);
    match u8::try_from(length) {
        Ok(short) if short < 0x80 => bytes.push(short),
        _ => {
            let count = u8::try_from(digits.len()).expect("a length has 8 bytes at most");
            bytes.push(0x80 | count);
            bytes.extend_from_slice(digits);
        }
    }
    parts.iter().for_each(|part| bytes.extend_from_slice(part));
    bytes
}

/// A number that is not negative.
fn integer(number: u32) -> Bytes {
    let bytes = number.to_be_bytes();
    let zeros = bytes.iter().take_while(|byte| **byte == 0).count().min(3);
    let bytes = &bytes[zeros..];
    let sign: &[u8] = if bytes[0] & 0x80 == 0 { &[] } else { &[0] };
    tlv(INTEGER, &[sign, bytes])
}

fn oid(content: &[u8]) -> Bytes {
    tlv(OBJECT_IDENTIFIER, &[content])
}

fn data(content: &[u8]) -> Bytes {
    let content = tlv(EXPLICIT_0, &[&tlv(OCTET_STRING, &[content])]);
    tlv(SEQUENCE, &[&oid(DATA), &content])
}

fn encrypted_data(scheme: &[u8], sealed: &[u8]) -> Bytes {
    let info = tlv(SEQUENCE, &[&oid(DATA), scheme, &tlv(IMPLICIT_0, &[sealed])]);
    let content = tlv(EXPLICIT_0, &[&tlv(SEQUENCE, &[&integer(0), &info])]);
    tlv(SEQUENCE, &[&oid(ENCRYPTED_DATA), &content])
}

fn certificate_bag(certificate: &Certificate, attributes: &[u8]) -> Bytes {
    let bytes = tlv(EXPLICIT_0, &[&tlv(OCTET_STRING, &[certificate.der()])]);
    let value = tlv(SEQUENCE, &[&oid(X509_CERTIFICATE), &bytes]);
    bag(CERTIFICATE_BAG, &value, attributes)
}

/// `attributes` is a whole SET, or nothing.
fn bag(kind: &[u8], value: &[u8], attributes: &[u8]) -> Bytes {
    tlv(
        SEQUENCE,
        &[&oid(kind), &tlv(EXPLICIT_0, &[value]), attributes],
    )
}

/// The name under which a key store lists the pair, and what says that key and certificate belong together.
fn attributes(certificate: &Certificate) -> Bytes {
    let name: Vec<u8> = certificate
        .common_name()
        .encode_utf16()
        .flat_map(u16::to_be_bytes)
        .collect();
    let id = digest::digest(&digest::SHA256, certificate.der());
    let attribute = |kind, value: Bytes| tlv(SEQUENCE, &[&oid(kind), &tlv(SET, &[&value])]);
    let mut both = [
        attribute(FRIENDLY_NAME, tlv(BMP_STRING, &[&name])),
        attribute(LOCAL_KEY_ID, tlv(OCTET_STRING, &[id.as_ref()])),
    ];
    // X.690 section 11.6: the elements of a SET OF are in the order of their encodings.
    both.sort_by(|one, other| one.as_slice().cmp(other));
    tlv(SET, &[&both[0], &both[1]])
}

/// The scheme as `AlgorithmIdentifier`, and the encrypted bytes.
fn encrypt(
    plain: &[u8],
    passphrase: &Passphrase,
    random: &dyn Random,
) -> Result<(Vec<u8>, Vec<u8>), RandomError> {
    let (mut salt, mut iv) = ([0; 16], [0; 16]);
    random.fill(&mut salt)?;
    random.fill(&mut iv)?;
    let scheme = Parameters::generate_pbkdf2_sha256_aes256cbc(ROUNDS, &salt, iv)
        .map(EncryptionScheme::from)
        .expect("salt and vector have the lengths that are asked for");
    let sealed = scheme.encrypt(passphrase.reveal().as_bytes(), plain);
    let sealed = sealed.expect("some certificates are short enough for any cipher");
    let scheme = scheme
        .to_der()
        .expect("what was put together can be encoded");
    Ok((scheme, sealed))
}

/// `MacData` over the content of the file.
fn mac(safe: &[u8], passphrase: &Passphrase, random: &dyn Random) -> Result<Bytes, RandomError> {
    let mut salt = [0; 16];
    random.fill(&mut salt)?;
    let key = hmac::Key::new(hmac::HMAC_SHA256, mac_key(passphrase, &salt).as_ref());
    let tag = hmac::sign(&key, safe);
    let algorithm = tlv(SEQUENCE, &[&oid(SHA256), NULL]);
    let info = tlv(SEQUENCE, &[&algorithm, &tlv(OCTET_STRING, &[tag.as_ref()])]);
    let salt = tlv(OCTET_STRING, &[&salt]);
    Ok(tlv(SEQUENCE, &[&info, &salt, &integer(ROUNDS)]))
}

/// RFC 7292 appendix B.2 with SHA-256; the key is as long as its output, so the first block is all.
fn mac_key(passphrase: &Passphrase, salt: &[u8]) -> digest::Digest {
    let text = passphrase.reveal().encode_utf16().chain([0]);
    let text: Bytes = Zeroizing::new(text.flat_map(u16::to_be_bytes).collect());
    let fill = |bytes: &[u8]| -> Bytes {
        let length = bytes.len().div_ceil(BLOCK) * BLOCK;
        Zeroizing::new(bytes.iter().copied().cycle().take(length).collect())
    };
    let mut first = Zeroizing::new(vec![FOR_MAC; BLOCK]);
    first.extend_from_slice(&fill(salt));
    first.extend_from_slice(&fill(&text));
    let round = |bytes: &[u8]| digest::digest(&digest::SHA256, bytes);
    (1..ROUNDS).fold(round(&first), |hash, _| round(hash.as_ref()))
}
