//! The evaluator itself, on small rule sets written by hand.

use std::net::IpAddr;

use netplan::pf::{Content, Interface, Outcome, Packet, Router, Ruleset, Verdict};

use crate::{interface, net};

fn address(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

/// An uplink, and two networks of both families.
fn router() -> Router {
    let one = |name: &str, addresses: &[&str], networks: &[&str]| Interface {
        name: interface(name),
        addresses: addresses.iter().map(|own| address(own)).collect(),
        networks: networks.iter().map(|own| net(own)).collect(),
    };
    Router {
        interfaces: vec![
            one(
                "em0",
                &["192.0.2.7", "192.0.2.8", "2001:db8::7"],
                &["0.0.0.0/0", "2000::/3"],
            ),
            one("a", &["10.0.0.1", "fd00::1"], &["10.0.0.0/24", "fd00::/64"]),
            one(
                "b",
                &["10.0.1.1", "fd00:0:0:1::1"],
                &["10.0.1.0/24", "fd00:0:0:1::/64"],
            ),
        ],
    }
}

#[track_caller]
fn judge(rules: &str, entering: Option<&str>, from: &str, to: &str, content: Content) -> Outcome {
    let rules = Ruleset::parse(rules).unwrap_or_else(|error| panic!("{rules:?}: {error}"));
    let packet = Packet {
        source: address(from),
        destination: address(to),
        content,
    };
    rules.judge(&router(), entering.map(interface).as_ref(), packet)
}

/// TCP to port 22 from a machine on `a` to one on `b`; the verdict and the lines that decide.
#[track_caller]
fn check(rules: &str, verdict: Verdict, lines: (Option<u32>, Option<u32>)) {
    let outcome = judge(rules, Some("a"), "10.0.0.9", "10.0.1.9", Content::Tcp(22));
    let line = |own: &Option<netplan::pf::Judgement>| own.as_ref().and_then(|own| own.line);
    let found = (line(&outcome.entering), line(&outcome.leaving));
    assert_eq!(
        (outcome.verdict, found),
        (verdict, lines),
        "{rules}{outcome:#?}"
    );
}

#[test]
fn without_a_match_pf_passes() {
    check("", Verdict::Pass, (None, None));
    check("block drop in on b all\n", Verdict::Pass, (None, None));
}

#[test]
fn the_last_match_decides_or_the_first_quick_one() {
    check(
        "block drop in all\npass in all\n",
        Verdict::Pass,
        (Some(2), None),
    );
    check(
        "pass in all\nblock drop in all\n",
        Verdict::Drop,
        (Some(2), None),
    );
    check(
        "pass in quick all\nblock drop in all\n",
        Verdict::Pass,
        (Some(1), None),
    );
    check(
        "block drop all\npass in quick all\n",
        Verdict::Drop,
        (Some(2), Some(1)),
    );
}

#[test]
fn a_packet_is_judged_in_and_out() {
    check(
        "block return out on b all\n",
        Verdict::Return,
        (None, Some(1)),
    );
    check("block drop in on a all\n", Verdict::Drop, (Some(1), None));
    check("block drop out on a all\n", Verdict::Pass, (None, None));
    check(
        "block drop on { em0 b } all\n",
        Verdict::Drop,
        (None, Some(1)),
    );
}

#[test]
fn an_interface_can_be_excluded() {
    check("block drop in on ! a all\n", Verdict::Pass, (None, None));
    check("block drop in on ! b all\n", Verdict::Drop, (Some(1), None));
}

#[test]
fn rules_are_narrowed_by_what_the_packet_is() {
    for (narrowing, matches) in [
        ("inet", true),
        ("inet6", false),
        ("proto tcp", true),
        ("proto { udp icmp }", false),
        ("from 10.0.0.0/24 to any", true),
        ("from ! 10.0.0.0/24 to any", false),
        ("from any to 10.0.1.9", true),
        ("from any to (self)", false),
        ("proto tcp from any to any port { 22 80 }", true),
        ("proto tcp from any to any port 80", false),
        ("inet proto icmp all icmp-type 8", false),
        ("from <unknown> to any", false),
        ("from ! <unknown> to any", true),
        ("all tagged T", false),
    ] {
        let rules = format!("block drop in {narrowing}\n");
        let outcome = judge(&rules, Some("a"), "10.0.0.9", "10.0.1.9", Content::Tcp(22));
        let found = outcome.verdict == Verdict::Drop;
        assert_eq!(found, matches, "{narrowing}");
    }
}

#[test]
fn tables_are_read_wherever_they_stand() {
    let rules = "block drop in from <own> to any\ntable <own> { 10.0.0.0/24 fd00::/64 }\n";
    check(rules, Verdict::Drop, (Some(1), None));
    let outcome = judge(
        rules,
        Some("a"),
        "fd00::9",
        "fd00:0:0:1::9",
        Content::Icmp(128),
    );
    assert_eq!(outcome.verdict, Verdict::Drop);
}

#[test]
fn a_tag_goes_with_the_packet() {
    let out = "block drop out all\npass out all tagged T\n";
    check(
        &format!("pass in on a all tag T\n{out}"),
        Verdict::Pass,
        (Some(1), Some(3)),
    );
    check(
        &format!("pass in on b all tag T\n{out}"),
        Verdict::Drop,
        (None, Some(2)),
    );
    // Also from a rule that a later one overrules.
    check(
        &format!("pass in all tag T\npass in all\n{out}"),
        Verdict::Pass,
        (Some(2), Some(4)),
    );
}

#[test]
fn icmp_is_told_by_type_and_family() {
    let rules = "block drop in all\npass in inet6 proto ipv6-icmp all icmp6-type { 128 135 }\n";
    let verdict = |from, to, content| judge(rules, Some("a"), from, to, content).verdict;
    assert_eq!(
        verdict("fd00::9", "fd00::1", Content::Icmp(135)),
        Verdict::Pass
    );
    assert_eq!(
        verdict("fd00::9", "fd00::1", Content::Icmp(134)),
        Verdict::Drop
    );
    assert_eq!(
        verdict("10.0.0.9", "10.0.0.1", Content::Icmp(135)),
        Verdict::Drop
    );
}

#[test]
fn what_is_for_the_router_does_not_leave() {
    let rules =
        "block return in from any to (self)\npass in proto udp from any to (self) port 53\n";
    let verdict = |content| judge(rules, Some("a"), "10.0.0.9", "192.0.2.8", content);
    let outcome = verdict(Content::Udp(53));
    assert_eq!((outcome.verdict, outcome.leaving), (Verdict::Pass, None));
    assert_eq!(verdict(Content::Tcp(53)).verdict, Verdict::Return);
}

#[test]
fn what_the_router_sends_only_leaves() {
    let rules = "block drop in all\nblock drop out all\npass out on a from (self) to any\n";
    let outcome = judge(rules, None, "10.0.0.1", "10.0.0.9", Content::Tcp(22));
    assert_eq!((outcome.verdict, outcome.entering), (Verdict::Pass, None));
    let outcome = judge(rules, None, "10.0.1.1", "10.0.1.9", Content::Tcp(22));
    assert_eq!(outcome.verdict, Verdict::Drop);
}

#[test]
fn without_a_route_it_ends() {
    let outcome = judge("", Some("a"), "fd00::9", "fd00:0:0:2::9", Content::Tcp(22));
    assert_eq!(outcome.verdict, Verdict::NoRoute);
}

#[test]
fn an_interface_address_is_the_first_or_any() {
    for (set, to, matches) in [
        ("(em0:0)", "192.0.2.7", true),
        ("(em0:0)", "192.0.2.8", false),
        ("(em0)", "192.0.2.8", true),
        ("(em0)", "10.0.0.1", false),
        ("(em0:0)", "2001:db8::7", true),
        ("(absent)", "192.0.2.7", false),
    ] {
        let rules = format!("block drop in from any to {set}\n");
        let from = if to.contains(':') {
            "fd00::9"
        } else {
            "10.0.0.9"
        };
        let outcome = judge(&rules, Some("a"), from, to, Content::Tcp(22));
        assert_eq!(outcome.verdict == Verdict::Drop, matches, "{set} {to}");
    }
}

/// Filters see the translated source, and the first translation that matches counts.
#[test]
fn nat_comes_before_the_filter() {
    let rules = "nat on em0 inet from 10.0.0.0/24 to ! 10.0.0.0/8 -> (em0:0)\n\
                 nat on em0 inet from any to any -> 192.0.2.99\n\
                 block drop out on em0 from 10.0.0.0/8 to any\n\
                 pass out on em0 from 192.0.2.7 to any label \"translated\"\n";
    let outcome = judge(
        rules,
        Some("a"),
        "10.0.0.9",
        "203.0.113.5",
        Content::Tcp(80),
    );
    let left = outcome.leaving.expect("it leaves");
    assert_eq!(
        (outcome.verdict, left.translated_by),
        (Verdict::Pass, Some(1))
    );
    assert_eq!(left.packet.source, address("192.0.2.7"));
    assert_eq!(
        left.label.map(|own| own.to_string()).as_deref(),
        Some("translated")
    );
    let second = judge(
        rules,
        Some("b"),
        "10.0.1.9",
        "203.0.113.5",
        Content::Tcp(80),
    );
    let left = second.leaving.expect("it leaves");
    assert_eq!(left.packet.source, address("192.0.2.99"));
}

#[test]
fn binat_goes_both_ways_and_before_nat() {
    let rules = "nat on em0 inet6 from any to any -> 2001:db8::10\n\
                 binat on em0 inet6 from fd00::/48 to any -> 2001:db8:7::/48\n";
    let outcome = judge(
        rules,
        Some("b"),
        "fd00:0:0:1::9",
        "2001:db8:f::5",
        Content::Tcp(80),
    );
    let left = outcome.leaving.expect("it leaves");
    assert_eq!(left.translated_by, Some(2));
    assert_eq!(left.packet.source, address("2001:db8:7:1::9"));
    let outcome = judge(
        rules,
        Some("em0"),
        "2001:db8:f::5",
        "2001:db8:7:1::9",
        Content::Tcp(80),
    );
    let entered = outcome.entering.expect("it enters");
    assert_eq!(entered.packet.destination, address("fd00:0:0:1::9"));
    assert_eq!(
        outcome.leaving.expect("it leaves").interface,
        interface("b")
    );
}

#[test]
fn rdr_comes_before_binat_and_leads_elsewhere() {
    let rules = "binat on em0 inet from 10.0.0.9 to any -> 192.0.2.8\n\
                 rdr on em0 inet proto tcp from any to (self) port 6443 -> { 10.0.1.5 10.0.1.6 } port 443\n\
                 block drop in on em0 from any to 10.0.0.0/8\n\
                 pass in on em0 proto tcp from any to 10.0.1.5 port 443\n";
    let judge = |port| {
        judge(
            rules,
            Some("em0"),
            "203.0.113.5",
            "192.0.2.8",
            Content::Tcp(port),
        )
    };
    let outcome = judge(6443);
    assert_eq!(outcome.verdict, Verdict::Pass);
    let packet = outcome.packet().expect("a judgement");
    assert_eq!(
        (packet.destination, packet.content),
        (address("10.0.1.5"), Content::Tcp(443))
    );
    assert_eq!(
        outcome.leaving.expect("it leaves").interface,
        interface("b")
    );
    let other = judge(22);
    let entered = other.entering.expect("it enters");
    assert_eq!(
        (other.verdict, entered.translated_by),
        (Verdict::Drop, Some(1))
    );
}
