//! What becomes of real packets is what netplan's evaluator of pf says.

use crate::lab::{Heard, Lab, Station, TCP, UDP, address, alike, outsiders};
use netplan::{
    Family, V6Mode,
    pf::{Content, Judgement, Outcome, Packet, Ruleset, Verdict},
};
use nix::sys::{
    socket::{
        AddressFamily, SockFlag, SockType, SockaddrIn, SockaddrIn6, SockaddrLike, bind, connect,
        setsockopt, socket, sockopt::SendTimeout,
    },
    time::TimeVal,
};
use std::{
    io::{BufRead as _, BufReader, ErrorKind},
    net::{IpAddr, SocketAddrV4, SocketAddrV6, TcpStream, UdpSocket},
    os::fd::AsRawFd as _,
    sync::atomic::{AtomicU32, Ordering},
    thread,
    time::{Duration, Instant},
};

/// Long enough for a packet that is going to arrive.
const PATIENCE: Duration = Duration::from_secs(8);
/// How long a packet that must not arrive is waited for.
const SILENCE: Duration = Duration::from_millis(300);

/// What was seen of a flow.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Seen {
    /// It arrived with this source; of a connection also where.
    Arrived(IpAddr, Option<IpAddr>),
    Refused,
    Nothing,
    /// A connection that carries nothing.
    Broken,
}

/// Whether the source is an address that answers come back to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Source {
    Own,
    Forged,
}

struct Flow {
    packet: Packet,
    outcome: Outcome,
}

fn timeout(outcome: &Outcome) -> Duration {
    if outcome.verdict == Verdict::Drop {
        SILENCE
    } else {
        PATIENCE
    }
}

/// A connection from this address.
fn tcp(packet: &Packet, port: u16, patience: Duration) -> Seen {
    let family = if packet.source.is_ipv4() {
        AddressFamily::Inet
    } else {
        AddressFamily::Inet6
    };
    let own = socket(family, SockType::Stream, SockFlag::SOCK_CLOEXEC, None).expect("a socket");
    let seconds = i64::try_from(patience.as_secs()).expect("a few seconds");
    let limit = TimeVal::new(seconds, patience.subsec_micros().into());
    setsockopt(&own, SendTimeout, &limit).expect("a limit");
    let from = socket_address(packet.source, 0);
    bind(own.as_raw_fd(), &*from).expect("an address of this namespace");
    let to = socket_address(packet.destination, port);
    match connect(own.as_raw_fd(), &*to) {
        Ok(()) => {}
        Err(nix::Error::ECONNREFUSED) => return Seen::Refused,
        Err(_) => return Seen::Nothing,
    }
    let stream = TcpStream::from(own);
    stream.set_read_timeout(Some(PATIENCE)).expect("a limit");
    let mut line = String::new();
    if BufReader::new(stream).read_line(&mut line).is_err() {
        return Seen::Broken;
    }
    let mut addresses = line.split_whitespace().map(address);
    let source = addresses.next().expect("the address of the one that asks");
    Seen::Arrived(source, addresses.next())
}

fn socket_address(address: IpAddr, port: u16) -> Box<dyn SockaddrLike> {
    match address {
        IpAddr::V4(own) => Box::new(SockaddrIn::from(SocketAddrV4::new(own, port))),
        IpAddr::V6(own) => Box::new(SockaddrIn6::from(SocketAddrV6::new(own, port, 0, 0))),
    }
}

/// A datagram from this address.
fn udp(packet: &Packet, port: u16, patience: Duration, heard: &Heard) -> Seen {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let own =
        UdpSocket::bind((packet.source, 0)).unwrap_or_else(|error| panic!("{packet:?}: {error}"));
    own.set_read_timeout(Some(Duration::from_millis(20)))
        .expect("a limit");
    own.connect((packet.destination, port)).expect("a route");
    own.send(&number.to_be_bytes()).expect("it can be sent");
    let start = Instant::now();
    loop {
        if let Some(source) = heard.lock().expect("no panic").get(&number) {
            return Seen::Arrived(*source, None);
        }
        let answer = own.recv(&mut [0]);
        if answer.is_err_and(|error| error.kind() == ErrorKind::ConnectionRefused) {
            return Seen::Refused;
        }
        if start.elapsed() > patience {
            return Seen::Nothing;
        }
    }
}

