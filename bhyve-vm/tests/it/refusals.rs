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
        ("# a comment\n\n name=a", "line 3: unknown key \" name\""),
        ("name=a\r\n", "line 1: name=a\r is not a VM name"),
        ("name=a\nname=a", "line 2: key \"name\" is set twice"),
        (
            "memory.size= 3G",
            "line 1: memory.size= 3G is not a number of MiB such as 2048M",
        ),
        (
            "pci.0.4.0.devcie=lpc",
            "line 1: unknown key \"pci.0.4.0.devcie\"",
        ),
        (
            "pci.0.32.0.device=lpc",
            "line 1: unknown key \"pci.0.32.0.device\"",
        ),
        (
            "pci.0.04.0.device=lpc",
            "line 1: unknown key \"pci.0.04.0.device\"",
        ),
        (
            "pci.0.4.0.device=fbuf",
            "line 1: pci.0.4.0.device=fbuf is not a device that this crate knows",
        ),
        (
            "pci.0.4.0.path=/%(name)",
            "line 1: pci.0.4.0.path=/%(name) is not a path that bhyve can read back",
        ),
        (
            "acpi_tables=yes",
            "line 1: acpi_tables=yes is not true or false",
        ),
        ("cpus=02", "line 1: cpus=02 is not a number above 0"),
        ("lpc.bootrom=/a", "line 1: unknown key \"lpc.bootrom\""),
    ] {
        assert_eq!(
            parse_config_file(text, Release::V15)
                .unwrap_err()
                .to_string(),
            error
        );
    }
    assert_eq!(
        parse_config_file("#\n\n", Release::V15).unwrap(),
        KeyTree::new(Release::V15)
    );
    assert!(parse_config_file("bootrom=/a", Release::V14).is_err());
}

#[test]
fn words_of_an_argument_list() {
    for (words, error) in [
        (
            "-x a",
            "argument 1, \"-x\": not an option that this crate prints",
        ),
        (
            "a -A",
            "argument 1, \"a\": not an option that this crate prints",
        ),
        (
            "-A -A a",
            "argument 2, \"-A\": key \"acpi_tables\" is set twice",
        ),
        ("-m", "argument 1, \"-m\": its value is missing"),
        (
            "-m 2048 a",
            "argument 1, \"2048\": memory.size=2048 is not a number of MiB such as 2048M",
        ),
        (
            "-c 2 a",
            "argument 1, \"2\": \"2\" is none of cpus=, sockets=, cores=, threads=",
        ),
        ("-s 3,lpc a", "argument 1, \"3,lpc\": \"3\" is not SLOT:0"),
        (
            "-s 3:1,lpc a",
            "argument 1, \"3:1,lpc\": \"3:1\" is not SLOT:0",
        ),
        (
            "-s 3:0,virtio-blk a",
            "argument 1, \"3:0,virtio-blk\": virtio-blk has no path",
        ),
        (
            "-s 3:0,lpc -s 3:0,lpc a",
            "argument 3, \"3:0,lpc\": key \"pci.0.3.0.device\" is set twice",
        ),
        (
            "-s 3:0,e1000,tap0 a",
            "argument 1, \"3:0,e1000,tap0\": pci.0.3.0.device=e1000 is not a device that this crate knows",
        ),
        (
            "-l com5,/dev/null a",
            "argument 1, \"com5,/dev/null\": neither bootrom,CODE,VARS nor com1,PATH",
        ),
    ] {
        let words: Vec<String> = words.split(' ').map(str::to_owned).collect();
        assert_eq!(
            parse_argv(&words, Release::V15).unwrap_err().to_string(),
            error
        );
    }
}
