//! Which effects a change has.

use std::collections::BTreeMap;

use crate::diff::{CertificateOf, ChangeKind, Effect, Item, Membership, Value};
use crate::lock::Lock;
use crate::names::{MachineName, NetworkName};
use crate::net::Family;
use crate::requirement::Role;

const SERVICES: &str = "objects and clients keep service addresses";
const PODS: &str = "nodes and running pods keep addresses of the range";
const SEED: &str = "Ethernet addresses follow from the seed";
const LAB: &str = "it is another lab";

/// What the effects of a change depend on, beside the change.
pub(super) struct Effects<'a> {
    old: &'a Lock,
    new: &'a Lock,
    /// The machines of each lock, with the networks that they are on.
    before: BTreeMap<MachineName, Vec<NetworkName>>,
    after: BTreeMap<MachineName, Vec<NetworkName>>,
}

impl<'a> Effects<'a> {
    pub(super) fn new(old: &'a Lock, new: &'a Lock) -> Self {
        Self {
            old,
            new,
            before: machines(old),
            after: machines(new),
        }
    }

    /// The effects of one change, worst first, each once.
    pub(super) fn of(&self, item: &Item, kind: &ChangeKind) -> Vec<Effect> {
        let mut effects = match item {
            Item::Lab => vec![Effect::ClusterRebuild { why: LAB }],
            Item::Seed => vec![Effect::ClusterRebuild { why: SEED }],
            Item::Supernet | Item::Link => vec![Effect::RouterReload, Effect::HostRoutes],
            Item::Network(name) => self.of_network(name, kind),
            Item::Services => self.of_range("range/services", SERVICES, kind),
            Item::Pods => self.of_range("range/pods", PODS, kind),
            Item::Class(name) => self.of_class(name.as_str(), kind),
            Item::NodePods(machine) => self.of_node_pods(machine, kind),
            Item::Address { machine, .. } => self.of_address(machine, kind),
            Item::Other(_) => Vec::new(),
        };
        effects.sort();
        effects.dedup();
        effects
    }

    /// The addresses on a network that moves say so themselves; one that only changes its size
    /// leaves them alone, but not their prefix length.
    fn of_network(&self, name: &NetworkName, kind: &ChangeKind) -> Vec<Effect> {
        let mut effects = vec![Effect::RouterReload];
        if let ChangeKind::Grown { .. } | ChangeKind::Shrunk { .. } = kind {
            let machines = self.after.iter();
            let on_it = machines.filter(|(_, networks)| networks.contains(name));
            let stayed = on_it.filter(|(machine, _)| self.before.contains_key(*machine));
            effects.extend(stayed.map(|(machine, _)| Effect::Reboot {
                machine: machine.clone(),
            }));
        }
        effects
    }

    /// A range that appears with its cluster, or goes with it, changes nothing that runs. A
    /// second family can be added to a running cluster (KEP-563).
    fn of_range(&self, id: &str, why: &'static str, kind: &ChangeKind) -> Vec<Effect> {
        let mut effects = vec![Effect::RouterReload];
        match kind {
            ChangeKind::Added { .. } if has(self.old, id) => {
                effects.push(Effect::ControlPlaneRestart);
                if id == "range/services" {
                    let of = CertificateOf::ApiServers;
                    effects.push(Effect::NewCertificateName { of });
                }
            }
            ChangeKind::Removed { .. } if !has(self.new, id) => {}
            ChangeKind::Added { .. } => {}
            // Nodes keep what they have; those to come get theirs out of the rest.
            ChangeKind::Grown { .. } if id == "range/pods" => {
                effects.push(Effect::ControlPlaneRestart);
            }
            _ => effects.push(Effect::ClusterRebuild { why }),
        }
        effects
    }

    /// A band that moves or grows renumbers nobody. A machine of another role is another machine.
    fn of_class(&self, name: &str, kind: &ChangeKind) -> Vec<Effect> {
        let (ChangeKind::Moved { from, to }
        | ChangeKind::Grown { from, to }
        | ChangeKind::Shrunk { from, to }) = kind
        else {
            return Vec::new();
        };
        let (Value::Class(from), Value::Class(to)) = (from, to) else {
            return Vec::new();
        };
        if from.role == to.role {
            return Vec::new();
        }
        let machines = self.after.keys();
        let of_class = machines.filter(|machine| class_of(machine) == Some(name));
        let stayed = of_class.filter(|machine| self.before.contains_key(*machine));
        let each = stayed.flat_map(|machine| {
            let mut effects = if from.role.is_node() && to.role.is_node() {
                membership(to.role, machine, Membership::Update)
            } else {
                let leaves = membership(from.role, machine, Membership::Leave);
                let joins = membership(to.role, machine, Membership::Join);
                [leaves, joins].concat()
            };
            effects.extend([new_certificates(machine), Effect::GuestRules]);
            effects
        });
        each.chain([Effect::RouterReload]).collect()
    }

