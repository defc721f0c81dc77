//! Signing other people's requests: the way of an authority whose key lies on none of the machines.
//!
//! From a request come the public key and the proof that its holder has the private half, and nothing else unless the policy
//! says so: not its usages, not its life, no extension, and no flag of an authority.

use time::{Duration, OffsetDateTime};

use crate::authority::{Authority, IssueError, LoadError};
use crate::ledger::{Intent, LedgerError};
use crate::name::AltNames;
use crate::random::Random;
use crate::request::{LeafRequest, Life, Purpose, RequestError, Subject};
use crate::role::CaRole;
use crate::spec::ItemId;
use crate::store::{ReadError, Store, WriteError};
use crate::x509::{ForeignRequest, ForeignRequestError, KeyAlgorithm};

/// Which alternative names a signed request gets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NamePolicy {
    /// These, whatever the request asks for.
    Fixed(AltNames),
    /// Those that the request asks for, if each of them is here; else it is refused.
    Among(AltNames),
}

/// What is signed for whoever proves to hold a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SigningPolicy {
    /// Whom the certificate is about. A request about somebody else is refused.
    pub subject: Subject,
    /// What it may be used for.
    pub purpose: Purpose,
    /// Its alternative names.
    pub names: NamePolicy,
    /// How long it lives.
    pub life: Life,
}

/// A request that is not signed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SignRequestError {
    /// It cannot be read.
    #[error("reading the certificate request of `{subject}`")]
    Request {
        /// Whom the policy is about.
        subject: String,
        /// What is wrong with it.
        #[source]
        source: ForeignRequestError,
    },
    /// Its sender does not hold the private key.
    #[error(
        "the certificate request of `{subject}` is not signed by its own key, so its sender may not hold it"
    )]
    Proof {
        /// Whom the policy is about.
        subject: String,
    },
    /// A key that not every program of a cluster takes.
    #[error(
        "the key in the request of `{subject}` is neither ECDSA P-256 or P-384 nor RSA; make such a key and ask again"
    )]
    KeyAlgorithm {
        /// Whom the policy is about.
        subject: String,
    },
    /// It asks for another identity.
    #[error("the request is about `{found}`, and the policy signs for `{wanted}` only")]
    Subject {
        /// Whom the request is about.
        found: String,
        /// Whom the policy is about.
        wanted: String,
    },
    /// It asks for names that the policy does not give.
    #[error("the request of `{subject}` asks for the names `{found}`; allowed are `{allowed}`")]
    Names {
        /// Whom the policy is about.
        subject: String,
        /// What it asks for.
        found: String,
        /// What the policy allows.
        allowed: String,
    },
    /// The policy itself cannot be fulfilled.
    #[error("the policy for `{subject}`")]
    Policy {
        /// Whom the policy is about.
        subject: String,
        /// What is wrong with it.
        #[source]
        source: RequestError,
    },
    /// The certificate could not be issued.
    #[error(transparent)]
    Issue(#[from] IssueError),
}

impl Authority {
    /// Signs a request (PEM, PKCS #10) by a policy, and checks the certificate as its peers will. What comes back is the
    /// certificate as PEM; the key stays with whoever asked.
    ///
    /// # Errors
    /// A request that cannot be read, has no proof, or asks for more than the policy gives; else as
    /// [`Authority::issue`]. A request that asks for fewer names than allowed is not an error.
    pub fn sign_request(
        &self,
        request_pem: &str,
        policy: &SigningPolicy,
        now: OffsetDateTime,
        random: &dyn Random,
    ) -> Result<String, SignRequestError> {
        let approved = approve(request_pem, policy)?;
        let serial = self.claim_serial(&approved.wanted, random)?;
        Ok(self.sign_approved(&approved, serial, now)?)
    }

    fn sign_approved(
        &self,
        approved: &Approved,
        serial: [u8; 16],
        now: OffsetDateTime,
    ) -> Result<String, IssueError> {
        let signer = self.signer();
        self.issue_by(&approved.wanted, serial, now, |params| {
            signer.sign_leaf_of(
                params,
                approved.request.public_key_der(),
                approved.algorithm,
            )
        })
    }
}

