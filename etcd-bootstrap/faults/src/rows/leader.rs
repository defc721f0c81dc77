//! Faults of the member that leads.

use crate::rig::Rig;
use anyhow::ensure;
use nix::sys::signal::Signal;
use std::time::Duration;

/// What the load needs to have written something before and after.
const AROUND: Duration = Duration::from_secs(1);

/// SIGKILL; systemd starts it again after a second.
pub(super) async fn kill(rig: &mut Rig) -> anyhow::Result<()> {
    rig.converge().await?;
    let load = rig.load()?;
    let calm = load.now();
    rig.pass(AROUND).await;
    let (leader, _) = rig.leader().await?;
    let killed = load.now();
    rig.signal(leader, Signal::SIGKILL).await?;
    rig.pass(Duration::from_secs(3)).await;
    rig.ready(&rig.scene.members, Duration::from_secs(20))
        .await?;
    rig.pass(AROUND).await;
    let end = load.now();
    let history = load.stop().await?;
    rig.figure("gap before", history.longest_gap(calm, killed));
    let gap = history.longest_gap(killed, end);
    rig.figure("gap", gap);
    // Two elections and a second, threefold for a busy machine.
    ensure!(gap < Duration::from_secs(9), "no write for {gap:?}");
    rig.conclude(Some(&history)).await
}

/// SIGTERM: it hands over before it ends.
pub(super) async fn stop(rig: &mut Rig) -> anyhow::Result<()> {
    rig.converge().await?;
    let load = rig.load()?;
    let calm = load.now();
    rig.pass(AROUND).await;
    let (leader, _) = rig.leader().await?;
    let stopped = load.now();
    rig.stop(leader).await?;
    rig.pass(AROUND).await;
    let end = load.now();
    rig.start(leader).await?;
    rig.ready(&rig.scene.members, Duration::from_secs(20))
        .await?;
    let history = load.stop().await?;
    rig.figure("gap before", history.longest_gap(calm, stopped));
    let gap = history.longest_gap(stopped, end);
    rig.figure("gap", gap);
    ensure!(gap < Duration::from_secs(3), "no write for {gap:?}");
    rig.conclude(Some(&history)).await
}

/// SIGSTOP for one or three seconds, of the leader or another member.
pub(super) async fn pause(rig: &mut Rig) -> anyhow::Result<()> {
    rig.converge().await?;
    let load = rig.load()?;
    rig.pass(AROUND).await;
    let (leader, term) = rig.leader().await?;
    let members = rig.scene.members.clone();
    let (victim, whom) = match rig.setting.seed % 3 {
        0 => (*rig.dice.one_of(&rig.others(leader)), "a follower"),
        _ => (leader, "the leader"),
    };
    let seconds = *rig.dice.one_of(&[1, 3]);
    let paused = load.now();
    rig.signal(victim, Signal::SIGSTOP).await?;
    rig.pass(Duration::from_secs(seconds)).await;
    rig.signal(victim, Signal::SIGCONT).await?;
    rig.ready(&members, Duration::from_secs(20)).await?;
    rig.pass(AROUND).await;
    let end = load.now();
    let (_, after) = rig.leader().await?;
    let history = load.stop().await?;
    rig.figure(
        &format!("gap, {whom} paused for {seconds} s"),
        history.longest_gap(paused, end),
    );
    let changes = u32::try_from(after - term)?;
    rig.figures.insert("terms (count)".into(), changes.into());
    // One is what is meant; a busy machine may have its members miss heartbeats once more.
    ensure!(changes <= 3, "{changes} elections for one pause");
    rig.conclude(Some(&history)).await
}
