//! Readers of a host's words, and the state that follows from them.

use bhyve_vm::{
    Contradiction, Event, EventWord, Facts, Parts, VmState, observe, parse_datasets, parse_events,
    parse_interfaces, parse_modules, parse_nodes, parse_processes, parse_resolvers, parse_routes,
    parse_sysctls, parse_version, read_console,
};

#[test]
fn processes() {
    let text = "  812   3600  14480 bhyve: etcd-0 (bhyve)\n 9 1 0 bhyve: etcd-1\n    1 90000    900 /sbin/init\n";
    let found = parse_processes(text).unwrap();
    let vms: Vec<_> = found
        .iter()
        .map(|process| (process.pid, process.vm()))
        .collect();
    assert_eq!(vms, [(812, Some("etcd-0")), (9, Some("etcd-1")), (1, None)]);
    assert_eq!((found[0].age_s, found[0].resident_kib), (3600, 14480));
}

#[test]
fn datasets() {
    let text = "zroot/lab\tfilesystem\t98304\t101468160\t-\t-\n\
                zroot/lab/images/debian-12@ready\tsnapshot\t0\t-\t-\t-\n\
                zroot/lab/etcd-0/root\tvolume\t56832\t101468160\tzroot/lab/images/debian-12@ready\tetcd-0\n";
    let found = parse_datasets(text).unwrap();
    assert_eq!(found[1].available, None);
    assert_eq!(
        found[2].origin.as_deref(),
        Some("zroot/lab/images/debian-12@ready")
    );
    assert_eq!(found[2].owner.as_deref(), Some("etcd-0"));
    assert_eq!((found[2].used, found[0].owner.as_deref()), (56832, None));
}

#[test]
fn interfaces() {
    let text = include_str!("../data/ifconfig.txt");
    let found = parse_interfaces(text).unwrap();
    let names: Vec<_> = found
        .iter()
        .map(|interface| (interface.name.as_str(), interface.up, interface.mtu))
        .collect();
    assert_eq!(
        names,
        [
            ("vtnet0", true, 1500),
            ("lo0", true, 16384),
            ("bridge110", true, 1500),
            ("tap110", true, 1500),
            ("tap111", false, 1500)
        ]
    );
    let bridge = &found[2];
    assert_eq!(bridge.members, ["tap111", "tap110"]);
    assert_eq!(
        bridge.addresses,
        [
            "10.110.0.1",
            "fd00:110::1",
            "fe80::5a9c:fcff:fe00:110%bridge110"
        ]
    );
    let nets: Vec<_> = bridge.nets.iter().map(ToString::to_string).collect();
    assert_eq!(
        nets,
        [
            "10.110.0.1/24",
            "fd00:110::1/64",
            "fe80::5a9c:fcff:fe00:110/64"
        ]
    );
    let nd6 = bridge.nd6.as_ref().unwrap();
    assert_eq!(nd6.as_slice(), ["PERFORMNUD", "AUTO_LINKLOCAL"]);
    assert_eq!((found[1].nd6.as_ref(), found[1].nets.len()), (None, 2));
    assert_eq!(bridge.ether.as_deref(), Some("58:9c:fc:00:01:10"));
    assert_eq!(bridge.groups, ["bridge", "lab"]);
    assert_eq!(found[3].description.as_deref(), Some("lab:etcd-0"));
    assert_eq!((found[3].opened_by, found[4].opened_by), (Some(812), None));
}

#[test]
fn modules_and_settings() {
    let text = "Id Refs Address                Size Name\n 1   61 0xffffffff80200000  1f3e2d0 kernel (/boot/kernel/kernel)\n\
                \tContains modules:\n\t\t Id Name\n\t\t 11 if_tuntap\n 5    1 0xffffffff82a21000   3360a8 vmm.ko (/boot/kernel/vmm.ko)\n\
                \tContains modules:\n\t\t Id Name\n\t\t580 vmm\n";
    assert_eq!(
        parse_modules(text).unwrap(),
        ["kernel", "if_tuntap", "vmm.ko", "vmm"]
    );
    let settings =
        parse_sysctls("hw.vmm.vmx.initialized: 1\nkern.ostype: \nhw.model: Intel(R): x\n").unwrap();
    assert_eq!(settings["hw.vmm.vmx.initialized"], "1");
    assert_eq!(settings["kern.ostype"], "");
    assert_eq!(settings["hw.model"], "Intel(R): x");
}

#[test]
fn versions_are_ordered_by_number() {
    for text in ["14.4-RELEASE-p11", "14.4-RELEASE", "15.1-RELEASE-p5"] {
        assert_eq!(
            parse_version(&format!("{text}\n")).unwrap().to_string(),
            text
        );
    }
    let level = |text| parse_version(text).unwrap();
    assert!(level("14.4-RELEASE-p9") < level("14.4-RELEASE-p11"));
    assert!(level("14.10-RELEASE") > level("14.9-RELEASE-p3"));
    assert_eq!(level("15.0-STABLE").patch, None);
}

