#[cfg_attr(
    feature = "aws-lc-rs",
    allow(unused_imports, reason = "one test asks for refusals")
)]
use pki::{
    AltNames, Authority, AuthorityRequest, Certificate, HostName, IssueError, KeyError, KeySpec,
    LeafRequest, Life, LoadError, NameConstraints, OsRandom, Passphrase, PrivateKey, Purpose,
    Random, RandomError, RequestError, SerialNumber, Subject, WildcardName,
};
use proptest::prelude::*;
use time::{Duration, OffsetDateTime};

use crate::support::{days, host, ip, now};

fn subject(name: &str) -> Subject {
    Subject::new(name, &[]).unwrap()
}

fn authority() -> Authority {
    Authority::create(&subject("test-ca"), Life::AUTHORITY, now(), &OsRandom).unwrap()
}

fn client(life: Life) -> LeafRequest {
    LeafRequest::new(
        subject("client"),
        Purpose::Client,
        AltNames::default(),
        life,
    )
    .unwrap()
}

struct Constant(u8);

impl Random for Constant {
    fn fill(&self, buffer: &mut [u8]) -> Result<(), RandomError> {
        buffer.fill(self.0);
        Ok(())
    }
}

struct Broken;

impl Random for Broken {
    fn fill(&self, _: &mut [u8]) -> Result<(), RandomError> {
        Err(RandomError)
    }
}

#[test]
fn a_leaf_starts_five_minutes_ago_but_never_before_its_authority() {
    let authority = authority();
    let read = |at| {
        let issued = authority.issue(&client(Life::LEAF), at, &OsRandom).unwrap();
        Certificate::from_pem(&issued.certificate_pem).unwrap()
    };
    let young = read(now());
    assert_eq!(young.not_before(), authority.certificate().not_before());
    assert_eq!(young.not_before(), now() - Duration::minutes(5));
    assert_eq!(young.not_after(), now() + days(365));
    let later = now() + days(1);
    assert_eq!(read(later).not_before(), later - Duration::minutes(5));
    // A clock two minutes behind the one that made the authority still gets a leaf within it.
    let behind = read(now() - Duration::minutes(2));
    assert_eq!(behind.not_before(), authority.certificate().not_before());
}

#[test]
fn a_leaf_that_would_outlive_its_authority_is_refused_with_both_ends() {
    let late = now() + days(3650 - 365) + Duration::SECOND;
    let error = authority()
        .issue(&client(Life::LEAF), late, &OsRandom)
        .unwrap_err();
    assert!(
        matches!(error, IssueError::OutlivesAuthority { .. }),
        "{error}"
    );
    let last = late - Duration::SECOND;
    assert!(
        authority()
            .issue(&client(Life::LEAF), last, &OsRandom)
            .is_ok()
    );
}

#[test]
fn an_impossible_clock_is_an_error() {
    for moment in [
        OffsetDateTime::UNIX_EPOCH,
        OffsetDateTime::from_unix_timestamp(-62_000_000_000).unwrap(),
        time::PrimitiveDateTime::MAX.assume_utc(),
        time::PrimitiveDateTime::MIN.assume_utc(),
    ] {
        let made = Authority::create(&subject("ca"), Life::AUTHORITY, moment, &OsRandom);
        assert!(matches!(made, Err(IssueError::Clock { .. })), "{moment}");
    }
}

#[test]
fn serials_are_positive_whatever_the_source_gives() {
    let serial = |random: &dyn Random| {
        let issued = authority()
            .issue(&client(Life::LEAF), now(), random)
            .unwrap();
        Certificate::from_pem(&issued.certificate_pem)
            .unwrap()
            .serial()
            .to_vec()
    };
    assert_eq!(serial(&Constant(0xff))[0], 0x7f);
    // The sign bit is cleared in the first byte and kept clear by a zero byte where DER needs it.
    assert_eq!(serial(&Constant(0x80))[..2], [0x00, 0x80]);
    assert_ne!(serial(&OsRandom), serial(&OsRandom));
    for broken in [&Constant(0) as &dyn Random, &Broken] {
        let error = authority()
            .issue(&client(Life::LEAF), now(), broken)
            .unwrap_err();
        assert!(matches!(error, IssueError::Serial { .. }), "{error}");
    }
}

