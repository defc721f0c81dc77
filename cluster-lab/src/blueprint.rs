//! The whole lab as data, worked out from the specification and the facts: pure.
//!
//! Every crate gets its own specification from here, so that two of them can never mean different things.

use crate::{Facts, LabSpec, OciRuntime, Places, guest};
use artifacts::{Architecture, VersionSet, Wanted};
use etcd_bootstrap::{ClusterToken, EtcdVersion, MemberSpec};
use host_exec::{File, HostName};
use k8s_bootstrap::{
    CgroupVersion, Containerd, ContainerdMajor, DualAddress, DualNet, Images, NodePath, NodeSpec,
    SupportedVersion, Tuning,
};
use netplan::{AddressPair, Class, Lock, Machine, NetPair, NetworkName, Plan, Policy, Requirement};
use nspawn_vm::{
    Bind, DataDir, Group, GroupName, HostLink, Internet, MachineSpec, Nic, RouterSpec,
};
use pki::{AltNames, ApiUrl, Life, NodeNames, PkiSpec};
use std::{
    collections::BTreeMap,
    error::Error as StdError,
    path::{Path, PathBuf},
};

/// Where machines see the programs of the lab.
pub(crate) const BIN_DIR: &str = "/opt/lab/bin";
/// kube-apiserver's port (`--secure-port`).
pub(crate) const API_PORT: u16 = 6443;
/// The image for a first Deployment: a small HTTP server that can also act as a client.
pub const WEB_IMAGE: &str = "lab.local/web:1";
/// Where kubelets and container runtimes keep what must lie on a real file system.
const NODE_DATA: [&str; 2] = ["/var/lib/containerd", "/var/lib/kubelet"];

/// Everything that a lab consists of, as each crate wants it told.
#[derive(Debug, Clone, PartialEq)]
pub struct Blueprint {
    /// What was asked for.
    pub spec: LabSpec,
    /// The versions that go together.
    pub programs: Wanted,
    /// Networks and addresses.
    pub network: Plan,
    /// Who may reach whom.
    pub policy: Policy,
    /// The machines and the router between them.
    pub group: Group,
    /// Who is certified.
    pub pki: PkiSpec,
    facts: Facts,
}

/// A specification that makes no lab on this machine. Nothing was touched.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BlueprintError {
    /// The networks cannot be placed.
    #[error("cannot plan the networks")]
    Network(#[from] netplan::PlanError),
    /// A value that one crate hands to another is refused there.
    #[error("{what} is not possible here")]
    Part {
        /// What it is about.
        what: &'static str,
        /// The refusal.
        #[source]
        source: Box<dyn StdError + Send + Sync>,
    },
}

impl BlueprintError {
    fn part<E: StdError + Send + Sync + 'static>(what: &'static str) -> impl FnOnce(E) -> Self {
        move |source| Self::Part {
            what,
            source: Box::new(source),
        }
    }
}

impl Blueprint {
    /// Works out the lab that `spec` asks for. `lock` keeps addresses where an earlier lab of this name had them.
    ///
    /// # Errors
    ///
    /// The networks do not fit, or overlap what this machine uses; a version is unknown.
    pub fn new(
        spec: &LabSpec,
        facts: &Facts,
        places: &Places,
        lock: Option<&Lock>,
    ) -> Result<Self, BlueprintError> {
        let programs = programs_wanted(spec)?;
        let network = netplan::plan(&requirement(spec, facts), &facts.network, lock)?;
        let policy = Policy::standard(&network);
        let program_dir = artifact_places(places).set_dir(&programs);
        let group = group(spec, facts, places, &network, &policy, &program_dir)?;
        let pki = pki_spec(spec, &network)?;
        Ok(Self {
            spec: spec.clone(),
            programs,
            network,
            policy,
            group,
            pki,
            facts: facts.clone(),
        })
    }

    /// The name under which everything of the lab is found on this machine.
    pub fn group_name(&self) -> &GroupName {
        &self.group.name
    }

    /// The machines of one class, as hosts.
    pub fn hosts_of(&self, class: Class) -> impl Iterator<Item = HostName> {
        self.network.class(class).map(host_name)
    }

    /// What every machine has beside its role: names of the others, and its firewall.
    pub(crate) fn guests(&self) -> BTreeMap<HostName, guest::Guest> {
        self.network
            .machines
            .iter()
            .map(|machine| {
                (
                    host_name(machine),
                    guest::Guest::new(&self.network, &self.policy, machine),
                )
            })
            .collect()
    }

