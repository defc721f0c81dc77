//! Real etcd processes on loopback addresses with real mTLS. `LAB_BIN_DIR` says where the programs are.
//!
//! systemd is not part of it: the processes get the rendered settings as the unit would give them.

use etcd_bootstrap::{
    ClientAnswer, ClusterSpec, Hosts, MemberName, MemberObservation, MemberPems, MemberSpec,
    MemberState, Observed, PeerAnswer, PkiPaths, PlanError, Probe, Tls, WaitReadyError, conditions,
    health, plan,
    render::{self, SettingsForm},
    start_gated, wait_ready,
};
use host_exec::{Host, LocalHost, event::Silent, systemd::UnitState};
use pki::{AltNames, Authority, Issued, LeafRequest, Life, OsRandom, Purpose, Subject};
use std::{
    collections::BTreeMap,
    fs,
    net::{IpAddr, Ipv4Addr},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};
use tempfile::TempDir;
use time::OffsetDateTime;
use tokio::process::Child;

const LIMIT: Duration = Duration::from_secs(30);
/// The time for one answer.
const ANSWER: Duration = Duration::from_millis(1500);

pub(crate) struct Cluster {
    pub(crate) spec: ClusterSpec,
    probe: Probe,
    children: BTreeMap<MemberName, Child>,
    // Removed when the cluster is dropped, after the processes.
    _directory: TempDir,
}

#[expect(
    clippy::disallowed_methods,
    reason = "a test asks where the real programs are"
)]
pub(crate) fn program() -> PathBuf {
    let directory = std::env::var_os("LAB_BIN_DIR").expect("LAB_BIN_DIR says where etcd is");
    PathBuf::from(directory).join("etcd")
}

pub(crate) async fn version(program: &Path) -> etcd_bootstrap::EtcdVersion {
    let host = LocalHost::new("here".parse().unwrap());
    let ask = host_exec::Command::new(program.to_str().unwrap()).arg("--version");
    let output = host.run(&ask).await.unwrap();
    let text = output.stdout_text();
    text.lines()
        .find_map(|line| line.strip_prefix("etcd Version: "))
        .unwrap()
        .parse()
        .unwrap()
}

pub(crate) fn authority(name: &str) -> Authority {
    let subject = Subject::new(name, &[]).unwrap();
    Authority::create(
        &subject,
        Life::AUTHORITY,
        OffsetDateTime::now_utc(),
        &OsRandom,
    )
    .unwrap()
}

pub(crate) fn leaf(issuer: &Authority, name: &str, purpose: Purpose, ips: &[IpAddr]) -> Issued {
    let names = AltNames::new(vec![], ips.to_vec()).unwrap();
    let subject = Subject::new(name, &[]).unwrap();
    let request = LeafRequest::new(subject, purpose, names, Life::LEAF).unwrap();
    issuer
        .issue(&request, OffsetDateTime::now_utc(), &OsRandom)
        .unwrap()
}

impl Cluster {
    /// Three members on 127.83.`net`.1 to 3, their certificates on disk, nothing started.
    async fn new(net: u8) -> Self {
        Self::of(net, &program(), 3, |spec| spec).await
    }

