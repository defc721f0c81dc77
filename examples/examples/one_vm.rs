//! Prints everything about one bhyve VM before any host exists: arguments, `-k` file, plan, and causes of an end.
//!
//! `cargo run -p examples --example one_vm`

use anyhow::Result;
use bhyve_vm::{
    Console, DeviceTree, Disk, Ending, Firmware, Nic, Release, RootVolume, SectorSizes, Step,
    Topology, VmSpec, Wanted, argv, config_file, create_steps, destroy_steps, exit_cause, keys,
    reaction,
};
use host_exec::{Command, Status};
use std::time::Duration;

#[expect(clippy::print_stdout, reason = "an example shows what it did")]
fn main() -> Result<()> {
    let root = RootVolume {
        image: "zroot/lab/images/debian-12".parse()?,
        dataset: "zroot/lab/etcd-0/root".parse()?,
        size_mib: 10_240.try_into()?,
    };
    let spec = etcd_0(&root)?;
    let tree = DeviceTree::new(&spec)?;

    println!("# arguments\n{}\n", Command::new("bhyve").args(argv(&tree)));
    println!("# the same as a file for bhyve -k, FreeBSD 15");
    println!("{}", config_file(&keys(&tree, Release::V15)));
    show("create", &create_steps(&spec, &tree, &root));
    show(
        "destroy",
        &destroy_steps(&spec, &root, Duration::from_secs(60)),
    );

    println!("# when bhyve ends");
    for status in [0, 1, 3, 4, 137] {
        let cause = exit_cause(&Ending {
            status: Status::Exited(status),
            ran_for: Duration::from_secs(600),
            node_existed: true,
            asked: None,
            stderr: "",
            console: "",
        });
        println!(
            "{status}: {cause} -> {:?}",
            reaction(&cause, &spec.restart, 0, Wanted::Run)
        );
    }
    Ok(())
}

fn etcd_0(root: &RootVolume) -> Result<VmSpec> {
    Ok(VmSpec {
        name: "etcd-0".parse()?,
        uuid: "8f5c2b7e-0a41-4a52-9d4c-0a1b2c3d4e5f".parse()?,
        cpus: Topology::cores(2.try_into()?),
        memory_mib: 2048.try_into()?,
        firmware: Firmware {
            code: Firmware::EDK2_CODE.parse()?,
            vars_template: Firmware::EDK2_VARS.parse()?,
            vars: "/zroot/lab/etcd-0/vars.fd".parse()?,
        },
        disks: vec![Disk {
            path: root.dataset.device(),
            serial: "etcd-0-root".parse()?,
            sectors: SectorSizes::default(),
            read_only: false,
            slot: None,
        }],
        nics: vec![Nic {
            mac: "58:9c:fc:0a:00:10".parse()?,
            tap: "tap110".parse()?,
            bridge: "bridge110".parse()?,
            slot: None,
        }],
        seed: Some("/zroot/lab/etcd-0/seed.img".parse()?),
        consoles: vec![Console::Nmdm],
        random: true,
        restart: Default::default(),
        stop: Default::default(),
        start_order: 0,
        extra: Default::default(),
    })
}

#[expect(clippy::print_stdout, reason = "an example shows what it did")]
fn show(title: &str, steps: &[Step]) {
    println!("# {title}");
    for (i, step) in steps.iter().enumerate() {
        println!("{:2}. {step}", i + 1);
    }
    println!();
}
