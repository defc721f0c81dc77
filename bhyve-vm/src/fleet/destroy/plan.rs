//! From what was found of a lab to the steps that remove it. Pure.

use super::stop::{stop_by_hand, supervised_stop};
use super::{Extent, Removal, RemovalObserved, RemovalPlan};
use crate::fleet::lab_file::{LabFile, setting_names};
use crate::fleet::model::HostEffect;
use crate::fleet::plan::{NotOurs, VmSteps, check};
use crate::image::{READY_SNAPSHOT, remove_base};
use crate::plan::{command, run, step};
use crate::{Action, Dataset, Step, Supervision, VmName};
use std::{collections::BTreeSet, time::Duration};

/// File systems and volumes are let go of a moment after the last process that held them.
const LET_GO: Duration = Duration::from_secs(30);

/// The steps that remove what was found. Pure.
///
/// # Errors
///
/// Something below the lab's dataset carries no mark of the lab.
pub fn plan_removal(removal: &Removal, found: &RemovalObserved) -> Result<RemovalPlan, NotOurs> {
    let places = Places { removal, found };
    places.refuse_foreign()?;
    let host = match &removal.extent {
        Extent::Vm(vm) => places.of_vm(vm),
        Extent::Lab | Extent::LabAndShared => places.of_lab(),
    };
    let stop = places.vms().into_iter();
    let stop = stop.filter(|vm| match &removal.extent {
        Extent::Vm(one) => vm == one,
        Extent::Lab | Extent::LabAndShared => true,
    });
    let stop = stop.filter_map(|vm| {
        let steps = places.stop(&vm);
        (!steps.is_empty()).then_some(VmSteps { vm, steps })
    });
    Ok(RemovalPlan {
        stop: stop.collect(),
        host,
    })
}

#[derive(Debug, Clone, Copy)]
struct Places<'a> {
    removal: &'a Removal,
    found: &'a RemovalObserved,
}

impl<'a> Places<'a> {
    fn of_lab(self) -> Vec<Step> {
        let mut steps = self.taps(|_| true);
        steps.extend(self.firewall());
        steps.extend(self.network());
        steps.extend(self.settings());
        steps.extend(self.datasets());
        if self.removal.extent == Extent::LabAndShared {
            steps.extend(self.purge());
        }
        steps
    }

    /// Its directory goes last: its definition is in it.
    fn of_vm(self, vm: &VmName) -> Vec<Step> {
        let owner = self.removal.lab.vm_mark(vm);
        let mut steps = self.taps(|found| found == owner);
        let volume = self
            .below()
            .find(|dataset| dataset.owner.as_deref() == Some(&*owner));
        steps.extend(volume.map(|volume| let_go("volume", &volume.name)));
        let directory = format!("{}/{owner}", self.removal.directory);
        if self.found.paths.contains(&directory) {
            let remove = ["rm", "-r", "-f", "--", &directory];
            steps.push(run(format!("remove {directory}"), &remove));
        }
        steps
    }

    fn lab_dataset(self) -> String {
        format!("{}/{}", self.removal.dataset, self.removal.lab)
    }

