//! The reference lab, as a requirement.

use serde::{Deserialize, Serialize};

use crate::names::{ClassName, LabName, NetworkName};
use crate::requirement::{
    ClassSpec, KubernetesSpec, KubernetesVersion, NetworkSpec, Requirement, Role, RouterSpec,
    V4Mode, V6Mode,
};

/// The reference lab's network of etcd members and control planes; controlled by the firewall.
pub const ETCD_NETWORK: &str = "etcd";
/// The reference lab's network of control planes and workers.
pub const KUBE_NETWORK: &str = "kube";

/// How many machines of each class the reference lab has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct MachineCounts {
    /// etcd members: on the network `etcd` only. At most 20.
    pub etcd: u16,
    /// Control planes: on `etcd` and `kube`. At most 20.
    pub control_planes: u16,
    /// Workers: on `kube` only. At most 205.
    pub workers: u16,
}

impl Default for MachineCounts {
    /// Three, one, one.
    fn default() -> Self {
        Self {
            etcd: 3,
            control_planes: 1,
            workers: 1,
        }
    }
}

impl Requirement {
    /// The reference lab: two networks, `etcd` and `kube`, and three classes of machines.
    ///
    /// Its addresses are made to be read: `10.x.0` is `etcd`, `10.x.1` is `kube`, and IPv6 says
    /// the same; etcd members count from 10, control planes from 30, workers from 50.
    #[must_use]
    pub fn reference(
        lab: LabName,
        seed: u64,
        version: KubernetesVersion,
        machines: MachineCounts,
    ) -> Self {
        let network = |name: &str, slot| NetworkSpec {
            slot: Some(slot),
            ..NetworkSpec::new(network_name(name))
        };
        Self {
            lab,
            seed,
            v4: None,
            v6: None,
            networks: vec![network(ETCD_NETWORK, 0), network(KUBE_NETWORK, 1)],
            classes: classes(machines),
            kubernetes: Some(KubernetesSpec::new(version, network_name(KUBE_NETWORK))),
            router: RouterSpec::Namespace,
            v4_mode: V4Mode::Nat,
            v6_mode: V6Mode::Routed,
            allow: Vec::new(),
        }
    }

    /// How many machines a class has; `None` when there is no such class.
    pub fn count_mut(&mut self, class: &str) -> Option<&mut u32> {
        let spec = self.classes.iter_mut();
        spec.map(|spec| (&spec.name, &mut spec.count))
            .find_map(|(name, count)| (name.as_str() == class).then_some(count))
    }
}

fn classes(machines: MachineCounts) -> Vec<ClassSpec> {
    let class = |name: &str, role, count: u16, (first, room), networks: &[&str]| ClassSpec {
        role,
        first: Some(first),
        room: Some(room),
        ..ClassSpec::new(
            ClassName::new(name).expect("a literal that is a class name"),
            count.into(),
            networks.iter().map(|name| network_name(name)).collect(),
        )
    };
    let both = [ETCD_NETWORK, KUBE_NETWORK];
    let MachineCounts {
        etcd,
        control_planes,
        workers,
    } = machines;
    vec![
        class("etcd", Role::Etcd, etcd, (10, 20), &both[..1]),
        class("cp", Role::ControlPlane, control_planes, (30, 20), &both),
        class("worker", Role::Worker, workers, (50, 205), &both[1..]),
    ]
}

fn network_name(text: &str) -> NetworkName {
    NetworkName::new(text).expect("a literal that is a network name")
}
