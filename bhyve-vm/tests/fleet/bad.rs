//! What is refused before anything is made: the host has seen no command that changes it.

use crate::fixture::{fleet, golden, parsed, supply};
use crate::host::{Cut, FakeHost, World};
use crate::life::chain;
use bhyve_vm::fleet::{self, Fleet, HostEffect};
use bhyve_vm::image::{BaseVolume, Digest};
use bhyve_vm::{Disk, SectorSizes, VmSpec};
use host_exec::event::Silent;

type Change = fn(&mut Fleet, &mut World);

fn spec(fleet: &mut Fleet) -> &mut VmSpec {
    &mut fleet.vms[0].spec
}

fn disk(path: &str) -> Disk {
    Disk {
        path: parsed(path),
        serial: parsed("more"),
        sectors: SectorSizes::default(),
        read_only: false,
        slot: None,
    }
}

fn own(world: &mut World, dataset: &str, property: &str, value: &str) {
    let parts: Vec<&str> = dataset.split('/').collect();
    for depth in 2..=parts.len() {
        let name = parts[..depth].join("/");
        if !world.datasets.contains_key(&name) {
            world.run(&["zfs", "create", "-p", &name].map(str::to_owned), b"");
        }
    }
    let dataset = world.datasets.get_mut(dataset).unwrap();
    dataset
        .properties
        .insert(property.to_owned(), value.to_owned());
}

fn interface(world: &mut World, name: &str, description: Option<&str>) {
    let words = [
        "ifconfig",
        "bridge",
        "create",
        "name",
        name,
        "description",
        "x",
    ];
    world.run(&words.map(str::to_owned), b"");
    let made = world.interfaces.get_mut(name).unwrap();
    made.description = description.map(str::to_owned);
}

fn set(world: &mut World, name: &str, value: &str) {
    world.sysctls.insert(name.to_owned(), value.to_owned());
}

/// The host.
const HOSTS: [(&str, Change); 21] = [
    ("host is not FreeBSD", |_, world| world.system = "Linux"),
    ("host is too old", |_, world| {
        world.version = "13.5-RELEASE-p9"
    }),
    ("host is too new", |_, world| world.version = "16.0-CURRENT"),
    ("host has an odd version", |_, world| {
        world.version = "fifteen"
    }),
    ("user is not root", |_, world| world.user = 1001),
    ("processor cannot", |_, world| {
        set(world, "hw.vmm.vmx.initialized", "0")
    }),
    ("processor without unrestricted guest", |_, world| {
        set(world, "hw.vmm.vmx.cap.unrestricted_guest", "0");
    }),
    ("too few processors", |_, world| {
        set(world, "hw.vmm.maxcpu", "1")
    }),
    ("too little memory", |_, world| {
        set(world, "hw.physmem", "4294967296")
    }),
    ("firmware is missing", |_, world| {
        world
            .files
            .retain(|path, _| !path.contains("BHYVE_UEFI_CODE"));
    }),
    ("template of the variables is missing", |_, world| {
        world
            .files
            .retain(|path, _| !path.contains("BHYVE_UEFI_VARS"));
    }),
    ("pool is full", |_, world| world.available = 4096),
    ("pf is off", |_, world| world.pf_enabled = false),
    ("pf.conf calls no anchor", |_, world| world.pf_rules.clear()),
    ("pf.conf calls no translation", |_, world| {
        world.pf_rules.retain(|rule| rule.starts_with("anchor"))
    }),
    ("a network of the host's is within ours", |_, world| {
        let em0 = world.interfaces.get_mut("em0").unwrap();
        em0.nets.insert("10.110.0.128/25".to_owned());
    }),
    ("a route of the host's is within ours", |_, world| {
        let route = ["10.110.8.0/22", "192.0.2.9", "em0"].map(str::to_owned);
        world.routes.insert(route.into());
    }),
    ("a setting is missing", |_, world| {
        world.sysctls.remove("net.inet.ip.forwarding");
    }),
    ("dataset is mounted elsewhere", |_, world| {
        own(world, "zroot/lab", "x:y", "z");
        world.datasets.get_mut("zroot/lab").unwrap().mount_point = Some("/mnt".to_owned());
    }),
    ("a file of ours is damaged", |_, world| {
        own(world, "zroot/lab/lab0", "lab:owner", "lab0");
        world.write("/zroot/lab/lab0/lab.json", b"{\"lab\":".to_vec(), 0o600);
    }),
    ("events of ours are damaged", |_, world| {
        own(world, "zroot/lab/lab0", "lab:owner", "lab0");
        let path = "/zroot/lab/lab0/lab0-etcd-0/events";
        world.write(path, b"yesterday 1 starting\n".to_vec(), 0o600);
    }),
];

