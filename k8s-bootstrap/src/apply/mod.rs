//! Doing what the plan says: the only place with effects.

mod addresses;
mod controllers;
mod error;
mod join;
mod objects;
mod serving;
mod wait;

pub use error::ApplyError;
pub use join::JoinReason;

use crate::{
    Action, Api, Desired, Hosts, NodeSetup, ObserveError, Plan, Shape,
    component::{Gate, kubelet},
    kubeadm, observe,
};
use futures::future::{BoxFuture, FutureExt as _, try_join, try_join_all};
use host_exec::{
    EventSink, Host, HostName,
    files::Drift,
    systemd::{self, UnitName},
};
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::atomic::{AtomicUsize, Ordering},
};
use time::OffsetDateTime;
use tokio::sync::watch;

/// The unit whose start the watch of its API waits for.
fn api_unit(desired: &Desired) -> &'static str {
    match desired.spec.shape {
        Shape::Services => "kube-apiserver.service",
        Shape::StaticPods => kubelet::UNIT,
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
    /// The place in `apis` of the one that is asked about the cluster: the first to answer, and another when it fails.
    leading: AtomicUsize,
    stages: BTreeMap<HostName, watch::Sender<Stage>>,
    /// The highest of the stages: what serves the cluster is any of them.
    any_stage: watch::Sender<Stage>,
    /// Whether each API server is the one that is to stay, not one about to be started anew.
    launched: BTreeMap<HostName, watch::Sender<bool>>,
    /// The plan starts no API server: what nobody could see of the objects may well be as it has to be.
    looks_first: bool,
    prepared: watch::Sender<bool>,
    /// The nodes that the plan has join, and when each did, by its own clock.
    joined: BTreeMap<HostName, watch::Sender<Option<OffsetDateTime>>>,
}

/// Does everything in `plan`, as much as possible at the same time, and tells `events` about it. Says whether anything was
/// changed: not so if it had only to wait, or if objects that nobody could see were as they have to be.
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
) -> Result<bool, ApplyError> {
    if plan.is_empty() {
        return Ok(false);
    }
    let run = Run::new(desired, plan, hosts, events)?;
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
    let (_, wrote) = try_join(try_join_all(tracks), run.cluster(of_cluster)).await?;
    let changes = |action: &Action| match action {
        Action::ApplyObjects(_) => wrote,
        other => !other.only_waits(),
    };
    Ok(plan.steps.iter().any(|step| changes(&step.action)))
}

fn joining(plan: &Plan) -> impl Iterator<Item = HostName> {
    let steps = plan.steps.iter();
    let joining = steps.filter(|step| matches!(step.action, Action::Join(_)));
    joining.filter_map(|step| step.node.clone())
}

fn starts_api(desired: &Desired, plan: &Plan, name: &HostName) -> bool {
    plan.steps.iter().any(|step| {
        let start = |action: &Action| matches!(action, Action::Start { unit, .. } if unit.as_str() == api_unit(desired));
        step.node.as_ref() == Some(name) && start(&step.action)
    })
}

impl<'a> Run<'a> {
    /// Nothing has been done yet.
    fn new(
        desired: &'a Desired,
        plan: &Plan,
        hosts: &'a Hosts,
        events: &'a dyn EventSink,
    ) -> Result<Self, ObserveError> {
        let apis = observe::apis(desired, hosts)?;
        let stays = |(name, _): &(HostName, Api)| {
            let stays = !starts_api(desired, plan, name);
            (name.clone(), watch::Sender::new(stays))
        };
        let launched: BTreeMap<_, _> = apis.iter().map(stays).collect();
        let silent =
            |(name, _): &(HostName, Api)| (name.clone(), watch::Sender::new(Stage::Silent));
        Ok(Self {
            looks_first: launched.values().all(|stays| *stays.borrow()),
            launched,
            stages: apis.iter().map(silent).collect(),
            any_stage: watch::Sender::new(Stage::Silent),
            leading: AtomicUsize::new(0),
            prepared: watch::Sender::new(false),
            joined: joining(plan)
                .map(|name| (name, watch::Sender::new(None)))
                .collect(),
            desired,
            hosts,
            events,
            apis,
        })
    }
}

