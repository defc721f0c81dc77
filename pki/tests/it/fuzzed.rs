//! What every reader of foreign input promises for any bytes: an answer and no panic, and that what it accepted is read again as
//! the same. `fuzz/` gives these functions to libFuzzer; here each gets damaged forms of the real thing.

use pki::{
    ApiUrl, BootstrapToken, Certificate, ForeignRequest, HostName, KubernetesVersion, Passphrase,
    PrivateKey, SerialNumber, WildcardName, read_bundle,
};

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// The bytes as the DER in a PEM block: behind base64 hardly any change of a byte reaches a reader of DER.
fn block(label: &str, bytes: &[u8]) -> String {
    use base64::Engine as _;
    let body = base64::engine::general_purpose::STANDARD.encode(bytes);
    format!("-----BEGIN {label}-----\n{body}\n-----END {label}-----\n")
}

/// A certificate, and a bundle of them.
pub(crate) fn certificate(bytes: &[u8]) {
    for text in [text(bytes), block("CERTIFICATE", bytes)] {
        certificates(&text);
    }
}

fn certificates(text: &str) {
    if let Ok(read) = Certificate::from_pem(text) {
        assert_eq!(Certificate::from_pem(&read.to_pem()), Ok(read.clone()));
        let _ = (read.fingerprint(), read.serial_hex(), format!("{read:?}"));
        let middle = read.not_before() + (read.not_after() - read.not_before()) / 2;
        let _ = (
            read.check_authority(middle),
            read.remaining(middle),
            SerialNumber::of(&read),
        );
    }
    if let Ok(all) = read_bundle(text) {
        assert_eq!(
            read_bundle(&pki::bundle(&all)).map(|again| again.is_empty()),
            Ok(false)
        );
    }
}

/// A private key in any container.
pub(crate) fn private_key(bytes: &[u8]) {
    let passphrase = Passphrase::new("a pass phrase").expect("it is long enough");
    let labels = [
        "PRIVATE KEY",
        "EC PRIVATE KEY",
        "RSA PRIVATE KEY",
        "ENCRYPTED PRIVATE KEY",
    ];
    let blocks = labels.into_iter().map(|label| block(label, bytes));
    let texts = std::iter::once(text(bytes)).chain(blocks);
    let read = texts.flat_map(|text| {
        [
            PrivateKey::from_pem(&text),
            PrivateKey::from_encrypted_pem(&text, &passphrase),
        ]
    });
    for key in read.flatten() {
        let again = PrivateKey::from_pem(&key.to_pem()).expect("what was written can be read");
        assert_eq!(again.public_key_der(), key.public_key_der());
    }
}

/// A certificate request.
pub(crate) fn request(bytes: &[u8]) {
    for text in [text(bytes), block("CERTIFICATE REQUEST", bytes)] {
        if let Ok(read) = ForeignRequest::from_pem(&text) {
            let _ = (read.proves_its_key(), format!("{read:?}"));
        }
    }
}

/// Names, numbers, versions, URLs and tokens.
pub(crate) fn names(bytes: &[u8]) {
    let text = text(bytes);
    if let Ok(name) = HostName::new(&text) {
        assert_eq!(name.as_str(), text);
    }
    if let Ok(name) = WildcardName::new(&text) {
        assert_eq!(
            HostName::new(name.parent()).map(|parent| format!("*.{parent}")),
            Ok(text.clone())
        );
    }
    if let Ok(url) = ApiUrl::new(&text) {
        assert_eq!(ApiUrl::new(&url.to_string()), Ok(url));
    }
    if let Ok(number) = text.parse::<SerialNumber>() {
        assert_eq!(number.to_string().parse(), Ok(number));
    }
    if let Ok(version) = text.parse::<KubernetesVersion>() {
        assert_eq!(version.to_string().parse(), Ok(version));
    }
    let _ = BootstrapToken::new(&text);
}