/// All flows of one source at once.
#[track_caller]
fn check(lab: &Lab, station: &Station, source: Source, flows: &[Flow]) {
    let seen: Vec<Seen> = station.namespace.inside(|| {
        thread::scope(|scope| {
            let tries = flows.iter().map(|flow| {
                scope.spawn(|| {
                    let packet = &flow.packet;
                    // Without an answer nobody hears that it is refused.
                    let patience = match (flow.outcome.verdict, source) {
                        (Verdict::Return, Source::Forged) => SILENCE,
                        _ => timeout(&flow.outcome),
                    };
                    match packet.content {
                        Content::Tcp(port) => tcp(packet, port, patience),
                        Content::Udp(port) => udp(packet, port, patience, &lab.heard),
                        other => panic!("no way to send {other:?}"),
                    }
                })
            });
            let tries: Vec<_> = tries.collect();
            tries
                .into_iter()
                .map(|one| one.join().expect("no panic"))
                .collect()
        })
    });
    for (flow, seen) in flows.iter().zip(seen) {
        let arrived = flow.outcome.packet().unwrap_or(flow.packet);
        let at = matches!(arrived.content, Content::Tcp(_)).then_some(arrived.destination);
        let expected = match (flow.outcome.verdict, source) {
            (Verdict::Pass, _) => Seen::Arrived(arrived.source, at),
            (Verdict::Return, Source::Own) => Seen::Refused,
            _ => Seen::Nothing,
        };
        assert_eq!(
            seen, expected,
            "in on {}: {:?}, {:#?}",
            station.interface, flow.packet, flow.outcome
        );
    }
}

/// From one address to others: TCP where answers come back, UDP always.
fn flows(
    lab: &Lab,
    rules: &Ruleset,
    station: &Station,
    (from, source): (IpAddr, Source),
    destinations: &[IpAddr],
) -> Vec<Flow> {
    let mut contents = UDP.map(Content::Udp).to_vec();
    if source == Source::Own {
        contents.extend(TCP.map(Content::Tcp));
    }
    let mut flows = Vec::new();
    for destination in destinations {
        if !alike(*destination, from)
            || station.addresses.contains(destination)
            || *destination == from
        {
            continue;
        }
        // A machine takes nothing from its own address.
        let mut theirs = lab.stations.iter().map(|other| &other.addresses);
        let to_itself = theirs.any(|own| own.contains(destination) && own.contains(&from));
        if to_itself || lab.is_direct(station, *destination) {
            continue;
        }
        for content in &contents {
            let packet = Packet {
                source: from,
                destination: *destination,
                content: *content,
            };
            let outcome = rules.judge(&lab.router, Some(&station.interface), packet);
            // Nobody is there: whether it passes cannot be seen.
            let nobody = outcome.verdict == Verdict::Pass && !is_there(lab, &outcome);
            if !nobody {
                flows.push(Flow { packet, outcome });
            }
        }
    }
    flows
}

fn is_there(lab: &Lab, outcome: &Outcome) -> bool {
    let to = outcome.packet().map(|packet| packet.destination);
    let mut all = lab.stations.iter().flat_map(|station| &station.addresses);
    to.is_some_and(|to| lab.router.owns(to) || all.any(|own| *own == to))
}

/// The addresses of the lab that no network has, one of each family.
fn nowhere(lab: &Lab) -> impl Iterator<Item = IpAddr> {
    lab.plan.supernet.iter().map(|net| net.last_address())
}

