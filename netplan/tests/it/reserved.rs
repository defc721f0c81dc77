//! The addresses that no host may have, and where other programs are wrong about them.

use std::net::IpAddr;

use netplan::{Family, Fit, HostPool, Net, RESERVED_RULES, ReservedPlace, reserved};

use crate::net;

fn reserved_texts(segment: &str) -> Vec<String> {
    let reserved = reserved(net(segment));
    reserved.iter().map(|r| r.net.to_string()).collect()
}

/// A network of each length of each family, away from the special values.
fn one_of_each_length() -> impl Iterator<Item = Net> {
    ["10.77.91.137", "fd5c:1b2a:9e10:4321:89ab:cdef:1357:9bdf"]
        .into_iter()
        .flat_map(|address| {
            let address = address.parse().expect("an address");
            (0..=Family::of(address).bits()).map(move |len| Net::containing(address, len))
        })
        .map(|net| net.expect("a length"))
}

#[test]
fn short_segments_reserve_nothing_and_a_64_its_anycast_blocks() {
    for all in ["10.0.0.0/31", "10.0.0.1/32", "fd00::/127", "fd00::1/128"] {
        assert!(reserved(net(all)).is_empty(), "{all}");
    }
    assert_eq!(
        reserved_texts("fd5c::/64"),
        [
            "fd5c::/128",
            "fd5c::200:5eff:fe00:0/104",
            "fd5c::fdff:ffff:ffff:ff80/121"
        ]
    );
}

#[test]
fn rfc_2526_takes_the_top_128_of_every_other_subnet_that_can_spare_them() {
    let top = |segment| reserved_texts(segment)[1..].to_vec();
    assert_eq!(top("fd5c::/112"), ["fd5c::ff80/121"]);
    assert_eq!(top("fd5c::/120"), ["fd5c::80/121"]);
    assert_eq!(
        top("fd5c:1b2a:9e10::/48"),
        ["fd5c:1b2a:9e10:ffff:ffff:ffff:ffff:ff80/121"]
    );
    for short in ["fd5c::/121", "fd5c::/122", "fd5c::/126"] {
        assert_eq!(reserved_texts(short), ["fd5c::/128"], "{short}");
    }
}

#[test]
fn every_length_has_a_rule_and_every_rule_its_lengths() {
    for segment in one_of_each_length() {
        let rules: Vec<_> = RESERVED_RULES
            .iter()
            .filter(|rule| rule.applies_to(segment))
            .collect();
        assert!(!rules.is_empty(), "{segment}");
        let free = rules.iter().any(|rule| rule.place == ReservedPlace::None);
        assert_eq!(free, reserved(segment).is_empty(), "{segment}");
        assert!(!free || rules.len() == 1, "{segment}");
    }
    for rule in &RESERVED_RULES {
        let longest = *rule.lengths.end();
        assert!(longest <= rule.family.bits(), "{}", rule.name);
        assert!(rule.rfc.starts_with("RFC "), "{}", rule.name);
    }
}

#[test]
fn reserved_ranges_are_disjoint_and_leave_a_host_in_every_segment() {
    for segment in one_of_each_length() {
        let ranges: Vec<Net> = reserved(segment).iter().map(|r| r.net).collect();
        for (n, range) in ranges.iter().enumerate() {
            assert!(segment.covers(*range), "{range} is not in {segment}");
            assert!(
                !ranges[..n].iter().any(|other| other.overlaps(*range)),
                "{range} twice in {segment}"
            );
        }
        let host = segment.hosts().next().expect("a host");
        assert!(segment.contains(host));
        assert!(
            !ranges.iter().any(|range| range.contains(host)),
            "{host} is reserved"
        );
    }
}

/// Each row is a mistake that a released allocator makes; the number is the right one.
#[test]
fn host_counts_where_other_allocators_differ() {
    let top = 128;
    let cases: [(&str, u128, &str); 14] = [
        ("10.0.0.0/24", 254, "all but network and broadcast"),
        ("10.0.0.0/30", 2, "all but network and broadcast"),
        ("10.0.0.0/31", 2, "go-ipam gives none; whereabouts refuses"),
        ("10.0.0.7/32", 1, "all of it"),
        ("0.0.0.0/0", (1 << 32) - 2, "the largest IPv4 network"),
        (
            "fd00::/127",
            2,
            "moby reserves the first; whereabouts refuses",
        ),
        ("fd00::1/128", 1, "all of it"),
        (
            "fd00::/126",
            3,
            "Nautobot and ipnet give the anycast address",
        ),
        ("fd00::/121", 127, "no 128 to spare for RFC 2526"),
        (
            "fd00::/120",
            255 - top,
            "Kubernetes and NetBox give the top 128",
        ),
        (
            "fd00::/112",
            65_535 - top,
            "Kubernetes and NetBox give the top 128",
        ),
        (
            "fd00::/64",
            (1 << 64) - 1 - top - (1 << 24),
            "NetBox takes off the anycast address alone",
        ),
        (
            "fd00::/48",
            (1 << 80) - 1 - top,
            "no segment of hosts, but a subnet",
        ),
        (
            "::/0",
            u128::MAX - top,
            "fits because the first is reserved",
        ),
    ];
    for (segment, count, why) in cases {
        assert_eq!(net(segment).host_count(), count, "{segment}: {why}");
    }
}

#[test]
fn hosts_are_the_addresses_between_the_reserved_ones() {
    let texts = |segment: &str| -> Vec<String> {
        net(segment)
            .hosts()
            .map(|address| address.to_string())
            .collect()
    };
    assert_eq!(texts("10.0.0.0/31"), ["10.0.0.0", "10.0.0.1"]);
    assert_eq!(
        texts("255.255.255.252/30"),
        ["255.255.255.253", "255.255.255.254"]
    );
    assert_eq!(texts("fd00::/126"), ["fd00::1", "fd00::2", "fd00::3"]);
    let last = texts("fd00::/120").pop().expect("127 hosts");
    assert_eq!(last, "fd00::7f");

    // Around IANA's Ethernet block of a /64, which is far behind the first host.
    let mut hosts = net("fd00::/64").hosts();
    assert_eq!(hosts.size_hint().0, 0xffff_ffff_feff_ff7f);
    let before = hosts.nth(0x0200_5eff_fdff_fffe).expect("a host");
    assert_eq!(before.to_string(), "fd00::200:5eff:fdff:ffff");
    let behind = hosts.next().expect("a host");
    assert_eq!(behind.to_string(), "fd00::200:5eff:ff00:0");
    assert_eq!(hosts.nth(usize::MAX), None);
    assert_eq!(hosts.next(), None);
}

#[test]
fn a_host_pool_gives_the_hosts() {
    for segment in one_of_each_length().filter(|segment| segment.host_bits() <= 9) {
        let mut pool = HostPool::new(segment);
        let given = std::iter::from_fn(|| pool.allocate(Fit::Lowest).ok());
        let given: Vec<IpAddr> = given.collect();
        assert_eq!(given, segment.hosts().collect::<Vec<_>>(), "{segment}");
    }
}

#[test]
fn the_first_host_is_the_usual_gateway() {
    for (segment, gateway) in [("10.77.0.0/24", "10.77.0.1"), ("fd5c::/64", "fd5c::1")] {
        let first = net(segment).hosts().next().expect("a host");
        assert_eq!(first.to_string(), gateway);
    }
}
