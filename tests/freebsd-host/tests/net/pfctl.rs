use crate::{
    host::Host,
    lab::{Lab, address},
};
use netplan::V6Mode;
use std::{
    io::{Read as _, Write as _},
    net::{IpAddr, TcpStream},
    time::Duration,
};

const ANCHOR: &str = include_str!("../../../../netplan/tests/data/reference-on-host/anchor.pf");
const CALLS: &str = "set skip on lo0\nnat-anchor \"labcluster/*\"\nanchor \"labcluster/*\"\n";

#[test]
#[ignore = "needs root, unshare, nsenter, ip, nft"]
fn what_the_real_program_refuses() {
    let host = Host::new();
    let not_loaded = "pfctl: Syntax error in config file: pf rules not loaded\n";
    for (words, input, complaint) in [
        ("pfctl -d", "", "pfctl: pf not enabled\n"),
        (
            "pfctl -a labcluster/none -s rules",
            "",
            "pfctl: Anchor does not exist\n",
        ),
        (
            "pfctl -a labcluster/none -t etcd -T show",
            "",
            "pfctl: Table does not exist.\n",
        ),
        (
            "pfctl -a labcluster/lab -f -",
            "block drop all",
            "stdin:1: syntax error: the last statement needs a newline behind it\n",
        ),
        (
            "pfctl -n -a labcluster/lab -f -",
            "pass all\n\nnonsense\n",
            "stdin:3: syntax error: expected table, nat, binat, rdr, block or pass\n",
        ),
        (
            "pfctl -a labcluster/lab -f -",
            "set skip on lo0\n",
            "stdin:1: syntax error: options belong to the main pf.conf, not to an anchor\n",
        ),
        (
            "pfctl -f -",
            "anchor \"labcluster/*\"\nnat-anchor \"labcluster/*\"\n",
            "stdin:2: syntax error: Rules must be in order: options, ethernet, normalization, queueing, translation, filtering\n",
        ),
        (
            "pfctl -f -",
            "anchor \"a\"\nset skip on lo0\n",
            "stdin:2: syntax error: options must precede translation and filtering\n",
        ),
        (
            "pfctl -f -",
            "anchor labcluster\n",
            "stdin:1: syntax error: not the name of an anchor\n",
        ),
        (
            "pfctl -f /etc/none.conf",
            "",
            "pfctl: /etc/none.conf: No such file or directory\npfctl: cannot open the main config file!: No such file or directory\n",
        ),
        (
            "pfctl -a labcluster/lab -f -",
            "block drop in on bridge all\n",
            "pfctl: stand-in: bridge is a group of interfaces, and only single ones can be told\n",
        ),
    ] {
        host.run("ifconfig bridge0 create");
        let words: Vec<&str> = words.split(' ').collect();
        let said = host.run_with(&words, input);
        let complaint = if complaint.contains("config file!") || complaint.contains("syntax") {
            format!("{complaint}{not_loaded}")
        } else {
            complaint.to_owned()
        };
        assert_eq!(
            (said.out.as_str(), said.err, said.status),
            ("", complaint, 1),
            "{words:?}"
        );
    }
    for words in [
        "pfctl -x",
        "pfctl -s",
        "pfctl -t etcd",
        "pfctl -F everything",
        "pfctl rules",
    ] {
        let said = host.run(words);
        assert!(
            said.err.contains("usage: pfctl ") && said.status == 1,
            "{words}: {said:?}"
        );
    }
}

#[test]
#[ignore = "needs root, unshare, nsenter, ip, nft"]
fn what_is_loaded_is_shown_and_flushed() {
    let host = Host::new();
    std::fs::write(host.etc("pf.conf"), CALLS).expect("a file");
    host.ok("pfctl -f /etc/pf.conf");
    let checked = host.run_with(&["pfctl", "-n", "-a", "labcluster/lab", "-f", "-"], ANCHOR);
    assert_eq!((checked.err.as_str(), checked.status), ("", 0));
    // Only checked.
    assert_eq!(host.ok("pfctl -a labcluster -s Anchors"), "");
    let loaded = host.run_with(&["pfctl", "-a", "labcluster/lab", "-f", "-"], ANCHOR);
    assert_eq!((loaded.err.as_str(), loaded.status), ("", 0));
    for (words, out) in [
        ("pfctl -s Anchors", "  labcluster\n"),
        ("pfctl -a labcluster -s Anchors", "  labcluster/lab\n"),
        ("pfctl -s nat", "nat-anchor \"labcluster/*\" all\n"),
        ("pfctl -sr", "anchor \"labcluster/*\" all\n"),
        (
            "pfctl -vnf /etc/pf.conf",
            "set skip on { lo0 }\nnat-anchor \"labcluster/*\" all\nanchor \"labcluster/*\" all\n",
        ),
        (
            "pfctl -a labcluster/lab -s nat",
            "nat on em0 inet from <lab> to ! <lab> -> (em0:0)\n",
        ),
        (
            "pfctl -a labcluster/lab -s Tables",
            "lab\netcd_net\nkube_net\nmany\n",
        ),
        (
            "pfctl -a labcluster/lab -t etcd_net -T show",
            "   10.44.0.0/26\n   fdb8:46dc:e505::/64\n",
        ),
        (
            "pfctl -a labcluster/lab -s rules",
            include_str!("../data/anchor.rules"),
        ),
    ] {
        assert_eq!(host.ok(words), out, "{words}");
    }
    assert!(host.ok("pfctl -s info").starts_with("Status: Disabled "));
    assert_eq!(host.run("pfctl -e").err, "pf enabled\n");
    assert_eq!(host.run("pfctl -e").err, "pfctl: pf already enabled\n");
    assert!(host.ok("pfctl -s info").starts_with("Status: Enabled "));
    let flushed = host.run("pfctl -a labcluster/lab -F all");
    assert_eq!(
        flushed.err,
        "rules cleared\nnat cleared\n4 tables deleted.\n"
    );
    assert_eq!(host.run("pfctl -a labcluster/lab -s rules").status, 1);
    assert_eq!(host.run("pfctl -a labcluster/lab -F all").status, 0);
    assert_eq!(host.ok("pfctl -s nat"), "nat-anchor \"labcluster/*\" all\n");
}

