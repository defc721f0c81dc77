//! etcd, Kubernetes and their certificates, as their crates want them told.

use super::{
    API_PORT, Blueprint, BlueprintError, both, both_nets, host_name, metrics_server, ranges,
};
use crate::{GuestFacts, LabSpec, MetricsServer, OciRuntime, Profile, Shape};
use etcd_bootstrap::MemberSpec;
use host_exec::{File, HostName};
use k8s_bootstrap::{
    Addons, Balancer, Containerd, ContainerdMajor, DualAddress, DualNet, Images, NodePath,
    NodeSpec, Runtime, Tuning, VirtualAddress,
};
use netplan::{ETCD_NETWORK, KUBE_NETWORK, Machine, Nets, Plan, Role};
use pki::{AltNames, ApiUrl, KubeletClients, NodeNames, PkiSpec};
use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    num::NonZeroU8,
    path::Path,
};

/// Debian's and most others' place.
const HAPROXY: &str = "/usr/sbin/haproxy";
const KEEPALIVED: &str = "/usr/sbin/keepalived";
/// On the loopback of every node; the API servers have 6443 on all addresses.
const BALANCER_PORT: u16 = 7443;
/// The only virtual router on the network of a lab.
const ROUTER_ID: NonZeroU8 = NonZeroU8::new(51).expect("not zero");

impl Blueprint {
    /// The cluster of etcd, with these certificates for each member.
    pub(crate) fn etcd(
        &self,
        certificates: impl Fn(&HostName) -> Vec<File>,
    ) -> Result<etcd_bootstrap::ClusterSpec, BlueprintError> {
        let program = self.etcd_program(self.etcd_record().programs)?;
        let token = self.etcd_token()?;
        let member = |machine: &Machine| {
            let address = machine
                .address(ETCD_NETWORK)
                .expect("etcd members are on the etcd network");
            let name = machine
                .name
                .as_str()
                .parse()
                .map_err(BlueprintError::part("a member's name"))?;
            let (v4, _) = both(address);
            let member = MemberSpec::new(name, v4.into(), address.iter().collect());
            Ok(member.with_certificates(certificates(&host_name(machine))))
        };
        let members = self
            .network
            .role(Role::Etcd)
            .map(member)
            .collect::<Result<_, BlueprintError>>()?;
        let limit = etcd_bootstrap::READY_LIMIT.mul_f64(self.spec.patience);
        let cluster =
            etcd_bootstrap::ClusterSpec::new(token, program.version, program.path, members);
        let with_past = |cluster: etcd_bootstrap::ClusterSpec| match &self.etcd_history {
            Some(history) => cluster.with_history(history.clone()),
            None => Ok(cluster),
        };
        let cluster = cluster
            .and_then(with_past)
            .map(|cluster| match self.spec.profile {
                Profile::Standard => cluster.with_ready_limit(limit),
                Profile::Hardened => cluster.with_ready_limit(limit).with_private_files(),
            })
            .map_err(BlueprintError::part("this cluster of etcd"))?;
        let snapshots = self.spec.etcd.snapshots.schedule();
        let cluster = match snapshots.map_err(BlueprintError::part("the snapshots of etcd"))? {
            None => cluster,
            Some(schedule) => cluster
                .with_schedule(schedule)
                .map_err(BlueprintError::part("the snapshots of etcd"))?,
        };
        self.with_upgraded_members(cluster)
    }

