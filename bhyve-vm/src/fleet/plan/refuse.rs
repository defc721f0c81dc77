//! What stands against a plan: asked before the first step.

use super::host::sets;
use crate::doctor::{Needs, Severity, Subject, examine};
use crate::fleet::FleetError;
use crate::fleet::model::{Fleet, HostEffect, VmDefinition};
use crate::fleet::observe::{FleetObserved, definitions};
use crate::fleet::survey::HostSurvey;
use crate::image::READY_SNAPSHOT;
use crate::{DeviceTree, HostFinding, InvalidValue, KeyError, VmName};
use ipnet::IpNet;
use std::{collections::BTreeSet, net::IpAddr};

/// A fleet that cannot be made on this host. Nothing was changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FleetPlanError {
    /// It contradicts itself.
    #[error(transparent)]
    Fleet(#[from] FleetError),
    /// Something with a name of ours is somebody else's.
    #[error(transparent)]
    NotOurs(#[from] NotOurs),
    /// The host is not fit for it.
    #[error("the host is not fit for this lab:{}", list(.findings))]
    Unfit {
        /// Why: errors only.
        findings: Vec<HostFinding>,
    },
    /// There is no room for what has to be written at once.
    #[error(
        "pool {pool} has {available} bytes free, and image, files and volumes take {needed} at once; \
         zfs list -o space shows what can go"
    )]
    PoolFull {
        /// The pool.
        pool: String,
        /// What is free, in bytes.
        available: u64,
        /// What is written before the first guest runs, in bytes.
        needed: u64,
    },
    /// The host's release lacks a key of a VM.
    #[error("{vm} cannot run under this release of FreeBSD")]
    Release {
        /// The VM.
        vm: VmName,
        /// The key.
        source: KeyError,
    },
    /// The dataset is mounted elsewhere.
    #[error(
        "dataset {dataset} is mounted at {found}, not at {wanted}; zfs set mountpoint={wanted} {dataset}, or name the other directory"
    )]
    MountPoint {
        /// The dataset.
        dataset: String,
        /// Where it is mounted.
        found: String,
        /// Where the fleet has it.
        wanted: String,
    },
    /// A kernel setting that the host does not have.
    #[error(
        "the host has no setting {name}, which the network needs; load the module that brings it"
    )]
    NoSetting {
        /// Its name.
        name: String,
    },
    /// Two processes run one VM.
    #[error("{vm} is run by several processes ({}), which destroys its disks; kill all of them, then check the disks", numbers(.processes))]
    RunsTwice {
        /// The VM.
        vm: VmName,
        /// Their numbers.
        processes: Vec<u32>,
    },
}

fn list(findings: &[HostFinding]) -> String {
    findings
        .iter()
        .map(|finding| format!("\n  {finding}"))
        .collect()
}

fn numbers(processes: &[u32]) -> String {
    let numbers: Vec<_> = processes.iter().map(ToString::to_string).collect();
    numbers.join(", ")
}

/// Something with a name of ours that carries another mark, or none: nothing of it is touched.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{kind} {name} is not marked as {expected:?} but {found}; remove or rename it by hand, or take another name"
)]
pub struct NotOurs {
    /// `interface`, `dataset`, `volume`, `image` or `VM`.
    pub kind: &'static str,
    /// Its name.
    pub name: String,
    /// The mark that ours would carry.
    pub expected: String,
    /// What it carries.
    pub found: String,
}

/// Refuses what must not be begun, and gives what is good to know.
pub(super) fn refuse(
    fleet: &Fleet,
    found: &FleetObserved,
) -> Result<Vec<HostFinding>, FleetPlanError> {
    refuse_release(fleet, found)?;
    let Some(survey) = &found.survey else {
        return Ok(Vec::new());
    };
    let notes = refuse_unfit(fleet, survey)?;
    refuse_settings(fleet, found)?;
    refuse_places(fleet, survey)?;
    for vm in definitions(fleet) {
        refuse_vm(&vm, fleet, survey, found)?;
    }
    refuse_interfaces(fleet, survey)?;
    refuse_full_pool(fleet, survey, found)?;
    Ok(notes)
}

fn refuse_release(fleet: &Fleet, found: &FleetObserved) -> Result<(), FleetPlanError> {
    for vm in &fleet.vms {
        let name = || vm.spec.name.clone();
        let tree = DeviceTree::new(&vm.spec);
        let tree = tree.map_err(|source| FleetError::Spec { vm: name(), source })?;
        let supported = tree.supports(found.release(fleet));
        supported.map_err(|source| FleetPlanError::Release { vm: name(), source })?;
    }
    Ok(())
}

