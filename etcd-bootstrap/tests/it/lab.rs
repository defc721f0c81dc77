//! A cluster of real etcd processes, and the crate as its users call it. `LAB_ETCD_DIRS` says where the minors are.
//!
//! Its hosts are [`ProcessHost`]s: no root, no systemd, nobody restarts who ends.

use crate::{
    forms::programs,
    real::{authority, leaf, version},
};
use etcd_bootstrap::{
    ClusterSpec, History, Hosts, InitialMembers, MemberName, MemberPems, MemberSpec, PkiPaths,
    Probe, Tls,
    change::{self, ChangeError, ChangePlan, Wish},
    health, render,
};
use host_exec::{
    Command, Host, ProcessHost,
    event::Silent,
    https::{Connector, HttpsClient, client_config, is_ok},
};
use pki::{Authority, Issued, Purpose};
use serde_json::Value;
use std::{
    collections::BTreeMap,
    fs,
    net::{IpAddr, Ipv4Addr},
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};
use tempfile::TempDir;

pub(crate) const LIMIT: Duration = Duration::from_secs(30);

pub(crate) struct Lab {
    pub(crate) spec: ClusterSpec,
    pub(crate) tls: Tls,
    pub(crate) machines: BTreeMap<MemberName, Arc<ProcessHost>>,
    clients: Authority,
    client: Issued,
    pub(crate) kept: Mutex<Option<History>>,
    pub(crate) directory: TempDir,
}

pub(crate) fn name(index: u8) -> MemberName {
    format!("etcd-{index}").parse().unwrap()
}

/// The etcd of this minor.
pub(crate) async fn program_of(minor: u8) -> PathBuf {
    for program in programs() {
        if version(&program).await.minor == u16::from(minor) {
            return program;
        }
    }
    panic!("LAB_ETCD_DIRS names no etcd 3.{minor}")
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
    /// `founders` of `wanted` members of etcd 3.`minor`, formed and healthy. No two tests have the same `net`.
    pub(crate) async fn new(minor: u8, net: u8, founders: u8, wanted: u8) -> Self {
        let lab = Self::blank(minor, net, founders, wanted).await;
        lab.form().await;
        lab
    }

    /// The same, and nothing of it started: members on 127.(80 + `minor`).`net`.1 and following.
    pub(crate) async fn blank(minor: u8, net: u8, founders: u8, wanted: u8) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let (clients, peers) = (authority("clients"), authority("peers"));
        let members: Vec<MemberSpec> = (1..=wanted)
            .map(|index| {
                let ip = IpAddr::from([127, 80 + minor, net, index]);
                member(directory.path(), (&clients, &peers), ip, name(index))
            })
            .collect();
        let first: InitialMembers = members
            .iter()
            .take(founders.into())
            .map(|m| (m.name.clone(), m.peer_url()))
            .collect();
        let (token, program) = ("first".parse().unwrap(), program_of(minor).await);
        let spec = ClusterSpec::new(token, version(&program).await, program.clone(), members);
        let spec = spec
            .unwrap()
            .with_history(History::founded_by(first))
            .unwrap();
        let spec = spec.with_ready_limit(LIMIT);
        let machine = |member: &MemberSpec| {
            let own = directory.path().join(member.name.as_str());
            let host = ProcessHost::new(member.name.as_str().parse().unwrap(), own);
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
            directory,
        }
    }

    pub(crate) fn hosts(&self) -> Hosts {
        let host = |(name, host): (&MemberName, &Arc<ProcessHost>)| {
            (name.clone(), Arc::clone(host) as Arc<dyn Host>)
        };
        self.machines.iter().map(host).collect()
    }

    pub(crate) async fn form(&self) {
        let hosts = self.hosts();
        let found = etcd_bootstrap::observe(&self.spec, &hosts, &self.tls)
            .await
            .unwrap();
        let plan = etcd_bootstrap::plan(&self.spec, &found).unwrap();
        etcd_bootstrap::apply(&self.spec, &plan, &hosts, &self.tls, &Silent)
            .await
            .unwrap();
    }

    pub(crate) async fn plan(&self, wish: &Wish) -> ChangePlan {
        let found = change::observe(&self.spec, &self.hosts(), &self.tls)
            .await
            .unwrap();
        change::plan(&self.spec, wish, &found).unwrap()
    }

    pub(crate) async fn apply(&mut self, plan: &ChangePlan) -> Result<(), ChangeError> {
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

    pub(crate) async fn change(&mut self, wish: &Wish) -> ChangePlan {
        let plan = self.plan(wish).await;
        self.apply(&plan).await.unwrap();
        let left = self.plan(wish).await;
        assert!(left.is_empty(), "a second run would do:\n{left}");
        plan
    }

    pub(crate) fn probe(&self) -> Probe {
        let timeout = Duration::from_millis(1500);
        Probe::new(&self.spec, &self.hosts(), &self.tls, timeout).unwrap()
    }

    /// All members take reads and writes, have the computed and recorded IDs, and follow one leader; the other plan
    /// has nothing to do.
    pub(crate) async fn assert_healthy(&self) {
        for condition in health(&self.spec, &self.probe()).await {
            assert!(condition.ok, "{condition:?}");
        }
        let found = etcd_bootstrap::observe(&self.spec, &self.hosts(), &self.tls).await;
        let plan = etcd_bootstrap::plan(&self.spec, &found.unwrap()).unwrap();
        assert!(plan.is_empty(), "{plan}");
    }

    pub(crate) async fn leader(&self) -> MemberName {
        let probe = self.probe();
        for (name, id) in self.spec.member_ids() {
            let status = probe.status(&name).await;
            if status.is_ok_and(|status| status.leader == Some(id)) {
                return name;
            }
        }
        panic!("nobody leads")
    }

    /// Its process is gone.
    pub(crate) async fn kill(&self, name: &MemberName) {
        let killed = self.machines[name].kill(&render::unit_name()).await;
        killed.unwrap();
    }

    /// Sends a signal to its process.
    pub(crate) async fn signal(&self, name: &MemberName, signal: &str) {
        let machine = &self.machines[name];
        let process = machine.process_id(&render::unit_name()).await.unwrap();
        let kill = Command::new("kill").args([signal, &process.to_string()]);
        machine.run(&kill).await.unwrap();
    }

    /// Its process is gone and its data too.
    pub(crate) async fn lose(&self, name: &MemberName) {
        self.kill(name).await;
        let data = &self.spec.member(name).unwrap().data_dir;
        fs::remove_dir_all(data).unwrap();
    }

    /// Without members that are not asked for any more.
    pub(crate) fn without(&self, gone: &[MemberName]) -> ClusterSpec {
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

    pub(crate) fn writer(&self) -> Writer {
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
pub(crate) struct Writer {
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
    pub(crate) async fn run(&self, stop: &AtomicBool) -> (u64, Duration) {
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

    pub(crate) async fn written(&self, member: usize) -> u64 {
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
