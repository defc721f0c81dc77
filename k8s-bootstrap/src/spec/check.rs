//! What types cannot rule out.

use super::{ClusterSpec, NodeSpec, Route, Runtime};
use crate::{
    component::Place,
    join::USER_PREFIX,
    version::skew::{self, ClusterVersions, RuntimeName, RuntimeVersion, SkewError},
};
use host_exec::HostName;
use ipnet::IpNet;
use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
};

/// A cluster that cannot be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SpecError {
    /// A list needs an entry.
    #[error("{field} is empty; give at least one")]
    Empty {
        /// The field.
        field: &'static str,
    },
    /// Two nodes of one name.
    #[error("two nodes are named {name}; give each its own name")]
    DuplicateNode {
        /// The name.
        name: HostName,
    },
    /// A name that does not fit into the client certificate of its node (RFC 5280, `ub-common-name`).
    #[error(
        "the node name {name} is too long for its certificate; give it at most {longest} characters"
    )]
    LongName {
        /// The name.
        name: HostName,
        /// How many characters there may be.
        longest: usize,
    },
    /// A prefix length that Kubernetes refuses.
    #[error("{field} is {net}, but its prefix must be /{shortest} to /{longest}")]
    Prefix {
        /// The field.
        field: &'static str,
        /// What it is.
        net: IpNet,
        /// The shortest prefix, the largest network.
        shortest: u8,
        /// The longest prefix.
        longest: u8,
    },
    /// Two networks share addresses; Kubernetes itself would not notice.
    #[error("{a} of {a_field} and {b} of {b_field} overlap; make them disjoint")]
    Overlap {
        /// One field.
        a_field: String,
        /// Its network.
        a: IpNet,
        /// The other field.
        b_field: String,
        /// Its network.
        b: IpNet,
    },
    /// Pods of a node outside the pods of the cluster.
    #[error(
        "pods of {node} are {net}, outside the cluster's pods {cluster}; give it a part of these, or widen `pods`"
    )]
    Outside {
        /// The node.
        node: HostName,
        /// Its pods.
        net: IpNet,
        /// The cluster's pods.
        cluster: IpNet,
    },
    /// A route whose gateway is of the other family.
    #[error(
        "the route of {node} to {to} goes via {via}, which is of the other family; name a gateway of the same"
    )]
    RouteFamily {
        /// The node.
        node: HostName,
        /// The destination.
        to: IpNet,
        /// The gateway.
        via: IpAddr,
    },
    /// Two programs of a node would listen at one port.
    #[error("{a} and {b} would both listen at port {port} of {node}; give one of them another")]
    Port {
        /// The node.
        node: HostName,
        /// The port.
        port: u16,
        /// One program.
        a: &'static str,
        /// The other.
        b: &'static str,
    },
    /// Versions that may not run together.
    #[error(transparent)]
    Skew(#[from] SkewError),
    /// Not a factor for time limits.
    #[error("patience is {value}, but must be a number from 0.1 to 1000")]
    Patience {
        /// What it is, as text.
        value: String,
    },
}

impl ClusterSpec {
    /// Checks what types cannot.
    ///
    /// # Errors
    ///
    /// The first contradiction found; nothing has been touched.
    pub fn check(&self) -> Result<(), SpecError> {
        self.check_lists()?;
        self.check_services()?;
        self.check_networks()?;
        self.check_ports()?;
        skew::check(&ClusterVersions::of(self))?;
        self.check_crio()?;
        if !(0.1..=1000.0).contains(&self.patience) {
            return Err(SpecError::Patience {
                value: self.patience.to_string(),
            });
        }
        Ok(())
    }

    /// CRI-O goes with the kubelets. One in the middle of an upgrade has its own when it is done.
    fn check_crio(&self) -> Result<(), SpecError> {
        let Runtime::Crio(own) = &self.runtime else {
            return Ok(());
        };
        let runtime = RuntimeVersion::new(RuntimeName::Crio, 1, own.minor);
        for (_, node) in self.nodes().filter(|(_, node)| node.programs.is_none()) {
            skew::check_runtime(&node.name, self.version, runtime)?;
        }
        Ok(())
    }

