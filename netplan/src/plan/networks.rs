//! Where the networks and the Kubernetes ranges of a lab are inside its supernet.

use crate::addresses::Nets;
use crate::hash::stable_hash;
use crate::lock::{HostNumbers, Lock};
use crate::net::{Family, Net};
use crate::plan::lengths::Length;
use crate::plan::place::{Prefer, Want, place};
use crate::plan::{Gone, PlanError};
use crate::requirement::{NetworkSpec, Requirement, RouterSpec};

/// The networks inside the supernet.
pub(crate) struct Placements {
    /// In the order of the requirement.
    pub(crate) networks: Vec<Nets>,
    pub(crate) link: Option<Nets>,
    pub(crate) services: Nets,
    pub(crate) pods: Nets,
    pub(crate) gone: Gone,
}

/// The families that a lab has at all.
pub(crate) fn families(requirement: &Requirement) -> impl Iterator<Item = Family> {
    let has = |family| {
        let mut networks = requirement.networks.iter();
        networks.any(|network| network.families.has(family))
    };
    Family::BOTH.into_iter().filter(move |family| has(*family))
}

impl Placements {
    pub(crate) fn new(
        requirement: &Requirement,
        bands: &[HostNumbers],
        supernet: Nets,
        lock: Option<&Lock>,
    ) -> Result<Self, PlanError> {
        let mut placements = Self {
            networks: vec![Nets::default(); requirement.networks.len()],
            link: None,
            services: Nets::default(),
            pods: Nets::default(),
            gone: Vec::new(),
        };
        for pool in supernet.iter() {
            let wants = wants(requirement, bands, pool.family(), Some(pool))?;
            let remedy = "make ranges or rooms smaller, move explicit networks, or give the lab a larger network";
            let placed = place(pool, &wants, lock, &["network/", "range/"], remedy)?;
            placements.gone.extend(placed.gone);
            for (want, net) in wants.iter().zip(placed.nets) {
                placements.put(requirement, &want.id, net);
            }
        }
        Ok(placements)
    }

    fn put(&mut self, requirement: &Requirement, id: &str, net: Net) {
        match id {
            "range/link" => self.link.get_or_insert_default().insert(net),
            "range/services" => self.services.insert(net),
            "range/pods" => self.pods.insert(net),
            _ => {
                let networks = requirement.networks.iter().zip(&mut self.networks);
                for (_, nets) in networks.filter(|(spec, _)| network_id(spec) == id) {
                    nets.insert(net);
                }
            }
        }
    }
}

fn network_id(network: &NetworkSpec) -> String {
    format!("network/{}", network.name)
}

/// Everything that is to be placed in one family; in this network of the lab, where that is known.
pub(crate) fn wants(
    requirement: &Requirement,
    bands: &[HostNumbers],
    family: Family,
    supernet: Option<Net>,
) -> Result<Vec<Want>, PlanError> {
    let mut wants = Vec::new();
    for network in &requirement.networks {
        if network.families.has(family) {
            wants.push(network_want(requirement, bands, network, family)?);
        }
    }
    if requirement.router == RouterSpec::Namespace {
        let len = family.bits() - 2;
        let (field, near) = (family.key().to_owned(), slot(2, len, family));
        wants.push(range("link", field, len, near, None));
    }
    let Some(kubernetes) = &requirement.kubernetes else {
        return Ok(wants);
    };
    if kubernetes.families.has(family) {
        // IPv4 by the third byte, IPv6 by the subnet's 16 bits. Written, they are alike: services
        // are at `10.x.16.0` and `fd..:16::`; pods at the upper half and from `fd..:100::`.
        let slots = match family {
            Family::V4 => (16, 128),
            Family::V6 => (0x16, 0x100),
        };
        let Length { len, field, .. } = Length::of_services(kubernetes, family);
        let (near, explicit) = (
            slot(slots.0, len, family),
            kubernetes.explicit_services(family),
        );
        wants.push(range("services", field, len, near, explicit));
        let Length { len, field, .. } = Length::of_pods(kubernetes, family);
        let len = supernet.map_or(len, |supernet| kubernetes.pods_len_inside(supernet));
        let (near, explicit) = (slot(slots.1, len, family), kubernetes.explicit_pods(family));
        wants.push(range("pods", field, len, near, explicit));
    }
    Ok(wants)
}

