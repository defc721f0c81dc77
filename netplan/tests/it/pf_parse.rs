//! What pfctl takes and what it refuses, fact by fact.

use netplan::pf::{
    Action, Address, Filter, Hosts, InterfaceAddress, List, Nat, NatSource, On, ParseError,
    Problem, Ruleset, Statement, Table, TableName,
};
use netplan::{Family, NameError};

use crate::{interface, net};

#[track_caller]
fn refused(text: &str) -> ParseError {
    Ruleset::parse(text).expect_err("a text that is refused")
}

/// Refused at this place, for this reason.
#[track_caller]
fn check_refused(text: &str, (line, column): (u32, u32), problem: Problem) {
    let error = refused(text);
    assert_eq!(
        (error.line, error.column, &error.problem),
        (line, column, &problem),
        "{error}"
    );
}

#[track_caller]
fn statements(text: &str) -> Vec<Statement> {
    let rules = Ruleset::parse(text).unwrap_or_else(|error| panic!("{text:?}: {error}"));
    rules
        .statements()
        .map(|(_, statement)| statement.clone())
        .collect()
}

/// Both texts are taken and mean the same.
#[track_caller]
fn check_same(text: &str, other: &str) {
    assert_eq!(statements(text), statements(other));
}

#[test]
fn a_newline_ends_the_last_statement() {
    check_refused("block drop all", (1, 15), Problem::NoNewline);
    check_refused("pass all\nblock drop all", (2, 15), Problem::NoNewline);
    // A comment needs none: pfctl's lexer ends it at the end of the file too.
    check_same("block drop all\n# the end", "block drop all\n");
    assert!(statements("").is_empty());
}

#[test]
fn carriage_returns_are_errors() {
    check_refused("block drop all\r\n", (1, 15), Problem::CarriageReturn);
    check_refused("\r\n", (1, 1), Problem::CarriageReturn);
}

#[test]
fn interface_names_have_fifteen_bytes() {
    assert_eq!(statements("block drop on fifteen.letters all\n").len(), 1);
    for text in [
        "block drop on sixteen0.letters1 all\n",
        "nat on em0 inet from any to any -> (sixteen0.letters1:0)\n",
        "nat on em0 inet from any to any -> (sixteen0.letters1)\n",
    ] {
        let error = refused(text);
        assert!(matches!(error.problem, Problem::Name(_)), "{error}");
        assert!(error.to_string().contains("1 to 15"), "{error}");
    }
}

#[test]
fn table_names_have_thirty_one_bytes() {
    let name = |length: usize| "t".repeat(length);
    assert_eq!(
        statements(&format!("table <{}> {{ }}\n", name(31))).len(),
        1
    );
    let error = refused(&format!("table <{}> {{ }}\n", name(32)));
    assert_eq!((error.line, error.column), (1, 8));
    assert!(error.to_string().contains("1 to 31"), "{error}");
    let error = refused(&format!("block drop from <{}> to any\n", name(32)));
    assert!(matches!(
        error.problem,
        Problem::Name(NameError {
            kind: "table name",
            ..
        })
    ));
}

#[test]
fn labels_and_tags_have_sixty_three_bytes() {
    for (option, kind) in [("label", "label"), ("tag", "tag"), ("tagged", "tag")] {
        let text = |length: usize| format!("pass all {option} \"{}\"\n", "x".repeat(length));
        assert_eq!(statements(&text(63)).len(), 1);
        let error = refused(&text(64));
        assert!(
            matches!(&error.problem, Problem::Name(own) if own.kind == kind),
            "{error}"
        );
    }
    // `$nr` and its like would become something else.
    assert!(matches!(
        refused("pass all label \"$nr\"\n").problem,
        Problem::Name(_)
    ));
}

#[test]
fn a_comma_at_the_end_of_a_line_is_an_error() {
    check_refused(
        "table <lab> { 10.0.0.0/8,\n 172.16.0.0/12 }\n",
        (1, 26),
        Problem::CommaNewline,
    );
    check_refused(
        "pass on { em0,\nem1 } all\n",
        (1, 15),
        Problem::CommaNewline,
    );
    let one = "table <lab> { 10.0.0.0/8 172.16.0.0/12 }\n";
    check_same("table <lab> { 10.0.0.0/8\n 172.16.0.0/12\n}\n", one);
    check_same("table <lab> {\n10.0.0.0/8, 172.16.0.0/12 }\n", one);
    check_same("table <lab> { 10.0.0.0/8, \\\n172.16.0.0/12 }\n", one);
}

#[test]
fn words_of_the_grammar_are_no_names() {
    for word in [
        "log",
        "in",
        "tag",
        "queue",
        "all",
        "any",
        "port",
        "nat-anchor",
    ] {
        check_refused(
            &format!("table <{word}> {{ }}\n"),
            (1, 8),
            Problem::Keyword("table name"),
        );
        check_refused(
            &format!("pass on {word} all\n"),
            (1, 9),
            Problem::Keyword("interface"),
        );
        check_refused(
            &format!("pass all tag {word}\n"),
            (1, 14),
            Problem::Keyword("tag"),
        );
    }
    // In quotes they are, but this crate does not write such tables.
    assert!(matches!(
        refused("table <\"log\"> { }\n").problem,
        Problem::Name(_)
    ));
    assert_eq!(statements("pass on \"log\" all\n").len(), 1);
}