#[test]
fn two_groups_are_both_written_and_three_are_refused() {
    let subject = Subject::new("user", &["first", "second"]).unwrap();
    let names = AltNames::default();
    let request = LeafRequest::new(subject, Purpose::Client, names, Life::LEAF).unwrap();
    let issued = authority().issue(&request, now(), &OsRandom).unwrap();
    let certificate = Certificate::from_pem(&issued.certificate_pem).unwrap();
    assert_eq!(certificate.groups(), ["first", "second"]);
    let error = Subject::new("user", &["a", "b", "c"]).unwrap_err();
    assert!(matches!(
        error,
        RequestError::TooManyGroups { count: 3, .. }
    ));
    assert!(Subject::new("user", &["a", "a"]).is_err());
}

#[test]
fn subjects_lives_and_server_names_are_checked() {
    assert!(Subject::new(&"a".repeat(64), &[]).is_ok());
    for bad in ["", "line\nbreak", "bücher", &"a".repeat(65)] {
        assert!(Subject::new(bad, &[]).is_err(), "{bad:?}");
    }
    assert!(Life::days(0).is_err() && Life::days(36_501).is_err() && Life::days(1).is_ok());
    let none = AltNames::default();
    for purpose in [Purpose::Server, Purpose::ServerAndClient] {
        let error = LeafRequest::new(subject("s"), purpose, none.clone(), Life::LEAF).unwrap_err();
        assert_eq!(
            error,
            RequestError::NoNames {
                common_name: "s".into()
            }
        );
    }
}

#[test]
fn an_authority_loads_from_its_own_texts_and_issues_under_the_same_name() {
    let made = authority();
    let loaded = Authority::from_pem(made.certificate_pem(), &made.key_pem(), now()).unwrap();
    assert_eq!(loaded.certificate(), made.certificate());
    // The self-check inside compares issuer bytes and key identifiers with the authority's.
    loaded.issue(&client(Life::LEAF), now(), &OsRandom).unwrap();
}

#[test]
fn what_is_no_authority_is_not_loaded() {
    let (first, second) = (authority(), authority());
    let load = |certificate: &str, key: &str, at| {
        Authority::from_pem(certificate, key, at).expect_err("it is no authority")
    };
    let wrong_key = load(first.certificate_pem(), &second.key_pem(), now());
    assert!(matches!(wrong_key, LoadError::Mismatch { .. }));
    let leaf = first.issue(&client(Life::LEAF), now(), &OsRandom).unwrap();
    let not_ca = load(&leaf.certificate_pem, &leaf.key_pem, now());
    assert!(matches!(not_ca, LoadError::Unusable { .. }));
    let end = first.certificate().not_after();
    let key = first.key_pem();
    assert!(Authority::from_pem(first.certificate_pem(), &key, end).is_ok());
    let over = load(first.certificate_pem(), &key, end + Duration::SECOND);
    assert!(matches!(over, LoadError::Unusable { .. }));
    let start = first.certificate().not_before();
    assert!(Authority::from_pem(first.certificate_pem(), &key, start).is_ok());
    load(first.certificate_pem(), &key, start - Duration::SECOND);
    let cut = &first.certificate_pem()[..200];
    assert!(matches!(load(cut, &key, now()), LoadError::Certificate(_)));
}

#[test]
fn a_number_is_never_given_twice() {
    let authority = authority();
    let issue = |random: &dyn Random| authority.issue(&client(Life::LEAF), now(), random);
    let first = issue(&Constant(0x42)).unwrap();
    let first = Certificate::from_pem(&first.certificate_pem).unwrap();
    let error = issue(&Constant(0x42)).unwrap_err();
    assert!(
        matches!(error, IssueError::RepeatedSerial { .. }),
        "{error}"
    );
    assert!(error.to_string().contains(&first.serial_hex()), "{error}");
    issue(&Constant(0x43)).unwrap();
    // Loaded again, it is told what it gave.
    let (pem, key) = (authority.certificate_pem(), authority.key_pem());
    let loaded = || Authority::from_pem(pem, &key, now()).unwrap();
    let again = |authority: Authority| authority.issue(&client(Life::LEAF), now(), &Constant(0x42));
    assert!(again(loaded()).is_ok());
    let given = [SerialNumber::of(&first).unwrap()];
    assert!(again(loaded().with_issued(given)).is_err());
}