/// What has a name of ours and is somebody else's.
const OTHERS: [(&str, Change); 11] = [
    ("dataset of somebody else", |_, world| {
        own(world, "zroot/lab/lab0", "x:y", "z")
    }),
    ("dataset of another lab", |_, world| {
        own(world, "zroot/lab/lab0", "lab:owner", "lab1")
    }),
    ("volume without a mark", |_, world| {
        own(world, "zroot/lab/lab0", "lab:owner", "lab0");
        own(world, "zroot/lab/lab0/lab0-etcd-0", "x:y", "z");
    }),
    ("volume of another VM", |_, world| {
        own(world, "zroot/lab/lab0", "lab:owner", "lab0");
        own(
            world,
            "zroot/lab/lab0/lab0-etcd-0",
            "lab:owner",
            "lab0/lab0-node-0",
        );
    }),
    ("image without a mark", |fleet, world| {
        own(world, fleet.base.volume.dataset().as_str(), "x:y", "z");
    }),
    ("image with another digest", |fleet, world| {
        own(
            world,
            fleet.base.volume.dataset().as_str(),
            "lab:image",
            "0123",
        );
    }),
    ("bridge of somebody else", |_, world| {
        interface(world, "lab0net", Some("jails"))
    }),
    ("bridge without a description", |_, world| {
        interface(world, "lab0net", None)
    }),
    ("tap of somebody else", |fleet, world| {
        let tap = fleet.vms[0].spec.nics[0].tap.to_string();
        interface(world, &tap, Some("lab:lab1/lab1-etcd-0"));
    }),
    ("VM of somebody else", |_, world| {
        world.processes.insert(812, "bhyve: lab0-etcd-0".to_owned());
        world.nodes.insert("lab0-etcd-0".to_owned());
    }),
    ("VM of another lab", |_, world| {
        own(world, "zroot/lab/lab7", "lab:owner", "lab7");
        world.write("/zroot/lab/lab7/lab0-etcd-0/spec.json", Vec::new(), 0o600);
    }),
];

/// The fleet itself.
const FLEETS: [(&str, Change); 19] = [
    ("root disk smaller than the image", |fleet, _| {
        fleet.base.raw_bytes = 20 << 30;
        let (parent, digest) = (parsed("zroot/lab/base"), fleet.base.raw_sha256.clone());
        fleet.base.volume = BaseVolume::new(&parent, &digest, 20 << 30).unwrap();
    }),
    ("a key that the host's release lacks", |fleet, world| {
        world.version = "14.4-RELEASE-p11";
        let key = "pci.enable_bars".to_owned();
        spec(fleet).extra.insert(key, "true".to_owned());
    }),
    ("a slot twice", |fleet, _| {
        spec(fleet).disks[0].slot = Some(5.try_into().unwrap());
        spec(fleet).disks[1].slot = Some(5.try_into().unwrap());
    }),
    ("a disk of two VMs", |fleet, _| {
        for vm in &mut fleet.vms {
            vm.spec.disks.push(disk("/dev/zvol/zroot/data"));
        }
    }),
    ("a tap of two VMs", |fleet, _| {
        fleet.vms[1].spec.nics[0].tap = fleet.vms[0].spec.nics[0].tap.clone();
    }),
    ("a MAC address of two VMs", |fleet, _| {
        fleet.vms[1].spec.nics[0].mac = fleet.vms[0].spec.nics[0].mac.clone();
    }),
    ("seed in another directory", |fleet, _| {
        spec(fleet).seed = Some(parsed("/tmp/seed.img"))
    }),
    ("variables in another directory", |fleet, _| {
        spec(fleet).firmware.vars = parsed("/zroot/lab/lab0/lab0-node-0/vars.fd");
    }),
    ("root volume in another place", |fleet, _| {
        fleet.vms[0].root.dataset = parsed("zroot/etcd-0");
    }),
    ("root volume of another image", |fleet, _| {
        fleet.vms[0].root.image = parsed("zroot/lab/base/debian");
    }),
    ("no disk is the root volume", |fleet, _| {
        drop(spec(fleet).disks.remove(0))
    }),
    ("a disk is no shared file of ours", |fleet, _| {
        fleet.shared.clear()
    }),
    ("a shared file is written", |fleet, _| {
        spec(fleet).disks[1].read_only = false
    }),
    ("no seed", |fleet, _| fleet.vms[0].seed = None),
    ("a seed that is not attached", |fleet, _| {
        spec(fleet).seed = None
    }),
    ("a bridge that nobody makes", |fleet, _| {
        spec(fleet).nics[0].bridge = parsed("bridge7")
    }),
    ("a change without a program", |fleet, _| {
        fleet.network[1].argv.clear()
    }),
    ("raw file of another size", |fleet, _| {
        fleet.base.raw_bytes = 5 << 20
    }),
    ("a checksum of another kind", |fleet, _| {
        fleet.base.raw_sha256 = parsed(&"0123456789abcdef".repeat(8));
    }),
];

