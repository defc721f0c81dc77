//! How an authority, or the key of service accounts, is replaced while the cluster runs.
//!
//! kubeadm has no way for it (kubeadm#2015); this follows kubernetes.io, "Manual Rotation of CA Certificates", and
//! the order that was measured for etcd. Four phases, each a state of the whole cluster, so that whoever is killed in
//! one goes on by bringing the cluster to it again:
//!
//! | phase | made by | trusted | signs |
//! |---|---|---|---|
//! | [`Add`](Phase::Add) | the new pair is in the store | old | old |
//! | [`Trust`](Phase::Trust) | bundles of both go out, and who reads them at its start is started anew | both | old |
//! | [`Swap`](Phase::Swap) | every leaf is issued anew and goes out | both | new |
//! | [`Drop`](Phase::Drop) | bundles of the new alone go out | new | new |
//!
//! After the last the old pair is removed ([`finish`]). Every phase but the last can be left backwards.

mod store;

pub(crate) use store::signing_half;
pub use store::{RotationError, advance, begin, finish, step_back};

use std::fmt;
use std::str::FromStr;

use crate::role::CaRole;
use crate::spec::ItemId;

/// What is rotated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Rotated {
    /// An authority.
    Authority(CaRole),
    /// The key pair that signs service account tokens.
    ServiceAccount,
}

impl ItemId {
    /// What of it can be rotated; nothing of a leaf, which is renewed.
    pub(crate) const fn rotated(&self) -> Option<Rotated> {
        match self {
            Self::Authority(role) => Some(Rotated::Authority(*role)),
            Self::ServiceAccount => Some(Rotated::ServiceAccount),
            Self::Leaf { .. } => None,
        }
    }
}

/// A word that names nothing which can be rotated.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is nothing that can be rotated; give kubernetes, front-proxy, etcd, etcd-peer or service-account"
)]
pub struct InvalidRotated(String);

impl Rotated {
    /// All that can be rotated.
    pub const ALL: [Self; 5] = [
        Self::Authority(CaRole::Kubernetes),
        Self::Authority(CaRole::FrontProxy),
        Self::Authority(CaRole::Etcd),
        Self::Authority(CaRole::EtcdPeer),
        Self::ServiceAccount,
    ];

    /// The name in commands and plans.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Authority(role) => role.name(),
            Self::ServiceAccount => "service-account",
        }
    }

    /// The item of the store that it is.
    #[must_use]
    pub const fn item(self) -> ItemId {
        match self {
            Self::Authority(role) => ItemId::Authority(role),
            Self::ServiceAccount => ItemId::ServiceAccount,
        }
    }
}

impl fmt::Display for Rotated {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Rotated {
    type Err = InvalidRotated;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let found = Self::ALL.into_iter().find(|one| one.name() == text);
        found.ok_or_else(|| InvalidRotated(text.to_owned()))
    }
}

impl serde::Serialize for Rotated {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

/// One of the two pairs of a rotation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Generation {
    /// The one that was there.
    Old,
    /// The one that is to stay.
    New,
}

/// How far a rotation has come. The order is the order of the phases.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// The new pair has been made, and nobody has it.
    Add,
    /// Both are trusted, the old one signs.
    Trust,
    /// Both are trusted, the new one signs.
    Swap,
    /// The new one alone is trusted.
    Drop,
}

/// The last phase has no way back: what trusted the old one alone has been told to forget it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "the old one is being dropped, and from there the only way is forward; run the rotation again to finish it"
)]
pub struct NoWayBack;

impl Phase {
    /// All, in order.
    pub const ALL: [Self; 4] = [Self::Add, Self::Trust, Self::Swap, Self::Drop];

