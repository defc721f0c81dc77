//! netstat(1): the routes only.

use super::route::{Route, routes};
use crate::{
    net::{
        interfaces::{Interface, Interfaces},
        kernel::host_name,
        said::{Answer, Said},
    },
    world::World,
};
use std::{net::IpAddr, process::ExitCode};

pub(super) fn main(world: &World, words: &[String]) -> ExitCode {
    Said::conclude(run(world, words))
}

fn run(world: &World, words: &[String]) -> Answer {
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let (wide, families): (bool, &[bool]) = match words[..] {
        ["-rn" | "-nr"] | ["-r", "-n"] => (false, &[false, true]),
        ["-rnW"] => (true, &[false, true]),
        ["-rn" | "-nr", "-f", "inet"] => (false, &[false]),
        ["-rn" | "-nr", "-f", "inet6"] => (false, &[true]),
        ["-rnW", "-f", "inet"] => (true, &[false]),
        ["-rnW", "-f", "inet6"] => (true, &[true]),
        [.., "-f", family] if !["inet", "inet6"].contains(&family) => {
            return Err(Said::refused(format!(
                "netstat: {family}: unknown address family"
            )));
        }
        _ => {
            return Err(Said::refused(
                "netstat: stand-in: it shows routes only: -rn, with -W or -f inet or -f inet6",
            ));
        }
    };
    let interfaces = Interfaces::lock(world)?;
    let mut text = "Routing tables\n".to_owned();
    for is_v6 in families {
        text += &table(&rows(&interfaces, *is_v6)?, *is_v6, wide);
    }
    Ok(Said::out(text))
}

struct Row {
    destination: String,
    gateway: String,
    flags: &'static str,
    netif: String,
}

/// Routes through gateways, to the networks of interfaces, and to the host's own addresses.
fn rows(interfaces: &Interfaces, is_v6: bool) -> Answer<Vec<Row>> {
    let mut rows: Vec<Row> = routes(is_v6)?
        .into_iter()
        .filter_map(|route| row(interfaces, &route, is_v6))
        .collect();
    rows.sort_by_key(|row| row.destination != "default");
    for own in interfaces.iter() {
        let link = interfaces.link(&own.name);
        let addresses = link.into_iter().flat_map(|link| link.addresses());
        for (address, _) in addresses.filter(|(own, _)| own.is_ipv6() == is_v6) {
            let is_loopback = own.name == "lo0";
            rows.push(Row {
                destination: scoped(address, own),
                gateway: format!("link#{}", own.index),
                flags: if is_loopback { "UH" } else { "UHS" },
                netif: "lo0".to_owned(),
            });
        }
    }
    Ok(rows)
}

fn row(interfaces: &Interfaces, route: &Route, is_v6: bool) -> Option<Row> {
    let netif = host_name(route.dev.as_deref()?).to_owned();
    let own = interfaces.get(&netif)?;
    let is_host = !route.dst.contains('/') && route.dst != "default";
    // Those of its own addresses come from the addresses.
    if is_host && route.gateway.is_none() {
        return None;
    }
    let link_local = is_v6 && route.dst.starts_with("fe80:");
    let destination = match route.dst.split_once('/') {
        Some((net, length)) if link_local => format!("{net}%{netif}/{length}"),
        _ => route.dst.clone(),
    };
    Some(Row {
        destination,
        gateway: match route.gateway {
            Some(via) => scoped(via, own),
            None => format!("link#{}", own.index),
        },
        flags: match (route.gateway.is_some(), is_host) {
            (true, true) => "UGHS",
            (true, false) => "UGS",
            (false, _) => "U",
        },
        netif,
    })
}

fn scoped(address: IpAddr, own: &Interface) -> String {
    match address {
        IpAddr::V6(address) if address.is_unicast_link_local() => format!("{address}%{}", own.name),
        _ => address.to_string(),
    }
}

/// Columns as wide as the real program's, which cuts what is longer unless asked not to (-W).
fn widths(rows: &[Row], is_v6: bool, wide: bool) -> [usize; 3] {
    let widths = match (is_v6, wide) {
        (false, false) => [18, 18, 8],
        (false, true) => [18, 18, 10],
        (true, _) => [33, 29, 8],
    };
    let wider = |widths: [usize; 3], row: &Row| {
        let [first, second, last] = widths;
        [
            first.max(row.destination.len()),
            second.max(row.gateway.len()),
            last.max(row.netif.len()),
        ]
    };
    if wide {
        rows.iter().fold(widths, wider)
    } else {
        widths
    }
}

fn table(rows: &[Row], is_v6: bool, wide: bool) -> String {
    let title = if is_v6 { "Internet6" } else { "Internet" };
    let widths = widths(rows, is_v6, wide);
    let [first, second, last] = widths;
    let line = |[destination, gateway, flags, hop, mtu, netif]: [&str; 6]| {
        let more = if wide {
            format!(" {hop:>8} {mtu:>6}")
        } else {
            String::new()
        };
        format!(
            "{destination:<first$.first$} {gateway:<second$.second$} {flags:<6}{more} {netif:>last$.last$}"
        )
    };
    let heading = line(["Destination", "Gateway", "Flags", "Nhop#", "Mtu", "Netif"]);
    let mut text = format!("\n{title}:\n{heading} Expire\n");
    for (row, hop) in rows.iter().zip(1..) {
        let mtu = if row.netif == "lo0" { "16384" } else { "1500" };
        let hop: &str = &i32::to_string(&hop);
        text += &line([
            &row.destination,
            &row.gateway,
            row.flags,
            hop,
            mtu,
            &row.netif,
        ]);
        text.push('\n');
    }
    text
}
