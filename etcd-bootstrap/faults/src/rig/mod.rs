//! A world with machines on one link, the tool under test, and the means to hurt them.
//!
//! It runs as process 1 of its own process, mount and network namespaces, so whatever it started and made ends
//! with it, also when it is killed.

mod check;
mod fault;
mod look;
mod machine;
mod tool;

use crate::{
    client::Client,
    dice::Dice,
    load::{Load, Values},
    material,
    scene::{Authorities, MemberPairs, Scene, address},
};
use anyhow::{Context as _, bail};
use etcd_bootstrap::{ClusterId, Hosts};
use host_exec::{Command, Host, LocalHost, NetworkNamespace};
use machine::Machine;
use nix::unistd::Pid;
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

pub use fault::Direction;
pub use tool::{Running, Told};

/// How long a call of the load may take: short against an election, long against an answer on a busy machine.
const CALL_LIMIT: Duration = Duration::from_millis(700);
/// How long members may take for what takes no time.
const SOON: Duration = Duration::from_secs(30);

/// What a rig is made for.
#[derive(Debug, Clone)]
pub struct Setting {
    /// Where it keeps everything.
    pub work: PathBuf,
    /// Where etcd, etcdctl and etcdutl are.
    pub programs: PathBuf,
    /// What its choices follow from.
    pub seed: u64,
    /// Whether waits have their full length, as in the long run.
    pub long: bool,
}

/// Machines, and a cluster that is asked for.
#[derive(Debug)]
pub struct Rig {
    /// What it was made for.
    pub setting: Setting,
    /// The choices.
    pub dice: Dice,
    /// What the tool is asked for. Call [`Rig::ask`] after a change.
    pub scene: Scene,
    /// Who signs.
    pub authorities: Authorities,
    /// What was measured, in milliseconds unless its name says otherwise.
    pub figures: BTreeMap<String, f64>,
    machines: BTreeMap<u8, Machine>,
    here: Arc<dyn Host>,
    values: Values,
    /// Directories with a write-ahead log, by machine and inode.
    logs_seen: BTreeMap<(u8, u64), fs::File>,
    clusters_seen: BTreeSet<ClusterId>,
    clusters_meant: BTreeSet<ClusterId>,
}

impl Rig {
    /// A world with machines 1 to `size`, on which nothing runs. Call it once, as process 1 of fresh namespaces.
    ///
    /// # Errors
    ///
    /// A namespace, a link or a certificate cannot be made.
    pub async fn new(setting: Setting, size: u8) -> anyhow::Result<Self> {
        let here: Arc<dyn Host> = Arc::new(LocalHost::new("world".parse()?));
        let ip = |words: &str| Command::new("ip").args(words.split(' '));
        here.run(&ip("link set lo up")).await?;
        here.run(&ip("link add wire type bridge")).await?;
        here.run(&ip(&format!("address add {}/24 dev wire", address(254))))
            .await?;
        here.run(&ip("link set wire up")).await?;
        let program = setting.programs.join("etcd");
        let authorities = Authorities::new()?;
        let version = version(here.as_ref(), &program).await?;
        let mut rig = Self {
            dice: Dice::new(setting.seed),
            scene: Scene::new((program, version), size, &authorities, &setting.work)?,
            authorities,
            figures: BTreeMap::new(),
            machines: BTreeMap::new(),
            here,
            values: Values::default(),
            logs_seen: BTreeMap::new(),
            clusters_seen: BTreeSet::new(),
            clusters_meant: BTreeSet::new(),
            setting,
        };
        for number in 1..=size {
            rig.add_machine(number).await?;
        }
        rig.ask()?;
        Ok(rig)
    }

    /// Starts machine `number`.
    ///
    /// # Errors
    ///
    /// It does not come up.
    pub async fn add_machine(&mut self, number: u8) -> anyhow::Result<()> {
        let dir = self.machine_dir(number);
        let machine = Machine::start(number, &dir, self.here.as_ref()).await?;
        self.machines.insert(number, machine);
        let leaders: BTreeMap<u8, u32> = self
            .machines
            .iter()
            .map(|(number, machine)| (*number, machine.leader()))
            .collect();
        fs::write(self.path("leaders.json"), serde_json::to_vec(&leaders)?)?;
        Ok(())
    }

    /// Pulls the plug of machine `number`: all that runs on it ends, and its files stay.
    ///
    /// # Errors
    ///
    /// Its leader does not end.
    pub async fn remove_machine(&mut self, number: u8) -> anyhow::Result<()> {
        let member = self.process(number).await?;
        let port = format!("port{number}");
        let unplug = Command::new("ip").args(["link", "delete", port.as_str()]);
        self.here.run(&unplug).await?;
        let machine = self.machines.remove(&number);
        machine.context("no such machine")?.end().await?;
        if let Some(member) = member {
            // The member is its leader's child, and outlives it otherwise.
            nix::sys::signal::kill(member, nix::sys::signal::Signal::SIGKILL)?;
        }
        Ok(())
    }

    /// Gives the scene to the tool.
    ///
    /// # Errors
    ///
    /// It is no legal one, or cannot be written.
    pub fn ask(&mut self) -> anyhow::Result<()> {
        self.clusters_meant.insert(self.scene.spec()?.cluster_id());
        self.scene.store(&self.setting.work)
    }

    /// What is below the work directory.
    #[must_use]
    pub fn path(&self, below: &str) -> PathBuf {
        self.setting.work.join(below)
    }

