//! A real etcd, kube-apiserver, controller manager and scheduler on the loopback, with certificates of `pki`.
//!
//! `LAB_BIN_DIR` names the directory of the programs. The controller manager and the scheduler take their
//! fixed ports, 10257 and 10259.

use crate::{cluster, drained, golden};
use host_exec::{
    Command, DialError, File, FileError, Host, HostName, LocalHost, Mode, Output, RunError, Stream,
    event::Silent,
    poll::{self, Attempt, Wait},
};
use k8s_bootstrap::{
    Action, Api, ApiError, ClientIdentity, ClusterSpec, Desired, DualAddress, ExpiringToken, Hosts,
    Material, NodeCertificate, ObjectDrift, ObjectKey, Plan, Step, apply, component,
    component::{Component, Place},
    health,
    retire::{self, RetireError},
};
use k8s_openapi::api::{authentication::v1::SelfSubjectReview, networking::v1::IPAddress};
use kube::api::PostParams;
use pki::{ApiUrl, NodeNames, OsRandom, PkiPlan, PkiSpec, Store};
use std::{
    collections::BTreeMap,
    net::{SocketAddr, TcpListener},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};
use time::OffsetDateTime;

/// Programs that are killed when the test ends, however it ends.
#[derive(Default)]
struct Programs {
    children: Vec<std::process::Child>,
    logs: Vec<PathBuf>,
}

/// How much of each program's log a failed test shows.
const LOG_LINES: usize = 15;

impl Programs {
    #[expect(
        clippy::disallowed_methods,
        reason = "a daemon in the background, which no Host keeps"
    )]
    fn start(&mut self, program: &str, arguments: &[String], path: PathBuf) {
        let log = std::fs::File::create(&path).unwrap();
        self.logs.push(path);
        let child = std::process::Command::new(program)
            .args(arguments)
            .stderr(log.try_clone().unwrap())
            .stdout(log)
            .spawn()
            .unwrap_or_else(|error| panic!("{program}: {error}"));
        self.children.push(child);
    }
}

#[expect(
    clippy::print_stderr,
    reason = "the test harness shows it with a failed test"
)]
impl Drop for Programs {
    fn drop(&mut self) {
        for log in self.logs.iter().filter(|_| std::thread::panicking()) {
            let text = std::fs::read_to_string(log).unwrap_or_default();
            let lines: Vec<&str> = text.lines().collect();
            let tail = lines[lines.len().saturating_sub(LOG_LINES)..].join("\n");
            eprintln!("----- {}\n{tail}", log.display());
        }
        for child in self.children.iter_mut().rev() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

struct World {
    // First, so that the programs end before their directory goes.
    programs: Programs,
    dir: tempfile::TempDir,
    bin_dir: PathBuf,
    now: OffsetDateTime,
    spec: ClusterSpec,
    pki_spec: PkiSpec,
    store: Store,
    host: Arc<dyn Host>,
}

#[expect(
    clippy::disallowed_methods,
    reason = "where the programs are is the caller's to say"
)]
pub(crate) fn bin_dir() -> PathBuf {
    std::env::var_os("LAB_BIN_DIR")
        .expect("LAB_BIN_DIR names the directory of the programs")
        .into()
}

#[expect(
    clippy::disallowed_methods,
    reason = "real programs look at the real clock"
)]
fn now() -> OffsetDateTime {
    std::time::SystemTime::now().into()
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port()
}

/// One control plane and one member, both 127.0.0.1, and no worker.
fn loopback_spec(bin_dir: &Path) -> ClusterSpec {
    let mut spec = cluster::spec("1.37.2");
    spec.api_port = free_port();
    spec.api_endpoint = ApiUrl::new(&format!("https://127.0.0.1:{}", spec.api_port)).unwrap();
    spec.etcd_endpoints = vec![SocketAddr::new([127, 0, 0, 1].into(), free_port())];
    spec.control_planes[0].address = DualAddress {
        v4: [127, 0, 0, 1].into(),
        v6: "::1".parse().unwrap(),
    };
    spec.control_planes[0].routes.clear();
    spec.workers.clear();
    spec.addons.metrics_server = Some(golden::METRICS_SERVER.parse().unwrap());
    spec.bin_dir = bin_dir.to_str().unwrap().parse().unwrap();
    spec
}

