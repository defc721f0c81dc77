//! etcd, Kubernetes and their certificates, as their crates want them told.

use super::{
    API_PORT, Blueprint, BlueprintError,
    api::{BALANCER_PORT, has_several_control_planes},
    both, both_nets, host_name, metrics_server, ranges,
};
use crate::{GuestFacts, MetricsServer, OciRuntime, Profile};
use etcd_bootstrap::MemberSpec;
use host_exec::{File, HostName};
use k8s_bootstrap::{
    Addons, Balancer, Containerd, ContainerdMajor, DualAddress, DualNet, ImageName, Images,
    NodePath, NodeSpec, Runtime, Tuning, VirtualAddress,
};
use netplan::{ETCD_NETWORK, KUBE_NETWORK, Machine, Nets, Plan, Role};
use std::{net::IpAddr, num::NonZeroU8, path::Path};

/// Debian's and most others' place.
const HAPROXY: &str = "/usr/sbin/haproxy";
const KEEPALIVED: &str = "/usr/sbin/keepalived";
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
        let nodes = |role| {
            self.network
                .role(role)
                .map(|machine| node(&self.network, machine))
                .collect::<Vec<_>>()
        };
        let etcd = self.network.addresses(Role::Etcd, ETCD_NETWORK);
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
            images: self.images()?,
            runtime: Runtime::Containerd(self.containerd()?),
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
    fn images(&self) -> Result<Images, BlueprintError> {
        let versions = &self.programs.versions;
        Ok(Images {
            repository: image("lab.local")?,
            pause: image(&format!("lab.local/pause:{}", versions.pause))?,
            coredns: image(&format!("lab.local/coredns:{}", versions.coredns.tag()))?,
            registry: false,
        })
    }

    fn containerd(&self) -> Result<Containerd, BlueprintError> {
        let guests = &self.facts.guests;
        Ok(Containerd {
            program: path(&guests.containerd_program)?,
            major: containerd_major(guests.containerd),
            oci_runtime: path(&oci_runtime(guests, self.spec.runtime))?,
            restrict_oom_score_adj: !guests.may_protect_from_oom,
        })
    }

    /// In front of several API servers only: one more program on the way to a single one helps nobody.
    fn balancer(&self) -> Result<Option<Balancer>, BlueprintError> {
        if !has_several_control_planes(&self.network) {
            return Ok(None);
        }
        Ok(Some(Balancer {
            program: path(HAPROXY)?,
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
        let interface = nic.name.as_str().parse();
        Ok(Some(VirtualAddress {
            program: path(KEEPALIVED)?,
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

fn path(text: &str) -> Result<NodePath, BlueprintError> {
    text.parse().map_err(BlueprintError::part("a path"))
}

fn image(name: &str) -> Result<ImageName, BlueprintError> {
    let parsed = name.parse();
    parsed.map_err(BlueprintError::part("the name of an image"))
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
