//! The requests of etcd's `Maintenance`, `KV` and `Cluster` services that this crate makes, through the JSON gateway of
//! one member. Each has an end, and its failure names the request and what etcd said.
//!
//! The paths are the same in 3.5, 3.6 and 3.7 (etcd's source, `api/etcdserverpb/rpc.proto`).

use crate::{
    MemberId, MemberName, Probe,
    probe::{number_in_text, one_line, why},
};
use host_exec::https::is_ok;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::{Value, json};
use std::{fmt, time::Duration};

/// A member did not do what it was asked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{member} does not {what}: {said}")]
pub struct RequestFailed {
    /// The member.
    pub member: MemberName,
    /// What it was asked for, as `defragment`.
    pub what: &'static str,
    /// What it said, or why it said nothing.
    pub said: String,
}

/// The kind of an alarm (`AlarmType`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
#[non_exhaustive]
pub enum AlarmKind {
    /// A store is as large as its quota: only reads and deletions are taken, on all members, until it is disarmed.
    NoSpace,
    /// A store differs from the others. It must not be disarmed before the member has been replaced.
    Corrupt,
}

impl fmt::Display for AlarmKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoSpace => "NOSPACE",
            Self::Corrupt => "CORRUPT",
        })
    }
}

/// An alarm that a member has raised. It never goes by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Alarm {
    /// The member that raised it.
    pub member: MemberId,
    /// What for.
    pub kind: AlarmKind,
}

/// A hash over all keys up to a revision (`HashKV`): what two members at the same revisions agree on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct KvHash {
    /// The hash.
    pub hash: u32,
    /// Up to which revision.
    pub revision: u64,
    /// The revision that was compacted last: the hash depends on it.
    pub compact_revision: u64,
}

/// What `Maintenance.Downgrade` is asked to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum DowngradeAction {
    /// Say whether it is possible.
    Validate,
    /// Begin: the stores are rewritten in the older format, and members of the older version may then be started.
    Enable,
    /// Take it back.
    Cancel,
}

impl Probe {
    /// The alarms of the whole cluster, as `member` knows them.
    ///
    /// # Errors
    ///
    /// The member does not answer, or has no leader.
    pub async fn alarms(&self, member: &MemberName) -> Result<Vec<Alarm>, RequestFailed> {
        self.alarm(member, "list the alarms", json!({ "action": "GET" }))
            .await
    }

    /// Takes one alarm back. Nothing is done about its cause.
    ///
    /// # Errors
    ///
    /// The member does not answer, or has no leader. An alarm that is not there is *not* an error.
    pub async fn disarm(&self, member: &MemberName, alarm: Alarm) -> Result<(), RequestFailed> {
        let body = json!({
            "action": "DEACTIVATE", "memberID": alarm.member.0.to_string(), "alarm": alarm.kind.to_string(),
        });
        self.alarm(member, "disarm an alarm", body).await.map(drop)
    }

    async fn alarm(
        &self,
        member: &MemberName,
        what: &'static str,
        body: Value,
    ) -> Result<Vec<Alarm>, RequestFailed> {
        /// etcd 3.7.3: `{"header":{..},"alarms":[{"memberID":"5251","alarm":"NOSPACE"}]}`
        #[derive(Deserialize)]
        struct Answer {
            #[serde(default)]
            alarms: Vec<Wire>,
        }
        #[derive(Deserialize)]
        struct Wire {
            #[serde(rename = "memberID", deserialize_with = "number_in_text")]
            member: u64,
            alarm: AlarmKind,
        }
        let answer: Answer = self
            .ask(member, what, "/v3/maintenance/alarm", &body)
            .await?;
        let alarm = |wire: Wire| Alarm {
            member: MemberId(wire.member),
            kind: wire.alarm,
        };
        Ok(answer.alarms.into_iter().map(alarm).collect())
    }

    /// Gives the free pages of one member's store back to its disk. The member takes no reads and writes meanwhile, so
    /// the time-out of this probe must be long enough.
    ///
    /// # Errors
    ///
    /// The member does not answer in time (it may still be at it), or cannot.
    pub async fn defragment(&self, member: &MemberName) -> Result<(), RequestFailed> {
        let path = "/v3/maintenance/defragment";
        self.ask::<Value>(member, "defragment", path, &json!({}))
            .await
            .map(drop)
    }

