//! How each member of etcd stands, by its own word.

use super::schedule::{self, ScheduledSnapshots};
use crate::{Lab, LabPlanError};
use etcd_bootstrap::{
    ANSWER_TIMEOUT, ClientAnswer, ClusterId, MemberId, MemberName, Probe, Status,
    certificates::{self, ServedCertificate},
    conditions,
};
use futures::future::join_all;
use host_exec::Condition;
use serde::Serialize;
use std::collections::BTreeMap;
use time::OffsetDateTime;

/// How etcd stands.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct EtcdStatus {
    /// The ID of the cluster, known before its members first ran.
    pub cluster_id: ClusterId,
    /// How many members must agree before anything is written.
    pub quorum: usize,
    /// Its members.
    pub members: Vec<EtcdMember>,
    /// What has to hold, each with its evidence.
    pub conditions: Vec<Condition>,
}

/// How a member stands.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct EtcdMember {
    /// Its name.
    pub name: MemberName,
    /// Its ID; none before it has been added.
    pub id: Option<MemberId>,
    /// Whether it is the one that the others follow.
    pub leads: bool,
    /// What it says to its clients.
    pub answer: ClientAnswer,
    /// The snapshots that it takes by its timer; none in a lab without one, and where its machine cannot be asked.
    pub snapshots: Option<ScheduledSnapshots>,
    /// The certificates that it presents at its two ports; none where nothing listens.
    pub certificates: Vec<ServedCertificate>,
}

impl EtcdStatus {
    /// Whether all conditions hold.
    pub fn ok(&self) -> bool {
        self.conditions.iter().all(|condition| condition.ok)
    }
}

impl EtcdMember {
    /// When the first of its certificates ends; none where it presents none.
    pub fn certificates_end(&self) -> Option<OffsetDateTime> {
        self.certificates.iter().filter_map(|c| c.not_after).min()
    }

    /// What it says of its store and of raft; none while it is silent.
    pub fn status(&self) -> Option<&Status> {
        self.answer.status()
    }
}

impl Lab {
    /// How etcd stands.
    ///
    /// # Errors
    ///
    /// The lab cannot be worked out or looked at. A member that is silent, or whose machine does not run, is
    /// *not* an error.
    pub async fn etcd_status(&self) -> Result<EtcdStatus, LabPlanError> {
        let etcd = self.running_etcd().await?;
        let spec = &etcd.spec;
        let probe = Probe::of_reachable(spec, &etcd.hosts, &etcd.tls, ANSWER_TIMEOUT);
        let asked = spec.members().iter().map(|member| async {
            let answer = probe.client(&member.name).await;
            (member.name.clone(), answer)
        });
        let served = certificates::served(spec, &etcd.hosts, &etcd.tls, self.now, ANSWER_TIMEOUT);
        let members = etcd.hosts.iter().map(|(name, host)| async {
            let found = schedule::examine(spec, name, host.as_ref(), self.now).await?;
            Some((name.clone(), found))
        });
        let (answers, served, scheduled) =
            futures::join!(join_all(asked), served, join_all(members));
        let mut snapshots = BTreeMap::new();
        let mut schedules = Vec::new();
        for (name, (found, condition)) in scheduled.into_iter().flatten() {
            schedules.push(condition);
            snapshots.extend(found.map(|found| (name, found)));
        }
        let answers: BTreeMap<MemberName, ClientAnswer> = answers.into_iter().collect();
        let mut conditions = conditions(spec, &answers);
        conditions.extend(certificates::served_condition(&served));
        conditions.extend(schedules);
        let ids = spec.member_ids();
        let mut member = |(name, answer): (MemberName, ClientAnswer)| EtcdMember {
            snapshots: snapshots.remove(&name),
            id: ids.get(&name).copied(),
            leads: answer.status().is_some_and(Status::leads),
            certificates: served
                .iter()
                .filter(|c| c.member == name)
                .cloned()
                .collect(),
            name,
            answer,
        };
        Ok(EtcdStatus {
            cluster_id: spec.cluster_id(),
            quorum: spec.quorum(),
            members: answers.into_iter().map(&mut member).collect(),
            conditions,
        })
    }
}
