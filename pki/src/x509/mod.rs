//! Everything that touches X.509 itself. rcgen is used in `key` and `sign` only, so that another
//! encoder can take its place; reading back is x509-parser's and verifying is webpki's work, so
//! that no mistake of the encoder is judged by the encoder.

mod certificate;
mod foreign_request;
mod key;
mod sign;
mod verify;

pub use certificate::{Certificate, CertificateError};
pub use foreign_request::{ForeignRequest, ForeignRequestError};
pub use key::{KeyError, PrivateKey};
pub use sign::SignError;
pub(crate) use sign::{AuthorityParams, LeafParams, encode_request, sign_authority, sign_leaf};
pub use verify::CheckError;
pub(crate) use verify::{check_authority, check_leaf, check_leaf_content, check_trust};
