//! Bad input: each is refused with the field, the value and the rule.

use crate::etcd_0;
use bhyve_vm::{
    BridgeName, DeviceTree, DiskSerial, HostPath, InvalidValue, KeyTree, MacAddress, Release,
    SectorSizes, Slot, SpecError, TapName, Topology, Uuid, VmName, VmSpec, ZfsDataset, parse_argv,
    parse_config_file,
};
use std::{fmt::Debug, str::FromStr};

fn refused<T: FromStr<Err = InvalidValue> + Debug>(field: &str, texts: &[&str]) {
    for text in texts {
        let error = text.parse::<T>().unwrap_err().to_string();
        assert!(error.starts_with(&format!("{field} {text:?} ")), "{error}");
    }
}

#[test]
fn texts() {
    refused::<VmName>(
        "VM name",
        &["", "-a", "a-", "A", "a.b", "a_b", "ä", &"x".repeat(31)],
    );
    refused::<Uuid>(
        "UUID",
        &[
            "",
            "8F5C2B7E-0A41-4A52-9D4C-0A1B2C3D4E5F",
            "00000000-0000-0000-0000-000000000000",
            "8f5c2b7e0a414a529d4c0a1b2c3d4e5f",
        ],
    );
    refused::<TapName>(
        "tap interface",
        &[
            "",
            "tap",
            "tap01",
            "tap123456",
            "vmnet0",
            "tap0,mac",
            "taplab",
            "tap-1",
        ],
    );
    refused::<BridgeName>(
        "bridge interface",
        &["", "0b", "-b", "Bridge0", "b r", "bridge0123456789"],
    );
    refused::<MacAddress>(
        "MAC address",
        &[
            "",
            "58:9C:fc:0a:00:10",
            "59:9c:fc:0a:00:10",
            "ff:ff:ff:ff:ff:ff",
            "00:00:00:00:00:00",
            "58:9c:fc:0a:00",
            "5:9c:fc:0a:00:10",
            "58-9c-fc-0a-00-10",
        ],
    );
    refused::<HostPath>(
        "path",
        &[
            "",
            "a",
            "/",
            "/a/",
            "/a,b",
            "/a b",
            "/a%b",
            "/a\\b",
            "/a=b",
            "/a\nb",
            "/../a",
            "/a/..",
            &format!("/{}", "x".repeat(1023)),
        ],
    );
    refused::<DiskSerial>("disk serial", &["", "a,b", "a b", &"x".repeat(20)]);
    refused::<SectorSizes>(
        "sector size",
        &[
            "",
            "512",
            "0/0",
            "256/512",
            "4096/512",
            "513/4096",
            "+512/4096",
            "0512/4096",
        ],
    );
    refused::<ZfsDataset>(
        "ZFS dataset",
        &[
            "",
            "zroot",
            "/zroot/a",
            "zroot//a",
            "zroot/a@s",
            "zroot/a/",
            "zroot/../a",
            "-o/a",
        ],
    );
    assert_eq!(
        Slot::try_from(32).unwrap_err().to_string(),
        "PCI slot \"32\" must be 0 to 31"
    );
}

#[test]
fn unknown_and_missing_fields() {
    let good = include_str!("../data/etcd-0.toml");
    for (from, to, why) in [
        ("memory_mib = 2048", "memory = 2048", "memory"),
        ("memory_mib = 2048", "memory_mib = 0", "nonzero"),
        ("cores = 2", "cores = 0", "nonzero"),
        ("name = \"etcd-0\"", "", "missing field `name`"),
        (
            "tap = \"tap110\"",
            "tap = \"eth0\"",
            "tap interface \"eth0\" must be",
        ),
        ("slot = 10", "slot = 32", "must be 0 to 31"),
    ] {
        let error = toml::from_str::<VmSpec>(&good.replacen(from, to, 1))
            .unwrap_err()
            .to_string();
        assert!(
            error.contains(why) && error.contains("line"),
            "{to}: {error}"
        );
    }
}

/// The error of `etcd-0` after a change.
fn contradiction(change: impl FnOnce(&mut VmSpec)) -> String {
    let mut spec = etcd_0();
    change(&mut spec);
    DeviceTree::new(&spec).unwrap_err().to_string()
}

#[test]
fn contradictions() {
    let slot = |n: u8| Some(Slot::try_from(n).unwrap());
    let cases = [
        (
            contradiction(|s| s.nics[1].slot = slot(10)),
            "slot 10 of nics[1] is taken by disks[1]; give it another, or none to have one chosen",
        ),
        (
            contradiction(|s| s.disks[0].slot = slot(31)),
            "slot 31 of disks[0] is taken by lpc; give it another, or none to have one chosen",
        ),
        (
            contradiction(|s| s.disks[0].slot = slot(15)),
            "slot 15 of disks[0] is taken by seed; give it another, or none to have one chosen",
        ),
        (
            contradiction(|s| s.nics[1].mac = s.nics[0].mac.clone()),
            "nics[0] and nics[1] have the same MAC address: 58:9c:fc:0a:00:10",
        ),
        (
            contradiction(|s| s.nics[1].tap = s.nics[0].tap.clone()),
            "nics[0] and nics[1] have the same tap interface: tap110",
        ),
        (
            contradiction(|s| s.disks[1].serial = s.disks[0].serial.clone()),
            "disks[0] and disks[1] have the same serial: etcd-0-root",
        ),
        (
            contradiction(|s| s.disks[1].path = s.seed.clone().unwrap()),
            "seed and disks[1] have the same file: /zroot/lab/etcd-0/seed.img",
        ),
        (
            contradiction(|s| s.firmware.vars = s.firmware.vars_template.clone()),
            "firmware.vars_template and firmware.vars have the same file: /usr/local/share/uefi-firmware/BHYVE_UEFI_VARS.fd",
        ),
    ];
    for (error, expected) in cases {
        assert_eq!(error, expected);
    }
}

