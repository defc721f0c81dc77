//! Doing what the plan says: the only file with effects.

use crate::{
    Action, Api, ApiError, Desired, Hosts, NodeSetup, Object, ObjectKey, ObserveError, Plan,
    Readiness, UnknownHost,
    component::{Gate, kubelet},
    observe::{self, condition, ready_nodes},
};
use futures::future::{BoxFuture, FutureExt as _, try_join_all};
use host_exec::{
    EventSink, FileError, Host, HostName, Progress, RunError,
    event::Event,
    https::TlsError,
    poll::{self, Attempt, Wait, WaitError},
    systemd::{self, UnitName},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    convert::Infallible,
    path::{Path, PathBuf},
    sync::Mutex,
    time::Duration,
};
use tokio::sync::watch;

/// For the API server from its start to ready: 3 s on a quiet machine.
const API_LIMIT: Duration = Duration::from_secs(60);
/// For an object, from the API's first answer on: refusals of a starting server end within seconds.
const OBJECT_LIMIT: Duration = Duration::from_secs(60);
/// For a node, from the ready API on: certificate, runtime and network take 2 to 4 s.
const NODE_LIMIT: Duration = Duration::from_secs(60);
/// For the name server, from the first Ready node on; its image may have to be pulled.
const DNS_LIMIT: Duration = Duration::from_secs(180);
/// How much of a unit's log an error carries.
const LOG_LINES: u32 = 20;

