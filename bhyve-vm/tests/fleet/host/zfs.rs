//! zfs(8), as far as the driver uses it.

use super::world::{Answer, World, failed, ok};
use std::collections::BTreeMap;
use std::fmt::Write as _;

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Dataset {
    pub(crate) kind: &'static str,
    pub(crate) properties: BTreeMap<String, String>,
    pub(crate) mount_point: Option<String>,
    pub(crate) volume_bytes: Option<u64>,
    pub(crate) origin: Option<String>,
    pub(crate) holds: Vec<String>,
    pub(crate) contents: Vec<u8>,
}

impl Dataset {
    pub(crate) fn filesystem(mount_point: &str) -> Self {
        Self {
            kind: "filesystem",
            mount_point: Some(mount_point.to_owned()),
            ..Self::default()
        }
    }
}

impl World {
    pub(super) fn zfs(&mut self, arguments: &[&str]) -> Answer {
        match *arguments {
            ["list", "-H", "-p", "-t", "all", "-o", columns] => ok(self.zfs_list(columns)),
            ["get", "-H", "-o", "value", property, name] => match self.datasets.get(name) {
                Some(_) => ok(format!("{}\n", self.property(name, property))),
                None => failed(1, format!("cannot open '{name}': dataset does not exist")),
            },
            ["holds", "-H", name] => match self.datasets.get(name) {
                Some(snapshot) => {
                    let holds = snapshot.holds.iter();
                    ok(holds
                        .map(|tag| format!("{name}\t{tag}\tThu Nov 26 20:00 2026\n"))
                        .collect::<String>())
                }
                None => failed(1, format!("cannot open '{name}': dataset does not exist")),
            },
            ["create", ref options @ .., name] => self.zfs_create(options, name),
            ["clone", ref options @ .., origin, name] => self.zfs_clone(options, origin, name),
            ["set", setting, name] => self.zfs_set(setting, name),
            ["snapshot", name] => self.zfs_snapshot(name),
            ["hold", tag, name] => match self.datasets.get_mut(name) {
                Some(snapshot) if snapshot.holds.iter().any(|held| held == tag) => failed(
                    1,
                    format!("cannot hold snapshot '{name}': tag already exists on this dataset"),
                ),
                Some(snapshot) => {
                    snapshot.holds.push(tag.to_owned());
                    ok("")
                }
                None => failed(
                    1,
                    format!("cannot hold snapshot '{name}': dataset does not exist"),
                ),
            },
            ["release", tag, name] => match self.datasets.get_mut(name) {
                Some(snapshot) if snapshot.holds.iter().any(|held| held == tag) => {
                    snapshot.holds.retain(|held| held != tag);
                    ok("")
                }
                _ => failed(1, format!("cannot release hold from snapshot '{name}'")),
            },
            ["destroy", name] => self.zfs_destroy(name),
            _ => panic!("zfs {arguments:?} is not known here"),
        }
    }

    /// User properties are inherited, as zfsprops(7) says.
    fn property(&self, name: &str, property: &str) -> String {
        let mut at = name;
        loop {
            let set = self
                .datasets
                .get(at)
                .and_then(|found| found.properties.get(property));
            if let Some(value) = set {
                return value.clone();
            }
            match at.rsplit_once(['/', '@']) {
                Some((parent, _)) => at = parent,
                None => return "-".to_owned(),
            }
        }
    }

    fn zfs_list(&self, columns: &str) -> String {
        let mut text = String::new();
        for (name, dataset) in &self.datasets {
            let snapshot = dataset.kind == "snapshot";
            let number = |number: Option<u64>| number.map_or("-".to_owned(), |n| n.to_string());
            let values = columns.split(',').map(|column| match column {
                "name" => name.clone(),
                "type" => dataset.kind.to_owned(),
                "used" => "1".to_owned(),
                "avail" => number((!snapshot).then_some(self.available)),
                "origin" => dataset.origin.clone().unwrap_or("-".to_owned()),
                "volsize" => number(dataset.volume_bytes),
                "mountpoint" => dataset.mount_point.clone().unwrap_or("-".to_owned()),
                column => self.property(name, column),
            });
            writeln!(text, "{}", values.collect::<Vec<_>>().join("\t")).unwrap();
        }
        text
    }

    fn parent_exists(&self, name: &str) -> bool {
        name.rsplit_once('/')
            .is_some_and(|(parent, _)| self.datasets.contains_key(parent))
    }

