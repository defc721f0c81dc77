//! Whether the check would find what it looks for.

use crate::{
    linear::{Verdict, check},
    load::Load,
    rig::{Direction, Rig},
};
use anyhow::ensure;
use std::time::Duration;

/// Clients that are content with what their member has read old values from one that is cut off. The check has to find
/// them in the history.
pub(super) async fn stale_reads_are_found(rig: &mut Rig) -> anyhow::Result<()> {
    rig.converge().await?;
    let content = rig.clients()?.into_iter().map(|c| c.with_stale_reads());
    let load = Load::start(content.collect(), &rig.values(), &mut rig.dice);
    rig.pass(Duration::from_secs(1)).await;
    let (leader, _) = rig.leader().await?;
    let minority = rig.others(leader)[0];
    rig.cut(minority, &rig.others(minority), Direction::Both)
        .await?;
    rig.pass(Duration::from_secs(2)).await;
    rig.heal(minority).await?;
    let history = load.stop().await?;
    let verdict = check(&history.operations, 2_000_000);
    let found = matches!(verdict, Verdict::Violated { .. });
    ensure!(
        found,
        "the stale reads of a partition were not found: {verdict:?}"
    );
    rig.ready(&rig.scene.members, Duration::from_secs(20))
        .await?;
    rig.conclude(None).await
}