    /// The word in records and commands.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Add => "add",
            Self::Trust => "trust",
            Self::Swap => "swap",
            Self::Drop => "drop",
        }
    }

    /// Who signs new leaves in this phase.
    #[must_use]
    pub const fn signer(self) -> Generation {
        match self {
            Self::Add | Self::Trust => Generation::Old,
            Self::Swap | Self::Drop => Generation::New,
        }
    }

    /// Who is trusted in this phase.
    #[must_use]
    pub const fn trusted(self) -> &'static [Generation] {
        match self {
            Self::Add => &[Generation::Old],
            Self::Trust | Self::Swap => &[Generation::Old, Generation::New],
            Self::Drop => &[Generation::New],
        }
    }

    /// The phase after this one; none after the last.
    #[must_use]
    pub const fn next(self) -> Option<Self> {
        match self {
            Self::Add => Some(Self::Trust),
            Self::Trust => Some(Self::Swap),
            Self::Swap => Some(Self::Drop),
            Self::Drop => None,
        }
    }

    /// The phase before this one; `None` is the cluster as it was, without a rotation.
    ///
    /// # Errors
    /// There is no way back from [`Phase::Drop`].
    pub const fn back(self) -> Result<Option<Self>, NoWayBack> {
        match self {
            Self::Add => Ok(None),
            Self::Trust => Ok(Some(Self::Add)),
            Self::Swap => Ok(Some(Self::Trust)),
            Self::Drop => Err(NoWayBack),
        }
    }
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A word that is no phase.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no phase of a rotation; give add, trust, swap or drop")]
pub struct InvalidPhase(String);

impl FromStr for Phase {
    type Err = InvalidPhase;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let found = Self::ALL.into_iter().find(|phase| phase.name() == text);
        found.ok_or_else(|| InvalidPhase(text.to_owned()))
    }
}

/// The common name of the authority that comes after one: `kubernetes`, `kubernetes g2`, `kubernetes g3`. Two of one
/// name are told apart by key identifiers alone, and not every verifier looks at them (OpenSSL without them: error 7).
#[must_use]
pub fn next_common_name(role: CaRole, current: &str) -> String {
    let number = generation(role, current).unwrap_or(1);
    format!("{} g{}", role.common_name(), number.saturating_add(1))
}

/// The identifier by which tokens name the key that signed them, from its public half in PEM; `None` if that is none.
/// Kubernetes takes SHA-256 over the `SubjectPublicKeyInfo`, in base64url without padding
/// (`pkg/serviceaccount/jwt.go`, `keyIDFromPublicKey`).
#[must_use]
pub fn token_key_id(public_pem: &str) -> Option<String> {
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    use rustls_pki_types::{SubjectPublicKeyInfoDer, pem::PemObject as _};
    use sha2::Digest as _;
    let der = SubjectPublicKeyInfoDer::from_pem_slice(public_pem.as_bytes()).ok()?;
    Some(URL_SAFE_NO_PAD.encode(sha2::Sha256::digest(der.as_ref())))
}

/// Which generation of an authority has this common name; `None` if none has.
pub(crate) fn generation(role: CaRole, common_name: &str) -> Option<u32> {
    let rest = common_name.strip_prefix(role.common_name())?;
    if rest.is_empty() {
        return Some(1);
    }
    let digits = rest.strip_prefix(" g")?;
    let number: u32 = digits.parse().ok()?;
    // One text for each number.
    (number >= 2 && digits == number.to_string()).then_some(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_signs_is_trusted_before_and_after_each_step() {
        for phase in Phase::ALL {
            assert!(phase.trusted().contains(&phase.signer()), "{phase}");
            let Some(next) = phase.next() else { continue };
            // While one machine is a phase ahead of another, each trusts the leaves of the other.
            assert!(next.trusted().contains(&phase.signer()) || next == Phase::Drop);
            assert!(
                phase.trusted().contains(&next.signer()),
                "{phase} to {next}"
            );
            assert!(next == Phase::Drop || next.back() == Ok(Some(phase)));
        }
        // Before old leaves are refused, none is in use.
        assert_eq!(Phase::Swap.signer(), Generation::New);
        assert_eq!(Phase::Drop.back(), Err(NoWayBack));
        assert_eq!(Phase::Add.back(), Ok(None));
    }

    #[test]
    fn generations_are_counted() {
        let role = CaRole::Kubernetes;
        assert_eq!(next_common_name(role, "kubernetes"), "kubernetes g2");
        assert_eq!(next_common_name(role, "kubernetes g9"), "kubernetes g10");
        for other in [
            "kubernetes g1",
            "kubernetes g02",
            "kubernetes g",
            "kubernetesg2",
            "etcd-ca",
            "",
        ] {
            assert_eq!(generation(role, other), None, "{other}");
        }
    }

    #[test]
    fn names_are_read_back() {
        for one in Rotated::ALL {
            assert_eq!(one.name().parse(), Ok(one));
        }
        assert!("etcd-ca".parse::<Rotated>().is_err());
        for phase in Phase::ALL {
            assert_eq!(phase.name().parse(), Ok(phase));
        }
        assert!("Add".parse::<Phase>().is_err());
    }
}
