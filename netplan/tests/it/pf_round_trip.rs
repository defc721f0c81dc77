//! What is printed is read as what it was.

use std::net::IpAddr;

use netplan::pf::{
    Action, Address, Binat, Direction, Filter, Hosts, IcmpTypes, InterfaceAddress, Label, List,
    Nat, NatSource, On, Protocol, Rdr, Ruleset, State, Statement, Table, TableName, Tag,
};
use netplan::{Family, InterfaceName, Net};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;

fn address(family: Family) -> BoxedStrategy<IpAddr> {
    match family {
        Family::V4 => any::<[u8; 4]>().prop_map(IpAddr::from).boxed(),
        Family::V6 => prop_oneof![
            any::<[u8; 16]>(),
            any::<u8>().prop_map(|last| [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, last]),
        ]
        .prop_map(IpAddr::from)
        .boxed(),
    }
}

fn net(family: Family) -> impl Strategy<Value = Net> {
    let net = |(address, length)| Net::containing(address, length).expect("a length that fits");
    (address(family), 0..=family.bits()).prop_map(net)
}

fn family() -> impl Strategy<Value = Family> {
    select(Family::BOTH.to_vec())
}

/// Also words of the grammar, which are printed in quotes. `(self)` is no interface.
fn interface() -> impl Strategy<Value = InterfaceName> {
    let names = prop_oneof![
        "[a-z][a-zA-Z0-9_.-]{0,14}",
        select(vec!["log".to_owned(), "in".to_owned()])
    ];
    names
        .prop_filter("the word of pf for all", |text| text != "self")
        .prop_map(|text| InterfaceName::new(text).expect("a name"))
}

fn table_name() -> impl Strategy<Value = TableName> {
    "[a-zA-Z][a-zA-Z0-9_-]{0,30}".prop_filter_map("no keyword", |text| TableName::new(text).ok())
}

fn tag() -> impl Strategy<Value = Tag> {
    "[a-zA-Z][a-zA-Z0-9_-]{0,62}".prop_filter_map("no keyword", |text| Tag::new(text).ok())
}

fn label() -> impl Strategy<Value = Label> {
    "[a-zA-Z0-9_.:-]{1,63}".prop_map(|text| Label::new(text).expect("a label"))
}

fn list<T: Clone + std::fmt::Debug>(
    item: impl Strategy<Value = T>,
) -> impl Strategy<Value = List<T>> {
    vec(item, 1..4).prop_map(|items| List::new(items).expect("one at least"))
}

fn on() -> impl Strategy<Value = On> {
    prop_oneof![
        list(interface()).prop_map(On::OneOf),
        interface().prop_map(On::Not)
    ]
}

fn interface_address() -> impl Strategy<Value = InterfaceAddress> {
    (interface(), any::<bool>()).prop_map(|(interface, first_only)| InterfaceAddress {
        interface,
        first_only,
    })
}

fn hosts(family: Family) -> impl Strategy<Value = Hosts> {
    let address = prop_oneof![
        table_name().prop_map(Address::Table),
        Just(Address::Own),
        interface_address().prop_map(Address::Interface),
        net(family).prop_map(Address::Net),
    ];
    prop_oneof![
        Just(Hosts::Any),
        address.clone().prop_map(Hosts::In),
        address.prop_map(Hosts::NotIn),
    ]
}

fn table() -> impl Strategy<Value = Table> {
    let members = vec(family().prop_flat_map(net), 0..4);
    (table_name(), any::<bool>(), members).prop_map(|(name, constant, members)| Table {
        name,
        constant,
        members,
    })
}

fn nat() -> impl Strategy<Value = Nat> {
    let of = |family| {
        let source = prop_oneof![
            interface_address().prop_map(NatSource::Interface),
            address(family).prop_map(NatSource::Address),
        ];
        let said = option::of(Just(family));
        (on(), said, hosts(family), hosts(family), source)
    };
    let nat = family().prop_flat_map(of);
    nat.prop_map(|(on, family, from, to, source)| Nat {
        on,
        family,
        from,
        to,
        source,
    })
}

fn binat() -> impl Strategy<Value = Binat> {
    let of = |family: Family| {
        let prefixes = (address(family), address(family), 0..=family.bits());
        (interface(), prefixes, hosts(family))
    };
    let net = |address, length| Net::containing(address, length).expect("a length that fits");
    let binat = family().prop_flat_map(of);
    binat.prop_map(move |(on, (inside, outside, length), to)| Binat {
        on,
        inside: net(inside, length),
        to,
        outside: net(outside, length),
    })
}