    /// As many members of this etcd as wanted, after a change of their specification.
    pub(crate) async fn of(
        net: u8,
        program: &Path,
        size: u8,
        change: impl FnOnce(ClusterSpec) -> ClusterSpec,
    ) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let (clients, peers) = (authority("clients"), authority("peers"));
        let member = |index: u8| {
            let ip = IpAddr::from([127, 83, net, index]);
            let own = directory.path().join(index.to_string());
            let mut member =
                MemberSpec::new(format!("etcd-{index}").parse().unwrap(), ip, vec![ip]);
            member.data_dir = own.join("data");
            member.metrics.set_ip(ip);
            member.pki = PkiPaths::below(&own.join("pki"));
            // Connections over loopback come from 127.0.0.1, whatever address they go to.
            let ips = [ip, Ipv4Addr::LOCALHOST.into()];
            let server = leaf(&clients, "server", Purpose::ServerAndClient, &ips);
            let peer = leaf(&peers, "peer", Purpose::ServerAndClient, &ips);
            member.with_pems(MemberPems {
                client_ca: clients.certificate_pem(),
                peer_ca: peers.certificate_pem(),
                server: (&server.certificate_pem, &server.key_pem),
                peer: (&peer.certificate_pem, &peer.key_pem),
            })
        };
        let members: Vec<_> = (1..=size).map(member).collect();
        let (token, version) = ("first".parse().unwrap(), version(program).await);
        let spec = ClusterSpec::new(token, version, program.to_owned(), members).unwrap();
        let spec = change(spec);
        let here = Arc::new(LocalHost::new("here".parse().unwrap()));
        let hosts: Hosts = spec
            .members()
            .iter()
            .map(|m| (m.name.clone(), here.clone() as Arc<dyn Host>))
            .collect();
        for member in spec.members() {
            host_exec::files::ensure(here.as_ref(), &member.certificates)
                .await
                .unwrap();
        }
        let client = leaf(&clients, "health", Purpose::Client, &[]);
        let tls = Tls::new(&spec, &client.certificate_pem, &client.key_pem).unwrap();
        let probe = Probe::new(&spec, &hosts, &tls, ANSWER).unwrap();
        Self {
            spec,
            probe,
            children: BTreeMap::new(),
            _directory: directory,
        }
    }

    pub(crate) fn names(&self) -> Vec<MemberName> {
        self.spec
            .members()
            .iter()
            .map(|member| member.name.clone())
            .collect()
    }

    pub(crate) async fn start(&mut self, names: &[MemberName]) {
        let (spec, children) = (&self.spec, &mut self.children);
        start_gated(names, &self.probe, |name| {
            children.insert(name.clone(), spawn(spec, &name, &[]));
            async { Ok::<_, std::convert::Infallible>(()) }
        })
        .await
        .unwrap();
    }

    /// Starts one with more arguments than the specification gives it.
    pub(crate) fn start_with(&mut self, name: &MemberName, more: &[String]) {
        let child = spawn(&self.spec, name, more);
        self.children.insert(name.clone(), child);
    }

    /// Waits for the end of one that cannot run, and says whether it called that a success.
    pub(crate) async fn ended_well(&mut self, name: &MemberName) -> bool {
        let child = self.children.get_mut(name).unwrap();
        let status = tokio::time::timeout(LIMIT, child.wait()).await;
        status.expect("it ends by itself").unwrap().success()
    }

    /// What a member wrote since it was last started.
    pub(crate) fn log(&self, name: &MemberName) -> String {
        let data_dir = &self.spec.member(name).unwrap().data_dir;
        fs::read_to_string(data_dir.with_extension("log")).unwrap()
    }

    async fn kill(&mut self, name: &MemberName) {
        self.children.remove(name).unwrap().kill().await.unwrap();
    }

    pub(crate) async fn wait(&self, names: &[MemberName]) -> Result<(), WaitReadyError> {
        wait_ready(&self.spec, names, &self.probe, LIMIT, &Silent).await
    }

    /// As the crate's `observe`, but with processes in the place of services and no files of ours.
    async fn observe(&self) -> Observed {
        let mut members = BTreeMap::new();
        for member in self.spec.members() {
            let up = self.children.contains_key(&member.name);
            let unit = UnitState {
                active: if up { "active" } else { "inactive" }.into(),
                file: "enabled".into(),
                ..UnitState::default()
            };
            let found = MemberObservation {
                drifted: Vec::new(),
                unit,
                has_wal: member.data_dir.join("member/wal").exists(),
                configured: None,
                certificate_faults: Vec::new(),
                peer: self.probe.peer(&member.name).await,
                client: self.probe.client(&member.name).await,
            };
            members.insert(member.name.clone(), found);
        }
        Observed { members }
    }

    async fn states(&self) -> Vec<MemberState> {
        let observed = self.observe().await;
        self.names()
            .iter()
            .map(|name| observed.state(&self.spec, name).unwrap())
            .collect()
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "a test runs etcd in the place of systemd"
)]
fn spawn(spec: &ClusterSpec, name: &MemberName, more: &[String]) -> Child {
    let member = spec.member(name).unwrap();
    let log = fs::File::create(member.data_dir.with_extension("log")).unwrap();
    let mut etcd = tokio::process::Command::new(spec.program());
    etcd.env_clear();
    match spec.settings_form() {
        SettingsForm::Environment => etcd.envs(render::environment(spec, member)),
        SettingsForm::Flags => etcd.args(render::flags(spec, member)),
        SettingsForm::Yaml => {
            let path = member.data_dir.with_extension("yaml");
            fs::write(&path, render::yaml_text(spec, member)).unwrap();
            etcd.arg("--config-file").arg(path)
        }
    };
    etcd.args(more)
        .stdout(log.try_clone().unwrap())
        .stderr(log)
        .kill_on_drop(true)
        .spawn()
        .unwrap()
}

