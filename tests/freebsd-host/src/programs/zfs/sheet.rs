//! The values of properties.

use super::{
    property::{applies, for_people},
    state::{self, Pools},
};
use crate::world::World;

/// What the properties of datasets are.
pub(super) struct Sheet<'a> {
    pub(super) world: &'a World,
    pub(super) pools: &'a Pools,
    /// Numbers of bytes as they are, not rounded for people.
    pub(super) exact: bool,
}

impl Sheet<'_> {
    pub(super) fn value(&self, name: &str, property: &str) -> String {
        self.known(name, property).unwrap_or_else(|| "-".to_owned())
    }

    fn known(&self, name: &str, property: &str) -> Option<String> {
        let dataset = self.pools.datasets.get(name)?;
        if !applies(property, dataset.kind) {
            return None;
        }
        let mountpoint = || self.pools.mountpoint(name);
        let yes_or_no = |is: bool| if is { "yes" } else { "no" }.to_owned();
        match property {
            "name" => Some(name.to_owned()),
            "type" => Some(dataset.kind.word().to_owned()),
            "used" | "logicalused" => Some(self.bytes(self.used(name))),
            "referenced" => Some(self.bytes(state::used(self.world, dataset))),
            "available" => {
                let available = state::available(self.world).ok()?;
                Some(self.bytes(available))
            }
            "origin" => dataset.origin.clone(),
            "clones" => Some(self.pools.clones(name).join(",")),
            "mountpoint" => Some(mountpoint().unwrap_or_else(|| "none".to_owned())),
            "mounted" => Some(yes_or_no(mountpoint().is_some())),
            "volsize" => Some(self.bytes(dataset.volsize?)),
            "volblocksize" => Some(self.bytes(dataset.volblocksize?)),
            "guid" | "creation" => Some(dataset.id.to_string()),
            "compressratio" => Some("1.00x".to_owned()),
            _ => match self.pools.inherited(name, property) {
                Some((value, _)) => Some(value.to_owned()),
                None => default(property),
            },
        }
    }

    /// By a dataset and all below it, in bytes.
    fn used(&self, name: &str) -> u64 {
        let below = self.pools.below(name);
        let all = below.iter().map(String::as_str).chain([name]);
        let all = all.filter_map(|name| self.pools.datasets.get(name));
        all.map(|one| state::used(self.world, one)).sum()
    }

    fn bytes(&self, bytes: u64) -> String {
        if self.exact {
            bytes.to_string()
        } else {
            for_people(bytes)
        }
    }

    /// Where a property was set.
    pub(super) fn source(&self, name: &str, property: &str) -> String {
        match self.pools.inherited(name, property) {
            Some((_, of)) if of == name => "local".to_owned(),
            Some((_, of)) => format!("inherited from {of}"),
            None if default(property).is_some() || property == "mountpoint" => "default".to_owned(),
            None => "-".to_owned(),
        }
    }
}

fn default(property: &str) -> Option<String> {
    let value = match property {
        "compression" | "atime" | "exec" | "setuid" | "devices" | "canmount" | "checksum" => "on",
        "readonly" | "dedup" => "off",
        "volmode" => "default",
        "sync" => "standard",
        "recordsize" => "131072",
        "quota" | "refquota" | "reservation" | "refreservation" => "none",
        "copies" => "1",
        "logbias" => "latency",
        "primarycache" | "secondarycache" => "all",
        "snapdir" => "hidden",
        _ => return None,
    };
    Some(value.to_owned())
}
