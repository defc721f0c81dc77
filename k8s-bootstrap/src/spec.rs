//! What is wanted: the cluster, its nodes, and what lies on them already.

use crate::{
    EtcdVersion, ImageName, InterfaceName, NodePath, SupportedVersion,
    join::USER_PREFIX,
    version::skew::{self, ClusterVersions, RuntimeName, RuntimeVersion, SkewError},
};
use host_exec::HostName;
use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use std::{
    collections::BTreeSet,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    time::Duration,
};

/// A network of each family. IPv4 is the primary one throughout.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DualNet {
    /// The IPv4 network.
    pub v4: Ipv4Net,
    /// The IPv6 network.
    pub v6: Ipv6Net,
}

/// An address of each family. IPv4 is the primary one throughout.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DualAddress {
    /// The IPv4 address.
    pub v4: Ipv4Addr,
    /// The IPv6 address.
    pub v6: Ipv6Addr,
}

impl DualNet {
    /// The networks of these two.
    pub fn new(v4: Ipv4Net, v6: Ipv6Net) -> Self {
        Self { v4, v6 }
    }

    /// Both networks as Kubernetes flags take them: `V4,V6`.
    pub fn list(&self) -> String {
        format!("{},{}", self.v4.trunc(), self.v6.trunc())
    }

    /// Both, IPv4 first.
    pub fn both(&self) -> [IpNet; 2] {
        [self.v4.trunc().into(), self.v6.trunc().into()]
    }

    /// The addresses number `index` of both networks, counted from the network address.
    fn nth(&self, index: u8) -> DualAddress {
        DualAddress {
            v4: Ipv4Addr::from_bits(self.v4.network().to_bits() | u32::from(index)),
            v6: Ipv6Addr::from_bits(self.v6.network().to_bits() | u128::from(index)),
        }
    }
}

impl DualAddress {
    /// The loopback of a machine, for a control plane that nobody else is to reach.
    pub const LOOPBACK: Self = Self {
        v4: Ipv4Addr::LOCALHOST,
        v6: Ipv6Addr::LOCALHOST,
    };

    /// Both addresses as Kubernetes flags take them: `V4,V6`.
    pub fn list(&self) -> String {
        format!("{},{}", self.v4, self.v6)
    }

    /// Both, IPv4 first.
    pub fn both(&self) -> [IpAddr; 2] {
        [self.v4.into(), self.v6.into()]
    }
}

/// A route that a node needs to reach the pods of another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Route {
    /// The pods of the other node.
    pub to: IpNet,
    /// That node's address, on a link both share.
    pub via: IpAddr,
}

/// What a node is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// Runs the API and its controllers, and no pods of users.
    ControlPlane,
    /// Runs pods.
    Worker,
}

/// Which programs of a node are meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NodePart {
    /// All of them.
    All,
    /// kube-apiserver, kube-controller-manager and kube-scheduler.
    ControlPlane,
    /// kubelet and kube-proxy, which every node has.
    Node,
}

/// Programs of one node while they are not those of the cluster: an upgrade goes node by node, and on a control
/// plane in two parts, since no kubelet may be newer than an API server that answers it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodePrograms {
    /// Which programs these are; the others are those of the cluster.
    pub part: NodePart,
    /// The version of every Kubernetes program in `bin_dir`.
    pub version: SupportedVersion,
    /// Where they lie on the node.
    pub bin_dir: NodePath,
}

/// One machine of the cluster. Its role is the list of [`ClusterSpec`] that it stands in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeSpec {
    /// The host's name, and the Node object's.
    pub name: HostName,
    /// Where the other nodes reach it.
    pub address: DualAddress,
    /// The addresses of its pods.
    pub pods: DualNet,
    /// How it reaches the pods of the others.
    pub routes: Vec<Route>,
    /// Programs of its own, in the middle of an upgrade; usually those of the cluster.
    pub programs: Option<NodePrograms>,
}

impl NodeSpec {
    /// A node with the programs of the cluster, and without routes so far.
    pub fn new(name: HostName, address: DualAddress, pods: DualNet) -> Self {
        Self {
            name,
            address,
            pods,
            routes: Vec::new(),
            programs: None,
        }
    }

    /// The programs of its own that stand for `part`.
    pub(crate) fn own_programs(&self, part: NodePart) -> Option<&NodePrograms> {
        let own = self.programs.as_ref();
        own.filter(|own| own.part == NodePart::All || own.part == part)
    }
}

/// Images of the cluster itself; the runtime pulls them or has them already.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Images {
    /// What the names of kubeadm's own images begin with, usually `registry.k8s.io`.
    pub repository: ImageName,
    /// The container that holds a pod's namespaces.
    pub pause: ImageName,
    /// The cluster's name server.
    pub coredns: ImageName,
    /// A registry serves these, and those of users' pods; otherwise the runtime has them already. The hardened profile
    /// has pods ask it whether they may have their images (AlwaysPullImages), which needs one.
    pub registry: bool,
}

