//! What a run waits for, for how long, and what it says when that does not come.

use super::{ApplyError, Run, Stage};
use crate::{
    Api, ApiError, NodeSetup, ObjectKey, Readiness, Shape, blame,
    component::Gate,
    kubeadm,
    last_words::{self, Speaker},
    observe::{self, condition, holds, ready_nodes},
};
use host_exec::{
    HostName,
    poll::{self, Attempt, Wait, WaitError},
    systemd::UnitName,
};
use serde_json::Value;
use std::{collections::BTreeMap, convert::Infallible, sync::Mutex, time::Duration};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

/// For the API server from its start to ready: 3 s on a quiet machine.
const API_LIMIT: Duration = Duration::from_secs(60);
/// For a node, from its certificate and the ready API on: runtime and network take 1 to 2 s.
const NODE_LIMIT: Duration = Duration::from_secs(60);
/// For the name server, from the prepared API on; its image may have to be pulled.
const DNS_LIMIT: Duration = Duration::from_secs(180);
/// For static pods that are made anew: 30 s of grace, which an API server takes for streams without an end, and up to 20 s
/// until its startup probe, which comes every 10 s, has seen it.
const PODS_LIMIT: Duration = Duration::from_secs(150);
/// What the events of that wait are about.
const POD_STEP: &str = "static pods";
/// How much of a unit's log an error carries.
const LOG_LINES: usize = 20;

impl Run<'_> {
    /// Watches one API server until it is ready, and opens the gates on the way.
    pub(super) async fn follow_api(&self, name: &HostName, api: &Api) -> Result<(), ApplyError> {
        // Before it is started anew, the old one still answers.
        self.launched(name).await;
        let wait = self.wait(format!("ready API on {name}"), API_LIMIT);
        let wait = wait.longest_pause(Duration::from_millis(50));
        let said = Mutex::new(String::new());
        let look = || async {
            let readiness = api.readiness().await;
            let stage = match &readiness {
                Readiness::Silent(_) => Stage::Silent,
                Readiness::Answers(_) => Stage::Answers,
                Readiness::Ready => Stage::Ready,
            };
            self.has_come(name, stage);
            if readiness == Readiness::Ready {
                return Ok::<_, Infallible>(Attempt::Ready(()));
            }
            Ok(self.tell(name, "API", &said, readiness.to_string()))
        };
        let ready = async {
            self.or_log(poll::until(&wait, look).await, name, "kube-apiserver")
                .await
        };
        self.timed(name.as_str(), "API", ready).await
    }

    pub(super) async fn await_node(&self, name: &HostName) -> Result<(), ApplyError> {
        self.open(name, Gate::ApiPrepared).await;
        let since = self.joined(name).await;
        let wait = self.wait(format!("Ready node {name}"), NODE_LIMIT);
        let look = || async {
            let nodes = self.leading().1.list("v1", "Node").await;
            Ok::<_, Infallible>(match nodes {
                Ok(nodes) if is_ready(&nodes, name, since) => Attempt::Ready(()),
                Ok(nodes) => Attempt::NotYet(why_not_ready(nodes.get(name.as_str()))),
                Err(error) => self.not_yet(&error),
            })
        };
        let ready = async {
            self.or_log(poll::until(&wait, look).await, name, "kubelet")
                .await
        };
        self.timed(name.as_str(), "Ready", ready).await
    }

    /// The old pods may take what is left of their grace, and the API server of this node is away meanwhile.
    pub(super) async fn await_pods(
        &self,
        name: &HostName,
        setup: &NodeSetup,
    ) -> Result<(), ApplyError> {
        self.any(Stage::Ready).await;
        let wait = self.wait(format!("new static pods on {name}"), PODS_LIMIT);
        let said = Mutex::new(String::new());
        let look = || async {
            let pods = self.leading().1.list("v1", "Pod").await;
            Ok::<_, Infallible>(match pods {
                Ok(pods) => match kubeadm::lacking(name, setup, &pods) {
                    lacking if lacking.is_empty() => Attempt::Ready(()),
                    lacking => self.tell(name, POD_STEP, &said, lacking.join("; ")),
                },
                Err(error) => self.not_yet(&error),
            })
        };
        let new = async {
            self.or_log(poll::until(&wait, look).await, name, "kubelet")
                .await
        };
        self.timed(name.as_str(), POD_STEP, new).await
    }

    pub(super) async fn await_dns(&self) -> Result<(), ApplyError> {
        let wait = self.wait("available CoreDNS", DNS_LIMIT);
        let key = ObjectKey {
            api_version: "apps/v1".into(),
            kind: "Deployment".into(),
            namespace: Some("kube-system".into()),
            name: "coredns".into(),
        };
        let look = || async {
            Ok::<_, Infallible>(match self.leading().1.get(&key).await {
                Ok(Some(found)) if holds(&found, "Available") => Attempt::Ready(()),
                Ok(Some(found)) => {
                    let available = found["status"]["availableReplicas"].as_u64().unwrap_or(0);
                    Attempt::NotYet(format!("{available} pods available"))
                }
                Ok(None) => Attempt::NotYet("no Deployment".into()),
                Err(error) => self.not_yet(&error),
            })
        };
        // Where no node takes pods the scheduler says why; elsewhere the kubelet of the first that does.
        let (culprit, unit) = match self.desired.spec.workers.first() {
            Some(worker) => (&worker.name, "kubelet"),
            None => (self.leading().0, "kube-scheduler"),
        };
        self.or_log(poll::until(&wait, look).await, culprit, unit)
            .await
    }

    /// Not yet, for a reason that an event tells when it is another one than before.
    fn tell<T>(
        &self,
        name: &HostName,
        step: &str,
        said: &Mutex<String>,
        text: String,
    ) -> Attempt<T> {
        if let Ok(mut said) = said.lock()
            && *said != text
        {
            self.events.running(name.as_str(), step, &text);
            said.clone_from(&text);
        }
        Attempt::NotYet(text)
    }

    /// A request without an answer; the next goes to another API server.
    pub(super) fn not_yet<T>(&self, error: &ApiError) -> Attempt<T> {
        self.lead_on();
        Attempt::NotYet(error.source.to_string())
    }

    pub(super) fn wait(&self, what: impl Into<String>, limit: Duration) -> Wait {
        Wait::new(what, self.desired.spec.patient(limit)).longest_pause(Duration::from_millis(100))
    }

    /// The error of a wait, with the end of the log that most likely explains it.
    pub(super) async fn or_log<T, E: Into<ApplyError>>(
        &self,
        waited: Result<T, WaitError<E>>,
        name: &HostName,
        unit: &'static str,
    ) -> Result<T, ApplyError> {
        match waited {
            Ok(found) => Ok(found),
            Err(WaitError::TimedOut { what, after, last }) => {
                Err(self.timed_out(what, after, last, name, unit).await)
            }
            Err(WaitError::Failed(error)) => Err(error.into()),
        }
    }

    pub(super) async fn timed_out(
        &self,
        what: String,
        after: Duration,
        last: String,
        name: &HostName,
        unit: &'static str,
    ) -> ApplyError {
        let unit = match self.desired.spec.shape {
            Shape::Services => unit,
            // It starts all the others, and says why it does not.
            Shape::StaticPods => "kubelet",
        };
        let log = async {
            let host = observe::host(self.hosts, name).map_err(|error| error.to_string())?;
            let unit: UnitName = format!("{unit}.service")
                .parse()
                .expect("component names are letters and '-'");
            let lines = last_words::of(Speaker::Anybody, &**host, &unit, LOG_LINES).await;
            lines
                .map(|lines| lines.join("\n"))
                .map_err(|error| error.to_string())
        };
        let log = log.await.unwrap_or_else(|error| error);
        let last = match self.hosts.get(name) {
            Some(host) => blame::with_certificate(&**host, &self.desired.ca_pem, last).await,
            None => last,
        };
        ApplyError::TimedOut {
            what,
            after,
            last,
            host: name.clone(),
            unit,
            log,
        }
    }
}

