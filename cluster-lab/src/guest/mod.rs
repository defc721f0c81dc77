//! What every machine has beside its role: names of the others, and its part of the firewall.

mod programs;
mod system;

pub(crate) use programs::ProgramSet;
pub use programs::SendProgramsError;
pub(crate) use system::System;

use crate::blueprint::{BIN_DIR, PROGRAMS_DIR};
use artifacts::ProgramName;
use host_exec::{
    Command, EventSink, File, FileError, Host, RunError, Stdin, files,
    systemd::{self, UnitName},
};
use netplan::{Machine, Plan, Policy};
use serde::Serialize;
use std::{fmt, path::PathBuf};

const RULES: &str = "/etc/lab/firewall.nft";
const UNIT: &str = "lab-firewall.service";
const STEP: &str = "names and firewall";

/// What one machine has to have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Guest {
    files: Vec<File>,
    /// Its part of the firewall; who is on one network and no member of etcd has none.
    firewall: Option<Firewall>,
    /// What it has of its own system; nothing where that is this machine's.
    system: Option<System>,
    /// Programs that are not on its disk of programs.
    programs: Vec<ProgramSet>,
}

/// A table of nftables, and the file from which a unit loads it at boot.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Firewall {
    table: String,
    rules: File,
}

/// What one machine lacks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "do")]
pub enum GuestStep {
    /// Install packages of the distribution.
    Install {
        /// Their names.
        packages: Vec<String>,
    },
    /// Load the modules and set the settings of the kernel that a node needs, now and at every boot.
    Kernel,
    /// Have the disk with the lab's programs mounted, now and at every boot.
    Mount,
    /// Import the lab's images from that disk.
    Import,
    /// Send programs of another version, which the lab got after its disk of programs was made.
    Send {
        /// The version set that they are of, as in `kubernetes-1.37.2_etcd-3.7.3`.
        set: String,
        /// The programs.
        programs: Vec<ProgramName>,
    },
    /// Write these files.
    Write {
        /// Their paths.
        paths: Vec<PathBuf>,
    },
    /// Load the rules, then write them where the unit finds them at the next boot: in this order a run that is
    /// killed between leaves a difference to be seen.
    Load,
    /// Have the rules loaded at every boot.
    Enable,
}

impl fmt::Display for GuestStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Install { packages } => write!(f, "apt-get install {}", packages.join(" ")),
            Self::Kernel => f.write_str("load kernel modules, switch forwarding on"),
            Self::Mount => write!(f, "mount the programs at {BIN_DIR}"),
            Self::Import => f.write_str("import the images into containerd"),
            Self::Send { set, programs } => {
                let names: Vec<_> = programs.iter().map(|program| program.as_str()).collect();
                write!(f, "send {} to {PROGRAMS_DIR}/{set}", names.join(", "))
            }
            Self::Write { paths } => {
                let names: Vec<_> = paths
                    .iter()
                    .map(|path| path.display().to_string())
                    .collect();
                write!(f, "write {}", names.join(", "))
            }
            Self::Load => write!(f, "load {RULES}"),
            Self::Enable => write!(f, "enable {UNIT}"),
        }
    }
}

