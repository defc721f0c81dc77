//! Where the networks of a lab are inside its supernet.

use crate::lock::Lock;
use crate::net::Family;
use crate::plan::place::{Want, place};
use crate::plan::{NetPair, PlanError};
use crate::pool::Pool;
use crate::requirement::Requirement;

/// The networks inside the supernet.
pub(crate) struct Ranges {
    pub(crate) etcd: NetPair,
    pub(crate) kube: NetPair,
    pub(crate) link: NetPair,
    pub(crate) services: NetPair,
    pub(crate) pods: NetPair,
}

impl Ranges {
    pub(crate) fn place(
        requirement: &Requirement,
        supernet: NetPair,
        lock: Option<&Lock>,
    ) -> Result<Self, PlanError> {
        let remedy =
            "make the ranges in `sizes` smaller (longer prefixes), or move explicit networks";
        let [v4, v6] = Family::BOTH.map(|family| {
            let wants = Self::wants(requirement, family);
            for want in &wants {
                check_explicit(want, family)?;
            }
            place(&mut Pool::new(supernet.of(family)), &wants, lock, remedy)
        });
        let (v4, v6) = (v4?, v6?);
        let pair = |at: usize| NetPair {
            v4: v4[at],
            v6: v6[at],
        };
        Ok(Self {
            etcd: pair(0),
            kube: pair(1),
            link: pair(2),
            services: pair(3),
            pods: pair(4),
        })
    }

    /// IPv4 by the third byte, IPv6 by the subnet's 16 bits. Written, they are alike: services are
    /// at `10.x.16.0` and `fd..:16::`; pods at the upper half of IPv4 and from `fd..:100::`.
    fn wants(requirement: &Requirement, family: Family) -> [Want; 5] {
        let (sizes, nets) = (requirement.sizes, requirement.networks);
        let want = |id: &str, field, prefix_len: u8, subnet: u64, explicit| {
            // The subnet numbers count /24 in IPv4 and /64 in IPv6.
            let unit = if family == Family::V4 { 24 } else { 64 };
            let near = if prefix_len > unit {
                subnet << (prefix_len - unit)
            } else {
                subnet >> (unit - prefix_len)
            };
            Want {
                id: format!("network/{id}"),
                field,
                prefix_len,
                near,
                explicit,
            }
        };
        match family {
            Family::V4 => [
                want("etcd", "networks.etcd_v4", 24, 0, nets.etcd_v4),
                want("kube", "networks.kube_v4", 24, 1, nets.kube_v4),
                want("link", "v4", 30, 2, None),
                want(
                    "services",
                    "networks.services_v4",
                    sizes.services_v4,
                    16,
                    nets.services_v4,
                ),
                want("pods", "networks.pods_v4", sizes.pods_v4, 128, nets.pods_v4),
            ],
            Family::V6 => [
                want("etcd", "networks.etcd_v6", 64, 0, nets.etcd_v6),
                want("kube", "networks.kube_v6", 64, 1, nets.kube_v6),
                want("link", "v6", 126, 2, None),
                want(
                    "services",
                    "networks.services_v6",
                    sizes.services_v6,
                    0x16,
                    nets.services_v6,
                ),
                want(
                    "pods",
                    "networks.pods_v6",
                    sizes.pods_v6,
                    0x100,
                    nets.pods_v6,
                ),
            ],
        }
    }
}

fn check_explicit(want: &Want, family: Family) -> Result<(), PlanError> {
    match want.explicit {
        Some(net) if net.family() != family || net.prefix_len() != want.prefix_len => {
            let wanted = format!("an {family} network of length /{}", want.prefix_len);
            Err(PlanError::Unsuitable {
                field: want.field,
                net,
                wanted,
            })
        }
        _ => Ok(()),
    }
}
