//! Why a plan could not be done.

use super::JoinReason;
use crate::{ApiError, ObserveError, UnknownHost, kubeadm::WriteError};
use host_exec::{ClockError, FileError, HostName, RunError, https::TlsError};
use std::{convert::Infallible, error::Error, time::Duration};

/// The plan could not be done to its end. What was done stays; the next run goes on from there.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ApplyError {
    /// The caller gave no such host.
    #[error(transparent)]
    UnknownHost(#[from] UnknownHost),
    /// The material makes no TLS client.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// A file could not be written or removed.
    #[error(transparent)]
    File(#[from] FileError),
    /// A command failed on a host.
    #[error(transparent)]
    Run(#[from] RunError),
    /// The API refuses a request for good.
    #[error(transparent)]
    Api(#[from] ApiError),
    /// A node gets no client certificate.
    #[error("node {node} cannot join the cluster")]
    Join {
        /// The node.
        node: HostName,
        /// Why.
        #[source]
        reason: JoinReason,
    },
    /// A node does not tell the time.
    #[error(transparent)]
    Clock(#[from] ClockError),
    /// Something did not become so in time.
    #[error("no {what} after {:.0} s; last seen: {last}; the end of the log of {unit} on {host}:\n{log}", .after.as_secs_f64())]
    TimedOut {
        /// What was waited for.
        what: String,
        /// For how long.
        after: Duration,
        /// What the last look found.
        last: String,
        /// The node whose service is most likely the cause.
        host: HostName,
        /// That service.
        unit: &'static str,
        /// The last lines of its log, or why there are none.
        log: String,
    },
    /// The plan names a file, service or object that the desired state does not have.
    #[error("the plan does not belong to this cluster: {0} is unknown; make a new plan")]
    ForeignPlan(String),
}

impl From<Infallible> for ApplyError {
    fn from(never: Infallible) -> Self {
        match never {}
    }
}

impl From<WriteError> for ApplyError {
    fn from(error: WriteError) -> Self {
        match error {
            WriteError::File(error) => Self::File(error),
            WriteError::Run(error) => Self::Run(error),
        }
    }
}

impl From<ObserveError> for ApplyError {
    fn from(error: ObserveError) -> Self {
        match error {
            ObserveError::UnknownHost(error) => Self::UnknownHost(error),
            ObserveError::File(error) => Self::File(error),
            ObserveError::Run(error) => Self::Run(error),
            ObserveError::Clock(error) => Self::Clock(error),
            ObserveError::Tls(error) => Self::Tls(error),
            ObserveError::Api(error) => Self::Api(error),
        }
    }
}

/// An error with its causes in one line, for an event.
pub(super) fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}
