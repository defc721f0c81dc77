//! Faults between members.

use crate::{
    delay,
    rig::{Direction, Rig},
};
use anyhow::ensure;
use std::time::{Duration, Instant};

/// A member is cut off from the others, while its clients still reach it: a follower, the leader, or a leader that still
/// speaks and hears nothing.
///
/// How long it takes to heal depends on how long it lasted. Who sends into a partition sends again after 0.2, 0.6, 1.4, 3.0
/// and 6.2 s (Linux doubles the retransmission time-out), and does not know that it is over before the next of these. Only
/// after 5 s without a word rafthttp gives a connection up (`ConnReadTimeout`) and dials anew.
pub(super) async fn partition(rig: &mut Rig) -> anyhow::Result<()> {
    rig.converge().await?;
    let load = rig.load()?;
    rig.pass(Duration::from_secs(1)).await;
    let (leader, _) = rig.leader().await?;
    let (minority, direction, kind) = match rig.setting.seed % 3 {
        0 => (rig.others(leader)[0], Direction::Both, "follower cut off"),
        1 => (leader, Direction::Both, "leader cut off"),
        _ => (leader, Direction::In, "leader hears nothing"),
    };
    rig.cut(minority, &rig.others(minority), direction).await?;
    let cut = load.now();
    let milliseconds = *rig.dice.one_of(&[2500, 4000, 5500]);
    rig.pass(Duration::from_millis(milliseconds)).await;
    let healing = load.now();
    rig.heal(minority).await?;
    let healed = Instant::now();
    rig.ready(&rig.scene.members, Duration::from_secs(20))
        .await?;
    let figure = format!("healed after {milliseconds} ms");
    rig.figure(&figure, healed.elapsed());
    rig.pass(Duration::from_secs(1)).await;
    let end = load.now();
    let history = load.stop().await?;
    let gap = history.longest_gap(cut, end);
    rig.figure(&format!("gap, {kind}"), gap);
    ensure!(gap < Duration::from_secs(9), "no write for {gap:?}");
    // The first clients speak each with one member only, in the order of their numbers.
    let acknowledged = history.written_by(u32::from(minority) - 1, cut, healing);
    ensure!(
        acknowledged == 0,
        "the minority acknowledged {acknowledged} writes"
    );
    rig.conclude(Some(&history)).await
}

/// A cluster forms while bytes between members take 75 +- 50 ms each way and one packet of twenty is lost.
pub(super) async fn latency_and_loss(rig: &mut Rig) -> anyhow::Result<()> {
    let delays = delay::between_all(rig).await?;
    let started = Instant::now();
    let told = rig.tool(None).await?;
    ensure!(told.done, "{}", told.failure());
    let took = started.elapsed();
    rig.figure("formed", took);
    ensure!(took < Duration::from_secs(60), "formed only after {took:?}");
    let load = rig.load()?;
    rig.pass(Duration::from_secs(3)).await;
    let history = load.stop().await?;
    delays.take_back(rig).await?;
    for number in &rig.scene.members {
        let kept = rig.machine_dir(*number).join("var/lib");
        let names = std::fs::read_dir(kept)?.count();
        ensure!(
            names == 1,
            "something beside the data directory of {number}"
        );
    }
    rig.conclude(Some(&history)).await
}
