//! Asking the hosts and the API how things stand.

use crate::{
    Api, ApiError, Desired, NodeCertificate, NodeSetup, NodeSpec, Object, ObjectDrift, ObjectKey,
    Readiness, Shape,
    component::{Place, kubelet},
    join, kubeadm,
    serving::{self, REQUESTS},
};
use futures::future::{join_all, try_join_all};
use host_exec::{
    ClockError, File, FileError, Host, HostName, RunError,
    files::{self, Drift},
    https::TlsError,
    systemd::{self, UnitName, UnitState},
};
use serde_json::Value;
use std::{
    collections::{BTreeMap, BTreeSet},
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};
use time::OffsetDateTime;
use zeroize::Zeroizing;

/// The machines by name. Every node of the spec has to be there; others do no harm.
pub type Hosts = BTreeMap<HostName, Arc<dyn Host>>;

/// A name of the spec without a machine.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no host is given for node {0}; pass one for every node of the spec")]
pub struct UnknownHost(pub HostName);

/// How things stand could not be found out.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ObserveError {
    /// The caller gave no such host.
    #[error(transparent)]
    UnknownHost(#[from] UnknownHost),
    /// A file of a node could not be examined.
    #[error(transparent)]
    File(#[from] FileError),
    /// systemd of a node did not answer.
    #[error(transparent)]
    Run(#[from] RunError),
    /// A node does not tell the time.
    #[error(transparent)]
    Clock(#[from] ClockError),
    /// The material makes no TLS client.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The API says it is ready and does not answer all the same.
    #[error(transparent)]
    Api(#[from] ApiError),
}

/// How one node stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeObserved {
    /// Files that are not as they have to be.
    pub files: BTreeMap<PathBuf, Drift>,
    /// Services whose record of the last start is missing or about other files.
    pub unrecorded: BTreeSet<UnitName>,
    /// Those among them with a record: they run, and with which files is known.
    pub recorded_otherwise: BTreeSet<UnitName>,
    /// Each service's state in systemd's words.
    pub units: BTreeMap<UnitName, UnitState>,
    /// The kubelet's client certificate. Where it is valid, the node has joined.
    pub certificate: NodeCertificate,
    /// The kubelet's serving certificate.
    pub serving: NodeCertificate,
}

impl NodeObserved {
    /// A machine on which nothing has been done.
    pub fn blank(setup: &NodeSetup) -> Self {
        let missing = |file: &File| (file.path.clone(), Drift::Missing);
        Self {
            files: setup.files.iter().map(missing).collect(),
            unrecorded: setup.units().into_iter().collect(),
            recorded_otherwise: BTreeSet::new(),
            units: setup
                .units()
                .into_iter()
                .map(|unit| (unit, UnitState::default()))
                .collect(),
            certificate: NodeCertificate::Missing,
            serving: NodeCertificate::Missing,
        }
    }

    /// Whether nothing of ours was ever started here: no record of a start, no certificate of a kubelet.
    pub fn is_untouched(&self) -> bool {
        self.certificate == NodeCertificate::Missing && self.unrecorded.len() == self.units.len()
    }

    /// Whether the node has a client certificate that the cluster accepts.
    pub fn joined(&self) -> bool {
        self.certificate == NodeCertificate::Valid
    }
}

/// What the API tells about the cluster.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ClusterObserved {
    /// Objects that are not as they have to be.
    pub objects: BTreeMap<ObjectKey, ObjectDrift>,
    /// Names of the nodes that are Ready.
    pub ready_nodes: BTreeSet<String>,
    /// Nodes whose requests for a serving certificate wait, and may be approved.
    pub serving_requests: BTreeSet<HostName>,
    /// Control planes with a static pod that is not the one of its manifest.
    pub outdated_pods: BTreeSet<HostName>,
    /// The Deployment of CoreDNS says it is available.
    pub dns_available: bool,
}

/// How everything stands. The default is a cluster of which nothing exists.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Observed {
    /// Each node of the spec; one that is not here counts as [`NodeObserved::blank`].
    pub nodes: BTreeMap<HostName, NodeObserved>,
    /// Each control plane's API.
    pub apis: BTreeMap<HostName, Readiness>,
    /// The cluster; `None` while no API is ready, or none that is answers what it is asked.
    pub cluster: Option<ClusterObserved>,
}

/// Looks at everything that `desired` is about; changes nothing.
///
/// # Errors
///
/// A host is missing or does not answer. Missing files, stopped services and a silent API are *not* errors.
pub async fn observe(desired: &Desired, hosts: &Hosts) -> Result<Observed, ObserveError> {
    let nodes = try_join_all(desired.nodes.iter().map(|(name, setup)| async move {
        let host = host(hosts, name)?;
        let found = observe_node(&**host, name, setup, desired).await?;
        Ok::<_, ObserveError>((name.clone(), found))
    }));
    let (nodes, (apis, cluster)) = futures::try_join!(nodes, observe_apis(desired, hosts))?;
    Ok(Observed {
        nodes: nodes.into_iter().collect(),
        apis,
        cluster,
    })
}

pub(crate) fn host<'h>(
    hosts: &'h Hosts,
    name: &HostName,
) -> Result<&'h Arc<dyn Host>, UnknownHost> {
    hosts.get(name).ok_or_else(|| UnknownHost(name.clone()))
}