    fn zfs_create(&mut self, options: &[&str], name: &str) -> Answer {
        let mut made = Dataset::default();
        let (mut parents, mut rest) = (false, options);
        loop {
            rest = match rest {
                [] => break,
                ["-p", rest @ ..] => {
                    parents = true;
                    rest
                }
                ["-s", rest @ ..] => rest,
                ["-V", size, rest @ ..] => {
                    made.volume_bytes = Some(mebibytes(size));
                    rest
                }
                ["-o", pair, rest @ ..] => {
                    let (key, value) = pair.split_once('=').unwrap();
                    match key {
                        "mountpoint" => made.mount_point = Some(value.to_owned()),
                        _ => drop(made.properties.insert(key.to_owned(), value.to_owned())),
                    }
                    rest
                }
                other => panic!("zfs create {other:?}"),
            };
        }
        if self.datasets.contains_key(name) {
            if parents {
                return ok("");
            }
            return failed(1, format!("cannot create '{name}': dataset already exists"));
        }
        if parents && !self.parent_exists(name) {
            let (parent, _) = name.rsplit_once('/').unwrap();
            let (status, _, error) = self.zfs_create(&["-p"], parent);
            if status != 0 {
                return (status, String::new(), error);
            }
        }
        if !self.parent_exists(name) {
            return failed(1, format!("cannot create '{name}': parent does not exist"));
        }
        made.kind = if made.volume_bytes.is_some() {
            "volume"
        } else {
            "filesystem"
        };
        if made.volume_bytes.is_none() && made.mount_point.is_none() {
            let (parent, last) = name.rsplit_once('/').unwrap();
            let place = self.datasets[parent].mount_point.clone().unwrap();
            made.mount_point = Some(format!("{place}/{last}"));
        }
        self.datasets.insert(name.to_owned(), made);
        ok("")
    }

    fn zfs_clone(&mut self, options: &[&str], origin: &str, name: &str) -> Answer {
        let Some(from) = self
            .datasets
            .get(origin)
            .filter(|from| from.kind == "snapshot")
        else {
            return failed(1, format!("cannot open '{origin}': dataset does not exist"));
        };
        if self.datasets.contains_key(name) {
            return failed(1, format!("cannot create '{name}': dataset already exists"));
        }
        if !self.parent_exists(name) {
            return failed(1, format!("cannot create '{name}': parent does not exist"));
        }
        let mut made = Dataset {
            kind: "volume",
            origin: Some(origin.to_owned()),
            volume_bytes: from.volume_bytes,
            contents: from.contents.clone(),
            ..Dataset::default()
        };
        for pair in options.chunks(2) {
            let ["-o", pair] = pair else {
                panic!("zfs clone {options:?}")
            };
            let (key, value) = pair.split_once('=').unwrap();
            made.properties.insert(key.to_owned(), value.to_owned());
        }
        self.datasets.insert(name.to_owned(), made);
        ok("")
    }

    fn zfs_set(&mut self, setting: &str, name: &str) -> Answer {
        let (key, value) = setting.split_once('=').unwrap();
        let Some(dataset) = self.datasets.get_mut(name) else {
            return failed(1, format!("cannot open '{name}': dataset does not exist"));
        };
        assert_eq!(key, "volsize");
        let bytes = mebibytes(value);
        if dataset.volume_bytes.is_none_or(|old| bytes < old) {
            return failed(1, format!("cannot set property for '{name}': volume size"));
        }
        dataset.volume_bytes = Some(bytes);
        ok("")
    }

    fn zfs_snapshot(&mut self, name: &str) -> Answer {
        let (of, _) = name.split_once('@').unwrap();
        if self.datasets.contains_key(name) {
            return failed(
                1,
                format!("cannot create snapshot '{name}': dataset already exists"),
            );
        }
        let Some(of) = self.datasets.get(of) else {
            return failed(1, format!("cannot open '{of}': dataset does not exist"));
        };
        let snapshot = Dataset {
            kind: "snapshot",
            volume_bytes: of.volume_bytes,
            contents: of.contents.clone(),
            ..Dataset::default()
        };
        self.datasets.insert(name.to_owned(), snapshot);
        ok("")
    }

    fn zfs_destroy(&mut self, name: &str) -> Answer {
        let Some(dataset) = self.datasets.get(name) else {
            return failed(1, format!("cannot open '{name}': dataset does not exist"));
        };
        let below = |other: &&String| {
            let rest = other.strip_prefix(name);
            rest.is_some_and(|rest| rest.starts_with(['/', '@']))
        };
        if let Some(child) = self.datasets.keys().find(below) {
            return failed(
                1,
                format!("cannot destroy '{name}': it has children\n{child}"),
            );
        }
        if self
            .datasets
            .values()
            .any(|other| other.origin.as_deref() == Some(name))
        {
            return failed(
                1,
                format!("cannot destroy '{name}': snapshot has dependent clones"),
            );
        }
        let device = format!("/dev/zvol/{name}");
        let place = dataset.mount_point.clone();
        let busy = self.processes.values().any(|title| {
            let in_it = place
                .as_ref()
                .is_some_and(|place| title.contains(&format!("{place}/")));
            in_it || (title.starts_with("bhyve: ") && self.vm_has(title, &device))
        });
        if busy || !dataset.holds.is_empty() {
            return failed(1, format!("cannot destroy '{name}': dataset is busy"));
        }
        self.datasets.remove(name);
        if let Some(place) = place {
            let below = format!("{place}/");
            self.files.retain(|path, _| !path.starts_with(&below));
        }
        ok("")
    }
}

fn mebibytes(size: &str) -> u64 {
    size.strip_suffix('M').unwrap().parse::<u64>().unwrap() << 20
}
