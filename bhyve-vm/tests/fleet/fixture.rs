//! The lab of these tests: two VMs, a shared file, a bridge, a setting and an anchor.

use bhyve_vm::fleet::{
    Anchor, Extent, Fleet, FleetBase, FleetVm, HostChange, HostEffect, Removal, SharedFile, Supply,
};
use bhyve_vm::image::{BaseVolume, Digest};
use bhyve_vm::seed::{HostKey, NetworkConfig, Seed, SeedImage, User};
use bhyve_vm::{Console, Derived, Disk, Firmware, Nic, Release, SectorSizes, Topology, VmSpec};
use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    sync::Mutex,
};

pub(crate) const RAW: &[u8] = &[7; 4096];
pub(crate) const PROGRAMS: &[u8] = b"programs of the guests";

pub(crate) fn parsed<T: std::str::FromStr>(text: &str) -> T
where
    T::Err: std::fmt::Debug,
{
    text.parse().unwrap()
}

/// The lab `lab0` with `lab0-etcd-0` and `lab0-node-0`.
pub(crate) fn fleet() -> Fleet {
    named("lab0", 110)
}

/// A lab of another name, with networks of another number.
pub(crate) fn named(lab: &str, number: u8) -> Fleet {
    let digest = Digest::sha256(RAW);
    let base = BaseVolume::new(&parsed("zroot/lab/base"), &digest, 4096).unwrap();
    let mut fleet = Fleet {
        lab: parsed(lab),
        dataset: parsed("zroot/lab"),
        directory: parsed("/zroot/lab"),
        base: FleetBase {
            volume: base,
            raw_sha256: digest,
            raw_bytes: 4096,
        },
        shared: vec![SharedFile {
            sha256: Digest::sha256(PROGRAMS),
            bytes: PROGRAMS.len() as u64,
        }],
        vms: Vec::new(),
        network: network(lab, number),
        firewall: Some(Anchor {
            name: parsed(&format!("labcluster/{lab}")),
            rules: format!("nat on em0 inet from 10.{number}.0.0/24 to any -> (em0)\npass all\n"),
            lines: [
                "set skip on lo0",
                "nat-anchor \"labcluster/*\"",
                "rdr-anchor \"labcluster/*\"",
                "anchor \"labcluster/*\"",
            ]
            .map(str::to_owned)
            .to_vec(),
        }),
        release: Release::V15,
    };
    for (order, role) in ["etcd-0", "node-0"].into_iter().enumerate() {
        let vm = vm(&fleet, role, u16::try_from(order).unwrap());
        fleet.vms.push(vm);
    }
    fleet
}

fn network(lab: &str, number: u8) -> Vec<HostChange> {
    let bridge = format!("{lab}net");
    let change = |what: &str, argv: String, undo: Option<String>, effect| {
        let words = |text: String| text.split(' ').map(str::to_owned).collect();
        HostChange {
            what: what.to_owned(),
            argv: words(argv),
            undo: undo.map(words),
            effect,
        }
    };
    vec![
        change(
            "one link for the network",
            format!("ifconfig bridge create name {bridge}"),
            Some(format!("ifconfig {bridge} destroy")),
            HostEffect::Interface(parsed(&bridge)),
        ),
        change(
            "a bridge has no link-local address by itself",
            format!("ifconfig {bridge} inet6 -ifdisabled auto_linklocal"),
            None,
            HostEffect::Properties(parsed(&bridge)),
        ),
        change(
            "a link that is down carries nothing",
            format!("ifconfig {bridge} up"),
            None,
            HostEffect::Up(parsed(&bridge)),
        ),
        change(
            "the gateway of the machines on it",
            format!("ifconfig {bridge} inet 10.{number}.0.1/24 alias"),
            Some(format!("ifconfig {bridge} inet 10.{number}.0.1 -alias")),
            HostEffect::Address {
                interface: parsed(&bridge),
                address: parsed(&format!("10.{number}.0.1/24")),
            },
        ),
        change(
            "the host routes between its networks",
            "sysctl net.inet.ip.forwarding=1".to_owned(),
            None,
            HostEffect::Setting {
                name: "net.inet.ip.forwarding".to_owned(),
                value: "1".to_owned(),
            },
        ),
        change(
            "the pods of a node are behind the node",
            format!("route -n add -inet -net 10.{number}.8.0/24 10.{number}.0.20"),
            Some(format!(
                "route -n delete -inet -net 10.{number}.8.0/24 10.{number}.0.20"
            )),
            HostEffect::Route {
                to: parsed(&format!("10.{number}.8.0/24")),
                via: parsed(&format!("10.{number}.0.20")),
            },
        ),
    ]
}

