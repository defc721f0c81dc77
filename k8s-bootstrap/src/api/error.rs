//! Why a request was not fulfilled.

use std::net::SocketAddr;

/// A request that the API did not fulfil.
#[derive(Debug, thiserror::Error)]
#[error("the API at {address} did not {verb} {what}")]
#[non_exhaustive]
pub struct ApiError {
    /// The API server.
    pub address: SocketAddr,
    /// `get`, `list`, `apply`, `create`, `cordon`, `evict`, ...
    pub verb: &'static str,
    /// The object or objects.
    pub what: String,
    /// The cause.
    #[source]
    pub source: Box<kube::Error>,
}

impl ApiError {
    /// The status of HTTP that the API answered with; `None` if it did not answer.
    pub fn status(&self) -> Option<u16> {
        self.answer().map(|answer| answer.code)
    }

    fn answer(&self) -> Option<&kube::core::Status> {
        match &*self.source {
            kube::Error::Api(answer) => Some(answer),
            _ => None,
        }
    }

    /// Whether the server had nothing to say for now: no answer, one of 5xx as while it has no etcd, or 429.
    pub(crate) fn is_of_the_moment(&self) -> bool {
        self.status()
            .is_none_or(|status| status >= 500 || status == 429)
    }

    /// Whether the API did not know the caller (401).
    pub fn is_unauthorized(&self) -> bool {
        self.status() == Some(401)
    }

    /// Whether a Service was refused since its address is another one's (`ErrAllocated` in
    /// pkg/registry/core/service/ipallocator).
    pub(crate) fn is_about_a_taken_address(&self) -> bool {
        let taken = "provided IP is already allocated";
        self.answer()
            .is_some_and(|answer| answer.message.contains(taken))
    }

    /// Whether an object was refused since the one that is there has two entries of one key in a list, which
    /// server-side apply of old versions does not read (structured-merge-diff 4.2.3, which 1.28.3 has, `typed/validate.go`).
    pub(crate) fn is_about_equal_keys(&self) -> bool {
        let equal = "duplicate entries for key";
        self.answer()
            .is_some_and(|answer| answer.message.contains(equal))
    }

    /// Whether the same request may succeed later: no answer, or one of a server that is still starting.
    ///
    /// While it starts, a server forbids (403) what its admission plugins cannot judge yet, and does not
    /// know (404) the namespaces that it is about to make. What is malformed (400, 422) stays so.
    pub fn is_transient(&self) -> bool {
        !matches!(self.status(), Some(400 | 401 | 405 | 415 | 422))
    }
}
