//! Addresses in rules and tables.

use std::net::IpAddr;

use super::{Kind, Parsed, Parser};
use crate::names::InterfaceName;
use crate::net::{Family, Net};
use crate::policy::pf::ast::{Address, Hosts, InterfaceAddress};
use crate::policy::pf::error::Problem;
use crate::policy::pf::lex::Token;

impl Parser {
    pub(super) fn hosts(&mut self) -> Parsed<Hosts> {
        if self.takes("any") {
            return Ok(Hosts::Any);
        }
        if self.takes_mark('!') {
            return self.host().map(Hosts::NotIn);
        }
        self.host().map(Hosts::In)
    }

    fn host(&mut self) -> Parsed<Address> {
        match self.peek().kind {
            Kind::Mark('<') => self.table_name().map(Address::Table),
            Kind::Mark('(') => self.in_parentheses(),
            Kind::Mark('{') => Err(self.peek().error(Problem::NotWritten(
                "addresses in braces expand to a rule each: write a table",
            ))),
            _ => self.net().map(Address::Net),
        }
    }

    /// `(self)`, `(em0)` or `(em0:0)`.
    fn in_parentheses(&mut self) -> Parsed<Address> {
        if matches!(self.tokens.get(self.position + 1), Some(Token { kind: Kind::Word(word), .. }) if word == "self")
        {
            self.position += 2;
            self.expect_mark(')', "')'")?;
            return Ok(Address::Own);
        }
        self.interface_address().map(Address::Interface)
    }

    pub(super) fn interface_address(&mut self) -> Parsed<InterfaceAddress> {
        self.expect_mark('(', "an address, or an interface in parentheses")?;
        let token = self.peek().clone();
        let (interface, first_only) = match &token.kind {
            Kind::Word(text) if text.contains(':') => {
                self.position += 1;
                let name = text.strip_suffix(":0").ok_or_else(|| {
                    token.error(Problem::NotWritten("of the modifiers only ':0' is written"))
                })?;
                let name = InterfaceName::new(name).map_err(|error| token.error(error.into()))?;
                (name, true)
            }
            _ => (self.interface()?, false),
        };
        self.expect_mark(')', "')'")?;
        Ok(InterfaceAddress {
            interface,
            first_only,
        })
    }

    /// `ADDRESS` or `ADDRESS/LENGTH`; bits behind the length are masked.
    pub(super) fn net(&mut self) -> Parsed<Net> {
        let token = self.next();
        let address = address_of(&token)?;
        if self.peek().kind == Kind::Mark('-') {
            return Err(self.peek().error(Problem::Range));
        }
        if !self.takes_mark('/') {
            return Ok(Net::host(address));
        }
        let length = self.number("a prefix length")?;
        Net::containing(address, length).map_err(|error| token.error(error.into()))
    }

    pub(super) fn address(&mut self) -> Parsed<IpAddr> {
        address_of(&self.next())
    }
}

fn address_of(token: &Token) -> Parsed<IpAddr> {
    let Kind::Word(text) = &token.kind else {
        return Err(token.error(Problem::Expected("an address")));
    };
    let is_address = |text: &str| text.parse::<IpAddr>().is_ok();
    text.parse().map_err(|_| {
        let range = text.split_once('-');
        token.error(match range {
            Some((first, last)) if is_address(first) && is_address(last) => Problem::Range,
            _ => Problem::NoAddress,
        })
    })
}

/// All addresses that a rule names must be of its family, or else it expands to nothing.
pub(super) fn check_family(
    family: Option<Family>,
    hosts: &[&Hosts],
    others: &[IpAddr],
) -> Result<(), Problem> {
    let named = hosts.iter().filter_map(|hosts| match hosts {
        Hosts::In(Address::Net(net)) | Hosts::NotIn(Address::Net(net)) => Some(net.family()),
        _ => None,
    });
    let mut expected = family;
    for found in named.chain(others.iter().copied().map(Family::of)) {
        let family = *expected.get_or_insert(found);
        if family != found {
            return Err(Problem::Family { family, found });
        }
    }
    Ok(())
}