fn vm(fleet: &Fleet, role: &str, start_order: u16) -> FleetVm {
    let name = parsed(&format!("{}-{role}", fleet.lab));
    let directory = fleet.vm_directory(&name).unwrap();
    let root = fleet.base.volume.root_volume(
        fleet.root_dataset(&name).unwrap(),
        10_240.try_into().unwrap(),
    );
    let root = root.unwrap();
    let derived = Derived::new(fleet.lab.as_str(), &name);
    let disk = |path, serial: &str, read_only| Disk {
        path,
        serial: parsed(serial),
        sectors: SectorSizes::default(),
        read_only,
        slot: None,
    };
    let shared = fleet.shared[0].path(&fleet.directory).unwrap();
    let spec = VmSpec {
        uuid: derived.uuid(),
        cpus: Topology::cores(2.try_into().unwrap()),
        memory_mib: 2048.try_into().unwrap(),
        firmware: Firmware {
            code: parsed(Firmware::EDK2_CODE),
            vars_template: parsed(Firmware::EDK2_VARS),
            vars: parsed(&format!("{directory}/vars.fd")),
        },
        disks: vec![
            disk(root.dataset.device(), "root", false),
            disk(shared, "programs", true),
        ],
        nics: vec![Nic {
            mac: derived.mac(0),
            tap: derived.tap(0, &BTreeSet::new()).unwrap(),
            bridge: parsed(&format!("{}net", fleet.lab)),
            slot: None,
        }],
        seed: Some(parsed(&format!("{directory}/seed.img"))),
        consoles: vec![Console::Nmdm],
        random: true,
        restart: Default::default(),
        stop: Default::default(),
        start_order,
        extra: Default::default(),
        name,
    };
    let seed = Some(seed(role));
    FleetVm { spec, root, seed }
}

/// Made once: it takes a while without optimization.
fn seed(role: &str) -> SeedImage {
    static MADE: Mutex<BTreeMap<String, SeedImage>> = Mutex::new(BTreeMap::new());
    let mut made = MADE.lock().unwrap();
    made.entry(role.to_owned())
        .or_insert_with(|| make_seed(role))
        .clone()
}

fn make_seed(role: &str) -> SeedImage {
    let private = include_str!("../data/seed/host_key").to_owned();
    let host_key = HostKey::from_openssh(private.into()).unwrap();
    let network: NetworkConfig = parsed("version: 2\nethernets: {}\n");
    let key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIPqqWBKRCDA6JKvGQNQlX5jQj4pfNhH0ndgwKgrf8Ww5 me";
    let seed = Seed::new(parsed(role), host_key, network).with_user(User::root(parsed(key)));
    seed.files().unwrap().image()
}

/// The local files, in a directory that lives as long as the first value.
pub(crate) fn supply(fleet: &Fleet) -> (tempfile::TempDir, Supply) {
    let place = tempfile::tempdir().unwrap();
    let (raw, programs) = (place.path().join("raw"), place.path().join("programs"));
    std::fs::write(&raw, RAW).unwrap();
    std::fs::write(&programs, PROGRAMS).unwrap();
    let supply = Supply::of(fleet, raw, [programs]);
    (place, supply)
}

pub(crate) fn removal(fleet: &Fleet, purge: bool) -> Removal {
    Removal {
        lab: fleet.lab.clone(),
        dataset: fleet.dataset.clone(),
        directory: fleet.directory.clone(),
        extent: match purge {
            true => Extent::LabAndShared,
            false => Extent::Lab,
        },
    }
}

/// Compares a text with the file `tests/data/fleet/NAME`.
pub(crate) fn golden(name: &str, text: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/data/fleet")
        .join(name);
    let expected = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(text, expected, "{name}:\n{text}");
}