fn range(id: &str, field: String, prefix_len: u8, near: u64, explicit: Option<Net>) -> Want {
    Want {
        id: format!("range/{id}"),
        field,
        prefix_len,
        prefer: Prefer::Slot(near),
        explicit,
        grows: false,
    }
}

/// The block number at a slot, which counts /24 of IPv4 and /64 of IPv6.
fn slot(slot: u64, prefix_len: u8, family: Family) -> u64 {
    let unit = if family == Family::V4 { 24 } else { 64 };
    if prefix_len > unit {
        slot.checked_shl(u32::from(prefix_len - unit)).unwrap_or(0)
    } else {
        slot.checked_shr(u32::from(unit - prefix_len)).unwrap_or(0)
    }
}

fn network_want(
    requirement: &Requirement,
    bands: &[HostNumbers],
    network: &NetworkSpec,
    family: Family,
) -> Result<Want, PlanError> {
    let field = format!("networks.{}.{}", network.name, family.key());
    let explicit = network.explicit(family);
    let needed = match family {
        Family::V4 => needed_len(requirement, bands, network),
        Family::V6 => 64,
    };
    let prefix_len = match explicit {
        None => needed,
        Some(net) => explicit_len(net, family, needed, &field)?,
    };
    let prefer = match network.slot {
        Some(number) => Prefer::Slot(slot(number.into(), prefix_len, family)),
        None => Prefer::Hash(stable_hash(&[
            b"network",
            requirement.lab.as_str().as_bytes(),
            network.name.as_str().as_bytes(),
        ])),
    };
    Ok(Want {
        id: network_id(network),
        field,
        prefix_len,
        prefer,
        explicit,
        grows: family == Family::V4,
    })
}

fn explicit_len(net: Net, family: Family, needed: u8, field: &str) -> Result<u8, PlanError> {
    let wanted = match family {
        Family::V4 if net.family() == family && net.prefix_len() <= needed => None,
        Family::V6 if net.family() == family && net.prefix_len() == 64 => None,
        Family::V4 => Some(format!(
            "an IPv4 network of length /{needed} or shorter, which its machines need"
        )),
        Family::V6 => Some("an IPv6 network of length /64".to_owned()),
    };
    match wanted {
        None => Ok(net.prefix_len()),
        Some(wanted) => Err(PlanError::Unsuitable {
            field: field.to_owned(),
            net,
            wanted,
        }),
    }
}

/// The IPv4 length that holds the bands of all classes on a network, and the broadcast address
/// behind them; at least 14 hosts.
fn needed_len(requirement: &Requirement, bands: &[HostNumbers], network: &NetworkSpec) -> u8 {
    let on_it = requirement.classes.iter().zip(bands);
    let ends = on_it
        .filter(|(class, _)| class.networks.contains(&network.name))
        .map(|(_, band)| band.end());
    let addresses = ends.max().unwrap_or(0).saturating_add(1).max(16);
    let bits = u32::BITS - (addresses - 1).leading_zeros();
    32 - bits.to_le_bytes()[0]
}

/// The length of an IPv4 network that holds all wants with some room between them, at least a /16.
pub(crate) fn roomy_len(wants: &[Want]) -> u8 {
    let room = |want: &Want| if want.grows { 2 } else { 1 };
    let total: u64 = wants.iter().map(|want| size(want) * room(want)).sum();
    len_for(total + total / 3).min(16)
}

/// The longest prefix of an IPv4 network that can hold all wants at all.
pub(crate) fn least_len<'a>(wants: impl Iterator<Item = &'a Want>) -> u8 {
    len_for(wants.map(size).sum())
}

fn size(want: &Want) -> u64 {
    1 << 32_u8.saturating_sub(want.prefix_len)
}

fn len_for(addresses: u64) -> u8 {
    let bits = u64::BITS - addresses.saturating_sub(1).leading_zeros();
    32_u8.saturating_sub(bits.to_le_bytes()[0])
}
