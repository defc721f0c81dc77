//! How long three etcd members take to form a cluster, started gated and all at once, in turn on the same machine.
//! Measured is from the first exec until all three are ready and a write through each was answered; mutual TLS, fresh
//! data and a fresh token each time, loopback addresses, processes of this program.
//!
//! Usage: `cargo run --release -p examples --example etcd_forming -- /path/of/etcd 3.7.3 30`

#![expect(clippy::print_stdout, reason = "a program for people")]

use anyhow::{Context as _, ensure};
use etcd_bootstrap::*;
use host_exec::{
    Host, LocalHost,
    event::Silent,
    files,
    https::{Connector, HttpsClient, client_config, is_ok},
};
use pki::{AltNames, Authority, Issued, LeafRequest, Life, OsRandom, Purpose, Subject};
use std::{
    collections::BTreeMap,
    future::ready,
    net::IpAddr,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::process::{Child, Command};

fn authority() -> anyhow::Result<Authority> {
    let (name, now) = (
        Subject::new("etcd-forming", &[])?,
        time::OffsetDateTime::now_utc(),
    );
    Ok(Authority::create(&name, Life::AUTHORITY, now, &OsRandom)?)
}

fn leaf(signer: &Authority, ips: &[IpAddr], purpose: Purpose) -> anyhow::Result<Issued> {
    let names = AltNames::new(vec![], ips.to_vec())?;
    let request = LeafRequest::new(Subject::new("etcd", &[])?, purpose, names, Life::LEAF)?;
    Ok(signer.issue(&request, time::OffsetDateTime::now_utc(), &OsRandom)?)
}

/// What stays the same from run to run.
struct Bench {
    program: PathBuf,
    version: EtcdVersion,
    dir: PathBuf,
    members: Vec<MemberSpec>,
    hosts: Hosts,
    client: Issued,
    clients: HttpsClient,
}

fn member(n: u8, dir: &Path, clients: &Authority, peers: &Authority) -> anyhow::Result<MemberSpec> {
    let ip = IpAddr::from([127, 85, 0, n]);
    let mut member = MemberSpec::new(format!("etcd-{n}").parse()?, ip, vec![ip]);
    member.metrics.set_ip(ip);
    member.pki = PkiPaths::below(&dir.join(member.name.as_str()));
    // Loopback connections come from 127.0.0.1, and a peer's certificate must hold that too.
    let ips = [ip, [127, 0, 0, 1].into()];
    let server = leaf(clients, &ips, Purpose::ServerAndClient)?;
    let peer = leaf(peers, &ips, Purpose::ServerAndClient)?;
    Ok(member.with_pems(MemberPems {
        client_ca: clients.certificate_pem(),
        peer_ca: peers.certificate_pem(),
        server: (&server.certificate_pem, &server.key_pem),
        peer: (&peer.certificate_pem, &peer.key_pem),
    }))
}

impl Bench {
    async fn new(program: PathBuf, version: EtcdVersion, dir: PathBuf) -> anyhow::Result<Self> {
        let (clients, peers) = (authority()?, authority()?);
        let client = leaf(&clients, &[], Purpose::Client)?;
        let identity = (client.certificate_pem.as_str(), client.key_pem.as_str());
        let tls = client_config(clients.certificate_pem(), Some(identity))?;
        let here: Arc<dyn Host> = Arc::new(LocalHost::new("here".parse()?));
        let (mut members, mut hosts) = (Vec::new(), Hosts::new());
        for n in 1..=3 {
            let member = member(n, &dir, &clients, &peers)?;
            files::ensure(here.as_ref(), &member.certificates).await?;
            hosts.insert(member.name.clone(), Arc::clone(&here));
            members.push(member);
        }
        let limit = Duration::from_secs(10);
        Ok(Self {
            clients: HttpsClient::new(Connector::new(here, tls, limit), limit),
            program,
            version,
            dir,
            members,
            hosts,
            client,
        })
    }

    /// Forms one cluster in groups of `group` members with gates between the members of a group; says how long it took.
    async fn form(&self, group: usize, run: u32) -> anyhow::Result<Duration> {
        let mut members = self.members.clone();
        for member in &mut members {
            member.data_dir = self.dir.join(format!("{}-{group}-{run}", member.name));
        }
        let token = format!("etcd-forming-{group}-{run}").parse()?;
        let spec = ClusterSpec::new(token, self.version, self.program.clone(), members)?;
        let tls = Tls::new(&spec, &self.client.certificate_pem, &self.client.key_pem)?;
        let probe = Probe::new(&spec, &self.hosts, &tls, ANSWER_TIMEOUT)?;
        let names: Vec<MemberName> = spec.members().iter().map(|m| m.name.clone()).collect();
        let (started, mut children) = (Instant::now(), Vec::new());
        for group in names.chunks(group) {
            let start = |name| ready(spawn(&spec, &name).map(|child| children.push(child)));
            start_gated(group, &probe, start).await?;
        }
        wait_ready(&spec, &names, &probe, READY_LIMIT, &Silent).await?;
        for member in spec.members() {
            self.write(&member.client_urls()[0]).await?;
        }
        let took = started.elapsed();
        let health = health(&spec, &probe).await;
        ensure!(health.iter().all(|condition| condition.ok), "{health:?}");
        for mut child in children {
            child.kill().await?;
        }
        for member in spec.members() {
            std::fs::remove_dir_all(&member.data_dir)?;
        }
        Ok(took)
    }

    async fn write(&self, url: &str) -> anyhow::Result<()> {
        // Keys and values are base64 in the JSON gateway.
        let put = r#"{"key":"Zg==","value":"Zg=="}"#;
        let url = format!("{url}/v3/kv/put");
        let answer = self.clients.post_json(&url, put).await?;
        ensure!(is_ok(&answer), "{answer:?}");
        Ok(())
    }
}

#[expect(clippy::disallowed_methods, reason = "it outlives this call")]
fn spawn(spec: &ClusterSpec, name: &MemberName) -> anyhow::Result<Child> {
    let member = spec.member(name).context("not a member")?;
    let log = std::fs::File::create(member.data_dir.with_extension("log"))?;
    let mut etcd = Command::new(spec.program());
    etcd.env_clear().envs(render::environment(spec, member));
    Ok(etcd.stderr(log).kill_on_drop(true).spawn()?)
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let arg = |n| std::env::args().nth(n).context("give PROGRAM VERSION RUNS");
    let dir = std::env::temp_dir().join(format!("etcd-forming-{}", std::process::id()));
    let bench = Bench::new(arg(1)?.into(), arg(2)?.parse()?, dir.clone()).await?;
    let mut taken = BTreeMap::<_, Vec<Duration>>::new();
    // Groups of one have no gate between them: all start at once.
    let ways = |run: u32| [("gated", 3, run), ("at once", 1, run)];
    let load = || std::fs::read_to_string("/proc/loadavg");
    let before = load()?;
    for (way, group, run) in (0..arg(3)?.parse()?).flat_map(ways) {
        let took = bench.form(group, run).await?;
        taken.entry(way).or_default().push(took);
    }
    std::fs::remove_dir_all(&dir)?;
    println!(
        "load before and after: {}, {}",
        before.trim(),
        load()?.trim()
    );
    println!("| start | runs | min | median | p90 | max |\n|---|---|---|---|---|---|");
    let mut medians = BTreeMap::new();
    for (way, mut all) in taken {
        all.sort_unstable();
        let at = |percent: usize| all[(all.len() - 1) * percent / 100];
        let ms = |percent| at(percent).as_millis();
        let (n, least, most) = (all.len(), ms(0), ms(100));
        println!(
            "| {way} | {n} | {least} | {} | {} | {most} |",
            ms(50),
            ms(90)
        );
        medians.insert(way, at(50).as_secs_f64());
    }
    let ratio = medians["gated"] / medians["at once"];
    println!("median of gated to median of at once: {ratio:.2}");
    Ok(())
}
