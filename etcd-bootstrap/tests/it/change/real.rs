//! Real etcd processes, and the crate as its users call it. `LAB_BIN_DIR` says where etcd is.

use super::processes::ProcessHost;
use crate::real::{authority, leaf, program, version};
use etcd_bootstrap::{
    ClusterSpec, ClusterState, History, Hosts, InitialMembers, MemberName, MemberPems, MemberSpec,
    MemberState, PkiPaths, PlanError, Probe, Tls,
    change::{self, ChangeError, ChangePlan, Wish},
    health,
};
use host_exec::{
    Host,
    event::Silent,
    https::{Connector, HttpsClient, client_config, is_ok},
};
use pki::{Authority, Issued, Purpose};
use serde_json::Value;
use std::{
    collections::BTreeMap,
    fs,
    net::{IpAddr, Ipv4Addr},
    path::Path,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};
use tempfile::TempDir;

const LIMIT: Duration = Duration::from_secs(30);

struct Lab {
    spec: ClusterSpec,
    tls: Tls,
    machines: BTreeMap<MemberName, Arc<ProcessHost>>,
    clients: Authority,
    client: Issued,
    kept: Mutex<Option<History>>,
    _directory: TempDir,
}

fn name(index: u8) -> MemberName {
    format!("etcd-{index}").parse().unwrap()
}

fn member(
    directory: &Path,
    (clients, peers): (&Authority, &Authority),
    ip: IpAddr,
    name: MemberName,
) -> MemberSpec {
    let own = directory.join(name.as_str());
    let mut member = MemberSpec::new(name, ip, vec![ip]);
    member.data_dir = own.join("data");
    member.metrics.set_ip(ip);
    member.pki = PkiPaths::below(&own.join("pki"));
    // Connections over loopback come from 127.0.0.1, whatever address they go to.
    let ips = [ip, Ipv4Addr::LOCALHOST.into()];
    let server = leaf(clients, "server", Purpose::ServerAndClient, &ips);
    let peer = leaf(peers, "peer", Purpose::ServerAndClient, &ips);
    member.with_pems(MemberPems {
        client_ca: clients.certificate_pem(),
        peer_ca: peers.certificate_pem(),
        server: (&server.certificate_pem, &server.key_pem),
        peer: (&peer.certificate_pem, &peer.key_pem),
    })
}

impl Lab {
    /// `founders` of `wanted` members on 127.84.`net`.1 and following, formed and healthy.
    async fn new(net: u8, founders: u8, wanted: u8) -> Self {
        let lab = Self::blank(net, founders, wanted).await;
        lab.form().await;
        lab
    }

