use crate::host::{Host, Namespace};
use std::{
    net::{TcpListener, TcpStream},
    time::Duration,
};

const GUEST: &str = "ip link set lo up; echo ready; exec cat";

/// Words, standard error, status.
#[track_caller]
fn check_refusals(host: &Host, cases: &[(&str, &str)]) {
    for (words, complaint) in cases {
        let said = host.run(words);
        assert_eq!(
            (said.err.trim_end(), said.status),
            (*complaint, 1),
            "{words}"
        );
    }
}

#[test]
#[ignore = "needs root, unshare, nsenter, ip"]
fn what_the_real_program_refuses() {
    let host = Host::new();
    host.ok("ifconfig bridge create name one");
    host.ok("ifconfig bridge create name two");
    host.ok("ifconfig tap5 create description lab:vm");
    host.ok("ifconfig one addm tap5");
    check_refusals(
        &host,
        &[
            ("ifconfig tap9", "ifconfig: interface tap9 does not exist"),
            (
                "ifconfig tap9 destroy",
                "ifconfig: interface tap9 does not exist",
            ),
            (
                "ifconfig tap9 up",
                "ifconfig: interface tap9 does not exist",
            ),
            (
                "ifconfig gif0 create",
                "ifconfig: interface gif0 does not exist",
            ),
            (
                "ifconfig tap5 create",
                "ifconfig: interface tap5 already exists",
            ),
            (
                "ifconfig em0 destroy",
                "ifconfig: SIOCIFDESTROY: Invalid argument",
            ),
            (
                "ifconfig one addm tap5",
                "ifconfig: BRDGADD tap5: File exists",
            ),
            (
                "ifconfig two addm tap5",
                "ifconfig: BRDGADD tap5: Device busy",
            ),
            (
                "ifconfig two addm tap9",
                "ifconfig: BRDGADD tap9: No such file or directory",
            ),
            (
                "ifconfig two addm one",
                "ifconfig: BRDGADD one: Invalid argument",
            ),
            (
                "ifconfig em0 addm tap5",
                "ifconfig: BRDGADD tap5: Operation not supported",
            ),
            (
                "ifconfig two deletem tap5",
                "ifconfig: BRDGDEL tap5: No such file or directory",
            ),
            ("ifconfig one nonsense", "ifconfig: nonsense: bad value"),
            (
                "ifconfig one inet 10.0.0.1/33",
                "ifconfig: 10.0.0.1/33: bad value",
            ),
            (
                "ifconfig one inet fd00::1/64",
                "ifconfig: fd00::1: bad value",
            ),
            (
                "ifconfig one inet 10.0.0.9 -alias",
                "ifconfig: ioctl (SIOCDIFADDR): Can't assign requested address",
            ),
            (
                "ifconfig one inet 192.0.2.2/24 alias",
                "ifconfig: ioctl (SIOCAIFADDR): File exists",
            ),
            (
                "ifconfig one inet6 fe80::1%two/64 alias",
                "ifconfig: ioctl (SIOCAIFADDR): Invalid argument",
            ),
            (
                "ifconfig one group lab0",
                "ifconfig: setifgroup: group names may not end in a digit",
            ),
            ("ifconfig one addm", "ifconfig: 'addm' requires argument"),
            (
                "ifconfig one mtu 10",
                "ifconfig: ioctl SIOCSIFMTU (set mtu): Invalid argument",
            ),
            (
                "ifconfig tap5 mtu 9000",
                "ifconfig: ioctl SIOCSIFMTU (set mtu): Invalid argument",
            ),
            (
                "ifconfig one name sixteen-letters1",
                "ifconfig: ioctl SIOCSIFNAME (set name): File name too long",
            ),
            (
                "ifconfig one name two",
                "ifconfig: ioctl SIOCSIFNAME (set name): File exists",
            ),
        ],
    );
    assert_eq!(host.ok("ifconfig -l"), "em0 lo0 one two tap5\n");
}

/// As the real one does: the interface is there before its name is asked for.
#[test]
#[ignore = "needs root, unshare, nsenter, ip"]
fn a_name_that_is_taken_leaves_an_interface_behind() {
    let host = Host::new();
    assert_eq!(
        host.ok("ifconfig bridge create name lab-etcd"),
        "lab-etcd\n"
    );
    let said = host.run("ifconfig bridge create name lab-etcd");
    assert_eq!(said.out, "bridge0\n");
    assert_eq!(
        said.err,
        "ifconfig: ioctl SIOCSIFNAME (set name): File exists\n"
    );
    assert_eq!(host.ok("ifconfig -g bridge"), "lab-etcd\nbridge0\n");
}

