//! Carrying out a plan: the only place where keys are drawn for a store and files written.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use time::{Duration, OffsetDateTime};

use crate::authority::{Authority, IssueError, LoadError};
use crate::decide::{Action, Existing, Reason};
use crate::ledger::{Intent, LedgerError, Reserved};
use crate::lock::WriteLock;
use crate::plan::{PkiPlan, PlanError, PlanItem, Snapshot};
use crate::random::{Random, RandomError};
use crate::request::{RequestError, Subject};
use crate::role::CaRole;
use crate::spec::{ItemId, WantedLeaf};
use crate::store::{KEY_MODE, PUBLIC_MODE, Store, WriteError, WriteStep};
use crate::x509::{KeyError, KeySpec, PrivateKey};

/// A plan was not carried out to its end. What was done stays, and the next run goes on from there.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ApplyError {
    /// The store could not be read again under the lock.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// The store is not what the plan was made from.
    #[error("the store has changed since it was planned, at {item}; plan again")]
    Stale {
        /// The first item about which the decision would be another one now.
        item: ItemId,
    },
    /// A file could not be written.
    #[error("storing {item}")]
    Write {
        /// The item.
        item: ItemId,
        /// What failed.
        #[source]
        source: WriteError,
    },
    /// The store could not be locked or its directory not made.
    #[error(transparent)]
    Lock(WriteError),
    /// An authority could not be loaded.
    #[error("loading ca/{}", role.name())]
    Load {
        /// Which authority.
        role: CaRole,
        /// What is wrong.
        #[source]
        source: Box<LoadError>,
    },
    /// A certificate could not be issued.
    #[error("issuing {item}")]
    Issue {
        /// The item.
        item: ItemId,
        /// What is wrong.
        #[source]
        source: Box<IssueError>,
    },
    /// The serial numbers of the run could not be reserved.
    #[error("reserving serial numbers")]
    Ledger(#[source] LedgerError),
    /// No salt could be drawn for a key under a pass phrase.
    #[error("encrypting the key of {item}")]
    Seal {
        /// The item.
        item: ItemId,
        /// The failure of the source.
        #[source]
        source: RandomError,
    },
    /// The subject of an authority was refused.
    #[error("naming {item}")]
    Subject {
        /// The item.
        item: ItemId,
        /// What is wrong.
        #[source]
        source: RequestError,
    },
    /// A key could not be drawn or read.
    #[error("the key of {item}")]
    Key {
        /// The item.
        item: ItemId,
        /// What is wrong.
        #[source]
        source: KeyError,
    },
}

/// Told while a plan is carried out.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Event {
    /// Whose file it is.
    pub item: ItemId,
    /// The file.
    pub file: PathBuf,
    /// How far it is.
    pub step: WriteStep,
}

impl Event {
    fn new(item: &ItemId, file: &Path, step: WriteStep) -> Self {
        Self {
            item: item.clone(),
            file: file.to_owned(),
            step,
        }
    }
}

/// What was done.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// The items that were made or renewed, in that order.
    pub written: Vec<ItemId>,
    /// How many were left as they were.
    pub reused: usize,
}

/// Carries out a plan. Nothing is opened for writing when there is nothing to do.
///
/// # Errors
/// Another writer, a store that changed since the plan, a failing disk, or a certificate that
/// could not be issued. All that was done before is kept.
pub fn apply(
    store: &Store,
    plan: &PkiPlan,
    now: OffsetDateTime,
    random: &dyn Random,
) -> Result<Report, ApplyError> {
    apply_with_events(store, plan, now, random, &mut |_| {})
}

