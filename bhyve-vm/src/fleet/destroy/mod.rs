//! A lab is removed from a host by its name alone: what is its own carries its mark.

mod plan;
mod stop;

pub use plan::plan_removal;

use super::apply::{FleetApplyError, Work};
use super::ask::{AskError, Asker};
use super::lab_file::{LabFile, setting_names};
use super::list::all_definitions;
use super::model::{Anchor, VmDefinition, lab_directory};
use super::observe::{SIDE_BY_SIDE, anchor_loaded, labs, paths};
use super::plan::{NotOurs, VmSteps};
use super::survey::{DatasetDetails, Population, details, population, routes};
use super::upload::Supply;
use crate::{HostPath, HostRoute, InvalidValue, LabMark, Step, VmName, ZfsDataset, parse_sysctls};
use futures::{StreamExt, TryStreamExt, stream};
use host_exec::{EventSink, Host};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// Which lab is to be removed, and from where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Removal {
    /// The lab.
    pub lab: LabMark,
    /// The dataset below which it lies.
    pub dataset: ZfsDataset,
    /// The mount point of that.
    pub directory: HostPath,
    /// How much of it.
    pub extent: Extent,
}

/// How much is removed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Extent {
    /// One VM with its disk; the lab stays, and its next [`apply`](super::apply) makes the VM anew.
    Vm(VmName),
    /// The lab.
    Lab,
    /// The lab, and the images and shared files that no lab uses any more.
    LabAndShared,
}

/// What of a lab is on a host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RemovalObserved {
    population: Population,
    details: BTreeMap<String, DatasetDetails>,
    routes: Vec<HostRoute>,
    settings: BTreeMap<String, String>,
    paths: BTreeSet<String>,
    labs: Vec<LabFile>,
    definitions: Vec<VmDefinition>,
    anchor_loaded: bool,
}

/// The steps that remove a lab.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RemovalPlan {
    /// First the VMs stop, side by side.
    pub stop: Vec<VmSteps>,
    /// Then, one after the other: taps, firewall, network, settings, volumes, files.
    pub host: Vec<Step>,
}

/// What was removed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Gone {
    /// The VMs that ran, or held memory.
    pub stopped: Vec<VmName>,
    /// What was done besides, in the words of the plan.
    pub removed: Vec<String>,
}

/// A lab that was not removed, or not all of it. Run again, the rest goes.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DestroyError {
    /// The host was not asked.
    #[error(transparent)]
    Ask(#[from] AskError),
    /// Something below the lab's dataset is somebody else's. Nothing was changed.
    #[error(transparent)]
    NotOurs(#[from] NotOurs),
    /// A path is too long. Nothing was changed.
    #[error(transparent)]
    Name(#[from] InvalidValue),
    /// A step failed.
    #[error(transparent)]
    Apply(#[from] FleetApplyError),
}

impl RemovalPlan {
    /// Whether nothing of the lab is there.
    pub fn is_empty(&self) -> bool {
        self.stop.is_empty() && self.host.is_empty()
    }
}

/// Removes a lab, or one VM of it: the VMs stop, then all that carries its mark goes, and what was changed of the host's network is
/// taken back as its `lab.json` says. That file goes last, so this can be cut off anywhere and run again.
///
/// # Errors
///
/// Something below the lab's dataset is somebody else's (then nothing was changed); a step failed.
pub async fn destroy(
    host: &dyn Host,
    removal: &Removal,
    events: &dyn EventSink,
) -> Result<Gone, DestroyError> {
    let found = observe_removal(host, removal).await?;
    let plan = plan_removal(removal, &found)?;
    let journal = lab_directory(&removal.directory, &removal.lab)?;
    let journal = format!("{journal}/journal.log");
    let supply = Supply::default();
    let work = Work {
        host,
        journal: &journal,
        supply: &supply,
        events,
    };
    let stops = plan
        .stop
        .iter()
        .map(|vm| work.all(vm.vm.as_str(), &vm.steps));
    stream::iter(stops)
        .buffer_unordered(SIDE_BY_SIDE)
        .try_collect::<()>()
        .await?;
    work.all("", &plan.host).await?;
    Ok(Gone {
        stopped: plan.stop.into_iter().map(|vm| vm.vm).collect(),
        removed: plan.host.into_iter().map(|step| step.what).collect(),
    })
}

/// Asks a host what of a lab it has. Changes nothing.
///
/// # Errors
///
/// The host does not answer, or a file of ours is not as it was written.
pub async fn observe_removal(
    host: &dyn Host,
    removal: &Removal,
) -> Result<RemovalObserved, AskError> {
    let ask = Asker { host };
    let paths = paths(ask, &removal.directory).await?;
    let labs = labs(ask, &removal.directory, &paths).await?;
    let own = labs.iter().find(|lab| lab.lab == removal.lab);
    let anchor = own.and_then(|lab| lab.anchor.clone()).map(|name| Anchor {
        name,
        rules: String::new(),
        lines: Vec::new(),
    });
    let definitions = all_definitions(ask, &paths).await?;
    Ok(RemovalObserved {
        population: population(ask).await?,
        details: details(ask).await?,
        routes: routes(ask).await?,
        settings: match own {
            Some(lab) => settings(ask, lab).await?,
            None => BTreeMap::new(),
        },
        anchor_loaded: match &anchor {
            Some(anchor) => anchor_loaded(ask, anchor).await?,
            None => false,
        },
        definitions: definitions
            .into_iter()
            .filter(|vm| vm.lab == removal.lab)
            .collect(),
        paths,
        labs,
    })
}

async fn settings(ask: Asker<'_>, lab: &LabFile) -> Result<BTreeMap<String, String>, AskError> {
    let mut words = vec!["sysctl", "-i"];
    words.extend(setting_names(&lab.network));
    if words.len() == 2 {
        return Ok(BTreeMap::new());
    }
    let text = ask.text("its settings", &words).await?;
    ask.read("its settings", parse_sysctls(&text))
}

impl fmt::Display for RemovalPlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for vm in &self.stop {
            for step in &vm.steps {
                writeln!(f, "{}: {step}", vm.vm)?;
            }
        }
        self.host.iter().try_for_each(|step| writeln!(f, "{step}"))
    }
}
