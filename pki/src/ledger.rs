//! The ledger of a store: every serial number that its authorities have given, before a certificate with it exists.
//!
//! One line for each: number, authority, item, end of life. The file `ledger.txt` is written once a run; a run that was
//! killed has burnt the numbers that it did not use, which harms nobody.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::disk::read_text;
use crate::lock::WriteLock;
use crate::moment::rfc3339;
use crate::random::{Random, RandomError};
use crate::role::CaRole;
use crate::serial::{self, SerialLedger, SerialNumber};
use crate::spec::ItemId;
use crate::store::{KEY_MODE, ReadError, Store, WriteError};

/// One certificate that was issued, or was to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LedgerEntry {
    /// Its number.
    pub serial: SerialNumber,
    /// The authority that gave it, by [`CaRole::name`].
    pub authority: String,
    /// Whose certificate it is, as [`ItemId`] is shown; `signed/` and the common name for one that was signed by a policy,
    /// whose spaces are `_` here.
    pub item: String,
    /// The last second of its life.
    pub not_after: OffsetDateTime,
}

/// No numbers could be reserved.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LedgerError {
    /// The source of random bytes failed.
    #[error("drawing serial numbers")]
    Random(#[from] RandomError),
    /// The source gave a number again.
    #[error("serial number {serial} was given before; the source of random bytes is broken")]
    Repeated {
        /// The number.
        serial: SerialNumber,
    },
    /// The ledger cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The ledger cannot be written.
    #[error(transparent)]
    Write(#[from] WriteError),
}

/// A certificate that is about to be issued.
pub(crate) struct Intent<I> {
    pub(crate) item: I,
    pub(crate) signer: CaRole,
    pub(crate) not_after: OffsetDateTime,
}

/// The number that each leaf of a run has.
pub(crate) type Reserved = BTreeMap<ItemId, [u8; 16]>;

impl Store {
    /// Every number that the authorities of this store have given, the first one first: to look up what to revoke.
    ///
    /// # Errors
    /// The ledger cannot be read, or has a line that is none. A store without one is not an error.
    pub fn ledger(&self) -> Result<Vec<LedgerEntry>, ReadError> {
        let path = self.ledger_path();
        let text = read_text(&path)?.unwrap_or_default();
        let lines = text.lines().enumerate();
        lines
            .map(|(index, line)| {
                parse(line).ok_or_else(|| ReadError::Ledger {
                    path: path.clone(),
                    line: index + 1,
                })
            })
            .collect()
    }

    fn ledger_path(&self) -> PathBuf {
        self.root().join("ledger.txt")
    }

    /// Draws a number for each leaf of a run, and writes all of them down.
    pub(crate) fn reserve(
        &self,
        lock: &WriteLock,
        intents: &[Intent<ItemId>],
        random: &dyn Random,
    ) -> Result<Reserved, LedgerError> {
        let drawn = self.reserve_for(lock, intents, random)?;
        let items = intents.iter().map(|intent| intent.item.clone());
        Ok(items.zip(drawn).collect())
    }

    /// Draws a number for each certificate, and writes all of them down. What they are called has no space.
    pub(crate) fn reserve_for(
        &self,
        lock: &WriteLock,
        intents: &[Intent<impl fmt::Display>],
        random: &dyn Random,
    ) -> Result<Vec<[u8; 16]>, LedgerError> {
        let mut entries = self.ledger()?;
        let mut given: SerialLedger = entries.iter().map(|entry| entry.serial.clone()).collect();
        let mut reserved = Vec::new();
        for intent in intents {
            let drawn = serial::draw(random)?;
            let serial = SerialNumber::new(&drawn).expect("a drawn number is not zero");
            if !given.claim(serial.clone()) {
                return Err(LedgerError::Repeated { serial });
            }
            reserved.push(drawn);
            entries.push(LedgerEntry {
                serial,
                authority: intent.signer.name().to_owned(),
                item: intent.item.to_string(),
                not_after: intent.not_after,
            });
        }
        if !intents.is_empty() {
            let text: String = entries.iter().map(print).collect();
            let path = self.ledger_path();
            self.write(lock, &path, text.as_bytes(), KEY_MODE, &mut |_| {})?;
        }
        Ok(reserved)
    }
}

fn print(entry: &LedgerEntry) -> String {
    let end = rfc3339(entry.not_after);
    let (serial, authority, item) = (&entry.serial, &entry.authority, &entry.item);
    format!("{serial} {authority} {item} {end}\n")
}

fn parse(line: &str) -> Option<LedgerEntry> {
    let parts: Vec<&str> = line.split(' ').collect();
    let [serial, authority, item, end] = parts[..] else {
        return None;
    };
    Some(LedgerEntry {
        serial: serial.parse().ok()?,
        authority: authority.to_owned(),
        item: item.to_owned(),
        not_after: OffsetDateTime::parse(end, &Rfc3339).ok()?,
    })
}