/// The plan could not be done to its end. What was done stays; the next run goes on from there.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ApplyError {
    /// The caller gave no such host.
    #[error(transparent)]
    UnknownHost(#[from] UnknownHost),
    /// The material makes no TLS client.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// A file could not be written or removed.
    #[error(transparent)]
    File(#[from] FileError),
    /// A command failed on a host.
    #[error(transparent)]
    Run(#[from] RunError),
    /// The API refuses a request for good.
    #[error(transparent)]
    Api(#[from] ApiError),
    /// Something did not become so in time.
    #[error("no {what} after {:.0} s; last seen: {last}; the end of the log of {unit} on {host}:\n{log}", .after.as_secs_f64())]
    TimedOut {
        /// What was waited for.
        what: String,
        /// For how long.
        after: Duration,
        /// What the last look found.
        last: String,
        /// The node whose service is most likely the cause.
        host: HostName,
        /// That service.
        unit: &'static str,
        /// The last lines of its log, or why there are none.
        log: String,
    },
    /// The plan names a file, service or object that the desired state does not have.
    #[error("the plan does not belong to this cluster: {0} is unknown; make a new plan")]
    ForeignPlan(String),
}

impl From<Infallible> for ApplyError {
    fn from(never: Infallible) -> Self {
        match never {}
    }
}

impl From<ObserveError> for ApplyError {
    fn from(error: ObserveError) -> Self {
        match error {
            ObserveError::UnknownHost(error) => Self::UnknownHost(error),
            ObserveError::File(error) => Self::File(error),
            ObserveError::Run(error) => Self::Run(error),
            ObserveError::Tls(error) => Self::Tls(error),
            ObserveError::Api(error) => Self::Api(error),
        }
    }
}

/// How far an API server has come; the gates compare it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Stage {
    Silent,
    Answers,
    Ready,
}

/// What all tasks of one run share.
struct Run<'a> {
    desired: &'a Desired,
    hosts: &'a Hosts,
    events: &'a dyn EventSink,
    apis: Vec<(HostName, Api)>,
    stages: BTreeMap<HostName, watch::Sender<Stage>>,
    prepared: watch::Sender<bool>,
}

/// Does everything in `plan`, as much as possible at the same time, and tells `events` about it.
///
/// # Errors
///
/// The first step that fails ends the run. A service that fails and is restarted by systemd is *not* an
/// error while there is time left.
pub async fn apply(
    desired: &Desired,
    plan: &Plan,
    hosts: &Hosts,
    events: &dyn EventSink,
) -> Result<(), ApplyError> {
    if plan.is_empty() {
        return Ok(());
    }
    let apis = observe::apis(desired, hosts)?;
    let stage = |(name, _): &(HostName, Api)| (name.clone(), watch::Sender::new(Stage::Silent));
    let run = Run {
        stages: apis.iter().map(stage).collect(),
        prepared: watch::Sender::new(false),
        desired,
        hosts,
        events,
        apis,
    };
    let mut tracks: Vec<BoxFuture<'_, Result<(), ApplyError>>> = Vec::new();
    for (name, api) in &run.apis {
        tracks.push(run.follow_api(name, api).boxed());
    }
    let mut by_node: BTreeMap<&HostName, Vec<&Action>> = BTreeMap::new();
    let mut of_cluster = Vec::new();
    for step in &plan.steps {
        match &step.node {
            Some(name) => by_node.entry(name).or_default().push(&step.action),
            None => of_cluster.push(&step.action),
        }
    }
    for (name, actions) in by_node {
        tracks.push(run.node(name, actions).boxed());
    }
    tracks.push(run.cluster(of_cluster).boxed());
    try_join_all(tracks).await?;
    Ok(())
}

impl Run<'_> {
    /// Watches one API server until it is ready, and opens the gates on the way.
    async fn follow_api(&self, name: &HostName, api: &Api) -> Result<(), ApplyError> {
        let stage = &self.stages[name];
        let wait = self.wait(format!("ready API on {name}"), API_LIMIT);
        let wait = wait.longest_pause(Duration::from_millis(50));
        let said = Mutex::new(String::new());
        let look = || async {
            let readiness = api.readiness().await;
            stage.send_replace(match &readiness {
                Readiness::Silent(_) => Stage::Silent,
                Readiness::Answers(_) => Stage::Answers,
                Readiness::Ready => Stage::Ready,
            });
            if readiness == Readiness::Ready {
                return Ok::<_, Infallible>(Attempt::Ready(()));
            }
            let text = readiness.to_string();
            if let Ok(mut said) = said.lock()
                && *said != text
            {
                self.events.running(name.as_str(), "API", &text);
                said.clone_from(&text);
            }
            Ok(Attempt::NotYet(text))
        };
        let ready = async {
            self.or_log(poll::until(&wait, look).await, name, "kube-apiserver")
                .await
        };
        self.timed(name.as_str(), "API", ready).await
    }

    async fn node(&self, name: &HostName, actions: Vec<&Action>) -> Result<(), ApplyError> {
        let host = &**observe::host(self.hosts, name)?;
        let setup = self.desired.nodes.get(name);
        let setup = setup.ok_or_else(|| ApplyError::ForeignPlan(format!("node {name}")))?;
        let (mut awaited, mut forgotten) = (false, None);
        let mut later: Vec<BoxFuture<'_, Result<(), ApplyError>>> = Vec::new();
        for action in actions {
            match action {
                Action::Start { unit, gate, anew } => {
                    later.push(self.start(name, host, setup, unit, *gate, *anew).boxed());
                }
                Action::AwaitNode => awaited = true,
                // Every run follows every API, see `follow_api`.
                Action::AwaitApi => {}
                Action::WriteFiles { files, readers } => {
                    let work = write_files(host, setup, files, readers);
                    self.timed(name.as_str(), "files", work).await?;
                }
                Action::RemoveFile(path) => forgotten = Some(path),
                Action::ReloadUnits => {
                    systemd::daemon_reload(host).await?;
                }
                Action::Enable(units) => {
                    systemd::enable(host, units).await?;
                }
                Action::ApplyObjects(_) | Action::AwaitDns => {
                    return Err(ApplyError::ForeignPlan(format!("{action} on {name}")));
                }
            }
        }
        later.push(
            async {
                if awaited {
                    self.await_node(name, host).await?;
                }
                if let Some(path) = forgotten {
                    host.remove_file(path).await?;
                }
                Ok(())
            }
            .boxed(),
        );
        try_join_all(later).await?;
        Ok(())
    }

    async fn cluster(&self, actions: Vec<&Action>) -> Result<(), ApplyError> {
        let objects = actions.iter().find_map(|action| match action {
            Action::ApplyObjects(objects) => Some(objects),
            _ => None,
        });
        if let Some(objects) = objects {
            self.open(&self.apis[0].0, Gate::ApiAnswers).await;
            self.timed("", "objects", self.apply_objects(objects))
                .await?;
        }
        self.prepared.send_replace(true);
        if actions
            .iter()
            .any(|action| matches!(action, Action::AwaitDns))
        {
            self.open(&self.apis[0].0, Gate::ApiPrepared).await;
            self.timed("", "DNS", self.await_dns()).await?;
        }
        Ok(())
    }

    /// Waits for a gate of a node. Its end is bounded by [`Run::follow_api`] and the objects, whose failure
    /// ends the whole run.
    async fn open(&self, node: &HostName, gate: Gate) {
        // A worker has no API of its own and goes by the first.
        let stage = self
            .stages
            .get(node)
            .unwrap_or(&self.stages[&self.apis[0].0]);
        let wanted = match gate {
            Gate::AtOnce => return,
            Gate::ApiAnswers => Stage::Answers,
            Gate::ApiReady | Gate::ApiPrepared => Stage::Ready,
        };
        let mut stage = stage.subscribe();
        stage
            .wait_for(|stage| *stage >= wanted)
            .await
            .expect("the run holds the sender");
        if gate == Gate::ApiPrepared {
            let mut prepared = self.prepared.subscribe();
            prepared
                .wait_for(|done| *done)
                .await
                .expect("the run holds the sender");
        }
    }

    async fn start(
        &self,
        name: &HostName,
        host: &dyn Host,
        setup: &NodeSetup,
        unit: &UnitName,
        gate: Gate,
        anew: bool,
    ) -> Result<(), ApplyError> {
        let service = setup.services.iter().find(|service| service.unit == *unit);
        let service = service.ok_or_else(|| ApplyError::ForeignPlan(unit.to_string()))?;
        self.open(name, gate).await;
        let units = std::slice::from_ref(unit);
        self.timed(name.as_str(), unit.as_str(), async {
            if anew {
                systemd::restart(host, units).await?;
            } else {
                systemd::start(host, units).await?;
            }
            host.write_file(&service.record).await?;
            Ok(())
        })
        .await
    }

    async fn apply_objects(
        &self,
        keys: &[(ObjectKey, crate::ObjectDrift)],
    ) -> Result<(), ApplyError> {
        let desired = self.desired;
        let known: BTreeMap<&ObjectKey, &Object> = desired
            .objects
            .iter()
            .chain([&desired.token_secret])
            .map(|object| (object.key(), object))
            .collect();
        try_join_all(keys.iter().map(|(key, _)| async {
            let object = known
                .get(key)
                .ok_or_else(|| ApplyError::ForeignPlan(key.to_string()))?;
            self.apply_object(object).await
        }))
        .await?;
        Ok(())
    }

    async fn apply_object(&self, object: &Object) -> Result<(), ApplyError> {
        let (first, api) = &self.apis[0];
        let key = object.key();
        let node = self
            .desired
            .spec
            .nodes()
            .find(|(_, n)| key.kind == "Node" && n.name.as_str() == key.name);
        let wait = self.wait(format!("acceptance of {key}"), OBJECT_LIMIT);
        let look = || async {
            // A starting server refuses as malformed what it cannot judge yet: the address of a Service while
            // it does not know its own ranges, and those it may learn even a moment after it is ready.
            let may_change = *self.stages[first].borrow() != Stage::Ready || key.kind == "Service";
            let result = match node {
                None => api.apply(object).await,
                Some((_, node)) => match api.apply(object).await {
                    Ok(()) => api.apply_node_addresses(node).await,
                    refused => refused,
                },
            };
            match result {
                Ok(()) => Ok(Attempt::Ready(())),
                Err(error) if may_change || error.is_transient() => {
                    Ok(Attempt::NotYet(error.source.to_string()))
                }
                Err(error) => Err(error),
            }
        };
        let done = poll::until(&wait, look);
        self.or_log(done.await, first, "kube-apiserver").await
    }

    async fn await_node(&self, name: &HostName, host: &dyn Host) -> Result<(), ApplyError> {
        self.open(name, Gate::ApiPrepared).await;
        let api = &self.apis[0].1;
        let wait = self.wait(format!("Ready node {name}"), NODE_LIMIT);
        let look = || async {
            // A node that was made anew may still be called Ready by the API for the time of its lease.
            if host
                .file_mode(Path::new(kubelet::KUBECONFIG))
                .await?
                .is_none()
            {
                return Ok(Attempt::NotYet("its kubelet has no certificate yet".into()));
            }
            Ok::<_, FileError>(match api.list("v1", "Node").await {
                Ok(nodes) if ready_nodes(&nodes).contains(name.as_str()) => Attempt::Ready(()),
                Ok(nodes) => Attempt::NotYet(why_not_ready(nodes.get(name.as_str()))),
                Err(error) => Attempt::NotYet(error.source.to_string()),
            })
        };
        let ready = async {
            self.or_log(poll::until(&wait, look).await, name, "kubelet")
                .await
        };
        self.timed(name.as_str(), "Ready", ready).await
    }

    async fn await_dns(&self) -> Result<(), ApplyError> {
        let (first, api) = &self.apis[0];
        let wait = self.wait("available CoreDNS", DNS_LIMIT);
        let key = ObjectKey {
            api_version: "apps/v1".into(),
            kind: "Deployment".into(),
            namespace: Some("kube-system".into()),
            name: "coredns".into(),
        };
        let look = || async {
            Ok::<_, Infallible>(match api.get(&key).await {
                Ok(Some(found)) if condition(&found, "Available") => Attempt::Ready(()),
                Ok(Some(found)) => {
                    let available = found["status"]["availableReplicas"].as_u64().unwrap_or(0);
                    Attempt::NotYet(format!("{available} pods available"))
                }
                Ok(None) => Attempt::NotYet("no Deployment".into()),
                Err(error) => Attempt::NotYet(error.source.to_string()),
            })
        };
        // Where no node takes pods the scheduler says why; elsewhere the kubelet of the first that does.
        let (culprit, unit) = match self.desired.spec.workers.first() {
            Some(worker) => (&worker.name, "kubelet"),
            None => (first, "kube-scheduler"),
        };
        self.or_log(poll::until(&wait, look).await, culprit, unit)
            .await
    }

    fn wait(&self, what: impl Into<String>, limit: Duration) -> Wait {
        Wait::new(what, self.desired.spec.patient(limit)).longest_pause(Duration::from_millis(100))
    }

    /// The error of a wait, with the end of the log that most likely explains it.
    async fn or_log<E: Into<ApplyError>>(
        &self,
        waited: Result<(), WaitError<E>>,
        name: &HostName,
        unit: &'static str,
    ) -> Result<(), ApplyError> {
        match waited {
            Ok(()) => Ok(()),
            Err(WaitError::TimedOut { what, after, last }) => {
                Err(self.timed_out(what, after, last, name, unit).await)
            }
            Err(WaitError::Failed(error)) => Err(error.into()),
        }
    }

    async fn timed_out(
        &self,
        what: String,
        after: Duration,
        last: String,
        name: &HostName,
        unit: &'static str,
    ) -> ApplyError {
        let log = async {
            let host = observe::host(self.hosts, name).map_err(|error| error.to_string())?;
            let unit: UnitName = format!("{unit}.service")
                .parse()
                .expect("component names are letters and '-'");
            systemd::journal(&**host, &unit, LOG_LINES)
                .await
                .map_err(|error| error.to_string())
        };
        let log = log.await.unwrap_or_else(|error| error);
        ApplyError::TimedOut {
            what,
            after,
            last,
            host: name.clone(),
            unit,
            log,
        }
    }

    /// Reports begin and end of a piece of work.
    async fn timed(
        &self,
        machine: &str,
        step: &str,
        work: impl Future<Output = Result<(), ApplyError>>,
    ) -> Result<(), ApplyError> {
        self.events.started(machine, step);
        let result = work.await;
        match &result {
            Ok(()) => self.events.done(machine, step, ""),
            Err(error) => {
                self.events.emit(Event::new(
                    machine,
                    step,
                    Progress::Failed(error.to_string()),
                ));
            }
        }
        result
    }
}

