//! Halves, differences and unions of networks, by example and by property.

use std::collections::HashSet;
use std::net::{IpAddr, Ipv4Addr};

use ipnet::{IpNet, Ipv4Subnets};
use netplan::{Family, Net, aggregate, summarize};
use proptest::prelude::*;

use crate::net;

fn nets(texts: &[&str]) -> Vec<Net> {
    texts.iter().map(|text| net(text)).collect()
}

fn address(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

#[test]
fn supernets_and_buddies_end_at_the_whole_family() {
    for whole in ["0.0.0.0/0", "::/0"] {
        assert_eq!(net(whole).supernet(), None);
        assert_eq!(net(whole).buddy(), None);
    }
    assert_eq!(net("0.0.0.0/1").buddy(), Some(net("128.0.0.0/1")));
    assert_eq!(net("ffff::/128").buddy(), Some(net("ffff::1/128")));
    assert_eq!(
        net("255.255.255.255/32").supernet(),
        Some(net("255.255.255.254/31"))
    );
    assert_eq!(net("::/0").halves(), Some([net("::/1"), net("8000::/1")]));
    assert_eq!(net("10.0.0.1/32").halves(), None);
    assert_eq!(net("fd00::1/128").halves(), None);
}

#[test]
fn sizes_of_the_largest_and_the_smallest() {
    assert_eq!(net("::/0").address_count(), None);
    assert_eq!(net("::/1").address_count(), Some(1 << 127));
    assert_eq!(net("0.0.0.0/0").address_count(), Some(1 << 32));
    assert_eq!(net("fd00::/128").address_count(), Some(1));
    assert_eq!(
        (net("10.0.0.0/24").host_bits(), net("::/0").host_bits()),
        (8, 128)
    );
    assert!(net("10.0.0.1/32").is_single() && !net("10.0.0.0/31").is_single());
}

#[test]
fn subnets_of_the_largest_networks() {
    let mut all = net("::/0").subnets(128).expect("a length");
    assert_eq!(all.size_hint(), (usize::MAX, None));
    assert_eq!(all.nth(usize::MAX), Some(net("::ffff:ffff:ffff:ffff/128")));
    assert_eq!(all.next(), Some(net("::1:0:0:0:0/128")));
    assert_eq!(
        all.next_back(),
        Some(net("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff/128"))
    );

    let whole: Vec<Net> = net("::/0").subnets(0).expect("its own").collect();
    assert_eq!(whole, [net("::/0")]);
    let quarters: Vec<Net> = net("0.0.0.0/0").subnets(2).expect("a length").collect();
    assert_eq!(
        quarters,
        nets(&["0.0.0.0/2", "64.0.0.0/2", "128.0.0.0/2", "192.0.0.0/2"])
    );
    let mut last = net("255.255.255.0/24").subnets(25).expect("a length");
    assert_eq!(last.size_hint(), (2, Some(2)));
    assert_eq!(last.nth(1), Some(net("255.255.255.128/25")));
    assert_eq!(
        (last.next(), last.next_back(), last.size_hint().0),
        (None, None, 0)
    );
}

#[test]
fn subnets_of_impossible_lengths_are_errors() {
    let text = |of: &str, len| net(of).subnets(len).expect_err("refused").to_string();
    assert_eq!(
        text("10.77.0.0/16", 15),
        "10.77.0.0/16 has no subnets of /15: ask for /16 to /32"
    );
    assert_eq!(
        text("fd00::/64", 129),
        "fd00::/64 has no subnets of /129: ask for /64 to /128"
    );
}

#[test]
fn subtraction_leaves_the_buddies_on_the_way() {
    let rest = net("10.0.0.0/8").subtract(net("10.96.0.0/12"));
    let expected = [
        "10.0.0.0/10",
        "10.64.0.0/11",
        "10.112.0.0/12",
        "10.128.0.0/9",
    ];
    assert_eq!(rest, nets(&expected));
    assert_eq!(net("10.0.0.0/8").subtract(net("10.0.0.0/8")), []);
    assert_eq!(net("10.0.0.0/16").subtract(net("10.0.0.0/8")), []);
    assert_eq!(
        net("10.0.0.0/8").subtract(net("11.0.0.0/8")),
        [net("10.0.0.0/8")]
    );
    assert_eq!(net("10.0.0.0/8").subtract(net("::/0")), [net("10.0.0.0/8")]);
    assert_eq!(net("::/0").subtract(net("::1/128")).len(), 128);
}

#[test]
fn aggregation_goes_up_to_the_whole_family_and_no_further() {
    assert_eq!(
        aggregate(nets(&["128.0.0.0/1", "0.0.0.0/1"])),
        [net("0.0.0.0/0")]
    );
    let both = nets(&["8000::/1", "0.0.0.0/0", "::/1", "10.0.0.0/8"]);
    assert_eq!(aggregate(both), nets(&["0.0.0.0/0", "::/0"]));
    // Neighbours that are no buddies: no network contains just the two.
    let neighbours = nets(&["10.0.1.0/24", "10.0.2.0/24"]);
    assert_eq!(aggregate(neighbours.clone()), neighbours);
    assert_eq!(aggregate([]), []);
}

#[test]
fn ranges_are_summarized_up_to_the_last_address() {
    let of = |first, last| summarize(address(first), address(last)).expect("a range");
    assert_eq!(of("0.0.0.0", "255.255.255.255"), [net("0.0.0.0/0")]);
    assert_eq!(
        of("::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
        [net("::/0")]
    );
    assert_eq!(of("10.0.0.5", "10.0.0.5"), [net("10.0.0.5/32")]);
    assert_eq!(
        of("::1", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffe").len(),
        254
    );
    for (first, last) in [
        ("10.0.0.2", "10.0.0.1"),
        ("10.0.0.1", "::1"),
        ("::1", "10.0.0.1"),
    ] {
        let error = summarize(address(first), address(last)).expect_err("no range");
        let expected = format!(
            "{first} to {last} is not a range: give two addresses of one family, the lower one first"
        );
        assert_eq!(error.to_string(), expected);
    }
}

/// ipnet's #70, corrected in its 2.12.1, and #71, corrected in 2.12.2: ranges that end one
/// address before the last one of the family held that one too. The version of ipnet must not go
/// back, because `Net` shows its type; and our own functions must not have the mistake.
#[test]
fn a_range_that_ends_at_the_last_but_one_address_does_not_hold_the_last() {
    let (first, last_but_one) = (Ipv4Addr::UNSPECIFIED, Ipv4Addr::from_bits(u32::MAX - 1));
    let held = |nets: &[IpNet]| {
        nets.iter()
            .any(|net| net.contains(&IpAddr::V4(Ipv4Addr::BROADCAST)))
    };

    let subnets: Vec<IpNet> = Ipv4Subnets::new(first, last_but_one, 0)
        .map(IpNet::V4)
        .collect();
    assert!(!held(&subnets), "{subnets:?}");
    let own = summarize(first.into(), last_but_one.into()).expect("a range");
    assert_eq!(
        own.iter().map(|net| net.as_ipnet()).collect::<Vec<_>>(),
        subnets
    );

    let single = net("255.255.255.254/32").as_ipnet();
    assert_eq!(IpNet::aggregate(&vec![single]), [single]);
    assert_eq!(aggregate([single.into()]), [net("255.255.255.254/32")]);
    let v6 = "ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffe/128";
    assert_eq!(
        IpNet::aggregate(&vec![net(v6).as_ipnet()]),
        [net(v6).as_ipnet()]
    );
    assert_eq!(aggregate([net(v6)]), [net(v6)]);
}

#[test]
fn host_bits_never_enter() {
    let with_bits: IpNet = "10.0.0.5/24".parse().expect("ipnet takes it");
    assert_eq!(Net::from(with_bits), net("10.0.0.0/24"));
    let both = [Net::from(with_bits), net("10.0.0.0/24")];
    assert_eq!(HashSet::from(both).len(), 1);
    let bits = Net::new(address("fd00::1"), 64).expect_err("host bits");
    assert_eq!(
        bits.to_string(),
        "fd00::1/64 has bits set behind its prefix: write fd00::/64"
    );
}

/// Networks close to one another, at the start, in the middle and at the end of each family, so
/// that most of them meet.
fn any_net() -> impl Strategy<Value = Net> {
    let base = prop_oneof![
        Just(0_u128),
        Just(0x0a4d_0000),
        Just(u128::MAX),
        Just(0xffff_0a00_0000),
        any::<u128>()
    ];
    (any::<bool>(), base, 0..=0x3f_u128, 0..=128_u8).prop_map(|(v4, base, low, len)| {
        let bits = base ^ low;
        if v4 {
            let address = u32::try_from(bits & u128::from(u32::MAX)).expect("masked");
            Net::containing(Ipv4Addr::from_bits(address).into(), len.min(32))
        } else {
            Net::containing(IpAddr::V6(bits.into()), len)
        }
        .expect("a length of the family")
    })
}

/// The first and the last address as numbers.
fn span(net: Net) -> (Family, u128, u128) {
    let number = |address| match address {
        IpAddr::V4(v4) => u128::from(v4.to_bits()),
        IpAddr::V6(v6) => v6.to_bits(),
    };
    (
        net.family(),
        number(net.address()),
        number(net.last_address()),
    )
}

/// Whether nothing could be joined: in order, disjoint, and no two neighbours are buddies.
fn is_minimal(nets: &[Net]) -> bool {
    nets.windows(2).all(|pair| {
        let [a, b] = pair else { return false };
        a < b && !a.overlaps(*b) && a.buddy() != Some(*b)
    })
}

/// Joined spans, which do not depend on how the addresses are cut into networks.
fn joined(nets: &[Net]) -> Vec<(Family, u128, u128)> {
    let mut spans: Vec<_> = nets.iter().map(|net| span(*net)).collect();
    spans.sort_unstable();
    spans.dedup_by(|next, last| {
        let touches = next.0 == last.0 && next.1 <= last.2.saturating_add(1);
        if touches {
            last.2 = last.2.max(next.2);
        }
        touches
    });
    spans
}

proptest! {
    #[test]
    fn the_order_is_total_and_puts_a_network_before_what_it_contains(
        a in any_net(), b in any_net(), c in any_net(),
    ) {
        prop_assert_eq!(a.cmp(&b), b.cmp(&a).reverse());
        prop_assert_eq!(a.cmp(&b).is_eq(), a == b);
        if a <= b && b <= c {
            prop_assert!(a <= c);
        }
        let key = |net: Net| (net.family(), net.address(), net.prefix_len());
        prop_assert_eq!(a.cmp(&b), key(a).cmp(&key(b)));
        if a.covers(b) {
            prop_assert!(a <= b);
        }
        // Nothing that `a` does not cover sorts between it and what it covers.
        if a.covers(c) && a <= b && b <= c {
            prop_assert!(a.covers(b));
        }
    }

    #[test]
    fn overlap_is_that_of_the_addresses(a in any_net(), b in any_net()) {
        let ((af, a1, a2), (bf, b1, b2)) = (span(a), span(b));
        prop_assert_eq!(a.overlaps(b), af == bf && a1 <= b2 && b1 <= a2);
        prop_assert_eq!(a.covers(b), af == bf && a1 <= b1 && b2 <= a2);
        prop_assert_eq!(a.contains(b.address()), af == bf && a1 <= b1 && b1 <= a2);
    }

    #[test]
    fn buddies_are_each_others_and_make_the_supernet(a in any_net()) {
        let Some(buddy) = a.buddy() else {
            prop_assert_eq!(a.prefix_len(), 0);
            return Ok(());
        };
        prop_assert_eq!(buddy.buddy(), Some(a));
        prop_assert_eq!(buddy.supernet(), a.supernet());
        prop_assert!(!a.overlaps(buddy));
        let supernet = a.supernet().expect("not a /0");
        prop_assert_eq!(supernet.prefix_len() + 1, a.prefix_len());
        prop_assert_eq!(supernet.halves(), Some([a.min(buddy), a.max(buddy)]));
        prop_assert_eq!(aggregate([buddy, a]), [supernet]);
    }

    #[test]
    fn subtraction_is_disjoint_minimal_and_undone_by_a_union(a in any_net(), b in any_net()) {
        let rest = a.subtract(b);
        prop_assert!(is_minimal(&rest), "{:?}", rest);
        prop_assert!(rest.iter().all(|net| a.covers(*net) && !net.overlaps(b)));
        let mut all = rest.clone();
        all.extend(a.overlaps(b).then_some(if b.covers(a) { a } else { b }));
        prop_assert_eq!(aggregate(all), [a]);
    }

    #[test]
    fn aggregation_is_canonical(
        mut nets in prop::collection::vec(any_net(), 0..30), swap in any::<u64>(),
    ) {
        let once = aggregate(nets.iter().copied());
        prop_assert!(is_minimal(&once), "{:?}", once);
        prop_assert_eq!(joined(&once), joined(&nets));
        prop_assert_eq!(&aggregate(once.iter().copied()), &once);
        // Another order, and some networks cut in half.
        if let Some(len) = u64::try_from(nets.len()).ok().filter(|len| *len > 0) {
            let at = usize::try_from(swap % len).expect("an index");
            nets.rotate_left(at);
            nets.reverse();
            if let Some(halves) = nets[0].halves() {
                nets.splice(..1, halves);
            }
        }
        prop_assert_eq!(aggregate(nets), once);
    }

    #[test]
    fn a_summary_is_the_range_and_minimal(a in any_net(), b in any_net()) {
        let (first, last) = (a.address(), b.last_address());
        let Ok(nets) = summarize(first, last) else {
            prop_assert!(a.family() != b.family() || last < first);
            return Ok(());
        };
        prop_assert!(is_minimal(&nets), "{:?}", nets);
        prop_assert_eq!(joined(&nets), [(a.family(), span(a).1, span(b).2)]);
        prop_assert!(nets.len() <= 2 * usize::from(a.family().bits()));
    }

    #[test]
    fn subnets_are_a_partition_from_both_ends(a in any_net(), more in 0..=7_u8, skip in 0..200_usize) {
        let len = (a.prefix_len() + more).min(a.family().bits());
        let subnets = a.subnets(len).expect("a length");
        let all: Vec<Net> = subnets.clone().collect();
        prop_assert_eq!(subnets.size_hint(), (all.len(), Some(all.len())));
        prop_assert_eq!(all.len(), 1 << (len - a.prefix_len()));
        prop_assert!(all.iter().all(|net| net.prefix_len() == len));
        prop_assert_eq!(aggregate(all.iter().copied()), [a]);
        let mut back: Vec<Net> = subnets.clone().rev().collect();
        back.reverse();
        prop_assert_eq!(&back, &all);
        let mut skipped = subnets;
        prop_assert_eq!(skipped.nth(skip), all.get(skip).copied());
        prop_assert_eq!(skipped.next(), all.get(skip + 1).copied());
    }

    #[test]
    fn hosts_are_counted_as_they_are_given(a in any_net(), skip in 0..300_usize) {
        let small = a.subnets(a.prefix_len().max(a.family().bits() - 9)).expect("a length").next();
        let small = small.expect("at least one");
        let hosts: Vec<IpAddr> = small.hosts().collect();
        prop_assert_eq!(hosts.len() as u128, small.host_count());
        prop_assert_eq!(small.hosts().size_hint(), (hosts.len(), Some(hosts.len())));
        prop_assert!(hosts.is_sorted() && hosts.iter().all(|host| small.contains(*host)));
        prop_assert_eq!(small.hosts().nth(skip), hosts.get(skip).copied());
        let reserved: u128 = netplan::reserved(small)
            .iter()
            .map(|reserved| reserved.net.address_count().expect("small"))
            .sum();
        let count = small.address_count().expect("small");
        prop_assert_eq!(small.host_count() + reserved, count);
    }

    #[test]
    fn text_comes_back_and_is_canonical(a in any_net()) {
        let text = a.to_string();
        let mapped = a.prefix_len() > 96 && net("::ffff:0:0/96").covers(a);
        prop_assert_eq!(text.parse::<Net>().ok(), (!mapped).then_some(a));
        if let Some((address, len)) = text.split_once('/') {
            let address: IpAddr = address.parse().expect("an address");
            prop_assert_eq!(address.to_string() + "/" + len, text);
        }
    }
}
