//! cloud-init's network configuration, version 2, and what it comes to in the guest's network namespace.

use super::Card;
use anyhow::{Result, bail, ensure};
use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, net::IpAddr};

/// The file `network-config`: static addresses and routes of cards that are matched by their MAC address.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct NetworkConfig {
    version: u32,
    #[serde(default)]
    ethernets: BTreeMap<String, Ethernet>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Ethernet {
    r#match: Match,
    set_name: Option<String>,
    #[serde(default)]
    dhcp4: bool,
    #[serde(default)]
    dhcp6: bool,
    accept_ra: Option<bool>,
    #[serde(default)]
    optional: bool,
    #[serde(default)]
    addresses: Vec<IpNet>,
    #[serde(default)]
    routes: Vec<Route>,
    mtu: Option<u32>,
    nameservers: Option<Nameservers>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Match {
    macaddress: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Route {
    to: IpNet,
    via: IpAddr,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Nameservers {
    #[serde(default)]
    addresses: Vec<IpAddr>,
}

impl NetworkConfig {
    /// What cannot come true: a card that is not there, DHCP without a server, a name that Linux does not take.
    pub(super) fn check(&self, cards: &[Card]) -> Result<()> {
        ensure!(self.version == 2, "version: {} is not 2", self.version);
        for (name, one) in &self.ethernets {
            let mac = &one.r#match.macaddress;
            // cloud-init's own words.
            ensure!(
                cards.iter().any(|card| card.mac == *mac),
                "Not all expected physical devices present: {{'{mac}'}}"
            );
            ensure!(
                !one.dhcp4 && !one.dhcp6,
                "ethernets.{name}: there is no DHCP server"
            );
            if let Some(wanted) = &one.set_name {
                ensure!(
                    !wanted.is_empty() && wanted.len() < 16,
                    "ethernets.{name}: set-name {wanted:?}"
                );
            }
            if let Some(route) = one
                .routes
                .iter()
                .find(|route| route.to.addr().is_ipv4() != route.via.is_ipv4())
            {
                bail!(
                    "ethernets.{name}: a route to {} cannot go via {}",
                    route.to,
                    route.via
                );
            }
        }
        Ok(())
    }

    /// The name of a card in the guest: as configured, else by its slot as systemd names it.
    pub(super) fn name_of(&self, card: &Card) -> String {
        let configured = self.of(card).and_then(|one| one.set_name.clone());
        configured.unwrap_or_else(|| format!("enp0s{}", card.slot))
    }

    fn of(&self, card: &Card) -> Option<&Ethernet> {
        self.ethernets
            .values()
            .find(|one| one.r#match.macaddress == card.mac)
    }

    /// The commands of `ip -batch` for the guest's namespace, in which its cards are.
    pub(super) fn commands(&self, cards: &[Card]) -> String {
        let mut lines = vec!["link set lo up".to_owned()];
        for card in cards {
            let (name, Some(one)) = (self.name_of(card), self.of(card)) else {
                continue;
            };
            lines.extend(one.mtu.map(|mtu| format!("link set {name} mtu {mtu}")));
            for address in &one.addresses {
                // A real guest has found by the time of its first login that nobody else has the address.
                let quick = if address.addr().is_ipv6() {
                    " nodad"
                } else {
                    ""
                };
                lines.push(format!("addr add {address} dev {name}{quick}"));
            }
            lines.push(format!("link set {name} up"));
        }
        for card in cards {
            let (name, Some(one)) = (self.name_of(card), self.of(card)) else {
                continue;
            };
            lines.extend(
                one.routes
                    .iter()
                    .map(|Route { to, via }| format!("route add {to} via {via} dev {name}")),
            );
        }
        lines.join("\n") + "\n"
    }

    /// The cards that are to hear no router advertisements.
    pub(super) fn deaf(&self, cards: &[Card]) -> Vec<String> {
        let deaf = cards.iter().filter(|card| {
            self.of(card)
                .is_some_and(|one| one.accept_ra == Some(false))
        });
        deaf.map(|card| self.name_of(card)).collect()
    }

    /// The text of resolv.conf(5).
    pub(super) fn resolv_conf(&self) -> String {
        let servers = self
            .ethernets
            .values()
            .filter_map(|one| one.nameservers.as_ref());
        let lines = servers.flat_map(|servers| {
            servers
                .addresses
                .iter()
                .map(|address| format!("nameserver {address}\n"))
        });
        lines.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PRINTED: &str = include_str!("../../../../bhyve-vm/tests/data/seed/network-config");

    fn cards() -> Vec<Card> {
        vec![Card {
            slot: 16,
            mac: "58:9c:fc:0a:00:10".into(),
            tap: "tap110".into(),
        }]
    }

    #[test]
    fn addresses_and_routes_become_commands() {
        let config: NetworkConfig = serde_norway::from_str(PRINTED).unwrap();
        config.check(&cards()).unwrap();
        assert_eq!(
            config.commands(&cards()),
            "link set lo up\n\
            addr add 10.110.0.10/24 dev etcd0\n\
            addr add fd00:110::10/64 dev etcd0 nodad\n\
            link set etcd0 up\n\
            route add 0.0.0.0/0 via 10.110.0.1 dev etcd0\n\
            route add ::/0 via fd00:110::1 dev etcd0\n"
        );
        assert_eq!(config.deaf(&cards()), ["etcd0"]);
        assert_eq!(config.resolv_conf(), "nameserver 10.110.0.1\n");
    }

    #[test]
    fn what_cannot_come_true_is_refused() {
        for (from, to, says) in [
            ("version: 2", "version: 1", "version: 1 is not 2"),
            (
                "0a:00:10",
                "0a:00:11",
                "Not all expected physical devices present: {'58:9c:fc:0a:00:11'}",
            ),
            ("dhcp4: false", "dhcp4: true", "no DHCP server"),
            (
                "via: \"10.110.0.1\"",
                "via: \"fd00::1\"",
                "cannot go via fd00::1",
            ),
        ] {
            let config: NetworkConfig =
                serde_norway::from_str(&PRINTED.replacen(from, to, 1)).unwrap();
            let error = config.check(&cards()).unwrap_err().to_string();
            assert!(error.contains(says), "{error}");
        }
        let unknown = PRINTED.replacen("dhcp4: false", "gateway4: 10.0.0.1", 1);
        assert!(serde_norway::from_str::<NetworkConfig>(&unknown).is_err());
    }
}
