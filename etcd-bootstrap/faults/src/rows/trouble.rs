//! Faults of what a member keeps.

use crate::{rig::Rig, task::Task};
use anyhow::ensure;
use std::{
    collections::BTreeSet,
    fs,
    time::{Duration, Instant},
};

/// The data directory of a member is gone while it is stopped: it must not be started as if it were new. Then it is replaced;
/// in two of three seeds by a tool that is killed twice on the way.
pub(super) async fn lost_data(rig: &mut Rig) -> anyhow::Result<()> {
    rig.converge().await?;
    let load = rig.load()?;
    rig.pass(Duration::from_secs(1)).await;
    let victim = *rig.dice.one_of(&rig.scene.members.clone());
    rig.stop(victim).await?;
    fs::remove_dir_all(rig.data_dir(victim))?;
    rig.forget_logs(victim);
    let refusal = rig.refused().await?;
    ensure!(
        refusal.contains(&format!("etcd-{victim}")) && refusal.contains("is empty now"),
        "{refusal}"
    );
    ensure!(
        rig.process(victim).await?.is_none(),
        "it was started all the same"
    );
    let ids = rig.scene.spec()?.member_ids();
    rig.scene.task = Task::Members {
        remove: BTreeSet::new(),
        replace: [victim].into(),
    };
    rig.ask()?;
    let started = Instant::now();
    let kills = match rig.setting.seed % 3 {
        0 => 0,
        _ => rig.kill_twice(14).await?,
    };
    let told = rig.tool(None).await?;
    ensure!(told.done, "after {kills} kills: {}", told.failure());
    rig.figure(&format!("replaced, {kills} kills"), started.elapsed());
    rig.scene.task = Task::Form;
    rig.ask()?;
    let history = load.stop().await?;
    let after = rig.scene.spec()?.member_ids();
    let changed = ids.iter().filter(|(name, id)| after.get(name) != Some(id));
    let changed: Vec<_> = changed.map(|(name, _)| name.to_string()).collect();
    ensure!(
        changed == [format!("etcd-{victim}")],
        "IDs changed: {changed:?}"
    );
    rig.conclude(Some(&history)).await
}