#[test]
fn what_is_not_of_the_command_is_refused_with_its_line() {
    let errors = [
        parse_nodes("etcd-0\nls: /dev/vmm: No such file or directory\n").unwrap_err(),
        parse_processes("  812   3600  14480 bhyve: etcd-0\n  813 -\n").unwrap_err(),
        parse_processes("1 2 3 \n").unwrap_err(),
        parse_datasets("zroot/lab filesystem 1 1 - -\n").unwrap_err(),
        parse_datasets("zroot\tpool\t1\t1\t-\t-\n").unwrap_err(),
        parse_datasets("zroot\tvolume\t55.5K\t1\t-\t-\n").unwrap_err(),
        parse_interfaces("\tether 00:00:00:00:00:00\n").unwrap_err(),
        parse_interfaces("tap0: flags=8802<BROADCAST> metric 0\n").unwrap_err(),
        parse_interfaces("tap0: flags=8802<UP> metric 0 mtu 1500\n\tOpened by somebody\n")
            .unwrap_err(),
        parse_modules("kldstat: can't find file\n").unwrap_err(),
        parse_sysctls("sysctl: unknown oid 'x'\nnonsense\n").unwrap_err(),
        parse_version("14.4-RELEASE-px\n").unwrap_err(),
        parse_version("6.1.0-18-cloud-amd64\n").unwrap_err(),
        parse_version("").unwrap_err(),
    ];
    let told: String = errors.iter().map(|error| format!("{error}\n")).collect();
    assert_eq!(told, include_str!("../data/observe.errors"), "{told}");
}

fn facts(events: &str) -> Facts {
    Facts {
        defined: true,
        parts: Parts::All,
        owner: Some("etcd-0".into()),
        events: parse_events(events).unwrap().events,
        ..Facts::default()
    }
}

fn running(events: &str) -> Facts {
    Facts {
        node: true,
        running: vec![812],
        pid_file: Some(812),
        supervised: true,
        ..facts(events)
    }
}

fn seen(facts: &Facts) -> (VmState, Vec<Contradiction>) {
    let observed = observe("etcd-0", Some(facts));
    (observed.state, observed.contradictions)
}

const EXIT: &str = "9 1 exited status=0 ran=1 asked=nothing node=yes said=nothing console=nothing cause=guest-rebooted\n";

#[test]
fn states_of_rest_and_of_running() {
    let none = Vec::new;
    assert_eq!(observe("etcd-0", None).state, VmState::Unknown);
    assert_eq!(seen(&Facts::default()), (VmState::Absent, none()));
    let defined = Facts {
        defined: true,
        ..Facts::default()
    };
    assert_eq!(seen(&defined), (VmState::Defined, none()));
    let half = Facts {
        parts: Parts::Some,
        ..facts("")
    };
    assert_eq!(seen(&half), (VmState::Provisioning, none()));
    assert_eq!(seen(&facts("")), (VmState::Stopped, none()));
    assert_eq!(
        seen(&facts("9 1 stopped cause=guest-halted\n")),
        (VmState::Stopped, none())
    );
    assert_eq!(
        seen(&facts("9 1 failed cause=host-fault\n")),
        (VmState::Failed, none())
    );
    let supervised = |events| Facts {
        supervised: true,
        ..facts(events)
    };
    assert_eq!(
        seen(&supervised("9 1 starting\n")),
        (VmState::Starting, none())
    );
    assert_eq!(seen(&supervised(EXIT)), (VmState::Rebooting, none()));
    assert_eq!(
        seen(&running("9 1 started pid=812\n")),
        (VmState::Running, none())
    );
    assert_eq!(
        seen(&running("9 1 requested what=stop\n")),
        (VmState::Stopping, none())
    );
    // The stop of a former run.
    assert_eq!(
        seen(&running("9 1 requested what=reboot\n9 2 started pid=812\n")),
        (VmState::Running, none())
    );
    let silent = Facts {
        console: Some(read_console(b"--- boot 1 ---\n")),
        ..running("")
    };
    assert_eq!(seen(&silent), (VmState::Starting, none()));
    let rest = Facts {
        parts: Parts::Some,
        defined: false,
        ..facts("")
    };
    assert_eq!(
        seen(&rest),
        (VmState::Deleting, vec![Contradiction::Undefined])
    );
}