/// A node that was made anew may still be called Ready by the API for the time of its lease, so one that has just
/// joined must have said so after that; both times are of its own clock, in whole seconds.
fn is_ready(
    nodes: &BTreeMap<String, Value>,
    name: &HostName,
    since: Option<OffsetDateTime>,
) -> bool {
    if !ready_nodes(nodes).contains(name.as_str()) {
        return false;
    }
    let said = condition(&nodes[name.as_str()], "Ready")["lastHeartbeatTime"].as_str();
    let said = said.and_then(|text| OffsetDateTime::parse(text, &Rfc3339).ok());
    since.is_none_or(|since| said.is_some_and(|said| said >= since))
}

/// The kubelet's own words, such as "container runtime network not ready".
fn why_not_ready(node: Option<&Value>) -> String {
    let Some(node) = node else {
        return "no Node object".into();
    };
    let message = condition(node, "Ready")["message"].as_str();
    let message = message.unwrap_or("the kubelet has said nothing yet");
    message.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_node_is_ready_when_it_says_so_after_it_joined() {
        let name: HostName = "worker-0".parse().expect("a host name");
        let with = |status: &str, heartbeat: &str| {
            let ready = json!({"type": "Ready", "status": status, "lastHeartbeatTime": heartbeat});
            BTreeMap::from([(
                "worker-0".to_owned(),
                json!({"status": {"conditions": [ready]}}),
            )])
        };
        let joined = OffsetDateTime::from_unix_timestamp(1_800_000_000).expect("a time");
        let at = "2027-01-15T08:00:00Z";
        let before = "2027-01-15T07:59:59Z";
        assert!(is_ready(&with("True", at), &name, Some(joined)));
        assert!(!is_ready(&with("True", before), &name, Some(joined)));
        assert!(is_ready(&with("True", before), &name, None));
        assert!(!is_ready(&with("False", at), &name, Some(joined)));
        assert!(!is_ready(&BTreeMap::new(), &name, None));
    }
}
