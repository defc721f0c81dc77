//! Members come and go.

use crate::{rig::Rig, task::Task};
use anyhow::ensure;
use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

/// Three members become five and then three others under load: the leader goes, and one more. The tool is killed twice on
/// each way.
pub(super) async fn grow_and_shrink(rig: &mut Rig) -> anyhow::Result<()> {
    rig.converge().await?;
    rig.scene.remember(rig.scene.spec()?.history())?;
    let load = rig.load()?;
    rig.pass(Duration::from_secs(1)).await;
    for number in [4, 5] {
        rig.add_machine(number).await?;
        let pairs = rig.authorities.pairs(number)?;
        rig.scene.pairs.insert(number, pairs);
        rig.scene.members.push(number);
    }
    change(rig, BTreeSet::new(), 24, "3 to 5").await?;
    rig.converge().await?;
    let (leader, _) = rig.leader().await?;
    let other = *rig.dice.one_of(&rig.others(leader));
    let gone = BTreeSet::from([leader, other]);
    change(rig, gone.clone(), 10, "5 to 3").await?;
    rig.note().await?;
    rig.scene.members.retain(|number| !gone.contains(number));
    rig.ask()?;
    let history = load.stop().await?;
    for number in gone {
        ensure!(
            rig.process(number).await?.is_none(),
            "etcd-{number} still runs"
        );
    }
    rig.conclude(Some(&history)).await
}

async fn change(
    rig: &mut Rig,
    remove: BTreeSet<u8>,
    events: u64,
    figure: &str,
) -> anyhow::Result<()> {
    rig.scene.task = Task::Members {
        remove,
        replace: BTreeSet::new(),
    };
    rig.ask()?;
    let started = Instant::now();
    let kills = rig.kill_twice(events).await?;
    let told = rig.tool(None).await?;
    ensure!(told.done, "{figure}, {kills} kills: {}", told.failure());
    rig.figure(&format!("{figure}, {kills} kills"), started.elapsed());
    let again = rig.tool(None).await?;
    let plan = again.plan();
    ensure!(again.done && plan.is_empty(), "{plan}{}", again.failure());
    rig.scene.task = Task::Form;
    rig.ask()
}
