//! The steps that concern the host as a whole.

use super::refuse::FleetPlanError;
use super::vm::write;
use crate::fleet::FleetError;
use crate::fleet::lab_file::{LabFile, setting_names, unnamed};
use crate::fleet::model::{Anchor, Fleet, HostChange, HostEffect};
use crate::fleet::observe::FleetObserved;
use crate::fleet::survey::HostSurvey;
use crate::image::{HOLD_TAG, READY_SNAPSHOT};
use crate::plan::{OWNER_PROPERTY, command, run, step};
use crate::{Action, Interface, InvalidValue, Step};
use host_exec::{Command, File, Mode, Stdin};
use std::collections::BTreeSet;

const MODULES: [&str; 4] = ["vmm", "nmdm", "if_tuntap", "if_bridge"];

/// Whether the processor can do it shows only once the module is there.
const VIRTUALIZES: &str = "[ \"$(sysctl -n -i hw.vmm.vmx.initialized)\" = 1 ] || \
    [ -n \"$(sysctl -n -i hw.vmm.svm.features)\" ] || \
    { echo 'the processor does not offer virtualization: switch VT-x or SVM on in its firmware' >&2; exit 1; }";

pub(super) fn steps(fleet: &Fleet, found: &FleetObserved) -> Result<Vec<Step>, FleetPlanError> {
    let mut steps = modules(found);
    let (stale, gone) = stale_routes(fleet, found);
    steps.extend(datasets(fleet, found)?);
    steps.extend(lab_file(
        "note what is done to the host",
        fleet,
        found,
        &gone,
    )?);
    steps.extend(shared_files(fleet, found)?);
    steps.extend(base(fleet, found)?);
    if let Some(anchor) = &fleet.firewall {
        steps.extend(firewall(fleet, anchor, found)?);
    }
    steps.extend(network(fleet, found));
    if !stale.is_empty() {
        // It is noted until it has gone: a run that is cut off between leaves what the next one goes on with.
        steps.extend(stale.iter().filter_map(take_back));
        let gone = [stale, gone].concat();
        steps.extend(lab_file("note what is taken back", fleet, found, &gone)?);
    }
    Ok(steps)
}

/// The routes to machines that the lab has no more, by what was noted when they were made: those that are there, and
/// those that are not. Everything else that is noted and named no more waits until the lab is destroyed.
fn stale_routes(fleet: &Fleet, found: &FleetObserved) -> (Vec<HostChange>, Vec<HostChange>) {
    let routes = unnamed(fleet, &found.labs).filter(|change| {
        matches!(change.effect, HostEffect::Route { .. }) && change.undo.is_some()
    });
    routes
        .cloned()
        .partition(|change| in_effect(&change.effect, found))
}

fn take_back(change: &HostChange) -> Option<Step> {
    let words = change.undo.as_ref()?;
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    Some(run(format!("take back: {}", change.what), &words))
}

fn modules(found: &FleetObserved) -> Vec<Step> {
    let there = |name: &str| found.survey.as_ref().is_some_and(|s| s.has_module(name));
    let missing: Vec<&str> = MODULES.into_iter().filter(|name| !there(name)).collect();
    if missing.is_empty() {
        return Vec::new();
    }
    let load = [&["kldload", "-n"], &missing[..]].concat();
    let mut steps = vec![run("load the kernel modules", &load)];
    if missing.contains(&"vmm") {
        let question = ["sh", "-c", VIRTUALIZES];
        steps.push(run("make sure that the processor virtualizes", &question));
    }
    steps
}

fn datasets(fleet: &Fleet, found: &FleetObserved) -> Result<Vec<Step>, FleetError> {
    let there = |name: &str| {
        found
            .survey
            .as_ref()
            .is_some_and(|s| s.dataset(name).is_some())
    };
    let (dataset, lab) = (fleet.dataset.as_str(), fleet.lab_dataset()?);
    let mut steps = Vec::new();
    if !there(dataset) {
        let mount = format!("mountpoint={}", fleet.directory);
        let create = ["zfs", "create", "-p", "-o", &mount, dataset];
        steps.push(run(format!("make the place of labs {dataset}"), &create));
    }
    if !there(lab.as_str()) {
        let owner = format!("{OWNER_PROPERTY}={}", fleet.lab);
        let create = ["zfs", "create", "-o", &owner, lab.as_str()];
        let undo = ["zfs", "destroy", lab.as_str()];
        steps.push(run(format!("make the place of this lab {lab}"), &create).undone_by(&undo));
    }
    Ok(steps)
}

fn lab_file(
    what: &str,
    fleet: &Fleet,
    found: &FleetObserved,
    gone: &[HostChange],
) -> Result<Option<Step>, FleetError> {
    let file = LabFile::new(fleet, &found.settings, &found.labs, gone);
    let path = format!("{}/lab.json", fleet.lab_directory()?);
    let file = File::public(path, file.text()).with_mode(Mode::SECRET);
    Ok(write(what, file, found))
}

fn shared_files(fleet: &Fleet, found: &FleetObserved) -> Result<Vec<Step>, FleetError> {
    let mut steps = Vec::new();
    for file in &fleet.shared {
        let path = file.path(&fleet.directory)?;
        // It has this name only after its checksum was compared, and nobody may write it: to read some hundred MiB
        // at every run would cost seconds.
        if !found.paths.contains(path.as_str()) {
            let upload = Action::Upload {
                sha256: file.sha256.clone(),
                bytes: file.bytes,
                to: path,
                mode: Mode::new(0o400),
            };
            steps.push(step("send a file for several VMs", upload));
        }
    }
    Ok(steps)
}

