//! The certificates that lie on a member's machine, whoever wrote them.

use super::{
    judge::{BadCertificates, Clocks, findings},
    problem::{CertificateFinding, CertificateProblem},
};
use crate::{
    CertificateFault, ClusterSpec, Hosts, MemberName, MemberSpec, MemberState, Observed,
    Unreachable, probe::host_of,
};
use futures::future::try_join_all;
use host_exec::{ClockError, File, FileError, Host};
use std::collections::BTreeMap;
use time::OffsetDateTime;

/// Certificates that must not be used, or machines that could not be asked for their time.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CheckCertificatesError {
    /// What is wrong with them.
    #[error(transparent)]
    Bad(#[from] BadCertificates),
    /// The caller gave no host for a member.
    #[error(transparent)]
    Unreachable(#[from] Unreachable),
    /// A machine does not tell the time.
    #[error(transparent)]
    Clock(#[from] ClockError),
}

/// As [`check`](super::check), by the clock here and by the clock of each member's machine: a certificate that is good
/// here may not have begun there.
///
/// # Errors
///
/// Any finding; a member without a host, or whose clock cannot be asked.
pub async fn check_on(
    spec: &ClusterSpec,
    hosts: &Hosts,
    now: OffsetDateTime,
) -> Result<(), CheckCertificatesError> {
    let of_member = async |member: &MemberSpec| {
        let host = host_of(hosts, &member.name)?;
        let clocks = Clocks {
            here: now,
            member: Some(host_exec::clock(host.as_ref()).await?),
        };
        Ok::<_, CheckCertificatesError>(findings(member, &member.certificates, clocks))
    };
    let found = try_join_all(spec.members().iter().map(of_member)).await?;
    let found: Vec<_> = found.into_iter().flatten().collect();
    if found.is_empty() {
        Ok(())
    } else {
        Err(BadCertificates(found).into())
    }
}

/// What is wrong with the certificates of the members that are not well, for [`Observed::with_certificate_faults`].
/// Those that are healthy have shown that theirs are good, and those that never ran have none yet.
///
/// # Errors
///
/// As [`observe`].
pub async fn faults(
    spec: &ClusterSpec,
    observed: &Observed,
    hosts: &Hosts,
    now: OffsetDateTime,
) -> Result<BTreeMap<MemberName, Vec<CertificateFault>>, ObserveCertificatesError> {
    let well = |member: &&MemberSpec| {
        let state = observed.state(spec, &member.name);
        matches!(
            state,
            Some(MemberState::Healthy | MemberState::Absent) | None
        )
    };
    let unwell = spec.members().iter().filter(|member| !well(member));
    let looks = unwell.filter_map(|member| {
        let host = hosts.get(&member.name)?;
        Some(async move {
            let found = observe(member, host.as_ref(), now).await?;
            let faults = found.into_iter().map(CertificateFault::from).collect();
            Ok::<_, ObserveCertificatesError>((member.name.clone(), faults))
        })
    });
    Ok(try_join_all(looks).await?.into_iter().collect())
}

/// The files of a machine or its clock could not be looked at.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ObserveCertificatesError {
    /// A file could not be read.
    #[error(transparent)]
    File(#[from] FileError),
    /// It does not tell the time.
    #[error(transparent)]
    Clock(#[from] ClockError),
}

/// What is wrong with the certificates that lie on the member's machine at `now`, by the clock here and by the
/// clock there. etcd reads a leaf and its key anew for each connection, so this is what it serves; authorities
/// it has read at its start.
///
/// # Errors
///
/// A file cannot be read, or the clock cannot be asked. A file that is not there is *not* an error and no finding: it is
/// one that has yet to be written.
pub async fn observe(
    member: &MemberSpec,
    host: &dyn Host,
    now: OffsetDateTime,
) -> Result<Vec<CertificateFinding>, ObserveCertificatesError> {
    let mut files = Vec::new();
    for path in member.pki.all() {
        let (bytes, mode) = (host.read_file(path).await?, host.file_mode(path).await?);
        let (Some(bytes), Some(mode)) = (bytes, mode) else {
            continue;
        };
        files.push(File::secret(path, bytes).with_mode(mode));
    }
    let clocks = Clocks {
        here: now,
        member: Some(host_exec::clock(host).await?),
    };
    let mut found = findings(member, &files, clocks);
    found.retain(|finding| finding.problem != CertificateProblem::Missing);
    Ok(found)
}