/// The clients of all control planes' APIs, in the order of the spec.
pub(crate) fn apis(desired: &Desired, hosts: &Hosts) -> Result<Vec<(HostName, Api)>, ObserveError> {
    let nodes = desired.spec.control_planes.iter();
    nodes.map(|node| own_api(desired, hosts, node)).collect()
}

/// The same without the control planes that have no host.
pub(crate) fn apis_of_present(
    desired: &Desired,
    hosts: &Hosts,
) -> Result<Vec<(HostName, Api)>, ObserveError> {
    let nodes = desired.spec.control_planes.iter();
    let present = nodes.filter(|node| hosts.contains_key(&node.name));
    present.map(|node| own_api(desired, hosts, node)).collect()
}

/// The API server of a control plane, asked from its own machine.
fn own_api(
    desired: &Desired,
    hosts: &Hosts,
    node: &NodeSpec,
) -> Result<(HostName, Api), ObserveError> {
    let address = SocketAddr::new(node.address.v4.into(), desired.spec.api_port);
    Ok((node.name.clone(), api(desired, hosts, &node.name, address)?))
}

/// A client that asks an API server from a node.
pub(crate) fn api(
    desired: &Desired,
    hosts: &Hosts,
    from: &HostName,
    address: SocketAddr,
) -> Result<Api, ObserveError> {
    let timeout = desired.spec.patient(Duration::from_secs(10));
    let host = Arc::clone(host(hosts, from)?);
    let (ca, identity) = (&desired.ca_pem, &desired.identity);
    Ok(Api::new(host, address, ca, identity, timeout)?)
}

/// The client certificate of a node's kubelet.
async fn observe_certificate(
    host: &dyn Host,
    node: &HostName,
    ca_pem: &str,
) -> Result<NodeCertificate, ObserveError> {
    let judge = |pem: &str, now| join::judge(pem, node, ca_pem, now);
    judged(host, kubelet::CURRENT_PAIR, judge).await
}

/// The serving certificate of a node's kubelet.
pub(crate) async fn serving_certificate(
    host: &dyn Host,
    desired: &Desired,
    name: &HostName,
) -> Result<NodeCertificate, ObserveError> {
    let Some(Place { node, .. }) = Place::of(&desired.spec, name) else {
        return Ok(NodeCertificate::Missing);
    };
    let judge = |pem: &str, now| serving::judge_certificate(pem, node, &desired.ca_pem, now);
    judged(host, kubelet::CURRENT_SERVING_PAIR, judge).await
}

/// A pair of a kubelet's own, judged at the moment that is now on its node. The clock is asked only where there is
/// something to judge.
async fn judged(
    host: &dyn Host,
    path: &str,
    judge: impl FnOnce(&str, OffsetDateTime) -> NodeCertificate,
) -> Result<NodeCertificate, ObserveError> {
    let Some(bytes) = host.read_file(Path::new(path)).await? else {
        return Ok(NodeCertificate::Missing);
    };
    let bytes = Zeroizing::new(bytes);
    let now = host_exec::clock(host).await?;
    Ok(match std::str::from_utf8(&bytes) {
        Ok(pem) => judge(pem, now),
        Err(_) => NodeCertificate::Unusable("it is no text".into()),
    })
}