fn base(fleet: &Fleet, found: &FleetObserved) -> Result<Vec<Step>, FleetError> {
    let (base, raw) = (&fleet.base, fleet.raw_path()?);
    let snapshot = format!("{}@{READY_SNAPSHOT}", base.volume.dataset());
    let survey = found.survey.as_ref();
    let details = |name: &str| survey.and_then(|survey| survey.details.get(name));
    let mut steps = Vec::new();
    if details(&snapshot).is_some() {
        if !found.image_held {
            let hold = ["zfs", "hold", HOLD_TAG, &snapshot];
            steps.push(run("keep the image from being destroyed", &hold));
        }
        if found.paths.contains(raw.as_str()) {
            let remove = ["rm", "-f", "--", raw.as_str()];
            steps.push(run("remove the raw file of the image", &remove));
        }
        return Ok(steps);
    }
    if details(base.volume.dataset().as_str()).is_some() {
        steps.extend(base.volume.remove_steps());
    }
    let upload = Action::Upload {
        sha256: base.raw_sha256.clone(),
        bytes: base.raw_bytes,
        to: raw.clone(),
        mode: Mode::SECRET,
    };
    steps.push(step("send the image", upload));
    steps.extend(base.volume.create_steps(&raw));
    Ok(steps)
}

/// Loaded first and noted afterwards: what is noted was loaded once, and whether it still is, is asked of pf.
fn firewall(
    fleet: &Fleet,
    anchor: &Anchor,
    found: &FleetObserved,
) -> Result<Vec<Step>, InvalidValue> {
    let path = format!("{}/anchor.rules", fleet.lab_directory()?);
    let note = File::public(path, anchor.rules.clone()).with_mode(Mode::SECRET);
    let note = write("note the rules that are loaded", note, found);
    if note.is_none() && found.anchor_loaded {
        return Ok(Vec::new());
    }
    let name = anchor.name.as_str();
    let pfctl = |words: &[&str]| {
        let rules = Stdin::Bytes(anchor.rules.clone().into_bytes());
        Action::Run(command(words).stdin(rules))
    };
    let check = pfctl(&["pfctl", "-n", "-a", name, "-f", "-"]);
    let load = pfctl(&["pfctl", "-a", name, "-f", "-"]);
    let mut steps = vec![
        step("check the firewall rules", check),
        Step {
            what: "load the firewall rules".to_owned(),
            action: load,
            undo: Some(command(&["pfctl", "-a", name, "-F", "all"])),
        },
    ];
    steps.extend(note);
    Ok(steps)
}

fn network(fleet: &Fleet, found: &FleetObserved) -> Vec<Step> {
    let mut steps = Vec::new();
    let mut touched = BTreeSet::new();
    for change in &fleet.network {
        let there = match &change.effect {
            HostEffect::Properties(name) => !touched.contains(name) && has_options(change, found),
            effect => in_effect(effect, found),
        };
        if there {
            continue;
        }
        touched.extend(change.effect.interface());
        steps.push(host_step(fleet, change));
    }
    steps
}

fn host_step(fleet: &Fleet, change: &HostChange) -> Step {
    let mut argv = change.argv.clone();
    if let HostEffect::Interface(_) = change.effect {
        argv.extend(["description".to_owned(), fleet.lab.interface_mark()]);
    }
    let command = |argv: &[String]| -> Command {
        let words: Vec<&str> = argv.iter().map(String::as_str).collect();
        command(&words)
    };
    Step {
        what: change.what.clone(),
        action: Action::Run(command(&argv)),
        undo: change.undo.as_deref().map(command),
    }
}

fn in_effect(effect: &HostEffect, found: &FleetObserved) -> bool {
    let Some(survey) = &found.survey else {
        return false;
    };
    in_effect_on(effect, survey, found)
}

fn in_effect_on(effect: &HostEffect, survey: &HostSurvey, found: &FleetObserved) -> bool {
    let interface = |name: &crate::BridgeName| survey.interface(name.as_str());
    match effect {
        HostEffect::Interface(name) => interface(name).is_some(),
        HostEffect::Up(name) => interface(name).is_some_and(|interface| interface.up),
        HostEffect::Address {
            interface: name,
            address,
        } => interface(name).is_some_and(|interface| interface.nets.contains(address)),
        HostEffect::Route { to, via } => {
            let mut routes = survey.routes.iter();
            routes.any(|route| route.to == *to && route.via == Some(*via))
        }
        HostEffect::Setting { name, value } => found.settings.get(name) == Some(value),
        HostEffect::Properties(_) => false,
    }
}

/// Options of neighbour discovery are seen in the output of ifconfig(8); of others nothing is known.
fn has_options(change: &HostChange, found: &FleetObserved) -> bool {
    let survey = found.survey.as_ref();
    let interface = change.effect.interface();
    let interface = interface.and_then(|name| survey?.interface(name.as_str()));
    let Some(Interface { nd6: Some(nd6), .. }) = interface else {
        return false;
    };
    let words = change.argv.iter().skip(2).filter(|word| *word != "inet6");
    words.map(|word| word.as_str()).all(|word| {
        let (wanted, name) = match word.strip_prefix('-') {
            Some(name) => (false, name),
            None => (true, word),
        };
        nd6.contains(&name.to_ascii_uppercase()) == wanted
    })
}

/// Whether the fleet sets a setting itself.
pub(super) fn sets(fleet: &Fleet, name: &str) -> bool {
    setting_names(&fleet.network).any(|set| set == name)
}
