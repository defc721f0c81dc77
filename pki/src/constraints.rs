//! Name constraints of an authority (RFC 5280 section 4.2.1.10): what it may vouch for, kept by every verifier.

use std::collections::BTreeSet;
use std::fmt;
use std::net::IpAddr;

use ipnet::IpNet;

use crate::name::{AltNames, HostName, NameError};

/// Constraints that would constrain nothing or everything.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConstraintsError {
    /// No domain: a verifier would then let every name pass.
    #[error(
        "the constraints permit no domain, which verifiers read as every domain; give one at least"
    )]
    NoDomain,
    /// No network: a verifier would then let every address pass.
    #[error(
        "the constraints permit no network, which verifiers read as every address; give one at least"
    )]
    NoNetwork,
    /// A name of the set that every cluster needs cannot be formed.
    #[error("a domain of the constraints")]
    Name(#[from] NameError),
}

/// The domains and networks that an authority may name. Verifiers refuse a leaf with any other name, so an authority that
/// lies in a browser can vouch for the lab and nothing else.
///
/// A domain covers itself and all names below it, also where it has one label: `kubernetes` covers `x.kubernetes`. Networks
/// of one family only refuse every address of the other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NameConstraints {
    domains: BTreeSet<HostName>,
    networks: BTreeSet<IpNet>,
}

impl NameConstraints {
    /// Checks domains and networks. What appears twice counts once.
    ///
    /// # Errors
    /// No domain, or no network.
    pub fn new(
        domains: impl IntoIterator<Item = HostName>,
        networks: impl IntoIterator<Item = IpNet>,
    ) -> Result<Self, ConstraintsError> {
        let domains: BTreeSet<_> = domains.into_iter().collect();
        let networks: BTreeSet<_> = networks.into_iter().map(|one| one.trunc()).collect();
        if domains.is_empty() {
            return Err(ConstraintsError::NoDomain);
        }
        if networks.is_empty() {
            return Err(ConstraintsError::NoNetwork);
        }
        Ok(Self { domains, networks })
    }

    /// What the authority of a cluster has to permit beside its own machines: the `kubernetes` service under its names,
    /// `localhost` and both loopback addresses.
    ///
    /// `machines` are the machines' names or their domain, `networks` those of machines and services.
    ///
    /// # Errors
    /// As [`NameConstraints::new`].
    pub fn for_cluster(
        machines: impl IntoIterator<Item = HostName>,
        dns_domain: &HostName,
        networks: impl IntoIterator<Item = IpNet>,
    ) -> Result<Self, ConstraintsError> {
        let mut domains: Vec<_> = machines.into_iter().collect();
        // A constraint covers names that end in it, so `kubernetes` does not cover `kubernetes.default`.
        for name in ["kubernetes", "kubernetes.default", "kubernetes.default.svc"] {
            domains.push(HostName::new(name)?);
        }
        domains.push(HostName::new("localhost")?);
        domains.push(dns_domain.clone());
        let loopbacks = ["127.0.0.0/8", "::1/128"];
        let loopbacks = loopbacks.map(|one| one.parse().expect("these are networks"));
        Self::new(domains, networks.into_iter().chain(loopbacks))
    }

    /// The domains in their order.
    pub fn domains(&self) -> impl Iterator<Item = &HostName> {
        self.domains.iter()
    }

    /// The networks in their order.
    pub fn networks(&self) -> impl Iterator<Item = IpNet> + '_ {
        self.networks.iter().copied()
    }

    /// The first name or address that is not permitted, or `None` when all are.
    #[must_use]
    pub fn first_outside(&self, names: &AltNames) -> Option<String> {
        let wildcards = names.wildcards().map(|name| (name.parent(), name.as_str()));
        let dns = names.dns().map(|name| (name.as_str(), name.as_str()));
        let domain = dns
            .chain(wildcards)
            .find(|(name, _)| !self.permits_domain(name));
        let address = names.ips().find(|ip| !self.permits_address(*ip));
        domain
            .map(|(_, shown)| shown.to_owned())
            .or_else(|| address.map(|ip| ip.to_string()))
    }

    fn permits_domain(&self, name: &str) -> bool {
        self.domains.iter().any(|domain| {
            name.strip_suffix(domain.as_str())
                .is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
        })
    }

    fn permits_address(&self, address: IpAddr) -> bool {
        self.networks
            .iter()
            .any(|network| network.contains(&address))
    }
}

impl fmt::Display for NameConstraints {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let domains = self.domains.iter().map(|name| format!("DNS:{name}"));
        let networks = self.networks.iter().map(|network| format!("IP:{network}"));
        f.write_str(&domains.chain(networks).collect::<Vec<_>>().join(", "))
    }
}