impl Run<'_> {
    /// Waits until the API server of a control plane has been started, if the plan starts it.
    async fn launched(&self, name: &HostName) {
        told(&self.launched[name], |launched| *launched).await;
    }

    async fn node(&self, name: &HostName, actions: Vec<&Action>) -> Result<(), ApplyError> {
        let host = &**observe::host(self.hosts, name)?;
        let setup = self.desired.nodes.get(name);
        let setup = setup.ok_or_else(|| ApplyError::ForeignPlan(format!("node {name}")))?;
        let mut later: Vec<BoxFuture<'_, Result<(), ApplyError>>> = Vec::new();
        for action in &actions {
            match action {
                Action::Start { unit, gate, anew } => {
                    later.push(self.start(name, host, setup, unit, *gate, *anew).boxed());
                }
                Action::Reload(unit) => later.push(self.reload(name, host, setup, unit).boxed()),
                Action::Join(_) => later.push(self.join(name, setup).boxed()),
                Action::AwaitServing(_) => later.push(self.await_serving(name).boxed()),
                Action::DropServing(_) => serving::drop_certificate(host, setup).await?,
                Action::AwaitPods => later.push(self.await_pods(name, setup).boxed()),
                Action::AwaitNode => later.push(self.await_node(name).boxed()),
                // Every run follows every API, see `follow_api`.
                Action::AwaitApi => {}
                Action::WriteFiles { files, readers } => {
                    let work = write_files(host, setup, files, readers);
                    self.timed(name.as_str(), "files", work).await?;
                }
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
        try_join_all(later).await?;
        self.await_controllers(name, &actions).await
    }

    /// Whether an object was written.
    async fn cluster(&self, actions: Vec<&Action>) -> Result<bool, ApplyError> {
        let mut wrote = false;
        let objects = actions.iter().find_map(|action| match action {
            Action::ApplyObjects(objects) => Some(objects),
            _ => None,
        });
        if let Some(objects) = objects {
            self.any(Stage::Answers).await;
            let work = self.apply_objects(objects);
            wrote = self.timed("", "objects", work).await?;
        }
        self.prepared.send_replace(true);
        if actions
            .iter()
            .any(|action| matches!(action, Action::AwaitDns))
        {
            self.any(Stage::Ready).await;
            self.timed("", "DNS", self.await_dns()).await?;
        }
        Ok(wrote)
    }

    /// Waits for a gate of a node. Its end is bounded by [`Run::follow_api`] and the objects, whose failure
    /// ends the whole run.
    async fn open(&self, node: &HostName, gate: Gate) {
        // A worker has no API of its own and goes by whichever comes first.
        let stage = self.stages.get(node).unwrap_or(&self.any_stage);
        let wanted = match gate {
            Gate::AtOnce => return,
            Gate::Joined => {
                self.joined(node).await;
                return;
            }
            Gate::ApiAnswers => Stage::Answers,
            Gate::ApiReady | Gate::ApiPrepared | Gate::Spare => Stage::Ready,
        };
        told(stage, |stage| *stage >= wanted).await;
        if gate == Gate::Spare {
            self.joined(node).await;
        }
        if gate == Gate::ApiPrepared {
            self.prepared().await;
        }
    }

    /// Waits until the API has our objects.
    async fn prepared(&self) {
        told(&self.prepared, |prepared| *prepared).await;
    }

    /// Waits until some API server has come so far.
    async fn any(&self, wanted: Stage) {
        told(&self.any_stage, |stage| *stage >= wanted).await;
    }

    /// Says how far an API server has come. The first that answers leads, until one is ready.
    fn has_come(&self, name: &HostName, stage: Stage) {
        self.stages[name].send_replace(stage);
        self.any_stage.send_if_modified(|highest| {
            let further = stage > *highest;
            if further {
                let at = self.apis.iter().position(|(own, _)| own == name);
                self.leading.store(at.unwrap_or(0), Ordering::Relaxed);
                *highest = stage;
            }
            further
        });
    }

    /// The API server that is asked about the cluster, and its node.
    fn leading(&self) -> (&HostName, &Api) {
        let (name, api) = &self.apis[self.leading.load(Ordering::Relaxed)];
        (name, api)
    }

    /// After a request that it did not answer: another that has come as far, if there is one.
    fn lead_on(&self) {
        let now = self.leading.load(Ordering::Relaxed);
        let highest = *self.any_stage.borrow();
        let count = self.apis.len();
        let mut others = (1..count).map(|step| (now + step) % count);
        let next = others.find(|at| *self.stages[&self.apis[*at].0].borrow() >= highest);
        self.leading.store(next.unwrap_or(now), Ordering::Relaxed);
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
                systemd::stop(host, units).await?;
            }
            systemd::start(host, units).await?;
            if unit.as_str() == api_unit(self.desired)
                && let Some(launched) = self.launched.get(name)
            {
                launched.send_replace(true);
            }
            host.write_file(&service.record).await?;
            Ok(())
        })
        .await
    }

    async fn reload(
        &self,
        name: &HostName,
        host: &dyn Host,
        setup: &NodeSetup,
        unit: &UnitName,
    ) -> Result<(), ApplyError> {
        let service = setup.services.iter().find(|service| service.unit == *unit);
        let service = service.ok_or_else(|| ApplyError::ForeignPlan(unit.to_string()))?;
        self.timed(name.as_str(), unit.as_str(), async {
            systemd::reload(host, std::slice::from_ref(unit)).await?;
            host.write_file(&service.record).await?;
            Ok(())
        })
        .await
    }

    /// Reports begin and end of a piece of work.
    async fn timed<T>(
        &self,
        machine: &str,
        step: &str,
        work: impl Future<Output = Result<T, ApplyError>>,
    ) -> Result<T, ApplyError> {
        self.events.started(machine, step);
        let result = work.await;
        match &result {
            Ok(_) => self.events.done(machine, step, ""),
            Err(error) => self.events.failed(machine, step, &error::chain(error)),
        }
        result
    }
}

