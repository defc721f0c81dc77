//! How IPv6 leaves the lab, and what the kind of its addresses makes of that.

use crate::lint::Findings;
use crate::lint::table::{
    GUA_NOT_ROUTED, ULA_GLOBAL_ID, ULA_NAT66, ULA_NPT, ULA_ONLY, ULA_ROUTED, V6_OUTSIDE_OVERLAP,
    V6_OUTSIDE_SPECIAL, V6_OUTSIDE_ULA,
};
use crate::net::{Family, Net};
use crate::plan::Plan;
use crate::requirement::{RouterSpec, V6Mode};
use crate::special::{Allocatable, ULA, allocatable};

/// The prefix length behind the Global ID.
const SITE_LEN: u8 = 48;

pub(super) fn check(plan: &Plan, findings: &mut Findings) {
    let Some(inside) = plan.supernet.v6 else {
        return;
    };
    if ULA.covers(inside) {
        check_global_id(inside, findings);
        check_ula_mode(plan, inside, findings);
    } else if plan.v6_mode != V6Mode::Routed {
        let mode = word(plan.v6_mode);
        let message = format!("v6 = {inside} is global, and v6_mode {mode} keeps it inside");
        findings.report(&GUA_NOT_ROUTED, "v6", message);
    }
    match plan.v6_mode {
        V6Mode::Npt { outside } => check_outside(plan, "v6_mode.npt.outside", outside, findings),
        V6Mode::Nat66 { address } => {
            let outside = Net::host(address.into());
            check_outside(plan, "v6_mode.nat66.address", outside, findings);
        }
        V6Mode::Routed | V6Mode::UlaOnly => {}
    }
}

fn word(mode: V6Mode) -> &'static str {
    match mode {
        V6Mode::Routed => "routed",
        V6Mode::Npt { .. } => "npt",
        V6Mode::Nat66 { .. } => "nat66",
        V6Mode::UlaOnly => "ula-only",
    }
}

fn check_ula_mode(plan: &Plan, inside: Net, findings: &mut Findings) {
    let has_v4 = plan.supernet.v4.is_some();
    match plan.v6_mode {
        // A unique local source (label 13) does not match a global destination (label 1), and
        // IPv4 matches IPv4 (label 4); that decides before precedence does.
        V6Mode::Nat66 { .. } | V6Mode::Npt { .. } if has_v4 => {
            let lint = match plan.v6_mode {
                V6Mode::Npt { .. } => &ULA_NPT,
                _ => &ULA_NAT66,
            };
            let message = format!(
                "v6 = {inside} is unique local, so with v6_mode {} machines that have IPv4 use that for every name of the internet: the labels of IPv4 match, those of a unique local source and a global destination do not (and the precedence of unique local addresses is 3, that of IPv4 35)",
                word(plan.v6_mode)
            );
            findings.report(lint, "v6_mode", message);
        }
        V6Mode::UlaOnly => {
            let rest = if has_v4 {
                "machines reach the internet over IPv4 only"
            } else {
                "and there is no IPv4: nothing leaves the lab"
            };
            let message = format!("v6_mode = ula-only keeps {inside} inside, {rest}");
            findings.report(&ULA_ONLY, "v6_mode", message);
        }
        V6Mode::Routed if plan.router != RouterSpec::Namespace => {
            let message = format!(
                "v6_mode = routed sends {inside} out as it is, and no router of a provider knows the way back"
            );
            findings.report(&ULA_ROUTED, "v6_mode", message);
        }
        V6Mode::Routed | V6Mode::Npt { .. } | V6Mode::Nat66 { .. } => {}
    }
}

fn check_global_id(inside: Net, findings: &mut Findings) {
    let why = if inside.prefix_len() < SITE_LEN {
        Some(format!(
            "is shorter than /{SITE_LEN}: it takes the Global IDs of other sites too"
        ))
    } else {
        let [_, a, b, c, d, e, ..] = inside.bits().to_be_bytes();
        weakness([a, b, c, d, e]).map(|why| format!("has a Global ID that {why}"))
    };
    if let Some(why) = why {
        let message = format!("v6 = {inside} {why}");
        findings.report(&ULA_GLOBAL_ID, "v6", message);
    }
}

/// Why somebody else has this Global ID too. Of a million random ones it calls two weak.
fn weakness(id: [u8; 5]) -> Option<&'static str> {
    let mut distinct = id;
    distinct.sort_unstable();
    let repeats = distinct
        .windows(2)
        .filter(|pair| pair[0] == pair[1])
        .count();
    let zeros = id.iter().filter(|byte| **byte == 0).count();
    let nibbles: Vec<u8> = id.iter().flat_map(|byte| [byte >> 4, byte & 15]).collect();
    let counts = |digits: &[u8], modulus: u16| {
        let step = |pair: &[u8]| (u16::from(pair[1]) + modulus - u16::from(pair[0])) % modulus;
        let mut steps = digits.windows(2).map(step);
        let first = steps.next();
        steps.all(|step| Some(step) == first)
    };
    if zeros >= 3 {
        Some("is almost all zeros")
    } else if repeats >= 3 {
        Some("repeats itself")
    } else if counts(&id, 256) || counts(&nibbles, 16) {
        Some("counts")
    } else {
        None
    }
}

fn check_outside(plan: &Plan, subject: &str, outside: Net, findings: &mut Findings) {
    if outside.family() == Family::V6
        && let Some(inside) = plan.supernet.v6.filter(|inside| inside.overlaps(outside))
    {
        let message = format!("{subject} = {outside} is of the lab's own {inside}");
        findings.report(&V6_OUTSIDE_OVERLAP, subject, message);
    } else if ULA.covers(outside) {
        let message = format!("{subject} = {outside} is unique local");
        findings.report(&V6_OUTSIDE_ULA, subject, message);
    } else if plan.router != RouterSpec::Namespace
        && let Allocatable::Never { row, .. } = allocatable(outside)
    {
        // A namespace's internet is simulated, out of documentation addresses.
        let (block, name, rfc) = (row.block, row.name, row.rfc);
        let message = format!("{subject} = {outside} overlaps {block}, {name} ({rfc})");
        findings.report(&V6_OUTSIDE_SPECIAL, subject, message);
    }
}
