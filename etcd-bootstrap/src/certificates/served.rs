//! The certificates that members present at their ports, whatever lies on their disks.

use super::{
    judge::{Clocks, Side, findings_of},
    problem::CertificateFinding,
    read,
};
use crate::{CLIENT_PORT, ClusterSpec, Hosts, MemberName, MemberSpec, PEER_PORT, Tls};
use futures::future::join_all;
use host_exec::{Condition, presented_certificates};
use serde::{Serialize, Serializer};
use std::{net::SocketAddr, time::Duration};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

/// A certificate as a member presents it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ServedCertificate {
    /// The member.
    pub member: MemberName,
    /// The port: [`CLIENT_PORT`] or [`PEER_PORT`].
    pub port: u16,
    /// The last second of its life; `None` if it cannot be read.
    #[serde(serialize_with = "rfc_3339")]
    pub not_after: Option<OffsetDateTime>,
    /// What is wrong with it at the moment it was looked at.
    pub findings: Vec<CertificateFinding>,
}

/// Asks both ports of every member for their certificates, each within `timeout`, and judges them as of `now` with the
/// authorities in `spec`. A port that presents none, because nothing listens there or the member has no host, is left
/// out: whoever asks the members otherwise knows why they are silent.
pub async fn served(
    spec: &ClusterSpec,
    hosts: &Hosts,
    tls: &Tls,
    now: OffsetDateTime,
    timeout: Duration,
) -> Vec<ServedCertificate> {
    let ports = spec.members().iter().flat_map(|member| {
        let client = member
            .client_ips
            .first()
            .map(|ip| (Side::Clients, *ip, CLIENT_PORT));
        let peer = Some((Side::Peers, member.peer_ip, PEER_PORT));
        let ports = [client, peer].into_iter().flatten();
        ports.map(move |(side, ip, port)| (member, side, SocketAddr::new(ip, port)))
    });
    let asked = ports.map(|(member, side, address)| async move {
        let (host, tls) = (hosts.get(&member.name)?, tls.of(&member.name)?);
        let tls = match side {
            Side::Clients => &tls.client,
            Side::Peers => &tls.peer,
        };
        let chain = presented_certificates(host.as_ref(), address, tls, timeout).await;
        Some(judge(member, side, address.port(), chain.ok()?, now))
    });
    join_all(asked).await.into_iter().flatten().collect()
}

fn judge(
    member: &MemberSpec,
    side: Side,
    port: u16,
    chain: Vec<rustls::pki_types::CertificateDer<'static>>,
    now: OffsetDateTime,
) -> ServedCertificate {
    let clocks = Clocks {
        here: now,
        member: None,
    };
    let (not_after, findings) = match read::chain(chain) {
        Ok(chain) => (
            chain.first().map(|leaf| leaf.not_after),
            findings_of(member, side, &chain, clocks),
        ),
        Err(problem) => {
            let path = match side {
                Side::Clients => &member.pki.server_certificate,
                Side::Peers => &member.pki.peer_certificate,
            };
            let finding = CertificateFinding {
                member: member.name.clone(),
                path: path.clone(),
                problem,
            };
            (None, vec![finding])
        }
    };
    ServedCertificate {
        member: member.name.clone(),
        port,
        not_after,
        findings,
    }
}

/// Whether all certificates that are presented are good, with the first to end as the evidence. `None` when there are
/// none to judge.
#[must_use]
pub fn served_condition(served: &[ServedCertificate]) -> Option<Condition> {
    let findings: Vec<String> = served
        .iter()
        .flat_map(|certificate| &certificate.findings)
        .map(ToString::to_string)
        .collect();
    let first = served.iter().filter_map(|c| Some((c.not_after?, c)));
    let (not_after, first) = first.min_by_key(|(not_after, _)| *not_after)?;
    let evidence = if findings.is_empty() {
        let ends = super::problem::moment(not_after);
        format!(
            "the first to end is that of {} at port {}, at {ends}",
            first.member, first.port
        )
    } else {
        findings.join("; ")
    };
    let name = "the certificates of etcd are good";
    Some(Condition::new(name, findings.is_empty(), evidence))
}

fn rfc_3339<S: Serializer>(
    moment: &Option<OffsetDateTime>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    let text = moment.and_then(|moment| moment.format(&Rfc3339).ok());
    text.serialize(serializer)
}
