//! `pass` and `block`, and what pfctl demands of them (`filter_consistent` in its parse.y).

use super::hosts::check_family;
use super::translation::check_ports;
use super::{Kind, Parsed, Parser};
use crate::net::Family;
use crate::policy::pf::ast::{Action, Direction, Filter, Hosts, IcmpTypes, List, Protocol, State};
use crate::policy::pf::error::{ParseError, Problem};
use crate::policy::pf::lex::Token;
use crate::policy::pf::names::{Label, Tag, is_keyword};

impl Parser {
    pub(super) fn filter(&mut self, first: &Token) -> Parsed<Filter> {
        let mut rule = Filter::quick(self.action(first)?);
        rule.direction = self.direction();
        rule.log = self.takes("log");
        rule.quick = self.takes("quick");
        if self.takes("on") {
            rule.on = Some(self.on()?);
        }
        rule.family = self.family();
        rule.protocols = self.protocols()?;
        self.filter_hosts(&mut rule)?;
        self.options(&mut rule)?;
        check(first, &rule)?;
        Ok(rule)
    }

    fn action(&mut self, first: &Token) -> Parsed<Action> {
        if first.kind == Kind::Word("pass".to_owned()) {
            return Ok(Action::Pass);
        }
        if self.takes("drop") {
            return Ok(Action::Drop);
        }
        if self.takes("return") {
            return Ok(Action::Return);
        }
        Err(self.peek().error(Problem::NotWritten(
            "without drop or return a block depends on block-policy of the main pf.conf",
        )))
    }

    fn direction(&mut self) -> Option<Direction> {
        if self.takes("in") {
            return Some(Direction::In);
        }
        self.takes("out").then_some(Direction::Out)
    }

    pub(super) fn protocols(&mut self) -> Parsed<Option<List<Protocol>>> {
        if !self.takes("proto") {
            return Ok(None);
        }
        self.list(Self::protocol).map(Some)
    }

    fn protocol(&mut self) -> Parsed<Protocol> {
        let token = self.next();
        let known = Protocol::ALL
            .into_iter()
            .find(|protocol| match &token.kind {
                Kind::Word(text) | Kind::Quoted(text) => text == protocol.as_str(),
                _ => false,
            });
        known.ok_or_else(|| token.error(Problem::Expected("tcp, udp, icmp or ipv6-icmp")))
    }

    /// `all`, or `from` and `to`; without either all is meant.
    fn filter_hosts(&mut self, rule: &mut Filter) -> Parsed<()> {
        if self.takes("all") {
            return Ok(());
        }
        if self.takes("from") {
            rule.from = self.hosts()?;
            if self.takes("port") {
                return Err(self.peek().error(Problem::NotWritten(
                    "a source port says nothing about who sends",
                )));
            }
        }
        if self.takes("to") {
            rule.to = self.hosts()?;
            if self.takes("port") {
                rule.ports = Some(self.list(Self::port)?);
            }
        }
        Ok(())
    }

    /// In any order.
    fn options(&mut self, rule: &mut Filter) -> Parsed<()> {
        loop {
            let token = self.peek().clone();
            let Kind::Word(word) = &token.kind else {
                return Ok(());
            };
            self.position += 1;
            match word.as_str() {
                "icmp-type" => {
                    let types = self.list(Self::icmp_type).map(IcmpTypes::V4)?;
                    once(&token, &mut rule.icmp, types)?;
                }
                "icmp6-type" => {
                    let types = self.list(Self::icmp_type).map(IcmpTypes::V6)?;
                    once(&token, &mut rule.icmp, types)?;
                }
                "tagged" => once(&token, &mut rule.tagged, self.tag()?)?,
                "tag" => once(&token, &mut rule.tag, self.tag()?)?,
                "label" => once(&token, &mut rule.label, self.label()?)?,
                "keep" | "no" => self.state(&token, rule)?,
                _ => {
                    return Err(token.error(Problem::Expected("an option, or the end of the rule")));
                }
            }
        }
    }

    fn state(&mut self, token: &Token, rule: &mut Filter) -> Parsed<()> {
        self.expect("state", "state")?;
        if rule.state != State::Unsaid {
            return Err(token.error(Problem::Twice));
        }
        rule.state = match &token.kind {
            Kind::Word(word) if word == "keep" => State::Keep,
            _ => State::No,
        };
        Ok(())
    }

    fn icmp_type(&mut self) -> Parsed<u8> {
        self.number("an ICMP type as a number from 0 to 255")
    }

    fn tag(&mut self) -> Parsed<Tag> {
        let (token, text) = self.string("tag")?;
        Tag::new(text).map_err(|error| token.error(error.into()))
    }

    fn label(&mut self) -> Parsed<Label> {
        let (token, text) = self.string("label")?;
        Label::new(text).map_err(|error| token.error(error.into()))
    }

    fn string(&mut self, kind: &'static str) -> Parsed<(Token, String)> {
        let token = self.next();
        match token.kind.clone() {
            Kind::Word(word) if is_keyword(&word) => Err(token.error(Problem::Keyword(kind))),
            Kind::Word(text) | Kind::Quoted(text) => Ok((token, text)),
            _ => Err(token.error(Problem::Expected("a text"))),
        }
    }
}

/// pfctl refuses some second options and lets others replace the first; neither is meant.
fn once<T>(token: &Token, place: &mut Option<T>, value: T) -> Result<(), ParseError> {
    if place.is_some() {
        return Err(token.error(Problem::Twice));
    }
    *place = Some(value);
    Ok(())
}

fn check(first: &Token, rule: &Filter) -> Result<(), ParseError> {
    let refuse = |problem| Err(first.error(problem));
    check_family(rule.family, &[&rule.from, &rule.to], &[])
        .map_err(|problem| first.error(problem))?;
    let protocols = rule.protocols.as_ref().map_or(&[][..], List::items);
    if rule.ports.is_some() {
        match &rule.protocols {
            Some(protocols) => check_ports(first, protocols)?,
            None => return refuse(Problem::Ports),
        }
    }
    let belongs = |protocol: &Protocol| match rule.family_by_address() {
        Some(Family::V4) => *protocol != Protocol::Icmp6,
        Some(Family::V6) => *protocol != Protocol::Icmp,
        None => true,
    };
    if !protocols.iter().all(belongs) {
        return refuse(Problem::ProtocolFamily);
    }
    let needed = match &rule.icmp {
        None => None,
        Some(IcmpTypes::V4(_)) => Some((Family::V4, Protocol::Icmp)),
        Some(IcmpTypes::V6(_)) => Some((Family::V6, Protocol::Icmp6)),
    };
    if let Some((family, protocol)) = needed
        && (rule.family != Some(family) || protocols != [protocol])
    {
        return refuse(Problem::IcmpTypes);
    }
    if rule.action != Action::Pass && rule.state != State::Unsaid {
        return refuse(Problem::StateOfBlock);
    }
    Ok(())
}

impl Filter {
    /// The family that is said, or that an address has.
    fn family_by_address(&self) -> Option<Family> {
        use crate::policy::pf::ast::Address;
        let of = |hosts: &Hosts| match hosts {
            Hosts::In(Address::Net(net)) | Hosts::NotIn(Address::Net(net)) => Some(net.family()),
            _ => None,
        };
        self.family.or(of(&self.from)).or(of(&self.to))
    }
}
