//! The lab's networks beside each other, and the blocks that they are taken from.

use crate::lint::host::outermost;
use crate::lint::table::{GLOBAL_V4, HABIT_RANGE, RANGES_OVERLAP, SPECIAL_OPT_IN, SPECIAL_RANGE};
use crate::lint::{Claim, Findings};
use crate::net::Family;
use crate::plan::Plan;
use crate::special::{Allocatable, allocatable, habits, lookup};

pub(super) fn check(claims: &[Claim], plan: &Plan, findings: &mut Findings) {
    // The lab's own networks contain the others, and come first.
    let inner = &claims[plan.supernet.iter().count()..];
    for (at, claim) in inner.iter().enumerate() {
        for other in inner[..at].iter().filter(|o| o.net.overlaps(claim.net)) {
            check_pair(claim, other, findings);
        }
    }
    for claim in outermost(claims) {
        check_block(claim, findings);
    }
}

fn check_pair(claim: &Claim, other: &Claim, findings: &mut Findings) {
    let how = if claim.net == other.net {
        "is also"
    } else if other.net.covers(claim.net) {
        "lies in"
    } else {
        "contains"
    };
    let Claim { subject, net } = claim;
    let message = format!("{subject} = {net} {how} {} = {}", other.subject, other.net);
    findings.report(&RANGES_OVERLAP, subject, message);
}

fn check_block(claim: &Claim, findings: &mut Findings) {
    let Claim { subject, net } = claim;
    match allocatable(*net) {
        Allocatable::ByDefault => check_habits(claim, findings),
        Allocatable::Never { row, .. } => {
            let (block, name, rfc) = (row.block, row.name, row.rfc);
            let message = format!("{subject} = {net} overlaps {block}, {name} ({rfc})");
            findings.report(&SPECIAL_RANGE, subject, message);
        }
        // Global addresses are opt-in too; of IPv6 they are the best that a lab can have.
        Allocatable::OptIn { reason } if lookup(*net).next().is_some() => {
            let message = format!("{subject} = {net} is out of {reason}");
            findings.report(&SPECIAL_OPT_IN, subject, message);
        }
        Allocatable::OptIn { .. } if net.family() == Family::V4 => {
            let message = format!("{subject} = {net} hides that part of the internet from the lab");
            findings.report(&GLOBAL_V4, subject, message);
        }
        Allocatable::OptIn { .. } => {}
    }
}

fn check_habits(claim: &Claim, findings: &mut Findings) {
    let Claim { subject, net } = claim;
    // Cilium's habit is all of 10.0.0.0/8: nothing avoids that, and it is set where Cilium is.
    let narrow = habits(*net).filter(|habit| habit.net.prefix_len() > 8);
    let who: Vec<String> = narrow
        .map(|habit| format!("{} of {} ({})", habit.net, habit.who, habit.source))
        .collect();
    if !who.is_empty() {
        let message = format!("{subject} = {net} meets {}", who.join(", "));
        findings.report(&HABIT_RANGE, subject, message);
    }
}
