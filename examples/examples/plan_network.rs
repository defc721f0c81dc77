//! Plans the network of a lab, grows it, and shows that nobody moves: touches nothing.
//!
//!     cargo run --example plan_network

#![expect(clippy::print_stdout, reason = "a program for people")]

use anyhow::Context as _;
use netplan::{
    HostFacts, KubernetesVersion, LabName, Lock, MachineCounts, Occupied, Policy, Requirement,
    map_text, plan, reachability,
};

fn main() -> anyhow::Result<()> {
    // A real program reads these from the routing table, and draws the seed at random, once.
    let facts = HostFacts {
        occupied: vec![Occupied {
            net: "10.64.3.0/24".parse()?,
            by: "VPN".to_owned(),
        }],
        ..HostFacts::default()
    };
    let (lab, version) = (LabName::new("demo")?, KubernetesVersion::new(37));
    let seed = 0x5eed_cafe_f00d_beef;
    let mut requirement = Requirement::reference(lab, seed, version, MachineCounts::default());

    let first = plan(&requirement, &facts, None)?;
    print!("{}", map_text(&first));

    let lock_text = first.lock().to_text();
    println!(
        "\nthe lock has {} lines; its first allocation:",
        lock_text.lines().count()
    );
    println!("  {}", lock_text.lines().nth(3).unwrap_or_default());

    *requirement
        .count_mut("worker")
        .context("the reference lab has workers")? = 3;
    let grown = plan(&requirement, &facts, Some(&Lock::from_text(&lock_text)?))?;
    let stayed = first.machines.iter().filter(|machine| {
        grown
            .machine(machine.name.as_str())
            .is_some_and(|same| same.nics == machine.nics)
    });
    println!(
        "\nwith 3 workers: {} machines, {} as before",
        grown.machines.len(),
        stayed.count()
    );

    let policy = Policy::standard(&grown);
    println!("\nwho reaches etcd-0 over IPv4:");
    let matrix = reachability(&grown, &policy);
    for row in matrix
        .iter()
        .filter(|row| row.family == netplan::Family::V4)
    {
        if row.probe.to.to_string() == "etcd-0" && row.probe.port == 2379 {
            let via = row
                .probe
                .via
                .as_ref()
                .map_or_else(String::new, |via| format!(" via {via}"));
            let verdict = if row.allowed { "yes" } else { "no" };
            println!("  {verdict:3}  {}{via}: {}", row.probe.from, row.why);
        }
    }

    // An explicit network that the host uses is refused, with the reason and the remedy.
    requirement.v4 = Some("10.64.0.0/16".parse()?);
    if let Err(error) = plan(&requirement, &facts, None) {
        println!("\nas it should: {error}");
    }
    requirement.v4 = Some("10.1.0.5/16".parse().or_else(|error: netplan::NetError| {
        println!("and: {error}");
        "10.1.0.0/16".parse()
    })?);
    let supernet = plan(&requirement, &facts, None)?.supernet;
    println!(
        "planned at {}",
        supernet
            .iter()
            .map(|net| net.to_string())
            .collect::<Vec<_>>()
            .join(" and ")
    );
    Ok(())
}