#[test]
fn macros_are_unknown() {
    let unknown = Problem::UnknownMacro("ext_if".to_owned());
    check_refused("pass on $ext_if all\n", (1, 9), unknown);
    // And are not defined in an anchor of this crate.
    assert_eq!(refused("ext_if = \"em0\"\n").line, 1);
}

#[test]
fn tables_have_no_ranges() {
    check_refused(
        "table <lab> { 10.0.0.1 - 10.0.0.9 }\n",
        (1, 24),
        Problem::Range,
    );
    check_refused(
        "table <lab> { 10.0.0.1-10.0.0.9 }\n",
        (1, 15),
        Problem::Range,
    );
}

#[test]
fn tables_are_defined_once() {
    let text = "table <lab> { }\npass all\ntable <lab> { 10.0.0.0/8 }\n";
    check_refused(text, (3, 1), Problem::SecondTable);
}

#[test]
fn an_unknown_table_is_no_error() {
    let statements = statements("block drop from <nobody> to any\n");
    let from = Hosts::In(Address::Table(TableName::new("nobody").expect("a name")));
    let rule = Filter {
        from,
        quick: false,
        ..Filter::quick(Action::Drop)
    };
    assert_eq!(statements, [Statement::Filter(rule)]);
}

#[test]
fn bits_behind_a_prefix_are_masked() {
    check_same(
        "table <lab> { 10.0.0.5/24 }\n",
        "table <lab> { 10.0.0.0/24 }\n",
    );
    check_same(
        "table <lab> { fd00::1/64 }\n",
        "table <lab> { fd00::/64 }\n",
    );
    check_same(
        "table <lab> { 10.0.0.5/32 }\n",
        "table <lab> { 10.0.0.5 }\n",
    );
    assert!(matches!(
        refused("table <lab> { 10.0.0.0/33 }\n").problem,
        Problem::Net(_)
    ));
    assert!(matches!(
        refused("table <lab> { 10.0.0.0/256 }\n").problem,
        Problem::Expected(_)
    ));
}

#[test]
fn binat_maps_equal_lengths() {
    let (inside, outside) = (net("fd00::/48"), net("2001:db8::/56"));
    check_refused(
        "binat on em0 inet6 from fd00::/48 to any -> 2001:db8::/56\n",
        (1, 45),
        Problem::BinatLengths { inside, outside },
    );
    assert_eq!(
        statements("binat on em0 from fd00::/48 to any -> 2001:db8::/48\n").len(),
        1
    );
    check_refused(
        "binat on em0 inet from fd00::/48 to any -> 2001:db8::/48\n",
        (1, 7),
        Problem::Family {
            family: Family::V4,
            found: Family::V6,
        },
    );
    // A table has no length.
    assert!(matches!(
        refused("binat on em0 inet from <lab> to any -> 10.0.0.0/8\n").problem,
        Problem::Expected(_)
    ));
}

#[test]
fn translation_stands_before_filtering() {
    for text in [
        "nat on em0 inet from any to any -> (em0:0)\n",
        "binat on em0 inet from 10.0.0.1 to any -> 192.0.2.1\n",
        "rdr on em0 inet proto tcp from any to (self) port 80 -> 10.0.0.1 port 80\n",
    ] {
        check_refused(&format!("pass all\n{text}"), (2, 1), Problem::Order);
        assert_eq!(statements(&format!("{text}pass all\n")).len(), 2);
    }
    // Tables may stand anywhere.
    assert_eq!(statements("pass all\ntable <lab> { }\n").len(), 2);
}

#[test]
fn nat_takes_the_first_address_or_all() {
    let nat = |first_only| {
        Statement::Nat(Nat {
            on: On::OneOf(List::one(interface("em0"))),
            family: Some(Family::V4),
            from: Hosts::Any,
            to: Hosts::Any,
            source: NatSource::Interface(InterfaceAddress {
                interface: interface("em0"),
                first_only,
            }),
        })
    };
    assert_eq!(
        statements("nat on em0 inet from any to any -> (em0:0)\n"),
        [nat(true)]
    );
    assert_eq!(
        statements("nat on em0 inet from any to any -> (em0)\n"),
        [nat(false)]
    );
    let error = refused("nat on em0 inet from any to any -> (em0:network)\n");
    assert!(matches!(error.problem, Problem::NotWritten(_)), "{error}");
    // Without parentheses an absent interface is an error.
    check_refused(
        "nat on em0 inet from any to any -> em0\n",
        (1, 36),
        Problem::NoAddress,
    );
    check_refused(
        "pass from em0:network to any\n",
        (1, 11),
        Problem::NoAddress,
    );
}