fn with_ports() -> impl Strategy<Value = List<Protocol>> {
    list(select(vec![Protocol::Tcp, Protocol::Udp]))
}

fn rdr() -> impl Strategy<Value = Rdr> {
    let of = |family| {
        let hosts = (hosts(family), hosts(family), list(address(family)));
        (Just(family), on(), with_ports(), hosts, any::<[u16; 2]>())
    };
    let rdr = family().prop_flat_map(of);
    rdr.prop_map(
        |(family, on, protocols, (from, to, servers), [port, server_port])| Rdr {
            on,
            family,
            protocols,
            from,
            to,
            port,
            servers,
            server_port,
        },
    )
}

/// What a rule says of protocols, in one of the ways that pfctl takes.
fn content(family: Family) -> BoxedStrategy<Filter> {
    let empty = || Filter::quick(Action::Pass);
    let of_family = match family {
        Family::V4 => Protocol::Icmp,
        Family::V6 => Protocol::Icmp6,
    };
    let types = list(any::<u8>()).prop_map(move |types| Filter {
        family: Some(family),
        protocols: Some(List::one(of_family)),
        icmp: Some(match family {
            Family::V4 => IcmpTypes::V4(types),
            Family::V6 => IcmpTypes::V6(types),
        }),
        ..empty()
    });
    let ports = (with_ports(), list(any::<u16>())).prop_map(move |(protocols, ports)| Filter {
        protocols: Some(protocols),
        ports: Some(ports),
        ..empty()
    });
    let protocols = list(select(vec![Protocol::Tcp, Protocol::Udp, of_family]));
    let protocols = protocols.prop_map(move |protocols| Filter {
        protocols: Some(protocols),
        ..empty()
    });
    let family = Filter {
        family: Some(family),
        ..empty()
    };
    prop_oneof![types, ports, protocols, Just(family), Just(empty())].boxed()
}

fn filter() -> impl Strategy<Value = Filter> {
    let of = |family| (content(family), hosts(family), hosts(family));
    let options = (option::of(tag()), option::of(tag()), option::of(label()));
    let flags = any::<[bool; 2]>();
    let action = prop_oneof![
        Just((Action::Drop, State::Unsaid)),
        Just((Action::Return, State::Unsaid)),
        select(vec![State::Unsaid, State::Keep, State::No]).prop_map(|state| (Action::Pass, state)),
    ];
    let direction = option::of(select(vec![Direction::In, Direction::Out]));
    let all = (
        action,
        direction,
        flags,
        option::of(on()),
        family().prop_flat_map(of),
        options,
    );
    all.prop_map(
        |(
            (action, state),
            direction,
            [log, quick],
            on,
            (content, from, to),
            (tag, tagged, label),
        )| {
            Filter {
                action,
                direction,
                log,
                quick,
                on,
                from,
                to,
                tagged,
                tag,
                state,
                label,
                ..content
            }
        },
    )
}

/// Tables with different names, then translation, then filtering.
fn ruleset() -> impl Strategy<Value = Ruleset> {
    let translation = prop_oneof![
        nat().prop_map(Statement::Nat),
        binat().prop_map(Statement::Binat),
        rdr().prop_map(Statement::Rdr),
    ];
    let filters = vec(filter().prop_map(Statement::Filter), 0..6);
    (vec(table(), 0..4), vec(translation, 0..4), filters).prop_map(
        |(mut tables, translations, filters)| {
            tables.sort_by(|a, b| a.name.cmp(&b.name));
            tables.dedup_by(|a, b| a.name == b.name);
            let tables = tables.into_iter().map(Statement::Table);
            Ruleset::new(tables.chain(translations).chain(filters).collect())
        },
    )
}

proptest! {
    #[test]
    fn parse_is_the_inverse_of_print(rules in ruleset()) {
        prop_assert_eq!(Ruleset::parse(&rules.to_string()), Ok(rules));
    }

    /// No text makes the parser panic.
    #[test]
    fn any_text_is_answered(words in vec(select(vec![
        "pass", "block", "drop", "in", "quick", "on", "em0", "inet6", "proto", "tcp", "from", "to", "any",
        "(self)", "(em0:0)", "(", "{", "}", "<lab>", "port", "53", "->", "!", ",", "\n", "table", "nat",
        "rdr", "binat", "10.0.0.0/8", "fd00::1", "\"", "\\", "$a", "keep", "state", "label", "-", "é",
    ]), 0..24)) {
        let text = words.join(" ") + "\n";
        if let Ok(rules) = Ruleset::parse(&text) {
            let read = Ruleset::parse(&rules.to_string()).expect("what is printed can be read");
            prop_assert_eq!(read.to_string(), rules.to_string());
        }
    }
}