fn pki_spec(spec: &ClusterSpec) -> PkiSpec {
    let member = NodeNames {
        name: pki::HostName::new("etcd-0").unwrap(),
        ips: vec!["127.0.0.1".parse().unwrap()],
        api_server_url: None,
    };
    spec.certificates(vec![member]).unwrap()
}

impl World {
    fn new() -> Self {
        let (dir, bin_dir, now) = (tempfile::tempdir().unwrap(), bin_dir(), now());
        let spec = loopback_spec(&bin_dir);
        let pki_spec = pki_spec(&spec);
        let store = Store::new(dir.path().join("store"));
        let plan = PkiPlan::new(&pki_spec, &store, now).unwrap();
        pki::apply(&store, &plan, now, &OsRandom).unwrap();
        let host: Arc<dyn Host> = Arc::new(LocalHost::new("cp-0".parse().unwrap()));
        let programs = Programs::default();
        Self {
            dir,
            bin_dir,
            now,
            spec,
            pki_spec,
            store,
            host,
            programs,
        }
    }

    /// A path of a node, moved below the directory of this test.
    fn below(&self, text: &str) -> String {
        let root = self.dir.path().to_str().unwrap();
        text.replace("/etc/kubernetes", &format!("{root}/etc/kubernetes"))
            .replace("/etc/etcd", &format!("{root}/etc/etcd"))
    }

    fn log(&self, name: &str) -> PathBuf {
        self.dir.path().join(format!("{name}.log"))
    }

    /// The material, whose files also lie below the directory of this test, with paths to match.
    async fn material(&self) -> Material {
        let token = ExpiringToken {
            token: cluster::material().token.token,
            expires: self.now + time::Duration::hours(1),
        };
        let material = Material::from_store(&self.pki_spec, &self.store, token).unwrap();
        let member = pki::HostName::new("etcd-0").unwrap();
        let members = self.pki_spec.files_for_etcd_member(&member).unwrap();
        let members = members.into_iter().map(|file| {
            let text = self.store.contents(&file.content).unwrap();
            File::secret(file.path, text.as_bytes()).with_mode(Mode::new(file.mode))
        });
        for file in material.files.values().flatten().cloned().chain(members) {
            let text = String::from_utf8(file.contents.bytes().to_vec()).unwrap();
            let path = self.below(file.path.to_str().unwrap());
            let moved = File::secret(path, self.below(&text)).with_mode(file.mode);
            self.host.write_file(&moved).await.unwrap();
        }
        material
    }

    fn start_etcd(&mut self) {
        let pki = self.below("/etc/etcd/pki");
        let client = format!("https://{}", self.spec.etcd_endpoints[0]);
        let peer = format!("https://127.0.0.1:{}", free_port());
        let arguments = [
            "--name=etcd-0".into(),
            format!("--data-dir={}", self.dir.path().join("etcd").display()),
            format!("--listen-client-urls={client}"),
            format!("--advertise-client-urls={client}"),
            format!("--listen-peer-urls={peer}"),
            format!("--initial-advertise-peer-urls={peer}"),
            format!("--initial-cluster=etcd-0={peer}"),
            "--client-cert-auth=true".into(),
            format!("--trusted-ca-file={pki}/ca.crt"),
            format!("--cert-file={pki}/server.crt"),
            format!("--key-file={pki}/server.key"),
            "--peer-client-cert-auth=true".into(),
            format!("--peer-trusted-ca-file={pki}/peer-ca.crt"),
            format!("--peer-cert-file={pki}/peer.crt"),
            format!("--peer-key-file={pki}/peer.key"),
        ];
        let (program, log) = (self.bin_dir.join("etcd"), self.log("etcd"));
        self.programs
            .start(program.to_str().unwrap(), &arguments, log);
    }

