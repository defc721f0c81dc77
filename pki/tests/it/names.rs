use pki::{AltNames, ApiUrl, HostName, NameError, WildcardName};
use proptest::prelude::*;

use crate::support::{host, ip};

#[test]
fn names_that_no_host_has_are_refused() {
    for name in [
        "",
        "a b",
        "-x",
        "x-",
        "a..b",
        "*",
        "*.lab",
        "UPPER",
        "under_score",
        "etcd-0.",
        ".",
        "..",
        "../etc",
        "https://x",
        "10.0.0.1",
        "10.0.0.1/24",
        "a.1",
        "bücher",
        "a\nb",
        "a\0b",
    ] {
        assert!(HostName::new(name).is_err(), "{name:?} was accepted");
    }
    assert!(HostName::new(&"a".repeat(64)).is_err());
    assert!(HostName::new(&vec!["a".repeat(63); 4].join(".")).is_err());
    assert!(HostName::new(&"a".repeat(63)).is_ok());
}

#[test]
fn an_error_repeats_the_value_and_says_what_is_allowed() {
    let error = HostName::new("etcd_0.lab").unwrap_err().to_string();
    assert!(
        error.contains("`etcd_0.lab`") && error.contains("`etcd_0`"),
        "{error}"
    );
    assert!(error.contains("a-z, 0-9"), "{error}");
}

#[test]
fn addresses_are_those_of_one_machine_and_canonical() {
    let mapped = AltNames::new(vec![], vec![ip("::ffff:10.0.0.1")]).unwrap_err();
    let address = ip("::ffff:10.0.0.1");
    assert_eq!(
        mapped,
        NameError::Mapped {
            address,
            canonical: ip("10.0.0.1")
        }
    );
    for address in ["0.0.0.0", "::", "224.0.0.1", "ff02::1"] {
        assert!(
            AltNames::new(vec![], vec![ip(address)]).is_err(),
            "{address}"
        );
    }
}

#[test]
fn a_repeated_name_or_address_is_refused() {
    assert!(AltNames::new(vec![host("a"), host("a")], vec![]).is_err());
    assert!(AltNames::new(vec![], vec![ip("10.0.0.1"), ip("10.0.0.1")]).is_err());
}

#[test]
fn a_wildcard_is_one_label_over_two() {
    for name in ["*.apps.lab", "*.a.b.c"] {
        assert_eq!(WildcardName::new(name).unwrap().as_str(), name);
    }
    for bad in [
        "*", "*.", "*.lab", "a.*.lab", "**.a.b", "x*.a.b", "*.*.a.b", "*.A.b", "*.a.1",
    ] {
        assert!(WildcardName::new(bad).is_err(), "{bad}");
    }
}

#[test]
fn names_are_contained_letter_by_letter() {
    let wildcard = vec![WildcardName::new("*.a.b").unwrap()];
    let all = AltNames::new(vec![host("x"), host("y")], vec![ip("10.0.0.1")]).unwrap();
    let all = all.with_wildcards(wildcard.clone()).unwrap();
    let part = AltNames::new(vec![host("y")], vec![ip("10.0.0.1")]).unwrap();
    assert!(all.contains(&part) && all.contains(&AltNames::default()));
    assert!(!part.contains(&all));
    let below = AltNames::new(vec![host("z.a.b")], vec![]).unwrap();
    assert!(!all.contains(&below));
}

#[test]
fn api_urls_have_one_written_form() {
    for (given, written) in [
        ("https://10.0.1.10:6443", "https://10.0.1.10:6443"),
        ("https://[fd00::1]:6443/", "https://[fd00::1]:6443"),
        ("https://api.lab.test", "https://api.lab.test:443"),
    ] {
        assert_eq!(ApiUrl::new(given).unwrap().to_string(), written);
    }
    for bad in [
        "http://a:1",
        "https://",
        "https://a:b",
        "https://a:70000",
        "https://a/b",
        "https://u@h",
        "https://[::1",
        "https://[::ffff:1.2.3.4]",
        "https://fd00::1:6443",
        "a",
    ] {
        assert!(ApiUrl::new(bad).is_err(), "{bad} was accepted");
    }
}

proptest! {
    #[test]
    fn any_text_is_answered_and_an_accepted_one_is_safe(text in "\\PC{0,80}") {
        if let Ok(name) = HostName::new(&text) {
            prop_assert_eq!(name.as_str(), text.as_str());
            prop_assert!(text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit()
                || b == b'-' || b == b'.'));
            prop_assert!(!text.starts_with('.') && !text.contains("..") && !text.contains('/'));
            prop_assert!(text.parse::<std::net::IpAddr>().is_err());
        }
        // What is written is read again as the same.
        if let Ok(url) = ApiUrl::new(&text) {
            prop_assert_eq!(ApiUrl::new(&url.to_string()).unwrap(), url);
        }
    }

    #[test]
    fn every_rfc_1123_name_is_accepted(
        name in "([a-z0-9]([a-z0-9-]{0,20}[a-z0-9])?\\.){0,4}[a-z]([a-z0-9-]{0,20}[a-z0-9])?"
    ) {
        prop_assert!(HostName::new(&name).is_ok());
    }

    #[test]
    fn a_url_made_of_an_address_reads_back(octets in any::<[u8; 16]>(), port in 1u16..) {
        let address = std::net::IpAddr::from(octets);
        if let Ok(url) = ApiUrl::of_address(address, port) {
            prop_assert_eq!(url.address(), Some(std::net::SocketAddr::new(address, port)));
            prop_assert_eq!(ApiUrl::new(&url.to_string()).unwrap(), url);
        }
    }
}