    /// The cluster of etcd, with these certificates for each member.
    pub(crate) fn etcd(
        &self,
        certificates: impl Fn(&HostName) -> Vec<File>,
    ) -> Result<etcd_bootstrap::ClusterSpec, BlueprintError> {
        let version = self.programs.versions.etcd.to_string();
        let version: EtcdVersion = version
            .parse()
            .map_err(BlueprintError::part("this version of etcd"))?;
        let token: ClusterToken = format!("lab-{}", self.spec.name)
            .parse()
            .map_err(BlueprintError::part("the token of etcd"))?;
        let member = |machine: &Machine| {
            let address = machine
                .address(NetworkName::Etcd)
                .expect("etcd members are on the etcd network");
            let name = machine
                .name
                .as_str()
                .parse()
                .map_err(BlueprintError::part("a member's name"))?;
            let member = MemberSpec::new(name, address.v4.into(), address.both().to_vec());
            Ok(member.with_certificates(certificates(&host_name(machine))))
        };
        let members = self
            .network
            .class(Class::Etcd)
            .map(member)
            .collect::<Result<_, BlueprintError>>()?;
        let program = Path::new(BIN_DIR).join("etcd");
        etcd_bootstrap::ClusterSpec::new(token, version, program, members)
            .map_err(BlueprintError::part("this cluster of etcd"))
    }

    /// The cluster of Kubernetes.
    pub(crate) fn kubernetes(&self) -> Result<k8s_bootstrap::ClusterSpec, BlueprintError> {
        let versions = &self.programs.versions;
        let nodes = |class| self.network.class(class).map(node).collect::<Vec<_>>();
        let etcd = self.network.addresses(Class::Etcd, NetworkName::Etcd);
        let path = |text: &str| {
            text.parse::<NodePath>()
                .map_err(BlueprintError::part("a path"))
        };
        let image = |text: String| {
            text.parse()
                .map_err(BlueprintError::part("the name of an image"))
        };
        Ok(k8s_bootstrap::ClusterSpec {
            version: spec_version(versions.kubernetes)
                .map_err(BlueprintError::part("this version of Kubernetes"))?,
            cluster_name: self.pki.cluster_name.clone(),
            dns_domain: self.pki.dns_domain.clone(),
            services: dual_net(self.network.services.nets),
            pods: dual_net(self.network.pods),
            etcd_endpoints: etcd
                .map(|address| (address.v4, etcd_bootstrap::CLIENT_PORT).into())
                .collect(),
            api_endpoint: self.pki.api_server_url.clone(),
            api_port: API_PORT,
            control_planes: nodes(Class::ControlPlane),
            workers: nodes(Class::Worker),
            bin_dir: path(BIN_DIR)?,
            cni_bin_dirs: self
                .facts
                .cni_dirs
                .iter()
                .map(|dir| path(dir))
                .collect::<Result<_, _>>()?,
            resolv_conf: path("/etc/resolv.conf")?,
            upstream_dns: Vec::new(),
            images: Images {
                pause: image(format!("lab.local/pause:{}", versions.pause))?,
                coredns: image(format!("lab.local/coredns:{}", versions.coredns.tag()))?,
            },
            containerd: Containerd {
                program: path(&self.facts.containerd_program)?,
                major: if self.facts.containerd.major >= 2 {
                    ContainerdMajor::V2
                } else {
                    ContainerdMajor::V1
                },
                oci_runtime: path(&oci_runtime(&self.facts, self.spec.runtime))?,
                restrict_oom_score_adj: !self.facts.may_protect_from_oom,
            },
            cgroup: match self.facts.cgroups {
                nspawn_vm::CgroupKind::CgroupV1 => CgroupVersion::V1,
                nspawn_vm::CgroupKind::CgroupV2 => CgroupVersion::V2,
            },
            tuning: Tuning::QuickStart,
            patience: self.spec.patience,
        })
    }

    /// The address at which the API is reached from this machine.
    pub(crate) fn api_url_here(&self) -> ApiUrl {
        let address = self.network.link.router.v4.into();
        ApiUrl::of_address(address, API_PORT).expect("a planned address is one of a single machine")
    }
}

fn oci_runtime(facts: &Facts, wanted: OciRuntime) -> String {
    let found = facts
        .oci_runtimes
        .get(wanted.as_str())
        .or_else(|| facts.oci_runtimes.values().next());
    found
        .cloned()
        .unwrap_or_else(|| format!("/usr/bin/{}", wanted.as_str()))
}

/// The programs that a lab of this version needs, for this processor.
pub(crate) fn programs_wanted(spec: &LabSpec) -> Result<Wanted, BlueprintError> {
    let versions = VersionSet::for_kubernetes(spec.kubernetes)
        .map_err(BlueprintError::part("this version of Kubernetes"))?;
    let here = Architecture::here().map_err(BlueprintError::part("this processor"))?;
    Ok(Wanted::lab(versions, here))
}

/// How `artifacts` wants the same directories told.
pub(crate) fn artifact_places(places: &Places) -> artifacts::Places {
    let mut own = artifacts::Places::new(places.cache.clone(), places.path_dirs.clone());
    own.bin_dir.clone_from(&places.bin_dir);
    own
}

fn spec_version(
    version: artifacts::Version,
) -> Result<SupportedVersion, k8s_bootstrap::VersionError> {
    version.to_string().parse()
}

fn requirement(spec: &LabSpec, facts: &Facts) -> Requirement {
    // RFC 4193 wants a ULA that two sites do not share: the number of this machine and the lab's name are
    // what differs, and the same input gives `plan` and `up` the same answer.
    let seed = seed(&[&facts.machine_id, spec.name.as_str()]);
    let mut requirement = Requirement::new(spec.name.clone(), seed);
    requirement.machines = spec.machines;
    requirement.v4 = spec.network.v4;
    requirement.v6 = spec.network.v6;
    requirement
}

