//! The machines of a lab and the router between them, as `nspawn-vm` wants them told.

use super::{BIN_DIR, BlueprintError, PROGRAMS_DIR, host_name, internet, link};
use crate::{Facts, LabSpec, Places};
use netplan::{Addresses, Machine, Nets, Plan, Policy, Role};
use nspawn_vm::{
    Bind, DataDir, Group, GroupName, HostLink, Internet, MachineSpec, Nic, RouterSpec,
};
use std::path::{Path, PathBuf};

/// Where kubelets and container runtimes keep what must lie on a real file system.
const NODE_DATA: [&str; 2] = ["/var/lib/containerd", "/var/lib/kubelet"];

pub(super) fn group(
    spec: &LabSpec,
    facts: &Facts,
    places: &Places,
    network: &Plan,
    policy: &Policy,
    programs: &Path,
) -> Result<Group, BlueprintError> {
    let name: GroupName = spec
        .name
        .as_str()
        .parse()
        .map_err(BlueprintError::part("the name of the lab"))?;
    let machines = network
        .machines
        .iter()
        .map(|machine| machine_spec(network, machine, programs));
    Ok(Group {
        places: nspawn_vm::Places::new(places.lab(&spec.name).root(), places.run_dir(&spec.name)),
        router: router(facts, network, policy)?,
        machines: machines.collect::<Result<_, _>>()?,
        name,
    })
}

fn machine_spec(
    network: &Plan,
    machine: &Machine,
    programs: &Path,
) -> Result<MachineSpec, BlueprintError> {
    let nic = |nic: &netplan::Nic| {
        let own = network.network_of(nic);
        let addresses = own.nets.iter().zip(nic.address.iter());
        let addresses = addresses.map(|(net, address)| {
            ipnet::IpNet::new(address, net.prefix_len()).map_err(BlueprintError::part("an address"))
        });
        Ok::<_, BlueprintError>(Nic {
            name: nic
                .name
                .as_str()
                .parse()
                .map_err(BlueprintError::part("an interface"))?,
            bridge: own
                .bridge
                .as_str()
                .parse()
                .map_err(BlueprintError::part("a bridge"))?,
            mac: nic
                .mac
                .to_string()
                .parse()
                .map_err(BlueprintError::part("a MAC address"))?,
            addresses: addresses.collect::<Result<_, _>>()?,
            gateways: if nic.default_route {
                own.gateway.iter().collect()
            } else {
                Vec::new()
            },
        })
    };
    let data = |target: &str| DataDir {
        target: PathBuf::from(target),
    };
    let own = match machine.role {
        Role::Etcd => vec!["/var/lib/etcd"],
        Role::ControlPlane | Role::Worker => NODE_DATA.to_vec(),
        Role::Other => Vec::new(),
    };
    Ok(MachineSpec {
        name: host_name(machine),
        nics: machine.nics.iter().map(nic).collect::<Result<_, _>>()?,
        binds: binds(programs),
        data: own.into_iter().chain(["/var/log"]).map(data).collect(),
        first_boot: nspawn_vm::FirstBoot::default(),
    })
}

/// The programs that the lab is made with, and beside them those of every version: an upgrade finds its own there.
fn binds(programs: &Path) -> Vec<Bind> {
    let all = programs.parent().map(|all| Bind {
        source: all.to_owned(),
        target: PROGRAMS_DIR.into(),
    });
    let own = Bind {
        source: programs.to_owned(),
        target: BIN_DIR.into(),
    };
    std::iter::once(own).chain(all).collect()
}

fn router(facts: &Facts, network: &Plan, policy: &Policy) -> Result<RouterSpec, BlueprintError> {
    let interface = |name: &str| name.parse().map_err(BlueprintError::part("an interface"));
    let on = |nets: Nets, addresses: Addresses| -> Vec<ipnet::IpNet> {
        let pairs = nets.iter().zip(addresses.iter());
        pairs
            .filter_map(|(net, address)| ipnet::IpNet::new(address, net.prefix_len()).ok())
            .collect()
    };
    let route = |route: &netplan::Route| nspawn_vm::Route {
        to: route.to.as_ipnet(),
        via: route.via,
    };
    let bridges = network.networks.iter().map(|own| {
        Ok::<_, BlueprintError>((interface(own.bridge.as_str())?, on(own.nets, own.gateway)))
    });
    let (internet, link) = (internet(network), link(network));
    let is_default = |route: &&netplan::Route| route.to.prefix_len() == 0;
    Ok(RouterSpec {
        bridges: bridges.collect::<Result<_, _>>()?,
        // The default routes follow from the internet's addresses.
        routes: network
            .router_routes
            .iter()
            .filter(|r| !is_default(r))
            .map(route)
            .collect(),
        rules: policy.nft_router(network).load,
        internet: Some(Internet {
            uplink: interface(netplan::ROUTER_UPLINK)?,
            router_addresses: on(internet.nets, internet.router),
            addresses: on(internet.nets, internet.internet),
            servers: internet.server.iter().collect(),
            routes: network.internet_routes.iter().map(route).collect(),
        }),
        host_link: Some(HostLink {
            name: interface(netplan::ROUTER_LINK)?,
            router_addresses: on(link.nets, link.router),
            // A host without IPv6 takes no such address, and needs none: the kubeconfig names the IPv4 one.
            host_addresses: on(link.nets, link.host)
                .into_iter()
                .filter(|net| facts.ipv6 || net.addr().is_ipv4())
                .collect(),
            host_routes: network
                .host_routes
                .iter()
                .filter(|route| facts.ipv6 || route.via.is_ipv4())
                .map(route)
                .collect(),
        }),
    })
}
