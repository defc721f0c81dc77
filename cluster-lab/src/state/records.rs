//! What is remembered: what was asked for, who has which address, how far changes have come.

use super::{StateDir, StateError, forget};
use crate::{LabSpec, Upgrades, bhyve::StockRecord, certs::RotationRecord};
use netplan::Lock;
use serde::{Deserialize, Serialize};

/// The form of the directory that this program reads and writes.
pub const FORMAT: u32 = 1;

/// What is remembered of a lab as a whole.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// The form of the directory, see [`FORMAT`].
    pub format: u32,
    /// What was last asked for.
    pub spec: LabSpec,
}

impl StateDir {
    /// What is remembered; `None` where there is no lab.
    ///
    /// # Errors
    ///
    /// The record is unreadable, damaged, or of another version.
    pub fn record(&self) -> Result<Option<Record>, StateError> {
        let path = self.record_path();
        let Some(text) = self.read(&path)? else {
            return Ok(None);
        };
        let damaged = |e: serde_json::Error| StateError::Damaged {
            path: path.clone(),
            problem: e.to_string(),
        };
        // The number first: the rest may have any form in another version.
        let value: serde_json::Value = serde_json::from_str(&text).map_err(damaged)?;
        let found = value
            .get("format")
            .and_then(serde_json::Value::as_u64)
            .unwrap_or(0);
        if found != u64::from(FORMAT) {
            return Err(StateError::Format { path, found });
        }
        serde_json::from_value(value).map(Some).map_err(damaged)
    }

    /// Remembers what is asked for.
    ///
    /// # Errors
    ///
    /// The system refuses.
    pub fn remember(&self, spec: &LabSpec) -> Result<(), StateError> {
        let record = Record {
            format: FORMAT,
            spec: spec.clone(),
        };
        self.write_json(&self.record_path(), &record)
    }

    /// Which versions the lab has beside the one that is asked for; `None` while it has never been upgraded.
    ///
    /// # Errors
    ///
    /// The file is unreadable or damaged.
    pub fn upgrades(&self) -> Result<Option<Upgrades>, StateError> {
        self.read_json(self.upgrades_path())
    }

    /// Remembers how far an upgrade has come; an unchanged file is left alone.
    ///
    /// # Errors
    ///
    /// The system refuses.
    pub(crate) fn remember_upgrades(&self, upgrades: &Upgrades) -> Result<(), StateError> {
        self.keep_json(self.upgrades_path(), upgrades)
    }

    /// What is remembered of the rotation of an authority; `None` while there is none.
    pub(crate) fn rotation(&self) -> Result<Option<RotationRecord>, StateError> {
        self.read_json(self.rotation_path())
    }

    /// Remembers it; an unchanged file is left alone.
    pub(crate) fn remember_rotation(&self, record: &RotationRecord) -> Result<(), StateError> {
        self.keep_json(self.rotation_path(), record)
    }

    /// Forgets it. Nothing to forget is *not* an error.
    pub(crate) fn forget_rotation(&self) -> Result<(), StateError> {
        forget(&self.rotation_path())
    }

    /// The lab as it was, while machines of it are still to go.
    ///
    /// # Errors
    ///
    /// The file is unreadable or damaged.
    pub(crate) fn leaving(&self) -> Result<Option<LabSpec>, StateError> {
        self.read_json(self.leaving_path())
    }

    /// Remembers the lab as it was.
    ///
    /// # Errors
    ///
    /// The system refuses.
    pub(crate) fn remember_leaving(&self, was: &LabSpec) -> Result<(), StateError> {
        self.write_json(&self.leaving_path(), was)
    }

    /// Forgets the lab as it was. Nothing to forget is *not* an error.
    ///
    /// # Errors
    ///
    /// The system refuses.
    pub(crate) fn forget_leaving(&self) -> Result<(), StateError> {
        forget(&self.leaving_path())
    }

    /// Who has which network and address; `None` before the first `up`.
    ///
    /// # Errors
    ///
    /// The file is unreadable or damaged.
    pub fn network(&self) -> Result<Option<Lock>, StateError> {
        let path = self.network_lock();
        let Some(text) = self.read(&path)? else {
            return Ok(None);
        };
        let lock = Lock::from_text(&text);
        lock.map(Some).map_err(|e| StateError::Damaged {
            path,
            problem: e.to_string(),
        })
    }

    /// Remembers who has which network and address; an unchanged file is left alone.
    ///
    /// # Errors
    ///
    /// The system refuses.
    pub fn remember_network(&self, lock: &Lock) -> Result<(), StateError> {
        let (path, text) = (self.network_lock(), lock.to_text());
        if self.read(&path)?.as_deref() == Some(&text) {
            return Ok(());
        }
        self.write(&path, &text)
    }

    /// Which image and programs the VMs are made of; `None` before they were got.
    ///
    /// # Errors
    ///
    /// The file is unreadable or damaged.
    pub(crate) fn stock_record(&self) -> Result<Option<StockRecord>, StateError> {
        self.read_json(self.stock())
    }

    /// Remembers which image and programs the VMs are made of.
    ///
    /// # Errors
    ///
    /// The system refuses.
    pub(crate) fn remember_stock(&self, record: &StockRecord) -> Result<(), StateError> {
        self.keep_json(self.stock(), record)
    }
}
