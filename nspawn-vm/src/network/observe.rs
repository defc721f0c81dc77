//! What is there: `ip -json` of each namespace, read by pure functions.

use super::{
    Scope,
    wanted::{Wanted, default_of},
};
use crate::{ObserveError, Route};
use host_exec::{Command, Host};
use ipnet::IpNet;
use serde::Deserialize;
use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
};

/// An interface that is there.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct LinkSeen {
    pub(crate) up: bool,
    pub(crate) master: Option<String>,
    pub(crate) addresses: BTreeSet<IpNet>,
}

/// A namespace that is there.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct NamespaceSeen {
    pub(crate) links: BTreeMap<String, LinkSeen>,
    pub(crate) routes: BTreeSet<Route>,
}

/// All namespaces of a group that are there, and the host's own.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Seen {
    pub(crate) namespaces: BTreeMap<Scope, NamespaceSeen>,
}

/// Looks at every namespace of `wanted` that exists; of the host's own, at the one interface that is ours.
pub(crate) async fn observe(host: &dyn Host, wanted: &Wanted) -> Result<Seen, ObserveError> {
    let existing = existing_namespaces(host).await?;
    let here = |scope: &&Scope| match scope {
        Scope::Host => true,
        Scope::Named(name) => existing.contains(name),
    };
    let looks = wanted
        .namespaces
        .keys()
        .filter(here)
        .map(|scope| async move {
            Ok::<_, ObserveError>((scope.clone(), namespace(host, scope).await?))
        });
    let namespaces = futures::future::try_join_all(looks)
        .await?
        .into_iter()
        .collect();
    Ok(Seen { namespaces })
}

/// The names in `/run/netns`, as `ip -json netns list` gives them.
pub(crate) async fn existing_namespaces(host: &dyn Host) -> Result<BTreeSet<String>, ObserveError> {
    #[derive(Deserialize)]
    struct Entry {
        name: String,
    }
    let output = host
        .run(&Command::new("ip").args(["-json", "netns", "list"]))
        .await?;
    let entries: Vec<Entry> = parse("ip -json netns list", &output.stdout_text())?;
    Ok(entries.into_iter().map(|entry| entry.name).collect())
}

async fn namespace(host: &dyn Host, scope: &Scope) -> Result<NamespaceSeen, ObserveError> {
    let ip = |args: &[&str]| {
        let command = match scope {
            Scope::Host => Command::new("ip"),
            Scope::Named(name) => Command::new("ip").args(["-n", name]),
        };
        command.args(args.iter().copied())
    };
    let commands = [
        ip(&["-json", "addr"]),
        ip(&["-json", "-4", "route"]),
        ip(&["-json", "-6", "route"]),
    ];
    let [addr, route4, route6] = &commands;
    let links = host.run(addr).await?;
    let mut seen = NamespaceSeen {
        links: parse_links(&links.stdout_text())?,
        routes: BTreeSet::new(),
    };
    for command in [route4, route6] {
        seen.routes
            .extend(parse_routes(&host.run(command).await?.stdout_text())?);
    }
    Ok(seen)
}

/// Reads `ip -json addr` (iproute2 6.1):
///
/// ```json
/// [{"ifname":"br-etcd","flags":["BROADCAST","MULTICAST","UP","LOWER_UP"],"operstate":"UP","master":"br0",
///   "addr_info":[{"family":"inet","local":"10.77.0.1","prefixlen":24,"scope":"global"}]}]
/// ```
fn parse_links(text: &str) -> Result<BTreeMap<String, LinkSeen>, ObserveError> {
    #[derive(Deserialize)]
    struct Link {
        ifname: String,
        #[serde(default)]
        flags: Vec<String>,
        master: Option<String>,
        #[serde(default)]
        addr_info: Vec<Address>,
    }
    #[derive(Deserialize)]
    struct Address {
        local: Option<IpAddr>,
        prefixlen: u8,
    }
    let links: Vec<Link> = parse("ip -json addr", text)?;
    Ok(links
        .into_iter()
        .map(|link| {
            let nets = link
                .addr_info
                .iter()
                .filter_map(|a| IpNet::new(a.local?, a.prefixlen).ok());
            let seen = LinkSeen {
                up: link.flags.iter().any(|flag| flag == "UP"),
                master: link.master,
                addresses: nets.collect(),
            };
            (link.ifname, seen)
        })
        .collect())
}

/// Reads `ip -json route` of one family; only routes with a next hop are of interest.
///
/// ```json
/// [{"dst":"default","gateway":"10.77.1.1","dev":"kube0","flags":[]},
///  {"dst":"10.77.1.0/24","dev":"kube0","protocol":"kernel","scope":"link","prefsrc":"10.77.1.10","flags":[]}]
/// ```
fn parse_routes(text: &str) -> Result<BTreeSet<Route>, ObserveError> {
    #[derive(Deserialize)]
    struct Entry {
        dst: String,
        gateway: Option<IpAddr>,
    }
    let entries: Vec<Entry> = parse("ip -json route", text)?;
    let route = |entry: Entry| {
        let via = entry.gateway?;
        let to = match entry.dst.as_str() {
            "default" => default_of(via),
            // A route to one host is printed without a length.
            dst => dst
                .parse()
                .ok()
                .or_else(|| dst.parse::<IpAddr>().ok().map(IpNet::from))?,
        };
        Some(Route { to, via })
    };
    Ok(entries.into_iter().filter_map(route).collect())
}

fn parse<T: serde::de::DeserializeOwned>(
    what: &'static str,
    text: &str,
) -> Result<T, ObserveError> {
    // `ip` prints nothing at all, not `[]`, where there is nothing to list.
    let text = if text.trim().is_empty() { "[]" } else { text };
    serde_json::from_str(text).map_err(|source| ObserveError::Parse { what, source })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_and_routes_are_read_from_captured_output() {
        let links = parse_links(include_str!("../../tests/data/iproute2-6.1-addr.json")).unwrap();
        let bridge = &links["br-etcd"];
        assert!(bridge.up);
        assert!(bridge.addresses.contains(&"10.77.0.1/24".parse().unwrap()));
        assert_eq!(links["etcd-0.0"].master.as_deref(), Some("br-etcd"));
        let routes =
            parse_routes(include_str!("../../tests/data/iproute2-6.1-route6.json")).unwrap();
        let default = Route {
            to: "::/0".parse().unwrap(),
            via: "2001:db8:ffff::1".parse().unwrap(),
        };
        assert!(routes.contains(&default), "{routes:?}");
        assert_eq!(parse_routes("").unwrap(), BTreeSet::new());
    }
}
