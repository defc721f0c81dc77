//! The packet filter of a FreeBSD host that is the router itself: pf(4).
//!
//! [`Ruleset`] is the part of pf.conf(5) that this crate writes, as data, kept to the grammar
//! that FreeBSD 12 to 15 share. It is printed with `Display`, read with [`Ruleset::parse`], and
//! [`Ruleset::judge`] says what pf does with the first packet of a flow.
//! [`Policy::pf_anchor`](crate::Policy::pf_anchor) makes one from a policy.

mod anchor;
mod ast;
mod emit;
mod error;
mod evaluate;
mod lex;
mod names;
mod parse;
mod print;

pub use anchor::{PfAnchor, PfError, main_conf_lines};
pub use ast::{
    Action, Address, Binat, Direction, Filter, Hosts, IcmpTypes, InterfaceAddress, List, Nat,
    NatSource, On, Protocol, Rdr, Ruleset, State, Statement, Table,
};
pub use error::{ParseError, Problem};
pub use evaluate::{Content, Interface, Judgement, Outcome, Packet, Router, Verdict};
pub use names::{Label, TableName, Tag};
