//! Stores that are full, or have holes.

use crate::{client::Client, rig::Rig, task::Task};
use anyhow::{Context as _, ensure};
use serde_json::json;
use std::time::{Duration, Instant};

/// A store with a quota of 16 MiB is filled until etcd takes no more: the recipe makes room, the leader last, and writes
/// are taken again.
pub(super) async fn no_space(rig: &mut Rig) -> anyhow::Result<()> {
    rig.scene.quota_bytes = Some(16 << 20);
    rig.ask()?;
    rig.converge().await?;
    let (leader, _) = rig.leader().await?;
    let client = rig.client(leader, Duration::from_secs(10))?;
    let full = fill(&client).await?;
    ensure!(full.contains("database space exceeded"), "{full}");
    let refused = client.write(0).await;
    ensure!(refused.is_err(), "a write was taken under NOSPACE");
    // Old revisions and deleted keys, which compaction and defragmentation free.
    client
        .call(
            "/v3/kv/deleterange",
            &json!({ "key": "ZmlsbA==", "range_end": "ZmlsbQ==" }),
        )
        .await?;
    rig.scene.task = Task::Space;
    rig.ask()?;
    let began = Instant::now();
    let told = rig.tool(None).await?;
    rig.figure("recipe", began.elapsed());
    ensure!(told.done, "{}", told.failure());
    let plan = told.plan();
    let lines: Vec<&str> = plan
        .lines()
        .filter(|line| line.contains("defragment"))
        .collect();
    ensure!(lines.len() == 3, "{plan}");
    let last = lines.last().context("no line")?;
    ensure!(
        last.starts_with(&format!("etcd-{leader}: ")) && last.contains("the leader"),
        "{plan}"
    );
    let again = rig.tool(None).await?;
    ensure!(
        again.done && again.plan().is_empty(),
        "{}{}",
        again.plan(),
        again.failure()
    );
    rig.scene.task = Task::Form;
    rig.ask()?;
    let load = rig.load()?;
    rig.pass(Duration::from_secs(1)).await;
    let history = load.stop().await?;
    rig.conclude(Some(&history)).await
}

/// Writes until etcd refuses; says why it does.
async fn fill(client: &Client) -> anyhow::Result<String> {
    for n in 0..100 {
        if let Err(error) = client.fill(&format!("fill/{n}"), 1024).await {
            return Ok(error.to_string());
        }
    }
    anyhow::bail!("100 MiB went into a store of 16 MiB")
}
