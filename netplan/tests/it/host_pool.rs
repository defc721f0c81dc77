//! Host addresses: reserved ones, bands, and the texts of refusals.

use std::collections::BTreeSet;
use std::net::IpAddr;

use netplan::{Band, BandAllocateError, BandError, Family, Fit, HostPool, reserved};
use proptest::prelude::*;

use crate::net;

fn ip(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

#[test]
fn no_host_gets_a_reserved_address() {
    // (segment, usable addresses); RFC 3021, RFC 6164 and RFC 5453 are in the last bits.
    for (segment, usable) in [
        ("10.77.0.0/24", 254),
        ("10.77.0.0/30", 2),
        ("10.77.0.0/31", 2),
        ("10.77.0.1/32", 1),
        ("fd5c::/120", 127),
        ("fd5c::/126", 3),
        ("fd5c::/127", 2),
        ("fd5c::1/128", 1),
    ] {
        let segment = net(segment);
        let mut hosts = HostPool::new(segment);
        assert_eq!(hosts.count_free(), usable, "{segment}");
        for _ in 0..usable {
            let host = hosts.allocate(Fit::Lowest).expect("free");
            assert!(
                !reserved(segment).iter().any(|r| r.net.contains(host)),
                "{host}"
            );
        }
        assert!(hosts.allocate(Fit::Lowest).is_err(), "{segment}");
        assert_eq!(hosts.len() as u128, usable);
        assert_eq!(hosts.hosts().count() as u128, usable);
    }
    // A /64 lacks the anycast address, IANA's block of 2^24 and the 128 of RFC 2526.
    let count = HostPool::new(net("fd5c::/64")).count_free();
    assert_eq!(count, (1 << 64) - 1 - (1 << 24) - 128);
}

#[test]
fn refusals_name_the_cause_and_an_address_that_would_go() {
    let mut hosts = HostPool::new(net("10.77.0.0/24"));
    hosts.claim(ip("10.77.0.1")).expect("free");
    let mut claim = |text: &str| hosts.claim(ip(text)).expect_err("refused").to_string();
    assert_eq!(
        claim("10.77.0.1"),
        "10.77.0.1 is taken in 10.77.0.0/24; the nearest free one is 10.77.0.2"
    );
    assert_eq!(
        claim("10.77.0.255"),
        "10.77.0.255 is reserved in 10.77.0.0/24: directed broadcast; \
         the nearest free one is 10.77.0.254"
    );
    assert_eq!(claim("10.77.1.0"), "10.77.1.0 does not lie in 10.77.0.0/24");
    assert_eq!(claim("fd5c::1"), "fd5c::1 does not lie in 10.77.0.0/24");
    let mut release = |text: &str| hosts.release(ip(text)).map_err(|error| error.to_string());
    assert_eq!(
        release("10.77.0.0"),
        Err("10.77.0.0 is reserved in 10.77.0.0/24: network address".to_owned())
    );
    assert_eq!(release("10.77.0.1"), Ok(()));
    assert_eq!(
        release("10.77.0.1"),
        Err("10.77.0.1 is not allocated in 10.77.0.0/24".to_owned())
    );
    assert_eq!(
        release("10.78.0.1"),
        Err("10.78.0.1 is not allocated in 10.77.0.0/24".to_owned())
    );
    assert!(hosts.is_empty());
}

#[test]
fn bands_are_checked() {
    let refused = |segment: &str, bands: &[(&str, u64, u64)]| {
        let bands = bands
            .iter()
            .map(|(name, first, last)| Band::new(*name, *first, *last));
        let error = HostPool::with_bands(net(segment), bands).expect_err("refused");
        error.to_string()
    };
    assert_eq!(
        refused(
            "10.77.0.0/24",
            &[("etcd", 10, 29), ("kube", 40, 60), ("worker", 29, 39)]
        ),
        "bands etcd (10 to 29) and worker (29 to 39) of 10.77.0.0/24 overlap"
    );
    assert_eq!(
        refused("10.77.0.0/24", &[("etcd", 10, 256)]),
        "band etcd (10 to 256) does not lie in 10.77.0.0/24: its host numbers end at 255"
    );
    assert_eq!(
        refused("10.77.0.0/24", &[("etcd", 10, 9)]),
        "band etcd (10 to 9) of 10.77.0.0/24 is empty: its last host number is below its first"
    );
    assert_eq!(
        refused("10.77.0.0/24", &[("etcd", 10, 11), ("etcd", 12, 13)]),
        "bands etcd (10 to 11) and etcd (12 to 13) of 10.77.0.0/24 have the same name"
    );
    for segment in ["10.77.0.7/32", "fd5c::7/128"] {
        let outside = HostPool::with_bands(net(segment), [Band::new("all", 0, 1)]);
        assert!(matches!(outside, Err(BandError::Outside { .. })));
        HostPool::with_bands(net(segment), [Band::new("all", 0, 0)]).expect("one address");
    }
    let all = Band::new("all", 0, u64::MAX);
    assert_eq!(all.size(), 1 << 64);
    for segment in ["::/0", "fd5c::/64"] {
        HostPool::with_bands(net(segment), [all.clone()]).expect("a /64 has so many");
    }
}

#[test]
fn a_band_with_reserved_addresses_and_claims_of_others() {
    let bands = [Band::new("low", 0, 3), Band::new("high", 250, 255)];
    let mut hosts = HostPool::with_bands(net("10.77.0.0/24"), bands).expect("disjoint");
    // An address of one band for a machine of no band, and one between the bands.
    hosts.claim(ip("10.77.0.2")).expect("free");
    hosts.claim(ip("10.77.0.100")).expect("free");
    assert_eq!(
        hosts
            .band_of(ip("10.77.0.2"))
            .map(|band| band.name.as_str()),
        Some("low")
    );
    assert_eq!(hosts.band_of(ip("10.77.0.100")), None);
    assert_eq!(hosts.band_of(ip("fd5c::2")), None);
    assert_eq!(hosts.allocate_in_near("low", 2), Ok(ip("10.77.0.3")));
    assert_eq!(hosts.allocate_in_near("low", 2), Ok(ip("10.77.0.1")));
    assert_eq!(
        hosts.allocate_in("low").map_err(|error| error.to_string()),
        Err("no free address in band low of 10.77.0.0/24: \
             all 4 from 10.77.0.0 to 10.77.0.3 are taken or reserved; widen the band"
            .to_owned())
    );
    assert_eq!(hosts.allocate_in_near("high", 255), Ok(ip("10.77.0.250")));
    assert_eq!(
        hosts.allocate_in_near("high", 7),
        Ok(ip("10.77.0.251")),
        "outside the band"
    );
    assert_eq!(
        hosts
            .allocate_in("middle")
            .map_err(|error| error.to_string()),
        Err("10.77.0.0/24 has no band middle: it has low, high".to_owned())
    );
    hosts.release(ip("10.77.0.2")).expect("claimed above");
    assert_eq!(hosts.allocate_in("low"), Ok(ip("10.77.0.2")));
}

proptest! {
    #[test]
    fn bands_agree_with_a_search_of_all_numbers(
        v6 in any::<bool>(),
        cuts in prop::collection::btree_set(0..256_u64, 4),
        operations in prop::collection::vec((0..4_u8, 0..256_u64), 1..80),
    ) {
        let segment = net(if v6 { "fd5c:1::/120" } else { "10.77.3.0/24" });
        let cuts: Vec<u64> = cuts.into_iter().collect();
        let bands = [Band::new("a", cuts[0], cuts[1] - 1), Band::new("b", cuts[2], cuts[3])];
        let mut hosts = HostPool::with_bands(segment, bands.clone()).expect("disjoint");
        let address = |n: u64| segment.nth(u128::from(n)).expect("inside");
        // The upper half of an IPv6 /120 is subnet anycast (RFC 2526).
        let last = if segment.family() == Family::V4 { 254 } else { 127 };
        let mut taken: BTreeSet<u64> = BTreeSet::new();
        for (kind, n) in operations {
            let usable = (1..=last).contains(&n);
            match kind {
                0 => prop_assert_eq!(hosts.claim(address(n)).is_ok(), usable && taken.insert(n)),
                1 => prop_assert_eq!(hosts.release(address(n)).is_ok(), taken.remove(&n)),
                kind => {
                    let band = &bands[usize::from(kind) - 2];
                    let near = if (band.first..=band.last).contains(&n) { n } else { band.first };
                    let mut order = (near..=band.last).chain(band.first..near);
                    let expected = order.find(|n| (1..=last).contains(n) && !taken.contains(n));
                    match hosts.allocate_in_near(&band.name, n) {
                        Ok(found) => {
                            prop_assert_eq!(Some(found), expected.map(address));
                            taken.extend(expected);
                        }
                        Err(error) => {
                            prop_assert_eq!(expected, None);
                            let exhausted = BandAllocateError::Exhausted { band: band.clone(), segment };
                            prop_assert_eq!(error, exhausted);
                        }
                    }
                }
            }
            let all: Vec<IpAddr> = taken.iter().copied().map(address).collect();
            prop_assert_eq!(hosts.hosts().collect::<Vec<_>>(), all);
            prop_assert_eq!(hosts.count_free(), u128::from(last) - taken.len() as u128);
        }
    }
}