/// Which configuration format containerd reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ContainerdMajor {
    /// containerd 1.6 and 1.7: configuration version 2.
    V1,
    /// containerd 2.1 and later: configuration version 3.
    V2,
}

/// The container runtime of every node. Its programs are there already.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Containerd {
    /// The program, such as `/usr/bin/containerd`; its shim is looked for in the same directory first.
    pub program: NodePath,
    /// Its configuration format.
    pub major: ContainerdMajor,
    /// The OCI runtime, such as `/usr/bin/crun`. crun 1.8 does not work with containerd 2.
    pub oci_runtime: NodePath,
    /// For machines without CAP_SYS_RESOURCE, where a negative oom_score_adj cannot be written.
    pub restrict_oom_score_adj: bool,
}

/// CRI-O of the same minor as Kubernetes. Its programs are there already.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Crio {
    /// The program, such as `/usr/bin/crio`.
    pub program: NodePath,
    /// Its minor, as in 1.MINOR: that of Kubernetes.
    pub minor: u16,
    /// The OCI runtime, such as `/usr/bin/crun`.
    pub oci_runtime: NodePath,
}

/// What starts containers on every node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Runtime {
    /// containerd.
    Containerd(Containerd),
    /// CRI-O.
    Crio(Crio),
}

impl Runtime {
    /// Where it and the kubelet meet.
    pub fn socket(&self) -> &'static str {
        match self {
            Self::Containerd(_) => "/run/containerd/containerd.sock",
            Self::Crio(_) => "/run/crio/crio.sock",
        }
    }

    /// The name of its unit.
    pub(crate) fn unit(&self) -> String {
        match self {
            Self::Containerd(_) => "containerd.service".to_owned(),
            Self::Crio(_) => "crio.service".to_owned(),
        }
    }
}

/// Who keeps the programs of the control plane running.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// systemd, each program a service; kube-proxy too.
    Services,
    /// The kubelet, from static pods as kubeadm writes them, with all that kubeadm leaves in files and in the API:
    /// stock kubeadm of the same minor works on such a cluster.
    StaticPods,
}

/// How much the cluster trusts by default.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Profile {
    /// kubeadm's defaults.
    Standard,
    /// The checks of the CIS benchmark that can be automated: Secrets encrypted at rest, an audit log, no profiling,
    /// TLS minimums, anonymous access to health only.
    Hardened,
}

/// A balancer of TCP in front of the API servers, on the loopback of every node: HAProxy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Balancer {
    /// The program, such as `/usr/sbin/haproxy`.
    pub program: NodePath,
    /// Its port on 127.0.0.1 of every node.
    pub port: u16,
}

/// An address that moves between the control planes (VRRP version 3, RFC 9568), for people: keepalived.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VirtualAddress {
    /// The program, such as `/usr/sbin/keepalived`.
    pub program: NodePath,
    /// The address, on the network of the nodes.
    pub address: DualAddress,
    /// The interface of that network on every control plane.
    pub interface: InterfaceName,
    /// The number of the virtual router, 1 to 255, which no other on this network has.
    pub router_id: u8,
}

/// What the cluster has beyond its own parts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Addons {
    /// The image of metrics-server, which `kubectl top` and autoscalers need; none leaves it out.
    pub metrics_server: Option<ImageName>,
}

/// Which cgroup hierarchy the nodes have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CgroupVersion {
    /// The old one; kubelets from 1.35 on refuse it unless told otherwise.
    V1,
    /// The unified one.
    V2,
}

/// What the control plane is tuned for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tuning {
    /// The defaults of Kubernetes.
    Standard,
    /// A small cluster that has to be up soon: higher client rates of the controllers, less garbage collection.
    QuickStart,
}

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

