//! Addresses with their prefix lengths, routes and name servers.

use super::ObserveError;
use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// A route of the host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostRoute {
    /// Where it leads; the default route has length 0. The scope of a link-local destination is left out.
    pub to: IpNet,
    /// The next hop; none where the destination is on the link.
    pub via: Option<IpAddr>,
    /// The interface.
    pub interface: String,
}

/// The routes: `netstat -rnW` (netstat(1)). `-W` keeps addresses and names whole.
///
/// ```text
/// Routing tables
///
/// Internet:
/// Destination        Gateway            Flags         Nhop#    Mtu    Netif Expire
/// default            192.0.2.1          UGS               3   1500      em0
/// 10.244.0.0/24      10.77.1.10         UGS               5   1500 lab0kube
/// 192.0.2.0/24       link#1             U                 1   1500      em0
/// ```
///
/// Which column holds the interface is read from each heading.
///
/// # Errors
///
/// A line that is neither a heading nor a route.
pub fn parse_routes(text: &str) -> Result<Vec<HostRoute>, ObserveError> {
    let mut routes = Vec::new();
    let (mut v6, mut column) = (false, None);
    for (index, line) in text.lines().enumerate() {
        let words: Vec<&str> = line.split_whitespace().collect();
        match words[..] {
            [] | ["Routing", "tables", ..] => {}
            ["Internet:"] => v6 = false,
            ["Internet6:"] => v6 = true,
            ["Destination", ..] => column = words.iter().position(|word| *word == "Netif"),
            _ => {
                let route = column.and_then(|column| route(&words, v6, column));
                routes.push(route.ok_or_else(|| ObserveError {
                    command: "netstat -rnW",
                    line: index + 1,
                    text: line.to_owned(),
                    cause: "neither a heading nor a route",
                })?);
            }
        }
    }
    Ok(routes)
}

fn route(words: &[&str], v6: bool, column: usize) -> Option<HostRoute> {
    let via = words.get(1)?;
    Some(HostRoute {
        to: destination(words.first()?, v6)?,
        via: without_scope(via).parse().ok(),
        interface: (*words.get(column)?).to_owned(),
    })
}

fn destination(word: &str, v6: bool) -> Option<IpNet> {
    if word == "default" {
        let any: IpAddr = if v6 {
            Ipv6Addr::UNSPECIFIED.into()
        } else {
            Ipv4Addr::UNSPECIFIED.into()
        };
        return IpNet::new(any, 0).ok();
    }
    let (address, length) = match word.split_once('/') {
        Some((address, length)) => (address, Some(length.parse::<u8>().ok()?)),
        None => (word, None),
    };
    let address: IpAddr = without_scope(address).parse().ok()?;
    let whole = if address.is_ipv6() { 128 } else { 32 };
    IpNet::new(address, length.unwrap_or(whole)).ok()
}

/// `fe80::1%em0` without `%em0`.
pub(super) fn without_scope(address: &str) -> &str {
    address.split('%').next().unwrap_or(address)
}

/// An address line of ifconfig(8): `inet 10.0.0.1 netmask 0xffffff00 ...` or `inet6 fe80::1%em0 prefixlen 64 ...`.
pub(super) fn interface_net(line: &str) -> Option<IpNet> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let address = without_scope(words.get(1)?);
    let after = |key: &str| {
        let at = words.iter().position(|word| *word == key)?;
        words.get(at + 1).copied()
    };
    match *words.first()? {
        "inet" => {
            let mask = after("netmask")?.strip_prefix("0x")?;
            let mask = Ipv4Addr::from(u32::from_str_radix(mask, 16).ok()?);
            let net = Ipv4Net::with_netmask(address.parse().ok()?, mask).ok()?;
            Some(net.into())
        }
        "inet6" => {
            let length = after("prefixlen")?.parse().ok()?;
            Some(Ipv6Net::new(address.parse().ok()?, length).ok()?.into())
        }
        _ => None,
    }
}

/// The name servers of `/etc/resolv.conf` (resolver(5)); lines of another kind, and what is no address, are left out.
pub fn parse_resolvers(text: &str) -> Vec<IpAddr> {
    let server = |line: &str| {
        let mut words = line.split_whitespace();
        (words.next()? == "nameserver").then_some(())?;
        without_scope(words.next()?).parse().ok()
    };
    text.lines().filter_map(server).collect()
}
