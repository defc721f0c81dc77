//! Requests to etcd through the JSON gateway of one member. Each has an end, and its failure names the request and
//! what etcd said.
//!
//! The paths are the same in 3.5, 3.6 and 3.7 (etcd's source, `api/etcdserverpb/rpc.proto`).

use crate::{
    MemberId, MemberName, Probe,
    probe::{one_line, why},
};
use host_exec::https::is_ok;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

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

impl Probe {
    /// Has the leader, which `leader` must be, hand over to another member.
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
        self.ask::<Value>(leader, "hand over the lead", path, &body)
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
        let failed = |said: String| RequestFailed {
            member: member.clone(),
            what,
            said,
        };
        let own = self.endpoints(member).map_err(&failed)?;
        let url = format!("{}{path}", own.client_url);
        let answer = own.client.post_json(&url, body.to_string()).await;
        let answer = answer.map_err(|e| failed(why(&e)))?;
        if !is_ok(&answer) {
            return Err(failed(one_line(&answer)));
        }
        serde_json::from_slice(answer.body())
            .map_err(|e| failed(format!("cannot read the answer to {path}: {e}")))
    }
}
