//! What is wanted: the cluster, its nodes, and what lies on them already.

mod address;
mod check;
mod node;
mod parts;

pub use address::{DualAddress, DualNet, Route};
pub use check::SpecError;
pub use node::{NodePart, NodePrograms, NodeSpec, Role};
pub use parts::{
    Addons, Balancer, CgroupVersion, Containerd, ContainerdMajor, Crio, Images, Profile, Runtime,
    Shape, Tuning, VirtualAddress,
};

use crate::{EtcdVersion, NodePath, SupportedVersion};
use ipnet::{Ipv4Net, Ipv6Net};
use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    time::Duration,
};

/// kubeadm's `localAPIEndpoint.bindPort`.
const API_PORT: u16 = 6443;

/// What Debian's package ca-certificates makes beside `/etc/ssl/certs`: for [`ClusterSpec::trust_dirs`].
pub fn debian_trust_dirs() -> Vec<NodePath> {
    let dirs = [
        "/etc/ca-certificates",
        "/usr/local/share/ca-certificates",
        "/usr/share/ca-certificates",
    ];
    let path = |dir: &str| dir.parse().expect("constants of this function");
    dirs.map(path).to_vec()
}

/// A cluster to bring up on hosts that exist, with an etcd that exists.
#[derive(Debug, Clone, PartialEq)]
pub struct ClusterSpec {
    /// The version of every Kubernetes program in `bin_dir`.
    pub version: SupportedVersion,
    /// The cluster's name in kubeconfigs and in the controller manager.
    pub cluster_name: pki::HostName,
    /// The domain of Services, usually `cluster.local`.
    pub dns_domain: pki::HostName,
    /// The virtual addresses of Services; IPv4 /12 to /28, IPv6 /108 to /124.
    pub services: DualNet,
    /// All pods of the cluster; every node's are a part of it.
    pub pods: DualNet,
    /// The client addresses of the etcd members, spoken to over TLS.
    pub etcd_endpoints: Vec<SocketAddr>,
    /// The oldest version among these members, for a look at the floor of the Kubernetes version; none if nobody
    /// knows.
    pub etcd_version: Option<EtcdVersion>,
    /// Where people find the API, and nodes without a balancer: with one control plane its own address, with
    /// several the virtual one.
    pub api_endpoint: pki::ApiUrl,
    /// The port of every API server on its own node, usually 6443.
    pub api_port: u16,
    /// At least one. The first writes the API objects.
    pub control_planes: Vec<NodeSpec>,
    /// Nodes for pods.
    pub workers: Vec<NodeSpec>,
    /// Where the Kubernetes programs lie on every node.
    pub bin_dir: NodePath,
    /// Where the CNI plugins lie; containerd 1 takes the first only.
    pub cni_bin_dirs: Vec<NodePath>,
    /// The name servers of pods that use the node's, and CoreDNS's own way out.
    pub resolv_conf: NodePath,
    /// Directories of the control planes with certificates of other authorities, beside /etc/ssl/certs, which may
    /// link to them. Static pods get those that kubeadm of this minor knows.
    pub trust_dirs: Vec<NodePath>,
    /// Name servers that CoreDNS asks for names outside the cluster; with none it refuses them.
    pub upstream_dns: Vec<IpAddr>,
    /// Images of the cluster itself.
    pub images: Images,
    /// The container runtime.
    pub runtime: Runtime,
    /// Who keeps the control plane running.
    pub shape: Shape,
    /// How much the cluster trusts by default.
    pub profile: Profile,
    /// A balancer in front of several API servers, on every node.
    pub balancer: Option<Balancer>,
    /// An address that leads people to whichever control plane lives.
    pub virtual_address: Option<VirtualAddress>,
    /// What the cluster has beyond its own parts.
    pub addons: Addons,
    /// Nodes wait for a cloud-controller-manager to initialise them (`--cloud-provider=external` of kubelet and
    /// controller manager), which the caller brings: without one, no pod is placed. Not needed on hardware of one's
    /// own, where there is no cloud to ask for addresses, zones, routes and balancers.
    pub external_cloud_provider: bool,
    /// Nodes have /lib/modules, which kubeadm's kube-proxy is shown. Machines that share the kernel of another may
    /// not, and may not be able to make it.
    pub has_kernel_modules: bool,
    /// The cgroup hierarchy of the nodes.
    pub cgroup: CgroupVersion,
    /// The cluster's authority is being rotated: the file of those that are trusted holds two, and the controller
    /// manager signs with another file, [`SIGNER_CA`](crate::component::SIGNER_CA), which the material has to hold
    /// ([`Material::trusts_two`](crate::Material::trusts_two)).
    pub authority_rotates: bool,
    /// What the control plane is tuned for.
    pub tuning: Tuning,
    /// Multiplies every time limit; more than 1 for slow machines.
    pub patience: f64,
}