/// From every interface, from addresses that are there and from forged ones, to everything.
#[track_caller]
fn check_all(lab: &Lab, rules: &Ruleset, forging: bool) -> usize {
    let own = lab
        .router
        .interfaces
        .iter()
        .flat_map(|one| one.addresses.clone());
    // The first machine of each network sends, to the second, and to all others: where an address is forged nothing
    // that comes from it is taken.
    let senders = [1, 3, 5].map(|index| &lab.stations[index]);
    let internet = &lab.stations[0];
    let others = [0, 2, 4, 6].map(|index| lab.stations[index].addresses.clone());
    let destinations: Vec<IpAddr> = own.chain(others.concat()).chain(nowhere(lab)).collect();
    let count = check_from(lab, rules, (internet, forging), &destinations);
    thread::scope(|scope| {
        let checks = senders.map(|station| {
            let destinations = &destinations;
            scope.spawn(move || check_from(lab, rules, (station, forging), destinations))
        });
        let counts = checks.map(|check| check.join().expect("all agree"));
        counts.iter().fold(count, |sum, own| sum + own)
    })
}

/// From the addresses of a machine, those flows that are wanted.
fn check_own(
    lab: &Lab,
    rules: &Ruleset,
    station: &Station,
    destinations: &[IpAddr],
    is_wanted: impl Fn(&Flow) -> bool,
) -> usize {
    let mut count = 0;
    for from in &station.addresses {
        let mut flows = flows(lab, rules, station, (*from, Source::Own), destinations);
        flows.retain(&is_wanted);
        check(lab, station, Source::Own, &flows);
        count += flows.len();
    }
    count
}

/// Whether states let answers pass, if there are to be any: the evaluator judges first packets only. Of what a machine
/// and a pod of one network say the host sees one direction.
fn has_states(flow: &Flow) -> bool {
    let (first, last) = (&flow.outcome.entering, &flow.outcome.leaving);
    let mut judgements = first.iter().chain(last);
    let keeps = judgements.all(|own| own.keeps_state || own.translated_by.is_some());
    let place = |own: &Option<Judgement>| own.as_ref().map(|own| own.interface.clone());
    let is_seen = keeps && place(first) != place(last);
    is_seen
        || flow.outcome.verdict != Verdict::Pass
        || !matches!(flow.packet.content, Content::Tcp(_))
}

/// From the addresses of a machine, then from those of others.
fn check_from(
    lab: &Lab,
    rules: &Ruleset,
    (station, forging): (&Station, bool),
    destinations: &[IpAddr],
) -> usize {
    let mut count = check_own(lab, rules, station, destinations, |_| true);
    if !forging {
        return count;
    }
    let others = [0, 2, 4, 6].map(|index| lab.stations[index].addresses.first_chunk::<2>());
    let others = others.into_iter().flatten().flatten().copied();
    let forged = others.chain(nowhere(lab)).chain(outsiders());
    for from in forged.filter(|own| !station.addresses.contains(own)) {
        let (length, nodad) = match Family::of(from) {
            Family::V4 => (32, ""),
            Family::V6 => (128, " nodad"),
        };
        let ip = |verb: &str| format!("addr {verb} {from}/{length} dev lo");
        station.namespace.ip(&format!("{}{nodad}", ip("add")));
        let flows = flows(lab, rules, station, (from, Source::Forged), destinations);
        check(lab, station, Source::Forged, &flows);
        count += flows.len();
        station.namespace.ip(&ip("delete"));
    }
    count
}

const NAT66: &str = "2001:db8::10";

#[test]
#[ignore = "needs root, unshare, nsenter, ip, nft"]
fn packets_of_the_reference_lab_do_what_its_rules_say() {
    let lab = Lab::new(V6Mode::Routed);
    let rules = lab.load(&lab.policy);
    let count = check_all(&lab, &rules, true);
    assert!(count > 1000, "only {count} flows");
}

