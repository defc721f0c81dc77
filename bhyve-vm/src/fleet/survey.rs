//! What a host is and has, whoever made it.

use super::ask::{AskError, Asker};
use crate::doctor::{HostFacts, SYSCTLS};
use crate::{
    Dataset, Firmware, HostRoute, Interface, ObserveError, Process, Release, ReleaseLevel,
    parse_datasets, parse_interfaces, parse_modules, parse_nodes, parse_processes, parse_resolvers,
    parse_routes, parse_sysctls, parse_version,
};
use futures::try_join;
use host_exec::{Host, HostName};
use std::{collections::BTreeMap, net::IpAddr};

/// A host that was asked about everything.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostSurvey {
    /// The version of its base system.
    pub version: ReleaseLevel,
    /// Its kernel modules.
    pub modules: Vec<String>,
    /// Those of [`SYSCTLS`] that it has.
    pub sysctls: BTreeMap<String, String>,
    /// The firmware files that it has, of those that were asked for.
    pub firmware: Vec<String>,
    /// What lives on it.
    pub population: Population,
    /// More of each dataset, by its name.
    pub details: BTreeMap<String, DatasetDetails>,
    /// All routes.
    pub routes: Vec<HostRoute>,
    /// The name servers of `/etc/resolv.conf`.
    pub resolvers: Vec<IpAddr>,
    /// The rules of pf's main ruleset; none if pf is off.
    pub pf: Option<Vec<String>>,
    /// Its clock, in seconds since 1970.
    pub clock_s: u64,
}

/// All that VMs consist of on a host, whoever made it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Population {
    /// All datasets.
    pub datasets: Vec<Dataset>,
    /// All interfaces, with addresses and prefix lengths.
    pub interfaces: Vec<Interface>,
    /// All processes.
    pub processes: Vec<Process>,
    /// The nodes of VMs.
    pub nodes: Vec<String>,
}

/// What [`Dataset`] does not tell of one.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct DatasetDetails {
    /// The size of a volume, in bytes.
    pub volume_bytes: Option<u64>,
    /// The digest of the image of a base volume ([`IMAGE_PROPERTY`](crate::image::IMAGE_PROPERTY)).
    pub image: Option<String>,
    /// Where a file system is mounted.
    pub mount_point: Option<String>,
}

/// A host that cannot be surveyed, or that is not one of ours to use.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SurveyError {
    /// Another system.
    #[error("{host} runs {system}, and bhyve is part of FreeBSD; name a FreeBSD host")]
    NotFreeBsd {
        /// The host.
        host: HostName,
        /// What `uname -s` said.
        system: String,
    },
    /// A version that this crate does not know.
    #[error("{host} runs FreeBSD {version}; use FreeBSD 14 or 15")]
    Unsupported {
        /// The host.
        host: HostName,
        /// Its version.
        version: ReleaseLevel,
    },
    /// Not root.
    #[error(
        "{host}: user number {uid} may not make VMs; log in as root, such as ssh://root@{host}"
    )]
    NotRoot {
        /// The host.
        host: HostName,
        /// What `id -u` said.
        uid: String,
    },
    /// A question was not answered; the host may be out of reach.
    #[error(transparent)]
    Ask(#[from] AskError),
}

impl HostSurvey {
    /// The interface of the default route; IPv4's if both families have one.
    pub fn uplink(&self) -> Option<&str> {
        let default = self.routes.iter().find(|route| route.to.prefix_len() == 0);
        default.map(|route| route.interface.as_str())
    }

    /// The release, as far as bhyve's keys depend on it. A survey has no other than these two.
    pub fn release(&self) -> Release {
        if self.version.major < 15 {
            Release::V14
        } else {
            Release::V15
        }
    }

    /// Whether a module is loaded or built in.
    pub(super) fn has_module(&self, name: &str) -> bool {
        let file = format!("{name}.ko");
        self.modules
            .iter()
            .any(|found| found == name || *found == file)
    }

    /// A dataset.
    pub(super) fn dataset(&self, name: &str) -> Option<&Dataset> {
        self.population.dataset(name)
    }

    /// An interface.
    pub(super) fn interface(&self, name: &str) -> Option<&Interface> {
        self.population.interface(name)
    }

