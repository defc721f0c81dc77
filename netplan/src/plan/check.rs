//! The fields of a requirement, each for itself and beside the others, before anything is placed.

use std::fmt::Display;

use crate::addresses::Nets;
use crate::net::{Family, Net};
use crate::plan::PlanError;
use crate::plan::lengths::check_lengths;
use crate::plan::networks::families;
use crate::requirement::{ClassSpec, KubernetesSpec, NetworkSpec, Requirement, V6Mode};

pub(crate) fn check(requirement: &Requirement) -> Result<(), PlanError> {
    if requirement.networks.is_empty() {
        let reason = "machines need a network";
        return Err(PlanError::field(
            "networks",
            "[]",
            reason,
            "write at least one",
        ));
    }
    twice(
        "networks",
        requirement
            .networks
            .iter()
            .map(|network| network.name.as_str()),
    )?;
    twice(
        "classes",
        requirement.classes.iter().map(|class| class.name.as_str()),
    )?;
    for network in &requirement.networks {
        check_network(network)?;
    }
    for class in &requirement.classes {
        check_class(requirement, class)?;
    }
    if let Some(kubernetes) = &requirement.kubernetes {
        check_kubernetes(requirement, kubernetes)?;
    }
    check_families(requirement)
}

/// A network of a family that the lab does not have would be dropped in silence.
fn check_families(requirement: &Requirement) -> Result<(), PlanError> {
    for family in Family::BOTH {
        if let Some(net) = requirement.explicit(family)
            && !families(requirement).any(|has| has == family)
        {
            let reason = format!("no network has {family}");
            let remedy = "leave it out, or let a network have that family";
            return Err(PlanError::field(family.key(), net, reason, remedy));
        }
    }
    Ok(())
}

fn twice<'a>(field: &str, names: impl Iterator<Item = &'a str>) -> Result<(), PlanError> {
    let mut names: Vec<&str> = names.collect();
    names.sort_unstable();
    match names.windows(2).find(|pair| pair[0] == pair[1]) {
        None => Ok(()),
        Some(pair) => {
            let reason = "the name is there twice";
            Err(PlanError::field(
                field,
                pair[0],
                reason,
                "rename or remove one of them",
            ))
        }
    }
}

fn check_network(network: &NetworkSpec) -> Result<(), PlanError> {
    for family in Family::BOTH {
        if let Some(net) = network.explicit(family)
            && !network.families.has(family)
        {
            let field = format!("networks.{}.{}", network.name, family.key());
            let reason = format!("networks.{}.families is {}", network.name, network.families);
            let remedy = "leave it out, or let the network have that family";
            return Err(PlanError::field(field, net, reason, remedy));
        }
    }
    Ok(())
}

fn check_class(requirement: &Requirement, class: &ClassSpec) -> Result<(), PlanError> {
    let field = |name: &str| format!("classes.{}.{name}", class.name);
    if class.networks.is_empty() {
        let reason = "its machines would be on no network";
        return Err(PlanError::field(
            field("networks"),
            "[]",
            reason,
            one_of(requirement),
        ));
    }
    twice(
        &field("networks"),
        class.networks.iter().map(|name| name.as_str()),
    )?;
    for name in &class.networks {
        known_network(requirement, &field("networks"), name)?;
    }
    if let Some(name) = &class.default_route
        && !class.networks.contains(name)
    {
        let reason = "its machines are not on that network";
        let remedy = "write one of its networks, or leave it out for the last of them";
        return Err(PlanError::field(
            field("default_route"),
            name,
            reason,
            remedy,
        ));
    }
    if class.room() < class.count {
        let reason = format!("it has {} machines", class.count);
        let remedy = "write at least as many, or leave it out for twice as many";
        return Err(PlanError::field(
            field("room"),
            class.room(),
            reason,
            remedy,
        ));
    }
    Ok(())
}

fn known_network(
    requirement: &Requirement,
    field: &str,
    name: &impl Display,
) -> Result<(), PlanError> {
    let text = name.to_string();
    let mut networks = requirement.networks.iter();
    if networks.any(|network| network.name.as_str() == text) {
        return Ok(());
    }
    let reason = "there is no network of that name";
    Err(PlanError::field(field, name, reason, one_of(requirement)))
}

fn one_of(requirement: &Requirement) -> String {
    let names = requirement
        .networks
        .iter()
        .map(|network| network.name.as_str());
    format!("write one of {}", names.collect::<Vec<_>>().join(", "))
}