impl ClusterSpec {
    /// A cluster of one control plane so far, the rest as kubeadm has it by default: domain
    /// `cluster.local`, Services in 10.96.0.0/16 and fd96::/112, port 6443, images of registry.k8s.io;
    /// programs in /usr/local/bin, CNI plugins in /opt/cni/bin, containerd 2 with runc on cgroup v2.
    ///
    /// Every field is public: change what is otherwise, and add workers.
    ///
    /// # Errors
    ///
    /// The control plane's address cannot be in a URL, such as 0.0.0.0.
    pub fn new(
        version: SupportedVersion,
        etcd_endpoints: Vec<SocketAddr>,
        pods: DualNet,
        control_plane: NodeSpec,
    ) -> Result<Self, pki::NameError> {
        let release = version.release();
        let image = |name: String| name.parse().expect("the table holds image tags");
        let path = |text: &str| text.parse().expect("a constant of this function");
        Ok(Self {
            version,
            cluster_name: pki::HostName::new("kubernetes")?,
            dns_domain: pki::HostName::new("cluster.local")?,
            services: DualNet {
                v4: Ipv4Net::new_assert(Ipv4Addr::new(10, 96, 0, 0), 16),
                v6: Ipv6Net::new_assert(Ipv6Addr::new(0xfd96, 0, 0, 0, 0, 0, 0, 0), 112),
            },
            pods,
            etcd_endpoints,
            etcd_version: None,
            api_endpoint: pki::ApiUrl::of_address(control_plane.address.v4.into(), API_PORT)?,
            api_port: API_PORT,
            control_planes: vec![control_plane],
            workers: Vec::new(),
            bin_dir: path("/usr/local/bin"),
            cni_bin_dirs: vec![path("/opt/cni/bin")],
            resolv_conf: path("/etc/resolv.conf"),
            trust_dirs: debian_trust_dirs(),
            upstream_dns: Vec::new(),
            images: Images {
                repository: image("registry.k8s.io".to_owned()),
                pause: image(format!("registry.k8s.io/pause:{}", release.pause)),
                coredns: image(format!(
                    "registry.k8s.io/coredns/coredns:{}",
                    version.coredns()
                )),
                registry: true,
            },
            runtime: Runtime::Containerd(Containerd {
                program: path("/usr/bin/containerd"),
                major: ContainerdMajor::V2,
                oci_runtime: path("/usr/bin/runc"),
                restrict_oom_score_adj: false,
            }),
            shape: Shape::Services,
            profile: Profile::Standard,
            balancer: None,
            virtual_address: None,
            addons: Addons::default(),
            external_cloud_provider: false,
            has_kernel_modules: true,
            authority_rotates: false,
            cgroup: CgroupVersion::V2,
            tuning: Tuning::Standard,
            patience: 1.0,
        })
    }

    /// All nodes with their roles, control planes first.
    pub fn nodes(&self) -> impl Iterator<Item = (Role, &NodeSpec)> {
        let control_planes = self
            .control_planes
            .iter()
            .map(|node| (Role::ControlPlane, node));
        control_planes.chain(self.workers.iter().map(|node| (Role::Worker, node)))
    }

    /// Where what runs on a node finds the API: at the node's own balancer, if there is one.
    pub fn node_endpoint(&self) -> pki::ApiUrl {
        let of_balancer = |own: &Balancer| {
            let loopback = Ipv4Addr::LOCALHOST.into();
            pki::ApiUrl::of_address(loopback, own.port).expect("the loopback can be in a URL")
        };
        self.balancer
            .as_ref()
            .map_or_else(|| self.api_endpoint.clone(), of_balancer)
    }

    /// The address of the Service `kubernetes`: number 1 of the range, which the API server takes by itself.
    pub fn api_service_address(&self) -> DualAddress {
        self.services.nth(1)
    }

    /// The address of the cluster's name server: number 10 of the range, as kubeadm has it.
    pub fn dns_service_address(&self) -> DualAddress {
        self.services.nth(10)
    }

    /// `limit` for the machines at hand; unchanged where [`ClusterSpec::check`] would refuse the factor.
    pub fn patient(&self, limit: Duration) -> Duration {
        Duration::try_from_secs_f64(limit.as_secs_f64() * self.patience).unwrap_or(limit)
    }
}
