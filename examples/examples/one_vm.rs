//! Boots one VM on a FreeBSD host, with nothing of Kubernetes in it: planned, made, listed, explained, removed.
//!
//! `cargo run -p examples --example one_vm -- --plan` needs no host.
//! `cargo run -p examples --example one_vm -- --on ssh://root@192.0.2.10 debian-12.raw` boots that raw image.
//! `cargo run -p examples --example one_vm -- --on ssh://root@192.0.2.10 --down` removes all of it.

use anyhow::{Context, Result, bail};
use bhyve_vm::fleet::{
    self, Extent, Fleet, FleetBase, FleetObserved, FleetVm, HostChange, HostEffect, Removal, Supply,
};
use bhyve_vm::image::{BaseVolume, Digest};
use bhyve_vm::{
    Console, Derived, Disk, Firmware, HostPath, LabMark, Nic, Release, SectorSizes, Topology,
    VmName, VmSpec,
};
use clap::Parser;
use host_exec::{ControlDirectory, Event, EventSink, Host, SshHost};
use std::{collections::BTreeSet, fs::File, io::Seek, path::PathBuf};

#[derive(Parser)]
struct Options {
    /// Print what would be done on a host that has nothing of it yet.
    #[arg(long)]
    plan: bool,
    /// The host: ssh://root@HOST[:PORT].
    #[arg(long, required_unless_present = "plan")]
    on: Option<String>,
    /// Remove the VM and all that was made for it.
    #[arg(long)]
    down: bool,
    /// A directory of your own for the control socket of ssh; made if missing.
    #[arg(long, default_value = "/run/host-exec")]
    control: PathBuf,
    /// An ssh_config(5) to read in place of yours.
    #[arg(long)]
    config: Option<PathBuf>,
    /// A raw disk image that boots by UEFI and speaks on its first serial port.
    image: Option<PathBuf>,
}

/// Shows events as they come.
struct Shown;

impl EventSink for Shown {
    #[expect(clippy::print_stdout, reason = "an example shows what it did")]
    fn emit(&self, event: Event) {
        println!("{} {}: {:?}", event.machine, event.step, event.progress);
    }
}

#[tokio::main]
#[expect(clippy::print_stdout, reason = "an example shows what it did")]
async fn main() -> Result<()> {
    let options = Options::parse();
    let image = match &options.image {
        Some(path) => measure(path)?,
        None => (Digest::sha256(b"an image of 2 GiB"), 2 << 30),
    };
    let fleet = one_vm(image)?;
    if options.plan {
        print!("{}", fleet::plan(&fleet, &FleetObserved::without_host())?);
        return Ok(());
    }
    let destination = options.on.unwrap_or_default();
    let destination = destination.strip_prefix("ssh://").unwrap_or(&destination);
    let control = ControlDirectory::new(options.control)?;
    let mut host = SshHost::new("host".parse()?, destination.parse()?, control);
    if let Some(config) = options.config {
        host = host.with_config_file(config);
    }
    let done = match (options.down, options.image) {
        (true, _) => down(&host, fleet).await,
        (false, Some(image)) => up(&host, &fleet, image).await,
        (false, None) => bail!("name a raw disk image, or --down"),
    };
    host.disconnect().await.context("closing the connection")?;
    done
}

#[expect(clippy::print_stdout, reason = "an example shows what it did")]
async fn up(host: &dyn Host, fleet: &Fleet, image: PathBuf) -> Result<()> {
    let found = fleet::observe(host, fleet).await?;
    let plan = fleet::plan(fleet, &found)?;
    print!("{plan}");
    fleet::apply(host, fleet, &plan, &Supply::of(fleet, image, []), &Shown).await?;
    for vm in fleet::list(host, &fleet.directory).await? {
        print!("{}", fleet::explain(host, &vm.definition).await?);
    }
    Ok(())
}