/// A request that could not be signed by an authority of a store.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreSignError {
    /// The store cannot be read, or lacks the authority.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The store cannot be locked.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// The authority cannot be used.
    #[error("loading ca/{}", role.name())]
    Load {
        /// Which authority.
        role: CaRole,
        /// What is wrong.
        #[source]
        source: Box<LoadError>,
    },
    /// Its number could not be reserved.
    #[error("reserving a serial number")]
    Ledger(#[from] LedgerError),
    /// The policy refuses it, or the certificate could not be issued.
    #[error(transparent)]
    Sign(#[from] Box<SignRequestError>),
}

impl Store {
    /// Signs a request by a policy with one of the authorities of this store, as [`Authority::sign_request`]; the number is
    /// in the ledger before the certificate exists. The certificate itself is not kept.
    ///
    /// # Errors
    /// As [`Authority::sign_request`]; the authority is missing or its key stays closed, another process writes to the
    /// store, or the disk refuses.
    pub fn sign_request(
        &self,
        role: CaRole,
        request_pem: &str,
        policy: &SigningPolicy,
        now: OffsetDateTime,
        random: &dyn Random,
    ) -> Result<String, StoreSignError> {
        let approved = approve(request_pem, policy).map_err(Box::new)?;
        let lock = self.lock()?;
        let pair = self.read(&ItemId::Authority(role))?;
        let authority = Authority::from_pem(&pair.public_pem, &pair.key_pem, now);
        let authority = authority.map_err(|source| StoreSignError::Load {
            role,
            source: Box::new(source),
        })?;
        let name = policy.subject.common_name().replace(' ', "_");
        // Certificates have whole seconds.
        let start = now - Duration::nanoseconds(now.nanosecond().into());
        let intent = Intent {
            item: format!("signed/{name}"),
            signer: role,
            not_after: start.saturating_add(policy.life.duration()),
        };
        let numbers = self.reserve_for(&lock, &[intent], random)?;
        let serial = numbers.first().expect("one number for one certificate");
        let signed = authority.sign_approved(&approved, *serial, now);
        Ok(signed.map_err(|source| Box::new(SignRequestError::Issue(source)))?)
    }
}

/// A request that a policy lets be signed, and what is signed of it.
struct Approved {
    request: ForeignRequest,
    wanted: LeafRequest,
    algorithm: KeyAlgorithm,
}

fn approve(request_pem: &str, policy: &SigningPolicy) -> Result<Approved, SignRequestError> {
    let subject = || policy.subject.to_string();
    let request = ForeignRequest::from_pem(request_pem).map_err(|source| {
        let subject = subject();
        SignRequestError::Request { subject, source }
    })?;
    let algorithm = judge(&request, policy)?;
    let names = match &policy.names {
        NamePolicy::Fixed(names) => names,
        NamePolicy::Among(_) => request.alt_names(),
    };
    let (who, purpose) = (policy.subject.clone(), policy.purpose);
    let wanted = LeafRequest::new(who, purpose, names.clone(), policy.life);
    let wanted = wanted.map_err(|source| {
        let subject = subject();
        SignRequestError::Policy { subject, source }
    })?;
    Ok(Approved {
        request,
        wanted,
        algorithm,
    })
}

/// Whether a policy lets a request be signed, and the kind of its key.
fn judge(
    request: &ForeignRequest,
    policy: &SigningPolicy,
) -> Result<KeyAlgorithm, SignRequestError> {
    let subject = policy.subject.to_string();
    if !request.proves_its_key() {
        return Err(SignRequestError::Proof { subject });
    }
    let same_name = request.common_name() == policy.subject.common_name();
    if !same_name || request.groups() != policy.subject.groups() {
        let groups = request.groups().iter().map(|group| format!(", O={group}"));
        let found = format!("CN={}{}", request.common_name(), groups.collect::<String>());
        return Err(SignRequestError::Subject {
            found,
            wanted: subject,
        });
    }
    if let NamePolicy::Among(allowed) = &policy.names
        && !allowed.contains(request.alt_names())
    {
        return Err(SignRequestError::Names {
            subject,
            found: request.alt_names().to_string(),
            allowed: allowed.to_string(),
        });
    }
    let algorithm = request.key_algorithm();
    algorithm.ok_or(SignRequestError::KeyAlgorithm { subject })
}
