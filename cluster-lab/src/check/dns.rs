//! Whether the cluster's name server answers a node, over its service addresses of both families.

use crate::{
    Blueprint, Hosts,
    blueprint::{both, host_name, ranges},
};
use hickory_proto::{
    op::{Message, Query},
    rr::{Name, RData, RecordType},
};
use host_exec::{Condition, Host};
use netplan::{Family, Role};
use std::{
    io,
    net::{IpAddr, SocketAddr},
    time::Duration,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// A name that every cluster has.
const NAME: &str = "kubernetes.default.svc.cluster.local.";

/// How long an answer may take where it has to come: longer than the second after which a lost first packet is
/// sent again.
pub(crate) const ANSWER_LIMIT: Duration = Duration::from_secs(2);

/// Asks the name server from the first worker, over both families; each answer may take `limit`.
pub(crate) async fn conditions(
    blueprint: &Blueprint,
    hosts: &Hosts,
    limit: Duration,
) -> Vec<Condition> {
    let mut conditions = Vec::new();
    let limit = limit.mul_f64(blueprint.spec.patience);
    for node in blueprint.network.role(Role::Worker).take(1) {
        let from = hosts.get(&host_name(node));
        for family in Family::BOTH {
            let services = ranges(&blueprint.network).services;
            let Some(server) = services.dns.of(family) else {
                continue;
            };
            let answer = match from {
                Some(from) => answer(from.as_ref(), server, family, limit).await,
                None => Err(io::ErrorKind::HostUnreachable.into()),
            };
            let (expected, _) = both(services.api);
            let (ok, evidence) = match answer {
                Ok(addresses) => {
                    let found = addresses.contains(&IpAddr::from(expected));
                    (
                        found,
                        format!("{NAME} is {addresses:?}, asked from {}", node.name),
                    )
                }
                Err(error) => (false, format!("asked from {}: {error}", node.name)),
            };
            conditions.push(Condition::new(
                format!("DNS answers at {server}"),
                ok,
                evidence,
            ));
        }
    }
    conditions
}

/// The answer, or that there was none in time.
async fn answer(
    from: &dyn Host,
    server: IpAddr,
    family: Family,
    limit: Duration,
) -> io::Result<Vec<IpAddr>> {
    let asked = tokio::time::timeout(limit, ask(from, server, family, limit)).await;
    asked.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
}

/// Asks over TCP (RFC 7766): two octets of length, then the message.
async fn ask(
    from: &dyn Host,
    server: IpAddr,
    family: Family,
    limit: Duration,
) -> io::Result<Vec<IpAddr>> {
    let name = Name::from_ascii(NAME).map_err(io::Error::other)?;
    let mut message = Message::query();
    // The family is in the identifier, so that an answer that went astray is not taken for the other's.
    message.metadata.id = if family == Family::V4 { 4 } else { 6 };
    message.metadata.recursion_desired = true;
    message.add_query(Query::query(name, RecordType::A));
    let query = message.to_vec().map_err(io::Error::other)?;
    let stream = from.dial(SocketAddr::new(server, 53), limit).await;
    let mut stream = stream.map_err(|error| error.source)?;
    let length = u16::try_from(query.len()).map_err(io::Error::other)?;
    stream
        .write_all(&[&length.to_be_bytes()[..], &query].concat())
        .await?;
    let mut answer = vec![0; usize::from(stream.read_u16().await?)];
    stream.read_exact(&mut answer).await?;
    let answer = Message::from_vec(&answer).map_err(io::Error::other)?;
    let addresses = answer
        .answers
        .iter()
        .filter_map(|record| match record.data {
            RData::A(address) => Some(IpAddr::from(address.0)),
            RData::AAAA(address) => Some(IpAddr::from(address.0)),
            _ => None,
        });
    Ok(addresses.collect())
}
