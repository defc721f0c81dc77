//! The file `lab.json`: what was done to the host for a lab, so that the lab can be removed by its name alone.

use super::model::{AnchorName, Fleet, HostChange, HostEffect};
use crate::{HostPath, LabMark, ZfsDataset};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What `lab.json` holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LabFile {
    /// The lab.
    pub lab: LabMark,
    /// The dataset below which it lies.
    pub dataset: ZfsDataset,
    /// The mount point of that.
    pub directory: HostPath,
    /// The changes of the network, with what takes them back.
    pub network: Vec<HostChange>,
    /// The values that settings had before any lab changed them.
    pub before: BTreeMap<String, String>,
    /// The anchor of its rules.
    pub anchor: Option<AnchorName>,
}

impl LabFile {
    /// The file for a fleet, by what the settings are now and by what earlier files of labs say they were before.
    ///
    /// A setting that another lab has changed already is remembered as that lab found it, so whoever goes last puts
    /// the first value back. Of what an earlier plan made and this one does not name, what is not in `gone` still has to
    /// be taken back some day, and is kept.
    pub(super) fn new(
        fleet: &Fleet,
        settings: &BTreeMap<String, String>,
        earlier: &[LabFile],
        gone: &[HostChange],
    ) -> Self {
        let own = earlier.iter().find(|file| file.lab == fleet.lab);
        let mut network = fleet.network.clone();
        let kept = unnamed(fleet, earlier).filter(|old| !gone.contains(old));
        network.extend(kept.cloned());
        let mut before = BTreeMap::new();
        for name in setting_names(&network) {
            // What it was before is known best by who changed it first; a module that was loaded since may have
            // brought a setting that had no value then.
            let known = earlier.iter().filter(|file| file.changes(name));
            let known = own
                .filter(|file| file.changes(name))
                .into_iter()
                .chain(known);
            let value = match known.map(|file| file.before.get(name)).next() {
                Some(value) => value,
                None => settings.get(name),
            };
            if let Some(value) = value {
                before.insert(name.to_owned(), value.clone());
            }
        }
        Self {
            lab: fleet.lab.clone(),
            dataset: fleet.dataset.clone(),
            directory: fleet.directory.clone(),
            network,
            before,
            anchor: fleet.firewall.as_ref().map(|anchor| anchor.name.clone()),
        }
    }

    /// Whether it sets this setting.
    fn changes(&self, name: &str) -> bool {
        setting_names(&self.network).any(|set| set == name)
    }

    /// The text of the file.
    pub(super) fn text(&self) -> String {
        json(self)
    }
}

/// What an earlier plan for this lab made and the fleet does not name.
pub(super) fn unnamed<'a>(
    fleet: &'a Fleet,
    earlier: &'a [LabFile],
) -> impl Iterator<Item = &'a HostChange> {
    let own = earlier.iter().filter(|file| file.lab == fleet.lab);
    let named = |old: &HostChange| {
        let mut changes = fleet.network.iter();
        changes.any(|change| change.effect == old.effect)
    };
    own.flat_map(|file| &file.network)
        .filter(move |old| !named(old))
}

/// The settings among some changes.
pub(super) fn setting_names(network: &[HostChange]) -> impl Iterator<Item = &str> {
    network.iter().filter_map(|change| match &change.effect {
        HostEffect::Setting { name, .. } => Some(name.as_str()),
        _ => None,
    })
}

/// A value as text for people and for the next run.
pub(super) fn json(value: &impl Serialize) -> String {
    let text = serde_json::to_string_pretty(value);
    text.expect("maps have texts as keys, so nothing stands against JSON") + "\n"
}
