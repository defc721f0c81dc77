//! The plan as a text for people.

use std::fmt::Write as _;

use crate::plan::{Class, NetworkName, Plan};

/// Networks, machines and ranges as aligned columns, without colours, ready for a terminal.
#[must_use]
pub fn map_text(plan: &Plan) -> String {
    let mut rows = Vec::new();
    let row = |cells: &[&dyn ToString]| cells.iter().map(|cell| cell.to_string()).collect();
    rows.push(row(&[&"NETWORK", &"IPV4", &"IPV6", &"ROUTER"]));
    for network in &plan.networks {
        let gateway = format!("{}  {}", network.gateway.v4, network.gateway.v6);
        rows.push(row(&[
            &network.name,
            &network.nets.v4,
            &network.nets.v6,
            &gateway,
        ]));
    }
    let (link, net) = (plan.link, plan.internet);
    let router = format!("{}  {}", link.router.v4, link.router.v6);
    rows.push(row(&[&"link", &link.nets.v4, &link.nets.v6, &router]));
    let router = format!("{}  {}", net.router.v4, net.router.v6);
    rows.push(row(&[&"uplink", &net.nets.v4, &net.nets.v6, &router]));
    rows.push(row(&[
        &"services",
        &plan.services.nets.v4,
        &plan.services.nets.v6,
    ]));
    rows.push(row(&[&"pods", &plan.pods.v4, &plan.pods.v6]));
    let mut text = format!(
        "lab {}: {}  {}\n\n",
        plan.lab, plan.supernet.v4, plan.supernet.v6
    );
    text.push_str(&columns(&rows));
    text.push('\n');
    text.push_str(&columns(&machine_rows(plan)));
    let services = plan.services;
    // Writing to a String cannot fail.
    let _infallible = write!(
        text,
        "\nservice kubernetes  {}  {}\nservice dns         {}  {}\n\n{}",
        services.api.v4,
        services.api.v6,
        services.dns.v4,
        services.dns.v6,
        lanes(plan)
    );
    text
}

/// One row for each interface; what belongs to the machine stands in its first.
fn machine_rows(plan: &Plan) -> Vec<Vec<String>> {
    let header = [
        "MACHINE",
        "CLASS",
        "INTERFACE",
        "IPV4",
        "IPV6",
        "DEFAULT",
        "PODS",
    ];
    let mut rows = vec![header.map(str::to_owned).to_vec()];
    for machine in &plan.machines {
        for (at, nic) in machine.nics.iter().enumerate() {
            let (name, class) = match at {
                0 => (machine.name.to_string(), machine.class.to_string()),
                _ => (String::new(), String::new()),
            };
            let pods = machine.pods.filter(|_| nic.network == NetworkName::Kube);
            rows.push(vec![
                name,
                class,
                nic.name.to_string(),
                nic.address.v4.to_string(),
                nic.address.v6.to_string(),
                if nic.default_route { "yes" } else { "no" }.to_owned(),
                pods.map_or_else(String::new, |pods| format!("{}  {}", pods.v4, pods.v6)),
            ]);
        }
    }
    rows
}

/// Who is on which network, as a picture of two lanes.
fn lanes(plan: &Plan) -> String {
    let names = |class| {
        let names: Vec<&str> = plan
            .class(class)
            .map(|machine| machine.name.as_str())
            .collect();
        if names.is_empty() {
            "-".to_owned()
        } else {
            names.join(" ")
        }
    };
    format!(
        "internet ---uplink--- router ---link--- host\n\
         \x20                      |\n\
         \x20                      +-- etcd --+-- {}\n\
         \x20                      |          |\n\
         \x20                      |          +-- {}\n\
         \x20                      |          |\n\
         \x20                      +-- kube --+-- {}\n",
        names(Class::Etcd),
        names(Class::ControlPlane),
        names(Class::Worker),
    )
}

/// Columns two spaces apart, none behind the last.
fn columns(rows: &[Vec<String>]) -> String {
    let count = rows.iter().map(Vec::len).max().unwrap_or(0);
    let widths: Vec<usize> = (0..count)
        .map(|at| {
            rows.iter()
                .filter_map(|row| row.get(at))
                .map(String::len)
                .max()
                .unwrap_or(0)
        })
        .collect();
    let mut text = String::new();
    for row in rows {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(&widths) {
            let _infallible = write!(line, "{cell:width$}  ");
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}