    async fn blank(net: u8, founders: u8, wanted: u8) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let (clients, peers) = (authority("clients"), authority("peers"));
        let members: Vec<MemberSpec> = (1..=wanted)
            .map(|index| {
                let ip = IpAddr::from([127, 84, net, index]);
                member(directory.path(), (&clients, &peers), ip, name(index))
            })
            .collect();
        let first: InitialMembers = members
            .iter()
            .take(founders.into())
            .map(|m| (m.name.clone(), m.peer_url()))
            .collect();
        let (token, program) = ("first".parse().unwrap(), program());
        let spec = ClusterSpec::new(token, version(&program).await, program.clone(), members);
        let spec = spec
            .unwrap()
            .with_history(History::founded_by(first))
            .unwrap();
        let spec = spec.with_ready_limit(LIMIT);
        let machine = |member: &MemberSpec| {
            let root = directory.path().join(member.name.as_str());
            fs::create_dir_all(&root).unwrap();
            let host = ProcessHost::new(member.name.as_str(), root, program.clone());
            (member.name.clone(), Arc::new(host))
        };
        let machines = spec.members().iter().map(machine).collect();
        let client = leaf(&clients, "health", Purpose::Client, &[]);
        let tls = Tls::new(&spec, &client.certificate_pem, &client.key_pem).unwrap();
        Self {
            spec,
            tls,
            machines,
            clients,
            client,
            kept: Mutex::default(),
            _directory: directory,
        }
    }

    fn hosts(&self) -> Hosts {
        let host = |(name, host): (&MemberName, &Arc<ProcessHost>)| {
            (name.clone(), Arc::clone(host) as Arc<dyn Host>)
        };
        self.machines.iter().map(host).collect()
    }

    async fn form(&self) {
        let hosts = self.hosts();
        let found = etcd_bootstrap::observe(&self.spec, &hosts, &self.tls)
            .await
            .unwrap();
        let plan = etcd_bootstrap::plan(&self.spec, &found).unwrap();
        etcd_bootstrap::apply(&self.spec, &plan, &hosts, &self.tls, &Silent)
            .await
            .unwrap();
    }

    async fn plan(&self, wish: &Wish) -> ChangePlan {
        let found = change::observe(&self.spec, &self.hosts(), &self.tls)
            .await
            .unwrap();
        change::plan(&self.spec, wish, &found).unwrap()
    }

    async fn apply(&mut self, plan: &ChangePlan) -> Result<(), ChangeError> {
        let keep = |history: &History| {
            *self.kept.lock().unwrap() = Some(history.clone());
            Ok(())
        };
        let (hosts, tls) = (self.hosts(), self.tls.clone());
        let done = change::apply(&self.spec, plan, &hosts, &tls, &keep, &Silent).await;
        self.spec = done?;
        assert!(
            self.kept
                .lock()
                .unwrap()
                .as_ref()
                .is_none_or(|kept| kept == self.spec.history())
        );
        Ok(())
    }

    async fn change(&mut self, wish: &Wish) -> ChangePlan {
        let plan = self.plan(wish).await;
        self.apply(&plan).await.unwrap();
        let left = self.plan(wish).await;
        assert!(left.is_empty(), "a second run would do:\n{left}");
        plan
    }

    fn probe(&self) -> Probe {
        let timeout = Duration::from_millis(1500);
        Probe::new(&self.spec, &self.hosts(), &self.tls, timeout).unwrap()
    }

    /// All members take reads and writes, have the computed and recorded IDs, and follow one leader; the other plan
    /// has nothing to do.
    async fn assert_healthy(&self) {
        for condition in health(&self.spec, &self.probe()).await {
            assert!(condition.ok, "{condition:?}");
        }
        let found = etcd_bootstrap::observe(&self.spec, &self.hosts(), &self.tls).await;
        let plan = etcd_bootstrap::plan(&self.spec, &found.unwrap()).unwrap();
        assert!(plan.is_empty(), "{plan}");
    }

    async fn leader(&self) -> MemberName {
        let probe = self.probe();
        for (name, id) in self.spec.member_ids() {
            let status = probe.status(&name).await;
            if status.is_ok_and(|status| status.leader == Some(id)) {
                return name;
            }
        }
        panic!("nobody leads")
    }

    /// Its process is gone and its data too.
    async fn lose(&self, name: &MemberName) {
        self.machines[name].kill().await;
        let data = &self.spec.member(name).unwrap().data_dir;
        fs::remove_dir_all(data).unwrap();
    }

    /// Without members that are not asked for any more.
    fn without(&self, gone: &[MemberName]) -> ClusterSpec {
        let spec = &self.spec;
        let members = spec.members().iter();
        let members = members
            .filter(|m| !gone.contains(&m.name))
            .cloned()
            .collect();
        let (token, program) = (spec.token().clone(), spec.program().to_owned());
        let other = ClusterSpec::new(token, spec.version(), program, members).unwrap();
        let other = other.with_history(spec.history().clone()).unwrap();
        other.with_ready_limit(LIMIT)
    }

    fn writer(&self) -> Writer {
        let identity = (
            self.client.certificate_pem.as_str(),
            self.client.key_pem.as_str(),
        );
        let tls = client_config(self.clients.certificate_pem(), Some(identity)).unwrap();
        let members = self.spec.members().iter();
        let members = members.map(|m| {
            (
                Arc::clone(&self.machines[&m.name]),
                m.client_urls().remove(0),
            )
        });
        let client = |(host, url): (Arc<ProcessHost>, String)| {
            let limit = Duration::from_millis(1500);
            let connector = Connector::new(host, Arc::clone(&tls), limit);
            (HttpsClient::new(connector, limit), url)
        };
        Writer {
            members: members.map(client).collect(),
        }
    }
}

/// Puts one key again and again. How often it was written is its `version`, so nothing acknowledged can hide.
struct Writer {
    members: Vec<(HttpsClient, String)>,
}

const KEY: &str = r#"{"key":"aw==","value":"dg=="}"#;

impl Writer {
    async fn ask(&self, member: usize, path: &str, body: &'static str) -> Option<Value> {
        let (client, url) = &self.members[member % self.members.len()];
        let answer = client.post_json(&format!("{url}{path}"), body).await.ok()?;
        is_ok(&answer).then(|| serde_json::from_slice(answer.body()).unwrap())
    }

    /// Writes until it is told to stop; how many writes were acknowledged, and the longest time between two.
    async fn run(&self, stop: &AtomicBool) -> (u64, Duration) {
        let (mut acknowledged, mut member) = (0, 0);
        let (mut last, mut longest) = (Instant::now(), Duration::ZERO);
        while !stop.load(Ordering::Relaxed) {
            match self.ask(member, "/v3/kv/put", KEY).await {
                Some(_) => {
                    acknowledged += 1;
                    longest = longest.max(last.elapsed());
                    last = Instant::now();
                }
                None => member += 1,
            }
        }
        (acknowledged, longest)
    }

