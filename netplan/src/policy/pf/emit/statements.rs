//! The statements of the anchor, in their order.

use std::net::IpAddr;

use super::{
    Action, Address, Between, Direction, Emitter, Filter, Hosts, List, MANY, On, PfError,
    Statement, TableName,
};
use crate::names::InterfaceName;
use crate::net::{Family, Net};
use crate::policy::pf::ast::{
    Binat, IcmpTypes, InterfaceAddress, Nat, NatSource, Protocol, Rdr, State,
};
use crate::policy::{AddressSet, ApiExposure, Rule, Traffic, Verdict, Zone};
use crate::requirement::{V4Mode, V6Mode};

/// ICMPv6 types by number: listener discovery (130 to 132, 143), router and neighbour discovery
/// (133 to 136). No redirects.
const NEIGHBOURS: [u8; 8] = [130, 131, 132, 133, 134, 135, 136, 143];

/// Echo requests of ICMP and of ICMPv6.
const ECHO: [(Family, Protocol, u8); 2] = [
    (Family::V4, Protocol::Icmp, 8),
    (Family::V6, Protocol::Icmp6, 128),
];

impl Emitter<'_> {
    /// Where packets to many machines go: the directed broadcast of each network, the limited
    /// one, and multicast. `(self)` has none of them, and the host listens to all.
    pub(super) fn to_many(&self) -> Vec<Net> {
        let networks = self.plan.networks.iter();
        let last = networks.filter_map(|network| network.nets.v4);
        let mut nets = vec![
            Net::fixed_v4([224, 0, 0, 0], 4),
            Net::fixed_v4([255, 255, 255, 255], 32),
        ];
        nets.extend(last.map(|net| Net::host(net.last_address())));
        nets.push(Net::fixed_v6(0xff00 << 48, 8));
        nets
    }

    pub(super) fn translations(&self) -> Result<Vec<Statement>, PfError> {
        let mut statements = Vec::new();
        if self.plan.supernet.v4.is_some() {
            let V4Mode::Nat = self.plan.v4_mode;
            // `(em0:0)` is the first address; `(em0)` would take all of them in turn.
            let source = NatSource::Interface(InterfaceAddress {
                interface: self.uplink.clone(),
                first_only: true,
            });
            statements.push(self.nat(Family::V4, source)?);
        }
        if let Some(inside) = self.plan.supernet.v6 {
            match self.plan.v6_mode {
                V6Mode::Routed | V6Mode::UlaOnly => {}
                V6Mode::Npt { outside } => statements.push(Statement::Binat(Binat {
                    on: self.uplink.clone(),
                    inside,
                    to: Hosts::Any,
                    outside,
                })),
                // An address, not `(em0)`: older pf takes the link-local one of an interface.
                V6Mode::Nat66 { address } => {
                    let source = NatSource::Address(IpAddr::V6(address));
                    statements.push(self.nat(Family::V6, source)?);
                }
            }
        }
        for exposure in &self.policy.exposures {
            statements.extend(self.rdr(exposure)?);
        }
        Ok(statements)
    }

    fn nat(&self, family: Family, source: NatSource) -> Result<Statement, PfError> {
        let lab = Address::Table(Self::table_name(&AddressSet::Lab)?);
        Ok(Statement::Nat(Nat {
            on: On::OneOf(List::one(self.uplink.clone())),
            family: Some(family),
            from: Hosts::In(lab.clone()),
            to: Hosts::NotIn(lab),
            source,
        }))
    }

    fn rdr(&self, exposure: &ApiExposure) -> Result<Vec<Statement>, PfError> {
        if exposure.entering != Zone::Internet {
            let zone = exposure.entering.to_string();
            return Err(PfError::Exposure { zone });
        }
        let of_family = |family| {
            let servers = exposure.servers.iter();
            let servers = servers.filter_map(|server| server.of(family)).collect();
            let at = match exposure.at {
                None => Address::Own,
                Some(at) => Address::Net(Net::host(at.of(family)?)),
            };
            Some(Statement::Rdr(Rdr {
                on: On::OneOf(List::one(self.uplink.clone())),
                family,
                protocols: List::one(Protocol::Tcp),
                from: Hosts::Any,
                to: Hosts::In(at),
                port: exposure.port,
                servers: List::new(servers)?,
                server_port: exposure.port,
            }))
        };
        Ok(Family::BOTH.into_iter().filter_map(of_family).collect())
    }

    pub(super) fn filters(&self) -> Result<Vec<Filter>, PfError> {
        let lo0 = On::OneOf(List::one(InterfaceName::composed("lo0".to_owned())));
        let mut filters = vec![Filter {
            on: Some(lo0),
            state: State::No,
            ..Filter::quick(Action::Pass)
        }];
        filters.extend(self.spoofed()?);
        filters.extend(self.neighbours());
        // Before what passes between networks: each has an address of the host too.
        for rule in &self.shapes.input {
            filters.extend(self.input(rule)?);
        }
        for between in &self.shapes.between {
            filters.push(self.between(between)?);
        }
        filters.extend(self.sent_by_guests()?);
        filters.extend(self.entering_by_uplink()?);
        filters.extend(self.leaving_to_guests()?);
        filters.extend(self.leaving_by_uplink()?);
        filters.push(self.end()?);
        Ok(filters)
    }

    /// Before everything, since later rules trust the interface. Written out: `antispoof for` an
    /// absent interface expands to nothing.
    fn spoofed(&self) -> Result<Vec<Filter>, PfError> {
        let mut filters = Vec::new();
        for (rule, network) in &self.shapes.spoof {
            filters.push(Filter {
                on: Some(On::Not(self.network(network)?.bridge.clone())),
                from: Self::in_network(network)?,
                label: self.label(&rule.name)?,
                ..entering(Action::Drop)
            });
        }
        // What the host sends to guests may leave, and is known by its source only. On no
        // interface but lo0, which was passed, does the host hear itself.
        filters.push(Filter {
            from: Hosts::In(Address::Own),
            to: Self::in_set(&AddressSet::Lab)?,
            label: self.label("forged-self")?,
            ..entering(Action::Drop)
        });
        Ok(filters)
    }

    /// Before every block that they could meet, or IPv6 ends when the neighbour cache expires.
    /// Without state: multicast discovery never matches one.
    fn neighbours(&self) -> Option<Filter> {
        let mut input = self.shapes.input.iter();
        input.find(|rule| rule.traffic == Traffic::Neighbours)?;
        let networks = self.plan.networks.iter();
        let bridges = networks.filter(|network| network.nets.v6.is_some());
        let bridges = bridges.map(|network| network.bridge.clone());
        Some(Filter {
            on: Some(On::OneOf(List::new(bridges.collect())?)),
            family: Some(Family::V6),
            protocols: Some(List::one(Protocol::Icmp6)),
            icmp: List::new(NEIGHBOURS.to_vec()).map(IcmpTypes::V6),
            state: State::No,
            ..Filter::quick(Action::Pass)
        })
    }

    /// Before the broad pass for what leaves.
    fn between(&self, between: &Between<'_>) -> Result<Filter, PfError> {
        Ok(Filter {
            on: Some(self.bridge(between.from)?),
            to: Self::in_network(between.to)?,
            label: self.label(&between.rule.name)?,
            ..entering(blocking(between.rule))
        })
    }

    /// What guests may ask of the host itself, and that they may not ask more.
    fn input(&self, rule: &Rule) -> Result<Vec<Filter>, PfError> {
        if rule.traffic == Traffic::Neighbours {
            // Passed before.
            return Ok(Vec::new());
        }
        let own = |filter| -> Result<Filter, PfError> {
            Ok(Filter {
                on: Some(self.entered(rule)?),
                to: Hosts::In(Address::Own),
                ..filter
            })
        };
        let (pass, refused) = (own(passing(Direction::In))?, own(entering(Action::Drop))?);
        let ports = |protocol, ports: &[u16]| Filter {
            protocols: Some(List::one(protocol)),
            ports: List::new(ports.to_vec()),
            ..pass.clone()
        };
        Ok(match &rule.traffic {
            Traffic::Tcp(list) => vec![ports(Protocol::Tcp, list)],
            Traffic::Udp(list) => vec![ports(Protocol::Udp, list)],
            Traffic::Echo => ECHO.into_iter().map(|kind| echo(&pass, kind)).collect(),
            Traffic::Any => vec![
                Filter {
                    label: self.label(&rule.name)?,
                    action: blocking(rule),
                    ..refused.clone()
                },
                Filter {
                    to: Hosts::In(Address::Table(TableName::new(MANY)?)),
                    label: self.label("to-many")?,
                    ..refused
                },
            ],
            _ => Vec::new(),
        })
    }

    /// The bridges of the networks that a rule is about.
    fn entered(&self, rule: &Rule) -> Result<On, PfError> {
        let mut bridges = Vec::new();
        for zone in &rule.entering {
            if let Zone::Network(name) = zone {
                bridges.push(self.network(name)?.bridge.clone());
            }
        }
        self.one_of(bridges)
    }

    /// What guests send on to others.
    fn sent_by_guests(&self) -> Result<Vec<Filter>, PfError> {
        let mut filters = Vec::new();
        for network in &self.shapes.local {
            // Without state: the router sees one direction only of what a machine and a pod of
            // one network say, since the node answers the machine directly.
            filters.push(Filter {
                on: Some(self.bridge(network)?),
                from: Self::in_network(network)?,
                to: Self::in_network(network)?,
                tag: Some(self.tag.clone()),
                state: State::No,
                ..passing(Direction::In)
            });
        }
        if self.shapes.egress || self.shapes.others.is_some() {
            for network in &self.plan.networks {
                filters.push(Filter {
                    on: Some(self.bridge(&network.name)?),
                    from: Self::in_network(&network.name)?,
                    tag: Some(self.tag.clone()),
                    ..passing(Direction::In)
                });
            }
        }
        filters.push(Filter {
            on: Some(self.bridges()?),
            label: self.label("bad-source")?,
            ..entering(Action::Drop)
        });
        Ok(filters)
    }

    /// So that routed addresses are as closed as translated ones. States are asked before rules.
    fn entering_by_uplink(&self) -> Result<Vec<Filter>, PfError> {
        let mut filters = Vec::new();
        for exposed in &self.shapes.exposed {
            filters.push(Filter {
                on: self.on_uplink(),
                protocols: Some(List::one(Protocol::Tcp)),
                to: Self::in_set(exposed.to)?,
                ports: List::new(exposed.ports.to_vec()),
                tag: Some(self.api_tag.clone()),
                ..passing(Direction::In)
            });
        }
        if let Some(rule) = self.shapes.unsolicited {
            filters.push(Filter {
                on: self.on_uplink(),
                to: Self::in_set(&AddressSet::Lab)?,
                label: self.label(&rule.name)?,
                ..entering(Action::Drop)
            });
        }
        Ok(filters)
    }

    fn leaving_to_guests(&self) -> Result<Vec<Filter>, PfError> {
        let mut filters = Vec::new();
        for exposed in &self.shapes.exposed {
            filters.push(Filter {
                on: Some(self.bridge(exposed.network)?),
                tagged: Some(self.api_tag.clone()),
                ..passing(Direction::Out)
            });
        }
        // With state, and so before what passes inside of a network without.
        filters.push(Filter {
            on: Some(self.bridges()?),
            from: Hosts::In(Address::Own),
            ..passing(Direction::Out)
        });
        for network in &self.shapes.local {
            filters.push(Filter {
                on: Some(self.bridge(network)?),
                from: Self::in_network(network)?,
                to: Self::in_network(network)?,
                state: State::No,
                ..passing(Direction::Out)
            });
        }
        Ok(filters)
    }

    /// By the tag, which everything from guests has: so neither translation counts, nor what the
    /// host and other labs send.
    fn leaving_by_uplink(&self) -> Result<Vec<Filter>, PfError> {
        let tagged = || Some(self.tag.clone());
        let mut filters = Vec::new();
        if let Some(rule) = self.shapes.unassigned {
            filters.push(Filter {
                on: self.on_uplink(),
                to: Self::in_set(&AddressSet::Lab)?,
                tagged: tagged(),
                label: self.label(&rule.name)?,
                ..leaving(blocking(rule))
            });
        }
        for (rule, family) in &self.shapes.inside_only {
            filters.push(Filter {
                on: self.on_uplink(),
                family: Some(*family),
                tagged: tagged(),
                label: self.label(&rule.name)?,
                ..leaving(blocking(rule))
            });
        }
        if self.shapes.egress {
            filters.push(Filter {
                on: self.on_uplink(),
                tagged: tagged(),
                ..passing(Direction::Out)
            });
        }
        if let Some(rule) = self.shapes.others {
            filters.push(Filter {
                tagged: tagged(),
                label: self.label(&rule.name)?,
                ..leaving(blocking(rule))
            });
        }
        Ok(filters)
    }

    /// What else would reach guests.
    fn end(&self) -> Result<Filter, PfError> {
        let name = self.shapes.unsolicited.map(|rule| rule.name.as_str());
        Ok(Filter {
            on: Some(self.bridges()?),
            label: self.label(name.unwrap_or("default"))?,
            ..leaving(Action::Drop)
        })
    }
}

fn echo(pass: &Filter, (family, protocol, number): (Family, Protocol, u8)) -> Filter {
    Filter {
        family: Some(family),
        protocols: Some(List::one(protocol)),
        icmp: Some(match family {
            Family::V4 => IcmpTypes::V4(List::one(number)),
            Family::V6 => IcmpTypes::V6(List::one(number)),
        }),
        ..pass.clone()
    }
}

fn blocking(rule: &Rule) -> Action {
    match rule.verdict {
        Verdict::Refuse => Action::Return,
        Verdict::Allow | Verdict::Drop => Action::Drop,
    }
}

fn passing(direction: Direction) -> Filter {
    Filter {
        direction: Some(direction),
        state: State::Keep,
        ..Filter::quick(Action::Pass)
    }
}

fn entering(action: Action) -> Filter {
    Filter {
        direction: Some(Direction::In),
        log: true,
        ..Filter::quick(action)
    }
}

fn leaving(action: Action) -> Filter {
    Filter {
        direction: Some(Direction::Out),
        ..entering(action)
    }
}
