//! Prints every file, unit and step of a control plane and a worker, and touches nothing but a temporary
//! store of certificates.
//!
//! Usage: `cargo run -p examples --example k8s_files [VERSION]`; secret files are named, not shown.

use anyhow::Context as _;
use host_exec::Contents;
use k8s_bootstrap::{
    CgroupVersion, ClusterSpec, Containerd, ContainerdMajor, Desired, DualAddress, DualNet,
    ExpiringToken, Images, Material, NodeSpec, Observed, Route, Tuning, plan,
};
use pki::{
    AltNames, ApiUrl, BootstrapToken, HostName, Life, NodeNames, OsRandom, PkiPlan, PkiSpec, Store,
};

fn node(name: &str, number: u8, other: u8) -> anyhow::Result<NodeSpec> {
    Ok(NodeSpec {
        name: name.parse()?,
        address: DualAddress {
            v4: format!("10.10.1.{number}").parse()?,
            v6: format!("fd10:1::{number}").parse()?,
        },
        pods: DualNet {
            v4: format!("10.244.{number}.0/24").parse()?,
            v6: format!("fd44:0:0:{number}::/64").parse()?,
        },
        routes: vec![Route {
            to: format!("10.244.{other}.0/24").parse()?,
            via: format!("10.10.1.{other}").parse()?,
        }],
    })
}

fn cluster(version: &str) -> anyhow::Result<ClusterSpec> {
    Ok(ClusterSpec {
        version: version.parse()?,
        cluster_name: HostName::new("lab")?,
        dns_domain: HostName::new("cluster.local")?,
        services: DualNet {
            v4: "10.96.0.0/16".parse()?,
            v6: "fd96::/112".parse()?,
        },
        pods: DualNet {
            v4: "10.244.0.0/16".parse()?,
            v6: "fd44::/48".parse()?,
        },
        etcd_endpoints: vec!["10.10.0.10:2379".parse()?],
        api_endpoint: ApiUrl::new("https://10.10.1.10:6443")?,
        api_port: 6443,
        control_planes: vec![node("cp-0", 10, 20)?],
        workers: vec![node("worker-0", 20, 10)?],
        bin_dir: "/opt/lab/bin".parse()?,
        cni_bin_dirs: vec!["/usr/lib/cni".parse()?],
        resolv_conf: "/etc/resolv.conf".parse()?,
        upstream_dns: vec!["10.10.1.1".parse()?],
        images: Images {
            pause: "pause:lab".parse()?,
            coredns: "coredns:lab".parse()?,
        },
        containerd: Containerd {
            program: "/usr/bin/containerd".parse()?,
            major: ContainerdMajor::V1,
            oci_runtime: "/usr/bin/crun".parse()?,
            restrict_oom_score_adj: false,
        },
        cgroup: CgroupVersion::V2,
        tuning: Tuning::QuickStart,
        patience: 1.0,
    })
}

fn certificates(spec: &ClusterSpec) -> anyhow::Result<Material> {
    let names = |node: &NodeSpec| {
        let (name, ips) = (
            HostName::new(node.name.as_str())?,
            node.address.both().to_vec(),
        );
        Ok::<_, pki::NameError>(NodeNames {
            name,
            ips,
            api_server_url: None,
        })
    };
    let pki_spec = PkiSpec {
        cluster_name: spec.cluster_name.clone(),
        kubernetes_version: spec.version.version(),
        dns_domain: spec.dns_domain.clone(),
        api_service_ips: spec.api_service_address().both().to_vec(),
        api_extra_names: AltNames::default(),
        api_server_url: spec.api_endpoint.clone(),
        control_planes: spec
            .control_planes
            .iter()
            .map(names)
            .collect::<Result<_, _>>()?,
        nodes: spec
            .nodes()
            .map(|(_, node)| names(node))
            .collect::<Result<_, _>>()?,
        etcd_members: Vec::new(),
        authority_life: Life::AUTHORITY,
        leaf_life: Life::LEAF,
        issue_kubelet_clients: false,
    };
    let now = time::OffsetDateTime::now_utc();
    let directory = std::env::temp_dir().join(format!("k8s-files-{}", std::process::id()));
    let store = Store::new(&directory);
    pki::apply(
        &store,
        &PkiPlan::new(&pki_spec, &store, now)?,
        now,
        &OsRandom,
    )?;
    let token = BootstrapToken::draw(&OsRandom)?;
    let token = ExpiringToken {
        token,
        expires: now + time::Duration::hours(1),
    };
    let material = Material::from_store(&pki_spec, &store, token);
    std::fs::remove_dir_all(&directory).context("removing the temporary store")?;
    Ok(material?)
}

fn main() -> anyhow::Result<()> {
    let spec = cluster(&std::env::args().nth(1).unwrap_or_else(|| "1.37.2".into()))?;
    let material = certificates(&spec)?;
    let desired = Desired::new(spec, &material)?;
    for (name, setup) in &desired.nodes {
        for file in &setup.files {
            println!("===== {name}:{} {}", file.path.display(), file.mode);
            match &file.contents {
                Contents::Public(bytes) => println!("{}", String::from_utf8_lossy(bytes)),
                Contents::Secret(bytes) => println!("({} secret bytes)\n", bytes.len()),
            }
        }
    }
    print!(
        "===== what would be done\n{}",
        plan(&desired, &Observed::default())
    );
    Ok(())
}
