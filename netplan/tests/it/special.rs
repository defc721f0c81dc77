//! IANA's special-purpose addresses against IANA's files, and what may be allocated.

use netplan::Net;
use netplan::special::{self, Allocatable, Special, allocatable, habits, lookup};

use proptest::prelude::*;

use crate::net;

/// Files of IANA as of 2026-07-18, the registries' own last updates being of 2025-10-09.
const V4_CSV: &str = include_str!("../data/iana-ipv4-special-registry-1.csv");
const V6_CSV: &str = include_str!("../data/iana-ipv6-special-registry-1.csv");

/// Records of fields; a quoted field may hold commas, line ends and doubled quotes (RFC 4180).
fn records(csv: &str) -> Vec<Vec<String>> {
    let mut records = vec![vec![String::new()]];
    let mut quoted = false;
    let mut letters = csv.trim_end().chars().peekable();
    while let Some(letter) = letters.next() {
        let record = records.last_mut().expect("never empty");
        match letter {
            '"' if quoted && letters.peek() == Some(&'"') => {
                letters.next();
                record.last_mut().expect("never empty").push('"');
            }
            '"' => quoted = !quoted,
            ',' if !quoted => record.push(String::new()),
            '\n' if !quoted => records.push(vec![String::new()]),
            _ => record.last_mut().expect("never empty").push(letter),
        }
    }
    records
}

/// A block as IANA writes it: perhaps with a footnote, perhaps two that are one.
fn block(text: &str) -> Net {
    let blocks = text
        .split(", ")
        .map(|part| net(part.split(' ').next().expect("a part")));
    let aggregated = netplan::aggregate(blocks);
    assert_eq!(aggregated.len(), 1, "{text}");
    aggregated[0]
}

fn property(text: &str) -> Option<bool> {
    match text.split(' ').next() {
        Some("True") => Some(true),
        Some("False") => Some(false),
        Some("" | "N/A") => None,
        other => panic!("{other:?} is no property"),
    }
}

/// `[RFC8190]\n  [RFC919], Section 7` as this crate writes it: `RFC 8190; RFC 919, 7`.
fn reference(text: &str) -> String {
    let parts = text
        .split('[')
        .map(str::trim)
        .filter(|part| !part.is_empty());
    let parts = parts.map(|part| {
        part.replace(']', "")
            .replace("Section ", "")
            .replacen("RFC", "RFC ", 1)
    });
    parts
        .map(|part| part.replace("RFC  ", "RFC "))
        .collect::<Vec<_>>()
        .join("; ")
}

fn check(rows: &[Special], csv: &str) {
    let records = records(csv);
    let [header, records @ ..] = &records[..] else {
        panic!("no header");
    };
    assert_eq!(header.len(), 10);
    assert_eq!((rows.len(), records.len()), (25, 25));
    for (row, record) in rows.iter().zip(records) {
        assert_eq!(row.block, block(&record[0]));
        assert_eq!(row.name, record[1]);
        assert_eq!(row.rfc, reference(&record[2]));
        assert_eq!(row.allocated, Some(&*record[3]));
        assert_eq!(row.terminated.unwrap_or("N/A"), record[4]);
        let properties = [
            row.source,
            row.destination,
            row.forwardable,
            row.globally_reachable,
            row.reserved_by_protocol,
        ];
        let expected: Vec<_> = record[5..].iter().map(|text| property(text)).collect();
        assert_eq!(properties[..], expected, "{}", row.block);
    }
}

#[test]
fn the_tables_are_ianas() {
    check(&special::V4, V4_CSV);
    check(&special::V6, V6_CSV);
}

#[test]
fn the_tables_know_what_older_ones_lack() {
    for (block, rfc) in [
        ("64:ff9b:1::/48", "RFC 8215"),
        ("100:0:0:1::/64", "RFC 9780"),
        ("2001:1::3/128", "RFC 9665"),
        ("2001:30::/28", "RFC 9374"),
        ("3fff::/20", "RFC 9637"),
        ("5f00::/16", "RFC 9602"),
    ] {
        let row = lookup(net(block)).next().expect("a row");
        assert_eq!((row.block, row.rfc), (net(block), rfc));
    }
}

