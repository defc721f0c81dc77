//! The networks that other programs take without asking.

use crate::net::Net;

/// A network that a program takes by default, or that its documentation makes everybody take.
/// Nothing forbids it; a plan that avoids it spares its user a conflict.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Habit {
    /// The network.
    pub net: Net,
    /// Who takes it.
    pub who: &'static str,
    /// Where that can be read.
    pub source: &'static str,
}

const fn v4(octets: [u8; 4], prefix_len: u8, who: &'static str, source: &'static str) -> Habit {
    Habit {
        net: Net::fixed_v4(octets, prefix_len),
        who,
        source,
    }
}

const fn v6(groups: [u16; 8], prefix_len: u8, who: &'static str, source: &'static str) -> Habit {
    Habit {
        net: Net::fixed_v6_groups(groups, prefix_len),
        who,
        source,
    }
}

/// All known habits, by network. Cilium's is all of `10.0.0.0/8`: whoever avoids habits has to
/// weigh the narrow ones more than the wide ones.
#[rustfmt::skip] // A habit a line.
pub static HABITS: [Habit; 26] = [
    v4([10, 0, 0, 0], 8, "Cilium", "default cluster-pool-ipv4-cidr"),
    v4([10, 0, 0, 0], 16, "cloud networks", "the first network in most tutorials"),
    v4([10, 1, 0, 0], 16, "cloud networks", "the second network in most tutorials"),
    v4([10, 1, 1, 0], 24, "vm-bhyve", "examples of its issues"),
    v4([10, 42, 0, 0], 16, "k3s", "default --cluster-cidr"),
    v4([10, 43, 0, 0], 16, "k3s", "default --service-cidr"),
    v4([10, 88, 0, 0], 16, "podman and CNI", "default network of containers.conf(5)"),
    v4([10, 96, 0, 0], 12, "kubeadm", "default service subnet"),
    v4([10, 244, 0, 0], 16, "Flannel", "kube-flannel.yml, which kubeadm's documentation cites"),
    v4([100, 64, 0, 0], 10, "Tailscale", "addresses of its nodes"),
    v4([172, 16, 0, 0], 24, "vm-bhyve", "examples of its issues"),
    v4([172, 17, 0, 0], 16, "Docker", "the bridge docker0"),
    v4([172, 18, 0, 0], 15, "Docker", "default address pools of moby"),
    v4([172, 20, 0, 0], 14, "Docker", "default address pools of moby"),
    v4([172, 24, 0, 0], 13, "Docker", "default address pools of moby"),
    v4([172, 30, 0, 0], 22, "Oxide", "default network of a project"),
    v4([192, 168, 0, 0], 16, "Docker", "default address pools of moby, as /20"),
    v4([192, 168, 0, 0], 24, "home routers", "factory setting"),
    v4([192, 168, 1, 0], 24, "home routers", "factory setting"),
    v4([192, 168, 49, 0], 24, "minikube", "first network of its containers; the next ones follow"),
    v4([192, 168, 56, 0], 21, "VirtualBox", "host-only networks"),
    v4([192, 168, 122, 0], 24, "libvirt", "the network default"),
    v4([192, 168, 178, 0], 24, "home routers", "factory setting of the Fritz!Box"),
    v6([0xfd00, 0, 0, 0, 0, 0, 0, 0], 64, "slirp4netns", "its issue 259"),
    v6([0xfd00, 0, 0, 0, 0, 0, 0, 0], 104, "Cilium", "default cluster-pool-ipv6-cidr"),
    v6([0xfd42, 0, 0, 0, 0, 0, 0, 0], 16, "Incus", "networks with an automatic address"),
];

/// The habits that share an address with `net`, the most specific one first.
pub fn habits(net: Net) -> impl Iterator<Item = &'static Habit> {
    let mut found: Vec<&Habit> = HABITS
        .iter()
        .filter(|habit| habit.net.overlaps(net))
        .collect();
    found.sort_by_key(|habit| std::cmp::Reverse(habit.net.prefix_len()));
    found.into_iter()
}