#[test]
fn an_authority_does_not_give_its_own_number() {
    let made = Authority::create(&subject("ca"), Life::AUTHORITY, now(), &Constant(7)).unwrap();
    let error = made.issue(&client(Life::LEAF), now(), &Constant(7));
    assert!(matches!(error, Err(IssueError::RepeatedSerial { .. })));
}

#[test]
fn constraints_hold_for_what_is_issued() {
    let networks = ["10.0.0.0/16", "10.96.0.0/16", "fd00::/16"];
    let networks = networks.map(|network| network.parse().unwrap());
    let constraints = NameConstraints::for_cluster([host("lab")], &host("cluster.local"), networks);
    let constraints = constraints.unwrap();
    let request = AuthorityRequest {
        subject: subject("kubernetes"),
        life: Life::AUTHORITY,
        constraints: Some(constraints.clone()),
    };
    let key = PrivateKey::generate().unwrap();
    let authority = Authority::create_from(&request, key, now(), &OsRandom).unwrap();
    assert_eq!(
        authority.certificate().name_constraints(),
        Some(&constraints)
    );
    let issue = |name: &str, address: &str| {
        let names = AltNames::new(vec![host(name)], vec![ip(address)]).unwrap();
        let request = LeafRequest::new(subject("s"), Purpose::Server, names, Life::LEAF).unwrap();
        authority.issue(&request, now(), &OsRandom)
    };
    for (name, address) in [
        ("lab", "10.0.255.255"),
        ("etcd-0.lab", "127.0.0.1"),
        ("kubernetes", "10.96.0.1"),
        ("kubernetes.default.svc.cluster.local", "fd00::1"),
        ("localhost", "::1"),
    ] {
        issue(name, address).unwrap();
    }
    for (name, address, outside) in [
        ("lab.test", "10.0.0.1", "`lab.test`"),
        ("slab", "10.0.0.1", "`slab`"),
        ("a.lab", "10.1.0.1", "`10.1.0.1`"),
        ("a.lab", "fe80::1", "`fe80::1`"),
    ] {
        let error = issue(name, address).unwrap_err();
        assert!(matches!(error, IssueError::Constrained { .. }), "{error}");
        assert!(error.to_string().contains(outside), "{error}");
    }
    // A client has no name that could be outside.
    authority
        .issue(&client(Life::LEAF), now(), &OsRandom)
        .unwrap();
    let none: [HostName; 0] = [];
    assert!(NameConstraints::new(none, networks).is_err());
    assert!(NameConstraints::new([host("lab")], []).is_err());
}

#[test]
fn wildcards_are_asked_for_by_name() {
    let wildcard = WildcardName::new("*.apps.lab").unwrap();
    let names = AltNames::new(vec![host("apps.lab")], vec![]).unwrap();
    let names = names.with_wildcards(vec![wildcard.clone()]).unwrap();
    assert_eq!(names.to_string(), "DNS:apps.lab, DNS:*.apps.lab");
    let request = LeafRequest::new(subject("s"), Purpose::Server, names.clone(), Life::LEAF);
    let issued = authority()
        .issue(&request.unwrap(), now(), &OsRandom)
        .unwrap();
    let read = Certificate::from_pem(&issued.certificate_pem).unwrap();
    assert_eq!(read.alt_names(), &names);
    assert!(names.with_wildcards(vec![wildcard]).is_err());
}