/// RFC 6890, 2.2.1: an invalid destination is neither forwarded nor reachable.
#[test]
fn the_properties_obey_rfc_6890() {
    for row in special::V4.iter().chain(&special::V6) {
        if row.destination == Some(false) {
            assert_eq!(row.forwardable, Some(false), "{}", row.block);
            assert_eq!(row.globally_reachable, Some(false), "{}", row.block);
        }
        if row.forwardable == Some(false) {
            assert_eq!(row.globally_reachable, Some(false), "{}", row.block);
        }
        assert_eq!(
            row.terminated.is_some(),
            row.source.is_none(),
            "{}",
            row.block
        );
    }
}

#[test]
fn every_ipv6_address_is_global_unicast_or_in_a_row() {
    let rows = special::V6
        .iter()
        .chain(&special::OTHER)
        .map(|row| row.block);
    let v6 = rows.filter(|block| block.family() == netplan::Family::V6);
    assert_eq!(
        netplan::aggregate(v6.chain([net("2000::/3")])),
        [net("::/0")]
    );
    for (n, row) in special::OTHER.iter().enumerate() {
        let again = special::OTHER[..n]
            .iter()
            .any(|other| other.block.overlaps(row.block));
        assert!(!again, "{} is in two rows", row.block);
    }
}

#[test]
fn lookup_gives_the_most_specific_row_first_and_rows_inside() {
    let blocks = |text: &str| -> Vec<String> {
        lookup(net(text)).map(|row| row.block.to_string()).collect()
    };
    assert_eq!(
        blocks("192.0.0.9/32"),
        ["192.0.0.9/32", "192.0.0.0/24"],
        "a row of its own"
    );
    assert_eq!(blocks("8.8.8.0/24"), [""; 0]);
    assert_eq!(
        blocks("192.88.99.0/24"),
        ["192.88.99.2/32", "192.88.99.0/24"]
    );
    assert_eq!(blocks("fe80::1/128"), ["fe80::/10"]);
    assert_eq!(blocks("::1/128"), ["::1/128", "::/8"]);
    assert_eq!(lookup(net("0.0.0.0/0")).count(), 26);
}

#[test]
fn private_networks_are_for_everybody() {
    for text in [
        "10.0.0.0/8",
        "10.77.0.0/16",
        "172.16.0.0/12",
        "172.31.255.0/24",
        "192.168.0.0/16",
        "192.168.122.0/24",
        "fd00::/8",
        "fd5c:1b2a:9e10::/48",
    ] {
        assert_eq!(allocatable(net(text)), Allocatable::ByDefault, "{text}");
    }
}

#[test]
fn shared_benchmark_and_global_networks_are_for_those_who_ask() {
    for (text, about) in [
        ("100.64.0.0/10", "RFC 6598"),
        ("100.127.255.0/24", "RFC 6598"),
        ("198.18.0.0/15", "RFC 2544"),
        ("2001:2::/48", "RFC 5180"),
        ("8.8.8.0/24", "global"),
        ("172.32.0.0/16", "global"),
        ("2a01:4f8::/32", "global"),
        ("2600::/29", "global"),
    ] {
        let answer = allocatable(net(text));
        assert!(
            matches!(answer, Allocatable::OptIn { .. }),
            "{text}: {answer:?}"
        );
        assert!(answer.to_string().contains(about), "{text}: {answer}");
    }
}