/// As [`apply`], and tells each step of each file as it is reached.
///
/// # Errors
/// As [`apply`].
pub fn apply_with_events(
    store: &Store,
    plan: &PkiPlan,
    now: OffsetDateTime,
    random: &dyn Random,
    on_event: &mut dyn FnMut(Event),
) -> Result<Report, ApplyError> {
    if plan.is_done() {
        return Ok(Report {
            written: Vec::new(),
            reused: plan.items().len(),
        });
    }
    let lock = store.lock().map_err(ApplyError::Lock)?;
    let snapshot = plan.observe(store)?;
    check_fresh(plan, &plan.again(&snapshot, now)?)?;
    let reserved = reserve(store, &lock, plan, now, random)?;
    let authorities = BTreeMap::new();
    let mut run = Run {
        store,
        lock,
        snapshot,
        now,
        random,
        on_event,
        authorities,
        reserved,
    };
    let mut report = Report::default();
    for item in plan.items() {
        let reuse = item.decision.action == Action::Reuse;
        match (&item.id, &item.leaf) {
            (ItemId::Authority(role), _) if reuse => run.load_authority(*role)?,
            _ if reuse => {}
            (ItemId::Authority(role), _) if run.existing(&item.id).given => {
                run.take_authority(*role)?;
            }
            (ItemId::Authority(role), _) => run.make_authority(*role, plan)?,
            (ItemId::ServiceAccount, _) => run.make_service_account(plan.spec().key)?,
            (_, Some(_)) if is_unfinished(item) => run.finish_leaf(&item.id)?,
            (_, Some(leaf)) => run.make_leaf(leaf)?,
            (_, None) => {}
        }
        if reuse {
            report.reused += 1;
        } else {
            report.written.push(item.id.clone());
        }
    }
    Ok(report)
}

fn is_unfinished(item: &PlanItem) -> bool {
    item.decision.reason == Reason::Unfinished
}

/// A number for every leaf that is to be issued, on disk before the first of them exists.
fn reserve(
    store: &Store,
    lock: &WriteLock,
    plan: &PkiPlan,
    now: OffsetDateTime,
    random: &dyn Random,
) -> Result<Reserved, ApplyError> {
    let made = plan
        .items()
        .iter()
        .filter(|item| item.decision.action != Action::Reuse && !is_unfinished(item));
    let start = now - Duration::nanoseconds(now.nanosecond().into());
    let intents: Vec<_> = made
        .filter_map(|item| {
            let leaf = item.leaf.as_ref()?;
            Some(Intent {
                item: item.id.clone(),
                signer: leaf.signer,
                not_after: start.saturating_add(leaf.request.life().duration()),
            })
        })
        .collect();
    store
        .reserve(lock, &intents, random)
        .map_err(ApplyError::Ledger)
}

fn check_fresh(plan: &PkiPlan, fresh: &PkiPlan) -> Result<(), ApplyError> {
    let mut pairs = plan.items().iter().zip(fresh.items());
    match pairs.find(|(old, new)| old.decision.action != new.decision.action) {
        Some((old, _)) => Err(ApplyError::Stale {
            item: old.id.clone(),
        }),
        None => Ok(()),
    }
}

struct Run<'a> {
    store: &'a Store,
    lock: WriteLock,
    snapshot: Snapshot,
    now: OffsetDateTime,
    random: &'a dyn Random,
    on_event: &'a mut dyn FnMut(Event),
    authorities: BTreeMap<CaRole, Authority>,
    reserved: Reserved,
}