#[test]
fn serial_numbers_read_what_programs_write() {
    let number: SerialNumber = "0A:ff".parse().unwrap();
    assert_eq!(number.to_string(), "0aff");
    assert_eq!("aff".parse(), Ok(number.clone()));
    assert_eq!("000aff".parse(), Ok(number));
    for bad in [
        "",
        "0",
        "0000",
        "xy",
        "é1",
        &"1".repeat(41),
        &"11".repeat(21),
    ] {
        assert!(bad.parse::<SerialNumber>().is_err(), "{bad}");
    }
}

#[test]
fn keys_that_no_cluster_takes_are_refused_with_the_reason() {
    let pem = |label: &str, body: &str| {
        format!("-----BEGIN {label}-----\n{body}\n-----END {label}-----\n")
    };
    let ed25519 = "MC4CAQAwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC";
    let old = "Proc-Type: 4,ENCRYPTED\nDEK-Info: AES-256-CBC,00\n\nAAAA";
    for (text, expected) in [
        ("nonsense".to_owned(), KeyError::Malformed),
        (pem("PRIVATE KEY", "AAAA"), KeyError::Malformed),
        (pem("EC PRIVATE KEY", "AAAA"), KeyError::Malformed),
        (pem("RSA PRIVATE KEY", "AAAA"), KeyError::RsaSize),
        (pem("CERTIFICATE", "AAAA"), KeyError::Malformed),
        (pem("RSA PRIVATE KEY", old), KeyError::OldEncryption),
        (
            pem("OPENSSH PRIVATE KEY", "AAAA"),
            KeyError::Container {
                label: "OPENSSH PRIVATE KEY",
            },
        ),
        // The key of RFC 8410 section 10.3.
        (pem("PRIVATE KEY", ed25519), KeyError::Ed25519),
    ] {
        assert_eq!(PrivateKey::from_pem(&text).unwrap_err(), expected, "{text}");
    }
    assert!(KeyError::Ed25519.to_string().contains("kubeadm"));
    #[cfg(not(feature = "aws-lc-rs"))]
    for spec in [KeySpec::Rsa2048, KeySpec::Rsa3072, KeySpec::Rsa4096] {
        let error = PrivateKey::generate_for(spec).unwrap_err();
        assert_eq!(error, KeyError::Feature(spec));
        assert!(error.to_string().contains("aws-lc-rs"), "{error}");
    }
}

/// RSA with the feature only, since ring draws none.
#[test]
fn authorities_of_every_kind_sign_leaves_of_every_kind() {
    let kinds = [KeySpec::EcdsaP256, KeySpec::EcdsaP384, KeySpec::Rsa2048];
    let kinds = || kinds.into_iter().filter(|kind| kind.is_drawn_here());
    for spec in kinds() {
        let key = PrivateKey::generate_for(spec).unwrap();
        let pem = key.to_pem();
        let life = Life::AUTHORITY;
        let made = Authority::create_with_key(key, &subject("ca"), life, now(), &OsRandom);
        let loaded = Authority::from_pem(made.unwrap().certificate_pem(), &pem, now()).unwrap();
        for spec in kinds() {
            let request = client(Life::LEAF).with_key(spec);
            let issued = loaded.issue(&request, now(), &OsRandom).unwrap();
            let read = Certificate::from_pem(&issued.certificate_pem).unwrap();
            assert_eq!(read.key_spec(), Some(spec));
        }
    }
}