#[tokio::test]
#[ignore = "needs etcd"]
async fn three_members_form_the_cluster_that_was_computed() {
    let mut cluster = Cluster::new(1).await;
    let names = cluster.names();
    cluster.start(&names).await;
    cluster.wait(&names).await.unwrap();

    for condition in health(&cluster.spec, &cluster.probe).await {
        assert!(condition.ok, "{condition:?}");
    }
    let status = cluster.probe.status(&names[0]).await.unwrap();
    assert_eq!(status.cluster_id, cluster.spec.cluster_id());
    assert_eq!(status.member_id, cluster.spec.member_ids()[&names[0]]);
    assert_eq!(status.version, cluster.spec.version().to_string());
    assert!(status.db_size_bytes >= status.db_in_use_bytes && status.raft_index > 0);

    let observed = cluster.observe().await;
    let PeerAnswer::Serving {
        cluster_id,
        formed: true,
        members,
    } = &observed.members[&names[1]].peer
    else {
        panic!("{observed:?}")
    };
    assert_eq!(*cluster_id, Some(cluster.spec.cluster_id()));
    assert!(
        members.iter().all(|member| member.client_urls.len() == 1),
        "{members:?}"
    );
    assert!(plan(&cluster.spec, &observed).unwrap().is_empty());
}

#[tokio::test]
#[ignore = "needs etcd"]
async fn a_lone_member_is_forming_and_the_wait_says_so() {
    let mut cluster = Cluster::new(2).await;
    let names = cluster.names();
    cluster.start(&names[..1]).await;
    assert!(
        etcd_bootstrap::gate(&cluster.probe, &names[0]).await,
        "the peer port opens alone"
    );
    use MemberState::{Absent, Forming};
    assert_eq!(cluster.states().await, [Forming, Absent, Absent]);

    let limit = Duration::from_secs(3);
    let error = wait_ready(&cluster.spec, &names[..1], &cluster.probe, limit, &Silent).await;
    let error = error.unwrap_err().to_string();
    assert!(
        error.contains("etcd-1 (waits for a majority to form the cluster"),
        "{error}"
    );

    // The rest of the plan finishes it, as a second run would.
    let text = plan(&cluster.spec, &cluster.observe().await)
        .unwrap()
        .to_string();
    assert!(
        text.contains("etcd-2: start etcd, if the others never saw it join"),
        "{text}"
    );
    cluster.start(&names[1..]).await;
    cluster.wait(&names).await.unwrap();
}

#[tokio::test]
#[ignore = "needs etcd"]
async fn a_member_with_another_token_is_told_from_a_slow_one() {
    let mut cluster = Cluster::new(3).await;
    let names = cluster.names();
    let spec = &cluster.spec;
    let (version, program) = (spec.version(), spec.program().to_owned());
    let members = spec.members().to_vec();
    let other = ClusterSpec::new("second".parse().unwrap(), version, program, members).unwrap();
    cluster.start(&names[..2]).await;
    cluster
        .children
        .insert(names[2].clone(), spawn(&other, &names[2], &[]));

    let error = cluster.wait(&names).await.unwrap_err();
    let expected = WaitReadyError::Foreign {
        member: names[2].clone(),
        found: other.cluster_id(),
        expected: cluster.spec.cluster_id(),
    };
    assert_eq!(error, expected);
    let refused = plan(&cluster.spec, &cluster.observe().await).unwrap_err();
    assert!(matches!(refused, PlanError::Foreign { .. }), "{refused}");
}

#[tokio::test]
#[ignore = "needs etcd"]
async fn lost_data_and_a_lost_majority_are_recognised() {
    use MemberState::{Healthy, LostData, NoQuorum, Stopped};
    let mut cluster = Cluster::new(4).await;
    let names = cluster.names();
    cluster.start(&names).await;
    cluster.wait(&names).await.unwrap();

    cluster.kill(&names[0]).await;
    cluster.wait(&names[1..]).await.unwrap();
    assert_eq!(cluster.states().await, [Stopped, Healthy, Healthy]);
    let data = &cluster.spec.members()[0].data_dir;
    fs::rename(data, data.with_extension("aside")).unwrap();
    assert_eq!(cluster.states().await, [LostData, Healthy, Healthy]);
    fs::rename(data.with_extension("aside"), data).unwrap();

    cluster.kill(&names[1]).await;
    // A member keeps saying that it is ready until its election time-out has passed.
    let wait = host_exec::poll::Wait::new("loss of the majority", LIMIT);
    let look = || async {
        let answer = cluster.probe.client(&names[2]).await;
        Ok::<_, std::convert::Infallible>(if answer.is_ready() {
            host_exec::poll::Attempt::NotYet(answer.to_string())
        } else {
            host_exec::poll::Attempt::Ready(answer)
        })
    };
    let answer = host_exec::poll::until(&wait, look).await.unwrap();
    let answers = [(names[2].clone(), answer)].into();
    assert!(!conditions(&cluster.spec, &answers)[2].ok);
    assert!(matches!(
        answers[&names[2]],
        ClientAnswer::Silent(_) | ClientAnswer::Serving { .. }
    ));
    let states = cluster.states().await;
    assert_eq!(states[..2], [Stopped, Stopped]);
    assert!(
        matches!(states[2], NoQuorum | MemberState::Unready),
        "{states:?}"
    );

    cluster.start(&names[..2]).await;
    cluster.wait(&names).await.unwrap();
}
