//! Certificates that no encoder would make: every field is written as a case wants it.

use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair as _};

const SEQUENCE: u8 = 0x30;
const SET: u8 = 0x31;
const OCTETS: u8 = 0x04;
const BITS: u8 = 0x03;
const OID: u8 = 0x06;
pub(super) const UTF8: u8 = 0x0c;
pub(super) const PRINTABLE: u8 = 0x13;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;
/// ecdsa-with-SHA256, RFC 5758 section 3.2, as a whole `AlgorithmIdentifier`.
const ECDSA_SHA256: [u8; 12] = [
    0x30, 0x0a, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02,
];
/// id-ecPublicKey on prime256v1, RFC 5480 section 2.1.1.
const P256: [u8; 21] = [
    0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86, 0x48,
    0xce, 0x3d, 0x03, 0x01, 0x07,
];

pub(super) fn tlv(tag: u8, content: &[u8]) -> Vec<u8> {
    let mut out = vec![tag];
    match content.len() {
        short @ 0..=0x7f => out.push(u8::try_from(short).unwrap()),
        long => {
            let bytes = long.to_be_bytes();
            let bytes: Vec<u8> = bytes.into_iter().skip_while(|byte| *byte == 0).collect();
            out.push(0x80 | u8::try_from(bytes.len()).unwrap());
            out.extend(bytes);
        }
    }
    out.extend(content);
    out
}

fn sequence(parts: &[&[u8]]) -> Vec<u8> {
    tlv(SEQUENCE, &parts.concat())
}

/// A key pair with the key identifier that goes with it.
pub(super) struct Key {
    pair: EcdsaKeyPair,
}

impl Key {
    pub(super) fn new() -> Self {
        let random = SystemRandom::new();
        let algorithm = &ECDSA_P256_SHA256_ASN1_SIGNING;
        let document = EcdsaKeyPair::generate_pkcs8(algorithm, &random).unwrap();
        let pair = EcdsaKeyPair::from_pkcs8(algorithm, document.as_ref(), &random).unwrap();
        Self { pair }
    }

    fn info(&self) -> Vec<u8> {
        let point = [&[0], self.pair.public_key().as_ref()].concat();
        sequence(&[&P256, &tlv(BITS, &point)])
    }

    /// Twenty bytes that follow from the key; which hash it is does not matter to a verifier.
    pub(super) fn id(&self) -> Vec<u8> {
        self.pair.public_key().as_ref()[1..21].to_vec()
    }
}

/// A distinguished name of one common name, or an empty one.
#[derive(Clone)]
pub(super) struct Name(Vec<u8>);

impl Name {
    pub(super) fn of(text: &str, string_type: u8) -> Self {
        let attribute = sequence(&[
            &tlv(OID, &[0x55, 0x04, 0x03]),
            &tlv(string_type, text.as_bytes()),
        ]);
        Self(sequence(&[&tlv(SET, &attribute)]))
    }

    pub(super) fn new(text: &str) -> Self {
        Self::of(text, UTF8)
    }

    pub(super) fn empty() -> Self {
        Self(sequence(&[]))
    }
}

/// One extension, whole.
#[derive(Clone, PartialEq)]
pub(super) struct Extension {
    id: &'static [u8],
    critical: bool,
    value: Vec<u8>,
}

impl Extension {
    pub(super) fn critical(mut self) -> Self {
        self.critical = true;
        self
    }

    fn encode(&self) -> Vec<u8> {
        let critical: &[u8] = if self.critical { &[1, 1, 0xff] } else { &[] };
        sequence(&[&tlv(OID, self.id), critical, &tlv(OCTETS, &self.value)])
    }
}

fn plain(id: &'static [u8], value: Vec<u8>) -> Extension {
    Extension {
        id,
        critical: false,
        value,
    }
}

pub(super) const SKI: &[u8] = &[0x55, 0x1d, 14];
pub(super) const KEY_USAGE: &[u8] = &[0x55, 0x1d, 15];
pub(super) const BASIC: &[u8] = &[0x55, 0x1d, 19];
pub(super) const AKI: &[u8] = &[0x55, 0x1d, 35];
pub(super) const EXTENDED_USAGE: &[u8] = &[0x55, 0x1d, 37];
const SAN: &[u8] = &[0x55, 0x1d, 17];
const NAME_CONSTRAINTS: &[u8] = &[0x55, 0x1d, 30];
/// Under the private arc of an enterprise; nobody knows it.
const UNKNOWN: &[u8] = &[0x2b, 0x06, 0x01, 0x04, 0x01, 0x83, 0x8c, 0x1b, 0x01];

