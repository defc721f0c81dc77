//! systemd.link(5) and systemd.network(5).

use std::net::IpAddr;

use serde::Serialize;

use crate::guest::{cidrs, routes_on};
use crate::net::Family;
use crate::plan::{Machine, Nic, Plan, Route};

/// Where systemd-networkd looks for the files of the administrator.
pub const NETWORKD_DIRECTORY: &str = "/etc/systemd/network";

/// A file for systemd-networkd or systemd-udevd.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct NetworkdFile {
    /// Its name in [`NETWORKD_DIRECTORY`], like `10-kube0.network`.
    pub name: String,
    /// Its text. It may be readable by all, and must be by the user `systemd-network`.
    pub text: String,
}

/// The files for the interfaces of a machine: a `.link` that names the interface and a `.network`
/// that sets it up, for each in turn.
///
/// Everything is static, and router advertisements are not heard. Duplicate address detection is
/// off: an address is not usable while it runs, which makes servers fail at boot that listen on
/// one, and the plan gives no address twice. `nameservers` are written to the interface of the
/// default routes; that interface is also the one that `systemd-networkd-wait-online` waits for.
///
/// `.link` files are read by systemd-udevd, so not in a container: there whoever makes the
/// interface names it.
///
/// ```
/// use netplan::{HostFacts, KubernetesVersion, LabName, MachineCounts, Requirement};
///
/// let (lab, version) = (LabName::new("demo")?, KubernetesVersion::new(37));
/// let requirement = Requirement::reference(lab, 7, version, MachineCounts::default());
/// let plan = netplan::plan(&requirement, &HostFacts::default(), None)?;
/// let files = netplan::networkd_files(&plan, plan.machine("cp-0").unwrap(), &[]);
/// let names: Vec<&str> = files.iter().map(|file| file.name.as_str()).collect();
/// assert_eq!(names, ["10-etcd0.link", "10-etcd0.network", "10-kube0.link", "10-kube0.network"]);
/// assert!(!files[1].text.contains("Gateway="));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Panics
/// When the machine is not one of this plan.
#[must_use]
pub fn networkd_files(plan: &Plan, machine: &Machine, nameservers: &[IpAddr]) -> Vec<NetworkdFile> {
    let files = machine.nics.iter().flat_map(|nic| {
        let routes = routes_on(plan, machine, nic);
        let network = network(nic, &cidrs(plan, nic), &routes, nameservers);
        [("link", link(nic)), ("network", network)].map(|(kind, text)| NetworkdFile {
            name: format!("10-{}.{kind}", nic.name),
            text,
        })
    });
    files.collect()
}

fn link(nic: &Nic) -> String {
    // Not MACAddress=: a VLAN or macvlan on top of the interface has the same one.
    let Nic { name, mac, .. } = nic;
    format!("[Match]\nPermanentMACAddress={mac}\n\n[Link]\nName={name}\n")
}

fn network(nic: &Nic, cidrs: &[String], routes: &[Route], nameservers: &[IpAddr]) -> String {
    // By both: the firewall knows interfaces by name, so one that has another gets no address.
    let mut text = format!(
        "[Match]\nName={}\nMACAddress={}\n\n[Link]\n",
        nic.name, nic.mac
    );
    let required = if nic.default_route { "yes" } else { "no" };
    text.push_str(&format!("RequiredForOnline={required}\n\n[Network]\n"));
    let has_v6 = nic.address.of(Family::V6).is_some();
    let link_local = if has_v6 { "ipv6" } else { "no" };
    text.push_str(&format!(
        "DHCP=no\nIPv6AcceptRA=no\nLinkLocalAddressing={link_local}\n"
    ));
    if has_v6 {
        text.push_str("IPv6DuplicateAddressDetection=0\n");
    }
    for cidr in cidrs {
        text.push_str(&format!("Address={cidr}\n"));
    }
    let (defaults, others): (Vec<&Route>, Vec<&Route>) =
        routes.iter().partition(|route| route.to.prefix_len() == 0);
    for route in defaults {
        text.push_str(&format!("Gateway={}\n", route.via));
    }
    for nameserver in nameservers.iter().filter(|_| nic.default_route) {
        text.push_str(&format!("DNS={nameserver}\n"));
    }
    for Route { to, via } in others {
        text.push_str(&format!("\n[Route]\nDestination={to}\nGateway={via}\n"));
    }
    text
}
