//! The rules of the router by what they are for. One that is for nothing known is an error: a
//! rule that is left out in silence is a hole.

use crate::names::NetworkName;
use crate::net::Family;
use crate::policy::pf::anchor::PfError;
use crate::policy::{AddressSet, Point, Policy, Rule, Source, Traffic, Verdict, Zone};

/// From one network to another.
pub(super) struct Between<'a> {
    pub(super) rule: &'a Rule,
    pub(super) from: &'a NetworkName,
    pub(super) to: &'a NetworkName,
}

/// To some machines from outside.
pub(super) struct Exposed<'a> {
    pub(super) to: &'a AddressSet,
    pub(super) network: &'a NetworkName,
    pub(super) ports: &'a [u16],
}

/// What the router's rules say.
#[derive(Default)]
pub(super) struct Shapes<'a> {
    /// Sources that belong to a network, from elsewhere.
    pub(super) spoof: Vec<(&'a Rule, &'a NetworkName)>,
    /// Over the router inside of a network.
    pub(super) local: Vec<&'a NetworkName>,
    pub(super) between: Vec<Between<'a>>,
    /// To addresses of the lab that no network has.
    pub(super) unassigned: Option<&'a Rule>,
    /// Families that do not leave.
    pub(super) inside_only: Vec<(&'a Rule, Family)>,
    /// Whether guests may leave.
    pub(super) egress: bool,
    pub(super) exposed: Vec<Exposed<'a>>,
    /// To guests, from outside.
    pub(super) unsolicited: Option<&'a Rule>,
    /// From guests, to what is neither theirs nor behind the uplink.
    pub(super) others: Option<&'a Rule>,
    /// From guests, to the router itself: in their order.
    pub(super) input: Vec<&'a Rule>,
}

impl<'a> Shapes<'a> {
    pub(super) fn of(policy: &'a Policy) -> Result<Self, PfError> {
        let mut shapes = Self::default();
        let rules = |point| policy.chain(&point).into_iter().flat_map(|own| &own.rules);
        for rule in rules(Point::RouterForward) {
            if !is_implied(rule) && shapes.forward(rule).is_none() {
                let rule = rule.name.clone();
                return Err(PfError::Rule { rule });
            }
        }
        for rule in rules(Point::RouterInput) {
            if is_implied(rule) || shapes.is_spoof_elsewhere(rule) {
                continue;
            }
            if !is_input(rule) {
                let rule = rule.name.clone();
                return Err(PfError::Rule { rule });
            }
            shapes.input.push(rule);
        }
        Ok(shapes)
    }

    /// `None` when the rule is of no known shape.
    fn forward(&mut self, rule: &'a Rule) -> Option<()> {
        use Verdict::{Allow, Drop, Refuse};
        let Rule {
            entering, leaving, ..
        } = rule;
        if let Traffic::Tcp(ports) = &rule.traffic {
            return self.exposed(rule, ports);
        }
        if rule.traffic != Traffic::Any {
            return None;
        }
        if rule.to.is_some() {
            return self.unassigned(rule);
        }
        if rule.from.is_some() {
            return self.spoof(rule);
        }
        match (entering.as_slice(), leaving.as_slice(), rule.verdict) {
            (from, [Zone::Internet], Refuse) if are_guests(from) => rule
                .family
                .map(|family| self.inside_only.push((rule, family))),
            _ if rule.family.is_some() => None,
            ([Zone::Network(from)], [Zone::Network(to)], Allow) if from == to => {
                self.local.push(from);
                Some(())
            }
            ([Zone::Network(from)], [Zone::Network(to)], Drop | Refuse) if from != to => {
                self.between.push(Between { rule, from, to });
                Some(())
            }
            (from, [Zone::Internet], Allow) if are_guests(from) => {
                self.egress = true;
                Some(())
            }
            ([], to, Drop) if are_guests(to) => {
                self.unsolicited = Some(rule);
                Some(())
            }
            (from, [], Refuse) if are_guests(from) => {
                self.others = Some(rule);
                Some(())
            }
            _ => None,
        }
    }

    fn spoof(&mut self, rule: &'a Rule) -> Option<()> {
        match (rule.entering.as_slice(), &rule.from) {
            ([Zone::Network(own)], Some(Source::NotIn(AddressSet::Network(expected))))
                if own == expected =>
            {
                let is_plain = rule.leaving.is_empty()
                    && rule.family.is_none()
                    && rule.verdict == Verdict::Drop;
                is_plain.then(|| self.spoof.push((rule, own)))
            }
            _ => None,
        }
    }

    fn unassigned(&mut self, rule: &'a Rule) -> Option<()> {
        let is_plain = rule.to == Some(AddressSet::Lab)
            && rule.from.is_none()
            && rule.family.is_none()
            && rule.verdict == Verdict::Refuse
            && are_guests(&rule.entering)
            && rule.leaving == [Zone::Internet];
        is_plain.then(|| self.unassigned = Some(rule))
    }

    /// Whether a rule for the router's input drops what a rule against spoofing drops in pf, which
    /// asks for the source on all interfaces and before it asks where a packet goes.
    fn is_spoof_elsewhere(&self, rule: &Rule) -> bool {
        let Some(Source::In(AddressSet::Network(own))) = &rule.from else {
            return false;
        };
        let is_plain = rule.to.is_none()
            && rule.family.is_none()
            && rule.leaving.is_empty()
            && rule.traffic == Traffic::Any
            && rule.verdict == Verdict::Drop;
        let from_own = rule.entering.contains(&Zone::Network(own.clone()));
        let mut spoof = self.spoof.iter();
        is_plain
            && are_guests(&rule.entering)
            && !from_own
            && spoof.any(|(_, network)| *network == own)
    }

    fn exposed(&mut self, rule: &'a Rule, ports: &'a [u16]) -> Option<()> {
        let is_plain = rule.verdict == Verdict::Allow && rule.from.is_none();
        match (rule.entering.as_slice(), rule.leaving.as_slice()) {
            ([Zone::Internet], [Zone::Network(network)]) if is_plain && rule.family.is_none() => {
                let to = rule.to.as_ref()?;
                self.exposed.push(Exposed { to, network, ports });
                Some(())
            }
            _ => None,
        }
    }
}

/// What pf does by itself: replies and ICMP errors belong to states, and what belongs to none is
/// judged by the rules.
fn is_implied(rule: &Rule) -> bool {
    match rule.traffic {
        Traffic::Replies | Traffic::IcmpErrors => rule.verdict == Verdict::Allow,
        Traffic::Invalid => rule.verdict == Verdict::Drop,
        _ => false,
    }
}

fn are_guests(zones: &[Zone]) -> bool {
    !zones.is_empty() && zones.iter().all(|zone| matches!(zone, Zone::Network(_)))
}

fn is_input(rule: &Rule) -> bool {
    let is_known = match (&rule.traffic, rule.verdict) {
        (Traffic::Neighbours, Verdict::Allow) => rule.entering.is_empty(),
        (Traffic::Tcp(_) | Traffic::Udp(_) | Traffic::Echo, Verdict::Allow)
        | (Traffic::Any, Verdict::Refuse) => are_guests(&rule.entering),
        _ => false,
    };
    let is_narrowed = rule.from.is_some() || rule.to.is_some() || rule.family.is_some();
    is_known && rule.leaving.is_empty() && !is_narrowed
}
