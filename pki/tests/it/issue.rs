use pki::{
    AltNames, Authority, Certificate, IssueError, KeyError, LeafRequest, Life, LoadError, OsRandom,
    PrivateKey, Purpose, Random, RandomError, RequestError, Subject,
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
fn keys_in_other_containers_are_refused_with_the_command_that_converts() {
    for label in [
        "EC PRIVATE KEY",
        "RSA PRIVATE KEY",
        "ENCRYPTED PRIVATE KEY",
        "EC PARAMETERS",
    ] {
        let pem = format!("-----BEGIN {label}-----\nAAAA\n-----END {label}-----\n");
        let error = PrivateKey::from_pem(&pem).unwrap_err();
        assert_eq!(error, KeyError::Container { label });
        assert!(error.to_string().contains("openssl pkcs8"));
    }
    assert_eq!(
        PrivateKey::from_pem("nonsense").unwrap_err(),
        KeyError::Malformed
    );
    // An Ed25519 key of RFC 8410 section 10.3: kubeadm would refuse it too.
    let ed25519 = "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+\
                   K06/nwoy/HU++CXqI9EdVhC\n-----END PRIVATE KEY-----\n";
    let error = PrivateKey::from_pem(ed25519).unwrap_err();
    assert!(matches!(error, KeyError::Algorithm | KeyError::Malformed));
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
