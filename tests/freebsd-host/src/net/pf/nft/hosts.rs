//! Addresses that rules are about.

use super::{Told, Writer};
use crate::net::kernel::host_name;
use netplan::{
    Family, Net,
    pf::{Address, Hosts, InterfaceAddress},
};
use std::{collections::btree_map::Entry, fmt::Write as _, net::IpAddr};

/// Whether a packet of a family is meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Match {
    Always,
    Never,
    /// When this matches.
    When(String),
}

/// The end of a packet that an address is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    Source,
    Destination,
}

impl Side {
    fn word(self) -> &'static str {
        match self {
            Self::Source => "saddr",
            Self::Destination => "daddr",
        }
    }
}

/// `ip` or `ip6`.
pub(super) fn ip(family: Family) -> &'static str {
    match family {
        Family::V4 => "ip",
        Family::V6 => "ip6",
    }
}

/// The families that a rule expands to: its own, else that of its addresses (pfctl gives a rule the family of an
/// address in it), else both.
pub(super) fn families(own: Option<Family>, hosts: &[&Hosts]) -> Vec<Family> {
    let of_net = |hosts: &&Hosts| match hosts {
        Hosts::In(Address::Net(net)) | Hosts::NotIn(Address::Net(net)) => Some(net.family()),
        _ => None,
    };
    let said = own.or_else(|| hosts.iter().find_map(of_net));
    said.map_or_else(|| Family::BOTH.to_vec(), |family| vec![family])
}

impl Writer<'_> {
    pub(super) fn hosts(
        &mut self,
        scope: usize,
        hosts: &Hosts,
        family: Family,
        side: Side,
    ) -> Told<Match> {
        let (address, is_in) = match hosts {
            Hosts::Any => return Ok(Match::Always),
            Hosts::In(address) => (address, true),
            Hosts::NotIn(address) => (address, false),
        };
        let word = side.word();
        let not = if is_in { "" } else { "!= " };
        if *address == Address::Own {
            return Ok(Match::When(format!("fib {word} type {not}local")));
        }
        let members = self.members(scope, address, family);
        if members.is_empty() {
            return Ok(if is_in { Match::Never } else { Match::Always });
        }
        let set = match address {
            Address::Table(name) => self.set(scope, name.as_str(), &members, family)?,
            _ => braces(&members),
        };
        Ok(Match::When(format!("{} {word} {not}{set}", ip(family))))
    }

    /// The addresses of a family that are meant, at this moment.
    pub(super) fn members(&self, scope: usize, address: &Address, family: Family) -> Vec<Net> {
        let nets = match address {
            Address::Table(name) => self.flat.scopes[scope].members(name).to_vec(),
            Address::Net(net) => vec![*net],
            Address::Own => {
                let all = self.facts.addresses.values().flatten();
                all.map(|address| Net::host(*address)).collect()
            }
            Address::Interface(own) => {
                let all = self.interface_addresses(own, family).into_iter();
                all.map(Net::host).collect()
            }
        };
        nets.into_iter()
            .filter(|net| net.family() == family)
            .collect()
    }

    /// The addresses of an interface; no link-local ones, which pf has not translated to since the end of 2024.
    pub(super) fn interface_addresses(
        &self,
        own: &InterfaceAddress,
        family: Family,
    ) -> Vec<IpAddr> {
        let name = host_name(own.interface.as_str());
        let known = self.facts.addresses.get(name);
        let is_meant = |address: &&IpAddr| match address {
            IpAddr::V4(_) => family == Family::V4,
            IpAddr::V6(address) => family == Family::V6 && !address.is_unicast_link_local(),
        };
        let count = if own.first_only { 1 } else { usize::MAX };
        let meant = known.into_iter().flatten().filter(is_meant);
        meant.take(count).copied().collect()
    }

    /// `@t0_4`, which is written once.
    fn set(&mut self, scope: usize, name: &str, members: &[Net], family: Family) -> Told<String> {
        let is_v6 = family == Family::V6;
        let number = self.set_names.len();
        let entry = match self.set_names.entry((scope, name.to_owned(), is_v6)) {
            Entry::Occupied(known) => return Ok(format!("@{}", known.get())),
            Entry::Vacant(entry) => entry,
        };
        let set = entry.insert(format!("t{number}"));
        let kind = if is_v6 { "ipv6_addr" } else { "ipv4_addr" };
        let elements = braces(members);
        let _ = write!(
            self.sets,
            "  set {set} {{\n    type {kind}; flags interval; auto-merge;\n    elements = {elements}\n  }}\n"
        );
        Ok(format!("@{set}"))
    }
}

fn braces(members: &[Net]) -> String {
    let members: Vec<String> = members.iter().map(Net::to_string).collect();
    format!("{{ {} }}", members.join(", "))
}