pub(super) const SERVER: u8 = 1;
pub(super) const CLIENT: u8 = 2;
/// anyExtendedKeyUsage, RFC 5280 section 4.2.1.12.
pub(super) const ANY_USAGE: u8 = 0;

pub(super) fn ski(id: &[u8]) -> Extension {
    plain(SKI, tlv(OCTETS, id))
}

pub(super) fn aki(id: &[u8]) -> Extension {
    plain(AKI, sequence(&[&tlv(0x80, id)]))
}

/// The bits as they lie in the first byte: digitalSignature is 0x80, keyEncipherment 0x20, keyCertSign 0x04.
pub(super) fn key_usage(bits: u8) -> Extension {
    let unused = u8::try_from(bits.trailing_zeros()).unwrap();
    plain(KEY_USAGE, tlv(BITS, &[unused, bits])).critical()
}

pub(super) fn extended_usage(usages: &[u8]) -> Extension {
    let ids = usages.iter().flat_map(|usage| match *usage {
        ANY_USAGE => tlv(OID, &[0x55, 0x1d, 0x25, 0]),
        usage => tlv(OID, &[0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x03, usage]),
    });
    plain(EXTENDED_USAGE, tlv(SEQUENCE, &ids.collect::<Vec<u8>>()))
}

pub(super) fn basic(authority: bool, path_length: Option<u8>) -> Extension {
    let ca: &[u8] = if authority { &[1, 1, 0xff] } else { &[] };
    let length = path_length.map_or(Vec::new(), |length| vec![2, 1, length]);
    plain(BASIC, sequence(&[ca, &length])).critical()
}

pub(super) fn dns(name: &str) -> Vec<u8> {
    tlv(0x82, name.as_bytes())
}

pub(super) fn ip(octets: &[u8]) -> Vec<u8> {
    tlv(0x87, octets)
}

pub(super) fn san(names: &[Vec<u8>]) -> Extension {
    plain(SAN, tlv(SEQUENCE, &names.concat()))
}

pub(super) fn permitted(names: &[Vec<u8>]) -> Extension {
    let subtrees: Vec<u8> = names.iter().flat_map(|name| sequence(&[name])).collect();
    plain(NAME_CONSTRAINTS, sequence(&[&tlv(0xa0, &subtrees)])).critical()
}

pub(super) fn unknown() -> Extension {
    plain(UNKNOWN, tlv(OCTETS, b"?")).critical()
}

/// A certificate to be; a case changes what it is about.
#[derive(Clone)]
pub(super) struct Draft {
    pub(super) serial: Vec<u8>,
    pub(super) issuer: Name,
    pub(super) subject: Name,
    pub(super) not_before: String,
    pub(super) not_after: String,
    pub(super) extensions: Vec<Extension>,
}

impl Draft {
    pub(super) fn without(mut self, id: &[u8]) -> Self {
        self.extensions.retain(|extension| extension.id != id);
        self
    }

    /// Adds an extension, in place of one of its kind.
    pub(super) fn with(self, extension: Extension) -> Self {
        let mut draft = self.without(extension.id);
        draft.extensions.push(extension);
        draft
    }

    /// Adds an extension beside one of its kind.
    pub(super) fn and(mut self, extension: Extension) -> Self {
        self.extensions.push(extension);
        self
    }

    /// The certificate of `key`, signed by `signer`.
    pub(super) fn sign(&self, key: &Key, signer: &Key) -> Vec<u8> {
        let extensions: Vec<u8> = self.extensions.iter().flat_map(Extension::encode).collect();
        // UTCTime has two digits for the year, RFC 5280 section 4.1.2.5.
        let time = |text: &str| match text.len() {
            13 => tlv(UTC_TIME, text.as_bytes()),
            _ => tlv(GENERALIZED_TIME, text.as_bytes()),
        };
        let tbs = sequence(&[
            &[0xa0, 3, 2, 1, 2],
            &tlv(2, &self.serial),
            &ECDSA_SHA256,
            &self.issuer.0,
            &sequence(&[&time(&self.not_before), &time(&self.not_after)]),
            &self.subject.0,
            &key.info(),
            &tlv(0xa3, &tlv(SEQUENCE, &extensions)),
        ]);
        let random = SystemRandom::new();
        let signature = signer.pair.sign(&random, &tbs).unwrap();
        let signature = tlv(BITS, &[&[0], signature.as_ref()].concat());
        sequence(&[&tbs, &ECDSA_SHA256, &signature])
    }
}
