//! The tool under test: what a program of ours would do with the library, as a process that can be killed.

use crate::{
    scene::{Scene, member_name},
    task::{self, Task},
};
use anyhow::Context as _;
use etcd_bootstrap::{
    ClusterSpec, Hosts, certificates, finish, observe, plan, prepare, start_members,
};
use host_exec::{Event, EventSink, NamespaceHost};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde::{Deserialize, Serialize};
use std::{
    collections::BTreeMap,
    fs,
    io::Write as _,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use time::OffsetDateTime;

/// A line that the tool writes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Line {
    /// What it is going to do; empty if nothing.
    Plan(String),
    /// What it tells while it does it.
    Event(Event),
    /// It is done.
    Done,
    /// It failed: the message with its causes.
    Failed(String),
}

/// Machines by the number of their member: the process that leads each.
pub type Leaders = BTreeMap<u8, u32>;

/// Observes, plans and applies what is asked for below `work`, and tells it line by line; dies by SIGKILL after
/// `die_after` events, if that is given.
///
/// # Errors
///
/// What is below `work` cannot be read. A failure of the library is told as a line.
pub async fn run(work: &Path, die_after: Option<usize>) -> anyhow::Result<bool> {
    let scene = Scene::load(work)?;
    let hosts = hosts(work)?;
    let teller = Teller {
        told: AtomicUsize::new(0),
        die_after,
    };
    let done = match &scene.task {
        Task::Form => form(&scene, &hosts, &teller).await,
        task => task::run(task, work, &scene, &hosts, &teller).await,
    };
    match done {
        Ok(()) => {
            teller.line(&Line::Done);
            Ok(true)
        }
        Err(error) => {
            teller.line(&Line::Failed(format!("{error:#}")));
            Ok(false)
        }
    }
}

async fn form(scene: &Scene, hosts: &Hosts, teller: &Teller) -> anyhow::Result<()> {
    let spec = scene.spec()?;
    certificates::check(&spec, OffsetDateTime::now_utc())?;
    let tls = scene.tls(&spec)?;
    let plan = plan(&spec, &observe(&spec, hosts, &tls).await?)?;
    teller.line(&Line::Plan(plan.to_string()));
    if plan.is_empty() {
        return Ok(());
    }
    prepare(&spec, &plan, hosts, teller).await?;
    check_clocks(&spec, hosts).await?;
    start_members(&spec, &plan, hosts, &tls, teller).await?;
    Ok(finish(&spec, &plan, hosts, &tls, teller).await?)
}

/// The certificates as the machines have them, by the clocks of the machines.
async fn check_clocks(spec: &ClusterSpec, hosts: &Hosts) -> anyhow::Result<()> {
    let mut bad = Vec::new();
    for member in spec.members() {
        let host = hosts.get(&member.name).context("no such machine")?;
        let now = OffsetDateTime::now_utc();
        bad.extend(certificates::observe(member, host.as_ref(), now).await?);
    }
    match bad.is_empty() {
        true => Ok(()),
        false => Err(certificates::BadCertificates(bad).into()),
    }
}

/// The machines below `work`.
///
/// # Errors
///
/// There are none.
pub fn hosts(work: &Path) -> anyhow::Result<Hosts> {
    let text = fs::read(work.join("leaders.json")).context("leaders.json")?;
    let leaders: Leaders = serde_json::from_slice(&text)?;
    let host = |(number, leader): (u8, u32)| {
        let name = format!("etcd-{number}").parse()?;
        let host = NamespaceHost::new(name, leader);
        Ok((
            member_name(number),
            Arc::new(host) as Arc<dyn host_exec::Host>,
        ))
    };
    leaders.into_iter().map(host).collect()
}

pub(crate) struct Teller {
    told: AtomicUsize,
    die_after: Option<usize>,
}

impl Teller {
    pub(crate) fn line(&self, line: &Line) {
        let text = serde_json::to_string(line).unwrap_or_default();
        // Whoever started the tool may be gone, and the work goes on.
        let _ = writeln!(std::io::stdout(), "{text}");
    }
}

impl EventSink for Teller {
    fn emit(&self, event: Event) {
        self.line(&Line::Event(event));
        let told = self.told.fetch_add(1, Ordering::SeqCst) + 1;
        if self.die_after.is_some_and(|last| told >= last) {
            // Nothing of ours runs after this, which is the point.
            let _ = kill(Pid::this(), Signal::SIGKILL);
        }
    }
}