    fn start(&mut self, definition: impl Fn(Place<'_>) -> Component, more: &[&str]) {
        let place = Place {
            cluster: &self.spec,
            node: &self.spec.control_planes[0],
            role: k8s_bootstrap::Role::ControlPlane,
        };
        let component = definition(place);
        let mut arguments: Vec<String> = component
            .arguments
            .iter()
            .map(|argument| self.below(argument))
            .collect();
        arguments.extend(more.iter().map(ToString::to_string));
        let log = self.log(component.name);
        self.programs.start(&component.program, &arguments, log);
    }

    fn ca_pem(&self) -> String {
        let id = pki::ItemId::Authority(pki::CaRole::Kubernetes);
        self.store.read_public(&id).unwrap()
    }

    /// kubectl as a node that has nothing but the bootstrap token.
    async fn kubectl_with_token(&self, desired: &Desired, arguments: &[&str]) -> String {
        let kubeconfig = self.dir.path().join("bootstrap.conf");
        let spec = desired.spec();
        let ca = self.ca_pem();
        let token = cluster::material().token.token;
        let text = pki::bootstrap_kubeconfig(&spec.cluster_name, &spec.api_endpoint, &ca, &token);
        self.host
            .write_file(&File::secret(&kubeconfig, text.as_bytes()))
            .await
            .unwrap();
        let command = Command::new(self.bin_dir.join("kubectl").to_str().unwrap())
            .arg(format!("--kubeconfig={}", kubeconfig.display()))
            .args(arguments.iter().copied());
        let output = self.host.output(&command).await.unwrap();
        format!("{}{}", output.stdout_text(), output.stderr_text())
    }
}

/// This machine, with every file and every path in an argument below a directory of its own.
#[derive(Debug)]
struct Below {
    root: PathBuf,
    inner: LocalHost,
}

impl Below {
    fn path(&self, path: &Path) -> PathBuf {
        let relative = path.strip_prefix("/").unwrap();
        self.root.join(relative)
    }
}

#[async_trait::async_trait]
impl Host for Below {
    fn name(&self) -> &HostName {
        self.inner.name()
    }

    async fn output(&self, command: &Command) -> Result<Output, RunError> {
        let moved = command.arguments().iter().map(|argument| {
            if argument.starts_with('/') {
                self.path(Path::new(argument)).display().to_string()
            } else {
                argument.clone()
            }
        });
        let command = Command::new(command.program()).args(moved);
        self.inner.output(&command).await
    }

    async fn read_file(&self, path: &Path) -> Result<Option<Vec<u8>>, FileError> {
        self.inner.read_file(&self.path(path)).await
    }

    async fn file_mode(&self, path: &Path) -> Result<Option<Mode>, FileError> {
        self.inner.file_mode(&self.path(path)).await
    }

    async fn write_file(&self, file: &File) -> Result<(), FileError> {
        let moved = File {
            path: self.path(&file.path),
            ..file.clone()
        };
        self.inner.write_file(&moved).await
    }

    async fn remove_file(&self, path: &Path) -> Result<(), FileError> {
        self.inner.remove_file(&self.path(path)).await
    }

