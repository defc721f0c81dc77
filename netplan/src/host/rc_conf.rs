//! rc.conf(5) and sysctl.conf(5) of FreeBSD.

use std::fmt;

use serde::Serialize;

use crate::host::{HostRouter, LINK_LOCAL_GATEWAY, gateways};
use crate::names::InterfaceName;
use crate::net::Family;
use crate::plan::{Network, Route};

/// A variable of rc.conf(5). Its `Display` is a line for the file, in sh(1).
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RcKnob {
    /// Its name.
    pub name: String,
    /// Its value, without quotes; nothing in it means something to sh(1).
    pub value: String,
    /// Whether the value is to be added to a list that others add to too, as `sysrc NAME+=VALUE`
    /// does.
    pub appends: bool,
}

impl fmt::Display for RcKnob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, value, .. } = self;
        if self.appends {
            write!(f, "{name}=\"${{{name}}} {value}\"")
        } else {
            write!(f, "{name}=\"{value}\"")
        }
    }
}

/// A setting of the kernel, sysctl(8). Its `Display` is a line for sysctl.conf(5).
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Sysctl {
    /// Its name.
    pub name: String,
    /// Its value.
    pub value: &'static str,
}

impl fmt::Display for Sysctl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={}", self.name, self.value)
    }
}

impl HostRouter<'_> {
    /// The lines for a FreeBSD host's `/etc/rc.conf`, as many as the lab needs to come back after a
    /// reboot. The rules of pf are another matter; here it is only switched on, with the log
    /// interface that rules with `log` write to.
    ///
    /// At boot a bridge is made under a number and renamed. The bridges of this lab take the
    /// numbers from `first_bridge` on; nobody else's on this host may be among them.
    ///
    /// ```
    /// use netplan::{
    ///     HostFacts, HostRouter, InterfaceName, KubernetesVersion, LabName, MachineCounts,
    ///     Requirement, RouterSpec,
    /// };
    ///
    /// let (lab, version) = (LabName::new("lab0")?, KubernetesVersion::new(37));
    /// let mut requirement = Requirement::reference(lab, 7, version, MachineCounts::default());
    /// requirement.router = RouterSpec::Host { uplink: InterfaceName::new("em0")? };
    /// let plan = netplan::plan(&requirement, &HostFacts::default(), None)?;
    /// let knobs = HostRouter::of(&plan).expect("the host routes").rc_conf(110);
    /// let lines: Vec<String> = knobs.iter().map(ToString::to_string).collect();
    /// assert!(lines.contains(&"gateway_enable=\"YES\"".to_owned()));
    /// assert!(lines.contains(&"ifconfig_bridge110_name=\"lab0-etcd\"".to_owned()));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn rc_conf(&self, first_bridge: u16) -> Vec<RcKnob> {
        let mut knobs = Vec::new();
        if self.has(Family::V4) {
            knobs.push(set("gateway_enable", "YES"));
        }
        if self.has(Family::V6) {
            knobs.push(set("ipv6_gateway_enable", "YES"));
            // A host that forwards does not hear router advertisements but on this interface.
            knobs.push(set("ipv6_cpe_wanif", self.uplink.as_str()));
        }
        for (number, network) in (u32::from(first_bridge)..).zip(&self.plan.networks) {
            knobs.extend(bridge(&format!("bridge{number}"), network));
        }
        knobs.extend(self.static_routes());
        knobs.push(set("pf_enable", "YES"));
        knobs.push(set("pflog_enable", "YES"));
        knobs
    }

    /// The lines for a FreeBSD host's `/etc/sysctl.conf`: packets between two machines of one
    /// bridge pass by pf, those that are routed do not. Releases differ in their defaults. The
    /// names are unknown until the first bridge is there; at the end of the boot the file is read
    /// once more (`sysctl_lastload`).
    #[must_use]
    pub fn sysctl_conf(&self) -> Vec<Sysctl> {
        let names = ["pfil_member", "pfil_bridge", "pfil_local_phys"];
        let setting = |name| Sysctl {
            name: format!("net.link.bridge.{name}"),
            value: "0",
        };
        names.map(setting).into()
    }

    fn static_routes(self) -> Vec<RcKnob> {
        let kubernetes = self.plan.kubernetes.as_ref();
        let network = kubernetes.and_then(|own| self.plan.network(own.network.as_str()));
        let Some(network) = network else {
            return Vec::new();
        };
        let mut knobs = Vec::new();
        for machine in &self.plan.machines {
            // Unique on the host, since the name of the bridge is and has no '_'.
            let id = variable(&format!("{}_{}", network.bridge, machine.name));
            for Route { to, via } in self.plan.pod_routes(machine) {
                let (list, one, arguments) = match to.family() {
                    Family::V4 => ("static_routes", "route", format!("-net {to} {via}")),
                    Family::V6 => {
                        let (address, length) = (to.address(), to.prefix_len());
                        let arguments = format!("{address} -prefixlen {length} {via}");
                        ("ipv6_static_routes", "ipv6_route", arguments)
                    }
                };
                knobs.push(append(list, &id));
                knobs.push(set(&format!("{one}_{id}"), &arguments));
            }
        }
        knobs
    }
}

fn bridge(number: &str, network: &Network) -> Vec<RcKnob> {
    let name = &network.bridge;
    let own = format!("ifconfig_{}", variable(name.as_str()));
    let mut knobs = vec![
        append("cloned_interfaces", number),
        set(&format!("ifconfig_{number}_name"), name.as_str()),
    ];
    let mut is_up = false;
    for (address, prefix_len) in gateways(network) {
        if address.is_ipv4() {
            knobs.push(set(&own, &format!("inet {address}/{prefix_len} up")));
            is_up = true;
            continue;
        }
        if !is_up {
            knobs.push(set(&own, "up"));
        }
        // A bridge gets no link-local address by itself, and without one it is no next hop.
        let v6 = format!("inet6 {address}/{prefix_len} auto_linklocal");
        knobs.push(set(&format!("{own}_ipv6"), &v6));
        knobs.push(set(&format!("{own}_alias0"), &link_local_alias(name)));
    }
    knobs
}

/// The arguments of ifconfig(8) for the gateway's address that is the same on all networks.
pub(super) fn link_local_alias(bridge: &InterfaceName) -> String {
    format!("inet6 {LINK_LOCAL_GATEWAY}%{bridge}/64")
}

fn set(name: &str, value: &str) -> RcKnob {
    RcKnob {
        name: name.to_owned(),
        value: value.to_owned(),
        appends: false,
    }
}

fn append(name: &str, value: &str) -> RcKnob {
    RcKnob {
        appends: true,
        ..set(name, value)
    }
}

/// A name as part of a variable's name: rc.subr(8) puts '_' for what sh(1) does not take there.
fn variable(name: &str) -> String {
    name.replace(['-', '.'], "_")
}
