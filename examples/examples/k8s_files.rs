//! Prints every file and step of a control plane and a worker; secret files are named, not shown.
//! Touches nothing but a temporary store of certificates.
//!
//! Usage: `cargo run -p examples --example k8s_files [VERSION]`

#![expect(clippy::print_stdout, reason = "an example shows what it did")]

use host_exec::Contents;
use k8s_bootstrap::{
    ClusterSpec, Desired, DualAddress, DualNet, ExpiringToken, Material, NodeSpec, Observed, plan,
};
use pki::{BootstrapToken, OsRandom, PkiPlan, Store};

fn node(name: &str, number: u8) -> anyhow::Result<NodeSpec> {
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
        routes: Vec::new(),
        programs: None,
    })
}

fn certificates(spec: &ClusterSpec) -> anyhow::Result<Material> {
    let pki_spec = spec.certificates(Vec::new())?;
    let now = time::OffsetDateTime::now_utc();
    let directory = std::env::temp_dir().join(format!("k8s-files-{}", std::process::id()));
    let store = Store::new(&directory);
    pki::apply(
        &store,
        &PkiPlan::new(&pki_spec, &store, now)?,
        now,
        &OsRandom,
    )?;
    let (token, expires) = (
        BootstrapToken::draw(&OsRandom)?,
        now + time::Duration::hours(1),
    );
    let material = Material::from_store(&pki_spec, &store, ExpiringToken { token, expires })?;
    std::fs::remove_dir_all(&directory)?;
    Ok(material)
}

fn main() -> anyhow::Result<()> {
    let version = std::env::args().nth(1).unwrap_or_else(|| "1.37.2".into());
    let pods = DualNet {
        v4: "10.244.0.0/16".parse()?,
        v6: "fd44::/48".parse()?,
    };
    let etcd = vec!["10.10.0.10:2379".parse()?];
    let mut spec = ClusterSpec::new(version.parse()?, etcd, pods, node("cp-0", 10)?)?;
    spec.workers.push(node("worker-0", 20)?);

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
    println!("===== what would be done");
    print!("{}", plan(&desired, &Observed::default()));
    Ok(())
}
