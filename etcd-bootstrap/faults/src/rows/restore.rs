//! Snapshots, and clusters made anew from them.

use crate::{rig::Rig, scene::member_name, task::Task};
use anyhow::{Context as _, ensure};
use etcd_bootstrap::{
    SnapshotRecord, StoredSnapshot, check_whole, restore as library, snapshot as take,
};
use serde_json::json;
use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

/// A snapshot is taken under load. Cut at any byte or with any sampled bit flipped it is refused, by our own check and,
/// at some places, by etcdutl too.
pub(super) async fn snapshot(rig: &mut Rig) -> anyhow::Result<()> {
    rig.converge().await?;
    let load = rig.load()?;
    rig.pass(Duration::from_secs(1)).await;
    let began = Instant::now();
    let path = rig.path("snapshot.db");
    let record = take_one(rig, 1, &path).await?;
    rig.figure("snapshot under load", began.elapsed());
    let history = load.stop().await?;
    let stored = StoredSnapshot::read(&path)?;
    ensure!(stored.record.as_ref() == Some(&record), "{stored:?}");
    let whole = fs::read(&path)?;
    for cut in 0..whole.len() {
        ensure!(
            check_whole(&whole[..cut]).is_err(),
            "cut at {cut} was taken"
        );
    }
    for _ in 0..200 {
        let mut bytes = whole.clone();
        let at = usize::try_from(rig.dice.below(u64::try_from(bytes.len())?))?;
        bytes[at] ^= 1 << rig.dice.below(8);
        ensure!(check_whole(&bytes).is_err(), "a flip at {at} was taken");
    }
    let bad = rig.path("bad.db");
    fs::write(&bad, &whole[..whole.len() - 512])?;
    ensure!(StoredSnapshot::read(&bad).is_err(), "a cut file was taken");
    // What would come of it: the tool refuses before it stops anybody.
    let before = rig.process(1).await?;
    rig.scene.token = "faults-2".into();
    let asked = begin(rig, &bad, false)?;
    let refusal = rig.refused().await?;
    ensure!(refusal.contains("snapshot"), "{refusal}");
    ensure!(
        rig.process(1).await? == before,
        "a member was stopped for a bad snapshot"
    );
    rig.scene = asked;
    rig.scene.token = "faults-1".into();
    rig.ask()?;
    rig.conclude(Some(&history)).await
}

/// A cluster goes back to a snapshot, by a tool that is killed after each of its events.
pub(super) async fn restore(rig: &mut Rig) -> anyhow::Result<()> {
    rig.converge().await?;
    let path = rig.path("snapshot.db");
    let snapshot = written(rig, &path).await?;
    let before = keys(rig, 1).await?;
    let client = rig.client(1, Duration::from_secs(5))?;
    client.fill("log/after-the-snapshot", 1).await?;
    let old = snapshot.status.revision;
    // A token that was used is refused before anything is touched.
    let asked = begin(rig, &path, false)?;
    let refusal = rig.refused().await?;
    ensure!(refusal.contains("faults-1 already"), "{refusal}");
    ensure!(rig.process(1).await?.is_some(), "a member was stopped");
    rig.scene.token = "faults-2".into();
    rig.ask()?;
    let began = Instant::now();
    let mut kills = 0;
    loop {
        let told = rig.tool(Some(kills + 1)).await?;
        ensure!(
            told.failure().is_empty(),
            "after {kills} kills: {}",
            told.failure()
        );
        if told.done {
            break;
        }
        // What a killed run had half made is made anew; the data of before was noted when the cluster was formed.
        kills += 1;
    }
    rig.figure("restore with kills", began.elapsed());
    rig.figures
        .insert("kills (count)".into(), f64::from(u32::try_from(kills)?));
    restored(rig, asked, old, &before).await
}

