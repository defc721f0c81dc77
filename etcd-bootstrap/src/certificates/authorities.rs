//! Certificates for a cluster whose caller keeps no store of them.

use crate::{MemberPems, MemberSpec};
use pki::{
    AltNames, Authority, HostName, IssueError, Issued, LeafRequest, LeafRole, Life, NameError,
    Random, RequestError, Subject,
};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use time::OffsetDateTime;

/// A certificate that could not be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AuthoritiesError {
    /// A name or address that no certificate can hold.
    #[error(transparent)]
    Name(#[from] NameError),
    /// A request that no certificate can fulfil.
    #[error(transparent)]
    Request(#[from] RequestError),
    /// The authority could not issue it.
    #[error(transparent)]
    Issue(#[from] IssueError),
}

/// The two authorities of a cluster: one for servers and their clients, one for members towards each other. Were they
/// one, any client could join as a member.
///
/// The roles are those of [`pki::PROFILES`], so the certificates are as `pki`'s store would have them. The keys live
/// in memory: who wants to issue again tomorrow, or renew, keeps them with [`pki::Store`].
#[derive(Debug)]
pub struct Authorities {
    clients: Authority,
    peers: Authority,
}

impl Authorities {
    /// Makes two authorities that live ten years from `now`.
    ///
    /// # Errors
    ///
    /// A failing source of random bytes or an impossible clock.
    pub fn create(now: OffsetDateTime, random: &dyn Random) -> Result<Self, AuthoritiesError> {
        let make = |role: LeafRole| {
            let subject = Subject::new(role.profile().signer.common_name(), &[])?;
            let made = Authority::create(&subject, Life::AUTHORITY, now, random)?;
            Ok::<_, AuthoritiesError>(made)
        };
        Ok(Self {
            clients: make(LeafRole::EtcdServer)?,
            peers: make(LeafRole::EtcdPeer)?,
        })
    }

    /// The same member with certificates and keys of its own, a year from `now`, at the paths of
    /// [`MemberSpec::pki`].
    ///
    /// # Errors
    ///
    /// As [`Authorities::create`]; a name or address of the member that no certificate can hold.
    pub fn equip(
        &self,
        member: MemberSpec,
        now: OffsetDateTime,
        random: &dyn Random,
    ) -> Result<MemberSpec, AuthoritiesError> {
        let peer_ips = [member.peer_ip];
        let server = leaf(LeafRole::EtcdServer, &member, &member.client_ips)?;
        let peer = leaf(LeafRole::EtcdPeer, &member, &peer_ips)?;
        let server = self.clients.issue(&server, now, random)?;
        let peer = self.peers.issue(&peer, now, random)?;
        Ok(member.with_pems(MemberPems {
            client_ca: self.clients.certificate_pem(),
            peer_ca: self.peers.certificate_pem(),
            server: (&server.certificate_pem, &server.key_pem),
            peer: (&peer.certificate_pem, &peer.key_pem),
        }))
    }

    /// A certificate for a client, a year from `now`, such as [`Tls::new`](crate::Tls::new) takes. etcd calls the
    /// client by `name` where it has users.
    ///
    /// # Errors
    ///
    /// As [`Authorities::create`]; a name of no or more than 64 characters.
    pub fn client(
        &self,
        name: &str,
        now: OffsetDateTime,
        random: &dyn Random,
    ) -> Result<Issued, AuthoritiesError> {
        let names = AltNames::new(vec![], vec![])?;
        let purpose = LeafRole::EtcdHealthcheckClient.profile().purpose;
        let request = LeafRequest::new(Subject::new(name, &[])?, purpose, names, Life::LEAF)?;
        Ok(self.clients.issue(&request, now, random)?)
    }
}

/// What a member's certificate of this role says: its name and addresses, and those of the machine to itself.
fn leaf(
    role: LeafRole,
    member: &MemberSpec,
    ips: &[IpAddr],
) -> Result<LeafRequest, AuthoritiesError> {
    let name = member.name.as_str();
    let own = AltNames::new(vec![HostName::new(name)?], ips.to_vec())?;
    let loopback = [Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()];
    let names = AltNames::new(vec![HostName::new("localhost")?], loopback.into())?;
    let purpose = role.profile().purpose;
    let subject = Subject::new(name, &[])?;
    Ok(LeafRequest::new(
        subject,
        purpose,
        own.union(&names),
        Life::LEAF,
    )?)
}
