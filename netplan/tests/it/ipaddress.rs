//! Networks and special addresses against Python's `ipaddress`, an implementation that shares
//! nothing with ours.

#![expect(
    clippy::disallowed_methods,
    reason = "host-exec is not a dependency of this crate"
)]

use std::io::Write as _;
use std::net::IpAddr;
use std::process::{Command, Stdio};

use netplan::special::{Special, V4, V6, lookup};
use netplan::{Family, Net, aggregate, summarize};
use serde_json::{Value, json};

use crate::net;
use crate::numbers::Numbers;

/// What was asked, as the script reads it, and what this crate says.
type Question = (Value, Value);

/// Asks python3 all questions; the first answer is about the version of its tables.
fn python(questions: &[Question]) -> (bool, Vec<Value>) {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/ask_ipaddress.py");
    let mut child = Command::new("python3")
        .arg(script)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("python3 is installed");
    let mut stdin = child.stdin.take().expect("piped");
    let input: String = questions
        .iter()
        .map(|(asked, _)| format!("{asked}\n"))
        .collect();
    // Python answers while it is asked, and either pipe may be full.
    let writer = std::thread::spawn(move || stdin.write_all(input.as_bytes()));
    let output = child.wait_with_output().expect("python3 ends");
    assert!(output.status.success(), "the script failed");
    writer.join().expect("no panic").expect("python3 reads");
    let text = String::from_utf8(output.stdout).expect("JSON is UTF-8");
    let mut answers = text
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"));
    let new_tables = answers.next().expect("a first line");
    (new_tables == Value::Bool(true), answers.collect())
}

fn check(questions: &[Question]) {
    let (_, answers) = python(questions);
    assert_eq!(answers.len(), questions.len());
    for ((asked, ours), theirs) in questions.iter().zip(&answers) {
        assert_eq!(ours, theirs, "{asked}");
    }
}

impl Numbers {
    /// An address: anywhere, or few bits away from the start, the middle or the end.
    fn address(&mut self) -> IpAddr {
        let any = u128::from(self.next()) << 64 | u128::from(self.next());
        let near = self.below(1 << 10) as u128;
        let bits = [any, near, !near, near ^ 1 << 127 ^ 1 << 31][self.below(4)];
        if self.below(2) == 0 {
            let low = u32::try_from(bits & u128::from(u32::MAX)).expect("masked");
            IpAddr::V4(low.into())
        } else {
            IpAddr::V6(bits.into())
        }
    }

    /// A network; half of them are long, so that many meet.
    fn net(&mut self) -> Net {
        let address = self.address();
        let bits = usize::from(Family::of(address).bits());
        let len = match self.below(2) {
            0 => self.below(bits + 1),
            _ => bits - self.below(12),
        };
        Net::containing(address, u8::try_from(len).expect("a length")).expect("a length")
    }

    /// A network related to the other: itself, one around it, one inside it, or any.
    fn related(&mut self, to: Net) -> Net {
        let own = usize::from(to.prefix_len());
        let bits = usize::from(to.family().bits());
        let (address, len) = match self.below(4) {
            0 => return self.net(),
            1 => (to.address(), self.below(own + 1)),
            2 => (to.last_address(), own + self.below(bits - own + 1)),
            _ => (to.address(), own + self.below(bits - own + 1)),
        };
        Net::containing(address, u8::try_from(len).expect("a length")).expect("a length")
    }
}

#[test]
#[ignore = "needs python3"]
fn ipaddress_agrees_on_pairs_of_networks() {
    let mut numbers = Numbers(1);
    let mut questions: Vec<Question> = Vec::new();
    for _ in 0..1500 {
        let a = numbers.net();
        let b = numbers.related(a);
        questions.extend([
            (json!(["overlaps", a, b]), json!(a.overlaps(b))),
            (json!(["covers", a, b]), json!(a.covers(b))),
            (json!(["less", a, b]), json!(a < b)),
            (json!(["subtract", a, b]), json!(a.subtract(b))),
        ]);
    }
    check(&questions);
}

#[test]
#[ignore = "needs python3"]
fn ipaddress_agrees_on_single_networks() {
    let mut numbers = Numbers(2);
    let mut questions: Vec<Question> = Vec::new();
    let edges = [
        "0.0.0.0/0",
        "::/0",
        "255.255.255.255/32",
        "::/128",
        "255.255.255.254/31",
    ];
    let edges = edges.map(net).into_iter();
    let addresses: Vec<IpAddr> = (0..1000).map(|_| numbers.address()).collect();
    for address in addresses {
        let len = numbers.below(usize::from(Family::of(address).bits()) + 1);
        let len = u8::try_from(len).expect("a length");
        let net = Net::containing(address, len).expect("a length");
        questions.push((json!(["containing", address, len]), json!(net)));
    }
    for net in edges.chain((0..1000).map(|_| numbers.net())) {
        let count = match net.address_count() {
            Some(count) => count.to_string(),
            None => "340282366920938463463374607431768211456".to_owned(),
        };
        questions.extend([
            (json!(["text", net]), json!(net)),
            (json!(["last", net]), json!(net.last_address())),
            (json!(["count", net]), json!(count)),
            (json!(["supernet", net]), json!(net.supernet())),
        ]);
        let len = (net.prefix_len() + 5).min(net.family().bits());
        let subnets: Vec<Net> = net.subnets(len).expect("a length").collect();
        questions.push((json!(["subnets", net, len]), json!(subnets)));
    }
    check(&questions);
}