#[test]
fn contradictions_are_named() {
    use Contradiction::*;
    let leaked = Facts {
        node: true,
        ..facts("9 1 stopped cause=killed\n")
    };
    assert_eq!(seen(&leaked), (VmState::Crashed, vec![LeakedNode]));
    // The log says stopped, the host says running.
    let orphan = Facts {
        supervised: false,
        ..running("9 1 stopped cause=killed\n")
    };
    assert_eq!(seen(&orphan), (VmState::Running, vec![Unsupervised]));
    let fell = Facts {
        pid_file: Some(7),
        ..facts("9 1 started pid=7\n")
    };
    assert_eq!(seen(&fell), (VmState::Crashed, vec![StalePidFile]));
    let twice = Facts {
        running: vec![812, 813],
        ..running("")
    };
    assert_eq!(seen(&twice).1, [RunsTwice]);
    let dying = Facts {
        node: false,
        ..running("")
    };
    assert_eq!(seen(&dying).1, [ProcessWithoutNode]);
    let robbed = Facts {
        parts: Parts::Some,
        ..running("")
    };
    assert_eq!(seen(&robbed).1, [PartsMissing]);
    for owner in [None, Some("etcd-1".to_owned())] {
        assert_eq!(seen(&Facts { owner, ..facts("") }).1, [NotOurs]);
    }
    let foreign = Facts {
        node: true,
        running: vec![3],
        ..Facts::default()
    };
    assert_eq!(
        seen(&foreign),
        (
            VmState::Running,
            vec![Unsupervised, PartsMissing, Undefined]
        )
    );
}

#[test]
fn the_event_log_is_read_strictly_and_printed_back() {
    let text = include_str!("../data/events.log");
    let log = parse_events(text).unwrap();
    let printed: String = log
        .events
        .iter()
        .map(|event| format!("{event}\n"))
        .collect();
    assert_eq!((printed.as_str(), log.torn), (text, 0));
    let whole = parse_events("9 1 lost\n9 1 star~\n9 2 starting\n9 2 sta").unwrap();
    assert_eq!((whole.events.len(), whole.torn), (2, 2));
    assert_eq!(
        whole.events[1],
        Event {
            at: 9,
            boot: 2,
            what: EventWord::Starting
        }
    );
    let mut told = String::new();
    for line in [
        "x 1 lost",
        "9 1",
        "9 1 lost pid=1",
        "9 1 started",
        "9 1 started pid=-1",
        "9 1 started pid=1 pid=1",
        "9 99999999999 lost",
        "9 1 rung what=stairs",
        "9 1 stopped cause=whim",
        "9 1 lost now",
        "9 1 began",
    ] {
        told += &format!(
            "{}\n",
            parse_events(&format!("9 0 lost\n{line}\n")).unwrap_err()
        );
    }
    assert_eq!(told, include_str!("../data/events.errors"), "{told}");
}

/// With and without `-W`, both families, links as next hops, scopes.
#[test]
fn routes() {
    let text = "Routing tables (fib: 0)\n\nInternet:\n\
        Destination        Gateway            Flags     Netif Expire\n\
        default            192.0.2.1          UGS         em0\n\
        127.0.0.1          link#2             UH          lo0\n\
        10.244.0.0/24      10.77.1.10         UGS    lab0-kube   3600\n\n\
        Internet6:\n\
        Destination        Gateway            Flags         Nhop#    Mtu    Netif Expire\n\
        default            fe80::1%em0        UG                5   1500      em0\n\
        fe80::%em0/64      link#1             U                 6   1500      em0\n\
        2001:db8::2        link#2             UHS               7  16384      lo0\n";
    let told: Vec<_> = parse_routes(text)
        .unwrap()
        .into_iter()
        .map(|route| {
            let via = route.via.map_or("link".to_owned(), |via| via.to_string());
            format!("{} {via} {}", route.to, route.interface)
        })
        .collect();
    assert_eq!(
        told,
        [
            "0.0.0.0/0 192.0.2.1 em0",
            "127.0.0.1/32 link lo0",
            "10.244.0.0/24 10.77.1.10 lab0-kube",
            "::/0 fe80::1 em0",
            "fe80::/64 link em0",
            "2001:db8::2/128 link lo0",
        ]
    );
    let errors = [
        "10.0.0.0/8 10.0.0.1 UGS em0\n",
        "Destination Gateway Flags Netif\n10/8 10.0.0.1 UGS em0\n",
    ];
    let told = errors.map(|text| parse_routes(text).unwrap_err().to_string());
    assert_eq!(
        told,
        [
            "line 1 of the output of netstat -rnW, \"10.0.0.0/8 10.0.0.1 UGS em0\": neither a heading nor a route",
            "line 2 of the output of netstat -rnW, \"10/8 10.0.0.1 UGS em0\": neither a heading nor a route",
        ]
    );
}

#[test]
fn name_servers() {
    let text = "# made by resolvconf\nsearch example.org\nnameserver 192.0.2.1\nnameserver fe80::1%em0\nnameserver\n";
    let told: Vec<_> = parse_resolvers(text)
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(told, ["192.0.2.1", "fe80::1"]);
}
