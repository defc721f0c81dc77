//! What this machine is and has, as far as a lab depends on it. Asked, then read by pure functions.

use host_exec::{Command, Host, RunError};
use ipnet::IpNet;
use netplan::{HostFacts, Net, Occupied};
use nspawn_vm::{CgroupKind, GroupName};
use serde::Deserialize;
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    net::IpAddr,
    path::{Path, PathBuf},
};

use crate::Places;
use artifacts::Version;

/// What this machine is and has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    /// How control groups are kept.
    pub cgroups: CgroupKind,
    /// Networks that are taken: by routes of this machine, and by other labs.
    pub network: HostFacts,
    /// A number that is this machine's own (machine-id(5)), for addresses that must differ between machines.
    pub machine_id: String,
    /// Whether processes here may write a negative oom_score_adj (CAP_SYS_RESOURCE).
    pub may_protect_from_oom: bool,
    /// Whether IPv6 is switched on in the namespace of this program.
    pub ipv6: bool,
    /// The program containerd.
    pub containerd_program: String,
    /// Its version.
    pub containerd: Version,
    /// The OCI runtimes that are there, by name, with their paths.
    pub oci_runtimes: BTreeMap<String, String>,
    /// Directories with CNI plugins.
    pub cni_dirs: Vec<String>,
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
    /// The version of containerd.
    #[error("cannot find out the version of containerd")]
    Containerd(#[source] RunError),
    /// containerd says something that has no version in it.
    #[error(
        "`containerd --version` says {0:?}, which has no version in it; install containerd 1.6 or later"
    )]
    ContainerdVersion(String),
    /// Its routes, in a form that ip(8) is not known to print.
    #[error("cannot read the output of `ip -json route`")]
    Parse(#[from] serde_json::Error),
}

/// Looks at this machine, for a lab called `name`.
///
/// # Errors
///
/// See [`FactsError`]. What is merely missing, such as a package, is *not* an error: see [`doctor`](crate::doctor).
pub(crate) async fn observe(
    host: &dyn Host,
    places: &Places,
    name: &GroupName,
) -> Result<Facts, FactsError> {
    let mut network = HostFacts::default();
    for family in ["-4", "-6"] {
        let routes = Command::new("ip").args(["-json", family, "route", "show", "table", "all"]);
        let output = host.run(&routes).await.map_err(FactsError::Routes)?;
        add_routes(&mut network, &output.stdout_text(), &name.host_link())?;
    }
    network.occupied.extend(other_labs(places, name));
    network.resolvers = resolvers(&fs::read_to_string("/etc/resolv.conf").unwrap_or_default());
    let in_path = |name: &str| {
        places
            .path_dirs
            .iter()
            .map(|dir| dir.join(name))
            .find(|path| path.is_file())
    };
    let containerd_program =
        in_path("containerd").unwrap_or_else(|| PathBuf::from("/usr/bin/containerd"));
    let runtimes = ["crun", "runc"]
        .into_iter()
        .filter_map(|name| Some((name.to_owned(), text(&in_path(name)?))));
    Ok(Facts {
        containerd: containerd_version(host).await?,
        containerd_program: text(&containerd_program),
        oci_runtimes: runtimes.collect(),
        // Debian's package, then the directory that CNI's own releases and containerd's defaults name.
        cni_dirs: ["/usr/lib/cni", "/opt/cni/bin"]
            .into_iter()
            .filter(|dir| Path::new(dir).join("bridge").exists())
            .map(str::to_owned)
            .collect(),
        cgroups: CgroupKind::of_this_host().map_err(FactsError::Cgroups)?,
        network,
        machine_id: fs::read_to_string("/etc/machine-id")
            .unwrap_or_default()
            .trim()
            .to_owned(),
        may_protect_from_oom: may_protect_from_oom(
            &fs::read_to_string("/proc/self/status").unwrap_or_default(),
        ),
        ipv6: fs::read_to_string("/proc/sys/net/ipv6/conf/all/disable_ipv6")
            .is_ok_and(|text| text.trim() == "0"),
    })
}

async fn containerd_version(host: &dyn Host) -> Result<Version, FactsError> {
    let output = host
        .run(&Command::new("containerd").arg("--version"))
        .await
        .map_err(FactsError::Containerd)?;
    let said = output.stdout_text();
    artifacts::parse_containerd_version(&said)
        .ok_or_else(|| FactsError::ContainerdVersion(said.trim().to_owned()))
}

fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
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

/// Reads `CapEff:` of proc(5): CAP_SYS_RESOURCE is bit 24 of capability.h.
fn may_protect_from_oom(status: &str) -> bool {
    const CAP_SYS_RESOURCE: u64 = 1 << 24;
    let set = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
    set.and_then(|hex| u64::from_str_radix(hex.trim(), 16).ok())
        .is_some_and(|set| set & CAP_SYS_RESOURCE != 0)
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

    #[test]
    fn capabilities_are_read() {
        assert!(may_protect_from_oom(
            "Name:\tx\nCapEff:\t000001ffffffffff\n"
        ));
        assert!(!may_protect_from_oom("CapEff:\t000001fffeffffff\n"));
    }
}
