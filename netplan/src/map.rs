//! The plan as a text for people.

use crate::addresses::{Addresses, Nets};
use crate::columns::columns;
use crate::net::{Family, Net};
use crate::plan::Plan;
use crate::requirement::RouterSpec;

/// Networks, machines and ranges as aligned columns, without colours, ready for a terminal.
#[must_use]
pub fn map_text(plan: &Plan) -> String {
    let mut text = format!("lab {}: {}\n\n", plan.lab, list(plan.supernet.iter()));
    text.push_str(&columns(&network_rows(plan)));
    text.push('\n');
    text.push_str(&columns(&machine_rows(plan)));
    if let Some(kubernetes) = &plan.kubernetes {
        let services = &kubernetes.services;
        let row = |name: &str, addresses: Addresses| {
            let mut row = vec![format!("service {name}")];
            row.extend(addresses.iter().map(|address| address.to_string()));
            row
        };
        text.push('\n');
        text.push_str(&columns(&[
            row("kubernetes", services.api),
            row("dns", services.dns),
        ]));
    }
    text.push('\n');
    text.push_str(&lanes(plan));
    text
}

/// Everything of a pair, two spaces apart.
fn list(items: impl Iterator<Item = impl ToString>) -> String {
    let items: Vec<String> = items.map(|item| item.to_string()).collect();
    items.join("  ")
}

fn network_rows(plan: &Plan) -> Vec<Vec<String>> {
    let header = ["NETWORK", "IPV4", "IPV6", "ROUTER"];
    let mut rows = vec![header.map(str::to_owned).to_vec()];
    let mut row = |name: &str, nets: Nets, router: Addresses| {
        let net = |net: Option<Net>| net.map_or_else(|| "-".to_owned(), |net| net.to_string());
        let router = list(router.iter());
        rows.push(vec![name.to_owned(), net(nets.v4), net(nets.v6), router]);
    };
    for network in &plan.networks {
        row(network.name.as_str(), network.nets, network.gateway);
    }
    if let Some(link) = plan.link {
        row("link", link.nets, link.router);
    }
    if let Some(internet) = plan.internet {
        row("uplink", internet.nets, internet.router);
    }
    if let Some(kubernetes) = &plan.kubernetes {
        row("services", kubernetes.services.nets, Addresses::default());
        row("pods", kubernetes.pods, Addresses::default());
    }
    rows
}

/// One row for each interface; what belongs to the machine stands in its first, its pods where the
/// nodes meet.
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
    let nodes_meet = plan.kubernetes.as_ref().map(|own| &own.network);
    let mut rows = vec![header.map(str::to_owned).to_vec()];
    for machine in &plan.machines {
        for (at, nic) in machine.nics.iter().enumerate() {
            let (name, class) = match at {
                0 => (machine.name.to_string(), machine.class.to_string()),
                _ => (String::new(), String::new()),
            };
            let pods = machine.pods.filter(|_| Some(&nic.network) == nodes_meet);
            let address = |address: Option<std::net::IpAddr>| {
                address.map_or_else(|| "-".to_owned(), |address| address.to_string())
            };
            rows.push(vec![
                name,
                class,
                nic.name.to_string(),
                address(nic.address.of(Family::V4)),
                address(nic.address.of(Family::V6)),
                if nic.default_route { "yes" } else { "no" }.to_owned(),
                pods.map_or_else(String::new, |pods| list(pods.iter())),
            ]);
        }
    }
    rows
}

/// Who is on which network, as a picture of lanes: a machine on several stands between them.
fn lanes(plan: &Plan) -> String {
    let outside = match &plan.router {
        RouterSpec::Namespace => "internet ---uplink--- router ---link--- host\n".to_owned(),
        RouterSpec::Host { uplink } => {
            format!("internet ---{uplink}--- router, which is the host\n")
        }
    };
    let margin = " ".repeat(22);
    let mut text = outside;
    for network in &plan.networks {
        let here = plan
            .classes
            .iter()
            .filter(|class| class.networks.contains(&network.name));
        text.push_str(&format!("{margin}|\n{margin}+-- {}\n", network.name));
        for class in here {
            let elsewhere = class.networks.iter().filter(|name| **name != network.name);
            let also: Vec<&str> = elsewhere.map(|name| name.as_str()).collect();
            let also = match also.as_slice() {
                [] => String::new(),
                names => format!("   (also on {})", names.join(", ")),
            };
            let names: Vec<&str> = plan
                .of_class(&class.name)
                .map(|machine| machine.name.as_str())
                .collect();
            if !names.is_empty() {
                text.push_str(&format!("{margin}|     +-- {}{also}\n", names.join(" ")));
            }
        }
    }
    text
}
