//! A rotation that has begun and not ended, in the way of what changes a lab otherwise.

use crate::Lab;
use pki::{
    ReadError,
    rotation::{Phase, Rotated},
};

/// A lab is in the middle of a rotation, and has to come out of it first.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RotatingError {
    /// It can be gone on with, or taken back.
    #[error(
        "the rotation of {rotated} is at `{at}`; end it first with `lab certs rotate {rotated}`{}",
        way_back(*.rotated, *.at)
    )]
    UnderWay {
        /// What is being rotated.
        rotated: Rotated,
        /// How far it is.
        at: Phase,
    },
    /// How far cannot be read.
    #[error(transparent)]
    Store(#[from] ReadError),
}

fn way_back(rotated: Rotated, at: Phase) -> String {
    match at.back() {
        Ok(_) => format!(", or take it back with `lab certs rotate {rotated} --back`"),
        Err(_) => String::new(),
    }
}

impl Lab {
    /// Refuses what must not meet a rotation, but for that of `own`.
    pub(crate) fn refuse_rotating(&self, own: Option<Rotated>) -> Result<(), RotatingError> {
        let mut under_way = self.store().rotations()?.into_iter();
        match under_way.find(|(rotated, _)| Some(*rotated) != own) {
            Some((rotated, at)) => Err(RotatingError::UnderWay { rotated, at }),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pki::CaRole;

    #[test]
    fn the_remedy_is_one_that_is_left() {
        let said = |at| {
            let rotated = Rotated::Authority(CaRole::Etcd);
            RotatingError::UnderWay { rotated, at }.to_string()
        };
        assert_eq!(
            said(Phase::Trust),
            "the rotation of etcd is at `trust`; end it first with `lab certs rotate etcd`, or take it back with `lab \
             certs rotate etcd --back`"
        );
        assert!(said(Phase::Drop).ends_with("end it first with `lab certs rotate etcd`"));
    }
}