async fn write_files(
    host: &dyn Host,
    setup: &NodeSetup,
    files: &[(PathBuf, host_exec::files::Drift)],
    readers: &[UnitName],
) -> Result<(), ApplyError> {
    let records = setup
        .services
        .iter()
        .filter(|service| readers.contains(&service.unit));
    try_join_all(records.map(|service| host.remove_file(&service.record.path))).await?;
    let wanted: BTreeSet<&Path> = files.iter().map(|(path, _)| path.as_path()).collect();
    let known = setup.files.iter().chain([&setup.bootstrap_file]);
    let found: Vec<_> = known
        .filter(|file| wanted.contains(file.path.as_path()))
        .collect();
    if found.len() != wanted.len() {
        return Err(ApplyError::ForeignPlan("a file to be written".into()));
    }
    try_join_all(found.into_iter().map(|file| host.write_file(file))).await?;
    Ok(())
}

/// The kubelet's own words, such as "container runtime network not ready".
fn why_not_ready(node: Option<&serde_json::Value>) -> String {
    let Some(node) = node else {
        return "no Node object".into();
    };
    let conditions = node["status"]["conditions"]
        .as_array()
        .into_iter()
        .flatten();
    let ready = conditions.filter(|condition| condition["type"] == "Ready");
    let message = ready
        .filter_map(|condition| condition["message"].as_str())
        .next_back();
    message
        .unwrap_or("the kubelet has said nothing yet")
        .to_owned()
}
