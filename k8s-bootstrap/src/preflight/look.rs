//! Many nodes at once.

use super::{FactsError, Finding, facts, judge, judge_clocks};
use crate::{ClusterSpec, Hosts, UnknownHost};
use futures::future::try_join_all;
use host_exec::HostName;
use std::collections::{BTreeMap, BTreeSet};

/// A node could not be asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LookError {
    /// The caller gave no such host.
    #[error(transparent)]
    UnknownHost(#[from] UnknownHost),
    /// Its host.
    #[error("cannot look at node {node} before anything is put on it")]
    Facts {
        /// The node.
        node: HostName,
        /// The cause.
        #[source]
        source: FactsError,
    },
}

/// Asks these nodes, all at the same time, and judges each, and their clocks against each other. For nodes on which
/// nothing of ours runs yet: what runs would be found in its own way. Changes nothing.
///
/// # Errors
///
/// A node has no host, or its host cannot be asked. A name that is not in the spec is *not* an error.
pub async fn look(
    spec: &ClusterSpec,
    hosts: &Hosts,
    nodes: &BTreeSet<HostName>,
) -> Result<Vec<Finding>, LookError> {
    let wanted: Vec<_> = spec
        .nodes()
        .filter(|(_, node)| nodes.contains(&node.name))
        .collect();
    let asked = wanted.iter().map(|(role, node)| async move {
        let name = || node.name.clone();
        let host = hosts.get(&node.name).ok_or_else(|| UnknownHost(name()))?;
        let seen = facts(spec, *role, node, host.as_ref()).await;
        seen.map_err(|source| LookError::Facts {
            node: name(),
            source,
        })
    });
    let asked = try_join_all(asked).await?;
    let mut found = Vec::new();
    let mut clocks_s = BTreeMap::new();
    for ((role, node), seen) in wanted.iter().zip(&asked) {
        found.extend(judge(spec, *role, node, seen));
        clocks_s.insert(node.name.clone(), seen.clock_s);
    }
    found.extend(judge_clocks(&clocks_s));
    Ok(found)
}