#[test]
fn a_pass_phrase_opens_its_own_key_only() {
    let phrase = |text: &str| Passphrase::new(text).unwrap();
    let key = PrivateKey::generate().unwrap();
    let sealed = key
        .to_encrypted_pem(&phrase("correct horse"), &OsRandom)
        .unwrap();
    assert!(sealed.starts_with("-----BEGIN ENCRYPTED PRIVATE KEY-----\n"));
    let opened = PrivateKey::from_encrypted_pem(&sealed, &phrase("correct horse")).unwrap();
    assert_eq!(*opened.to_pem(), *key.to_pem());
    let wrong = PrivateKey::from_encrypted_pem(&sealed, &phrase("battery staple"));
    assert_eq!(wrong.unwrap_err(), KeyError::Passphrase);
    assert_eq!(
        PrivateKey::from_pem(&sealed).unwrap_err(),
        KeyError::Encrypted
    );
    // A key that is not encrypted is no reason to stop.
    assert!(PrivateKey::from_encrypted_pem(&key.to_pem(), &phrase("correct horse")).is_ok());
    for bad in ["", "short", "with a line break\n"] {
        assert!(Passphrase::new(bad).is_err(), "{bad:?}");
    }
    let again = key
        .to_encrypted_pem(&phrase("correct horse"), &OsRandom)
        .unwrap();
    assert_ne!(*again, *sealed, "salt and vector are fresh");
    assert!(
        key.to_encrypted_pem(&phrase("correct horse"), &Broken)
            .is_err()
    );
    assert_eq!(format!("{:?}", phrase("correct horse")), "Passphrase(..)");
}

#[test]
fn no_debug_text_shows_a_key() {
    let authority = authority();
    let issued = authority
        .issue(&client(Life::LEAF), now(), &OsRandom)
        .unwrap();
    let key = PrivateKey::from_pem(&issued.key_pem).unwrap();
    let shown = format!("{authority:?} {issued:?} {key:?}");
    for secret in [&*authority.key_pem(), &*issued.key_pem] {
        for line in secret.lines().filter(|line| !line.starts_with('-')) {
            assert!(!shown.contains(line));
        }
    }
    assert!(!shown.contains("PRIVATE"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Names, addresses, lives and moments at random: what is issued passes its own check and says
    /// what was asked for.
    #[test]
    fn whatever_is_valid_is_issued(
        names in proptest::collection::btree_set("[a-z]([a-z0-9-]{0,30}[a-z0-9])?", 1..8),
        octets in proptest::collection::btree_set(any::<[u8; 4]>(), 0..8),
        life_days in 1u32..3649,
        at in 0i64..100_000_000,
    ) {
        let ips = octets.into_iter().map(std::net::IpAddr::from).collect();
        let names = names.iter().map(|name| host(name)).collect();
        let Ok(alt_names) = AltNames::new(names, ips) else { return Ok(()) };
        let at = now() + Duration::seconds(at);
        let authority = Authority::create(&subject("ca"), Life::AUTHORITY, at, &OsRandom).unwrap();
        let life = Life::days(life_days).unwrap();
        let purpose = Purpose::ServerAndClient;
        let request = LeafRequest::new(subject("s"), purpose, alt_names.clone(), life).unwrap();
        let issued = authority.issue(&request, at, &OsRandom).unwrap();
        let certificate = Certificate::from_pem(&issued.certificate_pem).unwrap();
        prop_assert_eq!(certificate.alt_names(), &alt_names);
    }

    #[test]
    fn damaged_texts_are_errors_and_never_panics(cut in 0usize..900, flip in any::<u8>()) {
        let authority = authority();
        let mut bytes = authority.certificate_pem().as_bytes().to_vec();
        // The end line may lose its line break, so the cut is before it.
        let at = cut.min(bytes.len() - 30);
        bytes[at] = flip & 0x7f;
        if let Ok(text) = String::from_utf8(bytes) {
            let _ = Certificate::from_pem(&text).map(|certificate| certificate.remaining(now()));
        }
        let text = &authority.certificate_pem()[..at];
        prop_assert!(Certificate::from_pem(text).is_err());
        prop_assert!(PrivateKey::from_pem(text).is_err());
    }
}

#[test]
fn addresses_of_both_families_survive() {
    let names = AltNames::new(vec![host("a")], vec![ip("10.0.0.1"), ip("fd00::1")]).unwrap();
    let request = LeafRequest::new(subject("a"), Purpose::Server, names, Life::LEAF).unwrap();
    let issued = authority().issue(&request, now(), &OsRandom).unwrap();
    let certificate = Certificate::from_pem(&issued.certificate_pem).unwrap();
    assert_eq!(
        certificate.alt_names().to_string(),
        "DNS:a, IP:10.0.0.1, IP:fd00::1"
    );
}
