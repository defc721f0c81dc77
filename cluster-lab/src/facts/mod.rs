//! What a lab is made on, as far as it depends on that. Asked, then read by pure functions.

mod freebsd;
mod guest;

pub use freebsd::FreebsdFacts;
pub(crate) use freebsd::guest_resolvers;
pub use guest::GuestFacts;

use crate::Places;
use artifacts::Version;
use host_exec::{Command, FileError, Host, RunError};
use ipnet::IpNet;
use netplan::{HostFacts, Net, Occupied};
use nspawn_vm::{CgroupKind, GroupName};
use serde::Deserialize;
use std::{collections::BTreeSet, fs, net::IpAddr, path::PathBuf};

/// What the lab is made on, as far as it depends on that.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    /// Networks that are taken: by routes of the host, and by other labs.
    pub network: HostFacts,
    /// A number that is the host's own (machine-id(5), `kern.hostuuid`), for addresses that must differ between hosts.
    pub machine_id: String,
    /// Whether IPv6 is switched on in the namespace of this program.
    pub ipv6: bool,
    /// What the machines find in their own system.
    pub guests: GuestFacts,
    /// The FreeBSD host, where there is one.
    pub freebsd: Option<FreebsdFacts>,
}

/// This machine cannot be looked at, or cannot carry a lab at all.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FactsError {
    /// The kind of its control groups.
    #[error("{0}")]
    Cgroups(String),
    /// Its routes.
    #[error("cannot read the routes of this machine")]
    Routes(#[source] RunError),
    /// The programs that are there.
    #[error("cannot look for the programs of a machine")]
    Programs(#[source] RunError),
    /// What processes may do.
    #[error("cannot find out what processes of a machine may do")]
    Process(#[source] FileError),
    /// The version of containerd.
    #[error("cannot find out the version of containerd")]
    Containerd(#[source] RunError),
    /// containerd says something that has no version in it.
    #[error(
        "`containerd --version` says {0:?}, which has no version in it; install containerd 1.6 or later"
    )]
    ContainerdVersion(String),
    /// The version of crun.
    #[error("cannot find out the version of crun")]
    Crun(#[source] RunError),
    /// No kubelet speaks to it.
    #[error(
        "{program} is containerd {version}, and a lab takes 1.6 or later; install one, or put it before this one in PATH, \
        below /usr, with its containerd-shim-runc-v2 and ctr beside it"
    )]
    ContainerdUnsupported {
        /// The program.
        program: String,
        /// Its version.
        version: Version,
    },
    /// The FreeBSD host has no default route.
    #[error(
        "the FreeBSD host has no default route, so nobody knows its interface to the outside; set bhyve.uplink"
    )]
    NoUplink,
    /// The interface to the outside.
    #[error("bhyve.uplink: {0}")]
    Uplink(String),
    /// The FreeBSD host cannot translate IPv6.
    #[error(
        "bhyve.ipv6 = \"nat66\" needs a global IPv6 address on the uplink of the FreeBSD host, which has none; \
        give it one, or set bhyve.ipv6 to \"auto\" or \"inside\""
    )]
    NoGlobalV6,
    /// Its routes, in a form that ip(8) is not known to print.
    #[error("cannot read the output of `ip -json route`")]
    Parse(#[from] serde_json::Error),
}

/// Looks at this machine, for a lab called `name` whose machines are namespaces of it.
///
/// # Errors
///
/// See [`FactsError`]. What is merely missing, such as a package, is *not* an error: see [`doctor`](crate::doctor).
pub(crate) async fn observe(
    host: &dyn Host,
    places: &Places,
    name: &GroupName,
) -> Result<Facts, FactsError> {
    CgroupKind::of_this_host().map_err(FactsError::Cgroups)?;
    let mut network = HostFacts::default();
    for family in ["-4", "-6"] {
        let routes = Command::new("ip").args(["-json", family, "route", "show", "table", "all"]);
        let output = host.run(&routes).await.map_err(FactsError::Routes)?;
        add_routes(&mut network, &output.stdout_text(), &name.host_link())?;
    }
    network.occupied.extend(other_labs(places, name));
    network.resolvers = resolvers(&fs::read_to_string("/etc/resolv.conf").unwrap_or_default());
    Ok(Facts {
        network,
        machine_id: fs::read_to_string("/etc/machine-id")
            .unwrap_or_default()
            .trim()
            .to_owned(),
        ipv6: fs::read_to_string("/proc/sys/net/ipv6/conf/all/disable_ipv6")
            .is_ok_and(|text| text.trim() == "0"),
        // The machines are namespaces with this machine's own system.
        guests: GuestFacts::observe(host, &seen_by_namespaces(&places.path_dirs))
            .await?
            .of_namespaces(),
        freebsd: None,
    })
}

