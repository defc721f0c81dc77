//! What a run would do to a store: spec and what is there give a list; nothing is written.

use std::collections::BTreeMap;
use std::fmt;

use time::OffsetDateTime;

use crate::authorities::Authorities;
use crate::decide::{
    Action, AuthorityError, Decision, Existing, Reason, ServiceAccountError, decide,
    decide_authority, decide_service_account,
};
use crate::role::CaRole;
use crate::spec::{ItemId, PkiSpec, SpecError, WantedLeaf};
use crate::store::{ReadError, Store};
use crate::x509::Certificate;

/// No plan can be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PlanError {
    /// The spec contradicts itself.
    #[error(transparent)]
    Spec(#[from] SpecError),
    /// The store cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// An authority is damaged; it is never replaced silently.
    #[error(transparent)]
    Authority(#[from] Box<AuthorityError>),
    /// The service account key is damaged; it is never replaced silently.
    #[error(transparent)]
    ServiceAccount(#[from] Box<ServiceAccountError>),
}

/// One item and what happens to it.
#[derive(Debug, Clone, PartialEq)]
pub struct PlanItem {
    /// Which item.
    pub id: ItemId,
    /// What happens and why.
    pub decision: Decision,
    /// The leaf's content, when it is one.
    pub leaf: Option<WantedLeaf>,
}

impl fmt::Display for PlanItem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.id, self.decision)
    }
}

impl serde::Serialize for PlanItem {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use serde::ser::SerializeStruct as _;
        let mut item = serializer.serialize_struct("PlanItem", 3)?;
        item.serialize_field("item", &self.id)?;
        item.serialize_field("action", &self.decision.action)?;
        item.serialize_field("reason", &self.decision.reason.to_string())?;
        item.end()
    }
}

/// Which leaves are replaced that are in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Renewal {
    /// None before its time, see [`Certificate::renewal`].
    #[default]
    Due,
    /// All, each with a new key. Authorities and the service account key stay: they are rotated.
    All,
}

impl Renewal {
    fn applied(self, decision: Decision) -> Decision {
        match (self, &decision.reason) {
            (Self::All, Reason::Valid { not_after }) => Decision {
                action: Action::Renew,
                reason: Reason::Asked {
                    not_after: *not_after,
                },
            },
            _ => decision,
        }
    }
}

/// Everything that is wanted and what happens to each, authorities first.
#[derive(Debug, Clone, PartialEq)]
pub struct PkiPlan {
    spec: PkiSpec,
    renewal: Renewal,
    authorities: Authorities,
    items: Vec<PlanItem>,
}

/// What lies in a store, as far as a spec asks.
pub type Snapshot = BTreeMap<ItemId, Existing>;

/// Reads what a spec asks for from a store. A missing store is an empty one.
///
/// # Errors
/// A contradictory spec, or files that cannot be read.
pub fn observe(spec: &PkiSpec, store: &Store) -> Result<Snapshot, PlanError> {
    // A record that says nothing would leave it open which pair signs.
    store.rotations()?;
    let fixed = CaRole::ALL
        .into_iter()
        .map(ItemId::Authority)
        .chain([ItemId::ServiceAccount]);
    let leaves = spec.leaves()?.into_iter().map(|leaf| leaf.id);
    let read = |id: ItemId| store.existing(&id).map(|existing| (id, existing));
    Ok(fixed.chain(leaves).map(read).collect::<Result<_, _>>()?)
}

/// The same snapshot, in which an authority that is given stands where the store has none. A key alone there signs nothing
/// yet: it is what a killed run has left of the pair.
fn with_given(mut snapshot: Snapshot, authorities: &Authorities) -> Snapshot {
    for (role, given) in &authorities.given {
        let there = snapshot.entry(ItemId::Authority(*role)).or_default();
        if there.public_pem.is_none() {
            *there = Existing {
                public_pem: Some(given.public_pem.clone()),
                key_pem: Some(given.key_pem.clone()),
                unfinished: false,
                given: true,
            };
        }
    }
    snapshot
}

