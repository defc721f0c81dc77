//! Whether the certificates of a member do what etcd needs of them, before it starts and while it runs.
//!
//! A bad certificate shows in etcd as a time-out, a refused connection or a line in the log of the *other*
//! side. Here it is named: which file of which member, what is wrong, and what mends it. The moment is the
//! caller's; the clock of a member's machine is looked at too, because a certificate that is good here may not
//! have begun there.
//!
//! The rules are those of etcd's source (`client/pkg/transport/{tls,listener,listener_tls}.go`), of Go's
//! verifier (RFC 5280) and of webpki, which this crate itself asks members through.

mod authorities;
mod judge;
mod on_host;
mod problem;
mod read;
mod served;

pub use authorities::{Authorities, AuthoritiesError};
pub use judge::{BadCertificates, Clocks, check, findings};
pub use on_host::{CheckCertificatesError, ObserveCertificatesError, check_on, faults, observe};
pub use problem::{CertificateFinding, CertificateProblem, CertificateUse};
pub use served::{ServedCertificate, served, served_condition};
