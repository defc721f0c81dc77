//! Faults of what a member keeps.

use crate::{rig::Rig, task::Task};
use anyhow::{Context as _, ensure};
use nix::mount::{MsFlags, mount};
use std::{
    collections::BTreeSet,
    fs,
    io::Write as _,
    time::{Duration, Instant},
};

/// The disk of one member fills up while it serves.
pub(super) async fn disk_full(rig: &mut Rig) -> anyhow::Result<()> {
    let victim = 3;
    rig.remove_machine(victim).await?;
    let disk = rig.machine_dir(victim).join("var/lib");
    // Two segments of the log, one ahead of time, and some MB of data.
    mount(
        Some("tmpfs"),
        &disk,
        Some("tmpfs"),
        MsFlags::empty(),
        Some("size=160m"),
    )?;
    rig.add_machine(victim).await?;
    rig.converge().await?;
    let load = rig.load()?;
    fill(&disk.join("filler"))?;
    let full = load.now();
    let client = rig.client(1, Duration::from_secs(5))?;
    for n in 0..20 {
        // If the victim leads, it takes a write or two along.
        let _ = client.fill(&format!("fill/{n}"), 200).await;
    }
    let before = [rig.process(1).await?, rig.process(2).await?];
    let here = &*rig;
    rig.eventually(
        "end of the member",
        Duration::from_secs(20),
        || async move {
            let states = here.states().await.ok()?;
            let state = states.get(&victim)?.to_string();
            (state == "failing").then_some(())
        },
    )
    .await?;
    // A change that would restart everybody: it must not begin while one is down.
    let asked = rig.scene.clone();
    rig.scene.peer_ca += crate::material::authority("one-more")?.certificate_pem();
    rig.scene.ready_limit = Duration::from_secs(4);
    rig.ask()?;
    let refusal = rig.refused().await?;
    ensure!(
        refusal.contains("etcd-3"),
        "it does not name the member: {refusal}"
    );
    let after = [rig.process(1).await?, rig.process(2).await?];
    ensure!(
        before == after,
        "a healthy member was restarted: {before:?} {after:?}"
    );
    let end = load.now();
    fs::remove_file(disk.join("filler"))?;
    rig.scene.ready_limit = asked.ready_limit;
    rig.ask()?;
    let freed = Instant::now();
    rig.ready(&rig.scene.members, Duration::from_secs(30))
        .await?;
    rig.figure("back after room was made", freed.elapsed());
    let history = load.stop().await?;
    rig.figure("gap while full", history.longest_gap(full, end));
    rig.conclude(Some(&history)).await
}

/// Writes until there is no room.
fn fill(file: &std::path::Path) -> anyhow::Result<()> {
    let mut file = fs::File::create(file)?;
    let block = vec![0; 64 * 1024];
    loop {
        match file.write_all(&block) {
            Ok(()) => {}
            Err(error) if error.kind() == std::io::ErrorKind::StorageFull => return Ok(()),
            Err(error) => return Err(error).context("the filler"),
        }
    }
}

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