    fn check_lists(&self) -> Result<(), SpecError> {
        for (field, empty) in [
            ("control_planes", self.control_planes.is_empty()),
            ("etcd_endpoints", self.etcd_endpoints.is_empty()),
            ("cni_bin_dirs", self.cni_bin_dirs.is_empty()),
        ] {
            if empty {
                return Err(SpecError::Empty { field });
            }
        }
        let mut names = BTreeSet::new();
        let longest = 64 - USER_PREFIX.len();
        for (_, node) in self.nodes() {
            if node.name.as_str().len() > longest {
                let name = node.name.clone();
                return Err(SpecError::LongName { name, longest });
            }
            if !names.insert(&node.name) {
                return Err(SpecError::DuplicateNode {
                    name: node.name.clone(),
                });
            }
        }
        Ok(())
    }

    /// kubeadm's limits: at most 20 host bits, and room for the name server's number 10.
    fn check_services(&self) -> Result<(), SpecError> {
        let [v4, v6] = self.services.both();
        for (net, shortest, longest) in [(v4, 12, 28), (v6, 108, 124)] {
            if !(shortest..=longest).contains(&net.prefix_len()) {
                return Err(SpecError::Prefix {
                    field: "services",
                    net,
                    shortest,
                    longest,
                });
            }
        }
        Ok(())
    }

    fn check_networks(&self) -> Result<(), SpecError> {
        let mut claims = Claims::default();
        for net in self.services.both() {
            claims.claim("services", net)?;
        }
        for (_, node) in self.nodes() {
            for (net, cluster) in node.pods.both().into_iter().zip(self.pods.both()) {
                if !cluster.contains(&net) {
                    return Err(SpecError::Outside {
                        node: node.name.clone(),
                        net,
                        cluster,
                    });
                }
                claims.claim(format!("pods of {}", node.name), net)?;
            }
            for address in node.address.both() {
                claims.claim(format!("address of {}", node.name), address.into())?;
            }
            check_routes(node)?;
        }
        let virtual_address = self.virtual_address.iter();
        for address in virtual_address.flat_map(|own| own.address.both()) {
            claims.claim("virtual_address", address.into())?;
        }
        // Also where no node has this part of them yet.
        let mut claims = Claims::default();
        for (services, pods) in self.services.both().into_iter().zip(self.pods.both()) {
            claims.claim("pods", pods)?;
            claims.claim("services", services)?;
        }
        Ok(())
    }

    /// What of the spec listens beside ports that are fixed. Somebody else's programs are for
    /// [`preflight`](crate::preflight) to find.
    fn check_ports(&self) -> Result<(), SpecError> {
        for place in Place::all(self) {
            let mut taken: BTreeMap<u16, &'static str> = BTreeMap::new();
            for (port, b) in place.ports() {
                if let Some(a) = taken.insert(port, b) {
                    let node = place.node.name.clone();
                    return Err(SpecError::Port { node, port, a, b });
                }
            }
        }
        Ok(())
    }
}

/// Networks that have an owner, by the owner's field.
#[derive(Default)]
struct Claims(Vec<(String, IpNet)>);

impl Claims {
    fn claim(&mut self, field: impl Into<String>, net: IpNet) -> Result<(), SpecError> {
        let a_field = field.into();
        let overlaps = |other: &IpNet| net.contains(other) || other.contains(&net);
        let clash = self.0.iter().find(|(_, other)| overlaps(other));
        if let Some((b_field, b)) = clash.cloned() {
            return Err(SpecError::Overlap {
                a_field,
                a: net,
                b_field,
                b,
            });
        }
        self.0.push((a_field, net));
        Ok(())
    }
}

fn check_routes(node: &NodeSpec) -> Result<(), SpecError> {
    let mixes = |route: &&Route| route.to.addr().is_ipv4() != route.via.is_ipv4();
    match node.routes.iter().find(mixes) {
        None => Ok(()),
        Some(Route { to, via }) => Err(SpecError::RouteFamily {
            node: node.name.clone(),
            to: *to,
            via: *via,
        }),
    }
}
