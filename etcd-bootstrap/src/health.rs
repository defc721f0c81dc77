//! Named conditions of a running cluster, each with its evidence.

use crate::{ClientAnswer, ClusterSpec, MemberName, Probe, Status};
use futures::future::join_all;
use host_exec::Condition;
use std::collections::{BTreeMap, BTreeSet};

/// Asks all members and judges: each is ready, all are in the cluster that was asked for, all follow one leader,
/// none reports an alarm.
pub async fn health(spec: &ClusterSpec, probe: &Probe) -> Vec<Condition> {
    let asked = spec.members().iter().map(|member| async {
        let answer = probe.client(&member.name).await;
        (member.name.clone(), answer)
    });
    let answers: BTreeMap<_, _> = join_all(asked).await.into_iter().collect();
    conditions(spec, &answers)
}

/// The conditions as they follow from what each member said to its clients. Pure; a member without an
/// answer counts as silent.
#[must_use]
pub fn conditions(
    spec: &ClusterSpec,
    answers: &BTreeMap<MemberName, ClientAnswer>,
) -> Vec<Condition> {
    let mut conditions: Vec<Condition> = spec
        .members()
        .iter()
        .map(|member| Condition {
            name: format!("{} is ready", member.name),
            ok: answers
                .get(&member.name)
                .is_some_and(ClientAnswer::is_ready),
            evidence: answers
                .get(&member.name)
                .map_or("not asked".into(), ToString::to_string),
        })
        .collect();
    let statuses: BTreeMap<&MemberName, &Status> = answers
        .iter()
        .filter_map(|(name, answer)| Some((name, answer.status()?)))
        .collect();
    conditions.extend([one_cluster(spec, &statuses), one_leader(spec, &statuses)]);
    conditions.push(no_alarm(&statuses));
    conditions
}

fn one_cluster(spec: &ClusterSpec, statuses: &BTreeMap<&MemberName, &Status>) -> Condition {
    let expected = (spec.cluster_id(), spec.member_ids());
    let is_expected = |name: &MemberName, status: &Status| {
        status.cluster_id == expected.0 && expected.1.get(name) == Some(&status.member_id)
    };
    let list = statuses
        .iter()
        .map(|(name, s)| format!("{name} {} in {}", s.member_id, s.cluster_id));
    Condition {
        name: format!("all etcd members are in cluster {}", expected.0),
        ok: statuses.len() == spec.members().len()
            && statuses
                .iter()
                .all(|(name, status)| is_expected(name, status)),
        evidence: list.collect::<Vec<_>>().join(", "),
    }
}

fn one_leader(spec: &ClusterSpec, statuses: &BTreeMap<&MemberName, &Status>) -> Condition {
    let leaders: BTreeSet<_> = statuses.values().map(|status| status.leader).collect();
    let list = statuses.iter().map(|(name, status)| match status.leader {
        Some(leader) => format!("{name} follows {leader} in term {}", status.raft_term),
        None => format!("{name} has none"),
    });
    Condition {
        name: "etcd has one leader".into(),
        ok: statuses.len() >= spec.quorum() && leaders.len() == 1 && !leaders.contains(&None),
        evidence: list.collect::<Vec<_>>().join(", "),
    }
}

fn no_alarm(statuses: &BTreeMap<&MemberName, &Status>) -> Condition {
    let errors = statuses.iter().flat_map(|(name, status)| {
        status
            .errors
            .iter()
            .map(move |error| format!("{name}: {error}"))
    });
    let errors: Vec<String> = errors.collect();
    Condition {
        name: "etcd reports no alarm".into(),
        ok: errors.is_empty() && !statuses.is_empty(),
        evidence: match (errors.is_empty(), statuses.len()) {
            (true, asked) => format!("{asked} members asked"),
            (false, _) => errors.join(", "),
        },
    }
}
