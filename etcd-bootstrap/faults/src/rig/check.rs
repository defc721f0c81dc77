//! What must hold after every fault.

use super::{Rig, SOON};
use crate::{
    linear::{Verdict, check},
    load::History,
    scene::member_name,
};
use anyhow::{Context as _, bail, ensure};
use etcd_bootstrap::PeerAnswer;
use serde_json::json;
use std::{
    collections::BTreeSet,
    fs,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    time::Duration,
};

/// States that the check of a history may visit: some hundred for each operation.
const STATES: usize = 2_000_000;

impl Rig {
    /// Looks which write-ahead logs there are and which clusters the members say to be in. What was seen once must be
    /// there at the end.
    ///
    /// # Errors
    ///
    /// A data directory cannot be read.
    pub async fn note(&mut self) -> anyhow::Result<()> {
        for number in self.machines.keys() {
            let mut logs = Vec::new();
            find_logs(&self.machine_dir(*number).join("var"), &mut logs)?;
            for log in logs {
                let open = fs::File::open(log)?;
                let inode = open.metadata()?.ino();
                self.logs_seen.entry((*number, inode)).or_insert(open);
            }
        }
        let probe = self.probe()?;
        for number in &self.scene.members {
            if let PeerAnswer::Serving {
                cluster_id: Some(id),
                ..
            } = probe.peer(&member_name(*number)).await
            {
                self.clusters_seen.insert(id);
            }
        }
        Ok(())
    }

    /// Everything that must hold in the end: the tool converges and a second run changes nothing, all members are in
    /// the one cluster that was meant, hold every acknowledged write and the same data, the history is linearizable,
    /// and no write-ahead log was removed.
    ///
    /// # Errors
    ///
    /// The first of these that does not hold.
    pub async fn conclude(&mut self, history: Option<&History>) -> anyhow::Result<()> {
        self.converge().await?;
        let seen = &self.clusters_seen;
        ensure!(seen.is_subset(&self.clusters_meant), "clusters {seen:?}");
        self.members_as_meant().await?;
        if let Some(history) = history {
            self.check_history(history).await?;
        }
        self.same_data().await?;
        // An open directory keeps its inode when it is renamed, and has no link left once it is removed.
        for ((number, _), log) in &self.logs_seen {
            ensure!(
                log.metadata()?.nlink() > 0,
                "a log of machine {number} was removed"
            );
        }
        Ok(())
    }

    /// Every member lists exactly the members of the specification, by their IDs, all with a vote.
    async fn members_as_meant(&self) -> anyhow::Result<()> {
        let meant: BTreeSet<_> = self.scene.spec()?.member_ids().into_values().collect();
        let probe = self.probe()?;
        for number in &self.scene.members {
            let name = member_name(*number);
            let PeerAnswer::Serving { members, .. } = probe.peer(&name).await else {
                bail!("{name} does not say who the members are");
            };
            let voters = members.iter().filter(|member| !member.is_learner);
            let voters: BTreeSet<_> = voters.map(|member| member.id).collect();
            ensure!(
                voters == meant,
                "{name} lists {members:?}, meant are {meant:?}"
            );
        }
        Ok(())
    }

    async fn check_history(&mut self, history: &History) -> anyhow::Result<()> {
        match check(&history.operations, STATES) {
            Verdict::Linearizable => {}
            Verdict::Violated { stuck_at } => bail!("not linearizable at {stuck_at:?}"),
            Verdict::Undecided { states } => bail!("no verdict after {states} states"),
        }
        let written = history.written();
        for number in &self.scene.members {
            let there = self.client(*number, SOON)?.log().await?;
            let lost: Vec<_> = written.difference(&there).collect();
            ensure!(lost.is_empty(), "member {number} lost writes {lost:?}");
        }
        let count = |n: usize| u32::try_from(n).map_or(f64::MAX, f64::from);
        self.figures
            .insert("writes (count)".into(), count(written.len()));
        let failed = count(history.failed_writes(self.scene.members.len()));
        self.figures.insert(
            "unanswered writes of roaming clients (count)".into(),
            failed,
        );
        Ok(())
    }

    /// The hash of all data at one revision is the same everywhere.
    async fn same_data(&self) -> anyhow::Result<()> {
        let (leader, _) = self.leader().await?;
        let asked = json!({ "key": "AA==", "keys_only": true });
        let client = self.client(leader, SOON)?;
        let head = client.call("/v3/kv/range", &asked).await?;
        let revision = head["header"]["revision"].clone();
        let mut hashes = BTreeSet::new();
        for number in &self.scene.members {
            let client = self.client(*number, Duration::from_secs(5))?;
            let (client, asked) = (&client, json!({ "revision": revision }));
            let asked = &asked;
            // A member that is behind does not know the revision yet.
            let hash = self.eventually("hash of all data", SOON, || async move {
                let answer = client.call("/v3/maintenance/hashkv", asked).await.ok()?;
                answer["hash"].as_u64()
            });
            hashes.insert(hash.await.with_context(|| format!("member {number}"))?);
        }
        ensure!(hashes.len() == 1, "members differ: {hashes:?}");
        Ok(())
    }
}

/// Directories named `wal` that hold a log.
fn find_logs(below: &Path, found: &mut Vec<PathBuf>) -> anyhow::Result<()> {
    let entries = match fs::read_dir(below) {
        Ok(entries) => entries,
        // A directory that is renamed at this moment is seen by the next look.
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error.into()),
    };
    for entry in entries {
        let path = entry?.path();
        if path.extension().is_some_and(|kind| kind == "wal") && below.ends_with("wal") {
            if !found.iter().any(|log| log == below) {
                found.push(below.to_owned());
            }
        } else if path.is_dir() && !path.is_symlink() {
            find_logs(&path, found)?;
        }
    }
    Ok(())
}
