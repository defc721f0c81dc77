//! Forms an etcd cluster of three members on the loopback, shows that it is well, and ends it. No root, no systemd, no
//! machines: processes of this program are the services. A second plan shows that nothing is left to do.
//!
//! Usage: `cargo run -p examples --example etcd_local -- /path/of/etcd 3.7.3`

#![expect(clippy::print_stdout, reason = "a program for people")]

use anyhow::Context as _;
use etcd_bootstrap::certificates::{Authorities, check};
use etcd_bootstrap::*;
use host_exec::{Host, ProcessHost, event::Silent, systemd};
use pki::OsRandom;
use std::sync::Arc;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let arg = |n| std::env::args().nth(n).context("give PROGRAM VERSION");
    let (now, began) = (time::OffsetDateTime::now_utc(), std::time::Instant::now());
    let dir = std::env::temp_dir().join(format!("etcd-local-{}", std::process::id()));
    let authorities = Authorities::create(now, &OsRandom)?;
    let (mut members, mut hosts) = (Vec::new(), Hosts::new());
    for n in 1..=3 {
        let (name, ip) = (format!("etcd-{n}"), format!("127.84.0.{n}"));
        let home = dir.join(&name);
        let member = MemberSpec::parse(&name, &ip, &[&ip])?.below(&home);
        members.push(authorities.equip(member, now, &OsRandom)?);
        let host = Arc::new(ProcessHost::new(name.parse()?, home)) as Arc<dyn Host>;
        hosts.insert(name.parse()?, host);
    }
    let (program, version) = (arg(1)?.into(), arg(2)?.parse()?);
    let spec = ClusterSpec::new("etcd-local".parse()?, version, program, members)?;
    check(&spec, now)?;
    let client = authorities.client("etcd-local", now, &OsRandom)?;
    let tls = Tls::new(&spec, &client.certificate_pem, &client.key_pem)?;

    let first = plan(&spec, &observe(&spec, &hosts, &tls).await?)?;
    print!("{first}");
    apply(&spec, &first, &hosts, &tls, &Silent).await?;
    println!("ready after {:.2?}", began.elapsed());
    let probe = Probe::new(&spec, &hosts, &tls, ANSWER_TIMEOUT)?;
    for condition in health(&spec, &probe).await {
        println!("{condition}");
    }
    let second = plan(&spec, &observe(&spec, &hosts, &tls).await?)?;
    println!("left to do: {}", second.steps().count());
    for host in hosts.values() {
        systemd::stop(host.as_ref(), &[render::unit_name()]).await?;
    }
    Ok(std::fs::remove_dir_all(&dir)?)
}