/// Two of three members lose their data; the third one's store is all that is left.
pub(super) async fn two_of_three_lost(rig: &mut Rig) -> anyhow::Result<()> {
    rig.converge().await?;
    let path = rig.path("snapshot.db");
    let snapshot = written(rig, &path).await?;
    let before = keys(rig, 1).await?;
    let left = *rig.dice.one_of(&rig.scene.members.clone());
    for number in rig.scene.members.clone() {
        rig.stop(number).await?;
        if number != left {
            let aside = rig.machine_dir(number).join("var/lost");
            fs::rename(rig.data_dir(number), aside)?;
        }
    }
    let spec = rig.scene.spec()?;
    let path = rig.path("salvaged.db");
    library::salvage(&spec, &member_name(left), rig.host(left)?, &path).await?;
    let asked = begin(rig, &path, false)?;
    rig.scene.token = "faults-2".into();
    rig.ask()?;
    let refusal = rig.refused().await?;
    ensure!(
        refusal.contains("no whole snapshot"),
        "without being told it takes a copy: {refusal}"
    );
    begin(rig, &path, true)?;
    let began = Instant::now();
    let told = rig.tool(None).await?;
    ensure!(told.done, "{}", told.failure());
    ensure!(told.plan().starts_with("WARNING: "), "{}", told.plan());
    rig.figure("restore", began.elapsed());
    restored(rig, asked, snapshot.status.revision, &before).await
}

/// Gives the tool a restore; returns what was asked before.
fn begin(
    rig: &mut Rig,
    snapshot: &Path,
    without_checksum: bool,
) -> anyhow::Result<crate::scene::Scene> {
    let asked = rig.scene.clone();
    // Who is restored founds a cluster.
    let _ = fs::remove_file(&rig.scene.history_file);
    rig.scene.task = Task::Restore {
        snapshot: snapshot.to_owned(),
        without_checksum,
    };
    rig.ask()?;
    Ok(asked)
}

/// Some seconds of load, its history checked, and a snapshot after it.
async fn written(rig: &mut Rig, to: &Path) -> anyhow::Result<SnapshotRecord> {
    let load = rig.load()?;
    rig.pass(Duration::from_secs(1)).await;
    let history = load.stop().await?;
    rig.conclude(Some(&history)).await?;
    take_one(rig, 1, to).await
}

async fn take_one(rig: &Rig, number: u8, to: &Path) -> anyhow::Result<SnapshotRecord> {
    let spec = rig.scene.spec()?;
    Ok(take(&spec, &member_name(number), rig.host(number)?, to).await?)
}

/// All keys with their values.
async fn keys(rig: &Rig, number: u8) -> anyhow::Result<BTreeSet<String>> {
    let client = rig.client(number, Duration::from_secs(10))?;
    let all = json!({ "key": "AA==", "range_end": "AA==" });
    let answer = client.call("/v3/kv/range", &all).await?;
    let kvs = answer["kvs"].as_array().cloned().unwrap_or_default();
    Ok(kvs
        .iter()
        .map(|kv| format!("{}={}", kv["key"], kv["value"]))
        .collect())
}

/// What must hold after a restore.
async fn restored(
    rig: &mut Rig,
    asked: crate::scene::Scene,
    old: i64,
    before: &BTreeSet<String>,
) -> anyhow::Result<()> {
    let again = rig.tool(None).await?;
    ensure!(
        again.done && again.plan().is_empty(),
        "a second run: {}{}",
        again.plan(),
        again.failure()
    );
    for number in rig.scene.members.clone() {
        ensure!(
            keys(rig, number).await? == *before,
            "member {number} has other keys"
        );
        let status = rig.probe()?.status(&member_name(number)).await;
        let status = status.map_err(anyhow::Error::msg)?;
        let least = u64::try_from(old)? + library::KUBERNETES_BUMP;
        ensure!(status.revision >= least, "{} < {least}", status.revision);
        let client = rig.client(number, Duration::from_secs(5))?;
        let at = json!({ "key": "AA==", "range_end": "AA==", "revision": old });
        let past = client.call("/v3/kv/range", &at).await.err();
        let past = past.map(|error| error.to_string()).unwrap_or_default();
        ensure!(
            past.contains("compacted"),
            "the old revision is there: {past}"
        );
    }
    rig.scene.task = asked.task;
    rig.ask()?;
    rig.conclude(None).await
}

/// Where an etcd of each minor is, oldest first.
pub(super) fn programs() -> anyhow::Result<Vec<PathBuf>> {
    let dirs = std::env::var("LAB_ETCD_DIRS");
    let dirs = dirs.context(
        "LAB_ETCD_DIRS names the directories of etcd 3.5, 3.6 and 3.7, with ':' between",
    )?;
    Ok(dirs
        .split(':')
        .map(|dir| Path::new(dir).join("etcd"))
        .collect())
}
