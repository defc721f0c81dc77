//! What drains a node, gives it back or removes it. Pure.

use super::{DrainOptions, NodeFound, PodFound, PodName, PodPlace, RetireError, evict::blockers};
use host_exec::{HostName, systemd::UnitState};
use std::fmt;

/// One thing that is done to a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RetireStep {
    /// Keep new pods away.
    Cordon,
    /// Evict pods and wait until they have gone. Others that have come by then go too.
    Evict(Vec<PodName>),
    /// Take new pods again.
    Uncordon,
    /// Stop the kubelet, now and at every boot: it would make its Node again.
    StopKubelet,
    /// Delete the Node.
    DeleteNode,
}

/// Everything that is done to a node, in this order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RetirePlan {
    /// The node.
    pub node: HostName,
    /// What is done.
    pub steps: Vec<RetireStep>,
}

impl RetirePlan {
    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }
}

impl fmt::Display for RetireStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cordon => f.write_str("cordon: no new pods"),
            Self::Evict(pods) if pods.is_empty() => f.write_str("evict what comes meanwhile"),
            Self::Evict(pods) => {
                let pods: Vec<String> = pods.iter().map(PodName::to_string).collect();
                write!(f, "evict and wait for {}", pods.join(" "))
            }
            Self::Uncordon => f.write_str("uncordon: new pods again"),
            Self::StopKubelet => f.write_str("stop and disable kubelet.service"),
            Self::DeleteNode => f.write_str("delete its Node"),
        }
    }
}

impl fmt::Display for RetirePlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut steps = self.steps.iter();
        steps.try_for_each(|step| writeln!(f, "{}: {step}", self.node))
    }
}

/// What drains a node. Pure; empty for one that is cordoned and has no pods that would go.
///
/// # Errors
///
/// There is no such Node, or pods need consent that the options do not give.
pub fn plan_drain(found: &NodeFound, options: &DrainOptions) -> Result<RetirePlan, RetireError> {
    if !found.exists {
        return Err(RetireError::NoNode(found.name.clone()));
    }
    let blockers = blockers(&found.pods, options);
    if !blockers.is_empty() {
        let node = found.name.clone();
        return Err(RetireError::Blocked { node, blockers });
    }
    let mut steps = Vec::new();
    if !found.unschedulable {
        steps.push(RetireStep::Cordon);
    }
    // What ends is waited for, unless nobody is there to end it.
    let goes = |pod: &&PodFound| match pod.place(options) {
        PodPlace::Goes => true,
        PodPlace::Ends => found.ready,
        PodPlace::Stays | PodPlace::Blocked(_) => false,
    };
    let pods: Vec<PodName> = found
        .pods
        .iter()
        .filter(goes)
        .map(|p| p.name.clone())
        .collect();
    // A pod may have come just before the node was cordoned.
    if !pods.is_empty() || !found.unschedulable {
        steps.push(RetireStep::Evict(pods));
    }
    let node = found.name.clone();
    Ok(RetirePlan { node, steps })
}

/// What gives a node back. Pure; empty for one that takes pods.
///
/// # Errors
///
/// There is no such Node.
pub fn plan_uncordon(found: &NodeFound) -> Result<RetirePlan, RetireError> {
    let node = found.name.clone();
    if !found.exists {
        return Err(RetireError::NoNode(node));
    }
    let uncordon = found.unschedulable.then_some(RetireStep::Uncordon);
    let steps = uncordon.into_iter().collect();
    Ok(RetirePlan { node, steps })
}

/// What removes a node for good. Pure; empty for one that has no Node and no kubelet that runs or will.
///
/// # Errors
///
/// Pods need consent that the options do not give.
pub fn plan_remove(found: &NodeFound, options: &DrainOptions) -> Result<RetirePlan, RetireError> {
    let node = found.name.clone();
    let mut steps = match found.exists {
        true => plan_drain(found, options)?.steps,
        false => Vec::new(),
    };
    let is_left = |kubelet: &UnitState| !kubelet.is_at_rest();
    if found.kubelet.as_ref().is_some_and(is_left) {
        steps.push(RetireStep::StopKubelet);
    }
    if found.exists {
        steps.push(RetireStep::DeleteNode);
    }
    Ok(RetirePlan { node, steps })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(unschedulable: bool, pods: &[(&str, bool)]) -> NodeFound {
        let pod = |(name, ending): &(&str, bool)| PodFound {
            name: PodName {
                namespace: "default".into(),
                name: (*name).to_owned(),
            },
            controller: Some("ReplicaSet".into()),
            mirror: false,
            empty_dir: false,
            finished: false,
            ending: *ending,
        };
        NodeFound {
            name: "worker-0".parse().expect("a host name"),
            exists: true,
            unschedulable,
            ready: true,
            pods: pods.iter().map(pod).collect(),
            kubelet: Some(UnitState {
                active: "active".into(),
                file: "enabled".into(),
                ..UnitState::default()
            }),
        }
    }

    #[test]
    fn a_plan_has_what_is_left_to_do() {
        let options = DrainOptions::default();
        let plan = |found: &NodeFound| plan_remove(found, &options).expect("a plan").to_string();
        let mut node = found(false, &[("a", false), ("b", true)]);
        assert_eq!(
            plan(&node),
            "worker-0: cordon: no new pods\n\
             worker-0: evict and wait for default/a default/b\n\
             worker-0: stop and disable kubelet.service\n\
             worker-0: delete its Node\n"
        );
        // Killed after each step.
        node.unschedulable = true;
        node.pods.remove(0);
        assert!(plan(&node).starts_with("worker-0: evict and wait for default/b\n"));
        // Nobody is there to end it.
        node.ready = false;
        assert!(plan_drain(&node, &options).expect("a plan").is_empty());
        node.pods.clear();
        assert!(plan(&node).starts_with("worker-0: stop and disable"));
        node.kubelet = Some(UnitState {
            active: "inactive".into(),
            file: "disabled".into(),
            ..UnitState::default()
        });
        assert_eq!(plan(&node), "worker-0: delete its Node\n");
        node.exists = false;
        assert_eq!(plan(&node), "");
        assert!(matches!(
            plan_drain(&node, &options),
            Err(RetireError::NoNode(_))
        ));
    }

    #[test]
    fn what_would_be_lost_is_named_with_the_consent() {
        let mut node = found(false, &[("a", false)]);
        node.pods[0].controller = None;
        let refused = plan_drain(&node, &DrainOptions::default()).expect_err("no consent");
        assert_eq!(
            refused.to_string(),
            "node worker-0 is not drained, since pods there would be lost:\n  default/a has no controller that would \
             make it again; consent with --force"
        );
        let force = DrainOptions {
            force: true,
            ..DrainOptions::default()
        };
        assert_eq!(plan_drain(&node, &force).expect("a plan").steps.len(), 2);
    }

    #[test]
    fn a_node_is_given_back_once() {
        assert_eq!(
            plan_uncordon(&found(true, &[])).expect("a plan").steps,
            [RetireStep::Uncordon]
        );
        assert!(
            plan_uncordon(&found(false, &[]))
                .expect("a plan")
                .is_empty()
        );
    }
}
