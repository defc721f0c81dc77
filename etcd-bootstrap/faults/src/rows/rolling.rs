//! All members are restarted, one after the other.

use crate::rig::{Rig, Told};
use anyhow::ensure;
use host_exec::Progress;
use std::time::Duration;

/// How often a setting is changed that members read at their start.
const ROUNDS: u32 = 4;
/// The most writes of the clients that roam which one hand-over may cost: each of three has one call under way at a time, and
/// may make two more, one at each other member, before the hand-over is done.
const DROPPED: u32 = 9;

/// A setting is changed again and again under load. Each round hands the lead over once, and more often only after an
/// election; what etcd drops meanwhile is bounded.
pub(super) async fn restart(rig: &mut Rig) -> anyhow::Result<()> {
    rig.converge().await?;
    let load = rig.load()?;
    rig.pass(Duration::from_secs(1)).await;
    let calm = load.now();
    let (_, before) = rig.leader().await?;
    let mut hand_overs = 0;
    for round in 0..ROUNDS {
        rig.scene.snapshot_entries = Some(5000 + u64::from(round));
        rig.ask()?;
        hand_overs += hand_overs_of(&rig.converge().await?);
    }
    let (_, after) = rig.leader().await?;
    let end = load.now();
    let history = load.stop().await?;
    let gap = history.longest_gap(calm, end);
    rig.figure("gap", gap);
    ensure!(gap < Duration::from_secs(3), "no write for {gap:?}");
    // Each hand-over and each election begins a term.
    let terms = u32::try_from(after - before)?;
    let counts = [("hand-overs (count)", hand_overs), ("terms (count)", terms)];
    for (name, count) in counts {
        rig.figures.insert(name.into(), count.into());
    }
    let elections = terms.saturating_sub(hand_overs);
    // An election may give the lead to a member whose turn is yet to come, or take it from the one whose turn is last.
    ensure!(
        hand_overs.abs_diff(ROUNDS) <= elections,
        "{hand_overs} hand-overs and {elections} elections in {ROUNDS} rounds"
    );
    let failed = u32::try_from(history.failed_writes(rig.scene.members.len()))?;
    ensure!(
        failed <= DROPPED * terms,
        "{failed} writes were not answered in {terms} terms"
    );
    rig.conclude(Some(&history)).await
}

/// How often the tool had a leader hand over.
fn hand_overs_of(told: &Told) -> u32 {
    let hands_over = |progress: &Progress| match progress {
        Progress::Running(said) => u32::from(said.starts_with("hands over the lead")),
        _ => 0,
    };
    told.events().map(|event| hands_over(&event.progress)).sum()
}