#[test]
#[ignore = "needs python3"]
fn ipaddress_agrees_on_unions_and_ranges() {
    let mut numbers = Numbers(3);
    let mut questions: Vec<Question> = Vec::new();
    for _ in 0..600 {
        let mut nets = vec![numbers.net()];
        for _ in 0..numbers.below(12) {
            let some = nets[numbers.below(nets.len())];
            nets.push(match numbers.below(3) {
                0 => some.buddy().unwrap_or(some),
                _ => numbers.related(some),
            });
        }
        let mut question = vec![json!("aggregate")];
        question.extend(nets.iter().map(|net| json!(net)));
        questions.push((Value::Array(question), json!(aggregate(nets))));
    }
    for _ in 0..600 {
        let (a, b) = (numbers.address(), numbers.address());
        let (first, last) = (a.min(b), a.max(b));
        if let Ok(nets) = summarize(first, last) {
            questions.push((json!(["summarize", first, last]), json!(nets)));
        }
    }
    assert!(questions.len() > 800);
    check(&questions);
}

/// Python knows the network, the broadcast and the subnet-router anycast address, and the two
/// short lengths. It does not know RFC 2526: there the expected answer is ours and the top 128.
#[test]
#[ignore = "needs python3"]
fn ipaddress_gives_our_hosts_and_those_of_rfc_2526() {
    let mut numbers = Numbers(4);
    let mut questions: Vec<Question> = Vec::new();
    for _ in 0..300 {
        let any = numbers.net();
        let len = any.prefix_len().max(any.family().bits() - 9);
        let net = Net::containing(any.address(), len).expect("a length");
        let mut hosts: Vec<IpAddr> = net.hosts().collect();
        if net.family() == Family::V6 && len <= 120 {
            let last = netplan::reserved(net).pop().expect("two rules").net;
            assert_eq!(last.last_address(), net.last_address());
            hosts.extend(last.subnets(128).expect("longer").map(Net::address));
        }
        questions.push((json!(["hosts", net]), json!(hosts)));
    }
    check(&questions);
}

/// The blocks that Python and IANA see differently.
struct Differences {
    /// Global for Python, not globally reachable for IANA.
    global: &'static [&'static str],
    /// Private for Python; for IANA globally reachable, or left open.
    private: &'static [&'static str],
}

/// Python 3.11.7 and others from before the security releases of 2024: without the blocks of the
/// last years, and without the exceptions inside 192.0.0.0/24 and 2001::/23.
const OLD_TABLES: Differences = Differences {
    global: &[
        "192.0.0.0/24",
        "192.0.0.8/32",
        "192.88.99.2/32",
        "64:ff9b:1::/48",
        "100:0:0:1::/64",
        "3fff::/20",
        "5f00::/16",
    ],
    private: &[
        "2001::/32",
        "2001:1::1/128",
        "2001:1::2/128",
        "2001:1::3/128",
        "2001:3::/32",
        "2001:4:112::/48",
        "2001:10::/28",
        "2001:20::/28",
        "2001:30::/28",
    ],
};

/// Python 3.13.0, and Debian's 3.11.2 with its security updates.
const NEW_TABLES: Differences = Differences {
    global: &["192.88.99.2/32", "100:0:0:1::/64", "3fff::/20", "5f00::/16"],
    private: &["2001::/32", "2001:1::3/128", "2001:10::/28", "2002::/16"],
};

/// Private in Python releases after 3.13.0, which are otherwise like it.
const LATER: &str = "3fff::/20";

impl Differences {
    fn of_python(&self, block: Net, iana: [bool; 2]) -> [bool; 2] {
        let among = |list: &[&str]| list.iter().any(|text| net(text) == block);
        match (among(self.global), among(self.private)) {
            (true, _) => [false, true],
            (_, true) => [true, false],
            _ => iana,
        }
    }
}

/// Python's `is_private` and `is_global` by IANA's registry; 100.64.0.0/10 is neither, as the
/// module's documentation says.
fn kind(row: Option<&Special>, differences: &Differences) -> [bool; 2] {
    let Some(row) = row else {
        return [false, true];
    };
    if row.block == net("100.64.0.0/10") {
        return [false, false];
    }
    let private = row.globally_reachable == Some(false);
    differences.of_python(row.block, [private, !private])
}

#[test]
#[ignore = "needs python3"]
fn ipaddress_knows_the_special_blocks_but_for_a_known_list() {
    let mut addresses: Vec<IpAddr> = Vec::new();
    for block in V4.iter().chain(&V6).map(|row| row.block) {
        let beside = block.buddy().expect("no /0").address();
        addresses.extend([block.address(), block.last_address(), beside]);
    }
    let asked = addresses
        .iter()
        .map(|address| (json!(["kind", address]), Value::Null));
    let (new_tables, answers) = python(&asked.collect::<Vec<_>>());
    let differences = if new_tables { NEW_TABLES } else { OLD_TABLES };
    assert_eq!(answers.len(), addresses.len());
    for (address, theirs) in addresses.into_iter().zip(answers) {
        let of_iana = |row: &&Special| row.allocated.is_some();
        let row = lookup(Net::host(address)).find(of_iana);
        let later = row.is_some_and(|row| row.block == net(LATER));
        if !(new_tables && later && theirs == json!([true, false])) {
            assert_eq!(json!(kind(row, &differences)), theirs, "{address}");
        }
    }
}
