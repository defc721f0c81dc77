//! Statements as pfctl reads them. Total: whatever the types can hold has a text.

use std::fmt::{self, Display, Formatter, Write as _};

use super::ast::{
    Action, Address, Binat, Direction, Filter, Hosts, IcmpTypes, InterfaceAddress, List, Nat,
    NatSource, On, Rdr, Ruleset, State, Statement, Table,
};
use super::names::is_keyword;
use crate::names::InterfaceName;
use crate::net::{Family, Net};

impl Display for Ruleset {
    /// One statement a line, the last one with its newline too: without it pfctl reports a syntax
    /// error.
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        for (_, statement) in &self.statements {
            writeln!(f, "{statement}")?;
        }
        Ok(())
    }
}

impl Display for Statement {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Table(table) => table.fmt(f),
            Self::Nat(nat) => nat.fmt(f),
            Self::Binat(binat) => binat.fmt(f),
            Self::Rdr(rdr) => rdr.fmt(f),
            Self::Filter(filter) => filter.fmt(f),
        }
    }
}

impl Display for Table {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let constant = if self.constant { " const" } else { "" };
        write!(f, "table <{}>{constant} {{", self.name)?;
        for member in &self.members {
            write!(f, " {}", NetText(*member))?;
        }
        f.write_str(" }")
    }
}

impl Display for Nat {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "nat on {}", self.on)?;
        family(f, self.family)?;
        write!(f, " from {} to {} -> ", self.from, self.to)?;
        match &self.source {
            NatSource::Interface(interface) => interface.fmt(f),
            NatSource::Address(address) => address.fmt(f),
        }
    }
}

impl Display for Binat {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "binat on {}", InterfaceText(&self.on))?;
        family(f, Some(self.inside.family()))?;
        let (inside, outside) = (NetText(self.inside), NetText(self.outside));
        write!(f, " from {inside} to {} -> {outside}", self.to)
    }
}

impl Display for Rdr {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "rdr on {}", self.on)?;
        family(f, Some(self.family))?;
        f.write_str(" proto ")?;
        list(f, &self.protocols, |protocol| protocol.as_str())?;
        write!(
            f,
            " from {} to {} port {} -> ",
            self.from, self.to, self.port
        )?;
        list(f, &self.servers, |server| server)?;
        write!(f, " port {}", self.server_port)
    }
}

impl Display for Filter {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(match self.action {
            Action::Pass => "pass",
            Action::Drop => "block drop",
            Action::Return => "block return",
        })?;
        match self.direction {
            Some(Direction::In) => f.write_str(" in")?,
            Some(Direction::Out) => f.write_str(" out")?,
            None => {}
        }
        f.write_str(if self.log { " log" } else { "" })?;
        f.write_str(if self.quick { " quick" } else { "" })?;
        if let Some(on) = &self.on {
            write!(f, " on {on}")?;
        }
        family(f, self.family)?;
        if let Some(protocols) = &self.protocols {
            f.write_str(" proto ")?;
            list(f, protocols, |protocol| protocol.as_str())?;
        }
        self.fmt_hosts(f)?;
        self.fmt_options(f)
    }
}

impl Filter {
    fn fmt_hosts(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Some(ports) = &self.ports else {
            return match (&self.from, &self.to) {
                (Hosts::Any, Hosts::Any) => f.write_str(" all"),
                (from, to) => write!(f, " from {from} to {to}"),
            };
        };
        write!(f, " from {} to {} port ", self.from, self.to)?;
        list(f, ports, |port| port)
    }

    fn fmt_options(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match &self.icmp {
            Some(IcmpTypes::V4(types)) => {
                f.write_str(" icmp-type ")?;
                list(f, types, |number| number)?;
            }
            Some(IcmpTypes::V6(types)) => {
                f.write_str(" icmp6-type ")?;
                list(f, types, |number| number)?;
            }
            None => {}
        }
        if let Some(tagged) = &self.tagged {
            write!(f, " tagged {tagged}")?;
        }
        if let Some(tag) = &self.tag {
            write!(f, " tag {tag}")?;
        }
        f.write_str(match self.state {
            State::Unsaid => "",
            State::Keep => " keep state",
            State::No => " no state",
        })?;
        match &self.label {
            Some(label) => write!(f, " label \"{label}\""),
            None => Ok(()),
        }
    }
}

impl Display for On {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::OneOf(interfaces) => list(f, interfaces, InterfaceText),
            Self::Not(interface) => write!(f, "! {}", InterfaceText(interface)),
        }
    }
}

impl Display for Hosts {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => f.write_str("any"),
            Self::In(address) => address.fmt(f),
            Self::NotIn(address) => write!(f, "! {address}"),
        }
    }
}

impl Display for Address {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Table(name) => write!(f, "<{name}>"),
            Self::Own => f.write_str("(self)"),
            Self::Interface(interface) => interface.fmt(f),
            Self::Net(net) => NetText(*net).fmt(f),
        }
    }
}

impl Display for InterfaceAddress {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let first = if self.first_only { ":0" } else { "" };
        // A keyword with ":0" behind it is none.
        if self.first_only {
            write!(f, "({}{first})", self.interface)
        } else {
            write!(f, "({})", InterfaceText(&self.interface))
        }
    }
}

/// An interface where the grammar wants a string: `on tag` needs quotes, `on em0` none.
struct InterfaceText<'a>(&'a InterfaceName);

impl Display for InterfaceText<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        if is_keyword(self.0.as_str()) {
            write!(f, "\"{}\"", self.0)
        } else {
            f.write_str(self.0.as_str())
        }
    }
}

/// A network, and one of a single address without its length, as pfctl itself prints them.
struct NetText(Net);

impl Display for NetText {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        if self.0.prefix_len() == self.0.family().bits() {
            self.0.address().fmt(f)
        } else {
            self.0.fmt(f)
        }
    }
}

fn family(f: &mut Formatter<'_>, family: Option<Family>) -> fmt::Result {
    f.write_str(match family {
        None => "",
        Some(Family::V4) => " inet",
        Some(Family::V6) => " inet6",
    })
}

/// Alone, or in braces with blanks between: a comma at the end of a line is a syntax error.
fn list<'a, T, D: Display>(
    f: &mut Formatter<'_>,
    list: &'a List<T>,
    text: impl Fn(&'a T) -> D,
) -> fmt::Result {
    if let [item] = list.items() {
        return write!(f, "{}", text(item));
    }
    f.write_char('{')?;
    for item in list.items() {
        write!(f, " {}", text(item))?;
    }
    f.write_str(" }")
}