    /// The cluster of Kubernetes.
    pub(crate) fn kubernetes(&self) -> Result<k8s_bootstrap::ClusterSpec, BlueprintError> {
        let versions = &self.programs.versions;
        let nodes = |role| {
            self.network
                .role(role)
                .map(|machine| node(&self.network, machine))
                .collect::<Vec<_>>()
        };
        let etcd = self.network.addresses(Role::Etcd, ETCD_NETWORK);
        let path = |text: &str| {
            text.parse::<NodePath>()
                .map_err(BlueprintError::part("a path"))
        };
        let image = |text: String| {
            text.parse()
                .map_err(BlueprintError::part("the name of an image"))
        };
        let version = self.base_version();
        self.upgraded(k8s_bootstrap::ClusterSpec {
            version: self.supported(version)?,
            cluster_name: self.pki.cluster_name.clone(),
            dns_domain: self.pki.dns_domain.clone(),
            services: dual_net(ranges(&self.network).services.nets),
            pods: dual_net(ranges(&self.network).pods),
            etcd_endpoints: etcd
                .map(|address| (both(address).0, etcd_bootstrap::CLIENT_PORT).into())
                .collect(),
            etcd_version: Some(etcd_version(self.etcd_version()?)?),
            api_endpoint: self.pki.api_server_url.clone(),
            api_port: API_PORT,
            control_planes: nodes(Role::ControlPlane),
            workers: nodes(Role::Worker),
            bin_dir: self.bin_dir(version)?,
            cni_bin_dirs: self
                .facts
                .guests
                .cni_dirs
                .iter()
                .map(|dir| path(dir))
                .collect::<Result<_, _>>()?,
            resolv_conf: path(&self.facts.guests.resolv_conf)?,
            // Machines share them with this one, or have the package.
            trust_dirs: k8s_bootstrap::debian_trust_dirs(),
            upstream_dns: self.upstream_dns(),
            images: Images {
                repository: image("lab.local".to_owned())?,
                pause: image(format!("lab.local/pause:{}", versions.pause))?,
                coredns: image(format!("lab.local/coredns:{}", versions.coredns.tag()))?,
                registry: false,
            },
            runtime: Runtime::Containerd(Containerd {
                program: path(&self.facts.guests.containerd_program)?,
                major: containerd_major(self.facts.guests.containerd),
                oci_runtime: path(&oci_runtime(&self.facts.guests, self.spec.runtime))?,
                restrict_oom_score_adj: !self.facts.guests.may_protect_from_oom,
            }),
            shape: self.spec.shape.into(),
            profile: self.spec.profile.into(),
            balancer: self.balancer()?,
            virtual_address: self.virtual_address()?,
            addons: self.addons()?,
            external_cloud_provider: false,
            // Namespaces see the files of this machine.
            has_kernel_modules: self.spec.bhyve.is_some() || Path::new("/lib/modules").is_dir(),
            // The store knows, see `desired`.
            authority_rotates: false,
            cgroup: self.facts.guests.cgroups,
            tuning: Tuning::QuickStart,
            patience: self.spec.patience,
        })
    }
}

impl Blueprint {
    /// In front of several API servers only: one more program on the way to a single one helps nobody.
    fn balancer(&self) -> Result<Option<Balancer>, BlueprintError> {
        if !has_several_control_planes(&self.network) {
            return Ok(None);
        }
        let program = HAPROXY.parse();
        Ok(Some(Balancer {
            program: program.map_err(BlueprintError::part("a path"))?,
            port: BALANCER_PORT,
        }))
    }

    /// With several control planes.
    fn virtual_address(&self) -> Result<Option<VirtualAddress>, BlueprintError> {
        if !has_several_control_planes(&self.network) {
            return Ok(None);
        }
        let mut planes = self.network.role(Role::ControlPlane);
        let nic = planes
            .find_map(|plane| plane.nic(KUBE_NETWORK))
            .expect("nodes are on the kube network");
        let (v4, v6) = both(ranges(&self.network).endpoint);
        let program = KEEPALIVED.parse();
        let interface = nic.name.as_str().parse();
        Ok(Some(VirtualAddress {
            program: program.map_err(BlueprintError::part("a path"))?,
            address: DualAddress { v4, v6 },
            interface: interface.map_err(BlueprintError::part("an interface"))?,
            router_id: ROUTER_ID,
        }))
    }

    fn addons(&self) -> Result<Addons, BlueprintError> {
        let metrics_server = match &self.spec.addons.metrics_server {
            MetricsServer::None => None,
            MetricsServer::Image(name) => Some(name.clone()),
            MetricsServer::Built => Some(metrics_server(&self.programs.versions)?),
        };
        Ok(Addons { metrics_server })
    }

    /// Namespaces have no way to a name server outside.
    fn upstream_dns(&self) -> Vec<IpAddr> {
        match self.facts.freebsd {
            Some(_) => self.facts.network.resolvers.clone(),
            None => Vec::new(),
        }
    }
}

/// 2.0 has the format of 2.1 but for `bin_dirs`, and reads that of 1.x as every 2.x does.
fn containerd_major(version: artifacts::Version) -> ContainerdMajor {
    match (version.major, version.minor) >= (2, 1) {
        true => ContainerdMajor::V2,
        false => ContainerdMajor::V1,
    }
}

fn oci_runtime(facts: &GuestFacts, wanted: OciRuntime) -> String {
    let found = facts
        .oci_runtimes
        .get(wanted.as_str())
        .or_else(|| facts.oci_runtimes.values().next());
    found
        .cloned()
        .unwrap_or_else(|| format!("/usr/bin/{}", wanted.as_str()))
}

/// For the floor that Kubernetes has. The catalogue meets it, and programs from elsewhere are of these versions too.
fn etcd_version(version: artifacts::Version) -> Result<k8s_bootstrap::EtcdVersion, BlueprintError> {
    let text = version.to_string();
    text.parse()
        .map_err(BlueprintError::part("this version of etcd"))
}

