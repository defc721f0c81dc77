//! Authorities and certificates of a cluster under test.

use anyhow::Context as _;
use pki::{AltNames, Authority, Issued, LeafRequest, Life, OsRandom, Purpose, Subject};
use serde::{Deserialize, Serialize};
use std::net::IpAddr;
use time::{Duration, OffsetDateTime};

/// A certificate with its key, both PEM. Keys of a test are nobody's secret.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Pair {
    /// The certificate.
    pub certificate: String,
    /// The key.
    pub key: String,
}

impl From<Issued> for Pair {
    fn from(issued: Issued) -> Self {
        Self {
            certificate: issued.certificate_pem,
            key: issued.key_pem.to_string(),
        }
    }
}

/// How old an authority is: older than a leaf that has expired.
const AGE: Duration = Duration::days(90);
/// How long a leaf lives.
pub const LEAF_LIFE: Duration = Duration::days(30);

/// An authority of some age.
///
/// # Errors
///
/// The system gives no random numbers.
pub fn authority(name: &str) -> anyhow::Result<Authority> {
    let (subject, made) = (Subject::new(name, &[])?, OffsetDateTime::now_utc() - AGE);
    let made = Authority::create(&subject, Life::AUTHORITY, made, &OsRandom);
    made.context("cannot make an authority")
}

/// A certificate by `issuer` for these addresses; for a client where there are none.
///
/// # Errors
///
/// The authority cannot issue at `now`.
pub fn leaf(issuer: &Authority, ips: &[IpAddr], now: OffsetDateTime) -> anyhow::Result<Pair> {
    let purpose = match ips {
        [] => Purpose::Client,
        _ => Purpose::ServerAndClient,
    };
    let names = AltNames::new(vec![], ips.to_vec())?;
    let life = Life::days(u32::try_from(LEAF_LIFE.whole_days())?)?;
    let request = LeafRequest::new(Subject::new("etcd", &[])?, purpose, names, life)?;
    let issued = issuer.issue(&request, now, &OsRandom);
    Ok(issued.context("cannot issue a certificate")?.into())
}
