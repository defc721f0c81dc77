//! What an API server says about itself.

use std::fmt;

/// What an API server says about itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Readiness {
    /// Nothing that speaks TLS with our trust; the text says why.
    Silent(String),
    /// It answers, but is not ready; the text says which of its checks fail.
    Answers(String),
    /// It is ready.
    Ready,
}

impl fmt::Display for Readiness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Silent(why) => write!(f, "silent: {why}"),
            Self::Answers(why) => write!(f, "not ready: {why}"),
            Self::Ready => f.write_str("ready"),
        }
    }
}

/// The names of the checks that fail, out of the answer of `/readyz?verbose` (kube-apiserver 1.37):
///
/// ```text
/// [+]ping ok
/// [-]poststarthook/rbac/bootstrap-roles failed: reason withheld
/// readyz check failed
/// ```
pub(super) fn failing_checks(text: &str, status: u16) -> String {
    let names: Vec<&str> = text
        .lines()
        .filter_map(|line| line.strip_prefix("[-]"))
        .map(|line| line.split(' ').next().unwrap_or(line))
        .collect();
    if names.is_empty() {
        return format!("status {status}");
    }
    names.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failing_checks_are_named() {
        let text = "[+]ping ok\n[-]etcd failed: reason withheld\n[+]log ok\n\
            [-]poststarthook/rbac/bootstrap-roles failed: reason withheld\nreadyz check failed\n";
        assert_eq!(
            failing_checks(text, 500),
            "etcd, poststarthook/rbac/bootstrap-roles"
        );
        assert_eq!(failing_checks("Forbidden", 403), "status 403");
    }
}