#[test]
#[ignore = "needs root, unshare, nsenter, ip"]
fn a_bridge_has_addresses_when_asked_for() {
    let host = Host::new();
    host.ok("ifconfig bridge create name lab-etcd");
    // Kept, and of no use before IPv6 is on.
    host.ok("ifconfig lab-etcd inet6 fd00:1::1/64 alias");
    assert!(
        host.ok("ifconfig lab-etcd")
            .contains("\tinet6 fd00:1::1 prefixlen 64 tentative\n")
    );
    host.ok("ifconfig lab-etcd inet6 -ifdisabled auto_linklocal");
    for _ in 0..2 {
        host.ok("ifconfig lab-etcd up");
        host.ok("ifconfig lab-etcd inet 10.44.0.1/26 alias");
        host.ok("ifconfig lab-etcd inet6 fd00::1/64 alias");
        host.ok("ifconfig lab-etcd inet6 fe80::1%lab-etcd/64 alias");
    }
    let text = host.ok("ifconfig lab-etcd");
    let expected = include_str!("../data/lab-etcd.ifconfig");
    assert_eq!(text, expected);
    let all = bhyve_vm::parse_interfaces(&host.ok("ifconfig -a")).expect("it can be read");
    let bridge = all
        .iter()
        .find(|own| own.name == "lab-etcd")
        .expect("it is there");
    assert_eq!(
        (bridge.up, bridge.mtu, bridge.addresses.len()),
        (true, 1500, 5)
    );
    host.ok("ifconfig lab-etcd inet 10.44.0.1 -alias");
    host.ok("ifconfig lab-etcd inet6 fe80::1%lab-etcd -alias");
    assert_eq!(host.ok("ifconfig lab-etcd").matches("\tinet").count(), 3);
    host.ok("ifconfig lab-etcd destroy");
    assert_eq!(host.ok("ifconfig -l"), "em0 lo0\n");
}

#[test]
#[ignore = "needs root, unshare, nsenter, ip"]
fn a_tap_carries_while_somebody_holds_it() {
    let host = Host::new();
    let guests = [Namespace::new(GUEST, &[]), Namespace::new(GUEST, &[])];
    host.ok("ifconfig bridge create name lab-kube");
    host.ok("ifconfig lab-kube inet 10.44.1.1/24 up");
    let mut held = Vec::new();
    for (guest, number) in guests.iter().zip(1..) {
        let tap = format!("tap{number}");
        host.ok(&format!(
            "ifconfig {tap} create description lab:vm-{number}"
        ));
        // Before one is held, and while the other is.
        host.ok(&format!("ifconfig lab-kube addm {tap}"));
        held.push(host.hold(&tap, guest, "enp0s5", &format!("58:9c:fc:00:00:0{number}")));
        guest.ip("link set enp0s5 up");
        guest.ip(&format!("addr add 10.44.1.1{number}/24 dev enp0s5"));
    }
    let listener = guests[1].inside(|| TcpListener::bind("10.44.1.12:80").expect("its address"));
    let connected = guests[0].inside(|| {
        let to = listener.local_addr().expect("it is bound");
        TcpStream::connect_timeout(&to, Duration::from_secs(5)).map(drop)
    });
    connected.expect("one guest reaches the other");
    let text = host.ok("ifconfig tap1");
    assert!(text.starts_with("tap1: flags=1008943<UP,BROADCAST,RUNNING,PROMISC,SIMPLEX,MULTICAST,LOWER_UP> metric 0 mtu 1500\n\tdescription: lab:vm-1\n"), "{text}");
    let second = host.run(&format!(
        "freebsd-host-net hold tap1 {} other 58:9c:fc:00:00:09",
        guests[1].pid()
    ));
    assert_eq!((second.err.as_str(), second.status), ("Device busy\n", 1));
    assert_eq!(
        host.run("ifconfig tap1 destroy").err,
        "ifconfig: SIOCIFDESTROY: Device busy\n"
    );
    // One that ends by itself, and one that is killed.
    drop(held.remove(0));
    held[0].child.kill().expect("it runs");
    held[0].child.wait().expect("it was killed");
    for tap in ["tap1", "tap2"] {
        let text = host.ok(&format!("ifconfig {tap}"));
        assert!(
            text.contains("flags=8902<BROADCAST,PROMISC,SIMPLEX,MULTICAST>"),
            "{text}"
        );
        assert!(
            text.contains("\tstatus: no carrier\n") && !text.contains("Opened"),
            "{text}"
        );
    }
    let _again = host.hold("tap2", &guests[1], "again", "58:9c:fc:00:00:02");
}

/// The first member gives a bridge its MTU, and addresses belong on the bridge.
#[test]
#[ignore = "needs root, unshare, nsenter, ip"]
fn members_have_the_mtu_of_the_bridge_and_no_addresses() {
    let host = Host::new();
    for words in [
        "bridge create name lab-kube",
        "tap1 create",
        "tap2 create",
        "tap1 mtu 1400",
    ] {
        host.ok(&format!("ifconfig {words}"));
    }
    host.ok("ifconfig lab-kube addm tap1");
    assert!(host.ok("ifconfig lab-kube").contains(" mtu 1400\n"));
    let refused = "ifconfig: BRDGADD tap2: Invalid argument\n";
    assert_eq!(host.run("ifconfig lab-kube addm tap2").err, refused);
    host.ok("ifconfig tap2 mtu 1400");
    host.ok("ifconfig lab-kube addm tap2");
    host.ok("ifconfig lab-kube deletem tap1");
    assert!(!host.ok("ifconfig lab-kube").contains("member: tap1"));
    host.ok("ifconfig bridge create name lab-etcd");
    host.ok("ifconfig em0 mtu 1400");
    host.ok("sysctl net.link.bridge.member_ifaddrs=0");
    let refused = "ifconfig: BRDGADD em0: Invalid argument\n";
    assert_eq!(host.run("ifconfig lab-kube addm em0").err, refused);
}
