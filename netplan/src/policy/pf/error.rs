//! Why a text is no rule set.

use thiserror::Error;

use crate::names::NameError;
use crate::net::{Family, Net, NetError};

/// Where a text stops to be a rule set of the part of pf.conf(5) that this crate writes, and why.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("line {line}, column {column}, at {found}: {problem}")]
pub struct ParseError {
    /// The line, from 1.
    pub line: u32,
    /// The column in characters, from 1.
    pub column: u32,
    /// What stands there.
    pub found: String,
    /// What is wrong with it.
    pub problem: Problem,
}

/// What can be wrong. Most is wrong for pfctl too; where pfctl would take it, the text says why
/// this crate does not.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Problem {
    /// Another token is due.
    #[error("expected {0}")]
    Expected(&'static str),
    /// The last statement has no newline.
    #[error("the last statement needs a newline behind it")]
    NoNewline,
    /// A carriage return.
    #[error("lines end with a newline alone, not with a carriage return before it")]
    CarriageReturn,
    /// A quote that is not closed on its line.
    #[error("a quoted text must end on its line")]
    OpenQuote,
    /// A list goes on in the next line behind a comma.
    #[error("a comma at the end of a line is a syntax error: leave it out")]
    CommaNewline,
    /// A macro that nobody defines.
    #[error("macro {0:?} is not defined, and an anchor of this crate defines none")]
    UnknownMacro(String),
    /// A word that pfctl takes for itself, where a name is due.
    #[error("the word belongs to the grammar and is no {0}")]
    Keyword(&'static str),
    /// A name that breaks its rule.
    #[error(transparent)]
    Name(#[from] NameError),
    /// A network that is none.
    #[error(transparent)]
    Net(#[from] NetError),
    /// A range of addresses.
    #[error("a range of addresses cannot be in a table: write networks")]
    Range,
    /// An interface name where addresses are due.
    #[error(
        "not an address, and as the name of an interface an error where that is absent: write \
         (INTERFACE:0)"
    )]
    NoAddress,
    /// Part of pf.conf(5), but not of what this crate writes.
    #[error("{0}")]
    NotWritten(&'static str),
    /// Statements in the wrong order.
    #[error("translation must stand before filtering")]
    Order,
    /// A table that is there already.
    #[error("the table is already defined; the second definition would replace the first")]
    SecondTable,
    /// An option that is there already.
    #[error("said twice in one rule")]
    Twice,
    /// Prefixes of `binat` that do not map onto each other.
    #[error("{inside} and {outside} have different lengths and cannot be mapped both ways")]
    BinatLengths {
        /// The prefix inside.
        inside: Net,
        /// The prefix outside.
        outside: Net,
    },
    /// Addresses of the other family.
    #[error("{found} addresses in a rule of {family}: it would expand to nothing")]
    Family {
        /// The family of the rule.
        family: Family,
        /// The family of the addresses.
        found: Family,
    },
    /// Ports of a protocol without ports.
    #[error("ports exist in tcp and udp only: name one of them, or both, after proto")]
    Ports,
    /// ICMP types of something else.
    #[error("icmp-type needs inet and proto icmp, icmp6-type needs inet6 and proto ipv6-icmp")]
    IcmpTypes,
    /// ICMP of the other family.
    #[error("the protocol does not exist in this address family")]
    ProtocolFamily,
    /// State of a rule that passes nothing.
    #[error("only rules that pass keep state")]
    StateOfBlock,
}
