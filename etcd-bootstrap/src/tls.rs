//! With which certificates the members are asked.

use crate::{ClusterSpec, MemberName, MemberSpec};
use host_exec::https;
use rustls::ClientConfig;
use std::{collections::BTreeMap, fmt, path::PathBuf, sync::Arc};

/// Certificates that are missing or do not make a TLS client.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TlsError {
    /// A certificate or key of a member was not given, or is not text.
    #[error("member {member} has no certificate or key for {}; issue it first", .path.display())]
    Missing {
        /// The member.
        member: MemberName,
        /// Where it has to be.
        path: PathBuf,
    },
    /// The texts were given and are not usable.
    #[error("cannot use the {what} certificate for member {member}")]
    Unusable {
        /// The member.
        member: MemberName,
        /// `client` or `peer`.
        what: &'static str,
        /// The cause.
        #[source]
        source: https::TlsError,
    },
}

/// How to speak with each member: as a client at its client port, and as the member itself at its peer port.
///
/// The peer port accepts only who comes from an address in its certificate. A probe is dialled from the
/// member's own host, so the member's own peer certificate is the one that fits, and no other
/// needs to exist.
#[derive(Clone)]
pub struct Tls {
    members: BTreeMap<MemberName, MemberTls>,
}

#[derive(Clone)]
pub(crate) struct MemberTls {
    pub(crate) client: Arc<ClientConfig>,
    pub(crate) peer: Arc<ClientConfig>,
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls")
            .field("members", &self.members.keys())
            .finish_non_exhaustive()
    }
}

impl Tls {
    /// Takes authorities and peer identities from the certificates in `spec`; `certificate` and `key` (PEM)
    /// are those of a client that the members' client authority signed, such as pki's role
    /// `etcd-healthcheck-client`.
    ///
    /// # Errors
    ///
    /// One of the six files of a member was not given in [`MemberSpec::certificates`]; a text is not
    /// PEM; a key does not belong to its certificate.
    pub fn new(spec: &ClusterSpec, certificate: &str, key: &str) -> Result<Self, TlsError> {
        let one = |member: &MemberSpec| {
            let tls = MemberTls::new(member, (certificate, key))?;
            Ok((member.name.clone(), tls))
        };
        let members = spec.members().iter().map(one).collect::<Result<_, _>>()?;
        Ok(Self { members })
    }

    pub(crate) fn of(&self, name: &MemberName) -> Option<&MemberTls> {
        self.members.get(name)
    }
}

impl MemberTls {
    fn new(member: &MemberSpec, client: (&str, &str)) -> Result<Self, TlsError> {
        let text = |path: &PathBuf| {
            member.certificate(path).ok_or_else(|| TlsError::Missing {
                member: member.name.clone(),
                path: path.clone(),
            })
        };
        let unusable = |what| {
            let member = member.name.clone();
            move |source| TlsError::Unusable {
                member,
                what,
                source,
            }
        };
        let pki = &member.pki;
        for path in [&pki.server_certificate, &pki.server_key] {
            text(path)?;
        }
        let client = https::client_config(text(&pki.client_ca)?, Some(client))
            .map_err(unusable("client"))?;
        let identity = (text(&pki.peer_certificate)?, text(&pki.peer_key)?);
        let peer =
            https::client_config(text(&pki.peer_ca)?, Some(identity)).map_err(unusable("peer"))?;
        Ok(Self { client, peer })
    }
}