/// A machine's names or firewall could not be looked at or set.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GuestError {
    /// A file.
    #[error(transparent)]
    File(#[from] FileError),
    /// A command.
    #[error("cannot set up a machine's own system or its firewall")]
    Run(#[from] RunError),
    /// Programs.
    #[error("cannot give a machine the programs that the lab is upgraded to")]
    Programs(#[from] SendProgramsError),
}

impl Guest {
    pub(crate) fn new(
        network: &Plan,
        policy: &Policy,
        machine: &Machine,
        system: Option<System>,
    ) -> Self {
        let class = network.class(machine.class.as_str());
        let rules = class.and_then(|class| policy.nft_guest(class));
        let firewall = rules.map(|rules| Firewall {
            table: rules.table,
            rules: File::public(RULES, rules.load),
        });
        let mut files = vec![File::public("/etc/hosts", netplan::hosts_file(network))];
        if firewall.is_some() {
            files.push(File::public(format!("/etc/systemd/system/{UNIT}"), unit()));
        }
        Self {
            files,
            firewall,
            system,
            programs: Vec::new(),
        }
    }

    /// The same with programs that have to be sent to it.
    pub(crate) fn with_programs(mut self, programs: Vec<ProgramSet>) -> Self {
        self.programs = programs;
        self
    }

    /// Every file, for a machine that has not booted yet.
    pub(crate) fn files(&self) -> impl Iterator<Item = File> {
        let rules = self.firewall.iter().map(|firewall| &firewall.rules);
        self.files.iter().chain(rules).cloned()
    }

    /// The units that load the firewall at every boot, the first one included.
    pub(crate) fn units(&self) -> Option<UnitName> {
        self.firewall.as_ref().map(|_| unit_name())
    }

    /// What a guest lacks that has not been made yet.
    pub(crate) fn on_paper(&self) -> Vec<GuestStep> {
        let mut steps = self
            .system
            .iter()
            .flat_map(System::on_paper)
            .collect::<Vec<_>>();
        let sets = self.programs.iter();
        steps.extend(sets.filter_map(|set| send(set, set.programs().to_vec())));
        let paths = self.files.iter().map(|file| file.path.clone()).collect();
        steps.push(GuestStep::Write { paths });
        if self.firewall.is_some() {
            steps.extend([GuestStep::Load, GuestStep::Enable]);
        }
        steps
    }

    /// What `host` lacks of it.
    pub(crate) async fn observe(&self, host: &dyn Host) -> Result<Vec<GuestStep>, GuestError> {
        let mut steps = match &self.system {
            Some(system) => system.observe(host).await?,
            None => Vec::new(),
        };
        steps.extend(self.lacking_programs(host).await?);
        let drifted = files::observe(host, &self.files).await?;
        if !drifted.is_empty() {
            let paths = drifted
                .into_iter()
                .map(|(file, _)| file.path.clone())
                .collect();
            steps.push(GuestStep::Write { paths });
        }
        if let Some(firewall) = &self.firewall {
            let unit = unit_name();
            let states = systemd::states(host, std::slice::from_ref(&unit)).await?;
            let state = states.get(&unit).cloned().unwrap_or_default();
            let drifted = files::observe(host, std::slice::from_ref(&firewall.rules)).await?;
            // The kernel is asked too: somebody may have taken the table away.
            if !drifted.is_empty() || (state.is_up() && !firewall.is_loaded(host).await?) {
                steps.push(GuestStep::Load);
            }
            if !(state.is_enabled() && state.is_up()) {
                steps.push(GuestStep::Enable);
            }
        }
        Ok(steps)
    }

    /// What has to be sent to `host`.
    pub(crate) async fn lacking_programs(
        &self,
        host: &dyn Host,
    ) -> Result<Vec<GuestStep>, GuestError> {
        let mut steps = Vec::new();
        for set in &self.programs {
            steps.extend(send(set, set.lacking(host).await?));
        }
        Ok(steps)
    }

    pub(crate) async fn apply(
        &self,
        steps: &[GuestStep],
        host: &dyn Host,
        events: &dyn EventSink,
    ) -> Result<(), GuestError> {
        if steps.is_empty() {
            return Ok(());
        }
        let machine = host.name().as_str();
        events.started(machine, STEP);
        for step in steps {
            self.take(step, host).await?;
        }
        events.done(machine, STEP, &format!("{} steps", steps.len()));
        Ok(())
    }
}

impl Guest {
    /// Does one of the steps.
    pub(crate) async fn take(&self, step: &GuestStep, host: &dyn Host) -> Result<(), GuestError> {
        match (step, &self.system, &self.firewall) {
            (GuestStep::Install { packages }, Some(system), _) => {
                system.install(packages, host).await?;
            }
            (GuestStep::Kernel, Some(system), _) => system.set_kernel(host).await?,
            (GuestStep::Mount, Some(system), _) => system.mount(host).await?,
            (GuestStep::Import, Some(system), _) => system.import(host).await?,
            (GuestStep::Send { set, programs }, ..) => {
                for own in self.programs.iter().filter(|own| own.name() == set) {
                    own.send(programs, host).await?;
                }
            }
            (GuestStep::Write { paths }, ..) => {
                let files = self.files.iter().filter(|file| paths.contains(&file.path));
                host.write_files(&files.collect::<Vec<_>>()).await?;
            }
            (GuestStep::Load, _, Some(Firewall { rules, .. })) => {
                let load = Command::new("nft").args(["--file", "-"]);
                host.run(&load.stdin(Stdin::Bytes(rules.contents.bytes().to_vec())))
                    .await?;
                host.write_file(rules).await?;
            }
            (GuestStep::Enable, ..) => {
                systemd::daemon_reload(host).await?;
                systemd::enable(host, &[unit_name()]).await?;
                systemd::start(host, &[unit_name()]).await?;
            }
            // Steps are made by `observe`, only for what there is.
            (_, None, _) | (_, _, None) => {}
        }
        Ok(())
    }
}

impl Firewall {
    async fn is_loaded(&self, host: &dyn Host) -> Result<bool, RunError> {
        let tables = host
            .run(&Command::new("nft").args(["list", "tables"]))
            .await?;
        let wanted = format!("table {}", self.table);
        Ok(tables.stdout_text().lines().any(|line| line == wanted))
    }
}

fn send(set: &ProgramSet, programs: Vec<ProgramName>) -> Option<GuestStep> {
    let set = set.name().to_owned();
    (!programs.is_empty()).then_some(GuestStep::Send { set, programs })
}

fn unit_name() -> UnitName {
    UNIT.parse().expect("a literal that is a legal unit name")
}

fn unit() -> String {
    format!(
        "[Unit]\nDescription=the lab's part of this machine's firewall\nDefaultDependencies=no\n\
        Before=network-pre.target\nWants=network-pre.target\n\n\
        [Service]\nType=oneshot\nRemainAfterExit=yes\nExecStart=/usr/sbin/nft --file {RULES}\n\n\
        [Install]\nWantedBy=multi-user.target\n"
    )
}
