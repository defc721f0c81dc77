//! A disk without room.

use crate::rig::{Rig, member_log};
use anyhow::{Context as _, ensure};
use etcd_bootstrap::MemberState;
use nix::mount::{MsFlags, mount};
use std::{
    fs,
    io::{self, Read as _},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

/// The disk of one member fills up while it serves.
pub(super) async fn disk_full(rig: &mut Rig) -> anyhow::Result<()> {
    let victim = 3;
    rig.remove_machine(victim).await?;
    let disk = Disk::below(&rig.machine_dir(victim))?;
    rig.add_machine(victim).await?;
    rig.converge().await?;
    log_has_its_room(rig, victim).await?;
    let load = rig.load()?;
    disk.fill()?;
    let full = load.now();
    end_by_writes(rig, victim).await?;
    let before = [rig.process(1).await?, rig.process(2).await?];
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
    disk.make_room()?;
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

/// A small disk of a member, in which what is not etcd's is a ballast and a filler.
///
/// It has room for one segment of the log (64 MB) and some data, never for a second segment: etcd makes one ahead of time and
/// a copy of a torn one, and gives back the room of either on its next start, so that the disk were full for moments only.
struct Disk {
    ballast: PathBuf,
    filler: PathBuf,
}

impl Disk {
    fn below(machine: &Path) -> anyhow::Result<Self> {
        let data = machine.join("var/lib");
        let size = Some("size=192m");
        mount(Some("tmpfs"), &data, Some("tmpfs"), MsFlags::empty(), size)?;
        let disk = Self {
            ballast: data.join("ballast"),
            filler: data.join("filler"),
        };
        write_zeros(&disk.ballast, 96 << 20)?;
        Ok(disk)
    }

    fn fill(&self) -> anyhow::Result<()> {
        write_zeros(&self.filler, u64::MAX)
    }

    fn make_room(&self) -> io::Result<()> {
        fs::remove_file(&self.filler)?;
        fs::remove_file(&self.ballast)
    }
}

/// Writes a file of `bytes`, or of as many as there is room for.
fn write_zeros(file: &Path, bytes: u64) -> anyhow::Result<()> {
    let written = io::copy(&mut io::repeat(0).take(bytes), &mut fs::File::create(file)?);
    match written {
        Err(error) if error.kind() != io::ErrorKind::StorageFull => {
            Err(error).with_context(|| file.display().to_string())
        }
        _ => Ok(()),
    }
}

/// Waits for the end of the try to make a second segment: it takes all room there is while it goes on.
async fn log_has_its_room(rig: &Rig, member: u8) -> anyhow::Result<()> {
    let log = member_log(&rig.setting.work, member);
    let look = || async {
        let told = fs::read_to_string(&log).ok()?;
        told.contains("failed to preallocate").then_some(())
    };
    let limit = Duration::from_secs(10);
    rig.eventually("want of a second segment", limit, look)
        .await
}

/// Writes until `victim`, which has a full disk, ends.
async fn end_by_writes(rig: &Rig, victim: u8) -> anyhow::Result<()> {
    let client = rig.client(1, Duration::from_secs(5))?;
    let served = rig.process(victim).await?;
    // If it was started a second time, up to 16 MB of its data have their room already.
    for _ in 0..30 {
        // If the victim leads, it takes a write or two along.
        let _ = client.fill("fill", 800).await;
        if rig.process(victim).await? != served {
            break;
        }
    }
    let look = || async {
        let states = rig.states().await.ok()?;
        (states.get(&victim)? == &MemberState::Failing).then_some(())
    };
    let limit = Duration::from_secs(20);
    rig.eventually("end of the member", limit, look).await
}