    /// A node without pods is none; one with other pods has to be taken anew.
    fn of_node_pods(&self, machine: &MachineName, kind: &ChangeKind) -> Vec<Effect> {
        let id = Item::NodePods(machine.clone()).to_string();
        let change = match kind {
            ChangeKind::Added { .. } if !has(self.old, &id) => Membership::Join,
            ChangeKind::Removed { .. } if !has(self.new, &id) => Membership::Leave,
            _ => Membership::Update,
        };
        let machine = machine.clone();
        vec![
            Effect::NodeChange { machine, change },
            Effect::NodeRoutes,
            Effect::RouterReload,
        ]
    }

    fn of_address(&self, machine: &MachineName, kind: &ChangeKind) -> Vec<Effect> {
        // The rules of the router name machines by their addresses.
        let mut effects = vec![Effect::RouterReload];
        if let Role::Etcd | Role::ControlPlane = self.role(machine) {
            effects.push(Effect::GuestRules);
        }
        effects.extend(self.of_machine(machine, kind));
        effects
    }

    /// What a change of an address does to the machine, and to who knows it.
    fn of_machine(&self, machine: &MachineName, kind: &ChangeKind) -> Vec<Effect> {
        let was = self.before.contains_key(machine);
        let is = self.after.contains_key(machine);
        let reboot = Effect::Reboot {
            machine: machine.clone(),
        };
        let mut effects = Vec::new();
        match kind {
            ChangeKind::Added { .. } if was => {
                effects.extend([reboot, new_certificates(machine)]);
            }
            ChangeKind::Added { .. } => {
                effects.push(new_certificates(machine));
                effects.extend(membership(self.role(machine), machine, Membership::Join));
            }
            ChangeKind::Removed { .. } if is => effects.push(reboot),
            ChangeKind::Removed { .. } => {
                effects.extend(membership(self.role(machine), machine, Membership::Leave));
            }
            ChangeKind::Renamed { old, .. } if machine_of(old) == Some(machine) => {
                // Only the network has another name, and with it the interface.
                effects.push(reboot);
            }
            ChangeKind::Renamed { .. } => {
                effects.extend([reboot, new_certificates(machine)]);
                let known = membership(self.role(machine), machine, Membership::Update);
                // API servers know etcd by its addresses, and those stay.
                let restart = &Effect::ControlPlaneRestart;
                effects.extend(known.into_iter().filter(|effect| effect != restart));
            }
            ChangeKind::Moved { .. } | ChangeKind::Grown { .. } | ChangeKind::Shrunk { .. } => {
                effects.extend([reboot, new_certificates(machine)]);
                if self.role(machine) == Role::Etcd {
                    effects.extend(membership(Role::Etcd, machine, Membership::Update));
                }
                if self.role(machine).is_node() {
                    effects.push(Effect::NodeRoutes);
                }
            }
        }
        effects
    }

    /// What a machine is, or was when it is no more.
    fn role(&self, machine: &MachineName) -> Role {
        let class = class_of(machine).unwrap_or_default();
        let now = self.new.class(class).or_else(|| self.old.class(class));
        now.map_or(Role::Other, |class| class.role)
    }
}

/// Whether a lock has anything of this name, in any family.
fn has(lock: &Lock, id: &str) -> bool {
    let mut nets = Family::BOTH.into_iter().map(|family| lock.net(id, family));
    nets.any(|net| net.is_some())
}

/// How the clusters see a machine of this role come, change or go.
fn membership(role: Role, machine: &MachineName, change: Membership) -> Vec<Effect> {
    let machine = machine.clone();
    match role {
        Role::Etcd => vec![
            Effect::EtcdMemberChange { machine, change },
            Effect::ControlPlaneRestart,
        ],
        Role::ControlPlane | Role::Worker => vec![Effect::NodeChange { machine, change }],
        Role::Other => Vec::new(),
    }
}

fn new_certificates(machine: &MachineName) -> Effect {
    let of = CertificateOf::Machine(machine.clone());
    Effect::NewCertificateName { of }
}

fn machines(lock: &Lock) -> BTreeMap<MachineName, Vec<NetworkName>> {
    let mut machines: BTreeMap<MachineName, Vec<NetworkName>> = BTreeMap::new();
    for (id, _) in lock.nets() {
        if let Item::Address { machine, network } = Item::of(id) {
            machines.entry(machine).or_default().push(network);
        }
    }
    machines
}

/// The class in a machine's name.
fn class_of(machine: &MachineName) -> Option<&str> {
    machine.as_str().rsplit_once('-').map(|(class, _)| class)
}

fn machine_of(item: &Item) -> Option<&MachineName> {
    match item {
        Item::Address { machine, .. } => Some(machine),
        _ => None,
    }
}
