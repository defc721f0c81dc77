//! Texts of networks and names.

use std::net::IpAddr;

use netplan::{HostPool, InterfaceName, LabName, Net};
use proptest::prelude::*;

use crate::net;

#[test]
fn texts_that_are_no_network_say_why() {
    let cases = [
        (
            "10.77.0.5/24",
            "10.77.0.5/24 has bits set behind its prefix: write 10.77.0.0/24",
        ),
        (
            "fd5c::1/48",
            "fd5c::1/48 has bits set behind its prefix: write fd5c::/48",
        ),
        (
            "10.0.0.0/33",
            "prefix length 33 is longer than the 32 bits of an IPv4 address: write 0 to 32",
        ),
        (
            "10.0.0.0",
            r#""10.0.0.0" is not a network: write ADDRESS/LENGTH, like 10.77.0.0/16 or fd5c::/48"#,
        ),
        (
            "10.0.0.0/08",
            r#""10.0.0.0/08" is not a network: write ADDRESS/LENGTH, like 10.77.0.0/16 or fd5c::/48"#,
        ),
        (
            "10.0.0.0/+8",
            r#""10.0.0.0/+8" is not a network: write ADDRESS/LENGTH, like 10.77.0.0/16 or fd5c::/48"#,
        ),
    ];
    for (text, expected) in cases {
        assert_eq!(text.parse::<Net>().expect_err(text).to_string(), expected);
    }
}

#[test]
fn an_ipv4_network_in_ipv6_notation_is_refused_with_what_is_meant() {
    for (text, meant) in [
        ("::ffff:10.0.0.0/104", "10.0.0.0/8"),
        ("::ffff:a00:5/120", "10.0.0.0/24"),
        ("::ffff:10.0.0.1/128", "10.0.0.1/32"),
    ] {
        let error = text.parse::<Net>().expect_err(text).to_string();
        let expected = format!("is an IPv4 network in IPv6 notation: write {meant}");
        assert!(error.ends_with(&expected), "{error}");
    }
    // FreeBSD has a reject route for the whole block; `::a.b.c.d` is not mapped.
    assert_eq!(net("::ffff:0:0/96").to_string(), "::ffff:0.0.0.0/96");
    assert_eq!(net("::10.0.0.0/104").to_string(), "::a00:0/104");
    let too_long = "::ffff:10.0.0.0/129".parse::<Net>().expect_err("too long");
    assert!(matches!(too_long, netplan::NetError::Length { .. }));
}

#[test]
fn other_forms_of_an_address_are_read_and_written_as_in_rfc_5952() {
    for (text, canonical) in [
        ("FD5C:0:0:0::/64", "fd5c::/64"),
        (
            "2001:0DB8:0000:0000:0001:0000:0000:0001/128",
            "2001:db8::1:0:0:1/128",
        ),
        ("2001:db8:0:1:1:1:1:1/128", "2001:db8:0:1:1:1:1:1/128"),
        ("::/0", "::/0"),
    ] {
        assert_eq!(net(text).to_string(), canonical);
    }
    for refused in [
        "fe80::%eth0/64",
        " 10.0.0.0/8",
        "10.0.0.0/8\n",
        "010.0.0.0/8",
        "10.0.0/8",
        "10.0.0.0/255.0.0.0",
        "10.0.0.0/",
        "/8",
        "10.0.0.0//8",
        "10.0.0.0/8/8",
        "[fd00::]/8",
        "10.0.0.0/256",
        "10.0.0.0/-1",
        "\u{ff11}0.0.0.0/8",
    ] {
        assert!(refused.parse::<Net>().is_err(), "{refused:?} was taken");
    }
}

#[test]
fn a_network_sorts_before_what_it_contains() {
    let mut nets = [
        "fd00::/8",
        "10.1.0.0/16",
        "10.0.0.0/16",
        "10.0.0.0/8",
        "0.0.0.0/0",
    ]
    .map(net);
    nets.sort();
    let texts = nets.map(|net| net.to_string());
    assert_eq!(
        texts,
        [
            "0.0.0.0/0",
            "10.0.0.0/8",
            "10.0.0.0/16",
            "10.1.0.0/16",
            "fd00::/8"
        ]
    );
}

#[test]
fn names_keep_to_their_limits() {
    for bad in [
        "",
        "Lab",
        "1lab",
        "lab-",
        "a b",
        "lab;reboot",
        "abcdefghijklmnopqrstu",
    ] {
        assert!(LabName::new(bad).is_err(), "{bad:?} was taken");
    }
    assert!(InterfaceName::new("sixteen-letters-").is_err());
    assert!(InterfaceName::new("br-etcd").is_ok());
}

#[test]
fn a_host_pool_gives_all_but_the_reserved() {
    for (segment, hosts) in [
        ("10.0.0.0/29", 6),
        ("10.0.0.0/31", 2),
        ("fd00::/125", 7),
        ("fd00::/127", 2),
    ] {
        let mut pool = HostPool::new(net(segment));
        let given = std::iter::from_fn(|| pool.allocate(netplan::Fit::Lowest).ok()).count();
        assert_eq!(given, hosts, "{segment}");
    }
    let mut pool = HostPool::new(net("10.0.0.0/24"));
    let broadcast: IpAddr = "10.0.0.255".parse().expect("an address");
    assert!(pool.claim(broadcast).is_err());
}

proptest! {
    #[test]
    fn text_and_back(bits in any::<u128>(), len in 0..=128_u8) {
        let address = IpAddr::V6(bits.into());
        let net = Net::containing(address, len).expect("a length");
        prop_assert_eq!(net.to_string().parse::<Net>(), Ok(net));
        prop_assert!(net.contains(address) && net.contains(net.last_address()));
    }

    #[test]
    fn no_text_panics(text in "\\PC{0,40}") {
        let _either = text.parse::<Net>();
    }

    #[test]
    fn no_text_like_a_network_panics(text in "[0-9a-f:.]{0,24}/[0-9]{0,4}") {
        if let Ok(net) = text.parse::<Net>() {
            prop_assert_eq!(net.to_string().parse(), Ok(net));
        }
    }
}
