//! What is printed of an interface, as of FreeBSD 14.

use crate::net::interfaces::{Interface, Interfaces, Kind, Nd6};
use std::{
    fmt::Write as _,
    net::{IpAddr, Ipv4Addr},
};

/// `ifconfig -a`.
pub(super) fn all(interfaces: &Interfaces) -> String {
    interfaces.iter().map(|own| text(interfaces, own)).collect()
}

/// `ifconfig NAME`.
pub(super) fn one(interfaces: &Interfaces, name: &str) -> String {
    let own = interfaces.get(name);
    own.map(|own| text(interfaces, own)).unwrap_or_default()
}

fn text(interfaces: &Interfaces, own: &Interface) -> String {
    let mut lines = vec![heading(interfaces, own)];
    lines.extend(
        own.description
            .as_ref()
            .map(|text| format!("\tdescription: {text}")),
    );
    lines.push(format!("\t{}", options(own)));
    lines.extend(own.ether.as_ref().map(|ether| format!("\tether {ether}")));
    lines.extend(addresses(interfaces, own));
    if own.kind == Kind::Bridge {
        lines.extend(bridge(interfaces, own));
    }
    if !own.groups.is_empty() {
        lines.push(format!("\tgroups: {}", own.groups.join(" ")));
    }
    lines.extend(media(own).into_iter().map(str::to_owned));
    lines.push(nd6(own));
    lines.extend(own.opened_by.map(|pid| format!("\tOpened by PID {pid}")));
    lines
        .iter()
        .fold(String::new(), |text, line| text + line + "\n")
}

/// Flags by their values in net/if.h.
fn heading(interfaces: &Interfaces, own: &Interface) -> String {
    let is_loopback = own.name == "lo0";
    // A tap runs while somebody holds it; everything else while it is up.
    let runs = own.up && (own.kind != Kind::Tap || own.opened_by.is_some());
    let flags = [
        (own.up, 0x1, "UP"),
        (!is_loopback, 0x2, "BROADCAST"),
        (is_loopback, 0x8, "LOOPBACK"),
        (runs, 0x40, "RUNNING"),
        (interfaces.bridge_of(&own.name).is_some(), 0x100, "PROMISC"),
        (!is_loopback, 0x800, "SIMPLEX"),
        (true, 0x8000, "MULTICAST"),
        (runs, 0x0100_0000, "LOWER_UP"),
    ];
    let set = flags.iter().filter(|(is_set, ..)| *is_set);
    let value: u32 = set.clone().map(|(_, bit, _)| bit).sum();
    let names: Vec<&str> = set.map(|(.., name)| *name).collect();
    let (name, mtu) = (&own.name, own.mtu);
    format!(
        "{name}: flags={value:x}<{}> metric 0 mtu {mtu}",
        names.join(",")
    )
}

fn options(own: &Interface) -> &'static str {
    match own.kind {
        Kind::Bridge => "options=10<VLAN_HWTAGGING>",
        Kind::Tap => "options=4080000<LINKSTATE,MEXTPG>",
        Kind::Fixed if own.name == "lo0" => {
            "options=680003<RXCSUM,TXCSUM,LINKSTATE,RXCSUM_IPV6,TXCSUM_IPV6>"
        }
        Kind::Fixed => {
            "options=48505bb<RXCSUM,TXCSUM,VLAN_MTU,VLAN_HWTAGGING,JUMBO_MTU,VLAN_HWCSUM,TSO4,LRO,VLAN_HWFILTER,VLAN_HWTSO,HWSTATS,MEXTPG>"
        }
    }
}

/// Those of the kernel, then those that wait for IPv6, which are tentative as long.
fn addresses(interfaces: &Interfaces, own: &Interface) -> Vec<String> {
    let link = interfaces.link(&own.name);
    let given = link.into_iter().flat_map(|link| link.addresses());
    let mut lines: Vec<String> = given
        .map(|(address, length)| line(own, address, length))
        .collect();
    let waiting = own.waiting.iter();
    lines.extend(waiting.map(|(address, length)| {
        let line = line(own, (*address).into(), *length);
        let (before, length) = line.split_once(" prefixlen ").unwrap_or((&line, ""));
        let mut words = length.splitn(2, ' ');
        let (length, rest) = (words.next().unwrap_or_default(), words.next());
        let rest = rest.map(|rest| format!(" {rest}")).unwrap_or_default();
        format!("{before} prefixlen {length} tentative{rest}")
    }));
    lines
}

fn line(own: &Interface, address: IpAddr, length: u8) -> String {
    match address {
        IpAddr::V4(address) => {
            let mask = u32::MAX.checked_shl(32 - u32::from(length)).unwrap_or(0);
            let mut line = format!("\tinet {address} netmask {mask:#010x}");
            if own.name != "lo0" {
                let last = Ipv4Addr::from_bits(address.to_bits() | !mask);
                let _ = write!(line, " broadcast {last}");
            }
            line
        }
        IpAddr::V6(address) if address.is_unicast_link_local() => {
            let (name, index) = (&own.name, own.index);
            format!("\tinet6 {address}%{name} prefixlen {length} scopeid {index:#x}")
        }
        IpAddr::V6(address) => format!("\tinet6 {address} prefixlen {length}"),
    }
}

fn bridge(interfaces: &Interfaces, own: &Interface) -> Vec<String> {
    let mut lines = vec![
        "\tid 00:00:00:00:00:00 priority 32768 hellotime 2 fwddelay 15".to_owned(),
        "\tmaxage 20 holdcnt 6 proto rstp maxaddr 2000 timeout 1200".to_owned(),
        "\troot id 00:00:00:00:00:00 priority 32768 ifcost 0 port 0".to_owned(),
    ];
    for member in &own.members {
        let port = interfaces.get(member).map_or(0, |own| own.index);
        lines.push(format!(
            "\tmember: {member} flags=143<LEARNING,DISCOVER,AUTOEDGE,AUTOPTP>"
        ));
        lines.push(format!(
            "\t        port {port} priority 128 path cost 2000000"
        ));
    }
    lines
}

fn media(own: &Interface) -> Vec<&'static str> {
    match own.kind {
        Kind::Tap if own.opened_by.is_some() => vec![
            "\tmedia: Ethernet 1000baseT <full-duplex>",
            "\tstatus: active",
        ],
        Kind::Tap => vec![
            "\tmedia: Ethernet 1000baseT <full-duplex>",
            "\tstatus: no carrier",
        ],
        Kind::Fixed if own.name != "lo0" => vec![
            "\tmedia: Ethernet autoselect (1000baseT <full-duplex>)",
            "\tstatus: active",
        ],
        Kind::Bridge | Kind::Fixed => Vec::new(),
    }
}

/// Flags by their values in netinet6/nd6.h.
fn nd6(own: &Interface) -> String {
    let flags = [
        (Nd6::PerformNud, 0x1, "PERFORMNUD"),
        (Nd6::AcceptRtadv, 0x2, "ACCEPT_RTADV"),
        (Nd6::IfDisabled, 0x8, "IFDISABLED"),
        (Nd6::AutoLinkLocal, 0x20, "AUTO_LINKLOCAL"),
        (Nd6::NoRadr, 0x40, "NO_RADR"),
    ];
    let set = flags.iter().filter(|(flag, ..)| own.nd6.contains(flag));
    let value: u32 = set.clone().map(|(_, bit, _)| bit).sum();
    let names: Vec<&str> = set.map(|(.., name)| *name).collect();
    format!("\tnd6 options={value:x}<{}>", names.join(","))
}
