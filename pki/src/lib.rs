//! A certificate authority for etcd and Kubernetes clusters, with its store on the local disk.
//!
//! A [`PkiSpec`] says which machines there are; [`PkiPlan::new`] compares it with a [`Store`] and
//! says what is missing or too old; [`apply`] makes that, and nothing on a second run. Which file
//! goes to which machine is data: [`PkiSpec::files_for_control_plane`] and its siblings, whose
//! bytes [`Store::contents`] gives.
//!
//! ```
//! use pki::{Authority, LeafRequest, Life, AltNames, OsRandom, Purpose, Subject, HostName};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! // The clock is the caller's, so that tests and repairs can choose the moment.
//! let now = time::OffsetDateTime::from_unix_timestamp(1_800_000_000)?;
//! let subject = Subject::new("etcd-ca", &[])?;
//! let authority = Authority::create(&subject, Life::AUTHORITY, now, &OsRandom)?;
//!
//! let names = AltNames::new(vec![HostName::new("etcd-0")?], vec!["10.0.0.2".parse()?])?;
//! let subject = Subject::new("etcd-0", &[])?;
//! let request = LeafRequest::new(subject, Purpose::ServerAndClient, names, Life::LEAF)?;
//! let issued = authority.issue(&request, now, &OsRandom)?;
//! assert!(issued.certificate_pem.starts_with("-----BEGIN CERTIFICATE-----"));
//! assert!(authority.certificate().public_key_pin().starts_with("sha256:"));
//! # Ok(())
//! # }
//! ```
//!
//! # What it does not do
//!
//! No intermediate authorities, no OCSP, no ACME; PKCS #12 is written, not read. kube-apiserver reads no revocation
//! list, so [`Authority::revocation_list`] is for etcd. It never reaches another machine: the caller copies the
//! files. Private keys are drawn by `ring` (with the feature `aws-lc-rs` by that library) from the operating system
//! whatever [`Random`] is given. Copies of a key which rcgen makes on its way are not wiped, only the texts that this
//! crate hands out.
//!
//! # Invariants
//!
//! - Every certificate is read back, compared with its request and verified by webpki for each
//!   usage and name before anything is written.
//! - What is accepted here is accepted by Go and by webpki (tests/data/verifiers.txt).
//! - No leaf lives past its authority, none has a name that its authority may not vouch for, and none is without an
//!   extended key usage.
//! - An authority gives no serial number twice, and a store writes each down before it is used.
//! - An authority or the service account key is never replaced by itself: damage is an error.
//! - A crash at any moment leaves each pair old or new; the next run finishes what was begun.
//! - Key files are 0600 from their first byte, and no `Debug` or error shows a key.
//!
//! Follows RFC 5280 (certificates and lists), RFC 2986 (requests), RFC 5958, 5915, 8017, 8018 and 7468 (keys, PEM),
//! RFC 7292 (PKCS #12), and kubernetes.io, "PKI certificates and requirements".

mod adopt;
mod apply;
mod authorities;
mod authority;
mod bundle;
mod certificate_request;
mod constraints;
mod decide;
mod disk;
mod expiry;
mod files;
mod kubeconfig;
mod ledger;
mod lock;
mod manifest;
mod moment;
mod name;
mod pair;
mod passphrase_file;
mod pkcs12;
mod plan;
mod random;
mod renewal;
mod request;
mod revocation;
mod role;
pub mod rotation;
mod sealed;
mod seen;
mod serial;
mod signing_policy;
mod spec;
mod store;
mod token;
mod version;
mod x509;

pub use adopt::{AdoptError, adopt, fold_etcd_peers};
pub use apply::{ApplyError, Event, Report, apply, apply_with_events};
pub use authorities::{Authorities, AuthoritiesError};
pub use authority::{Authority, IssueError, Issued, LoadError};
pub use bundle::{bundle, read_bundle};
pub use certificate_request::{AnswerError, CertificateRequest, RequestCreateError};
pub use constraints::{ConstraintsError, NameConstraints};
pub use decide::{
    Action, AuthorityError, Decision, Existing, Reason, ServiceAccountError, decide,
    decide_authority, decide_service_account,
};
pub use expiry::{Expiry, ExpiryLevel, expiry};
pub use files::{FileContent, NodeFile, UnknownNode};
pub use kubeconfig::{bootstrap_kubeconfig, kubeconfig, kubeconfig_of_file};
pub use ledger::{LedgerEntry, LedgerError};
pub use manifest::{ManifestEntry, manifest};
pub use name::{AltNames, ApiUrl, HostName, NameError, WildcardName};
pub use passphrase_file::PassphraseFileError;
pub use pkcs12::{Pkcs12Error, pkcs12};
pub use plan::{PkiPlan, PlanError, PlanItem, Renewal, Snapshot, observe};
pub use random::{OsRandom, Random, RandomError};
pub use request::{AuthorityRequest, LeafRequest, Life, Purpose, RequestError, Subject};
pub use revocation::{RevocationList, RevocationReason, RevokeError, Revoked};
pub use role::{
    AltNameRule, CaRole, CommonName, GroupsSince, LeafRole, PROFILES, Placement, Profile,
    RequiredBinding, Scope, required_bindings,
};
pub use sealed::SealError;
pub use seen::certificate_in;
pub use serial::{SerialError, SerialLedger, SerialNumber};
pub use signing_policy::{NamePolicy, SignRequestError, SigningPolicy, StoreSignError};
pub use spec::{
    InvalidItem, ItemId, KubeletClients, NodeNames, Owner, PkiSpec, SpecError, WantedLeaf,
};
pub use store::{Material, ReadError, Store, WriteError, WriteStep};
pub use token::{BootstrapToken, TokenError};
pub use version::{KubernetesVersion, VersionError};
pub use x509::{
    Certificate, CertificateError, CheckError, ForeignRequest, ForeignRequestError, KeyAlgorithm,
    KeyError, KeySpec, Passphrase, PassphraseError, PrivateKey, RevocationListError, SignError,
};