async fn observe_node(
    host: &dyn Host,
    name: &HostName,
    setup: &NodeSetup,
    desired: &Desired,
) -> Result<NodeObserved, ObserveError> {
    let drifted = files::observe(host, &setup.files).await?;
    let records: Vec<File> = setup
        .services
        .iter()
        .map(|service| service.record.clone())
        .collect();
    let stale: BTreeMap<&Path, Drift> = files::observe(host, &records)
        .await?
        .into_iter()
        .map(|(file, drift)| (file.path.as_path(), drift))
        .collect();
    let with = |kept: fn(Drift) -> bool| {
        let stale = setup.services.iter().filter(|service| {
            let drift = stale.get(service.record.path.as_path());
            drift.is_some_and(|drift| kept(*drift))
        });
        stale.map(|service| service.unit.clone()).collect()
    };
    Ok(NodeObserved {
        files: drifted
            .into_iter()
            .map(|(file, drift)| (file.path.clone(), drift))
            .collect(),
        unrecorded: with(|_| true),
        recorded_otherwise: with(|drift| drift != Drift::Missing),
        units: systemd::states(host, &setup.units()).await?,
        certificate: observe_certificate(host, name, &desired.ca_pem).await?,
        serving: serving_certificate(host, desired, name).await?,
    })
}

/// What each control plane's API server says about itself.
///
/// # Errors
///
/// A host is missing, or the material makes no TLS client. A silent server is *not* an error.
pub async fn readiness(
    desired: &Desired,
    hosts: &Hosts,
) -> Result<BTreeMap<HostName, Readiness>, ObserveError> {
    Ok(readiness_of(&apis(desired, hosts)?).await)
}

async fn readiness_of(clients: &[(HostName, Api)]) -> BTreeMap<HostName, Readiness> {
    let looks = clients
        .iter()
        .map(|(name, api)| async { (name.clone(), api.readiness().await) });
    join_all(looks).await.into_iter().collect()
}

async fn observe_apis(
    desired: &Desired,
    hosts: &Hosts,
) -> Result<(BTreeMap<HostName, Readiness>, Option<ClusterObserved>), ObserveError> {
    let clients = apis(desired, hosts)?;
    let readiness = readiness_of(&clients).await;
    let ready = clients
        .iter()
        .filter(|(name, _)| readiness.get(name) == Some(&Readiness::Ready));
    for (_, api) in ready {
        match observe_cluster(desired, api).await {
            Ok(cluster) => return Ok((readiness, Some(cluster))),
            // It has fallen silent since it said that it is ready; another may know.
            Err(error) if error.is_of_the_moment() => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok((readiness, None))
}

async fn observe_cluster(desired: &Desired, api: &Api) -> Result<ClusterObserved, ApiError> {
    let wanted = desired.objects.iter().chain([&desired.token_secret]);
    let lives = try_join_all(wanted.map(|object| async move {
        Ok::<(&Object, Option<Value>), ApiError>((object, api.get(object.key()).await?))
    }));
    let requests = api.list(REQUESTS.0, REQUESTS.1);
    let nodes = api.list("v1", "Node");
    let pods = async {
        match desired.spec.shape {
            Shape::Services => Ok(BTreeMap::new()),
            Shape::StaticPods => api.list("v1", "Pod").await,
        }
    };
    let (lives, nodes, requests, pods) = futures::try_join!(lives, nodes, requests, pods)?;
    let requests = serving::pending(&desired.spec, &requests);
    let dns = |object: &Object| object.key().kind == "Deployment";
    let dns_available = lives
        .iter()
        .filter_map(|(object, live)| live.as_ref().filter(|_| dns(object)))
        .any(|live| holds(live, "Available"));
    let objects = lives.iter().filter_map(|(object, live)| {
        object
            .drift(live.as_ref())
            .map(|drift| (object.key().clone(), drift))
    });
    Ok(ClusterObserved {
        objects: objects.collect(),
        ready_nodes: ready_nodes(&nodes),
        serving_requests: requests
            .into_iter()
            .filter_map(|request| request.verdict.ok())
            .collect(),
        outdated_pods: kubeadm::outdated(desired, &pods),
        dns_available,
    })
}

/// Which of the listed Nodes are Ready.
pub(crate) fn ready_nodes(nodes: &BTreeMap<String, Value>) -> BTreeSet<String> {
    let ready = nodes.iter().filter(|(_, node)| holds(node, "Ready"));
    ready.map(|(name, _)| name.clone()).collect()
}

/// The condition `kind` in the status of an object; null where there is none.
pub(crate) fn condition<'v>(object: &'v Value, kind: &str) -> &'v Value {
    let conditions = object["status"]["conditions"].as_array();
    let mut conditions = conditions.into_iter().flatten();
    let found = conditions.find(|condition| condition["type"] == kind);
    found.unwrap_or(&Value::Null)
}

/// Whether the condition `kind` in the status of an object is true.
pub(crate) fn holds(object: &Value, kind: &str) -> bool {
    condition(object, kind)["status"] == "True"
}
