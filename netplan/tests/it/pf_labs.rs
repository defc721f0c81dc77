//! Labs whose router is a FreeBSD host, and that host.

use netplan::pf::{Interface, Router};
use netplan::{
    ClassName, ClassSpec, Families, InterfaceName, LabName, NetworkName, NetworkSpec, Plan, Policy,
    Requirement, Role, RouterSpec, V6Mode,
};

use crate::{interface, labs, net, planned, requirement};

pub(crate) struct Lab {
    pub(crate) plan: Plan,
    pub(crate) policy: Policy,
}

pub(crate) fn lab(requirement: &Requirement) -> Lab {
    let plan = planned(requirement);
    let policy = Policy::standard(&plan);
    Lab { plan, policy }
}

fn with_api(requirement: &Requirement) -> Lab {
    let lab = lab(requirement);
    let policy = lab.policy.with_api_on_uplink(&lab.plan);
    Lab { policy, ..lab }
}

fn on_host(requirement: Requirement) -> Requirement {
    labs::on_host(requirement, "em0")
}

pub(crate) fn reference() -> Requirement {
    on_host(requirement(3, 1, 1))
}

fn mode(mode: V6Mode) -> Requirement {
    Requirement {
        v6_mode: mode,
        ..reference()
    }
}

/// These networks with a class of two machines each, and no Kubernetes.
pub(crate) fn with_networks(names: &[&str]) -> Requirement {
    let network = |name: &&str| NetworkName::new(*name).expect("a network name");
    let class = |name: &&str| {
        let class = ClassName::new(format!("on-{name}")).expect("a class name");
        ClassSpec::new(class, 2, vec![network(name)])
    };
    Requirement {
        lab: LabName::new("lab").expect("a lab name"),
        networks: names.iter().map(network).map(NetworkSpec::new).collect(),
        classes: names.iter().map(class).collect(),
        kubernetes: None,
        ..reference()
    }
}

/// One network, behind a host with this uplink.
pub(crate) fn with_uplink(name: &str) -> Requirement {
    labs::on_host(with_networks(&["front"]), name)
}

/// Three networks, one of IPv4 only, and a class on two of them.
fn three_networks() -> Requirement {
    let mut wanted = with_networks(&["front", "store", "admin"]);
    if let [_, store, _] = wanted.networks.as_mut_slice() {
        store.families = Families::V4;
    }
    let both = ["store", "front"].map(|name| NetworkName::new(name).expect("a network name"));
    let class = ClassName::new("db").expect("a class name");
    wanted.classes.push(ClassSpec {
        role: Role::Other,
        ..ClassSpec::new(class, 3, both.to_vec())
    });
    wanted
}

fn single_family(family: Families) -> Requirement {
    let mut wanted = with_networks(&["front", "back"]);
    for network in &mut wanted.networks {
        network.families = family;
    }
    wanted
}

/// Labs by the folder of their anchor in tests/data.
pub(crate) fn all() -> Vec<(&'static str, Lab)> {
    let npt = V6Mode::Npt {
        outside: net("2001:db8:7::/48"),
    };
    let nat66 = V6Mode::Nat66 {
        address: "2001:db8::10".parse().expect("an address"),
    };
    vec![
        ("reference-on-host", lab(&reference())),
        (
            "pf-three-control-planes",
            lab(&on_host(requirement(3, 3, 2))),
        ),
        ("pf-api-on-uplink", with_api(&on_host(requirement(3, 3, 2)))),
        ("pf-npt", lab(&mode(npt))),
        ("pf-nat66", with_api(&mode(nat66))),
        ("pf-ula-only", lab(&mode(V6Mode::UlaOnly))),
        ("pf-three-networks", lab(&three_networks())),
        ("pf-v4-only", lab(&single_family(Families::V4))),
        ("pf-v6-only", lab(&single_family(Families::V6))),
        ("pf-one-network", lab(&with_networks(&["only"]))),
        ("host-npt", lab(&labs::host_npt())),
        ("pf-nodes-nat66", with_api(&on_host(labs::nodes_nat66()))),
    ]
}

/// The interface of another lab or of containers on the same host.
pub(crate) const OTHER: &str = "bridge9";

pub(crate) fn uplink(plan: &Plan) -> &InterfaceName {
    match &plan.router {
        RouterSpec::Host { uplink } => uplink,
        RouterSpec::Namespace => panic!("the router of these labs is a host"),
    }
}

/// The host that carries a lab: its uplink, the lab's bridges, and a network of somebody else.
pub(crate) fn router(plan: &Plan) -> Router {
    let own = |texts: &[&str]| {
        texts
            .iter()
            .map(|text| text.parse().expect("an address"))
            .collect()
    };
    let mut interfaces = vec![
        Interface {
            name: uplink(plan).clone(),
            addresses: own(&["192.0.2.7", "192.0.2.8", "2001:db8::7", "2001:db8::10"]),
            networks: vec![net("0.0.0.0/0"), net("::/0"), net("192.0.2.0/24")],
        },
        Interface {
            name: interface(OTHER),
            addresses: own(&["192.168.9.1", "fd99:9::1"]),
            networks: vec![net("192.168.9.0/24"), net("fd99:9::/64")],
        },
    ];
    for network in &plan.networks {
        // Of the pods' range each node's part, as the routes of the plan have it.
        let nodes = plan.router_routes.iter();
        let nodes = nodes.filter(|route| network.nets.iter().any(|net| net.contains(route.via)));
        interfaces.push(Interface {
            name: network.bridge.clone(),
            addresses: network.gateway.iter().collect(),
            networks: network
                .nets
                .iter()
                .chain(nodes.map(|route| route.to))
                .collect(),
        });
    }
    Router { interfaces }
}
