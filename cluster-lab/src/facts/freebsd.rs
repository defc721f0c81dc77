//! What a FreeBSD host is and has, as far as a lab of VMs on it depends on that.

use super::{Facts, FactsError, GuestFacts};
use crate::{BhyveSpec, OutwardV6};
use bhyve_vm::{Release, fleet::HostSurvey};
use ipnet::IpNet;
use netplan::{HostFacts, InterfaceName, Lock, Net, Occupied, V6Mode};
use std::net::{IpAddr, Ipv6Addr};

/// What of a FreeBSD host decides how a lab is made on it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FreebsdFacts {
    /// Its release, as far as bhyve's keys depend on it.
    pub release: Release,
    /// Its interface to the outside.
    pub uplink: InterfaceName,
    /// How IPv6 leaves the lab.
    pub v6: V6Mode,
    /// Whether nobody asked a host, and all this is assumed.
    pub assumed: bool,
}

/// The uplink of a host that nobody asked: Intel's Ethernet, em(4).
const ASSUMED_UPLINK: &str = "em0";
/// Its address: one of RFC 3849, which no host has.
const ASSUMED_V6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 2);

impl Facts {
    /// What a survey says. Networks of `lock`, which are the lab's own, count as free.
    pub(crate) fn of_freebsd(
        survey: &HostSurvey,
        bhyve: &BhyveSpec,
        lock: Option<&Lock>,
    ) -> Result<Self, FactsError> {
        let uplink = match (&bhyve.uplink, survey.uplink()) {
            (Some(name), _) => name.clone(),
            (None, Some(name)) => {
                let name = InterfaceName::new(name);
                name.map_err(|error| FactsError::Uplink(error.to_string()))?
            }
            (None, None) => return Err(FactsError::NoUplink),
        };
        let outside = survey
            .population
            .interfaces
            .iter()
            .find(|i| i.name == uplink.as_str());
        let Some(outside) = outside else {
            let there = survey.population.interfaces.iter().map(|i| i.name.as_str());
            let there: Vec<_> = there.collect();
            return Err(FactsError::Uplink(format!(
                "the host has no interface {uplink}; it has {}",
                there.join(", ")
            )));
        };
        let v6 = v6(bhyve.ipv6, outside.nets.iter().find_map(global_v6))?;
        Ok(Self {
            network: HostFacts {
                resolvers: guest_resolvers(survey, bhyve),
                ..network(survey, lock)
            },
            machine_id: survey
                .sysctls
                .get("kern.hostuuid")
                .cloned()
                .unwrap_or_default(),
            ipv6: true,
            guests: GuestFacts::debian_12(),
            freebsd: Some(FreebsdFacts {
                release: survey.release(),
                uplink,
                v6,
                assumed: false,
            }),
        })
    }

    /// What is assumed of a host that nobody asked: the newest release, an uplink with both families, and no
    /// network that is in the way.
    pub(crate) fn of_freebsd_on_paper(bhyve: &BhyveSpec) -> Result<Self, FactsError> {
        let assumed = || InterfaceName::new(ASSUMED_UPLINK).expect("a literal that is a name");
        Ok(Self {
            network: HostFacts {
                resolvers: bhyve.resolvers.clone(),
                ..HostFacts::default()
            },
            machine_id: String::new(),
            ipv6: true,
            guests: GuestFacts::debian_12(),
            freebsd: Some(FreebsdFacts {
                release: Release::V15,
                uplink: bhyve.uplink.clone().unwrap_or_else(assumed),
                v6: v6(bhyve.ipv6, Some(ASSUMED_V6))?,
                assumed: true,
            }),
        })
    }
}

fn v6(wanted: OutwardV6, outside: Option<Ipv6Addr>) -> Result<V6Mode, FactsError> {
    match (wanted, outside) {
        (OutwardV6::Routed, _) => Ok(V6Mode::Routed),
        (OutwardV6::Auto | OutwardV6::Nat66, Some(address)) => Ok(V6Mode::Nat66 { address }),
        (OutwardV6::Auto, None) | (OutwardV6::Inside, _) => Ok(V6Mode::UlaOnly),
        (OutwardV6::Nat66, None) => Err(FactsError::NoGlobalV6),
    }
}

/// An address under which others reach the host: of 2000::/3 (RFC 4291, 2.4, and IANA's registry).
fn global_v6(net: &IpNet) -> Option<Ipv6Addr> {
    match net.addr() {
        IpAddr::V6(address) if address.segments()[0] & 0xe000 == 0x2000 => Some(address),
        _ => None,
    }
}

/// A server on the host itself answers only the host.
pub(crate) fn guest_resolvers(survey: &HostSurvey, bhyve: &BhyveSpec) -> Vec<IpAddr> {
    if !bhyve.resolvers.is_empty() {
        return bhyve.resolvers.clone();
    }
    let servers = survey.resolvers.iter().copied();
    servers.filter(|server| !server.is_loopback()).collect()
}

fn network(survey: &HostSurvey, lock: Option<&Lock>) -> HostFacts {
    let own: Vec<Net> = lock
        .map(|lock| lock.nets().map(|(_, net)| net).collect())
        .unwrap_or_default();
    let mut facts = HostFacts::default();
    for route in &survey.routes {
        if route.to.prefix_len() == 0 {
            facts.next_hops.extend(route.via);
            continue;
        }
        let net = Net::from(route.to.trunc());
        let is_own = own.iter().any(|own| own.covers(net));
        if super::can_clash(&route.to) && !is_own {
            facts.occupied.push(Occupied {
                net,
                by: format!("route over {} of the host", route.interface),
            });
        }
    }
    facts
}
