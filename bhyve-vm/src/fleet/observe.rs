//! What of a fleet is on the host already.

use super::ask::{AskError, AskErrorKind, Asker};
use super::lab_file::{LabFile, setting_names};
use super::model::{Anchor, Fleet, VmDefinition};
use super::survey::{HostSurvey, Population, SurveyError, survey_with};
use crate::image::READY_SNAPSHOT;
use crate::{
    Facts, HostPath, Observed, Parts, Release, VmName, parse_events, parse_sysctls, read_console,
};
use futures::{StreamExt, TryStreamExt, stream, try_join};
use host_exec::Host;
use std::collections::{BTreeMap, BTreeSet};

/// How many VMs are asked about, or steps done, side by side: sshd(8) takes ten sessions of one connection (`MaxSessions`),
/// of which `SshHost` uses eight at most, whatever it is asked at once.
pub(super) const SIDE_BY_SIDE: usize = 4;

/// What was found of a fleet and around it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FleetObserved {
    /// The host itself; none for a plan that is made without one.
    pub survey: Option<HostSurvey>,
    /// Files and directories below the fleet's directory, three levels deep.
    pub paths: BTreeSet<String>,
    /// SHA-256 checksums of those that a plan writes.
    pub checksums: BTreeMap<String, String>,
    /// The values of the settings that the fleet changes.
    pub settings: BTreeMap<String, String>,
    /// `lab.json` of every lab of the directory.
    pub labs: Vec<LabFile>,
    /// Whether the lab's anchor holds rules.
    pub anchor_loaded: bool,
    /// Whether the image's snapshot is held, so that nobody destroys it by mistake.
    pub image_held: bool,
    /// The VMs.
    pub vms: BTreeMap<VmName, VmFound>,
}

/// What was found of one VM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VmFound {
    /// What was found.
    pub facts: Facts,
    /// What follows from it.
    pub observed: Observed,
}

impl FleetObserved {
    /// A host of which nothing is known and on which nothing is taken to be: for a plan without a host.
    pub fn without_host() -> Self {
        Self {
            survey: None,
            paths: BTreeSet::new(),
            checksums: BTreeMap::new(),
            settings: BTreeMap::new(),
            labs: Vec::new(),
            anchor_loaded: false,
            image_held: false,
            vms: BTreeMap::new(),
        }
    }

    /// The release of the host, or the one that the fleet was made for.
    pub(super) fn release(&self, fleet: &Fleet) -> Release {
        let survey = self.survey.as_ref();
        survey.map_or(fleet.release, HostSurvey::release)
    }
}

/// Asks a host what of a fleet it has. Changes nothing.
///
/// # Errors
///
/// As [`survey`](super::survey), and a file of ours that cannot be read.
pub async fn observe(host: &dyn Host, fleet: &Fleet) -> Result<FleetObserved, SurveyError> {
    let firmware = fleet.vms.iter().flat_map(|vm| {
        let firmware = &vm.spec.firmware;
        [firmware.code.as_str(), firmware.vars_template.as_str()]
    });
    let firmware: BTreeSet<&str> = firmware.collect();
    let firmware: Vec<&str> = firmware.into_iter().collect();
    let survey = survey_with(host, &firmware).await?;
    let ask = Asker { host };
    let paths = paths(ask, &fleet.directory).await?;
    let seen = Seen {
        population: &survey.population,
        paths: &paths,
    };
    let vms = definitions(fleet);
    let vms = stream::iter(vms.iter().map(|vm| seen.vm(ask, vm)));
    let vms = vms.buffered(SIDE_BY_SIDE).try_collect();
    let anchor_loaded = async {
        match &fleet.firewall {
            Some(anchor) => anchor_loaded(ask, anchor).await,
            None => Ok(false),
        }
    };
    let (vms, checksums, settings, labs, anchor_loaded, image_held) = try_join!(
        vms,
        checksums(ask, fleet, &paths),
        settings(ask, fleet),
        labs(ask, &fleet.directory, &paths),
        anchor_loaded,
        image_held(ask, fleet),
    )?;
    Ok(FleetObserved {
        checksums,
        settings,
        labs,
        anchor_loaded,
        image_held,
        vms,
        survey: Some(survey),
        paths,
    })
}

/// The definitions of all VMs whose paths are not too long; a fleet with others fails its check.
pub(super) fn definitions(fleet: &Fleet) -> Vec<VmDefinition> {
    let all = fleet.vms.iter();
    all.filter_map(|vm| fleet.definition(vm).ok()).collect()
}