/// Waits until the run has told something of which `is_so` holds, and gives it.
async fn told<T: Clone>(teller: &watch::Sender<T>, is_so: impl FnMut(&T) -> bool) -> T {
    let mut listener = teller.subscribe();
    let told = listener.wait_for(is_so).await;
    told.expect("the sender is borrowed here").clone()
}

/// Removes the record of the kubelet's last start: whatever happens then, it is started anew.
async fn forget_kubelet_start(host: &dyn Host, setup: &NodeSetup) -> Result<(), ApplyError> {
    let services = setup.services.iter();
    for service in services.filter(|service| service.unit.as_str() == kubelet::UNIT) {
        host.remove_file(&service.record.path).await?;
    }
    Ok(())
}

async fn write_files(
    host: &dyn Host,
    setup: &NodeSetup,
    files: &[(PathBuf, Drift)],
    readers: &[UnitName],
) -> Result<(), ApplyError> {
    let records = setup
        .services
        .iter()
        .filter(|service| readers.contains(&service.unit));
    try_join_all(records.map(|service| host.remove_file(&service.record.path))).await?;
    let drifts: BTreeMap<&Path, Drift> = files.iter().map(|(p, d)| (p.as_path(), *d)).collect();
    let known = setup.files.iter();
    let found: Vec<_> = known
        .filter_map(|file| Some((file, *drifts.get(file.path.as_path())?)))
        .collect();
    if found.len() != drifts.len() {
        return Err(ApplyError::ForeignPlan("a file to be written".into()));
    }
    Ok(kubeadm::write(host, &found).await?)
}
