//! Who founded etcd and who joined it later, kept with the lab: its IDs follow from that, not from who is in it now.

use crate::{Blueprint, DraftError, Lab, StateDir, StateError};
use etcd_bootstrap::{ClusterSpec, ClusterToken, History, MemberName};
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

    /// `blueprint` with what is kept of etcd. A lab of before has been what it was made as: its members could not change.
    pub(crate) fn with_etcd_history(&self, blueprint: Blueprint) -> Result<Blueprint, DraftError> {
        let state = self.state();
        let wanted = blueprint.etcd(|_| Vec::new())?;
        if let Some(history) = state.etcd_history(wanted.token())? {
            return Ok(blueprint.with_etcd_history(history));
        }
        let Some(record) = state.record()? else {
            return Ok(blueprint);
        };
        let mut founders = wanted.initial_cluster();
        let founded = usize::from(record.spec.machines.etcd);
        // `etcd-0` and so on, whatever their order is.
        founders.retain(|(name, _)| number(name).is_none_or(|number| number < founded));
        Ok(blueprint.with_etcd_history(History::founded_by(founders)))
    }
}

fn number(name: &MemberName) -> Option<usize> {
    name.as_str().rsplit_once('-')?.1.parse().ok()
}