/// What lies below a directory, three levels deep; nothing if it is not there.
pub(super) async fn paths(
    ask: Asker<'_>,
    directory: &HostPath,
) -> Result<BTreeSet<String>, AskError> {
    let words = [
        "find",
        directory.as_str(),
        "-mindepth",
        "1",
        "-maxdepth",
        "3",
    ];
    let absent = ["No such file or directory"];
    let text = ask.text_unless("its files", &words, &absent).await?;
    let text = text.unwrap_or_default();
    Ok(text.lines().map(str::to_owned).collect())
}

async fn checksums(
    ask: Asker<'_>,
    fleet: &Fleet,
    paths: &BTreeSet<String>,
) -> Result<BTreeMap<String, String>, AskError> {
    let mut words = vec!["sha256".to_owned()];
    words.extend(
        written(fleet)
            .into_iter()
            .filter(|path| paths.contains(path)),
    );
    if words.len() == 1 {
        return Ok(BTreeMap::new());
    }
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let text = ask.text("checksums of its files", &words).await?;
    // SHA256 (PATH) = DIGEST, sha256(1)
    let read = |line: &str| {
        let (path, digest) = line.strip_prefix("SHA256 (")?.split_once(") = ")?;
        Some((path.to_owned(), digest.to_owned()))
    };
    Ok(text.lines().filter_map(read).collect())
}

/// The files whose contents are known beforehand.
fn written(fleet: &Fleet) -> Vec<String> {
    let lab = format!("{}/{}", fleet.directory, fleet.lab);
    let own = ["lab.json", "anchor.rules"].into_iter();
    let mut written: Vec<String> = own.map(|name| format!("{lab}/{name}")).collect();
    for vm in definitions(fleet) {
        let files = ["spec.json", "seed.img", "supervise", "record"];
        written.extend(files.map(|name| vm.file(name)));
    }
    written
}

async fn settings(ask: Asker<'_>, fleet: &Fleet) -> Result<BTreeMap<String, String>, AskError> {
    let mut words = vec!["sysctl", "-i"];
    words.extend(setting_names(&fleet.network));
    if words.len() == 2 {
        return Ok(BTreeMap::new());
    }
    let text = ask.text("its settings", &words).await?;
    ask.read("its settings", parse_sysctls(&text))
}

/// The files of all labs below the directory.
pub(super) async fn labs(
    ask: Asker<'_>,
    directory: &HostPath,
    paths: &BTreeSet<String>,
) -> Result<Vec<LabFile>, AskError> {
    let mut labs = Vec::new();
    for path in paths.iter().filter(|path| is_file_of_lab(directory, path)) {
        if let Some(text) = ask.file("what a lab did", path).await? {
            labs.push(parse(ask, path, &text)?);
        }
    }
    Ok(labs)
}

/// Reads a file of ours.
pub(super) fn parse<T: serde::de::DeserializeOwned>(
    ask: Asker<'_>,
    path: &str,
    text: &str,
) -> Result<T, AskError> {
    serde_json::from_str(text).map_err(|error| {
        ask.error(
            "what was written here before",
            AskErrorKind::Definition {
                path: path.to_owned(),
                problem: error.to_string(),
            },
        )
    })
}

fn is_file_of_lab(directory: &HostPath, path: &str) -> bool {
    let below = path.strip_prefix(directory.as_str());
    let below = below.and_then(|below| below.strip_prefix('/'));
    below.is_some_and(|below| below.ends_with("/lab.json") && below.matches('/').count() == 1)
}

/// `NAME TAG TIME` for each hold (zfs-hold(8)).
async fn image_held(ask: Asker<'_>, fleet: &Fleet) -> Result<bool, AskError> {
    let snapshot = format!("{}@{READY_SNAPSHOT}", fleet.base.volume.dataset());
    let words = ["zfs", "holds", "-H", &snapshot];
    let held = ask.text_unless("holds of the image", &words, &["does not exist"]);
    Ok(held.await?.is_some_and(|holds| !holds.trim().is_empty()))
}

