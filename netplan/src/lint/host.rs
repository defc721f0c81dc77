//! The lab's networks beside those of the host.

use std::net::IpAddr;

use crate::facts::{HostFacts, Occupied};
use crate::lint::table::{
    HOST_NEXT_HOP, HOST_RESOLVER, HOST_ROUTE_EQUAL, HOST_ROUTE_HIDDEN, HOST_ROUTE_SHADOWED,
};
use crate::lint::{Claim, Findings, Lint};

/// How a network of the lab stands to one of the host; both directions count, since a check of
/// one of them alone overlooks half of the conflicts.
pub(super) fn check(claims: &[Claim], facts: &HostFacts, findings: &mut Findings) {
    for claim in outermost(claims) {
        // Default routes are nobody's network.
        let occupied = facts.occupied.iter();
        for occupied in occupied.filter(|occupied| occupied.net.prefix_len() > 0) {
            if claim.net.overlaps(occupied.net) {
                check_route(claim, claims, occupied, findings);
            }
        }
        let hops = facts.next_hops.iter().map(|at| (&HOST_NEXT_HOP, at));
        let resolvers = facts.resolvers.iter().map(|at| (&HOST_RESOLVER, at));
        for (lint, address) in hops.chain(resolvers) {
            if claim.net.contains(*address) {
                check_address(lint, claim, *address, findings);
            }
        }
    }
}

/// The networks that lie in no other one: those of the whole lab, as a rule.
pub(super) fn outermost(claims: &[Claim]) -> impl Iterator<Item = &Claim> {
    let inside = |at: usize, claim: &Claim| {
        claims.iter().enumerate().any(|(other, outer)| {
            outer.net.covers(claim.net) && (outer.net != claim.net || other < at)
        })
    };
    let numbered = claims.iter().enumerate();
    numbered
        .filter(move |(at, claim)| !inside(*at, claim))
        .map(|(_, claim)| claim)
}

fn check_route(claim: &Claim, claims: &[Claim], occupied: &Occupied, findings: &mut Findings) {
    let Claim { subject, net } = claim;
    let Occupied { net: taken, by } = occupied;
    let (lint, how) = if net == taken {
        (&HOST_ROUTE_EQUAL, "is")
    } else if taken.covers(*net) {
        (&HOST_ROUTE_SHADOWED, "takes a part of")
    } else {
        (&HOST_ROUTE_HIDDEN, "hides")
    };
    let met: Vec<&str> = claims
        .iter()
        .filter(|inner| inner.subject != *subject && net.covers(inner.net))
        .filter(|inner| lint == &HOST_ROUTE_HIDDEN && inner.net.overlaps(*taken))
        .map(|inner| inner.subject.as_str())
        .collect();
    let where_exactly = if met.is_empty() {
        String::new()
    } else {
        format!(", just where {} is", met.join(", "))
    };
    let message = format!("{subject} = {net} {how} {taken} of this host ({by}){where_exactly}");
    findings.report(lint, subject, message);
}

fn check_address(lint: &'static Lint, claim: &Claim, address: IpAddr, findings: &mut Findings) {
    let Claim { subject, net } = claim;
    let what = if lint == &HOST_NEXT_HOP {
        "the next hop of its default route"
    } else {
        "a name server that it asks"
    };
    let message = format!("{subject} = {net} contains {address} of this host ({what})");
    findings.report(lint, subject, message);
}
