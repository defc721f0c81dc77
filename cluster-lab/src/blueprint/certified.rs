//! Who is certified, and under which names.

use super::{
    API_PORT, BlueprintError,
    api::{BALANCER_PORT, api_address, has_several_control_planes},
    both, ranges,
};
use crate::{LabSpec, Shape};
use netplan::{KUBE_NETWORK, Machine, Plan, Role};
use pki::{AltNames, ApiUrl, KubeletClients, NodeNames, PkiSpec};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

pub(super) fn pki_spec(spec: &LabSpec, network: &Plan) -> Result<PkiSpec, BlueprintError> {
    let version = spec.kubernetes.to_string().parse();
    Ok(PkiSpec {
        cluster_name: name(spec.name.as_str())?,
        kubernetes_version: version.map_err(BlueprintError::part("this version"))?,
        dns_domain: name("cluster.local")?,
        api_service_ips: ranges(network).services.api.iter().collect(),
        api_extra_names: api_names(network)?,
        api_server_url: url(api_address(network), API_PORT)?,
        nodes: nodes(network)?,
        control_planes: control_planes(network)?,
        etcd_members: of_role(network, Role::Etcd)?,
        authority_life: spec.pki.authority_life(),
        leaf_life: spec.pki.leaf_life(),
        kubelet_clients: match spec.shape {
            Shape::Services => KubeletClients::None,
            Shape::StaticPods => KubeletClients::ControlPlanes,
        },
        key: spec.pki.encryption_algorithm,
    })
}

/// What the API servers are called beside their machines. The kubeconfig of this machine names the link's address, or
/// with VMs this machine's end of a tunnel. The virtual address is among them before there are several control planes:
/// certificates then stay as they are when one is added.
fn api_names(network: &Plan) -> Result<AltNames, BlueprintError> {
    let link = network.link.iter().flat_map(|link| link.router.iter());
    let loopbacks = [Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()];
    let ips = link.chain(loopbacks).chain(ranges(network).endpoint.iter());
    let names = AltNames::new(vec![name("localhost")?], ips.collect());
    names.map_err(BlueprintError::part("a name of the API"))
}

/// Controllers speak to the API server beside them: when it is gone, so are they, and others take over.
fn control_planes(network: &Plan) -> Result<Vec<NodeNames>, BlueprintError> {
    let mut planes = of_role(network, Role::ControlPlane)?;
    let own = network.addresses(Role::ControlPlane, KUBE_NETWORK);
    for (plane, address) in planes.iter_mut().zip(own) {
        plane.api_server_url = Some(url(both(address).0, API_PORT)?);
    }
    Ok(planes)
}

/// With several API servers a node speaks to the balancer on its own loopback.
fn nodes(network: &Plan) -> Result<Vec<NodeNames>, BlueprintError> {
    let planes = of_role(network, Role::ControlPlane)?;
    let mut nodes = [planes, of_role(network, Role::Worker)?].concat();
    if has_several_control_planes(network) {
        let balancer = url(Ipv4Addr::LOCALHOST, BALANCER_PORT)?;
        for node in &mut nodes {
            node.api_server_url = Some(balancer.clone());
        }
    }
    Ok(nodes)
}

fn of_role(network: &Plan, role: Role) -> Result<Vec<NodeNames>, BlueprintError> {
    network.role(role).map(names).collect()
}

fn names(machine: &Machine) -> Result<NodeNames, BlueprintError> {
    let nics = machine.nics.iter();
    Ok(NodeNames {
        name: name(machine.name.as_str())?,
        ips: nics.flat_map(|nic| nic.address.iter()).collect(),
        api_server_url: None,
    })
}

fn name(text: &str) -> Result<pki::HostName, BlueprintError> {
    pki::HostName::new(text).map_err(BlueprintError::part("a name"))
}

fn url(ip: Ipv4Addr, port: u16) -> Result<ApiUrl, BlueprintError> {
    let url = ApiUrl::of_address(IpAddr::V4(ip), port);
    url.map_err(BlueprintError::part("the address of the API"))
}
