//! The key tree of bhyve: what both ways to configure it come down to.

mod catalogue;
mod check;
pub(crate) mod devices;
pub(crate) mod kind;

use catalogue::Available;
use devices::{MODELS, Model};
use std::{collections::BTreeMap, fmt};

/// The release of FreeBSD on the host, as far as bhyve's keys depend on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Release {
    /// 14.x: the firmware is part of the LPC bridge (`lpc.bootrom`).
    V14,
    /// 15.x: the firmware stands by itself (`bootrom`).
    V15,
}

/// Keys and values as `bhyve -k` reads them (bhyve_config(5)), in an order for people.
///
/// Holds only keys that bhyve of its release knows: bhyve ignores any other without a word; here it is an error.
///
/// ```
/// use bhyve_vm::{KeyTree, Release};
///
/// let mut keys = KeyTree::new(Release::V15);
/// keys.set("pci.0.4.0.device", "virtio-blk")?;
/// keys.set("pci.0.4.0.path", "/vm/a.img")?;
/// // Of another device, and of none.
/// let error = keys.set("pci.0.4.0.tcp", "127.0.0.1:5900").unwrap_err();
/// assert!(error.to_string().starts_with("pci.0.4.0.tcp is no key of virtio-blk"));
/// let error = keys.set("memory.sise", "2G").unwrap_err();
/// assert_eq!(
///     error.to_string(),
///     "unknown key \"memory.sise\"; known here: memory.guest_in_core, memory.size, memory.wired"
/// );
/// keys.check()?;
/// # Ok::<(), bhyve_vm::KeyError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyTree {
    release: Release,
    values: BTreeMap<Key, String>,
}

/// A key cut at its dots; numbers are compared as numbers, so that slot 4 comes before slot 10.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Key(Vec<Segment>);

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Segment {
    Number(u32),
    Word(String),
}

/// Why a key and its value do not belong into a [`KeyTree`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// No bhyve knows the key: it would be ignored without a word.
    #[error("unknown key {key:?}; known here: {known}")]
    Unknown {
        /// The key.
        key: String,
        /// The keys that begin with the same word, or all the first words.
        known: String,
    },
    /// Only another release knows the key.
    #[error("{key} is no key of {}: {remedy}", release_name(.release))]
    OtherRelease {
        /// The key.
        key: String,
        /// The release of the tree.
        release: Release,
        /// What to write instead.
        remedy: String,
    },
    /// The key has a value already; bhyve would silently take the later one.
    #[error("key {key:?} is set twice")]
    Twice {
        /// The key.
        key: String,
    },
    /// The value is not of the key's kind.
    #[error("{key}={value:?} is not {expected}")]
    Value {
        /// The key.
        key: String,
        /// Its value.
        value: String,
        /// What it should be.
        expected: &'static str,
    },
    /// bhyve emulates no such device.
    #[error("{key}: no device {value:?}; bhyve has {known}")]
    Device {
        /// The key.
        key: String,
        /// Its value.
        value: String,
        /// The devices.
        known: String,
    },
    /// The key belongs to other devices than the one in its place.
    #[error("{key} is no key of {device}; it has {known}")]
    NotOfDevice {
        /// The key.
        key: String,
        /// The device in this place.
        device: &'static str,
        /// The keys of the device.
        known: String,
    },
    /// A place has keys, but nothing says which device is there.
    #[error("{key} is set, but {missing} is not")]
    NoDevice {
        /// A key of the place.
        key: String,
        /// The key that says what is there.
        missing: String,
    },
    /// A key that is right by itself needs or excludes another.
    #[error("{key}: {rule}")]
    Unmet {
        /// The key.
        key: String,
        /// What is wrong, and what would be right.
        rule: String,
    },
}

impl KeyError {
    /// The key that the error is about.
    pub fn key(&self) -> &str {
        match self {
            Self::Unknown { key, .. }
            | Self::OtherRelease { key, .. }
            | Self::Twice { key }
            | Self::Value { key, .. }
            | Self::Device { key, .. }
            | Self::NotOfDevice { key, .. }
            | Self::NoDevice { key, .. }
            | Self::Unmet { key, .. } => key,
        }
    }
}

fn release_name(release: &Release) -> &'static str {
    match release {
        Release::V14 => "FreeBSD 14",
        Release::V15 => "FreeBSD 15",
    }
}

impl KeyTree {
    /// An empty tree for a host of this release.
    pub fn new(release: Release) -> Self {
        Self {
            release,
            values: BTreeMap::new(),
        }
    }