#[expect(clippy::print_stdout, reason = "an example shows what it did")]
async fn down(host: &dyn Host, fleet: Fleet) -> Result<()> {
    let removal = Removal {
        lab: fleet.lab,
        dataset: fleet.dataset,
        directory: fleet.directory,
        extent: Extent::LabAndShared,
    };
    let gone = fleet::destroy(host, &removal, &Shown).await?;
    println!("{} steps; nothing of it is left", gone.removed.len());
    Ok(())
}

/// Checksum and size of a file.
fn measure(path: &PathBuf) -> Result<(Digest, u64)> {
    let mut file = File::open(path).with_context(|| format!("opening {}", path.display()))?;
    // The kind of checksum is that of any other.
    let digest = Digest::sha256(b"").of_same_kind(&mut file)?;
    Ok((digest, file.stream_position()?))
}

fn one_vm((digest, bytes): (Digest, u64)) -> Result<Fleet> {
    let (lab, name): (LabMark, VmName) = ("example".parse()?, "example-0".parse()?);
    let mut fleet = Fleet {
        lab,
        dataset: "zroot/lab".parse()?,
        directory: "/zroot/lab".parse()?,
        base: FleetBase {
            volume: BaseVolume::new(&"zroot/lab/base".parse()?, &digest, bytes)?,
            raw_sha256: digest,
            raw_bytes: bytes,
        },
        shared: Vec::new(),
        vms: Vec::new(),
        network: network()?,
        firewall: None,
        release: Release::V15,
    };
    let root = fleet.root_dataset(&name)?;
    let root = fleet.base.volume.root_volume(root, 10_240.try_into()?)?;
    let spec = spec(&fleet, name, root.dataset.device())?;
    let seed = None;
    fleet.vms.push(FleetVm { spec, root, seed });
    Ok(fleet)
}

fn spec(fleet: &Fleet, name: VmName, disk: HostPath) -> Result<VmSpec> {
    let derived = Derived::new(fleet.lab.as_str(), &name);
    let tap = derived.tap(0, &BTreeSet::new());
    Ok(VmSpec {
        uuid: derived.uuid(),
        cpus: Topology::cores(2.try_into()?),
        memory_mib: 2048.try_into()?,
        firmware: Firmware {
            code: Firmware::EDK2_CODE.parse()?,
            vars_template: Firmware::EDK2_VARS.parse()?,
            vars: format!("{}/vars.fd", fleet.vm_directory(&name)?).parse()?,
        },
        disks: vec![Disk {
            path: disk,
            serial: "example-root".parse()?,
            sectors: SectorSizes::default(),
            read_only: false,
            slot: None,
        }],
        nics: vec![Nic {
            mac: derived.mac(0),
            tap: tap.context("no number is left for a tap")?,
            bridge: "example0".parse()?,
            slot: None,
        }],
        seed: None,
        consoles: vec![Console::Nmdm],
        random: true,
        restart: Default::default(),
        stop: Default::default(),
        start_order: 0,
        extra: Default::default(),
        name,
    })
}

fn network() -> Result<Vec<HostChange>> {
    let change = |what: &str, argv: &str, undo: Option<&str>, effect| {
        let words = |text: &str| text.split(' ').map(str::to_owned).collect();
        HostChange {
            what: what.to_owned(),
            argv: words(argv),
            undo: undo.map(words),
            effect,
        }
    };
    let bridge = || "example0".parse();
    let address = HostEffect::Address {
        interface: bridge()?,
        address: "10.110.0.1/24".parse()?,
    };
    Ok(vec![
        change(
            "make a bridge",
            "ifconfig bridge create name example0",
            Some("ifconfig example0 destroy"),
            HostEffect::Interface(bridge()?),
        ),
        change(
            "switch it on",
            "ifconfig example0 up",
            None,
            HostEffect::Up(bridge()?),
        ),
        change(
            "give the host an address on it",
            "ifconfig example0 inet 10.110.0.1/24 alias",
            Some("ifconfig example0 inet 10.110.0.1 -alias"),
            address,
        ),
    ])
}
