//! The certificates that lie on a member's machine, whoever wrote them.

use super::{
    judge::{Clocks, findings},
    problem::{CertificateFinding, CertificateProblem},
};
use crate::MemberSpec;
use host_exec::{Command, File, FileError, Host, HostName, RunError};
use time::OffsetDateTime;

/// The files of a machine or its clock could not be looked at.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ObserveCertificatesError {
    /// A file could not be read.
    #[error(transparent)]
    File(#[from] FileError),
    /// `date(1)` failed.
    #[error(transparent)]
    Clock(#[from] RunError),
    /// `date(1)` printed something else.
    #[error("`date -u +%s` on {host} said {said:?}, not the seconds since 1970")]
    NoTime {
        /// The host.
        host: HostName,
        /// What it said.
        said: String,
    },
}

/// What is wrong with the certificates that lie on the member's machine at `now`, by the clock here and by the
/// clock there. etcd reads a leaf and its key anew for each connection, so this is what it serves; authorities
/// it has read at its start.
///
/// # Errors
///
/// A file cannot be read, or date(1) fails. A file that is not there is *not* an error and no finding: it is
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
        member: Some(clock(host).await?),
    };
    let mut found = findings(member, &files, clocks);
    found.retain(|finding| finding.problem != CertificateProblem::Missing);
    Ok(found)
}

/// The clock of a machine, to the second.
async fn clock(host: &dyn Host) -> Result<OffsetDateTime, ObserveCertificatesError> {
    let date = Command::new("date").args(["-u", "+%s"]);
    let output = host.run(&date).await?;
    let text = output.stdout_text();
    let seconds = text.trim().parse().ok();
    let moment = seconds.and_then(|seconds| OffsetDateTime::from_unix_timestamp(seconds).ok());
    moment.ok_or_else(|| ObserveCertificatesError::NoTime {
        host: host.name().clone(),
        said: text.trim().chars().take(80).collect(),
    })
}