    /// What [`examine`](crate::examine) takes, with the free space of the pool that holds `dataset`.
    pub fn facts(&self, dataset: &str) -> HostFacts {
        HostFacts {
            version: self.version,
            modules: self.modules.clone(),
            sysctls: self.sysctls.clone(),
            firmware: self.firmware.clone(),
            pool_available: self.available(dataset),
            interfaces: self.population.interfaces.clone(),
            pf: self.pf.clone(),
            routes: self.routes.clone(),
            clock_s: Some(self.clock_s),
        }
    }

    /// What the nearest of the dataset and its parents has free, in bytes; 0 if the pool is not there.
    pub(super) fn available(&self, dataset: &str) -> u64 {
        let mut name = dataset;
        loop {
            if let Some(found) = self.dataset(name) {
                return found.available.unwrap_or(0);
            }
            match name.rsplit_once('/') {
                Some((parent, _)) => name = parent,
                None => return 0,
            }
        }
    }
}

/// Asks a host about everything that a plan depends on, and changes nothing.
///
/// # Errors
///
/// It is no FreeBSD 14 or 15, we are not root there, or a question was not answered.
pub async fn survey(host: &dyn Host) -> Result<HostSurvey, SurveyError> {
    survey_with(host, &[Firmware::EDK2_CODE, Firmware::EDK2_VARS]).await
}

/// The same, looking for these firmware files.
pub(super) async fn survey_with(
    host: &dyn Host,
    firmware: &[&str],
) -> Result<HostSurvey, SurveyError> {
    let ask = Asker { host };
    let version = identity(ask).await?;
    let mut sysctl = vec!["sysctl", "-i"];
    sysctl.extend(SYSCTLS);
    let mut files = vec!["ls", "-d", "--"];
    files.extend(firmware);
    // Side by side: one after the other they would be fifteen times the way there and back.
    let (kernel, modules, clock, firmware, population, details, routes, resolvers, pf) = try_join!(
        ask.text("its settings", &sysctl),
        ask.text("its modules", &["kldstat", "-v"]),
        ask.text("the time", &["date", "-u", "+%s"]),
        ask.text_in_part("its firmware files", &files),
        population(ask),
        details(ask),
        routes(ask),
        resolvers(ask),
        rules(ask),
    )?;
    Ok(HostSurvey {
        version,
        modules: ask.read("its modules", parse_modules(&modules))?,
        sysctls: ask.read("its settings", parse_sysctls(&kernel))?,
        firmware: lines(&firmware),
        population,
        details,
        routes,
        resolvers,
        pf,
        clock_s: ask.read("the time", parse_clock(&clock))?,
    })
}

async fn identity(ask: Asker<'_>) -> Result<ReleaseLevel, SurveyError> {
    let host = || ask.host.name().clone();
    let system = ask.text("its system", &["uname", "-s"]).await?;
    if system.trim() != "FreeBSD" {
        return Err(SurveyError::NotFreeBsd {
            host: host(),
            system: system.trim().to_owned(),
        });
    }
    let version = ask.text("its version", &["freebsd-version", "-u"]).await?;
    let version = ask.read("its version", parse_version(&version))?;
    if !(14..=15).contains(&version.major) {
        return Err(SurveyError::Unsupported {
            host: host(),
            version,
        });
    }
    let uid = ask.text("who we are", &["id", "-u"]).await?;
    if uid.trim() != "0" {
        return Err(SurveyError::NotRoot {
            host: host(),
            uid: uid.trim().to_owned(),
        });
    }
    Ok(version)
}

impl Population {
    /// A dataset.
    pub(super) fn dataset(&self, name: &str) -> Option<&Dataset> {
        self.datasets.iter().find(|dataset| dataset.name == name)
    }

    /// An interface.
    pub(super) fn interface(&self, name: &str) -> Option<&Interface> {
        self.interfaces.iter().find(|found| found.name == name)
    }

    /// The processes that run a VM.
    pub(super) fn running(&self, vm: &str) -> impl Iterator<Item = &Process> {
        self.processes
            .iter()
            .filter(move |process| process.vm() == Some(vm))
    }
}

