//! Each rule of the doctor, broken one at a time.

use bhyve_vm::{
    HostFacts, Interface, Needs, SYSCTLS, Severity, examine, parse_routes, parse_version,
};

fn host() -> HostFacts {
    let values = [
        "34359738368",
        "8",
        "8",
        "1",
        "1",
        "",
        "8589934592",
        "1",
        "1",
        "0",
    ];
    let pairs = SYSCTLS
        .iter()
        .zip(values)
        .filter(|(_, value)| !value.is_empty());
    HostFacts {
        version: parse_version("14.4-RELEASE-p11").unwrap(),
        modules: ["kernel", "vmm.ko", "nmdm.ko", "if_tuntap", "if_bridge.ko"]
            .map(str::to_owned)
            .to_vec(),
        sysctls: pairs
            .map(|(name, value)| ((*name).to_owned(), value.to_owned()))
            .collect(),
        firmware: vec!["/fw/CODE.fd".into()],
        pool_available: 100 << 30,
        interfaces: vec![Interface {
            name: "tap110".into(),
            description: Some("lab:etcd-0".into()),
            ..Interface::default()
        }],
        pf: Some(
            [
                "nat-anchor \"bhyve-lab/*\" all",
                "rdr-anchor \"bhyve-lab/*\" all",
                "anchor \"bhyve-lab/*\" all",
            ]
            .map(str::to_owned)
            .to_vec(),
        ),
        routes: Vec::new(),
        clock_s: Some(1_764_180_000),
    }
}

fn needs() -> Needs {
    Needs {
        firmware: vec!["/fw/CODE.fd".into()],
        memory_mib: 10_240,
        cpus: 4,
        disk_bytes: 50 << 30,
        interfaces: vec!["tap110".into(), "tap111".into()],
        anchor_lines: [
            "set skip on lo0",
            "nat-anchor \"bhyve-lab/*\"",
            "rdr-anchor \"bhyve-lab/*\"",
            "anchor \"bhyve-lab/*\"",
        ]
        .map(str::to_owned)
        .to_vec(),
        networks: vec![
            "10.110.0.0/16".parse().unwrap(),
            "fd00:110::/48".parse().unwrap(),
        ],
        now_s: Some(1_764_180_010),
    }
}

/// Of these only the route by a VPN meets a network of the lab; the default routes hold all of them.
const ROUTES: &str = "Routing tables

Internet:
Destination        Gateway            Flags         Nhop#    Mtu    Netif Expire
default            192.0.2.1          UGS               3   1500      em0
10.110.0.0/16      link#7             U                 4   1500   tap110
192.0.2.0/24       link#1             U                 1   1500      em0

Internet6:
Destination        Gateway            Flags         Nhop#    Mtu    Netif Expire
default            fe80::1%em0        UG                5   1500      em0
fd00:110:0:7::/64  fd00:9::1          UGS               6   1500      wg0
";

#[test]
fn a_good_host_has_no_finding() {
    assert_eq!(examine(&host(), &needs()), []);
    let amd = |facts: &mut HostFacts| {
        facts.sysctls.remove("hw.vmm.vmx.initialized");
        facts
            .sysctls
            .insert("hw.vmm.svm.features".into(), "0x1".into());
    };
    let mut facts = host();
    amd(&mut facts);
    assert_eq!(examine(&facts, &needs()), []);
}

#[test]
fn patch_levels() {
    for (version, expected) in [
        ("13.5-RELEASE-p9", Some(Severity::Error)),
        ("14.3-RELEASE-p20", Some(Severity::Error)),
        ("14.4-RELEASE-p10", Some(Severity::Error)),
        ("14.4-RELEASE-p11", None),
        ("14.5-RELEASE-p1", Some(Severity::Error)),
        ("14.5-RELEASE-p2", None),
        ("14.6-RELEASE", None),
        ("15.0-RELEASE-p9", Some(Severity::Error)),
        ("15.1-RELEASE-p4", Some(Severity::Error)),
        ("15.1-RELEASE-p5", None),
        ("15.0-STABLE", Some(Severity::Warning)),
        ("16.0-CURRENT", Some(Severity::Error)),
    ] {
        let facts = HostFacts {
            version: parse_version(version).unwrap(),
            ..host()
        };
        let found = examine(&facts, &needs())
            .first()
            .map(|finding| finding.severity);
        assert_eq!(found, expected, "{version}");
    }
}

#[test]
fn each_fault_has_its_words_evidence_and_command() {
    type Break = fn(&mut HostFacts, &mut Needs);
    let faults: [Break; 19] = [
        |host, _| host.version = parse_version("14.4-RELEASE").unwrap(),
        |host, _| host.modules.retain(|name| name != "if_tuntap"),
        |host, _| {
            drop(
                host.sysctls
                    .insert("hw.vmm.vmx.initialized".into(), "0".into()),
            )
        },
        |host, _| drop(host.sysctls.remove("hw.vmm.vmx.cap.unrestricted_guest")),
        |host, _| drop(host.sysctls.insert("hw.vmm.maxcpu".into(), "2".into())),
        |host, _| drop(host.sysctls.insert("hw.ncpu".into(), "2".into())),
        |_, needs| needs.memory_mib = 30_000,
        |_, needs| needs.memory_mib = 32_768,
        |host, _| drop(host.sysctls.insert("vfs.zfs.arc.max".into(), "0".into())),
        |host, _| host.firmware.clear(),
        |_, needs| needs.disk_bytes = 200 << 30,
        |host, _| {
            drop(
                host.sysctls
                    .insert("net.inet6.ip6.forwarding".into(), "0".into()),
            )
        },
        |host, _| {
            drop(
                host.sysctls
                    .insert("net.link.bridge.pfil_member".into(), "1".into()),
            )
        },
        |host, _| host.interfaces[0].description = Some("jail".into()),
        |host, _| host.pf = None,
        |host, _| host.clock_s = Some(1_764_179_900),
        |_, needs| needs.now_s = Some(1_764_170_000),
        |host, _| {
            host.interfaces.push(Interface {
                name: "em0".into(),
                nets: vec![
                    "10.110.3.2/24".parse().unwrap(),
                    "192.0.2.2/24".parse().unwrap(),
                ],
                ..Interface::default()
            });
        },
        |host, _| host.routes = parse_routes(ROUTES).unwrap(),
    ];
    let mut told = String::new();
    for fault in faults {
        let (mut host, mut needs) = (host(), needs());
        fault(&mut host, &mut needs);
        let findings = examine(&host, &needs);
        assert_eq!(findings.len(), 1, "{findings:?}");
        told += &format!("{}\n", findings[0]);
    }
    let mut facts = host();
    facts.pf = Some(vec!["anchor \"bhyve-lab/*\" all".into()]);
    for finding in examine(&facts, &needs()) {
        told += &format!("{finding}\n");
    }
    assert_eq!(told, include_str!("../data/doctor.findings"), "{told}");
}
