//! The things that a lock remembers, typed.

use std::fmt;

use serde::{Serialize, Serializer};

use crate::lock::LockedClass;
use crate::names::{ClassName, LabName, MachineName, NetworkName};
use crate::net::Net;

/// A thing that a lock remembers; as a text it is the beginning of the lock's line.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Item {
    /// The lab's name.
    Lab,
    /// The number that the lab was first planned with.
    Seed,
    /// The network that all else lies in.
    Supernet,
    /// A network of machines.
    Network(NetworkName),
    /// The link between the router and the machine that runs the lab.
    Link,
    /// The service range of the cluster.
    Services,
    /// The pod range of the cluster.
    Pods,
    /// A class of machines.
    Class(ClassName),
    /// One node's part of the pod range.
    NodePods(MachineName),
    /// A machine's address on a network.
    Address {
        /// The machine.
        machine: MachineName,
        /// The network.
        network: NetworkName,
    },
    /// A line that this version does not know.
    Other(String),
}

impl Item {
    /// The item of a lock's allocation.
    pub(super) fn of(id: &str) -> Self {
        Self::known(id).unwrap_or_else(|| Self::Other(id.to_owned()))
    }

    fn known(id: &str) -> Option<Self> {
        let parts: Vec<&str> = id.split('/').collect();
        Some(match parts.as_slice() {
            ["supernet"] => Self::Supernet,
            ["network", name] => Self::Network(NetworkName::new(*name).ok()?),
            ["range", "link"] => Self::Link,
            ["range", "services"] => Self::Services,
            ["range", "pods"] => Self::Pods,
            ["pods", machine] => Self::NodePods(MachineName::new(*machine).ok()?),
            ["address", network, machine] => Self::Address {
                machine: MachineName::new(*machine).ok()?,
                network: NetworkName::new(*network).ok()?,
            },
            _ => return None,
        })
    }

    /// Whether one of the two can be the other under a new name.
    pub(super) fn is_like(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Network(_), Self::Network(_))
            | (Self::Class(_), Self::Class(_))
            | (Self::NodePods(_), Self::NodePods(_))
            | (Self::Address { .. }, Self::Address { .. }) => self != other,
            _ => false,
        }
    }
}

impl fmt::Display for Item {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match self {
            Self::Lab => "lab".to_owned(),
            Self::Seed => "seed".to_owned(),
            Self::Supernet => "supernet".to_owned(),
            Self::Network(name) => format!("network/{name}"),
            Self::Link => "range/link".to_owned(),
            Self::Services => "range/services".to_owned(),
            Self::Pods => "range/pods".to_owned(),
            Self::Class(name) => format!("class/{name}"),
            Self::NodePods(machine) => format!("pods/{machine}"),
            Self::Address { machine, network } => format!("address/{network}/{machine}"),
            Self::Other(id) => id.clone(),
        };
        f.pad(&text)
    }
}

impl Serialize for Item {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// What a lock says about an [`Item`]; as a text it is the rest of the lock's line.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Value {
    /// Of [`Item::Lab`].
    Lab(LabName),
    /// Of [`Item::Seed`].
    Seed(u64),
    /// Of networks and ranges; an address is one of /32 or /128.
    Net(Net),
    /// Of [`Item::Class`].
    Class(LockedClass),
}

impl Value {
    /// Whether the other value is a part of this one, or the same.
    pub(super) fn covers(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Net(one), Self::Net(other)) => one.covers(*other),
            (Self::Class(one), Self::Class(other)) => {
                let (outer, inner) = (one.band, other.band);
                let holds = outer.first <= inner.first && inner.end() <= outer.end();
                one.role == other.role && holds
            }
            _ => self == other,
        }
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Lab(name) => write!(f, "{name}"),
            Self::Seed(seed) => write!(f, "{seed:016x}"),
            Self::Net(net) => write!(f, "{net}"),
            Self::Class(LockedClass { role, band }) => {
                write!(f, "{role} {}+{}", band.first, band.room)
            }
        }
    }
}

impl Serialize for Value {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}