/// What lives on a host; any version and any user will do for looking.
pub(super) async fn population(ask: Asker<'_>) -> Result<Population, AskError> {
    let columns = "name,type,used,avail,origin,lab:owner";
    let zfs = ["zfs", "list", "-H", "-p", "-t", "all", "-o", columns];
    let ps = [
        "ps", "-axww", "-o", "pid=", "-o", "etimes=", "-o", "rss=", "-o", "command=",
    ];
    let absent = ["No such file or directory"];
    // A process is looked for before its node: it comes before it, and goes before it.
    let vms = async {
        let processes = ask.text("its processes", &ps).await?;
        let nodes = ["ls", "-1", "/dev/vmm"];
        let nodes = ask.text_unless("its VMs", &nodes, &absent).await?;
        Ok((processes, nodes))
    };
    let (datasets, interfaces, (processes, nodes)) = try_join!(
        ask.text("its datasets", &zfs),
        ask.text("its interfaces", &["ifconfig", "-a"]),
        vms,
    )?;
    Ok(Population {
        datasets: ask.read("its datasets", parse_datasets(&datasets))?,
        interfaces: ask.read("its interfaces", parse_interfaces(&interfaces))?,
        processes: ask.read("its processes", parse_processes(&processes))?,
        nodes: ask.read("its VMs", parse_nodes(&nodes.unwrap_or_default()))?,
    })
}

pub(super) async fn details(ask: Asker<'_>) -> Result<BTreeMap<String, DatasetDetails>, AskError> {
    let columns = "name,volsize,lab:image,mountpoint";
    let words = ["zfs", "list", "-H", "-p", "-t", "all", "-o", columns];
    let text = ask.text("its volumes", &words).await?;
    ask.read("its volumes", parse_details(&text))
}

/// Columns parted by a tab, `-` for none (zfs-list(8)).
fn parse_details(text: &str) -> Result<BTreeMap<String, DatasetDetails>, ObserveError> {
    let given = |text: &str| (text != "-").then(|| text.to_owned());
    let number = |text: &str| match text {
        "-" => Some(None),
        number => number.parse().ok().map(Some),
    };
    let read = |line: &str| {
        let columns: Vec<&str> = line.split('\t').collect();
        let [name, size, image, mount_point] = columns[..] else {
            return None;
        };
        let details = DatasetDetails {
            volume_bytes: number(size)?,
            image: given(image),
            mount_point: given(mount_point),
        };
        Some((name.to_owned(), details))
    };
    let numbered = text.lines().enumerate();
    let read = numbered.map(|(index, line)| {
        read(line).ok_or_else(|| ObserveError {
            command: "zfs list -H -p -t all -o name,volsize,lab:image,mountpoint",
            line: index + 1,
            text: line.to_owned(),
            cause: "not four columns, or no number where one has to be",
        })
    });
    read.collect()
}

pub(super) async fn routes(ask: Asker<'_>) -> Result<Vec<HostRoute>, AskError> {
    let text = ask.text("its routes", &["netstat", "-rnW"]).await?;
    ask.read("its routes", parse_routes(&text))
}

async fn resolvers(ask: Asker<'_>) -> Result<Vec<IpAddr>, AskError> {
    let text = ask.file("its name servers", "/etc/resolv.conf").await?;
    Ok(parse_resolvers(&text.unwrap_or_default()))
}

/// The rules of the main ruleset; `None` if pf is not there or switched off (pfctl(8)).
async fn rules(ask: Asker<'_>) -> Result<Option<Vec<String>>, AskError> {
    let off = ["/dev/pf: No such file or directory", "pf not enabled"];
    let info = ask
        .text_unless("whether pf is on", &["pfctl", "-s", "info"], &off)
        .await?;
    if !info.is_some_and(|info| info.contains("Status: Enabled")) {
        return Ok(None);
    }
    let nat = ask
        .text("pf's translations", &["pfctl", "-s", "nat"])
        .await?;
    let filter = ask.text("pf's rules", &["pfctl", "-s", "rules"]).await?;
    Ok(Some(lines(&(nat + &filter))))
}

fn parse_clock(text: &str) -> Result<u64, ObserveError> {
    text.trim().parse().map_err(|_| ObserveError {
        command: "date -u +%s",
        line: 1,
        text: text.trim().to_owned(),
        cause: "no number of seconds",
    })
}

fn lines(text: &str) -> Vec<String> {
    text.lines().map(str::to_owned).collect()
}