    async fn dial(
        &self,
        address: SocketAddr,
        timeout: Duration,
    ) -> Result<Box<dyn Stream>, DialError> {
        self.inner.dial(address, timeout).await
    }
}

/// The cluster's own controllers sign what the token asks for; the pair lies where the kubelet looks for it and
/// the API takes its holder for the node; a second join moves on from the first.
async fn joins(world: &World, desired: &Desired) {
    let name: HostName = "cp-0".parse().unwrap();
    let root = world.dir.path().join("node");
    let inner = LocalHost::new(name.clone());
    let node: Arc<dyn Host> = Arc::new(Below {
        root: root.clone(),
        inner,
    });
    let hosts: Hosts = BTreeMap::from([(name.clone(), Arc::clone(&node))]);
    let join = Plan {
        steps: vec![Step {
            node: Some(name.clone()),
            action: Action::Join(NodeCertificate::Missing),
        }],
    };
    let mut pairs = Vec::new();
    for _ in 0..2 {
        apply(desired, &join, &hosts, &Silent).await.unwrap();
        let current = root.join("var/lib/kubelet/pki/kubelet-client-current.pem");
        assert!(current.is_symlink());
        let current = Path::new(component::kubelet::CURRENT_PAIR);
        assert_eq!(node.file_mode(current).await.unwrap(), Some(Mode::SECRET));
        let pair = node.read_file(current).await.unwrap().unwrap();
        let pair = String::from_utf8(pair).unwrap();
        let key_at = pair.find("-----BEGIN PRIVATE KEY").unwrap();
        let identity = ClientIdentity {
            certificate_pem: pair[..key_at].to_owned(),
            key_pem: pair[key_at..].to_owned().into(),
        };
        let address = SocketAddr::new([127, 0, 0, 1].into(), world.spec.api_port);
        let (ca, limit) = (world.ca_pem(), Duration::from_secs(10));
        let api = Api::new(Arc::clone(&node), address, &ca, &identity, limit).unwrap();
        let user = kube::Api::<SelfSubjectReview>::all(api.client())
            .create(&PostParams::default(), &SelfSubjectReview::default())
            .await
            .unwrap();
        let user = user.status.unwrap().user_info.unwrap();
        assert_eq!(user.username.as_deref(), Some("system:node:cp-0"));
        assert!(user.groups.unwrap().contains(&"system:nodes".to_owned()));
        pairs.push(pair);
    }
    assert_ne!(pairs[0], pairs[1], "a lost key is another request");
}

fn objects_only(desired: &Desired) -> Plan {
    let objects = desired.objects.iter().chain([&desired.token_secret]);
    let unseen = objects
        .map(|object| (object.key().clone(), ObjectDrift::Unseen))
        .collect();
    Plan {
        steps: vec![Step {
            node: None,
            action: Action::ApplyObjects(unseen),
        }],
    }
}

async fn drifted(desired: &Desired, api: &Api) -> Vec<(String, ObjectDrift)> {
    let mut drifted = Vec::new();
    for object in desired.objects.iter().chain([&desired.token_secret]) {
        let live = api.get(object.key()).await.unwrap();
        if let Some(drift) = object.drift(live.as_ref()) {
            drifted.push((object.key().to_string(), drift));
        }
    }
    drifted
}

async fn versions(desired: &Desired, api: &Api) -> Vec<(String, String)> {
    let mut versions = Vec::new();
    for object in &desired.objects {
        let live = api.get(object.key()).await.unwrap().unwrap();
        versions.push((
            object.key().to_string(),
            live["metadata"]["resourceVersion"].to_string(),
        ));
    }
    versions
}

async fn healthy(desired: &Desired, hosts: &Hosts, names: &[&str]) {
    let wait = Wait::new("healthy controllers", Duration::from_secs(60));
    let look = || async {
        let conditions = health(desired, hosts).await?;
        let healthy = |name: &&str| conditions.iter().any(|c| c.name == **name && c.ok);
        if names.iter().all(healthy) {
            return Ok::<_, k8s_bootstrap::ObserveError>(Attempt::Ready(()));
        }
        Ok(Attempt::NotYet(format!("{conditions:#?}")))
    };
    poll::until(&wait, look).await.unwrap();
}

/// Takes the first address of the Service of DNS as a server does that refuses the Service and forgets to give the address
/// back; gives the key of the Service.
async fn lose_the_address_of_dns(desired: &Desired, api: &Api) -> ObjectKey {
    let mut services = desired.objects.iter();
    let dns = services.find(|object| object.key().kind == "Service");
    let dns = dns.unwrap();
    let taken: IPAddress = serde_json::from_value(serde_json::json!({
        "metadata": {"name": dns.body()["spec"]["clusterIPs"][0], "labels": {
            "ipaddress.kubernetes.io/managed-by": "ipallocator.k8s.io",
            "ipaddress.kubernetes.io/ip-family": "IPv4",
        }},
        "spec": {"parentRef": {
            "group": "", "resource": "services", "namespace": "kube-system", "name": "kube-dns",
        }},
    }))
    .unwrap();
    let addresses: kube::Api<IPAddress> = kube::Api::all(api.client());
    let wait = Wait::new("an address that is lost", Duration::from_secs(60));
    let look = || async {
        match addresses.create(&PostParams::default(), &taken).await {
            Ok(_) => Ok::<_, ApiError>(Attempt::Ready(())),
            Err(error) => Ok(Attempt::NotYet(error.to_string())),
        }
    };
    poll::until(&wait, look).await.unwrap();
    dns.key().clone()
}

/// All objects, given to a server that is still starting, are there; the second time nothing differs; the
/// controllers take their flags; and the token opens what a kubelet needs, and no more.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs etcd, kube-apiserver, kube-controller-manager, kube-scheduler and kubectl"]
async fn a_real_api_server_takes_everything_once() {
    let mut world = World::new();
    let material = world.material().await;
    let desired = Desired::new(world.spec.clone(), &material).unwrap();
    let hosts: Hosts =
        BTreeMap::from([("cp-0".parse::<HostName>().unwrap(), Arc::clone(&world.host))]);
    world.start_etcd();
    // The loopback cannot be the endpoint of a Service, so nobody is to write that.
    let loopback = [
        "--bind-address=127.0.0.1",
        "--endpoint-reconciler-type=none",
    ];
    let node = "cp-0".parse().unwrap();
    // Asked before there is an API server, which has no Node then; not whether there is one.
    let (early, ()) = tokio::join!(retire::uncordon(&desired, &hosts, &node, &Silent), async {
        world.start(component::apiserver::component, &loopback)
    });
    assert!(matches!(early, Err(RetireError::NoNode(_))), "{early:?}");
    let address = SocketAddr::new([127, 0, 0, 1].into(), world.spec.api_port);
    let limit = Duration::from_secs(10);
    let api = Api::new(
        Arc::clone(&world.host),
        address,
        &material.ca_pem,
        &material.identity,
        limit,
    )
    .unwrap();
    let dns = lose_the_address_of_dns(&desired, &api).await;

    let objects = objects_only(&desired);
    assert!(apply(&desired, &objects, &hosts, &Silent).await.unwrap());
    assert_eq!(drifted(&desired, &api).await, []);
    assert!(api.get(&dns).await.unwrap().is_some());
    let before = versions(&desired, &api).await;
    assert!(!apply(&desired, &objects, &hosts, &Silent).await.unwrap());
    assert_eq!(
        before,
        versions(&desired, &api).await,
        "nothing was written"
    );

    world.start(component::controller_manager::component, &[]);
    world.start(component::scheduler::component, &[]);
    let names = [
        "API of cp-0 is ready",
        "controller-manager of cp-0 is healthy",
        "scheduler of cp-0 is healthy",
    ];
    healthy(&desired, &hosts, &names).await;
    assert_eq!(
        drifted(&desired, &api).await,
        [],
        "the controllers leave the objects as they are"
    );

    let can = [
        "auth",
        "can-i",
        "create",
        "certificatesigningrequests.certificates.k8s.io",
    ];
    joins(&world, &desired).await;
    drained::drains(&desired, &hosts, &api).await;
    for may in [
        &can[..],
        &[&can[..], &["--subresource=nodeclient"]].concat(),
    ] {
        let said = world.kubectl_with_token(&desired, may).await;
        assert_eq!(said.lines().next(), Some("yes"), "{may:?}");
    }
    let get = ["get", "node", "cp-0", "-o", "jsonpath={.spec.podCIDRs}"];
    let ranges = world.kubectl_with_token(&desired, &get).await;
    assert_eq!(ranges, r#"["10.244.10.0/24","fd44:0:0:10::/64"]"#);
    let secrets = world
        .kubectl_with_token(&desired, &["get", "secrets", "-A"])
        .await;
    assert!(secrets.contains("forbidden"), "{secrets}");
}