    /// The release whose keys these are.
    pub fn release(&self) -> Release {
        self.release
    }

    /// The value of a key, if it is set.
    pub fn get(&self, key: &str) -> Option<&str> {
        self.values.get(&Key::new(key)).map(String::as_str)
    }

    /// The keys and their values in order.
    pub fn iter(&self) -> impl Iterator<Item = (String, &str)> {
        self.values
            .iter()
            .map(|(key, value)| (key.to_string(), value.as_str()))
    }

    /// Sets a key that is not set yet.
    ///
    /// # Errors
    ///
    /// No device and no part of bhyve of this release knows the key, it is set already, or the value is not of its
    /// kind. The value of a device's key, and a key that comes before its device, are judged by [`KeyTree::check`]:
    /// what they may be depends on the device.
    pub fn set(&mut self, key: &str, value: &str) -> Result<(), KeyError> {
        match devices::split(key) {
            Some((_, "device")) if Model::find(value).is_none() => {
                return Err(KeyError::Device {
                    key: key.to_owned(),
                    value: value.to_owned(),
                    known: Model::names(),
                });
            }
            Some((_, "device")) => {}
            Some((place, name)) => self.refuse_of_device(place, name)?,
            None => self.refuse_global(key, value)?,
        }
        match self.put(key, value) {
            None => Ok(()),
            Some(earlier) => {
                self.put(key, &earlier);
                Err(KeyError::Twice {
                    key: key.to_owned(),
                })
            }
        }
    }

    /// A key that the device in its place lacks; if none is there yet, one that every device lacks.
    fn refuse_of_device(&self, place: devices::Place, name: &str) -> Result<(), KeyError> {
        let key = place.key(name);
        match self.get(&place.key("device")).and_then(Model::find) {
            Some(model) if model.kind_of(name).is_none() => Err(model.lacks(key)),
            None if MODELS.iter().all(|model| model.kind_of(name).is_none()) => {
                Err(self.unknown(&key))
            }
            _ => Ok(()),
        }
    }

    fn refuse_global(&self, key: &str, value: &str) -> Result<(), KeyError> {
        let Some((kind, available)) = catalogue::find(key) else {
            return Err(self.unknown(key));
        };
        let remedy = match (available, self.release) {
            (Available::Since15(Some(older)), Release::V14) => Some(format!("it says {older}")),
            (Available::Since15(None), Release::V14) => Some("FreeBSD 15 brought it".to_owned()),
            (Available::Moved(newer), Release::V15) => Some(format!("it says {newer}")),
            (Available::Since16, _) => Some("FreeBSD 16 brings it".to_owned()),
            _ => None,
        };
        if let Some(remedy) = remedy {
            return Err(KeyError::OtherRelease {
                key: key.to_owned(),
                release: self.release,
                remedy,
            });
        }
        kind.judge_value(key.to_owned(), value, self.release)
    }

    fn unknown(&self, key: &str) -> KeyError {
        let known = match devices::split(key) {
            Some(_) => format!("device, and what its device has ({})", Model::names()),
            None if key.starts_with("pci.") => {
                "pci.enable_bars (FreeBSD 15), and pci.BUS.SLOT.FUNCTION.KEY of numbers up to 255, 31 and 7".to_owned()
            }
            None => catalogue::known_near(key, self.release),
        };
        KeyError::Unknown {
            key: key.to_owned(),
            known,
        }
    }

    /// Whether the tree is whole: each device has the keys that it needs and no others, slots have their function 0,
    /// the numbers of processors fit each other, and what needs something else finds it.
    ///
    /// # Errors
    ///
    /// The first contradiction. That a VM has no name, memory or firmware is *not* one: bhyve has defaults or asks.
    pub fn check(&self) -> Result<(), KeyError> {
        check::whole(self)
    }

    /// Sets a key of our own printer, made from checked values; returns what it held before.
    pub(crate) fn put(&mut self, key: &str, value: &str) -> Option<String> {
        self.values.insert(Key::new(key), value.to_owned())
    }
}

impl Key {
    fn new(text: &str) -> Self {
        let segment = |part: &str| match part.parse::<u32>() {
            Ok(number) if number.to_string() == part => Segment::Number(number),
            _ => Segment::Word(part.to_owned()),
        };
        Self(text.split('.').map(segment).collect())
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, segment) in self.0.iter().enumerate() {
            let dot = if i == 0 { "" } else { "." };
            match segment {
                Segment::Number(number) => write!(f, "{dot}{number}")?,
                Segment::Word(word) => write!(f, "{dot}{word}")?,
            }
        }
        Ok(())
    }
}
