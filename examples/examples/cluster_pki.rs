//! Makes every certificate of the reference cluster (3 etcd members, 1 control plane, 1 worker),
//! shows what goes where, and that a second run has nothing to do.
//!
//! Usage: `cargo run -p examples --example cluster_pki [DIRECTORY]`; without a directory the store
//! is a temporary one and is removed at the end.

#![expect(clippy::print_stdout, reason = "an example shows what it did")]

use std::path::PathBuf;

use anyhow::Context as _;
use pki::{
    AltNames, ApiUrl, CaRole, HostName, ItemId, KeySpec, KubeletClients, KubernetesVersion, Life,
    NodeNames, OsRandom, PkiPlan, PkiSpec, Store, apply, expiry,
};

fn node(name: &str, ips: &[&str]) -> anyhow::Result<NodeNames> {
    let ips = ips.iter().map(|ip| ip.parse()).collect::<Result<_, _>>()?;
    Ok(NodeNames {
        name: HostName::new(name)?,
        ips,
        api_server_url: None,
    })
}

fn reference_cluster() -> anyhow::Result<PkiSpec> {
    Ok(PkiSpec {
        cluster_name: HostName::new("lab")?,
        kubernetes_version: KubernetesVersion::new(1, 36, 1),
        dns_domain: HostName::new("cluster.local")?,
        api_service_ips: vec!["10.96.0.1".parse()?, "fd00:96::1".parse()?],
        api_extra_names: AltNames::default(),
        api_server_url: ApiUrl::new("https://10.0.1.10:6443")?,
        control_planes: vec![node("cp-0", &["10.0.1.10", "fd00:1::10"])?],
        nodes: vec![
            node("cp-0", &["10.0.1.10"])?,
            node("worker-0", &["10.0.1.20"])?,
        ],
        etcd_members: vec![
            node("etcd-0", &["10.0.0.2", "fd00::2"])?,
            node("etcd-1", &["10.0.0.3", "fd00::3"])?,
            node("etcd-2", &["10.0.0.4", "fd00::4"])?,
        ],
        authority_life: Life::AUTHORITY,
        leaf_life: Life::LEAF,
        kubelet_clients: KubeletClients::None,
        key: KeySpec::EcdsaP256,
    })
}

fn main() -> anyhow::Result<()> {
    let given = std::env::args_os().nth(1).map(PathBuf::from);
    let temporary = std::env::temp_dir().join(format!("cluster-pki-{}", std::process::id()));
    let store = Store::new(given.clone().unwrap_or_else(|| temporary.clone()));
    let spec = reference_cluster()?;
    let now = time::OffsetDateTime::now_utc();

    let plan = PkiPlan::new(&spec, &store, now).context("planning")?;
    print!("{plan}");
    let started = std::time::Instant::now();
    let report = apply(&store, &plan, now, &OsRandom).context("applying")?;
    let (written, reused) = (report.written.len(), report.reused);
    println!(
        "\n{written} written, {reused} reused in {:?}",
        started.elapsed()
    );

    println!("\nfiles of cp-0:");
    for file in spec.files_for_control_plane(&HostName::new("cp-0")?)? {
        let bytes = store.contents(&file.content)?;
        println!("  {:04o} {} ({} bytes)", file.mode, file.path, bytes.len());
    }
    let authority = store.certificate(&ItemId::Authority(CaRole::Kubernetes))?;
    println!(
        "\nkubelets join with the pin {}",
        authority.public_key_pin()
    );
    if let Some(first) = expiry(&store, now)?.first() {
        println!("the first to end: {first}");
    }
    let again = PkiPlan::new(&spec, &store, now).context("planning again")?;
    println!(
        "a second run has {}to do",
        if again.is_done() { "nothing " } else { "" }
    );
    if given.is_none() {
        std::fs::remove_dir_all(&temporary).context("removing the temporary store")?;
    }
    Ok(())
}
