//! Boots one machine made of namespaces, runs a command in it, and removes it again. Needs root.
//!
//!     cargo run -p examples --example namespace_machine

#![expect(clippy::print_stdout, reason = "an example shows what it did")]

use anyhow::Context;
use host_exec::{Command, Host, LocalHost, event::Silent};
use nspawn_vm::{
    CgroupKind, FirstBoot, Group, MachineSpec, Nic, Places, RouterSpec, apply, destroy, observe,
    plan,
};
use std::time::{Duration, Instant};

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let group = group()?;
    let here = LocalHost::new("here".parse()?);
    let kind = CgroupKind::of_this_host().map_err(anyhow::Error::msg)?;

    let started = Instant::now();
    let plan = plan(&group, &observe(&group, &here).await?);
    for step in &plan.steps {
        println!("{step}");
    }
    let result = async {
        apply(&group, &plan, kind, &here, Duration::from_secs(60), &Silent).await?;
        println!("up after {:.2} s", started.elapsed().as_secs_f32());
        let hosts = observe(&group, &here).await?.hosts();
        let machine = hosts.values().next().context("the machine does not run")?;
        let uname = machine
            .run(&Command::new("hostnamectl").arg("--static"))
            .await?;
        println!("its name is {}", uname.stdout_text().trim());
        anyhow::Ok(())
    }
    .await;
    let gone = destroy(&group.name, &group.places, kind, &here, &Silent).await?;
    println!(
        "removed {} machine and {} namespaces",
        gone.machines, gone.namespaces
    );
    std::fs::remove_dir(group.places.state())?;
    result
}

fn group() -> anyhow::Result<Group> {
    let nic = Nic {
        name: "eth0".parse()?,
        bridge: "br0".parse()?,
        mac: "02:00:00:00:00:0a".parse()?,
        addresses: vec!["10.9.0.10/24".parse()?],
        gateways: vec!["10.9.0.1".parse()?],
    };
    let machine = MachineSpec {
        name: "web-0".parse()?,
        nics: vec![nic],
        binds: vec![],
        data: vec![],
        first_boot: FirstBoot::default(),
    };
    Ok(Group {
        name: "example".parse()?,
        places: Places::new("/var/lib/nspawn-vm-example", "/run/nspawn-vm-example"),
        router: RouterSpec::with_bridges([("br0".parse()?, vec!["10.9.0.1/24".parse()?])]),
        machines: vec![machine],
    })
}
