//! Everything that touches X.509 itself. rcgen is used in `key` and `sign` only, so that another
//! encoder can take its place; reading back is x509-parser's and verifying is webpki's work, so
//! that no mistake of the encoder is judged by the encoder.

mod certificate;
mod container;
mod foreign_request;
mod key;
mod passphrase;
mod pem;
mod pkcs12;
mod revocations;
mod sign;
mod verify;

pub(crate) use certificate::hex;
pub use certificate::{Certificate, CertificateError};
pub use foreign_request::{ForeignRequest, ForeignRequestError};
pub use key::{KeyAlgorithm, KeyError, KeySpec, PrivateKey};
pub use passphrase::{Passphrase, PassphraseError};
pub(crate) use pem::encode as encode_pem;
pub(crate) use pkcs12::encode_pkcs12;
pub use revocations::RevocationListError;
pub(crate) use revocations::check_revocations;
pub use sign::SignError;
pub(crate) use sign::{
    AuthorityParams, LeafParams, RevocationParams, Signer, encode_request, sign_authority,
};
pub use verify::CheckError;
pub(crate) use verify::{
    check_authority, check_leaf, check_leaf_content, check_own_authority, check_trust,
    may_sign_revocations,
};
