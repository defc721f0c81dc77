//! Faults while a cluster forms.

use crate::rig::Rig;
use anyhow::{Context as _, ensure};
use nix::sys::signal::Signal;
use std::{
    fs,
    time::{Duration, Instant},
};

/// The tool is killed after each event, and run again. Of three seeds in a row each takes every third event of a
/// formation, and two events of a roll under load.
pub(super) async fn kill_tool(rig: &mut Rig) -> anyhow::Result<()> {
    let mut last = 1 + usize::try_from(rig.setting.seed % 3)?;
    let mut kills = 0;
    loop {
        let told = rig.tool(Some(last)).await?;
        ensure!(told.failure().is_empty(), "{}", told.failure());
        rig.note().await?;
        if told.done {
            break;
        }
        kills += 1;
        rig.converge()
            .await
            .with_context(|| format!("killed after event {last} of a formation"))?;
        rig.raze().await?;
        last += 3;
    }
    let load = rig.load()?;
    for _ in 0..2 {
        // Another authority in the bundle has every member restarted.
        rig.scene.peer_ca += crate::material::authority("one-more")?.certificate_pem();
        rig.ask()?;
        let last = 1 + usize::try_from(rig.dice.below(24))?;
        let told = rig.tool(Some(last)).await?;
        kills += u32::from(!told.done);
        rig.converge()
            .await
            .with_context(|| format!("killed after event {last} of a roll"))?;
    }
    let history = load.stop().await?;
    rig.figures.insert("kills (count)".into(), kills.into());
    rig.conclude(Some(&history)).await
}

/// A member is killed while the cluster forms; systemd starts it again after a second.
pub(super) async fn kill_member(rig: &mut Rig) -> anyhow::Result<()> {
    let victim = *rig.dice.one_of(&rig.scene.members.clone());
    let after = rig.dice.time(Duration::from_millis(500));
    let tool = rig.start_tool(None)?;
    let here = &*rig;
    let up = || async move { here.process(victim).await.ok()? };
    rig.eventually("start of the victim", Duration::from_secs(20), up)
        .await?;
    rig.pass(after).await;
    rig.signal(victim, Signal::SIGKILL).await?;
    let killed = Instant::now();
    rig.ready(&rig.others(victim), Duration::from_secs(20))
        .await?;
    rig.figure("quorum", killed.elapsed());
    rig.ready(&[victim], Duration::from_secs(20)).await?;
    rig.figure("all ready", killed.elapsed());
    let told = tool.told().await?;
    ensure!(told.done, "{}", told.failure());
    rig.conclude(None).await
}

/// Two of three machines start their service a minute late; 8 s in CI.
pub(super) async fn two_late(rig: &mut Rig) -> anyhow::Result<()> {
    let late = Duration::from_secs(if rig.setting.long { 60 } else { 8 });
    rig.scene.ready_limit = late * 3;
    rig.ask()?;
    for machine in [2, 3] {
        fs::create_dir_all(rig.machine_dir(machine))?;
        rig.hold(machine, true)?;
    }
    let tool = rig.start_tool(None)?;
    rig.pass(late).await;
    rig.note().await?;
    for machine in [2, 3] {
        rig.hold(machine, false)?;
    }
    let released = Instant::now();
    let told = tool.told().await?;
    rig.figure("done after the last start", released.elapsed());
    ensure!(told.done, "{}", told.failure());
    for machine in ["etcd-2", "etcd-3"] {
        ensure!(
            told.told_of(machine, ""),
            "it did not say that {machine} is missing"
        );
    }
    ensure!(
        told.told_of("etcd-1", "majority"),
        "it did not say what etcd-1 waits for: {:?}",
        told.lines
    );
    rig.conclude(None).await
}
