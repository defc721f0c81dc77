//! A requirement out of bytes: any bytes give one, possible or not. Text that is changed at random
//! is hardly ever TOML of the right fields. The fuzz target `choices` includes this file.

use netplan::{
    ClassSpec, Families, Family, KubernetesSpec, KubernetesVersion, LabName, Net, NetworkName,
    NetworkSpec, RangeSizes, Requirement, Role, RouterSpec, V4Mode, V6Mode,
};

/// The bytes that are left; zeroes behind the end.
pub(crate) struct Choices<'a>(&'a [u8]);

impl<'a> Choices<'a> {
    pub(crate) const fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    fn byte(&mut self) -> u8 {
        let Some((first, rest)) = self.0.split_first() else {
            return 0;
        };
        self.0 = rest;
        *first
    }

    /// One of these.
    fn of<T: Clone>(&mut self, all: &[T]) -> T {
        all[usize::from(self.byte()) % all.len()].clone()
    }

    /// Nothing in three of four cases.
    fn maybe<T>(&mut self, value: impl FnOnce(&mut Self) -> T) -> Option<T> {
        (self.byte() % 4 == 3).then(|| value(self))
    }

    fn number(&mut self) -> u32 {
        let (value, shift) = (u32::from(self.byte()), self.byte());
        // Small ones mostly, and all the others too.
        value << (shift.saturating_sub(200) % 25)
    }

    fn network_name(&mut self) -> NetworkName {
        let name = self.of(&["a", "b", "c", "d", "longestname1"]);
        NetworkName::new(name).expect("a name")
    }

    fn families(&mut self) -> Families {
        self.of(&[Families::Dual, Families::Dual, Families::V4, Families::V6])
    }

    /// Of the other family now and then.
    fn net(&mut self, family: Family) -> Net {
        let is_v4 = (family == Family::V4) != (self.byte() % 16 == 15);
        let (high, low, len) = (self.byte(), self.byte(), self.byte());
        let (text, len) = match is_v4 {
            true => (format!("10.77.{high}.{low}"), 14 + len % 19),
            false => (format!("fd07:7:7:{high:x}::{low:x}"), 44 + len % 85),
        };
        let address = text.parse().expect("an address");
        Net::containing(address, len).expect("a length of the family")
    }

    fn network(&mut self) -> NetworkSpec {
        NetworkSpec {
            name: self.network_name(),
            renamed_from: self.maybe(Self::network_name),
            families: self.families(),
            v4: self.maybe(|own| own.net(Family::V4)),
            v6: self.maybe(|own| own.net(Family::V6)),
            slot: self.maybe(|own| u16::from(own.byte()) << (own.byte() % 9)),
        }
    }

    fn class(&mut self) -> ClassSpec {
        let names = ["m", "n", "n-1", "o", "a-class-of-long-name"];
        let name = |own: &mut Self| own.of(&names).parse().expect("a name");
        let networks = (0..=self.byte() % 3).map(|_| self.network_name()).collect();
        let mut class = ClassSpec::new(name(self), u32::from(self.byte() % 20), networks);
        class.renamed_from = self.maybe(name);
        class.role = self.of(&[Role::Other, Role::Worker, Role::ControlPlane, Role::Etcd]);
        class.room = self.maybe(Self::number);
        class.first = self.maybe(Self::number);
        class.default_route = self.maybe(Self::network_name);
        class
    }

    fn kubernetes(&mut self) -> KubernetesSpec {
        let length = |own: &mut Self| own.maybe(Self::byte);
        let version = KubernetesVersion::new(37);
        KubernetesSpec {
            families: self.families(),
            primary: self.of(&Family::BOTH),
            nodes: self.maybe(Self::number).unwrap_or(64),
            pods_per_node: self.maybe(Self::number).unwrap_or(50),
            services: self.maybe(Self::number).unwrap_or(100),
            sizes: RangeSizes {
                services_v4: length(self),
                services_v6: length(self),
                pods_v4: length(self),
                pods_v6: length(self),
                node_pods_v4: length(self),
                node_pods_v6: length(self),
            },
            pods_v4: self.maybe(|own| own.net(Family::V4)),
            pods_v6: self.maybe(|own| own.net(Family::V6)),
            services_v4: self.maybe(|own| own.net(Family::V4)),
            services_v6: self.maybe(|own| own.net(Family::V6)),
            ..KubernetesSpec::new(version, self.network_name())
        }
    }

    /// Always of the lab `lab`.
    pub(crate) fn requirement(&mut self) -> Requirement {
        let mut networks: Vec<NetworkSpec> =
            (0..=self.byte() % 5).map(|_| self.network()).collect();
        let mut classes: Vec<_> = (0..self.byte() % 6).map(|_| self.class()).collect();
        let mut kubernetes = self.maybe(Self::kubernetes);
        // What ends it at once is rare, or the rest would hardly be reached.
        if self.byte() != 255 {
            mend(&mut networks, &mut classes, kubernetes.as_mut());
        }
        let outside = self.net(Family::V6);
        let uplink = "eth0".parse().expect("a name");
        Requirement {
            lab: LabName::new("lab").expect("a name"),
            seed: self.byte().into(),
            v4: self.maybe(|own| own.net(Family::V4)),
            v6: self.maybe(|own| own.net(Family::V6)),
            networks,
            classes,
            kubernetes,
            router: self.of(&[RouterSpec::Namespace, RouterSpec::Host { uplink }]),
            v4_mode: V4Mode::Nat,
            v6_mode: self.of(&[V6Mode::Routed, V6Mode::UlaOnly, V6Mode::Npt { outside }]),
            allow: Vec::new(),
        }
    }
}

/// No name twice, classes and cluster on networks that there are, and of their families.
fn mend(
    networks: &mut Vec<NetworkSpec>,
    classes: &mut Vec<ClassSpec>,
    kubernetes: Option<&mut KubernetesSpec>,
) {
    networks.sort_by(|one, other| one.name.cmp(&other.name));
    networks.dedup_by(|one, other| one.name == other.name);
    classes.sort_by(|one, other| one.name.cmp(&other.name));
    classes.dedup_by(|one, other| one.name == other.name);
    if let Some(kubernetes) = kubernetes {
        kubernetes.network = networks[0].name.clone();
        kubernetes.families = networks[0].families;
        kubernetes.primary = kubernetes.families.iter().next().expect("a family");
    }
    for class in classes {
        class.networks.sort();
        class.networks.dedup();
        let exists = |name: &NetworkName| networks.iter().any(|own| own.name == *name);
        class.networks.retain(exists);
        let first = &networks[0].name;
        if class.networks.is_empty() || (class.role.is_node() && !class.networks.contains(first)) {
            class.networks.push(first.clone());
        }
        class.default_route = class
            .default_route
            .take()
            .filter(|name| class.networks.contains(name));
    }
}