    async fn written(&self, member: usize) -> u64 {
        let answer = self
            .ask(member, "/v3/kv/range", r#"{"key":"aw=="}"#)
            .await
            .unwrap();
        answer["kvs"][0]["version"]
            .as_str()
            .unwrap()
            .parse()
            .unwrap()
    }
}

#[tokio::test]
#[ignore = "needs etcd"]
async fn a_cluster_grows_and_shrinks() {
    let mut lab = Lab::new(1, 1, 5).await;
    let id = lab.spec.cluster_id();
    let settings = |lab: &Lab| {
        let file = "etc/etcd/etcd.env";
        fs::read_to_string(lab._directory.path().join("etcd-1").join(file)).unwrap()
    };
    let before = settings(&lab);
    let plan = lab.change(&Wish::default()).await;
    assert_eq!(plan.steps.len(), 12, "{plan}");
    lab.assert_healthy().await;
    assert_eq!(lab.spec.cluster_id(), id);
    assert_eq!(
        settings(&lab),
        before,
        "nobody who stays gets other settings"
    );

    let gone = [name(4), name(5)];
    let wish = gone.iter().cloned().fold(Wish::default(), Wish::remove);
    lab.change(&wish).await;
    let smaller = lab.without(&gone);
    let data = &lab.spec.member(&name(5)).unwrap().data_dir;
    assert!(data.join("member.aside-1/wal").exists(), "data is kept");
    lab.spec = smaller;
    for gone in &gone {
        lab.machines.remove(gone).unwrap().kill().await;
    }
    lab.assert_healthy().await;
    assert!(lab.plan(&Wish::default()).await.is_empty());
}

#[tokio::test]
#[ignore = "needs etcd"]
async fn a_member_whose_data_is_lost_is_replaced_under_writes() {
    let mut lab = Lab::new(2, 3, 3).await;
    let writer = lab.writer();
    let stop = AtomicBool::new(false);
    let lost = lab.leader().await;
    let work = async {
        lab.lose(&lost).await;
        let found = etcd_bootstrap::observe(&lab.spec, &lab.hosts(), &lab.tls).await;
        let refused = etcd_bootstrap::plan(&lab.spec, &found.unwrap()).unwrap_err();
        assert!(matches!(refused, PlanError::LostData { .. }), "{refused}");
        let started = Instant::now();
        let plan = lab.change(&Wish::default().replace(lost.clone())).await;
        stop.store(true, Ordering::Relaxed);
        (plan, started.elapsed())
    };
    let ((plan, took), (acknowledged, longest)) = tokio::join!(work, writer.run(&stop));
    assert_eq!(plan.steps.len(), 4, "{plan}");
    lab.assert_healthy().await;
    for member in 0..3 {
        let written = writer.written(member).await;
        assert!(
            written >= acknowledged,
            "{written} of {acknowledged} writes are left"
        );
    }
    assert!(
        acknowledged > 0 && took < LIMIT && longest < LIMIT,
        "{acknowledged} writes, {took:?}, longest gap {longest:?}"
    );
}

#[tokio::test]
#[ignore = "needs etcd"]
async fn a_leader_hands_over_and_goes() {
    let mut lab = Lab::new(3, 3, 3).await;
    let leader = lab.leader().await;
    let found = change::observe(&lab.spec, &lab.hosts(), &lab.tls)
        .await
        .unwrap();
    let plan = change::plan_move_leader(&lab.spec, None, &found).unwrap();
    lab.apply(&plan).await.unwrap();
    let second = lab.leader().await;
    assert_ne!(second, leader);

    let plan = lab.change(&Wish::default().remove(second.clone())).await;
    let text = plan.to_string();
    assert!(
        text.starts_with(&format!("{second}: hand over the lead")),
        "{text}"
    );
    lab.spec = lab.without(std::slice::from_ref(&second));
    lab.machines.remove(&second).unwrap().kill().await;
    lab.assert_healthy().await;
}

#[tokio::test]
#[ignore = "needs etcd"]
async fn a_learner_that_never_starts_is_removed_again() {
    let mut lab = Lab::new(4, 1, 2).await;
    let spec = lab.spec.clone();
    lab.spec = spec.clone().with_ready_limit(Duration::from_secs(3));
    lab.machines[&name(2)].set_broken(true);
    let plan = lab.plan(&Wish::default()).await;
    let error = lab.apply(&plan).await.unwrap_err();
    assert!(
        matches!(error, ChangeError::NeverJoined { .. }),
        "{error:?}"
    );
    let history = lab.kept.lock().unwrap().take().unwrap();
    assert!(!history.is_member(&name(2)), "{history:?}");

    lab.machines[&name(2)].set_broken(false);
    lab.spec = spec.with_history(history).unwrap();
    lab.change(&Wish::default()).await;
    lab.assert_healthy().await;
}

#[tokio::test]
#[ignore = "needs etcd"]
async fn a_replacement_killed_after_any_step_is_finished_by_the_next_run() {
    let mut lab = Lab::new(5, 3, 3).await;
    let id = lab.spec.cluster_id();
    let wish = Wish::default().replace(name(3));
    for done in 0..=4 {
        lab.lose(&name(3)).await;
        let before = lab.spec.clone();
        let mut plan = lab.plan(&wish).await;
        assert_eq!(plan.steps.len(), 4, "{plan}");
        plan.steps.truncate(done);
        lab.apply(&plan).await.unwrap();
        // The record of what was done is lost with the run.
        lab.spec = before;
        let rest = lab.plan(&wish).await;
        assert_eq!(rest.steps.len(), 4 - done, "after {done} steps:\n{rest}");
        lab.apply(&rest).await.unwrap();
        assert!(lab.plan(&wish).await.is_empty());
        lab.assert_healthy().await;
        assert_eq!(lab.spec.cluster_id(), id);
    }
}

#[tokio::test]
#[ignore = "needs etcd"]
async fn a_first_formation_that_failed_starts_anew_and_nothing_else_does() {
    let mut lab = Lab::blank(6, 3, 3).await;
    let see = async |lab: &Lab| {
        let found = etcd_bootstrap::observe(&lab.spec, &lab.hosts(), &lab.tls).await;
        found.unwrap()
    };
    assert_eq!(
        see(&lab).await.cluster_state(&lab.spec),
        ClusterState::Nothing
    );
    // One of three starts, and waits for the others.
    let hosts = lab.hosts();
    let mut plan = etcd_bootstrap::plan(&lab.spec, &see(&lab).await).unwrap();
    plan.start.truncate(1);
    let (spec, tls) = (&lab.spec, &lab.tls);
    etcd_bootstrap::prepare(spec, &plan, &hosts, &Silent)
        .await
        .unwrap();
    etcd_bootstrap::start_members(spec, &plan, &hosts, tls, &Silent)
        .await
        .unwrap();
    assert!(etcd_bootstrap::gate(&lab.probe(), &name(1)).await);
    let found = see(&lab).await;
    assert_eq!(found.cluster_state(&lab.spec), ClusterState::HalfFormed);
    let steps = change::plan_anew(&lab.spec, &found).unwrap();
    assert_eq!(steps.len(), 1, "{steps:?}");
    change::apply_anew(&lab.spec, &steps, &hosts, &Silent)
        .await
        .unwrap();
    let kept = lab
        .spec
        .member(&name(1))
        .unwrap()
        .data_dir
        .join("member.aside-1/wal");
    assert!(kept.exists(), "data is kept");

    let (program, members) = (lab.spec.program().to_owned(), lab.spec.members().to_vec());
    let other = "second".parse().unwrap();
    lab.spec = ClusterSpec::new(other, lab.spec.version(), program, members).unwrap();
    lab.form().await;
    lab.assert_healthy().await;
    let found = see(&lab).await;
    assert_eq!(found.cluster_state(&lab.spec), ClusterState::Formed);
    assert!(change::plan_anew(&lab.spec, &found).is_err());
    lab.machines[&name(2)].kill().await;
    lab.machines[&name(3)].kill().await;
    let refused = change::plan_anew(&lab.spec, &see(&lab).await).unwrap_err();
    assert!(refused.to_string().contains("may hold data"), "{refused}");
}

#[tokio::test]
#[ignore = "needs etcd"]
async fn a_learner_and_a_removed_member_are_seen_and_left_to_a_change() {
    let mut lab = Lab::new(7, 3, 4).await;
    let states = async |lab: &Lab| {
        let found = etcd_bootstrap::observe(&lab.spec, &lab.hosts(), &lab.tls)
            .await
            .unwrap();
        let plan = etcd_bootstrap::plan(&lab.spec, &found).unwrap();
        assert!(plan.is_empty(), "forming has nothing to do here:\n{plan}");
        found.state(&lab.spec, &name(4)).unwrap()
    };
    assert_eq!(states(&lab).await, MemberState::NotAdded);
    let mut plan = lab.plan(&Wish::default()).await;
    plan.steps.truncate(2);
    lab.apply(&plan).await.unwrap();
    assert_eq!(states(&lab).await, MemberState::Learner);
    let before = lab.spec.clone();
    let removed = lab.plan(&Wish::default().remove(name(4))).await;
    let mut plan = removed.clone();
    plan.steps.truncate(1);
    lab.apply(&plan).await.unwrap();
    assert_eq!(states(&lab).await, MemberState::Removed);
    // Even if nobody recorded that.
    lab.spec = before;
    assert_eq!(states(&lab).await, MemberState::Removed);
    lab.change(&Wish::default()).await;
    assert_eq!(states(&lab).await, MemberState::Healthy);
}
