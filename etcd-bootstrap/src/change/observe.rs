//! Who the members are, by a majority's word, and how each stands. Changes nothing.

use super::cluster::List;
use crate::{
    ANSWER_TIMEOUT, ClientAnswer, ClusterId, ClusterSpec, Hosts, ListedMember, MemberId,
    MemberName, MemberSpec, ObserveError, Probe, Tls, observe::has_wal, render,
};
use futures::future::{join_all, try_join_all};
use host_exec::{
    poll::{self, Attempt, Wait, WaitError},
    systemd,
};
use std::{collections::BTreeMap, slice, time::Duration};

/// How long a majority is waited for. One that lost its leader has another one after two election time-outs of 1 s, and
/// each member that says nothing takes [`ANSWER_TIMEOUT`].
const MAJORITY_LIMIT: Duration = Duration::from_secs(8);

/// The membership could not be found out. Nothing was changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ObserveMembersError {
    /// A machine could not be looked at.
    #[error(transparent)]
    Site(#[from] ObserveError),
    /// No member says who the members are: there is no majority, and no change of members can mend that.
    #[error(
        "no member of etcd says who its members are ({said}): without a majority nothing can be changed; start \
         the members that are down, or restore a snapshot"
    )]
    NoMajority {
        /// What each said.
        said: String,
    },
    /// The cluster that answers is another one.
    #[error(
        "etcd member {member} belongs to cluster {found}, not {expected}; give the token and the history of that one"
    )]
    Foreign {
        /// Who answered.
        member: MemberName,
        /// The cluster it is in.
        found: ClusterId,
        /// The cluster of the specification.
        expected: ClusterId,
    },
}

/// A member's machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Site {
    /// There is a host to act on.
    pub reachable: bool,
    /// The member takes reads and writes.
    pub ready: bool,
    /// The member answers clients; a learner does and is not ready.
    pub serving: bool,
    /// Its service is up.
    pub up: bool,
    /// Its data directory holds a write-ahead log.
    pub has_wal: bool,
}

/// Who the members are and how they stand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Membership {
    /// The members, as a majority knows them.
    pub listed: Vec<ListedMember>,
    /// Who leads; `None` in the middle of an election.
    pub leader: Option<MemberId>,
    /// The machine of each member of the specification.
    pub sites: BTreeMap<MemberName, Site>,
}

/// Looks at the membership. A member without a host in `hosts` is one whose machine cannot be reached.
///
/// # Errors
///
/// No member answers with a majority behind it; one answers for another cluster; a machine that has a host
/// cannot be looked at. Members that are down are *not* an error as long as a majority is up.
pub async fn observe(
    spec: &ClusterSpec,
    hosts: &Hosts,
    tls: &Tls,
) -> Result<Membership, ObserveMembersError> {
    let probe = &Probe::of_reachable(spec, hosts, tls, ANSWER_TIMEOUT);
    let wait = Wait::new("majority of etcd members", MAJORITY_LIMIT);
    let asked = poll::until(&wait, || async move {
        let asked = spec.members().iter().map(|m| probe.client(&m.name));
        let answers: Vec<ClientAnswer> = join_all(asked).await;
        Ok(match majority(spec, probe, &answers).await? {
            Ok((list, leader)) => Attempt::Ready((answers, list, leader)),
            Err(said) => Attempt::NotYet(said),
        })
    });
    let (answers, list, leader) = asked.await.map_err(|error| match error {
        WaitError::Failed(error) => error,
        WaitError::TimedOut { last: said, .. } => ObserveMembersError::NoMajority { said },
    })?;
    let members = spec.members().iter().zip(&answers);
    let sites = members.map(|(member, answer)| look(member, answer, hosts));
    Ok(Membership {
        listed: list.members,
        leader,
        sites: try_join_all(sites).await?.into_iter().collect(),
    })
}

async fn look(
    member: &MemberSpec,
    answer: &ClientAnswer,
    hosts: &Hosts,
) -> Result<(MemberName, Site), ObserveError> {
    let name = member.name.clone();
    let mut site = Site {
        ready: answer.is_ready(),
        serving: matches!(answer, ClientAnswer::Serving { .. }),
        ..Site::default()
    };
    let Some(host) = hosts.get(&member.name) else {
        return Ok((name, site));
    };
    site.reachable = true;
    let unit = render::unit_name();
    let states = systemd::states(host.as_ref(), slice::from_ref(&unit)).await;
    let run = |source| ObserveError::Run {
        member: member.name.clone(),
        what: "service",
        source,
    };
    site.up = states.map_err(run)?.get(&unit).is_some_and(|s| s.is_up());
    site.has_wal = has_wal(member, host.as_ref()).await?;
    Ok((name, site))
}

/// The list of the first member that has a majority behind it, and its leader; or what each one said instead.
async fn majority(
    spec: &ClusterSpec,
    probe: &Probe,
    answers: &[ClientAnswer],
) -> Result<Result<(List, Option<MemberId>), String>, ObserveMembersError> {
    let mut said = Vec::new();
    for (member, answer) in spec.members().iter().zip(answers) {
        let name = &member.name;
        let status = match answer {
            ClientAnswer::Serving {
                unready: None,
                status,
            } => status,
            other => {
                said.push(format!("{name}: {other}"));
                continue;
            }
        };
        match probe.list_members(name).await {
            Ok(list) if list.cluster_id != spec.cluster_id() => {
                return Err(ObserveMembersError::Foreign {
                    member: name.clone(),
                    found: list.cluster_id,
                    expected: spec.cluster_id(),
                });
            }
            Ok(list) => return Ok(Ok((list, status.as_ref().and_then(|s| s.leader)))),
            Err(failed) => said.push(failed.to_string()),
        }
    }
    Ok(Err(said.join("; ")))
}
