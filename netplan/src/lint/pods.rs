//! The pod range, the nodes' parts of it, and the nodes' addresses.

use crate::lint::Findings;
use crate::lint::services::addresses;
use crate::lint::table::{
    K8S_NODE_IP, K8S_NODE_MASK, K8S_NODE_MASK_FLAGS, K8S_NODE_PODS_TOO_FEW, K8S_POD_MASK_GAP,
    K8S_PODS_FULL, K8S_PODS_TOO_FEW, KUBEADM_POD_MASK_GAP, KUBEADM_PODS_TOO_SMALL,
};
use crate::net::{Family, Net};
use crate::plan::{Kubernetes, Plan};
use crate::requirement::{KubernetesSpec, Requirement};

/// The addresses that kubeadm wants in a pod range.
const LEAST_PODS: u128 = 14;
/// How much longer the prefix of one node may be than that of all pods: the allocator of
/// kube-controller-manager has a bit for each node.
const LARGEST_GAP: u8 = 16;

pub(super) fn check(requirement: &Requirement, plan: &Plan, findings: &mut Findings) {
    let (Some(spec), Some(kubernetes)) = (&requirement.kubernetes, &plan.kubernetes) else {
        return;
    };
    for net in kubernetes.pods.iter() {
        let size = addresses(net);
        if size < LEAST_PODS {
            let subject = format!("kubernetes.pods_{}", net.family().key());
            let message = format!("{subject} = {net} has {size} addresses");
            findings.report(&KUBEADM_PODS_TOO_SMALL, &subject, message);
        }
        check_masks(spec, net, findings);
        check_nodes(spec, plan, net, findings);
        check_node_pods(spec, net, findings);
    }
    check_node_ip(plan, kubernetes, findings);
}

fn check_masks(spec: &KubernetesSpec, net: Net, findings: &mut Findings) {
    let (family, pods) = (net.family(), net.prefix_len());
    let node = spec.node_pods_len(family);
    let subject = format!("kubernetes.sizes.node_pods_{}", family.key());
    if node < pods {
        let message = format!("{subject} = {node} is shorter than the /{pods} of all pods, {net}");
        findings.report(&K8S_NODE_MASK, &subject, message);
        return;
    }
    if node - pods > LARGEST_GAP {
        let lint = match family {
            Family::V4 => &KUBEADM_POD_MASK_GAP,
            Family::V6 => &K8S_POD_MASK_GAP,
        };
        let message = format!(
            "{subject} = {node} is {} bits longer than the /{pods} of all pods, {net}",
            node - pods
        );
        let remedy = format!("write {pods} to {}", pods + LARGEST_GAP);
        findings.report_with(lint, &subject, message, remedy);
    }
    check_flags(node, family, findings);
}

fn check_flags(node: u8, family: Family, findings: &mut Findings) {
    let (default, flag) = match family {
        Family::V4 => (24, "--node-cidr-mask-size-ipv4"),
        Family::V6 => (64, "--node-cidr-mask-size-ipv6"),
    };
    if node == default {
        return;
    }
    // The plain --node-cidr-mask-size is refused in clusters of two families; these never are.
    let subject = format!("kubernetes.sizes.node_pods_{}", family.key());
    let message =
        format!("{subject} = {node}, and kube-controller-manager takes {default} by itself");
    let remedy = format!("{}, or give it {flag}={node}", K8S_NODE_MASK_FLAGS.remedy);
    findings.report_with(&K8S_NODE_MASK_FLAGS, &subject, message, remedy);
}

fn check_nodes(spec: &KubernetesSpec, plan: &Plan, net: Net, findings: &mut Findings) {
    let Some(bits) = spec
        .node_pods_len(net.family())
        .checked_sub(net.prefix_len())
    else {
        return;
    };
    let parts = 1_u128.checked_shl(bits.into()).unwrap_or(u128::MAX);
    let nodes = plan.machines.iter().filter(|node| node.role.is_node());
    let nodes = nodes.count();
    let wanted = u128::from(spec.nodes).max(nodes as u128);
    let subject = format!("kubernetes.pods_{}", net.family().key());
    if parts < wanted {
        let message = format!("{subject} = {net} has parts for {parts} of {wanted} nodes");
        findings.report(&K8S_PODS_TOO_FEW, &subject, message);
    } else if parts == nodes as u128 {
        let message = format!("{subject} = {net} has parts for {parts} nodes, and all are in use");
        findings.report(&K8S_PODS_FULL, &subject, message);
    }
}

fn check_node_pods(spec: &KubernetesSpec, net: Net, findings: &mut Findings) {
    let family = net.family();
    let node = spec.node_pods_len(family);
    let bits = family.bits().saturating_sub(node);
    let size = 1_u128.checked_shl(bits.into()).unwrap_or(u128::MAX);
    // The node's own bridge has one; the first, and the last of IPv4, are nobody's.
    let held = size.saturating_sub(match family {
        Family::V4 => 3,
        Family::V6 => 2,
    });
    if held < spec.pods_per_node.into() {
        let subject = format!("kubernetes.sizes.node_pods_{}", family.key());
        let message = format!(
            "{subject} = {node} has addresses for {held} pods, and kubernetes.pods_per_node is {}",
            spec.pods_per_node
        );
        findings.report(&K8S_NODE_PODS_TOO_FEW, &subject, message);
    }
}

/// Without `--node-ip` a kubelet takes the address of the interface that the default route is on.
fn check_node_ip(plan: &Plan, kubernetes: &Kubernetes, findings: &mut Findings) {
    let network = &kubernetes.network;
    let classes = plan.classes.iter();
    for class in classes.filter(|class| class.role.is_node() && class.default_route != *network) {
        let subject = format!("classes.{}.default_route", class.name);
        let message = format!(
            "{subject} = {}: kubelets take their address from there, and nodes talk on {network}",
            class.default_route
        );
        let of_class = plan.machines.iter().filter(|node| node.class == class.name);
        let addresses = of_class.filter_map(|node| node.address(network.as_str()));
        let example = addresses.map(|address| {
            let both: Vec<String> = address.iter().map(|one| one.to_string()).collect();
            both.join(",")
        });
        let remedy = example
            .take(1)
            .fold(K8S_NODE_IP.remedy.to_owned(), |remedy, example| {
                format!("{remedy}, like {example} for the first")
            });
        findings.report_with(&K8S_NODE_IP, &subject, message, remedy);
    }
}
