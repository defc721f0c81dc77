//! `nat`, `binat` and `rdr`.

use super::hosts::check_family;
use super::{Kind, Parsed, Parser};
use crate::net::Family;
use crate::policy::pf::ast::{Binat, Hosts, List, Nat, NatSource, Protocol, Rdr};
use crate::policy::pf::error::Problem;
use crate::policy::pf::lex::Token;

impl Parser {
    pub(super) fn nat(&mut self) -> Parsed<Nat> {
        let first = self.peek().clone();
        self.expect("on", "on")?;
        let on = self.on()?;
        let family = self.family();
        let (from, to) = self.source_and_destination()?;
        self.arrow()?;
        let (source, addresses) = if self.peek().kind == Kind::Mark('(') {
            (NatSource::Interface(self.interface_address()?), Vec::new())
        } else {
            let address = self.address()?;
            (NatSource::Address(address), vec![address])
        };
        check_family(family, &[&from, &to], &addresses).map_err(|problem| first.error(problem))?;
        Ok(Nat {
            on,
            family,
            from,
            to,
            source,
        })
    }

    pub(super) fn binat(&mut self) -> Parsed<Binat> {
        let first = self.peek().clone();
        self.expect("on", "on")?;
        let on = self.interface()?;
        let family = self.family();
        self.expect("from", "from")?;
        let inside = self.net()?;
        self.expect("to", "to")?;
        let to = self.hosts()?;
        self.arrow()?;
        let outside_at = self.peek().clone();
        let outside = self.net()?;
        let addresses = [inside.address(), outside.address()];
        check_family(family, &[&to], &addresses).map_err(|problem| first.error(problem))?;
        if inside.prefix_len() != outside.prefix_len() {
            return Err(outside_at.error(Problem::BinatLengths { inside, outside }));
        }
        Ok(Binat {
            on,
            inside,
            to,
            outside,
        })
    }

    pub(super) fn rdr(&mut self) -> Parsed<Rdr> {
        let first = self.peek().clone();
        self.expect("on", "on")?;
        let on = self.on()?;
        let family = self.rdr_family()?;
        let protocols_at = self.peek().clone();
        let protocols = self.protocols()?.ok_or_else(|| {
            protocols_at.error(Problem::Expected("proto and protocols that have ports"))
        })?;
        check_ports(&protocols_at, &protocols)?;
        let (from, to) = self.source_and_destination()?;
        self.expect("port", "port")?;
        let port = self.port()?;
        self.arrow()?;
        let servers = self.list(Self::address)?;
        self.expect("port", "port")?;
        let server_port = self.port()?;
        check_family(Some(family), &[&from, &to], servers.items())
            .map_err(|problem| first.error(problem))?;
        Ok(Rdr {
            on,
            family,
            protocols,
            from,
            to,
            port,
            servers,
            server_port,
        })
    }

    fn rdr_family(&mut self) -> Parsed<Family> {
        let token = self.peek().clone();
        self.family()
            .ok_or_else(|| token.error(Problem::Expected("inet or inet6")))
    }

    fn source_and_destination(&mut self) -> Parsed<(Hosts, Hosts)> {
        self.expect("from", "from")?;
        let from = self.hosts()?;
        self.expect("to", "to")?;
        Ok((from, self.hosts()?))
    }

    fn arrow(&mut self) -> Parsed<()> {
        let token = self.next();
        if token.kind == Kind::Arrow {
            return Ok(());
        }
        Err(token.error(Problem::Expected("'->'")))
    }
}

pub(super) fn check_ports(at: &Token, protocols: &List<Protocol>) -> Parsed<()> {
    if protocols.items().iter().all(|own| own.has_ports()) {
        return Ok(());
    }
    Err(at.error(Problem::Ports))
}