impl Run<'_> {
    fn existing(&self, id: &ItemId) -> Existing {
        self.snapshot.get(id).cloned().unwrap_or_default()
    }

    fn load_authority(&mut self, role: CaRole) -> Result<(), ApplyError> {
        let existing = self.existing(&ItemId::Authority(role));
        let certificate_pem = existing.public_pem.unwrap_or_default();
        let key_pem = existing.key_pem.unwrap_or_default();
        let authority =
            Authority::from_pem(&certificate_pem, &key_pem, self.now).map_err(|source| {
                ApplyError::Load {
                    role,
                    source: Box::new(source),
                }
            })?;
        self.authorities.insert(role, authority);
        Ok(())
    }

    /// Both halves of an authority that is given; the certificate last, since without it there is none.
    fn take_authority(&mut self, role: CaRole) -> Result<(), ApplyError> {
        let id = ItemId::Authority(role);
        self.load_authority(role)?;
        let Some(authority) = self.authorities.remove(&role) else {
            return Err(ApplyError::Stale { item: id });
        };
        self.write_key(&id, authority.key())?;
        self.write_public(&id, authority.certificate_pem().as_bytes())?;
        self.authorities.insert(role, authority);
        Ok(())
    }

    fn make_authority(&mut self, role: CaRole, plan: &PkiPlan) -> Result<(), ApplyError> {
        let id = ItemId::Authority(role);
        let subject =
            Subject::new(role.common_name(), &[]).map_err(|source| ApplyError::Subject {
                item: id.clone(),
                source,
            })?;
        let life = plan.spec().authority_life;
        let key = self.key_of(&id, plan.spec().key)?;
        let authority = Authority::create_with_key(key, &subject, life, self.now, self.random)
            .map_err(|source| ApplyError::Issue {
                item: id.clone(),
                source: Box::new(source),
            })?;
        if self.existing(&id).key_pem.is_none() {
            self.write_key(&id, authority.key())?;
        }
        self.write_public(&id, authority.certificate_pem().as_bytes())?;
        self.authorities.insert(role, authority);
        Ok(())
    }

    fn make_service_account(&mut self, kind: KeySpec) -> Result<(), ApplyError> {
        let id = ItemId::ServiceAccount;
        let key = self.key_of(&id, kind)?;
        if self.existing(&id).key_pem.is_none() {
            self.write_key(&id, &key)?;
        }
        self.write_public(&id, key.public_key_pem().as_bytes())
    }

    fn make_leaf(&mut self, leaf: &WantedLeaf) -> Result<(), ApplyError> {
        let authority = self.authorities.get(&leaf.signer);
        let (Some(authority), Some(serial)) = (authority, self.reserved.get(&leaf.id)) else {
            return Err(ApplyError::Stale {
                item: ItemId::Authority(leaf.signer),
            });
        };
        let issued = authority
            .issue_numbered(&leaf.request, *serial, self.now)
            .map_err(|source| ApplyError::Issue {
                item: leaf.id.clone(),
                source: Box::new(source),
            })?;
        let (item, on_event) = (leaf.id.clone(), &mut self.on_event);
        let on_step = &mut |file: &Path, step| on_event(Event::new(&item, file, step));
        let (key, public) = (&issued.key_pem, &issued.certificate_pem);
        self.store
            .write_pair(&self.lock, &leaf.id, key, public, on_step)
            .map_err(|source| ApplyError::Write { item, source })
    }

    /// What a killed run has left to do.
    fn finish_leaf(&mut self, id: &ItemId) -> Result<(), ApplyError> {
        let found = self.existing(id);
        let (key, public) = (
            found.key_pem.unwrap_or_default(),
            found.public_pem.unwrap_or_default(),
        );
        let (item, on_event) = (id.clone(), &mut self.on_event);
        let on_step = &mut |file: &Path, step| on_event(Event::new(&item, file, step));
        self.store
            .place_pair(&self.lock, id, &key, &public, on_step)
            .map_err(|source| ApplyError::Write { item, source })
    }

    /// The key that lies there already, or a new one.
    fn key_of(&self, id: &ItemId, kind: KeySpec) -> Result<PrivateKey, ApplyError> {
        match self.existing(id).key_pem {
            Some(pem) => PrivateKey::from_pem(&pem),
            None => PrivateKey::generate_for(kind),
        }
        .map_err(|source| ApplyError::Key {
            item: id.clone(),
            source,
        })
    }

    fn write_key(&mut self, id: &ItemId, key: &PrivateKey) -> Result<(), ApplyError> {
        let text = self.store.key_text(id, key, self.random);
        let text = text.map_err(|source| ApplyError::Seal {
            item: id.clone(),
            source,
        })?;
        self.write(id, self.store.key_path(id), text.as_bytes(), KEY_MODE)
    }

    fn write_public(&mut self, id: &ItemId, bytes: &[u8]) -> Result<(), ApplyError> {
        self.write(id, self.store.public_path(id), bytes, PUBLIC_MODE)
    }

    fn write(
        &mut self,
        id: &ItemId,
        file: PathBuf,
        bytes: &[u8],
        mode: u32,
    ) -> Result<(), ApplyError> {
        let on_event = &mut self.on_event;
        let mut on_step = |step| on_event(Event::new(id, &file, step));
        self.store
            .write(&self.lock, &file, bytes, mode, &mut on_step)
            .map_err(|source| ApplyError::Write {
                item: id.clone(),
                source,
            })
    }
}