pub(super) fn pki_spec(spec: &LabSpec, network: &Plan) -> Result<PkiSpec, BlueprintError> {
    let name = |text: &str| pki::HostName::new(text).map_err(BlueprintError::part("a name"));
    let names = |machine: &Machine| {
        let ips = machine
            .nics
            .iter()
            .flat_map(|nic| nic.address.iter())
            .collect();
        Ok::<_, BlueprintError>(NodeNames {
            name: name(machine.name.as_str())?,
            ips,
            api_server_url: None,
        })
    };
    let role = |role| network.role(role).map(names).collect::<Result<Vec<_>, _>>();
    let url = |ip: IpAddr, port| {
        ApiUrl::of_address(ip, port).map_err(BlueprintError::part("the address of the API"))
    };
    // Controllers speak to the API server beside them: when it is gone, so are they, and others take over.
    let mut control_planes = role(Role::ControlPlane)?;
    let own = network.addresses(Role::ControlPlane, KUBE_NETWORK);
    for (plane, address) in control_planes.iter_mut().zip(own) {
        plane.api_server_url = Some(url(both(address).0.into(), API_PORT)?);
    }
    let mut nodes = [role(Role::ControlPlane)?, role(Role::Worker)?].concat();
    if has_several_control_planes(network) {
        let balancer = url(Ipv4Addr::LOCALHOST.into(), BALANCER_PORT)?;
        for node in &mut nodes {
            node.api_server_url = Some(balancer.clone());
        }
    }
    let endpoint = ranges(network).endpoint;
    let link = network
        .link
        .iter()
        .flat_map(|link| link.router.iter())
        .collect();
    Ok(PkiSpec {
        cluster_name: name(spec.name.as_str())?,
        kubernetes_version: spec
            .kubernetes
            .to_string()
            .parse()
            .map_err(BlueprintError::part("this version"))?,
        dns_domain: name("cluster.local")?,
        api_service_ips: ranges(network).services.api.iter().collect(),
        // The kubeconfig of this machine names the link's address, or with VMs this machine's end of a tunnel.
        api_extra_names: AltNames::new(
            vec![name("localhost")?],
            // The virtual address is among them before there are several control planes: certificates then stay
            // as they are when one is added.
            [
                link,
                vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()],
                endpoint.iter().collect(),
            ]
            .concat(),
        )
        .map_err(BlueprintError::part("a name of the API"))?,
        api_server_url: url(api_address(network).into(), API_PORT)?,
        nodes,
        control_planes,
        etcd_members: role(Role::Etcd)?,
        authority_life: spec.pki.authority_life(),
        leaf_life: spec.pki.leaf_life(),
        kubelet_clients: match spec.shape {
            Shape::Services => KubeletClients::None,
            Shape::StaticPods => KubeletClients::ControlPlanes,
        },
        key: spec.pki.encryption_algorithm,
    })
}

/// Where the API is found on the network of the nodes: the only control plane, or the address that leads to any.
pub(super) fn api_address(network: &Plan) -> Ipv4Addr {
    let (first, any) = api_addresses(network);
    match has_several_control_planes(network) {
        true => any,
        false => first,
    }
}

/// Where it is not, and would be if the lab had one control plane instead of several, or several instead of one.
pub(super) fn other_api_address(network: &Plan) -> Ipv4Addr {
    let (first, any) = api_addresses(network);
    match has_several_control_planes(network) {
        true => first,
        false => any,
    }
}

/// The address of the first control plane, and the one that leads to any.
fn api_addresses(network: &Plan) -> (Ipv4Addr, Ipv4Addr) {
    let mut planes = network.addresses(Role::ControlPlane, KUBE_NETWORK);
    let first = planes.next();
    let first = first.expect("a plan has at least one control plane");
    (both(first).0, both(ranges(network).endpoint).0)
}

/// Whether there is more than one API server to lead to.
pub(super) fn has_several_control_planes(network: &Plan) -> bool {
    network.role(Role::ControlPlane).count() > 1
}

fn node(network: &Plan, machine: &Machine) -> NodeSpec {
    let address = machine
        .address(KUBE_NETWORK)
        .expect("nodes are on the kube network");
    let (v4, v6) = both(address);
    let route = |route: &netplan::Route| k8s_bootstrap::Route {
        to: route.to.as_ipnet(),
        via: route.via,
    };
    NodeSpec {
        name: host_name(machine),
        address: DualAddress { v4, v6 },
        pods: dual_net(machine.pods.expect("nodes have a range for pods")),
        routes: network.routes_of(machine).iter().map(route).collect(),
        programs: None,
    }
}

fn dual_net(nets: Nets) -> DualNet {
    let (v4, v6) = both_nets(nets);
    match (v4.as_ipnet(), v6.as_ipnet()) {
        (ipnet::IpNet::V4(v4), ipnet::IpNet::V6(v6)) => DualNet { v4, v6 },
        _ => unreachable!("a pair of networks has one of each family"),
    }
}
