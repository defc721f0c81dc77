//! Who founded etcd and who joined it later, kept with the lab: its IDs follow from that, not from who is in it now.

use crate::{Blueprint, DraftError, Lab, LabPlanError, StateDir, StateError, lab::etcd_hosts};
use etcd_bootstrap::{
    ANSWER_TIMEOUT, ClusterSpec, ClusterToken, History, MemberName, Probe, recall,
};
use serde::{Deserialize, Serialize};
use std::{io, path::PathBuf};

/// The history with the token of the cluster that it is of.
#[derive(PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Kept {
    token: ClusterToken,
    history: History,
}

impl StateDir {
    pub(crate) fn etcd_history_path(&self) -> PathBuf {
        self.root().join("etcd-history.json")
    }

    /// The history of the etcd with this token; `None` before the first `up`, in a lab that was made before it was kept,
    /// and for a cluster that was restored since, which its members of that moment founded.
    ///
    /// # Errors
    ///
    /// The file is unreadable or damaged.
    pub fn etcd_history(&self, token: &ClusterToken) -> Result<Option<History>, StateError> {
        let kept: Option<Kept> = self.read_json(self.etcd_history_path())?;
        let kept = kept.filter(|kept| kept.token == *token);
        Ok(kept.map(|kept| kept.history))
    }

    /// Keeps the history of etcd; an unchanged file is left alone.
    ///
    /// # Errors
    ///
    /// The system refuses.
    pub(crate) fn remember_etcd_history(
        &self,
        token: &ClusterToken,
        history: &History,
    ) -> Result<(), StateError> {
        let kept = Kept {
            token: token.clone(),
            history: history.clone(),
        };
        self.keep_json(self.etcd_history_path(), &kept)
    }

    /// The same for [`etcd_bootstrap::change::apply`].
    pub(crate) fn keep_etcd_history(
        &self,
        token: &ClusterToken,
        history: &History,
    ) -> io::Result<()> {
        self.remember_etcd_history(token, history)
            .map_err(io::Error::other)
    }
}

impl Lab {
    /// Keeps who founds etcd, before its members first start.
    pub(crate) fn remember_founders(&self, etcd: &ClusterSpec) -> Result<(), StateError> {
        let state = self.state();
        match state.etcd_history(etcd.token())? {
            // What is kept may be newer than what this run has read.
            Some(_) => Ok(()),
            None => state.remember_etcd_history(etcd.token(), etcd.history()),
        }
    }

    /// `blueprint` with what is kept of etcd. Where that was lost, its members tell it; while too few of them run, the lab is
    /// taken for what it was made as. Nothing is written: `up` and changes of the members keep what they were given.
    pub(crate) async fn with_etcd_history(
        &self,
        blueprint: Blueprint,
    ) -> Result<Blueprint, DraftError> {
        let state = self.state();
        let wanted = blueprint.etcd(|_| Vec::new())?;
        if let Some(history) = state.etcd_history(wanted.token())? {
            return Ok(blueprint.with_etcd_history(history));
        }
        let Some(record) = state.record()? else {
            return Ok(blueprint);
        };
        if let Some(history) = self.recalled(&blueprint).await {
            return Ok(blueprint.with_etcd_history(history));
        }
        let mut founders = wanted.initial_cluster();
        let founded = usize::from(record.spec.machines.etcd);
        // `etcd-0` and so on, whatever their order is.
        founders.retain(|(name, _)| number(name).is_none_or(|number| number < founded));
        Ok(blueprint.with_etcd_history(History::founded_by(founders)))
    }
}

impl Lab {
    /// What the members tell of their past. Whatever keeps them from it is met again, and named, by what is done next.
    async fn recalled(&self, blueprint: &Blueprint) -> Option<History> {
        let seen = self.see(blueprint).await.ok()?;
        let token = self.token_to_look_with::<LabPlanError>().ok()?;
        let wired = self.wire(blueprint, &token).ok()?;
        let hosts = etcd_hosts(&wired.etcd, &seen.hosts);
        let probe = Probe::of_reachable(&wired.etcd, &hosts, &wired.etcd_tls, ANSWER_TIMEOUT);
        recall(&wired.etcd, &probe).await.ok()
    }
}

fn number(name: &MemberName) -> Option<usize> {
    name.as_str().rsplit_once('-')?.1.parse().ok()
}
