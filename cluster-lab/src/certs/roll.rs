//! Changed certificates go out to a lab that runs: one member and one control plane at a time.
//!
//! `lab up` does the same all at once, since it may find nothing that runs; here somebody is served all the while.

use crate::{
    Hosts, Lab, LabPlanError, ObserveError, StateError, Wired,
    lab::etcd_hosts,
    plan::{plan_etcd, plan_kubernetes},
};
use host_exec::{
    EventSink,
    poll::{self, Attempt, Wait, WaitError},
};
use k8s_bootstrap::{
    Action, ClusterSpec, ExpiringToken, Plan, Readiness, Role, Step, component::Gate,
};
use std::{cell::Cell, time::Duration};

/// How long the API servers may take to be all ready, between one and the next that is started anew.
const READY_LIMIT: Duration = Duration::from_secs(60);
/// How often in a row they have to be ready, and how long after each other they are asked: a balancer that has taken
/// one out looks at it again every quarter of a second, and would still lead nobody there.
const LOOKS: u8 = 4;
const PAUSE: Duration = Duration::from_millis(250);

/// Certificates could not be brought to the machines. What was done stays; the same command goes on from there.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RollError {
    /// What is there could not be looked at.
    #[error(transparent)]
    Plan(#[from] LabPlanError),
    /// The lab's directory.
    #[error(transparent)]
    State(#[from] StateError),
    /// The members of etcd.
    #[error("cannot bring certificates to etcd")]
    Etcd(#[from] etcd_bootstrap::ApplyError),
    /// The nodes.
    #[error("cannot bring certificates to {node}")]
    Kubernetes {
        /// The node.
        node: String,
        /// Why.
        #[source]
        source: Box<k8s_bootstrap::ApplyError>,
    },
    /// The API servers are not all ready, and the next is left alone.
    #[error(
        "the API servers are not all ready, so no further one is touched; `lab check` says more"
    )]
    NotReady(#[source] WaitError<ObserveError>),
}

/// One way through a lab, with what it is to have.
pub(crate) struct Roll<'a> {
    pub(crate) lab: &'a Lab,
    pub(crate) wired: &'a Wired,
    pub(crate) hosts: &'a Hosts,
    pub(crate) token: &'a ExpiringToken,
    pub(crate) events: &'a dyn EventSink,
}

impl Roll<'_> {
    /// Brings every machine to what it is to have, and says whether anything had to be done.
    ///
    /// Members of etcd first, then control planes, then what the cluster itself signs for kubelets, which takes every
    /// signer to be the same; then objects of the API.
    pub(crate) async fn run(&self) -> Result<bool, RollError> {
        let etcd = plan_etcd(self.wired, self.hosts, self.lab.now).await?;
        let members = etcd_hosts(&self.wired.etcd, self.hosts);
        let (spec, tls) = (&self.wired.etcd, &self.wired.etcd_tls);
        etcd_bootstrap::apply(spec, &etcd, &members, tls, self.events).await?;
        let mut changed = !etcd.is_empty();
        let plan = plan_kubernetes(self.wired, self.hosts).await?;
        for round in [Round::Programs, Round::Signed] {
            for (node, own) in by_node(&plan, self.wired.kubernetes.spec(), round) {
                self.all_ready().await?;
                self.apply(&node, &own).await?;
                changed = true;
            }
        }
        if plan.is_empty() {
            return Ok(changed);
        }
        let rest = plan_kubernetes(self.wired, self.hosts).await?;
        if !rest.is_empty() {
            self.apply("the cluster", &rest).await?;
            changed = true;
        }
        if changed {
            self.all_ready().await?;
        }
        Ok(changed)
    }

    async fn apply(&self, node: &str, plan: &Plan) -> Result<(), RollError> {
        let token = self.token;
        // Before it is handed out, as a node that joins anew may need it.
        self.lab
            .state()
            .remember_token(&token.token, token.expires)?;
        let applied = k8s_bootstrap::apply(&self.wired.kubernetes, plan, self.hosts, self.events);
        applied
            .await
            .map(drop)
            .map_err(|source| RollError::Kubernetes {
                node: node.to_owned(),
                source: Box::new(source),
            })
    }

    /// Waits until every API server is ready, and stays so.
    async fn all_ready(&self) -> Result<(), RollError> {
        let limit = READY_LIMIT.mul_f64(self.lab.spec.patience);
        let wait = Wait::new("API servers that are all ready", limit).longest_pause(PAUSE);
        let in_a_row = Cell::new(0);
        let looked = poll::until(&wait, || async {
            let states = k8s_bootstrap::readiness(&self.wired.kubernetes, self.hosts).await?;
            let bad = states.iter().find(|(_, state)| **state != Readiness::Ready);
            if let Some((name, state)) = bad {
                in_a_row.set(0);
                return Ok(Attempt::NotYet(format!("{name} is {state}")));
            }
            in_a_row.set(in_a_row.get() + 1);
            Ok(match in_a_row.get() {
                enough if enough >= LOOKS => Attempt::Ready(()),
                few => Attempt::NotYet(format!("ready {few} times in a row")),
            })
        });
        looked.await.map_err(RollError::NotReady)
    }
}

/// What is done in one way over the nodes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Round {
    /// Files and programs of control planes, and nothing that the cluster has to sign.
    Programs,
    /// All the rest of every node.
    Signed,
    /// Both, for a plan that is shown.
    All,
}

/// The steps of each node by itself, in the order of the plan, which has control planes first. A node that joins takes
/// the objects of the cluster along: the token is among them.
pub(crate) fn by_node(plan: &Plan, spec: &ClusterSpec, round: Round) -> Vec<(String, Plan)> {
    let own = spec.nodes().map(|(role, node)| {
        let is_in = |step: &&Step| {
            let programs = role == Role::ControlPlane && !is_signed(&step.action);
            let is_now = match round {
                Round::Programs => programs,
                Round::Signed => !programs,
                Round::All => true,
            };
            is_now && step.node.as_ref() == Some(&node.name)
        };
        let mut steps: Vec<Step> = plan.steps.iter().filter(is_in).cloned().collect();
        if steps
            .iter()
            .any(|step| matches!(step.action, Action::Join(_)))
        {
            let is_object = |step: &&Step| matches!(step.action, Action::ApplyObjects(_));
            steps.extend(plan.steps.iter().filter(is_object).cloned());
        }
        (node.name.to_string(), Plan { steps })
    });
    own.filter(|(_, plan)| !plan.is_empty()).collect()
}

/// Whether a step is about what the cluster signs for a kubelet, or waits for it.
fn is_signed(action: &Action) -> bool {
    match action {
        Action::Start { gate, .. } => *gate == Gate::Joined,
        Action::Join(_) | Action::DropServing(_) | Action::AwaitServing(_) | Action::AwaitNode => {
            true
        }
        _ => false,
    }
}
