//! Forms etcd clusters of three real members on loopback addresses, gated and all at once in turn,
//! and prints how long each way took. No systemd: processes of this program are the services.
//!
//! Usage: `cargo run -p examples --example etcd_local -- /path/of/etcd 3.7.3 10`

#![expect(clippy::print_stdout, reason = "a program for people")]

use anyhow::{Context as _, ensure};
use etcd_bootstrap::*;
use host_exec::{Host, LocalHost, event::Silent, files};
use pki::{AltNames, Authority, Issued, LeafRequest, Life, OsRandom, Purpose, Subject};
use std::{collections::BTreeMap, future::ready, net::IpAddr, path::Path, sync::Arc};
use tokio::process::{Child, Command};

fn authority() -> anyhow::Result<Authority> {
    let (name, now) = (
        Subject::new("etcd-local", &[])?,
        time::OffsetDateTime::now_utc(),
    );
    Ok(Authority::create(&name, Life::AUTHORITY, now, &OsRandom)?)
}

fn leaf(signer: &Authority, ips: &[IpAddr], purpose: Purpose) -> anyhow::Result<Issued> {
    let names = AltNames::new(vec![], ips.to_vec())?;
    let request = LeafRequest::new(Subject::new("etcd", &[])?, purpose, names, Life::LEAF)?;
    Ok(signer.issue(&request, time::OffsetDateTime::now_utc(), &OsRandom)?)
}

fn member(n: u8, dir: &Path, clients: &Authority, peers: &Authority) -> anyhow::Result<MemberSpec> {
    let ip = IpAddr::from([127, 84, 0, n]);
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
    let dir = std::env::temp_dir().join(format!("etcd-local-{}", std::process::id()));
    let (clients, peers) = (authority()?, authority()?);
    let client = leaf(&clients, &[], Purpose::Client)?;
    let here = Arc::new(LocalHost::new("here".parse()?));
    let (mut members, mut hosts) = (Vec::new(), Hosts::new());
    for n in 1..=3 {
        let member = member(n, &dir, &clients, &peers)?;
        files::ensure(here.as_ref(), &member.certificates).await?;
        hosts.insert(member.name.clone(), here.clone() as Arc<dyn Host>);
        members.push(member);
    }
    let names: Vec<MemberName> = hosts.keys().cloned().collect();
    let mut taken = BTreeMap::<_, Vec<_>>::new();
    // Groups of one have no gate between them: all start at once.
    let ways = |run: u32| [("gated", 3, run), ("at once", 1, run)];
    for (way, group, run) in (0..arg(3)?.parse()?).flat_map(ways) {
        for member in &mut members {
            member.data_dir = dir.join(format!("{}-{group}-{run}", member.name));
        }
        let token = format!("etcd-local-{group}-{run}").parse()?;
        let spec = ClusterSpec::new(token, arg(2)?.parse()?, arg(1)?.into(), members.clone())?;
        let tls = Tls::new(&spec, &client.certificate_pem, &client.key_pem)?;
        let probe = Probe::new(&spec, &hosts, &tls, ANSWER_TIMEOUT)?;
        let (started, mut children) = (std::time::Instant::now(), Vec::new());
        for group in names.chunks(group) {
            let start = |name| ready(spawn(&spec, &name).map(|child| children.push(child)));
            start_gated(group, &probe, start).await?;
        }
        wait_ready(&spec, &names, &probe, READY_LIMIT, &Silent).await?;
        taken.entry(way).or_default().push(started.elapsed());
        let health = health(&spec, &probe).await;
        ensure!(health.iter().all(|condition| condition.ok), "{health:?}");
        for mut child in children {
            child.kill().await?;
        }
    }
    for (way, mut all) in taken {
        all.sort_unstable();
        println!("{way}: median {:.2?} of {all:.2?}", all[all.len() / 2]);
    }
    Ok(std::fs::remove_dir_all(&dir)?)
}