impl PkiPlan {
    /// Reads the store and decides about every item.
    ///
    /// # Errors
    /// A contradictory spec, an unreadable store, a damaged authority or service account key.
    pub fn new(spec: &PkiSpec, store: &Store, now: OffsetDateTime) -> Result<Self, PlanError> {
        Self::from_snapshot(spec, &observe(spec, store)?, now, Renewal::Due)
    }

    /// As [`PkiPlan::new`], and takes authorities of others into the store where it has none. One that it has stays, since
    /// there may be certificates below it, and since it may be the one that was given, rotated.
    ///
    /// # Errors
    /// As [`PkiPlan::new`]; an authority given for the place of another one of this crate.
    pub fn with_authorities(
        spec: &PkiSpec,
        store: &Store,
        authorities: &Authorities,
        now: OffsetDateTime,
    ) -> Result<Self, PlanError> {
        let snapshot = with_given(observe(spec, store)?, authorities);
        let plan = Self::from_snapshot(spec, &snapshot, now, Renewal::Due)?;
        Ok(Self {
            authorities: authorities.clone(),
            ..plan
        })
    }

    /// As [`PkiPlan::new`], and every leaf is made anew.
    ///
    /// # Errors
    /// As [`PkiPlan::new`].
    pub fn renewing(spec: &PkiSpec, store: &Store, now: OffsetDateTime) -> Result<Self, PlanError> {
        Self::from_snapshot(spec, &observe(spec, store)?, now, Renewal::All)
    }

    /// Decides about every item: pure. What the snapshot does not hold is missing.
    ///
    /// # Errors
    /// A contradictory spec, a damaged authority or service account key.
    pub fn from_snapshot(
        spec: &PkiSpec,
        snapshot: &Snapshot,
        now: OffsetDateTime,
        renewal: Renewal,
    ) -> Result<Self, PlanError> {
        let nothing = Existing::default();
        let found = |id: &ItemId| snapshot.get(id).unwrap_or(&nothing);
        let mut items = Vec::new();
        let mut authorities = BTreeMap::new();
        for role in CaRole::ALL {
            let id = ItemId::Authority(role);
            let decision = decide_authority(role, found(&id), now).map_err(Box::new)?;
            if decision.action == Action::Reuse {
                let pem = found(&id).public_pem.as_deref().unwrap_or_default();
                // `decide_authority` has read the same text, so it is there.
                authorities.extend(Certificate::from_pem(pem).ok().map(|ca| (role, ca)));
            }
            items.push(PlanItem {
                id,
                decision,
                leaf: None,
            });
        }
        let id = ItemId::ServiceAccount;
        let decision = decide_service_account(found(&id)).map_err(Box::new)?;
        items.push(PlanItem {
            id,
            decision,
            leaf: None,
        });
        for leaf in spec.leaves()? {
            let authority = authorities.get(&leaf.signer);
            let decision = decide(found(&leaf.id), &leaf.request, authority, now);
            let decision = renewal.applied(decision);
            items.push(PlanItem {
                id: leaf.id.clone(),
                decision,
                leaf: Some(leaf),
            });
        }
        Ok(Self {
            spec: spec.clone(),
            renewal,
            authorities: Authorities::default(),
            items,
        })
    }

    /// The items in the order in which they are made.
    #[must_use]
    pub fn items(&self) -> &[PlanItem] {
        &self.items
    }

    /// Whether there is nothing to do.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.items
            .iter()
            .all(|item| item.decision.action == Action::Reuse)
    }

    pub(crate) fn spec(&self) -> &PkiSpec {
        &self.spec
    }

    /// What the store holds now, with the authorities that are given.
    pub(crate) fn observe(&self, store: &Store) -> Result<Snapshot, PlanError> {
        Ok(with_given(observe(&self.spec, store)?, &self.authorities))
    }

    /// The same plan from another snapshot.
    pub(crate) fn again(
        &self,
        snapshot: &Snapshot,
        now: OffsetDateTime,
    ) -> Result<Self, PlanError> {
        Self::from_snapshot(&self.spec, snapshot, now, self.renewal)
    }
}

impl fmt::Display for PkiPlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.items.iter().try_for_each(|item| writeln!(f, "{item}"))
    }
}