/// A cluster that cannot be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SpecError {
    /// A list needs an entry.
    #[error("{field} is empty; give at least one")]
    Empty {
        /// The field.
        field: &'static str,
    },
    /// Two nodes of one name.
    #[error("two nodes are named {name}; give each its own name")]
    DuplicateNode {
        /// The name.
        name: HostName,
    },
    /// A name that does not fit into the client certificate of its node (RFC 5280, `ub-common-name`).
    #[error(
        "the node name {name} is too long for its certificate; give it at most {longest} characters"
    )]
    LongName {
        /// The name.
        name: HostName,
        /// How many characters there may be.
        longest: usize,
    },
    /// A prefix length that Kubernetes refuses.
    #[error("{field} is {net}, but its prefix must be /{shortest} to /{longest}")]
    Prefix {
        /// The field.
        field: &'static str,
        /// What it is.
        net: IpNet,
        /// The shortest prefix, the largest network.
        shortest: u8,
        /// The longest prefix.
        longest: u8,
    },
    /// Two networks share addresses; Kubernetes itself would not notice.
    #[error("{a} of {a_field} and {b} of {b_field} overlap; make them disjoint")]
    Overlap {
        /// One field.
        a_field: String,
        /// Its network.
        a: IpNet,
        /// The other field.
        b_field: String,
        /// Its network.
        b: IpNet,
    },
    /// Pods of a node outside the pods of the cluster.
    #[error("pods of {node} are {net}, outside the cluster's pods {cluster}")]
    Outside {
        /// The node.
        node: HostName,
        /// Its pods.
        net: IpNet,
        /// The cluster's pods.
        cluster: IpNet,
    },
    /// A route whose gateway is of the other family.
    #[error("the route of {node} to {to} goes via {via}, which is of the other family")]
    RouteFamily {
        /// The node.
        node: HostName,
        /// The destination.
        to: IpNet,
        /// The gateway.
        via: IpAddr,
    },
    /// Versions that may not run together.
    #[error(transparent)]
    Skew(#[from] SkewError),
    /// Not a factor for time limits.
    #[error("patience is {value}, but must be a number from 0.1 to 1000")]
    Patience {
        /// What it is, as text.
        value: String,
    },
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

    /// Checks what types cannot.
    ///
    /// # Errors
    ///
    /// The first contradiction found; nothing has been touched.
    pub fn check(&self) -> Result<(), SpecError> {
        self.check_lists()?;
        self.check_services()?;
        self.check_pods()?;
        skew::check(&ClusterVersions::of(self))?;
        self.check_crio()?;
        if !(0.1..=1000.0).contains(&self.patience) {
            return Err(SpecError::Patience {
                value: self.patience.to_string(),
            });
        }
        Ok(())
    }

    /// CRI-O goes with the kubelets. One in the middle of an upgrade has its own when it is done.
    fn check_crio(&self) -> Result<(), SpecError> {
        let Runtime::Crio(own) = &self.runtime else {
            return Ok(());
        };
        let runtime = RuntimeVersion::new(RuntimeName::Crio, 1, own.minor);
        for (_, node) in self.nodes().filter(|(_, node)| node.programs.is_none()) {
            skew::check_runtime(&node.name, self.version, runtime)?;
        }
        Ok(())
    }

    fn check_lists(&self) -> Result<(), SpecError> {
        for (field, empty) in [
            ("control_planes", self.control_planes.is_empty()),
            ("etcd_endpoints", self.etcd_endpoints.is_empty()),
            ("cni_bin_dirs", self.cni_bin_dirs.is_empty()),
        ] {
            if empty {
                return Err(SpecError::Empty { field });
            }
        }
        let mut names = BTreeSet::new();
        let longest = 64 - USER_PREFIX.len();
        for (_, node) in self.nodes() {
            if node.name.as_str().len() > longest {
                let name = node.name.clone();
                return Err(SpecError::LongName { name, longest });
            }
            if !names.insert(&node.name) {
                return Err(SpecError::DuplicateNode {
                    name: node.name.clone(),
                });
            }
        }
        Ok(())
    }

    /// kubeadm's limits: at most 20 host bits, and room for the name server's number 10.
    fn check_services(&self) -> Result<(), SpecError> {
        let [v4, v6] = self.services.both();
        for (net, shortest, longest) in [(v4, 12, 28), (v6, 108, 124)] {
            if !(shortest..=longest).contains(&net.prefix_len()) {
                return Err(SpecError::Prefix {
                    field: "services",
                    net,
                    shortest,
                    longest,
                });
            }
        }
        Ok(())
    }

    fn check_pods(&self) -> Result<(), SpecError> {
        let mut taken: Vec<(String, IpNet)> = Vec::new();
        let mut claim = |field: String, net: IpNet| {
            let clash = taken
                .iter()
                .find(|(_, other)| net.contains(other) || other.contains(&net));
            if let Some((b_field, b)) = clash.cloned() {
                return Err(SpecError::Overlap {
                    a_field: field,
                    a: net,
                    b_field,
                    b,
                });
            }
            taken.push((field, net));
            Ok(())
        };
        for net in self.services.both() {
            claim("services".into(), net)?;
        }
        for (_, node) in self.nodes() {
            for (net, cluster) in node.pods.both().into_iter().zip(self.pods.both()) {
                if !cluster.contains(&net) {
                    return Err(SpecError::Outside {
                        node: node.name.clone(),
                        net,
                        cluster,
                    });
                }
                claim(format!("pods of {}", node.name), net)?;
            }
            for address in node.address.both() {
                claim(format!("address of {}", node.name), address.into())?;
            }
            if let Some(route) = node
                .routes
                .iter()
                .find(|r| r.to.addr().is_ipv4() != r.via.is_ipv4())
            {
                let (node, Route { to, via }) = (node.name.clone(), *route);
                return Err(SpecError::RouteFamily { node, to, via });
            }
        }
        for (services, pods) in self.services.both().into_iter().zip(self.pods.both()) {
            if services.contains(&pods) || pods.contains(&services) {
                let (a_field, b_field) = ("services".into(), "pods".into());
                return Err(SpecError::Overlap {
                    a_field,
                    a: services,
                    b_field,
                    b: pods,
                });
            }
        }
        Ok(())
    }
}
