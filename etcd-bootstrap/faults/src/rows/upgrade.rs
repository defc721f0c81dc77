//! From minor to minor, under load.

use super::restore::programs;
use crate::{
    load::Load,
    rig::{Rig, version},
    task::Task,
};
use anyhow::{Context as _, ensure};
use etcd_bootstrap::MemberState;
use std::{
    fs,
    os::unix::fs::{PermissionsExt as _, symlink},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

/// Before the last minor the tool fills the raft logs until each member writes a snapshot of it: 10000 entries by default,
/// which takes longer than all else that is done here.
const SNAPSHOT_ENTRIES: u64 = 1000;

/// How many events of the tool there are in the change of one version.
const EVENTS: u64 = 36;

/// 3.5 becomes 3.6 becomes 3.7 under load, and nobody misses a write. In two of three seeds the tool is killed twice on
/// each way.
pub(super) async fn three_minors(rig: &mut Rig) -> anyhow::Result<()> {
    let programs = versions(rig).await?;
    let [oldest, rest @ ..] = programs.as_slice() else {
        anyhow::bail!("LAB_ETCD_DIRS names nothing");
    };
    ensure!(rest.len() == 2, "three minors are needed: {programs:?}");
    begin_with(rig, oldest).await?;
    // Two minors at once are refused.
    ask(rig, &rest[1])?;
    let refusal = rig.refused().await?;
    ensure!(refusal.contains("one minor at a time"), "{refusal}");
    let load = rig.load()?;
    rig.pass(Duration::from_secs(1)).await;
    let from = load.now();
    for (path, version) in rest {
        ask(rig, &(path.clone(), version.clone()))?;
        let (plan, kills) = with_kills(rig, version).await?;
        let last = plan.lines().last().unwrap_or_default();
        ensure!(
            kills > 0 || plan.contains("hand the lead over") && last.contains(" becomes "),
            "{plan}"
        );
        arrived(rig, path, version).await?;
    }
    written_throughout(rig, load, from).await
}

/// 3.7 becomes 3.6, or 3.6 becomes 3.5 in every other seed, and what it was again. The tool is killed as in
/// [`three_minors`].
pub(super) async fn downgrade(rig: &mut Rig) -> anyhow::Result<()> {
    let programs = versions(rig).await?;
    let [oldest, middle, newest] = programs.as_slice() else {
        anyhow::bail!("three minors are needed: {programs:?}");
    };
    let (old, new) = match rig.setting.seed % 2 {
        0 => (oldest, middle),
        _ => (middle, newest),
    };
    begin_with(rig, new).await?;
    let load = rig.load()?;
    rig.pass(Duration::from_secs(1)).await;
    let from = load.now();
    // By its program alone it is refused.
    ask(rig, old)?;
    let refusal = rig.refused().await?;
    ensure!(refusal.contains("is a downgrade"), "{refusal}");
    for to in [old, new] {
        ask(rig, to)?;
        if let (true, Task::Upgrade { program, version }) = (to == old, rig.scene.task.clone()) {
            rig.scene.task = Task::Downgrade { program, version };
            rig.ask()?;
        }
        with_kills(rig, &to.1).await?;
        arrived(rig, &to.0, &to.1).await?;
    }
    written_throughout(rig, load, from).await
}

/// Another run has nothing to do, which the next minor asks for: the version of the cluster has gone on.
async fn arrived(rig: &mut Rig, path: &Path, version: &str) -> anyhow::Result<()> {
    settle(rig, path, version)?;
    let again = rig.tool(None).await?;
    ensure!(again.done && again.plan().is_empty(), "{}", again.plan());
    Ok(())
}

/// Ends the load, and says how long nobody could write since `from`.
async fn written_throughout(rig: &mut Rig, load: Load, from: u64) -> anyhow::Result<()> {
    let to = load.now();
    let history = load.stop().await?;
    rig.figure("longest gap between writes", history.longest_gap(from, to));
    rig.scene.task = Task::Form;
    rig.ask()?;
    rig.conclude(Some(&history)).await
}

/// Does what is asked for; in two of three seeds by a tool that is killed twice on the way. Gives the plan of the run that
/// ended, and how often it was killed.
async fn with_kills(rig: &mut Rig, version: &str) -> anyhow::Result<(String, u32)> {
    let began = Instant::now();
    let kills = match rig.setting.seed % 3 {
        0 => 0,
        _ => rig.kill_twice(EVENTS).await?,
    };
    let told = rig.tool(None).await?;
    ensure!(told.done, "to {version}, {kills} kills: {}", told.failure());
    rig.figure(&format!("to {version}, {kills} kills"), began.elapsed());
    Ok((told.plan(), kills))
}

/// The second member gets a binary that ends at once: the upgrade stops there, two serve, and the way back that it names
/// works.
pub(super) async fn bad_binary(rig: &mut Rig) -> anyhow::Result<()> {
    let programs = versions(rig).await?;
    let [.., old, new] = programs.as_slice() else {
        anyhow::bail!("two minors are needed: {programs:?}");
    };
    begin_with(rig, old).await?;
    rig.scene.ready_limit = Duration::from_secs(15);
    let (path, version) = new.clone();
    let (leader, _) = rig.leader().await?;
    let second = *rig.others(leader).last().context("no follower")?;
    for number in rig.scene.members.clone() {
        // Each says its version like the real one; that of the second member cannot do more.
        let then = if number == second {
            "exit 1".into()
        } else {
            format!("exec {}", path.display())
        };
        program_of(&rig.machine_dir(number).join("var/bad"), &path, &then)?;
    }
    ask(rig, &("/var/bad/etcd".into(), version))?;
    let load = rig.load()?;
    rig.pass(Duration::from_secs(1)).await;
    let refusal = rig.refused().await?;
    ensure!(
        refusal.contains("2 of 3") && refusal.contains(&format!("upgrade to {}", old.1)),
        "{refusal}"
    );
    let here = &*rig;
    let serving = here
        .states()
        .await?
        .values()
        .filter(|state| **state == MemberState::Healthy)
        .count();
    ensure!(serving == 2, "{serving} serve");
    // The way back, from what the tool has remembered.
    rig.scene = crate::scene::Scene::load(&rig.setting.work)?;
    ask(rig, old)?;
    let told = rig.tool(None).await?;
    ensure!(told.done, "the way back: {}", told.failure());
    settle(rig, &old.0, &old.1)?;
    let history = load.stop().await?;
    rig.scene.task = Task::Form;
    rig.ask()?;
    rig.conclude(Some(&history)).await
}

/// A directory with an etcd that does what `then` says, and with the tools of the real one.
fn program_of(dir: &Path, real: &Path, then: &str) -> anyhow::Result<()> {
    fs::create_dir_all(dir)?;
    for tool in ["etcdctl", "etcdutl"] {
        symlink(real.with_file_name(tool), dir.join(tool))?;
    }
    let real = real.display();
    let script = format!("#!/bin/sh\n[ \"$1\" = --version ] && exec {real} --version\n{then}\n");
    let etcd = dir.join("etcd");
    fs::write(&etcd, script)?;
    fs::set_permissions(&etcd, fs::Permissions::from_mode(0o755))?;
    Ok(())
}

async fn versions(rig: &Rig) -> anyhow::Result<Vec<(PathBuf, String)>> {
    let mut all = Vec::new();
    for program in programs()? {
        let version = version(rig.here(), &program).await?;
        all.push((program, version));
    }
    Ok(all)
}

async fn begin_with(rig: &mut Rig, (path, version): &(PathBuf, String)) -> anyhow::Result<()> {
    rig.scene.snapshot_entries = (!rig.setting.long).then_some(SNAPSHOT_ENTRIES);
    rig.scene.program.clone_from(path);
    rig.scene.version.clone_from(version);
    rig.ask()?;
    rig.converge().await.map(drop)
}

fn ask(rig: &mut Rig, (path, version): &(PathBuf, String)) -> anyhow::Result<()> {
    rig.scene.task = Task::Upgrade {
        program: path.clone(),
        version: version.clone(),
    };
    rig.ask()
}

/// All members run it: it is what the cluster runs.
fn settle(rig: &mut Rig, path: &Path, version: &str) -> anyhow::Result<()> {
    rig.scene.program = path.to_owned();
    version.clone_into(&mut rig.scene.version);
    rig.scene.programs.clear();
    rig.ask()
}