    /// Forgets what keys were before `revision`, and returns when that is done (`physical`).
    ///
    /// # Errors
    ///
    /// The member does not answer, or has no leader, or the revision is still to come. One that is compacted already is
    /// *not* an error.
    pub async fn compact(&self, member: &MemberName, revision: u64) -> Result<(), RequestFailed> {
        let body = json!({ "revision": revision.to_string(), "physical": true });
        let done = self.ask::<Value>(member, "compact", "/v3/kv/compaction", &body);
        match done.await {
            Err(failed) if failed.said.contains("has been compacted") => Ok(()),
            other => other.map(drop),
        }
    }

    /// The hash of one member's keys at `revision`; 0 for the newest.
    ///
    /// # Errors
    ///
    /// The member does not answer, or has not come to that revision, or has forgotten it.
    pub async fn hash_kv(
        &self,
        member: &MemberName,
        revision: u64,
    ) -> Result<KvHash, RequestFailed> {
        /// etcd 3.7.3: `{"header":{..},"hash":1084519789,"compact_revision":"-1","hash_revision":"7"}`
        #[derive(Deserialize)]
        struct Answer {
            #[serde(default)]
            hash: u32,
            #[serde(default)]
            compact_revision: String,
        }
        let body = json!({ "revision": revision.to_string() });
        let answer: Answer = self
            .ask(member, "hash its keys", "/v3/maintenance/hashkv", &body)
            .await?;
        Ok(KvHash {
            hash: answer.hash,
            revision,
            // -1 and nothing both mean that nothing has been compacted yet.
            compact_revision: answer.compact_revision.parse().unwrap_or_default(),
        })
    }

    /// Has the leader, which `leader` must be, hand over to another member. It may take the time-out of an election longer
    /// than other questions: as long raft tries.
    ///
    /// # Errors
    ///
    /// It is not the leader, does not answer, or the other one does not take over in time.
    pub async fn move_leader(
        &self,
        leader: &MemberName,
        to: MemberId,
    ) -> Result<(), RequestFailed> {
        let (path, body) = (
            "/v3/maintenance/transfer-leadership",
            json!({ "targetID": to.0.to_string() }),
        );
        // raft gives it up after that (`tickHeartbeat` in raft's raft.go).
        let limit = self.timeout + self.election;
        self.ask_within::<Value>(leader, "hand over the lead", path, &body, limit)
            .await
            .map(drop)
    }

    /// Asks for a downgrade to `version` (`3.6` or `3.6.0`), which etcd has from 3.6 on.
    ///
    /// # Errors
    ///
    /// etcd refuses, or the member does not answer.
    pub async fn downgrade(
        &self,
        member: &MemberName,
        action: DowngradeAction,
        version: &str,
    ) -> Result<(), RequestFailed> {
        let what = match action {
            DowngradeAction::Validate => "allow the downgrade",
            DowngradeAction::Enable => "begin the downgrade",
            DowngradeAction::Cancel => "cancel the downgrade",
        };
        let body = json!({ "action": action, "version": version });
        self.ask::<Value>(member, what, "/v3/maintenance/downgrade", &body)
            .await
            .map(drop)
    }

    pub(crate) async fn ask<T: DeserializeOwned>(
        &self,
        member: &MemberName,
        what: &'static str,
        path: &str,
        body: &Value,
    ) -> Result<T, RequestFailed> {
        self.ask_within(member, what, path, body, self.timeout)
            .await
    }

    /// The same with a limit of its own.
    async fn ask_within<T: DeserializeOwned>(
        &self,
        member: &MemberName,
        what: &'static str,
        path: &str,
        body: &Value,
        limit: Duration,
    ) -> Result<T, RequestFailed> {
        let failed = |said: String| RequestFailed {
            member: member.clone(),
            what,
            said,
        };
        let own = self.endpoints(member).map_err(&failed)?;
        let url = format!("{}{path}", own.client_url);
        let client = own.client.with_timeout(limit);
        let answer = client.post_json(&url, body.to_string()).await;
        let answer = answer.map_err(|e| failed(why(&e)))?;
        if !is_ok(&answer) {
            return Err(failed(one_line(&answer)));
        }
        serde_json::from_slice(answer.body())
            .map_err(|e| failed(format!("cannot read the answer to {path}: {e}")))
    }
}