fn check_kubernetes(
    requirement: &Requirement,
    kubernetes: &KubernetesSpec,
) -> Result<(), PlanError> {
    known_network(requirement, "kubernetes.network", &kubernetes.network)?;
    check_kubernetes_families(requirement, kubernetes)?;
    check_nodes(requirement, kubernetes)?;
    for family in Family::BOTH {
        let (pods, services) = (
            kubernetes.explicit_pods(family),
            kubernetes.explicit_services(family),
        );
        check_range(kubernetes, pods, "pods", family)?;
        check_range(kubernetes, services, "services", family)?;
    }
    for family in kubernetes.families.iter() {
        check_lengths(kubernetes, family)?;
    }
    Ok(())
}

fn check_kubernetes_families(
    requirement: &Requirement,
    kubernetes: &KubernetesSpec,
) -> Result<(), PlanError> {
    let network = &kubernetes.network;
    let mut networks = requirement.networks.iter();
    let spec = networks.find(|spec| spec.name == *network);
    let on_network = spec.map(|spec| spec.families).unwrap_or_default();
    let families = kubernetes.families;
    if let Some(family) = families.iter().find(|family| !on_network.has(*family)) {
        let reason = format!("network {network} has no {family}");
        let remedy = format!("write \"{on_network}\"");
        let field = "kubernetes.families";
        return Err(PlanError::field(field, families, reason, remedy));
    }
    if !families.has(kubernetes.primary) {
        let (field, value) = ("kubernetes.primary", kubernetes.primary.key());
        let reason = format!("kubernetes.families is {families}");
        let remedy = "write a family that pods and services have";
        return Err(PlanError::field(field, value, reason, remedy));
    }
    Ok(())
}

fn check_nodes(requirement: &Requirement, kubernetes: &KubernetesSpec) -> Result<(), PlanError> {
    let network = &kubernetes.network;
    let mut nodes: u64 = 0;
    let classes = requirement.classes.iter();
    for class in classes.filter(|class| class.role.is_node()) {
        nodes += u64::from(class.count);
        if !class.networks.contains(network) {
            let reason = format!("a node must be on {network}, the network of kubernetes.network");
            let names: Vec<&str> = class.networks.iter().map(|name| name.as_str()).collect();
            let field = format!("classes.{}.networks", class.name);
            return Err(PlanError::field(field, names.join(", "), reason, "add it"));
        }
    }
    if nodes > kubernetes.nodes.into() {
        let reason = format!("there are {nodes} nodes");
        let remedy = "write at least as many, with some to spare: the pod range cannot grow later";
        let field = "kubernetes.nodes";
        return Err(PlanError::field(field, kubernetes.nodes, reason, remedy));
    }
    Ok(())
}

fn check_range(
    kubernetes: &KubernetesSpec,
    explicit: Option<Net>,
    name: &str,
    family: Family,
) -> Result<(), PlanError> {
    let Some(net) = explicit else {
        return Ok(());
    };
    let field = format!("kubernetes.{name}_{}", family.key());
    if !kubernetes.families.has(family) {
        let reason = format!("kubernetes.families is {}", kubernetes.families);
        let remedy = "leave it out, or let pods and services have that family";
        return Err(PlanError::field(field, net, reason, remedy));
    }
    if net.family() != family {
        let wanted = format!("an {family} network");
        return Err(PlanError::Unsuitable { field, net, wanted });
    }
    Ok(())
}

/// Prefix for prefix needs two of one length.
pub(crate) fn check_translation(
    requirement: &Requirement,
    supernet: Nets,
) -> Result<(), PlanError> {
    let V6Mode::Npt { outside } = requirement.v6_mode else {
        return Ok(());
    };
    let Some(inside) = supernet.v6 else {
        let (reason, remedy) = ("no network has IPv6", "leave v6_mode out");
        let field = "v6_mode.npt.outside";
        return Err(PlanError::field(field, outside, reason, remedy));
    };
    let inside_len = inside.prefix_len();
    if outside.family() == Family::V6 && outside.prefix_len() == inside_len {
        return Ok(());
    }
    Err(PlanError::Unsuitable {
        field: "v6_mode.npt.outside".to_owned(),
        net: outside,
        wanted: format!(
            "an IPv6 /{inside_len}, as long as the lab's own network, or set v6 to one of its length"
        ),
    })
}