/// The directories of programs that namespaces have too: what lies below /usr.
fn seen_by_namespaces(dirs: &[PathBuf]) -> Vec<PathBuf> {
    let shared = dirs.iter().filter(|dir| {
        // These two are links into it wherever systemd runs (file-hierarchy(7)).
        dir.starts_with("/usr") || dir.starts_with("/bin") || dir.starts_with("/sbin")
    });
    shared.cloned().collect()
}

/// Reads `ip -json route show table all` (iproute2 6.1): networks, and the next hops of default routes. Routes over
/// `ours` and those that no network can clash with (loopback, link-local, multicast) are left out.
///
/// ```json
/// [{"dst":"default","gateway":"192.0.2.1","dev":"eth0","flags":[]},
///  {"dst":"192.0.2.0/24","dev":"eth0","protocol":"kernel","scope":"link","prefsrc":"192.0.2.7","flags":[]},
///  {"type":"local","dst":"127.0.0.1","dev":"lo","table":"local","protocol":"kernel","flags":[]}]
/// ```
fn add_routes(facts: &mut HostFacts, text: &str, ours: &str) -> Result<(), serde_json::Error> {
    #[derive(Deserialize)]
    struct Route {
        dst: String,
        dev: Option<String>,
        gateway: Option<IpAddr>,
    }
    let text = if text.trim().is_empty() { "[]" } else { text };
    let routes: Vec<Route> = serde_json::from_str(text)?;
    let mut seen = BTreeSet::new();
    for route in routes {
        let dev = route.dev.unwrap_or_default();
        if route.dst == "default" && dev != ours {
            facts.next_hops.extend(route.gateway);
        }
        let net = route
            .dst
            .parse::<IpNet>()
            .ok()
            .or_else(|| route.dst.parse::<IpAddr>().ok().map(IpNet::from));
        let Some(net) = net.filter(|net| dev != ours && can_clash(net)) else {
            continue;
        };
        if seen.insert(net.trunc()) {
            facts.occupied.push(Occupied {
                net: net.into(),
                by: format!("route over {dev}"),
            });
        }
    }
    Ok(())
}

/// The name servers of resolv.conf(5). One on this machine itself clashes with nothing.
fn resolvers(text: &str) -> Vec<IpAddr> {
    let servers = text
        .lines()
        .filter_map(|line| line.strip_prefix("nameserver"));
    servers
        .filter_map(|server| server.trim().parse().ok())
        .filter(|server: &IpAddr| !server.is_loopback())
        .collect()
}

fn can_clash(net: &IpNet) -> bool {
    let address = net.addr();
    let local = match address {
        IpAddr::V4(v4) => v4.is_link_local() || v4.is_broadcast(),
        IpAddr::V6(v6) => v6.is_unicast_link_local(),
    };
    net.prefix_len() > 0 && !address.is_loopback() && !address.is_multicast() && !local
}

/// The networks of labs that may be down now and have to find their addresses free when they come back.
fn other_labs(places: &Places, name: &GroupName) -> Vec<Occupied> {
    let labs = places.all_labs().into_iter();
    let others = labs.filter(|lab| !lab.root().ends_with(name.as_str()));
    // A lab whose lock cannot be read will say so itself when it is used.
    let locks = others.filter_map(|lab| lab.network().ok()?);
    locks
        .flat_map(|lock| {
            let nets: Vec<Net> = lock.nets().map(|(_, net)| net).collect();
            nets.into_iter().map(move |net| Occupied {
                net,
                by: format!("lab {}", lock.lab()),
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn routes_that_can_clash_are_kept() {
        let text = r#"[{"dst":"default","gateway":"192.0.2.1","dev":"eth0"},
            {"dst":"10.1.0.0/16","dev":"docker0"},{"dst":"10.9.2.0/30","dev":"lab-x"},
            {"type":"local","dst":"127.0.0.0/8","dev":"lo"},{"dst":"192.0.2.7","dev":"eth0"}]"#;
        let mut facts = HostFacts::default();
        add_routes(&mut facts, text, "lab-x").unwrap();
        let nets: Vec<String> = facts.occupied.iter().map(|o| o.net.to_string()).collect();
        assert_eq!(nets, ["10.1.0.0/16", "192.0.2.7/32"]);
        assert_eq!(facts.next_hops, ["192.0.2.1".parse::<IpAddr>().unwrap()]);
    }

    #[test]
    fn name_servers_elsewhere_are_read() {
        let text = "search example\nnameserver 127.0.0.53\nnameserver 192.0.2.53\nnameserver\n";
        assert_eq!(resolvers(text), ["192.0.2.53".parse::<IpAddr>().unwrap()]);
    }
}