/// What is loaded or set by the plan itself is no finding of it; names that are taken have an error of their own.
fn refuse_unfit(fleet: &Fleet, survey: &HostSurvey) -> Result<Vec<HostFinding>, FleetPlanError> {
    let mut findings = examine(&survey.facts(fleet.dataset.as_str()), &needs(fleet));
    let vmm = survey.has_module("vmm");
    findings.retain(|finding| match finding.subject {
        Subject::Module | Subject::Interface => false,
        // Its settings come with the module.
        Subject::Processor => vmm || finding.severity == Severity::Warning,
        Subject::Forwarding => !forwarding_is_set(fleet, finding),
        _ => true,
    });
    let stands_against = |finding: &HostFinding| {
        let known_risk = [Subject::Advisory, Subject::Forwarding].contains(&finding.subject);
        finding.severity == Severity::Error && !known_risk
    };
    let (against, notes): (Vec<_>, Vec<_>) = findings.into_iter().partition(stands_against);
    if against.is_empty() {
        Ok(notes)
    } else {
        Err(FleetPlanError::Unfit { findings: against })
    }
}

fn forwarding_is_set(fleet: &Fleet, finding: &HostFinding) -> bool {
    let name = finding.evidence.split(':').next().unwrap_or_default();
    // A host without any network of ours routes nothing for us.
    fleet.network.is_empty() || sets(fleet, name)
}

/// What a fleet needs of its host, for [`examine`]. The time is the caller's to add.
pub fn needs(fleet: &Fleet) -> Needs {
    let specs = || fleet.vms.iter().map(|vm| &vm.spec);
    let bridges = fleet.bridges().map(ToString::to_string);
    let taps = specs().flat_map(|spec| &spec.nics);
    let taps = taps.map(|nic| nic.tap.to_string());
    let firmware = specs().map(|spec| &spec.firmware);
    let firmware = firmware.flat_map(|files| [&files.code, &files.vars_template]);
    let firmware: BTreeSet<_> = firmware.map(ToString::to_string).collect();
    let disks = fleet.vms.iter();
    let memory = specs().map(|spec| u64::from(spec.memory_mib.get()));
    let cpus = specs().map(|spec| u64::from(spec.cpus.cpus()));
    let anchor = fleet.firewall.as_ref();
    Needs {
        firmware: firmware.into_iter().collect(),
        memory_mib: memory.sum(),
        cpus: cpus.max().unwrap_or(0),
        disk_bytes: disks
            .map(|vm| u64::from(vm.root.size_mib.get()) << 20)
            .sum(),
        interfaces: bridges.chain(taps).collect(),
        anchor_lines: anchor.map_or_else(Vec::new, |anchor| anchor.lines.clone()),
        networks: networks(fleet),
        now_s: None,
    }
}

/// The networks of the lab's own; every interface has the link-local one.
fn networks(fleet: &Fleet) -> Vec<IpNet> {
    let nets = fleet
        .network
        .iter()
        .filter_map(|change| match &change.effect {
            HostEffect::Address { address, .. } => Some(address.trunc()),
            HostEffect::Route { to, .. } => Some(*to),
            _ => None,
        });
    let link_local = |net: &IpNet| match net.addr() {
        IpAddr::V4(address) => address.is_link_local(),
        IpAddr::V6(address) => address.is_unicast_link_local(),
    };
    nets.filter(|net| !link_local(net)).collect()
}

impl Fleet {
    /// The interfaces that its network makes.
    pub(crate) fn bridges(&self) -> impl Iterator<Item = &crate::BridgeName> {
        self.network
            .iter()
            .filter_map(|change| match &change.effect {
                HostEffect::Interface(name) => Some(name),
                _ => None,
            })
    }
}

fn refuse_settings(fleet: &Fleet, found: &FleetObserved) -> Result<(), FleetPlanError> {
    let mut names = crate::fleet::lab_file::setting_names(&fleet.network);
    match names.find(|name| !found.settings.contains_key(*name)) {
        // Some come with a module that the plan loads.
        Some(name) if !name.starts_with("net.link.bridge.") => Err(FleetPlanError::NoSetting {
            name: name.to_owned(),
        }),
        _ => Ok(()),
    }
}

fn refuse_places(fleet: &Fleet, survey: &HostSurvey) -> Result<(), FleetPlanError> {
    let dataset = fleet.dataset.as_str();
    let mounted = survey.details.get(dataset);
    let mounted = mounted.and_then(|details| details.mount_point.as_deref());
    if let Some(found) = mounted.filter(|found| *found != fleet.directory.as_str()) {
        return Err(FleetPlanError::MountPoint {
            dataset: dataset.to_owned(),
            found: found.to_owned(),
            wanted: fleet.directory.to_string(),
        });
    }
    let lab = fleet.lab_dataset().map_err(FleetError::Name)?;
    if let Some(found) = survey.dataset(lab.as_str()) {
        check(
            "dataset",
            lab.as_str(),
            fleet.lab.to_string(),
            found.owner.as_deref(),
        )?;
    }
    let base = &fleet.base.volume;
    if survey.dataset(base.dataset().as_str()).is_some() {
        let details = survey.details.get(base.dataset().as_str());
        let image = details.and_then(|details| details.image.as_deref());
        check(
            "image",
            base.dataset().as_str(),
            base.digest().to_string(),
            image,
        )?;
    }
    Ok(())
}

