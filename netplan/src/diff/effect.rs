//! What follows from a change, for those who run the lab.

use std::fmt;

use serde::Serialize;

use crate::names::MachineName;

/// What has to happen, or happens, because of a change. The order is from what costs most.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case", tag = "effect")]
#[non_exhaustive]
pub enum Effect {
    /// The cluster has to be made anew: a running one cannot change this.
    ClusterRebuild {
        /// What stands against it.
        why: &'static str,
    },
    /// The etcd cluster gets, loses or updates a member, one at a time and with a quorum at every
    /// step: peers find each other by the addresses in the member list.
    EtcdMemberChange {
        /// The machine of the member.
        machine: MachineName,
        /// What happens to it.
        change: Membership,
    },
    /// The Kubernetes cluster gets or loses a node, or has to forget it and take it again: a node
    /// is known by its host name, and its part of the pod range (`spec.podCIDRs`) never changes.
    NodeChange {
        /// The machine of the node.
        machine: MachineName,
        /// What happens to it.
        change: Membership,
    },
    /// The machine starts again: names and addresses of interfaces, and the host name, are read
    /// when it starts.
    Reboot {
        /// The machine.
        machine: MachineName,
    },
    /// Certificates are issued anew: names and addresses are among what they vouch for (subject
    /// alternative names, RFC 5280, 4.2.1.6).
    NewCertificateName {
        /// Whose certificates.
        of: CertificateOf,
    },
    /// API servers, controller managers and kube-proxies start again: they have the ranges, and
    /// API servers the addresses of etcd, as arguments.
    ControlPlaneRestart,
    /// Every node changes its routes to the pods of the others; they go over the nodes' addresses.
    NodeRoutes,
    /// The router loads its bridges, addresses, routes and rules anew.
    RouterReload,
    /// Machines that filter for themselves load their rules anew: those of etcd members and control
    /// planes name each other, since packets on one bridge never pass the router's rules.
    GuestRules,
    /// The machine that runs the lab changes its routes to the lab.
    HostRoutes,
}

/// What happens to a member of a cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Membership {
    /// It joins.
    Join,
    /// It stays under another address or name.
    Update,
    /// It leaves.
    Leave,
}

impl fmt::Display for Membership {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Join => "joins",
            Self::Update => "is updated",
            Self::Leave => "leaves",
        })
    }
}

/// Whose certificates.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum CertificateOf {
    /// One machine's.
    Machine(MachineName),
    /// Those of all API servers: they vouch for the first service address.
    ApiServers,
}

impl fmt::Display for Effect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ClusterRebuild { why } => write!(f, "cluster rebuild ({why})"),
            Self::EtcdMemberChange { machine, change } => {
                write!(f, "etcd member {machine} {change}")
            }
            Self::NodeChange { machine, change } => write!(f, "node {machine} {change}"),
            Self::Reboot { machine } => write!(f, "reboot of {machine}"),
            Self::NewCertificateName { of } => match of {
                CertificateOf::Machine(machine) => write!(f, "new certificates of {machine}"),
                CertificateOf::ApiServers => f.write_str("new certificates of all API servers"),
            },
            Self::ControlPlaneRestart => f.write_str("control plane restart"),
            Self::NodeRoutes => f.write_str("routes of all nodes"),
            Self::RouterReload => f.write_str("router reload"),
            Self::GuestRules => f.write_str("rules of the machines"),
            Self::HostRoutes => f.write_str("routes of the host"),
        }
    }
}