#[test]
fn what_is_never_allocated_says_which_block_is_in_the_way() {
    for (text, blocks) in [
        ("0.0.0.0/8", "lies in 0.0.0.0/8"),
        ("0.0.0.0/0", "contains 240.0.0.0/4"),
        ("127.0.0.0/24", "lies in 127.0.0.0/8"),
        ("169.254.1.0/24", "lies in 169.254.0.0/16"),
        ("192.0.0.0/24", "lies in 192.0.0.0/24"),
        ("192.0.2.0/25", "lies in 192.0.2.0/24"),
        ("198.51.100.0/24", "lies in 198.51.100.0/24"),
        ("203.0.113.0/24", "lies in 203.0.113.0/24"),
        ("192.88.99.0/24", "lies in 192.88.99.0/24"),
        ("224.0.0.0/4", "lies in 224.0.0.0/4"),
        ("239.1.2.0/24", "lies in 224.0.0.0/4"),
        ("240.0.0.0/8", "lies in 240.0.0.0/4"),
        ("224.0.0.0/3", "contains 240.0.0.0/4"),
        ("10.0.0.0/7", "contains 10.0.0.0/8"),
        ("100.0.0.0/8", "contains 100.64.0.0/10"),
        ("::/8", "lies in ::/8"),
        ("::ffff:0:0/96", "lies in ::ffff:0.0.0.0/96"),
        ("64:ff9b::/96", "lies in 64:ff9b::/96"),
        ("2001:db8:1::/48", "lies in 2001:db8::/32"),
        ("2001::/16", "contains 2001::/23"),
        ("3fff::/20", "lies in 3fff::/20"),
        ("4000::/64", "lies in 4000::/3"),
        ("fc00::/7", "contains fc00::/8"),
        ("fc00::/48", "lies in fc00::/8"),
        ("fe80::/64", "lies in fe80::/10"),
        ("fec0::/10", "lies in fec0::/10"),
        ("ff02::/16", "lies in ff00::/8"),
        ("::/0", "contains 4000::/3"),
    ] {
        let answer = allocatable(net(text));
        assert!(
            matches!(answer, Allocatable::Never { .. }),
            "{text}: {answer:?}"
        );
        let expected = format!("the network {blocks},");
        assert!(
            answer.to_string().starts_with(&expected),
            "{text}: {answer}"
        );
    }
}

#[test]
fn habits_are_known_and_narrow_ones_come_first() {
    let who = |text: &str| -> Vec<&str> { habits(net(text)).map(|habit| habit.who).collect() };
    assert_eq!(who("192.168.122.0/24"), ["libvirt", "Docker"]);
    assert_eq!(who("10.244.3.0/24"), ["Flannel", "Cilium"]);
    assert_eq!(who("10.77.0.0/16"), ["Cilium"]);
    assert_eq!(who("172.19.0.0/16"), ["Docker"]);
    assert_eq!(who("fd5c:1b2a:9e10::/48"), [""; 0]);
    for habit in &special::HABITS {
        let answer = allocatable(habit.net);
        let usable = !matches!(answer, Allocatable::Never { .. });
        assert!(usable, "{} could not be taken anyway", habit.net);
    }
}

/// A network some bits wider or longer than the block of a row, or of the default ranges.
fn near_a_row() -> impl Strategy<Value = Net> {
    let blocks = special::V4
        .iter()
        .chain(&special::V6)
        .chain(&special::OTHER);
    let mut nets: Vec<Net> = blocks.map(|row| row.block).collect();
    nets.extend(["fd00::/8", "2000::/3", "2a00::/16", "8.0.0.0/8"].map(net));
    let towards = (0..=6_u8, any::<bool>(), any::<bool>());
    (prop::sample::select(nets), towards).prop_map(|(block, (bits, wider, last))| {
        let address = if last {
            block.last_address()
        } else {
            block.address()
        };
        let len = match wider {
            true => block.prefix_len().saturating_sub(bits),
            false => (block.prefix_len() + bits).min(block.family().bits()),
        };
        Net::containing(address, len).expect("a length")
    })
}

proptest! {
    #[test]
    fn a_part_of_what_may_be_allocated_may_be_allocated(net in near_a_row()) {
        let answer = allocatable(net);
        if let Allocatable::Never { row, .. } = answer {
            prop_assert!(row.block.overlaps(net));
            return Ok(());
        }
        for half in net.halves().into_iter().flatten() {
            prop_assert_eq!(allocatable(half), answer, "{} of {}", half, net);
        }
    }

    #[test]
    fn rows_come_by_length_and_all_of_them(net in near_a_row()) {
        let found: Vec<&Special> = lookup(net).collect();
        prop_assert!(found.is_sorted_by(|a, b| a.block.prefix_len() >= b.block.prefix_len()));
        let all = special::V4.iter().chain(&special::V6).chain(&special::OTHER);
        let expected = all.filter(|row| row.block.covers(net) || net.covers(row.block)).count();
        prop_assert_eq!(found.len(), expected);
    }
}