#[test]
fn too_much() {
    let error = contradiction(|s| {
        s.cpus = Topology {
            sockets: 16.try_into().unwrap(),
            cores: 16.try_into().unwrap(),
            ..s.cpus
        }
    });
    assert_eq!(
        error,
        "cpus: 256 virtual processors (sockets x cores x threads) are more than 255"
    );
    let mut spec = etcd_0();
    let template = spec.nics[0].clone();
    spec.nics = (0..13)
        .map(|i| bhyve_vm::Nic {
            mac: format!("58:9c:fc:0a:00:{i:02x}").parse().unwrap(),
            tap: format!("tap{i}").parse().unwrap(),
            ..template.clone()
        })
        .collect();
    let error = DeviceTree::new(&spec).unwrap_err();
    assert_eq!(
        error,
        SpecError::NoSlotLeft {
            range: 16..=27,
            wanted_by: "nics[12]".into()
        }
    );
}

#[test]
fn lines_of_a_file() {
    for (text, error) in [
        ("name", "line 1: \"name\" is not KEY=VALUE"),
        ("name=", "line 1: \"name=\" is not KEY=VALUE"),
        ("=a", "line 1: \"=a\" is not KEY=VALUE"),
        (
            "# a comment\n\nmemory.Size=2G",
            "line 3: unknown key \"memory.Size\"; known here: memory.guest_in_core, memory.size, memory.wired",
        ),
        (
            "pci.0.32.0.device=lpc",
            "line 1: unknown key \"pci.0.32.0.device\"; known here: pci.enable_bars (FreeBSD 15), and pci.BUS.SLOT.FUNCTION.KEY of numbers up to 255, 31 and 7",
        ),
        (
            "acpi_tables=maybe",
            "line 1: acpi_tables=\"maybe\" is not one of true, on, yes, 1, false, off, no, 0",
        ),
        ("cpus=02", "line 1: cpus=\"02\" is not a number above 0"),
    ] {
        let read = parse_config_file(text, Release::V15);
        assert_eq!(read.unwrap_err().to_string(), error);
    }
    // A leading zero makes another key for bhyve, which it would ignore.
    assert!(parse_config_file("pci.0.04.0.device=lpc", Release::V15).is_err());
    assert!(parse_config_file(" name=a", Release::V15).is_err());
    assert_eq!(
        parse_config_file("#\n\n", Release::V15).unwrap(),
        KeyTree::new(Release::V15)
    );
}

#[test]
fn words_of_an_argument_list() {
    for (words, error) in [
        (
            "a -A",
            "argument 2, \"-A\": options end at the first word without '-', which is the VM's name; nothing may follow it",
        ),
        (
            "-A -A a",
            "argument 2, \"-A\": key \"acpi_tables\" is set twice",
        ),
        ("-m", "argument 1, \"-m\": the value of -m is missing"),
        (
            "-m 2Q a",
            "argument 2, \"2Q\": memory.size=\"2Q\" is not a size of memory such as 2048M",
        ),
        (
            "-c chips=2 a",
            "argument 2, \"chips=2\": \"chips=2\" is none of cpus=, sockets=, cores=, threads=",
        ),
        (
            "-s 3:0,virtio-blk a",
            "argument 2, \"3:0,virtio-blk\": pci.0.3.0.device: virtio-blk needs path",
        ),
        (
            "-s 3,virtio-rnd,fast -A",
            "argument 2, \"3,virtio-rnd,fast\": pci.0.3.0.fast is no key of virtio-rnd; it has none",
        ),
        (
            "-s 3,ahci,/a",
            "argument 2, \"3,ahci,/a\": \"/a\" is no port: hd:PATH or cd:PATH",
        ),
        (
            "-s 3,virtio-blk,/a,,ro",
            "argument 2, \"3,virtio-blk,/a,,ro\": nothing stands between two commas, or after the last",
        ),
        ("-p 1", "argument 2, \"1\": not VCPU:HOSTCPU"),
        (
            "-n size=1G",
            "argument 2, \"size=1G\": no id=, which says which domain it is",
        ),
        (
            "-f opt/a",
            "argument 2, \"opt/a\": not NAME,string=TEXT or NAME,file=PATH",
        ),
        (
            "-k /vm/%(name).conf",
            "argument 2, \"/vm/%(name).conf\": not a path without comma, blank, '=', '%' and '\\', 1023 characters at most",
        ),
        (
            "-s 3,virtio-net,%(name),type=tap",
            "argument 2, \"3,virtio-net,%(name),type=tap\": pci.0.3.0.backend=\"%(name)\" is not a word without blank, comma, '%' and '\\'",
        ),
        (
            "-s 1,lpc -s 2,lpc",
            "argument 4, \"2,lpc\": pci.0.2.0.device: a VM has one lpc, and slot 0:1 is it",
        ),
    ] {
        let words: Vec<String> = words.split(' ').map(str::to_owned).collect();
        let read = parse_argv(&words, Release::V15);
        assert_eq!(read.unwrap_err().to_string(), error);
    }
}

#[test]
fn keys_of_one_release() {
    let mut spec = etcd_0();
    spec.extra.insert("pci.enable_bars".into(), "true".into());
    let tree = DeviceTree::new(&spec).unwrap();
    assert_eq!(tree.supports(Release::V15), Ok(()));
    assert_eq!(
        tree.supports(Release::V14).unwrap_err().to_string(),
        "pci.enable_bars is no key of FreeBSD 14: FreeBSD 15 brought it"
    );
}
