//! The history of a cluster whose record was lost, asked from its members. Changes nothing.

use crate::{
    ClusterId, ClusterSpec, History, LearnError, ListedMember, MemberId, MemberName, PeerAnswer,
    Probe,
};
use futures::future::join_all;
use std::collections::BTreeSet;

/// The history could not be had from the members.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RecallError {
    /// Too few of the members say who the members are.
    #[error(
        "{answered} of the {listed} members of etcd say who they are, and {needed} have to; start the others"
    )]
    NoMajority {
        /// How many answered that are members.
        answered: usize,
        /// How many members they list; 0 if nobody answered.
        listed: usize,
        /// How many had to answer.
        needed: usize,
    },
    /// Two members do not tell the same. In the middle of a change that passes.
    #[error(
        "etcd members {one} and {other} do not list the same members of the same cluster; try again, and find out which \
         of them is in another cluster if that does not help"
    )]
    Disagree {
        /// One of them.
        one: MemberName,
        /// The other one.
        other: MemberName,
    },
    /// What they tell is no history of a cluster with this token.
    #[error(transparent)]
    Learn(#[from] LearnError),
}

/// Asks the members of `spec` who the members are, and makes a history of it that can be kept.
///
/// That the cluster is the one of `spec` is proven three times over. Whoever answers at a peer port has a certificate by the
/// peer authority of `spec`. A majority of the members has to answer, and all who do tell the same cluster ID and
/// members. And the cluster ID has to follow from the token of `spec` and addresses that are known: it is a SHA-1 of
/// both, so that no other cluster has it by chance.
///
/// The history of `spec` itself is not looked at. See [`History::learn`] for what nobody can tell any more.
///
/// # Errors
///
/// No majority answers, two members disagree, or the founders cannot be found. Members that are down are *not* an error as
/// long as a majority answers.
pub async fn recall(spec: &ClusterSpec, probe: &Probe) -> Result<History, RecallError> {
    let asked = spec.members().iter().map(|member| async move {
        let answer = probe.peer(&member.name).await;
        (member.name.clone(), answer)
    });
    let (cluster_id, listed) = agreed(&join_all(asked).await)?;
    let expected = spec.members().iter();
    let expected: Vec<_> = expected.map(|m| (m.name.clone(), m.peer_url())).collect();
    Ok(History::learn(
        spec.token(),
        cluster_id,
        &listed,
        &expected,
    )?)
}

/// What a majority tells without a contradiction. Pure.
fn agreed(
    answers: &[(MemberName, PeerAnswer)],
) -> Result<(ClusterId, Vec<ListedMember>), RecallError> {
    let mut telling = answers.iter().filter_map(|(name, answer)| match answer {
        PeerAnswer::Serving {
            cluster_id: Some(id),
            formed: true,
            members,
        } => Some((name, *id, members)),
        PeerAnswer::Serving { .. } | PeerAnswer::Silent(_) => None,
    });
    let first = telling.next();
    let (one, cluster_id, listed) = first.ok_or(RecallError::NoMajority {
        answered: 0,
        listed: 0,
        needed: 1,
    })?;
    let mut answered = 1;
    for (other, id, members) in telling {
        if id != cluster_id || identity(members) != identity(listed) {
            let (one, other) = (one.clone(), other.clone());
            return Err(RecallError::Disagree { one, other });
        }
        answered += 1;
    }
    let voters = listed.iter().filter(|member| !member.is_learner).count();
    let needed = voters / 2 + 1;
    if answered < needed {
        return Err(RecallError::NoMajority {
            answered,
            listed: listed.len(),
            needed,
        });
    }
    Ok((cluster_id, listed.clone()))
}

fn identity(members: &[ListedMember]) -> BTreeSet<(MemberId, &[String], bool)> {
    let members = members.iter();
    members
        .map(|member| (member.id, member.peer_urls.as_slice(), member.is_learner))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(cluster: u64, ids: &[u64]) -> PeerAnswer {
        let member = |id: &u64| ListedMember {
            id: MemberId(*id),
            name: format!("etcd-{id}"),
            peer_urls: vec![format!("https://10.0.0.{id}:2380")],
            is_learner: false,
            client_urls: Vec::new(),
        };
        PeerAnswer::Serving {
            cluster_id: Some(ClusterId(cluster)),
            formed: true,
            members: ids.iter().map(member).collect(),
        }
    }

    fn of(answers: Vec<PeerAnswer>) -> Result<(ClusterId, Vec<ListedMember>), RecallError> {
        let names = (0..).map(|number| format!("etcd-{number}").parse().unwrap());
        agreed(&names.zip(answers).collect::<Vec<_>>())
    }

    #[test]
    fn a_majority_that_agrees_is_believed_whoever_is_silent() {
        let silent = PeerAnswer::Silent("refused".into());
        let (one, turned) = (answer(7, &[1, 2, 3]), answer(7, &[3, 1, 2]));
        let (id, listed) = of(vec![one.clone(), silent.clone(), turned]).unwrap();
        assert_eq!((id, listed.len()), (ClusterId(7), 3));
        let alone = of(vec![one, silent.clone(), silent.clone()]);
        let expected = RecallError::NoMajority {
            answered: 1,
            listed: 3,
            needed: 2,
        };
        assert_eq!(alone, Err(expected));
        assert!(matches!(
            of(vec![silent]),
            Err(RecallError::NoMajority { .. })
        ));
    }

    #[test]
    fn who_disagrees_is_named_and_nobody_is_believed() {
        let one = answer(7, &[1, 2, 3]);
        for other in [answer(8, &[1, 2, 3]), answer(7, &[1, 2, 4])] {
            let refused = of(vec![one.clone(), one.clone(), other]).unwrap_err();
            assert!(
                refused.to_string().contains("etcd-0 and etcd-2"),
                "{refused}"
            );
        }
    }
}