#[test]
#[ignore = "needs root, unshare, nsenter, ip, nft"]
fn packets_are_translated_as_the_rules_say() {
    let outside = "2001:db8:7::/48".parse().expect("a network");
    let address = NAT66.parse().expect("an address");
    for (mode, translates) in [
        (V6Mode::Npt { outside }, "2001:db8:7:"),
        (V6Mode::Nat66 { address }, NAT66),
    ] {
        let mut lab = Lab::new(mode);
        lab.add_to_uplink(address.into());
        let policy = lab.policy.clone().with_api_on_uplink(&lab.plan);
        let rules = lab.load(&policy);
        let count = check_all(&lab, &rules, false);
        assert!(count > 200, "only {count} flows");
        // What was tried shows it: from a pod to the internet, and from there to the API.
        let [worker, internet] = [3, 0].map(|index| &lab.stations[index]);
        let flow = |station: &Station, source: IpAddr, destination: IpAddr| {
            let content = Content::Tcp(6443);
            let packet = Packet {
                source,
                destination,
                content,
            };
            rules
                .judge(&lab.router, Some(&station.interface), packet)
                .packet()
        };
        let [_, outsider] = outsiders();
        let out = flow(worker, worker.addresses[1], outsider).expect("it passes");
        assert!(out.source.to_string().starts_with(translates), "{out:?}");
        let api = flow(internet, outsider, address.into()).expect("it passes");
        assert_eq!(Some(&api.destination), lab.stations[4].addresses.get(1));
    }
}

/// What the standard policy does not use.
#[test]
#[ignore = "needs root, unshare, nsenter, ip, nft"]
fn packets_do_what_other_rules_say() {
    let lab = Lab::new(V6Mode::Routed);
    for text in RULES {
        let rules = lab.load_text(&text.replace("DISCOVERY", DISCOVERY));
        let [worker, internet] = [3, 0].map(|index| &lab.stations[index]);
        let sinks = [0, 2, 4, 6].map(|index| lab.stations[index].addresses.clone());
        let own = lab
            .router
            .interfaces
            .iter()
            .flat_map(|one| one.addresses.clone());
        let destinations: Vec<IpAddr> = sinks.concat().into_iter().chain(own).collect();
        for station in [worker, internet] {
            let count = check_own(&lab, &rules, station, &destinations, has_states);
            assert!(count > 20, "{text}: only {count} flows");
        }
    }
}

/// Without it a rule that blocks ends IPv6 as well.
const DISCOVERY: &str = "pass quick inet6 proto ipv6-icmp all icmp6-type { 135 136 } no state";

const RULES: [&str; 8] = [
    // The last one that matches decides, or the first quick one.
    "DISCOVERY
block drop in all
pass in all
pass out all
",
    "DISCOVERY
pass in quick proto tcp all
block return all
pass out all
",
    "DISCOVERY
block return out on em0 all
block drop in on em0 from any to (em0)
",
    // A tag also from a rule that a later one overrules, and kept by the state.
    "DISCOVERY
pass in on lab-kube all tag T
pass in all
block drop out all
pass out all tagged T
",
    "pass in on ! em0 inet all tag T no state
pass in inet6 all no state
pass out all no state
block return out on bridge9 all tagged T
",
    // The filter sees translated addresses.
    "table <outside> { 192.0.2.2 2001:db8:9::/48 }
nat on em0 inet from 10.44.0.0/16 to any -> (em0:0)
block drop out on em0 inet from 10.44.0.0/16 to any
block return out on em0 proto udp from <outside> to any port 123
",
    "rdr on em0 inet proto tcp from any to (self) port 80 -> 10.44.1.30 port 22
rdr on lab-kube inet6 proto { tcp udp } from any to 2001:db8:ffff::5 port 53 -> fd99:9::21 port 53
DISCOVERY
block drop in on em0 all
pass in on em0 proto tcp from any to 10.44.1.30 port 22
",
    "binat on em0 inet from 10.44.1.50 to any -> 192.0.2.2
block drop out on em0 inet from ! 192.0.2.2 to any
",
];
