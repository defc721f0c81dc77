//! The cluster that is asked for, as a file that the tool under test reads as a lab would read its own.

use crate::{
    material::{self, Pair},
    task::Task,
};
use anyhow::Context as _;
use etcd_bootstrap::{
    ClusterSpec, History, MemberName, MemberPems, MemberProgram, MemberSpec, Tls, tuning::Tuning,
};
use host_exec::File;
use pki::Authority;
use serde::{Deserialize, Serialize};
use std::{
    collections::BTreeMap,
    fs, io,
    net::{IpAddr, Ipv4Addr},
    path::{Path, PathBuf},
    time::Duration,
};
use time::OffsetDateTime;

/// The certificates of one member.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct MemberPairs {
    /// What clients see.
    pub server: Pair,
    /// What peers see.
    pub peer: Pair,
}

/// A cluster and its certificates.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Scene {
    /// The token.
    pub token: String,
    /// What [`Scene::program`] is.
    pub version: String,
    /// The etcd binary.
    pub program: PathBuf,
    /// The numbers of the members, which are the last parts of their addresses.
    pub members: Vec<u8>,
    /// Members that run another etcd than the others, by their numbers: its path and version.
    #[serde(default)]
    pub programs: BTreeMap<u8, (PathBuf, String)>,
    /// At which size of its store a member raises NOSPACE, in bytes.
    #[serde(default)]
    pub quota_bytes: Option<u64>,
    /// After how many entries a member writes a snapshot of its raft log; `None` for what etcd's minor has by itself.
    #[serde(default)]
    pub snapshot_entries: Option<u64>,
    /// What the tool is to do.
    #[serde(default)]
    pub task: Task,
    /// Where the tool keeps the history of the cluster, once it has changed its members.
    pub history_file: PathBuf,
    /// How long members are waited for.
    pub ready_limit: Duration,
    /// The authorities of servers and their clients, PEM, one or two.
    pub client_ca: String,
    /// The authorities of members towards each other.
    pub peer_ca: String,
    /// Certificates by the number of the member.
    pub pairs: BTreeMap<u8, MemberPairs>,
    /// With what members are asked.
    pub client: Pair,
}

/// The authorities that sign for a scene.
#[derive(Debug)]
pub struct Authorities {
    /// Of servers and their clients.
    pub clients: Authority,
    /// Of members towards each other.
    pub peers: Authority,
}

impl Authorities {
    /// New ones.
    ///
    /// # Errors
    ///
    /// The system gives no random numbers.
    pub fn new() -> anyhow::Result<Self> {
        Ok(Self {
            clients: material::authority("etcd-clients")?,
            peers: material::authority("etcd-peers")?,
        })
    }

    /// Certificates of member `number`.
    ///
    /// # Errors
    ///
    /// They cannot be issued.
    pub fn pairs(&self, number: u8) -> anyhow::Result<MemberPairs> {
        let now = OffsetDateTime::now_utc();
        let ips = [IpAddr::from(address(number)), Ipv4Addr::LOCALHOST.into()];
        Ok(MemberPairs {
            server: material::leaf(&self.clients, &ips, now)?,
            peer: material::leaf(&self.peers, &ips[..1], now)?,
        })
    }
}

/// The address of member `number`; 254 is this side.
#[must_use]
pub fn address(number: u8) -> Ipv4Addr {
    Ipv4Addr::new(10, 77, 0, number)
}

/// The name of member `number`.
///
/// # Panics
///
/// Never: a number makes a legal name.
#[must_use]
pub fn member_name(number: u8) -> MemberName {
    format!("etcd-{number}").parse().expect("a legal name")
}

impl Scene {
    /// Members 1 to `size`, with certificates by `authorities`.
    ///
    /// # Errors
    ///
    /// Certificates cannot be issued.
    pub fn new(
        (program, version): (PathBuf, String),
        size: u8,
        authorities: &Authorities,
        work: &Path,
    ) -> anyhow::Result<Self> {
        let members: Vec<u8> = (1..=size).collect();
        let pairs = |number: &u8| Ok((*number, authorities.pairs(*number)?));
        let now = OffsetDateTime::now_utc();
        Ok(Self {
            token: "faults-1".into(),
            history_file: work.join("history.json"),
            version,
            program,
            programs: BTreeMap::new(),
            quota_bytes: None,
            snapshot_entries: None,
            task: Task::Form,
            ready_limit: Duration::from_secs(60),
            client_ca: authorities.clients.certificate_pem().into(),
            peer_ca: authorities.peers.certificate_pem().into(),
            pairs: members.iter().map(pairs).collect::<anyhow::Result<_>>()?,
            client: material::leaf(&authorities.clients, &[], now)?,
            members,
        })
    }

    /// The specification.
    ///
    /// # Errors
    ///
    /// It is no legal one.
    pub fn spec(&self) -> anyhow::Result<ClusterSpec> {
        let member = |number: &u8| {
            let ip = IpAddr::from(address(*number));
            let pairs = self.pairs.get(number).context("no certificates")?;
            let pems = MemberPems {
                client_ca: &self.client_ca,
                peer_ca: &self.peer_ca,
                server: (&pairs.server.certificate, &pairs.server.key),
                peer: (&pairs.peer.certificate, &pairs.peer.key),
            };
            Ok(MemberSpec::new(member_name(*number), ip, vec![ip]).with_pems(pems))
        };
        let members = self.members.iter().map(member);
        let members = members.collect::<anyhow::Result<Vec<_>>>()?;
        let mut spec = ClusterSpec::new(
            self.token.parse()?,
            self.version.parse()?,
            self.program.clone(),
            members,
        )?;
        for (number, (path, version)) in &self.programs {
            let program = MemberProgram {
                version: version.parse()?,
                path: path.clone(),
            };
            spec = spec.with_member_program(&member_name(*number), program)?;
        }
        let spec = spec.with_tuning(Tuning {
            quota_backend_bytes: self.quota_bytes,
            snapshot_count: self.snapshot_entries,
            ..Tuning::default()
        })?;
        let spec = spec.with_ready_limit(self.ready_limit);
        match fs::read(&self.history_file) {
            Ok(text) => Ok(spec.with_history(serde_json::from_slice(&text)?)?),
            Err(_) => Ok(spec),
        }
    }

    /// Keeps the history, as a program keeps its own state.
    ///
    /// # Errors
    ///
    /// It cannot be written.
    pub fn remember(&self, history: &History) -> io::Result<()> {
        let file = File::public(&self.history_file, serde_json::to_vec(history)?);
        host_exec::files::write_here(&file)
    }

    /// How its members are asked.
    ///
    /// # Errors
    ///
    /// The certificates cannot be used.
    pub fn tls(&self, spec: &ClusterSpec) -> anyhow::Result<Tls> {
        let client = &self.client;
        Ok(Tls::new(spec, &client.certificate, &client.key)?)
    }

    /// Reads the scene below `work`.
    ///
    /// # Errors
    ///
    /// There is none.
    pub fn load(work: &Path) -> anyhow::Result<Self> {
        let text = fs::read(work.join("scene.json")).context("scene.json")?;
        Ok(serde_json::from_slice(&text)?)
    }

    /// Keeps the scene below `work`.
    ///
    /// # Errors
    ///
    /// It cannot be written.
    pub fn store(&self, work: &Path) -> anyhow::Result<()> {
        fs::write(work.join("scene.json"), serde_json::to_vec(self)?).context("scene.json")
    }
}