pub(super) async fn anchor_loaded(ask: Asker<'_>, anchor: &Anchor) -> Result<bool, AskError> {
    let absent = [
        "/dev/pf: No such file or directory",
        "DIOCGETRULES: Invalid argument",
        "Anchor does not exist",
        "Anchor or Ruleset does not exist",
        "DIOCGETRULES: Invalid argument",
        "pf not enabled",
    ];
    for kind in ["rules", "nat"] {
        let words = ["pfctl", "-a", anchor.name.as_str(), "-s", kind];
        let text = ask.text_unless("the lab's rules", &words, &absent).await?;
        if text.is_some_and(|text| !text.trim().is_empty()) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// What one look at the host has shown.
#[derive(Debug, Clone, Copy)]
pub(super) struct Seen<'a> {
    pub(super) population: &'a Population,
    pub(super) paths: &'a BTreeSet<String>,
}

impl Seen<'_> {
    pub(super) async fn vm(
        self,
        ask: Asker<'_>,
        vm: &VmDefinition,
    ) -> Result<(VmName, VmFound), AskError> {
        let running = self.population.running(vm.name().as_str());
        let volume = self.population.dataset(vm.root.dataset.as_str());
        let facts = Facts {
            defined: self.has(vm, "spec.json"),
            parts: self.parts(vm),
            node: self
                .population
                .nodes
                .iter()
                .any(|node| node == vm.name().as_str()),
            running: running.map(|process| process.pid).collect(),
            pid_file: self.pid_file(ask, vm).await?,
            supervised: self.supervised(vm),
            events: self.events(ask, vm).await?,
            console: match self.tail(ask, vm, "console").await? {
                text if text.is_empty() => None,
                text => Some(read_console(text.as_bytes())),
            },
            owner: volume.and_then(|volume| volume.owner.clone()),
        };
        let observed = crate::observe(&vm.owner(), Some(&facts));
        Ok((vm.name().clone(), VmFound { facts, observed }))
    }

    pub(super) fn has(self, vm: &VmDefinition, name: &str) -> bool {
        self.paths.contains(&vm.file(name))
    }

    fn parts(self, vm: &VmDefinition) -> Parts {
        let volume = self.population.dataset(vm.root.dataset.as_str()).is_some();
        let mut parts = vec![volume, self.has(vm, "vars.fd"), self.has(vm, "supervise")];
        if vm.spec.seed.is_some() {
            parts.push(self.has(vm, "seed.img"));
        }
        for nic in &vm.spec.nics {
            parts.push(self.population.interface(nic.tap.as_str()).is_some());
        }
        if parts.iter().all(|there| *there) {
            Parts::All
        } else if parts.contains(&true) {
            Parts::Some
        } else {
            Parts::None
        }
    }

    /// The supervisor is the shell whose last argument is its script; `supervise run` waits for one run only.
    fn supervised(self, vm: &VmDefinition) -> bool {
        let script = vm.file("supervise");
        let mut processes = self.population.processes.iter();
        processes.any(|process| {
            let title = process.title.trim_end_matches(" (sh)");
            title
                .strip_suffix(script.as_str())
                .is_some_and(|before| before.ends_with("sh "))
        })
    }

    async fn pid_file(self, ask: Asker<'_>, vm: &VmDefinition) -> Result<Option<u32>, AskError> {
        if !self.has(vm, "bhyve.pid") {
            return Ok(None);
        }
        let text = ask
            .file("which process a VM is", &vm.file("bhyve.pid"))
            .await?;
        Ok(text.and_then(|text| text.trim().parse().ok()))
    }

    async fn events(
        self,
        ask: Asker<'_>,
        vm: &VmDefinition,
    ) -> Result<Vec<crate::Event>, AskError> {
        let text = self.tail(ask, vm, "events").await?;
        events_of_tail(ask, vm, &text)
    }

    /// The end of a file of a VM; empty without it.
    pub(super) async fn tail(
        self,
        ask: Asker<'_>,
        vm: &VmDefinition,
        name: &str,
    ) -> Result<String, AskError> {
        if !self.has(vm, name) {
            return Ok(String::new());
        }
        tail(ask, &vm.file(name)).await
    }
}

/// The last 64 KiB of a file; empty without it.
pub(super) async fn tail(ask: Asker<'_>, path: &str) -> Result<String, AskError> {
    let words = ["tail", "-c", "65536", path];
    let absent = ["No such file or directory"];
    let text = ask.text_unless("the end of a log", &words, &absent).await?;
    Ok(text.unwrap_or_default())
}

/// The events in the end of a log, whose first line may be cut.
pub(super) fn events_of_tail(
    ask: Asker<'_>,
    vm: &VmDefinition,
    text: &str,
) -> Result<Vec<crate::Event>, AskError> {
    let cut = text.len() >= 65536;
    let whole = match text.split_once('\n') {
        Some((_, rest)) if cut => rest,
        _ => text,
    };
    let log = parse_events(whole).map_err(|error| {
        ask.error(
            "what happened to a VM",
            AskErrorKind::Definition {
                path: vm.file("events"),
                problem: error.to_string(),
            },
        )
    })?;
    Ok(log.events)
}
