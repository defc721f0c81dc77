//! Members from the words of a configuration.

use crate::{InvalidName, MemberSpec};
use std::net::IpAddr;

impl MemberSpec {
    /// A member from texts: its name, its address for peers, its addresses for clients.
    ///
    /// # Errors
    ///
    /// A name that is none, or an address that is not an IP address alone. etcd listens on no host names (since
    /// 3.2), and with none in certificates and lists a member needs no DNS to come up.
    pub fn parse(name: &str, peer_ip: &str, client_ips: &[&str]) -> Result<Self, InvalidName> {
        let client_ips = client_ips.iter().map(|text| ip("client address", text));
        let client_ips = client_ips.collect::<Result<_, _>>()?;
        Ok(Self::new(
            name.parse()?,
            ip("peer address", peer_ip)?,
            client_ips,
        ))
    }
}

fn ip(field: &'static str, text: &str) -> Result<IpAddr, InvalidName> {
    let problem = "must be an IP address alone, such as 10.0.0.10: etcd listens on no host names, and scheme and \
                   port are always https and 2379 or 2380";
    text.parse()
        .map_err(|_| InvalidName::new(field, text, problem))
}