#[test]
fn families_do_not_mix() {
    let problem = Problem::Family {
        family: Family::V4,
        found: Family::V6,
    };
    for text in [
        "pass inet from fd00::/8 to any\n",
        "pass from 10.0.0.0/8 to fd00::/8\n",
        "nat on em0 inet from any to any -> 2001:db8::1\n",
        "rdr on em0 inet proto tcp from any to any port 80 -> fd00::1 port 80\n",
    ] {
        assert_eq!(refused(text).problem, problem, "{text}");
    }
    // A table picks the addresses of the family.
    assert_eq!(
        statements("nat on em0 from <lab> to ! <lab> -> (em0:0)\n").len(),
        1
    );
}

#[test]
fn ports_need_tcp_or_udp() {
    for text in [
        "pass from any to any port 53\n",
        "pass proto icmp from any to any port 53\n",
        "pass proto { udp ipv6-icmp } from any to any port 53\n",
    ] {
        assert_eq!(refused(text).problem, Problem::Ports, "{text}");
    }
    check_refused(
        "pass proto tcp to any port 65536\n",
        (1, 28),
        Problem::Expected("a port as a number from 0 to 65535"),
    );
    check_refused(
        "pass proto tcp to any port domain\n",
        (1, 28),
        Problem::Expected("a port as a number from 0 to 65535"),
    );
}

#[test]
fn icmp_types_need_family_and_protocol() {
    for text in [
        "pass inet6 all icmp6-type 128\n",
        "pass proto ipv6-icmp all icmp6-type 128\n",
        "pass inet6 proto tcp all icmp6-type 128\n",
        "pass inet proto icmp all icmp6-type 128\n",
        "pass inet6 proto ipv6-icmp all icmp-type 8\n",
    ] {
        assert_eq!(refused(text).problem, Problem::IcmpTypes, "{text}");
    }
    for text in [
        "pass inet6 proto icmp all\n",
        "pass proto icmp from any to fd00::/8\n",
    ] {
        assert_eq!(refused(text).problem, Problem::ProtocolFamily, "{text}");
    }
    // `icmp6` depends on /etc/protocols, and names of types on the release.
    check_refused(
        "pass proto icmp6 all\n",
        (1, 12),
        Problem::Expected("tcp, udp, icmp or ipv6-icmp"),
    );
    let error = refused("pass inet proto icmp all icmp-type echoreq\n");
    assert!(matches!(error.problem, Problem::Expected(_)), "{error}");
}

#[test]
fn blocks_keep_no_state() {
    check_refused("block drop all keep state\n", (1, 1), Problem::StateOfBlock);
}

#[test]
fn options_come_in_any_order_and_once() {
    check_same(
        "pass all label \"a\" keep state tag B tagged C\n",
        "pass all tagged C tag B keep state label \"a\"\n",
    );
    for text in [
        "keep state no state",
        "tag A tag B",
        "label \"a\" label \"b\"",
    ] {
        assert_eq!(
            refused(&format!("pass all {text}\n")).problem,
            Problem::Twice,
            "{text}"
        );
    }
}

#[test]
fn hosts_may_be_left_out() {
    check_same("pass quick on em0\n", "pass quick on em0 all\n");
    check_same("pass from any\n", "pass all\n");
    check_same("pass to <lab>\n", "pass from any to <lab>\n");
}

#[test]
fn blanks_and_comments_are_dropped_and_lines_counted() {
    let rules = Ruleset::parse("# one\n\n\tpass all # here\npass \\\n in all\nblock drop all\n");
    let rules = rules.expect("a rule set");
    let lines: Vec<u32> = rules.statements().map(|(line, _)| line).collect();
    assert_eq!(lines, [3, 4, 6]);
}

#[test]
fn what_this_crate_does_not_write_is_refused() {
    for (text, part) in [
        ("set skip on lo0\n", "main pf.conf"),
        ("antispoof for em0\n", "expands to nothing"),
        ("ether block in quick on tap0 all\n", "FreeBSD 14"),
        ("block all\n", "block-policy"),
        ("block in all\n", "block-policy"),
        ("pass from any port 53 to any\n", "source port"),
        ("pass from { 10.0.0.1 10.0.0.2 } to any\n", "write a table"),
        ("pass on { ! em0 em1 } all\n", "any other interface"),
        (
            "scrub in all\n",
            "expected table, nat, binat, rdr, block or pass",
        ),
        (
            "pass out on em0 from any to any nat-to (em0)\n",
            "an option",
        ),
        ("pass in received-on em0 all\n", "an option, or the end"),
        ("pass all flags S/SA\n", "an option, or the end"),
        ("table <lab> persist { }\n", "const or '{'"),
        ("pass on { } all\n", "an interface"),
        ("pass label \"a\n", "must end on its line"),
        ("pass all all\n", "an option"),
        ("pass all label \"a\" 7\n", "the end of the statement"),
    ] {
        let error = refused(text).to_string();
        assert!(error.starts_with("line 1, column "), "{error}");
        assert!(error.contains(part), "{text:?}: {error}");
    }
}

#[test]
fn an_empty_table_is_taken() {
    let table = Table {
        name: TableName::new("lab").expect("a name"),
        constant: true,
        members: Vec::new(),
    };
    assert_eq!(
        statements("table <lab> const { }\n"),
        [Statement::Table(table)]
    );
}
