//! Faults of who a member is.

use crate::{
    material::{LEAF_LIFE, authority, leaf},
    rig::Rig,
    scene::address,
};
use anyhow::ensure;
use std::time::{Duration, Instant};
use time::OffsetDateTime;

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

/// A peer certificate that begins in a quarter of an hour; or good ones, and a machine whose clock is an hour behind.
pub(super) async fn clock_skew(rig: &mut Rig) -> anyhow::Result<()> {
    let victim = *rig.dice.one_of(&rig.scene.members.clone());
    let good = rig.scene.clone();
    let by_clock = rig.setting.seed.is_multiple_of(2);
    if by_clock {
        rig.set_clock(victim, -3600)?;
    } else {
        let later = OffsetDateTime::now_utc() + time::Duration::minutes(15);
        let peer = leaf(&rig.authorities.peers, &[address(victim).into()], later)?;
        rig.pairs_of(victim)?.peer = peer;
        rig.ask()?;
    }
    let started = Instant::now();
    let refusal = rig.refused().await?;
    rig.figure("refused", started.elapsed());
    let named = match by_clock {
        true => "s behind the one here; set that clock",
        false => "the clock here says",
    };
    let member = format!("member etcd-{victim}: /etc/etcd/pki/");
    for named in [member.as_str(), "is valid only from", named] {
        ensure!(
            refusal.contains(named),
            "it does not say {named:?}: {refusal}"
        );
    }
    for machine in rig.scene.members.clone() {
        ensure!(
            rig.process(machine).await?.is_none(),
            "it started {machine}"
        );
    }
    rig.set_clock(victim, 0)?;
    rig.scene = good;
    rig.ask()?;
    rig.conclude(None).await
}

/// A peer certificate that has expired, is for another address, or is by another authority: given to the tool, which has
/// to refuse it; and put onto a running member, which gets the good one back without a restart.
pub(super) async fn bad_peer_certificate(rig: &mut Rig) -> anyhow::Result<()> {
    rig.converge().await?;
    let load = rig.load()?;
    let victim = *rig.dice.one_of(&rig.scene.members.clone());
    let (own, other) = (address(victim).into(), address(99).into());
    let now = OffsetDateTime::now_utc();
    let (peers, stranger) = (&rig.authorities.peers, authority("stranger")?);
    let (bad, why) = match rig.setting.seed % 3 {
        0 => (leaf(peers, &[own], now - LEAF_LIFE - LEAF_LIFE)?, "expired"),
        1 => (leaf(peers, &[other], now)?, "lacks the address"),
        _ => (leaf(&stranger, &[own], now)?, "was signed by"),
    };
    let before = rig.processes().await?;
    let good = std::mem::replace(&mut rig.pairs_of(victim)?.peer, bad.clone());
    rig.ask()?;
    let started = Instant::now();
    let refusal = rig.refused().await?;
    rig.figure("refused", started.elapsed());
    for named in [format!("member etcd-{victim}: ").as_str(), why] {
        ensure!(
            refusal.contains(named),
            "it does not say {named:?}: {refusal}"
        );
    }
    rig.pairs_of(victim)?.peer = good;
    rig.ask()?;
    let pki = rig.machine_dir(victim).join("etc/etcd/pki");
    std::fs::write(pki.join("peer.crt"), bad.certificate)?;
    std::fs::write(pki.join("peer.key"), bad.key)?;
    let told = rig.converge().await?;
    ensure!(told.plan().contains("peer.crt"), "{}", told.plan());
    ensure!(before == rig.processes().await?, "a member was restarted");
    let history = load.stop().await?;
    rig.conclude(Some(&history)).await
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
