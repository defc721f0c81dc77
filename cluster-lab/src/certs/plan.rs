//! What is to be done about the certificates of a lab, with the authorities that it is given.

use crate::{Blueprint, Lab, ObserveError};
use pki::{Authorities, CaRole, ItemId, PkiPlan, Store};

impl Lab {
    /// Every certificate of the lab and what happens to it.
    pub(crate) fn plan_certificates(&self, blueprint: &Blueprint) -> Result<PkiPlan, ObserveError> {
        let (spec, store) = (&blueprint.pki, self.store());
        let authorities = self.given_authorities(&store)?;
        Ok(PkiPlan::with_authorities(
            spec,
            &store,
            &authorities,
            self.now,
        )?)
    }

    /// The authorities that somebody else has made. Once the store has all, their directory may be gone.
    fn given_authorities(&self, store: &Store) -> Result<Authorities, ObserveError> {
        let has = |role| store.public_path(&ItemId::Authority(role)).exists();
        match &self.spec.pki.authorities {
            Some(directory) if !CaRole::ALL.into_iter().all(has) => Ok(Authorities::read(
                directory,
                self.passphrase.as_ref(),
                self.now,
            )?),
            _ => Ok(Authorities::default()),
        }
    }
}