/// A connection to port 22 from a machine of the lab; none when nothing comes back in time.
fn connect(lab: &Lab, station: usize, to: IpAddr) -> Option<TcpStream> {
    let namespace = &lab.stations[station].namespace;
    namespace.inside(|| {
        let stream = TcpStream::connect_timeout(&(to, 22).into(), Duration::from_secs(2)).ok()?;
        stream
            .set_read_timeout(Some(Duration::from_secs(2)))
            .expect("a limit");
        Some(stream)
    })
}

#[test]
#[ignore = "needs root, unshare, nsenter, ip, nft"]
fn rules_count_when_pf_is_on_and_the_main_rule_set_calls_them() {
    let lab = Lab::new(V6Mode::Routed);
    let to = address("192.168.9.21");
    let passes = || connect(&lab, 3, to).is_some();
    assert!(passes(), "without rules pf passes");
    lab.load_text("block return all\n");
    assert!(!passes(), "they are called");
    assert_eq!(lab.host.run("pfctl -d").err, "pf disabled\n");
    assert!(passes(), "pf is off");
    assert_eq!(lab.host.run("pfctl -e").err, "pf enabled\n");
    assert!(!passes(), "pf is on");
    // Other calls than those of the filter ask no filter rules.
    lab.host.run_with(
        &["pfctl", "-f", "-"],
        "nat-anchor \"labcluster/*\"\nanchor \"other/*\"\n",
    );
    assert!(!lab.host.ok("pfctl -a labcluster/lab -s rules").is_empty());
    assert!(passes(), "nobody calls them");
    lab.host.run_with(
        &["pfctl", "-f", "-"],
        "pass all\nanchor \"labcluster/lab\"\n",
    );
    assert!(
        !passes(),
        "the last one that matches decides, in an anchor too"
    );
    lab.host.run_with(
        &["pfctl", "-f", "-"],
        "pass quick all\nanchor \"labcluster/*\"\n",
    );
    assert!(passes(), "the first quick one decides");
}

#[test]
#[ignore = "needs root, unshare, nsenter, ip, nft"]
fn states_stay_until_they_are_flushed() {
    let lab = Lab::new(V6Mode::Routed);
    lab.load_text("pass in on lab-kube all keep state\npass out on bridge9 all keep state\nblock drop all\npass in quick on lab-kube all\npass out quick on bridge9 all\n");
    let there = &lab.stations[6];
    let to = there.addresses[0];
    let listener = there
        .namespace
        .inside(|| std::net::TcpListener::bind((to, 7)).expect("a free port"));
    let from = &lab.stations[3].namespace;
    let mut near = from.inside(|| TcpStream::connect((to, 7)).expect("it passes"));
    let (mut far, _) = listener.accept().expect("it has arrived");
    far.set_read_timeout(Some(Duration::from_millis(700)))
        .expect("a limit");
    let mut carries = |word: &[u8; 4]| {
        near.write_all(word).expect("there is room");
        let mut bytes = [0; 4];
        far.read_exact(&mut bytes).is_ok() && bytes == *word
    };
    assert!(carries(b"one\n"));
    lab.load_text("block drop all\n");
    assert!(carries(b"two\n"), "a state outlives its rule");
    assert!(connect(&lab, 3, to).is_none(), "there is no new one");
    // The way back is another state, and not one that lets others in.
    assert!(connect(&lab, 5, lab.stations[3].addresses[0]).is_none());
    assert_eq!(lab.host.run("pfctl -F states").err, "0 states cleared\n");
    assert!(!carries(b"end\n"), "without a state it is blocked");
}

#[test]
#[ignore = "needs root, unshare, nsenter, ip, nft"]
fn rules_follow_the_addresses_of_an_interface() {
    let lab = Lab::new(V6Mode::Routed);
    lab.load_text("nat on em0 inet from 10.44.0.0/16 to any -> (em0:0)\n");
    let seen = || {
        let mut line = String::new();
        let mut stream = connect(&lab, 3, address("203.0.113.5")).expect("it passes");
        stream.read_to_string(&mut line).expect("a line");
        line
    };
    assert_eq!(seen(), "192.0.2.2 203.0.113.5\n");
    lab.host.ok("ifconfig em0 inet 192.0.2.9/24");
    // With its address the interface loses its routes.
    lab.host.namespace.ip("route replace default via 192.0.2.1");
    let internet = &lab.stations[0].namespace;
    internet.ip("route replace default via 192.0.2.9");
    assert_eq!(seen(), "192.0.2.9 203.0.113.5\n");
}