    fn own(self) -> Option<&'a LabFile> {
        self.found
            .labs
            .iter()
            .find(|lab| lab.lab == self.removal.lab)
    }

    fn others(self) -> impl Iterator<Item = &'a LabFile> {
        let lab = &self.removal.lab;
        self.found
            .labs
            .iter()
            .filter(move |other| other.lab != *lab)
    }

    /// Datasets of the lab and below; snapshots are part of what they were taken of.
    fn below(self) -> impl Iterator<Item = &'a Dataset> {
        let place = format!("{}/", self.lab_dataset());
        let datasets = self.found.population.datasets.iter();
        datasets.filter(move |dataset| {
            dataset.name.starts_with(&place) && ["volume", "filesystem"].contains(&&*dataset.kind)
        })
    }

    fn refuse_foreign(self) -> Result<(), NotOurs> {
        let lab = self.lab_dataset();
        if let Some(found) = self.found.population.dataset(&lab) {
            check(
                "dataset",
                &lab,
                self.removal.lab.to_string(),
                found.owner.as_deref(),
            )?;
        }
        for dataset in self.below() {
            let name = dataset.name.rsplit('/').next().unwrap_or_default();
            let expected = format!("{}/{name}", self.removal.lab);
            check("dataset", &dataset.name, expected, dataset.owner.as_deref())?;
        }
        Ok(())
    }

    /// The VMs of which anything with our mark is there.
    fn vms(self) -> BTreeSet<VmName> {
        let mark = format!("{}/", self.removal.lab);
        let interface_mark = format!("lab:{mark}");
        let defined = self
            .found
            .definitions
            .iter()
            .map(|vm| vm.name().to_string());
        let volumes = self.below().filter_map(|dataset| dataset.owner.as_deref());
        let volumes = volumes.filter_map(|owner| owner.strip_prefix(&mark));
        let taps = self.found.population.interfaces.iter();
        let taps = taps.filter_map(|tap| tap.description.as_deref()?.strip_prefix(&interface_mark));
        let names = defined.chain(volumes.chain(taps).map(str::to_owned));
        names.filter_map(|name| name.parse().ok()).collect()
    }

    /// Nothing, if nothing of the VM runs.
    fn stop(self, vm: &VmName) -> Vec<Step> {
        let population = &self.found.population;
        let directory = format!("{}/{}/{vm}", self.removal.directory, self.removal.lab);
        let definition = self
            .found
            .definitions
            .iter()
            .find(|found| found.name() == vm);
        let supervision = match (definition, directory.parse()) {
            (Some(definition), _) => definition.supervision(),
            (None, Ok(directory)) => Supervision::new(vm.clone(), directory),
            (None, Err(_)) => return Vec::new(),
        };
        let script = format!("{directory}/supervise");
        let mut titles = population
            .processes
            .iter()
            .map(|process| process.title.as_str());
        let supervised = titles.clone().any(|title| title.contains(&script));
        let runs = population.running(vm.as_str()).next().is_some();
        let node = population.nodes.iter().any(|node| node == vm.as_str());
        let recorder = format!("{directory}/record");
        let mut steps = Vec::new();
        if supervised {
            steps.extend(supervised_stop(&supervision));
        }
        if supervised || runs || node {
            steps.extend(stop_by_hand(vm));
        }
        if supervised || titles.any(|title| title.contains(&recorder)) {
            // It has its directory open, which is to go. Its number alone might be another's by now.
            let file = format!("{recorder}er.pid");
            let end = command(&["pkill", "-TERM", "-F", &file, "-f", &recorder]);
            steps.push(step("end the recorder", Action::Try(end)));
        }
        steps
    }

    /// The taps of the lab's VMs whose owner, `LAB/VM`, is wanted.
    fn taps(self, wanted: impl Fn(&str) -> bool) -> Vec<Step> {
        let place = format!("{}/", self.removal.lab);
        let ours = |description: &Option<String>| {
            let owner = description
                .as_deref()
                .and_then(|words| words.strip_prefix("lab:"));
            owner.is_some_and(|owner| owner.starts_with(&place) && wanted(owner))
        };
        let interfaces = self.found.population.interfaces.iter();
        let taps = interfaces.filter(|interface| ours(&interface.description));
        taps.map(|tap| remove_interface(&tap.name)).collect()
    }

    fn firewall(self) -> Option<Step> {
        let anchor = self.own()?.anchor.as_ref()?;
        let flush = ["pfctl", "-a", anchor.as_str(), "-F", "all"];
        self.found
            .anchor_loaded
            .then(|| run("remove the firewall rules", &flush))
    }

    /// Last change first. What lies on an interface of the lab's own goes with that.
    fn network(self) -> Vec<Step> {
        let mark = self.removal.lab.interface_mark();
        let interfaces = self.found.population.interfaces.iter();
        let ours: BTreeSet<&str> = interfaces
            .filter(|interface| interface.description.as_deref() == Some(&mark))
            .map(|interface| interface.name.as_str())
            .collect();
        let changes = self.own().map_or(&[][..], |lab| &lab.network);
        let mut steps = Vec::new();
        for change in changes.iter().rev() {
            let there = match &change.effect {
                HostEffect::Address { interface, address } => {
                    let found = self.found.population.interface(interface.as_str());
                    let theirs = found.filter(|found| !ours.contains(found.name.as_str()));
                    theirs.is_some_and(|found| found.nets.contains(address))
                }
                HostEffect::Route { to, via } => {
                    let mut routes = self.found.routes.iter();
                    routes.any(|route| route.to == *to && route.via == Some(*via))
                }
                _ => false,
            };
            if let Some(undo) = change.undo.as_ref().filter(|_| there) {
                let words: Vec<&str> = undo.iter().map(String::as_str).collect();
                steps.push(run(format!("take back: {}", change.what), &words));
            }
        }
        steps.extend(ours.into_iter().rev().map(remove_interface));
        steps
    }

    /// A setting that another lab wants stays; whoever goes last puts it back. One that somebody changed since is left.
    fn settings(self) -> Vec<Step> {
        let Some(own) = self.own() else {
            return Vec::new();
        };
        let wanted = own
            .network
            .iter()
            .filter_map(|change| match &change.effect {
                HostEffect::Setting { name, value } => Some((name, value)),
                _ => None,
            });
        let theirs: BTreeSet<&str> = self
            .others()
            .flat_map(|lab| setting_names(&lab.network))
            .collect();
        let mut steps = Vec::new();
        for (name, value) in wanted.filter(|(name, _)| !theirs.contains(name.as_str())) {
            let before = own.before.get(name).filter(|before| *before != value);
            if let (Some(before), true) = (before, self.found.settings.get(name) == Some(value)) {
                let set = format!("{name}={before}");
                steps.push(run(format!("put {name} back"), &["sysctl", &set]));
            }
        }
        steps
    }

    fn datasets(self) -> Vec<Step> {
        let (lab, directory) = (self.lab_dataset(), &self.removal.directory);
        let mut below: Vec<&str> = self.below().map(|dataset| dataset.name.as_str()).collect();
        // Children before their parents.
        below.sort_unstable_by(|a, b| b.cmp(a));
        let mut steps: Vec<Step> = below
            .into_iter()
            .map(|name| let_go("volume", name))
            .collect();
        let place = format!("{directory}/{}", self.removal.lab);
        if self.found.population.dataset(&lab).is_some() {
            steps.push(let_go("the place of this lab", &lab));
        } else if self.found.paths.contains(&place) {
            steps.push(run(
                format!("remove {place}"),
                &["rm", "-r", "-f", "--", &place],
            ));
        }
        steps
    }

    fn purge(self) -> Vec<Step> {
        let datasets = &self.found.population.datasets;
        let own = format!("{}/", self.lab_dataset());
        let place = format!("{}/base/", self.removal.dataset);
        let used: BTreeSet<&str> = datasets
            .iter()
            .filter(|dataset| !dataset.name.starts_with(&own))
            .filter_map(|dataset| dataset.origin.as_deref())
            .collect();
        let mut steps = Vec::new();
        for (name, details) in &self.found.details {
            let snapshot = format!("{name}@{READY_SNAPSHOT}");
            // A snapshot has the properties of its volume.
            let volume = details.volume_bytes.is_some() && !name.contains('@');
            let image = details.image.as_deref().filter(|_| volume);
            let unused = name.starts_with(&place) && !used.contains(snapshot.as_str());
            if let Some(image) = image.filter(|_| unused) {
                steps.extend(remove_base(name, image));
            }
        }
        if self.others().next().is_none() {
            for name in ["files", "import"] {
                let path = format!("{}/{name}", self.removal.directory);
                if self.found.paths.contains(&path) {
                    steps.push(run(
                        format!("remove {path}"),
                        &["rm", "-r", "-f", "--", &path],
                    ));
                }
            }
        }
        steps
    }
}

fn remove_interface(name: &str) -> Step {
    run(
        format!("remove interface {name}"),
        &["ifconfig", name, "destroy"],
    )
}

fn let_go(kind: &str, name: &str) -> Step {
    let command = command(&["zfs", "destroy", name]);
    let what = format!("remove {kind} {name}");
    step(
        what,
        Action::Insist {
            command,
            limit: LET_GO,
        },
    )
}