fn refuse_vm(
    vm: &VmDefinition,
    fleet: &Fleet,
    survey: &HostSurvey,
    found: &FleetObserved,
) -> Result<(), FleetPlanError> {
    let volume = vm.root.dataset.as_str();
    let owner = survey.dataset(volume).map(|found| found.owner.as_deref());
    if let Some(owner) = owner {
        check("volume", volume, vm.owner(), owner)?;
    }
    for nic in &vm.spec.nics {
        if let Some(tap) = survey.interface(nic.tap.as_str()) {
            check(
                "interface",
                &tap.name,
                vm.interface_mark(),
                tap.description.as_deref(),
            )?;
        }
    }
    let Some(facts) = found.vms.get(vm.name()).map(|found| &found.facts) else {
        return Ok(());
    };
    if facts.running.len() > 1 {
        return Err(FleetPlanError::RunsTwice {
            vm: vm.name().clone(),
            processes: facts.running.clone(),
        });
    }
    let theirs = other_lab(vm, fleet, found);
    let runs = facts.node || !facts.running.is_empty();
    let ours = facts.defined || owner.is_some();
    match theirs {
        Some(lab) => Err(not_ours_vm(vm, format!("by lab {lab}")).into()),
        None if runs && !ours => Err(not_ours_vm(vm, "with nothing of ours".to_owned()).into()),
        None => Ok(()),
    }
}

fn not_ours_vm(vm: &VmDefinition, found: String) -> NotOurs {
    NotOurs {
        kind: "VM",
        name: vm.name().to_string(),
        expected: vm.owner(),
        found,
    }
}

/// Another lab of the directory with a VM of this name: bhyve's names are the host's.
fn other_lab(vm: &VmDefinition, fleet: &Fleet, found: &FleetObserved) -> Option<String> {
    let end = format!("/{}/spec.json", vm.name());
    let labs = found.paths.iter().filter_map(|path| {
        let lab = path
            .strip_prefix(fleet.directory.as_str())?
            .strip_suffix(&end)?;
        lab.strip_prefix('/')
    });
    let mut others = labs.filter(|lab| *lab != fleet.lab.as_str() && !lab.contains('/'));
    others.next().map(str::to_owned)
}

fn refuse_interfaces(fleet: &Fleet, survey: &HostSurvey) -> Result<(), NotOurs> {
    for bridge in fleet.bridges() {
        if let Some(found) = survey.interface(bridge.as_str()) {
            let mark = fleet.lab.interface_mark();
            check(
                "interface",
                bridge.as_str(),
                mark,
                found.description.as_deref(),
            )?;
        }
    }
    Ok(())
}

pub(in crate::fleet) fn check(
    kind: &'static str,
    name: &str,
    expected: String,
    found: Option<&str>,
) -> Result<(), NotOurs> {
    if found == Some(expected.as_str()) {
        return Ok(());
    }
    Err(NotOurs {
        kind,
        name: name.to_owned(),
        expected,
        found: found.map_or_else(|| "with nothing".to_owned(), |mark| format!("as {mark:?}")),
    })
}

/// Volumes are sparse, so only what is written before the guests run is counted: files that are missing, and the
/// image, which is there twice until it is a volume.
fn refuse_full_pool(
    fleet: &Fleet,
    survey: &HostSurvey,
    found: &FleetObserved,
) -> Result<(), FleetPlanError> {
    let missing = fleet.shared.iter().filter(|file| {
        let path = file.path(&fleet.directory).ok();
        path.is_none_or(|path| !found.checksums.contains_key(path.as_str()))
    });
    let mut needed: u64 = missing.map(|file| file.bytes).sum();
    let ready = format!("{}@{READY_SNAPSHOT}", fleet.base.volume.dataset());
    if survey.dataset(&ready).is_none() {
        needed += 2 * fleet.base.raw_bytes;
    }
    let available = survey.available(fleet.dataset.as_str());
    if needed <= available {
        return Ok(());
    }
    let pool = fleet.dataset.as_str().split('/').next().unwrap_or_default();
    Err(FleetPlanError::PoolFull {
        pool: pool.to_owned(),
        available,
        needed,
    })
}

impl From<InvalidValue> for FleetPlanError {
    fn from(error: InvalidValue) -> Self {
        Self::Fleet(error.into())
    }
}