/// What a program would print: the first error on the way.
async fn refusal(host: &FakeHost, fleet: &Fleet) -> Option<String> {
    let found = match fleet::observe(host, fleet).await {
        Ok(found) => found,
        Err(error) => return Some(chain(&error)),
    };
    Some(chain(&fleet::plan(fleet, &found).err()?))
}

#[tokio::test]
async fn each_is_refused_with_its_text() {
    let mut told = String::new();
    for (name, change) in HOSTS.into_iter().chain(OTHERS).chain(FLEETS) {
        let (mut fleet, mut world) = (fleet(), World::ready());
        change(&mut fleet, &mut world);
        world.changes.clear();
        let host = FakeHost::new(world);
        let before = host.state();
        let error = refusal(&host, &fleet).await;
        let error = error.unwrap_or_else(|| panic!("{name} was taken"));
        assert_eq!(host.world.lock().unwrap().changes, [""; 0], "{name}");
        assert_eq!(host.state(), before, "{name}");
        told += &format!("{name}:\n  {}\n", error.replace('\n', "\n  "));
    }
    golden("refused.txt", &told);
}

#[tokio::test]
async fn a_wrong_file_is_not_sent() {
    let (host, fleet) = (FakeHost::new(World::ready()), fleet());
    let plan = crate::journey::plan(&host, &fleet).await;
    let (place, mut files) = supply(&fleet);
    let here = place.path().display().to_string();
    std::fs::write(place.path().join("raw"), b"something else").unwrap();
    let wrong = fleet::apply(&host, &fleet, &plan, &files, &Silent)
        .await
        .unwrap_err();
    std::fs::remove_file(place.path().join("raw")).unwrap();
    let gone = fleet::apply(&host, &fleet, &plan, &files, &Silent)
        .await
        .unwrap_err();
    files.files.remove(&Digest::sha256(crate::fixture::RAW));
    let missing = fleet::apply(&host, &fleet, &plan, &files, &Silent)
        .await
        .unwrap_err();
    let told = [wrong, gone, missing].map(|error| chain(&error).replace(&here, "HERE") + "\n");
    golden("not-sent.txt", &told.concat());
    assert_eq!(host.world.lock().unwrap().changes, [""; 0]);
}

/// The module is not on the host: the first command fails, and nothing else is tried.
#[tokio::test]
async fn without_vmm_nothing_is_made() {
    let mut world = World::ready();
    world.modules = ["kernel", "absent vmm"].map(str::to_owned).into();
    let (host, fleet) = (FakeHost::new(world), fleet());
    let before = host.state();
    let plan = crate::journey::plan(&host, &fleet).await;
    let (_place, supply) = supply(&fleet);
    let error = fleet::apply(&host, &fleet, &plan, &supply, &Silent)
        .await
        .unwrap_err();
    let error = chain(&error);
    assert!(error.contains("kldload: can't load vmm"), "{error}");
    assert_eq!(host.state(), before);
}

#[tokio::test]
async fn a_host_out_of_reach_is_told() {
    let host = FakeHost::new(World::ready()).again(Cut::Before(0));
    let error = refusal(&host, &fleet()).await.unwrap();
    assert_eq!(
        error,
        "freebsd: cannot tell its system: freebsd: LC_ALL=C uname -s: host unreachable: the connection is lost"
    );
}

/// Whether a lab needs the host to route is the lab's to say.
#[tokio::test]
async fn a_lab_without_its_own_forwarding_gets_a_note() {
    let (host, mut fleet) = (FakeHost::new(World::ready()), fleet());
    fleet
        .network
        .retain(|change| !matches!(change.effect, HostEffect::Setting { .. }));
    let plan = crate::journey::plan(&host, &fleet).await;
    let notes: Vec<_> = plan.notes.iter().map(ToString::to_string).collect();
    assert_eq!(
        notes,
        [
            "error: packets are not forwarded, so guests reach nothing outside (net.inet.ip.forwarding: 0); \
             sysctl net.inet.ip.forwarding=1; sysrc gateway_enable=YES"
        ]
    );
}