/// FNV-1a over all words: not for secrets, only to differ.
fn seed(words: &[&str]) -> u64 {
    let bytes = words.iter().flat_map(|word| word.bytes().chain([0]));
    bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

fn group(
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
        places: nspawn_vm::Places::new(
            places.lab(&spec.name).root(),
            places.run.join(name.as_str()),
        ),
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
        let own = network.network(nic.network);
        let addresses = own.nets.both().into_iter().zip(nic.address.both());
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
                own.gateway.both().to_vec()
            } else {
                Vec::new()
            },
        })
    };
    let data = |target: &str| DataDir {
        target: PathBuf::from(target),
    };
    let own = match machine.class {
        Class::Etcd => vec!["/var/lib/etcd"],
        Class::ControlPlane | Class::Worker => NODE_DATA.to_vec(),
    };
    Ok(MachineSpec {
        name: host_name(machine),
        nics: machine.nics.iter().map(nic).collect::<Result<_, _>>()?,
        binds: vec![Bind {
            source: programs.to_owned(),
            target: BIN_DIR.into(),
        }],
        data: own.into_iter().chain(["/var/log"]).map(data).collect(),
        first_boot: nspawn_vm::FirstBoot::default(),
    })
}

fn router(facts: &Facts, network: &Plan, policy: &Policy) -> Result<RouterSpec, BlueprintError> {
    let interface = |name: &str| name.parse().map_err(BlueprintError::part("an interface"));
    let on = |nets: NetPair, addresses: AddressPair| -> Vec<ipnet::IpNet> {
        let pairs = nets.both().into_iter().zip(addresses.both());
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
    let (internet, link) = (&network.internet, &network.link);
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
        rules: policy.nft_router().load,
        internet: Some(Internet {
            uplink: interface(netplan::ROUTER_UPLINK)?,
            router_addresses: on(internet.nets, internet.router),
            addresses: on(internet.nets, internet.internet),
            servers: internet.server.both().to_vec(),
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

fn pki_spec(spec: &LabSpec, network: &Plan) -> Result<PkiSpec, BlueprintError> {
    let name = |text: &str| pki::HostName::new(text).map_err(BlueprintError::part("a name"));
    let names = |machine: &Machine| {
        let ips = machine
            .nics
            .iter()
            .flat_map(|nic| nic.address.both())
            .collect();
        Ok::<_, BlueprintError>(NodeNames {
            name: name(machine.name.as_str())?,
            ips,
            api_server_url: None,
        })
    };
    let class = |class| {
        network
            .class(class)
            .map(names)
            .collect::<Result<Vec<_>, _>>()
    };
    let control_planes = class(Class::ControlPlane)?;
    let first = network
        .addresses(Class::ControlPlane, NetworkName::Kube)
        .next();
    let first = first.expect("a plan has at least one control plane");
    let link = network.link.router.both().to_vec();
    Ok(PkiSpec {
        cluster_name: name(spec.name.as_str())?,
        kubernetes_version: spec
            .kubernetes
            .to_string()
            .parse()
            .map_err(BlueprintError::part("this version"))?,
        dns_domain: name("cluster.local")?,
        api_service_ips: network.services.api.both().to_vec(),
        // The link's address is what the kubeconfig of this machine names; the others are for people inside.
        api_extra_names: AltNames::new(
            vec![name("localhost")?],
            [link, vec!["127.0.0.1".parse().expect("a literal address")]].concat(),
        )
        .map_err(BlueprintError::part("a name of the API"))?,
        api_server_url: ApiUrl::of_address(first.v4.into(), API_PORT)
            .map_err(BlueprintError::part("the address of the API"))?,
        nodes: [control_planes.clone(), class(Class::Worker)?].concat(),
        control_planes,
        etcd_members: class(Class::Etcd)?,
        authority_life: Life::AUTHORITY,
        leaf_life: Life::LEAF,
        issue_kubelet_clients: false,
    })
}

fn node(machine: &Machine) -> NodeSpec {
    let address = machine
        .address(NetworkName::Kube)
        .expect("nodes are on the kube network");
    let route = |route: &netplan::Route| k8s_bootstrap::Route {
        to: route.to.as_ipnet(),
        via: route.via,
    };
    NodeSpec {
        name: host_name(machine),
        address: DualAddress {
            v4: address.v4,
            v6: address.v6,
        },
        pods: dual_net(machine.pods.expect("nodes have a range for pods")),
        routes: machine.routes.iter().map(route).collect(),
    }
}

fn dual_net(nets: NetPair) -> DualNet {
    match (nets.v4.as_ipnet(), nets.v6.as_ipnet()) {
        (ipnet::IpNet::V4(v4), ipnet::IpNet::V6(v6)) => DualNet { v4, v6 },
        _ => unreachable!("a pair of networks has one of each family"),
    }
}

pub(crate) fn host_name(machine: &Machine) -> HostName {
    machine
        .name
        .as_str()
        .parse()
        .expect("names of planned machines are labels of RFC 1123")
}
