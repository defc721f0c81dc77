//! Brings up etcd, an API server, the controller manager and the scheduler on the loopback, shows that they are
//! well, and ends them again. No root, no systemd, no machines: processes of this program are the services.
//!
//! Usage: `cargo run -p examples --example control_plane_local -- /directory/of/programs 1.37.2 3.7.3`
//!
//! The controller manager and the scheduler take their fixed ports, 10257 and 10259.

#![expect(clippy::print_stdout, reason = "a program for people")]
#![expect(
    clippy::disallowed_methods,
    reason = "the programs run on in the background, which no Host keeps"
)]

use anyhow::Context as _;
use etcd_bootstrap::{MemberSpec, PkiPaths, render};
use host_exec::{File, Host, LocalHost, Mode, files};
use k8s_bootstrap::component::{self, Place, RootDir};
use k8s_bootstrap::*;
use pki::{BootstrapToken, NodeNames, OsRandom, PkiPlan};
use std::{net::IpAddr, path::Path, sync::Arc, time::Duration};
use tokio::process::{Child, Command};

/// An address of the loopback that nobody else uses, for etcd; it keeps its usual ports.
const ETCD: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(127, 85, 0, 1));
const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);
const API_PORT: u16 = 16443;
const LIMIT: Duration = Duration::from_secs(60);

fn cluster(bin_dir: &str, version: &str) -> anyhow::Result<ClusterSpec> {
    let own_pods = DualNet::new("10.244.0.0/24".parse()?, "fd44::/64".parse()?);
    let pods = DualNet::new("10.244.0.0/16".parse()?, "fd44::/48".parse()?);
    let node = NodeSpec::new("cp-0".parse()?, DualAddress::LOOPBACK, own_pods);
    let mut spec = ClusterSpec::new(version.parse()?, vec![(ETCD, 2379).into()], pods, node)?;
    spec.bin_dir = bin_dir.parse()?;
    spec.api_port = API_PORT;
    spec.api_endpoint = pki::ApiUrl::of_address(HERE, API_PORT)?;
    spec.tuning = Tuning::QuickStart;
    Ok(spec)
}

fn spawn(mut program: Command, log: &Path) -> anyhow::Result<Child> {
    let log = std::fs::File::create(log)?;
    let program = program
        .stdout(log.try_clone()?)
        .stderr(log)
        .kill_on_drop(true);
    program
        .spawn()
        .with_context(|| format!("{:?}", program.as_std().get_program()))
}

fn etcd(root: &RootDir, bin_dir: &str, version: &str) -> anyhow::Result<Command> {
    let mut member = MemberSpec::new("etcd-0".parse()?, ETCD, vec![ETCD]);
    member.metrics.set_ip(ETCD);
    member.data_dir = root.path("/var/lib/etcd").into();
    member.pki = PkiPaths::below(root.path("/etc/etcd/pki").as_ref());
    let (program, version) = (Path::new(bin_dir).join("etcd"), version.parse()?);
    let spec = etcd_bootstrap::ClusterSpec::new("local".parse()?, version, program, vec![member])?;
    let mut command = Command::new(spec.program());
    command.envs(render::environment(&spec, &spec.members()[0]));
    Ok(command)
}

/// Makes the certificates, and lays them and all other files of the node and the member below `root`.
async fn prepare(
    spec: ClusterSpec,
    root: &RootDir,
    here: &dyn Host,
) -> anyhow::Result<(Desired, Material)> {
    let now = time::OffsetDateTime::now_utc();
    let (name, ips) = (pki::HostName::new("etcd-0")?, vec![ETCD, HERE]);
    let pki_spec = spec.certificates(vec![NodeNames {
        name,
        ips,
        api_server_url: None,
    }])?;
    let store = pki::Store::new(root.path("/var/lib/pki"));
    pki::apply(
        &store,
        &PkiPlan::new(&pki_spec, &store, now)?,
        now,
        &OsRandom,
    )?;
    let (token, expires) = (
        BootstrapToken::new("abcdef.0123456789abcdef")?,
        now + time::Duration::HOUR,
    );
    let material = Material::from_store(&pki_spec, &store, ExpiringToken { token, expires })?;
    let desired = Desired::new(spec, &material)?;
    let of_node = desired.nodes.values().flat_map(|setup| &setup.files);
    let mut all: Vec<File> = of_node.map(|file| root.file(file)).collect();
    for file in pki_spec.files_for_etcd_member(&pki_spec.etcd_members[0].name)? {
        let text = store.contents(&file.content)?;
        let file = File::secret(file.path, text.as_bytes()).with_mode(Mode::new(file.mode));
        all.push(root.file(&file));
    }
    files::ensure(here, &all).await?;
    Ok((desired, material))
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let arg = |n| {
        std::env::args()
            .nth(n)
            .context("give DIRECTORY KUBERNETES ETCD")
    };
    let (bin_dir, began) = (arg(1)?, std::time::Instant::now());
    let dir = std::env::temp_dir().join(format!("control-plane-local-{}", std::process::id()));
    let root = RootDir::new(&dir);
    let here: Arc<dyn Host> = Arc::new(LocalHost::new("cp-0".parse()?));
    let (desired, material) = prepare(cluster(&bin_dir, &arg(2)?)?, &root, &*here).await?;
    let hosts = Hosts::from([(here.name().clone(), here.clone())]);
    let (address, limit) = ((HERE, API_PORT).into(), Duration::from_secs(5));
    let api = Api::new(here, address, &material.ca_pem, &material.identity, limit)?;
    let log = |name: &str| dir.join(name).with_extension("log");
    let etcd = etcd(&root, &bin_dir, &arg(3)?)?;
    let mut children = vec![spawn(etcd, &log("etcd"))?];
    for component in Place::all(desired.spec()).flat_map(component::control_plane) {
        wait_for_gate(&api, component.gate, LIMIT).await?;
        let mut program = Command::new(&component.program);
        program.args(root.component(&component).arguments);
        program.envs(component.environment);
        if component.name == "kube-apiserver" {
            // A Service cannot lead to the loopback, so nobody is to write that.
            program.args([
                "--bind-address=127.0.0.1",
                "--endpoint-reconciler-type=none",
            ]);
        }
        children.push(spawn(program, &log(component.name))?);
    }
    let conditions = wait_for_control_plane(&desired, &hosts, LIMIT).await?;
    for condition in conditions {
        println!("{condition}");
    }
    println!("ready after {:.2?}", began.elapsed());
    for mut child in children.into_iter().rev() {
        child.kill().await?;
    }
    Ok(std::fs::remove_dir_all(&dir)?)
}
