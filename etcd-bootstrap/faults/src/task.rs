//! What the tool can do beside forming: the rest of the library, as a program with a memory of its own would use it.

use crate::{
    scene::{Scene, member_name},
    tool::{Line, Teller},
};
use anyhow::{Context as _, ensure};
use etcd_bootstrap::{
    ANSWER_TIMEOUT, ClusterSpec, History, Hosts, MemberName, MemberProgram, Probe, SnapshotStatus,
    StoredSnapshot,
    change::{self, Wish},
    maintenance, restore, try_restore,
    upgrade::{self, UpgradePlan, UpgradeRefused},
};
use serde::{Deserialize, Serialize};
use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

/// What is to be done.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Task {
    /// Bring the cluster to what is asked for.
    #[default]
    Form,
    /// Bring the membership to what is asked for, and remember it.
    Members {
        /// Members that go.
        remove: BTreeSet<u8>,
        /// Members whose data is lost.
        replace: BTreeSet<u8>,
    },
    /// Get out of NOSPACE.
    Space,
    /// Defragment every member.
    Defragment,
    /// Make the cluster anew, with the token of the scene.
    Restore {
        /// The snapshot.
        snapshot: PathBuf,
        /// Whether it is a store that was copied.
        without_checksum: bool,
    },
    /// Have all members run this etcd.
    Upgrade {
        /// Its path.
        program: PathBuf,
        /// Its version.
        version: String,
    },
    /// The same, one minor back.
    Downgrade {
        /// Its path.
        program: PathBuf,
        /// Its version.
        version: String,
    },
}

pub(crate) async fn run(
    task: &Task,
    work: &Path,
    scene: &Scene,
    hosts: &Hosts,
    teller: &Teller,
) -> anyhow::Result<()> {
    match task {
        Task::Form => Ok(()),
        Task::Members { remove, replace } => {
            let names = |numbers: &BTreeSet<u8>| numbers.iter().map(|n| member_name(*n)).collect();
            let wish = Wish {
                remove: names(remove),
                replace: names(replace),
            };
            change_members(&wish, scene, hosts, teller).await
        }
        Task::Space | Task::Defragment => maintain(task, scene, hosts, teller).await,
        Task::Restore {
            snapshot,
            without_checksum,
        } => {
            let snapshot = (snapshot.as_path(), *without_checksum);
            restore(snapshot, work, scene, hosts, teller).await
        }
        Task::Upgrade { program, version } | Task::Downgrade { program, version } => {
            let to = MemberProgram {
                version: version.parse()?,
                path: program.clone(),
            };
            let plan = match task {
                Task::Upgrade { .. } => upgrade::plan,
                _ => upgrade::plan_downgrade,
            };
            upgrade((&to, plan), work, scene, hosts, teller).await
        }
    }
}

async fn change_members(
    wish: &Wish,
    scene: &Scene,
    hosts: &Hosts,
    teller: &Teller,
) -> anyhow::Result<()> {
    let spec = scene.spec()?;
    let tls = scene.tls(&spec)?;
    let plan = change::plan(&spec, wish, &change::observe(&spec, hosts, &tls).await?)?;
    teller.line(&Line::Plan(plan.to_string()));
    let keep = |history: &History| scene.remember(history);
    change::apply(&spec, &plan, hosts, &tls, &keep, teller).await?;
    Ok(())
}

async fn maintain(
    task: &Task,
    scene: &Scene,
    hosts: &Hosts,
    teller: &Teller,
) -> anyhow::Result<()> {
    let spec = scene.spec()?;
    let tls = scene.tls(&spec)?;
    let probe = |limit| Probe::new(&spec, hosts, &tls, limit);
    let (probe, patient) = (probe(ANSWER_TIMEOUT)?, probe(maintenance::DEFRAG_LIMIT)?);
    let seen = maintenance::see(&spec, &probe).await?;
    let plan = match task {
        Task::Space => maintenance::plan_space(&spec, &seen)?,
        _ => maintenance::plan_defrag(&spec, &seen, maintenance::DefragOptions { force: true })?,
    };
    teller.line(&Line::Plan(plan.to_string()));
    Ok(maintenance::maintain(&spec, &plan, &probe, &patient, teller).await?)
}

async fn restore(
    (snapshot, without_checksum): (&Path, bool),
    work: &Path,
    scene: &Scene,
    hosts: &Hosts,
    teller: &Teller,
) -> anyhow::Result<()> {
    let spec = scene.spec()?;
    let tls = scene.tls(&spec)?;
    let stored = match without_checksum {
        true => StoredSnapshot::copy_of_store(snapshot)?,
        false => StoredSnapshot::read(snapshot)?,
    };
    let kept = work.join(format!("restore-{}.json", scene.token));
    let status: SnapshotStatus = match fs::read(&kept) {
        Ok(text) => serde_json::from_slice(&text)?,
        Err(_) => {
            let first = &spec.members()[0].name;
            let host = hosts.get(first).context("no host")?;
            let status =
                try_restore(&spec, first, host.as_ref(), &stored, without_checksum).await?;
            fs::write(&kept, serde_json::to_vec(&status)?)?;
            status
        }
    };
    let options = restore::RestoreOptions {
        snapshot: status,
        bump_revision: Some(restore::KUBERNETES_BUMP),
        without_checksum,
    };
    let plan = restore::plan(
        &spec,
        &restore::observe(&spec, hosts).await?,
        without_checksum,
    )?;
    teller.line(&Line::Plan(plan.to_string()));
    restore::apply(&spec, &plan, &stored, options, hosts, &tls, teller).await?;
    let probe = Probe::new(&spec, hosts, &tls, ANSWER_TIMEOUT)?;
    let conditions = restore::verify(&spec, &probe, options).await?;
    let bad: Vec<_> = conditions
        .iter()
        .filter(|condition| !condition.ok)
        .collect();
    ensure!(bad.is_empty(), "{bad:?}");
    Ok(())
}

type Planner =
    fn(&ClusterSpec, &MemberProgram, &upgrade::Facts) -> Result<UpgradePlan, UpgradeRefused>;

async fn upgrade(
    (to, plan): (&MemberProgram, Planner),
    work: &Path,
    scene: &Scene,
    hosts: &Hosts,
    teller: &Teller,
) -> anyhow::Result<()> {
    let spec = scene.spec()?;
    let tls = scene.tls(&spec)?;
    let probe = Probe::new(&spec, hosts, &tls, ANSWER_TIMEOUT)?;
    let facts = upgrade::look(&spec, to, hosts, &probe).await?;
    let plan = plan(&spec, to, &facts)?;
    teller.line(&Line::Plan(plan.to_string()));
    let journal = Journal {
        work: work.to_owned(),
    };
    upgrade::apply(&spec, &plan, to, hosts, &tls, &journal, teller).await?;
    Ok(())
}

/// Remembers in the scene, as a program would in its own state.
struct Journal {
    work: PathBuf,
}

impl upgrade::Journal for Journal {
    fn snapshot(&self) -> Result<PathBuf, upgrade::JournalError> {
        Ok(self.work.join("before-upgrade.db"))
    }

    fn begin(
        &self,
        member: &MemberName,
        program: &MemberProgram,
    ) -> Result<(), upgrade::JournalError> {
        let mut scene = Scene::load(&self.work)?;
        let numbers = scene.members.clone();
        let number = numbers
            .into_iter()
            .find(|number| member_name(*number) == *member);
        let number = number.ok_or("no such member")?;
        let own = (program.path.clone(), program.version.to_string());
        scene.programs.insert(number, own);
        scene.store(&self.work)?;
        Ok(())
    }
}