    /// The files of machine `number`, seen from here: `etc` and `var`.
    #[must_use]
    pub fn machine_dir(&self, number: u8) -> PathBuf {
        machine_dir(&self.setting.work, number)
    }

    /// Where member `number` keeps its data, seen from here.
    #[must_use]
    pub fn data_dir(&self, number: u8) -> PathBuf {
        self.machine_dir(number).join("var/lib/etcd")
    }

    /// The machine of member `number`.
    ///
    /// # Errors
    ///
    /// There is none.
    pub fn host(&self, number: u8) -> anyhow::Result<&dyn Host> {
        let machine = self.machines.get(&number);
        Ok(machine.context("no such machine")?.host())
    }

    /// This side of the link.
    #[must_use]
    pub fn here(&self) -> &dyn Host {
        self.here.as_ref()
    }

    /// The network of machine `number`.
    ///
    /// # Errors
    ///
    /// There is no such machine.
    pub fn network(&self, number: u8) -> anyhow::Result<NetworkNamespace> {
        let leader = self
            .machines
            .get(&number)
            .context("no such machine")?
            .leader();
        Ok(NetworkNamespace::new(format!("/proc/{leader}/ns/net")))
    }

    /// The certificates of member `number`. Call [`Rig::ask`] after a change.
    ///
    /// # Errors
    ///
    /// There is no such member.
    pub fn pairs_of(&mut self, number: u8) -> anyhow::Result<&mut MemberPairs> {
        self.scene.pairs.get_mut(&number).context("no such member")
    }

    /// The processes of all members.
    ///
    /// # Errors
    ///
    /// A machine does not answer.
    pub async fn processes(&self) -> anyhow::Result<BTreeMap<u8, Option<Pid>>> {
        let mut processes = BTreeMap::new();
        for number in &self.scene.members {
            processes.insert(*number, self.process(*number).await?);
        }
        Ok(processes)
    }

    /// Gives all members and the client new certificates by the present authorities.
    ///
    /// # Errors
    ///
    /// They cannot be issued.
    pub fn renew_leaves(&mut self) -> anyhow::Result<()> {
        for (number, pairs) in &mut self.scene.pairs {
            *pairs = self.authorities.pairs(*number)?;
        }
        let now = time::OffsetDateTime::now_utc();
        self.scene.client = material::leaf(&self.authorities.clients, &[], now)?;
        Ok(())
    }

    /// All machines.
    ///
    /// # Errors
    ///
    /// The list of machines cannot be read.
    pub fn hosts(&self) -> anyhow::Result<Hosts> {
        crate::tool::hosts(&self.setting.work)
    }

    /// Remembers a time that was measured.
    pub fn figure(&mut self, name: &str, time: Duration) {
        self.figures
            .insert(name.into(), time.as_secs_f64() * 1000.0);
    }

    /// The members that are not `one`.
    #[must_use]
    pub fn others(&self, one: u8) -> Vec<u8> {
        let members = self.scene.members.iter().copied();
        members.filter(|number| *number != one).collect()
    }

    /// A client of member `number`, on this side of the link.
    ///
    /// # Errors
    ///
    /// The certificates cannot be used.
    pub fn client(&self, number: u8, timeout: Duration) -> anyhow::Result<Client> {
        let client = &self.scene.client;
        let texts = (
            self.scene.client_ca.as_str(),
            client.certificate.as_str(),
            client.key.as_str(),
        );
        Client::new(Arc::clone(&self.here), address(number), texts, timeout)
    }

    /// Begins the load. Once in the life of a cluster: the history begins with an empty register.
    ///
    /// # Errors
    ///
    /// The certificates cannot be used.
    pub fn load(&mut self) -> anyhow::Result<Load> {
        let clients = self.clients()?;
        Ok(Load::start(clients, &self.values, &mut self.dice))
    }

    /// Clients of all members with the present certificates, as the load has them.
    ///
    /// # Errors
    ///
    /// The certificates cannot be used.
    pub fn clients(&self) -> anyhow::Result<Vec<Client>> {
        let members = self.scene.members.iter();
        members
            .map(|number| self.client(*number, CALL_LIMIT))
            .collect()
    }

    /// Where the values of this cluster's writes come from.
    #[must_use]
    pub fn values(&self) -> Values {
        self.values.clone()
    }

    /// Lets the load run undisturbed.
    pub async fn pass(&self, time: Duration) {
        #[expect(
            clippy::disallowed_methods,
            reason = "a fault has a length; nothing is waited for"
        )]
        tokio::time::sleep(time).await;
    }
}

fn machine_dir(work: &Path, number: u8) -> PathBuf {
    work.join(format!("machine-{number}"))
}

/// What member `number` says, seen from here.
pub(crate) fn member_log(work: &Path, number: u8) -> PathBuf {
    machine_dir(work, number).join("var/log/etcd.service.log")
}

/// What an etcd binary says that it is.
pub(crate) async fn version(host: &dyn Host, program: &Path) -> anyhow::Result<String> {
    let ask = Command::new(program.display().to_string()).arg("--version");
    let output = host.run(&ask).await?;
    let text = output.stdout_text();
    let version = text
        .lines()
        .find_map(|line| line.strip_prefix("etcd Version: "));
    match version {
        Some(version) => Ok(version.to_owned()),
        None => bail!("{} does not say its version", program.display()),
    }
}
