//! Faults of who a member is.

use crate::rig::Rig;
use anyhow::ensure;
use std::time::{Duration, Instant};

/// A machine comes back from an earlier cluster: its data only, or its member running.
pub(super) async fn foreign(rig: &mut Rig) -> anyhow::Result<()> {
    let stranger = 3;
    rig.scene.token = "faults-of-old".into();
    rig.ask()?;
    rig.converge().await?;
    let old = rig.scene.spec()?.cluster_id();
    if rig.setting.seed.is_multiple_of(2) {
        rig.stop(stranger).await?;
    }
    for machine in [1, 2] {
        rig.raze_machine(machine).await?;
    }
    rig.scene.token = "faults-1".into();
    rig.ask()?;
    let started = Instant::now();
    let refusal = rig.refused().await?;
    let took = started.elapsed();
    rig.figure("refused", took);
    ensure!(
        took < Duration::from_secs(15),
        "refused only after {took:?}"
    );
    let new = rig.scene.spec()?.cluster_id().to_string();
    for named in ["etcd-3", &old.to_string(), &new] {
        ensure!(
            refusal.contains(named),
            "it does not name {named}: {refusal}"
        );
    }
    for machine in [1, 2] {
        ensure!(
            rig.process(machine).await?.is_none(),
            "it started {machine}"
        );
    }
    // The remedy that it names.
    rig.stop(stranger).await?;
    let data = rig.data_dir(stranger);
    std::fs::rename(&data, data.with_extension("of-old"))?;
    rig.conclude(None).await
}

/// Both authorities are replaced under load: first the bundles hold old and new, then the leaves are new, then the bundles.
pub(super) async fn ca_rotation(rig: &mut Rig) -> anyhow::Result<()> {
    rig.converge().await?;
    let load = rig.load()?;
    rig.pass(Duration::from_secs(1)).await;
    let calm = load.now();
    let new = crate::scene::Authorities::new()?;
    rig.scene.client_ca += new.clients.certificate_pem();
    rig.scene.peer_ca += new.peers.certificate_pem();
    rig.ask()?;
    rig.converge().await?;
    rig.authorities = new;
    rig.renew_leaves()?;
    rig.ask()?;
    rig.converge().await?;
    load.renew(rig.clients()?);
    rig.scene.client_ca = rig.authorities.clients.certificate_pem().into();
    rig.scene.peer_ca = rig.authorities.peers.certificate_pem().into();
    rig.ask()?;
    rig.converge().await?;
    let end = load.now();
    let history = load.stop().await?;
    let gap = history.longest_gap(calm, end);
    rig.figure("gap", gap);
    ensure!(gap < Duration::from_secs(3), "no write for {gap:?}");
    rig.conclude(Some(&history)).await
}
