//! The anchors of several labs, and what they are refused for.

use netplan::pf::{PfError, Ruleset, Statement, main_conf_lines};
use netplan::{LabName, Point, Policy, Rule, Traffic, Verdict};

use crate::pf_labs::{self, Lab, lab};
use crate::{golden, planned, requirement};

#[track_caller]
fn check(case: &str, lab: &Lab) {
    let anchor = lab.policy.pf_anchor(&lab.plan).expect("an anchor");
    golden::check(case, "anchor.pf", &anchor.load);
    let parsed = Ruleset::parse(&anchor.load).expect("what is printed can be read");
    assert_eq!(Ok(parsed), lab.policy.pf_rules(&lab.plan));
}

#[test]
fn anchors() {
    for (case, lab) in pf_labs::all() {
        check(case, &lab);
    }
}

#[test]
fn commands_touch_the_anchor_only() {
    let lab = lab(&pf_labs::reference());
    let anchor = lab.policy.pf_anchor(&lab.plan).expect("an anchor");
    assert_eq!(anchor.anchor, "labcluster/lab");
    assert_eq!(
        anchor.check_arguments().join(" "),
        "-n -a labcluster/lab -f -"
    );
    assert_eq!(anchor.load_arguments().join(" "), "-a labcluster/lab -f -");
    assert_eq!(anchor.undo(), "pfctl -a labcluster/lab -F all\n");
    for line in ["set skip on lo0", "anchor \"labcluster/*\""] {
        assert!(main_conf_lines().contains(&line));
    }
}

#[test]
fn a_namespace_has_no_anchor() {
    let plan = planned(&requirement(3, 1, 1));
    let error = Policy::standard(&plan).pf_anchor(&plan).unwrap_err();
    assert!(matches!(error, PfError::Namespace { .. }), "{error}");
}

/// A rule left out in silence would be a hole.
#[test]
fn a_rule_of_no_known_shape_is_an_error() {
    let lab = lab(&pf_labs::reference());
    for point in [Point::RouterForward, Point::RouterInput] {
        for (traffic, verdict) in [
            (Traffic::Tcp(vec![22]), Verdict::Drop),
            (Traffic::Any, Verdict::Allow),
            (Traffic::Icmp, Verdict::Drop),
        ] {
            let mut policy = lab.policy.clone();
            let chain = policy.chains.iter_mut().find(|own| own.point == point);
            chain.expect("a chain of the router").rules.push(Rule {
                name: "own".to_owned(),
                entering: Vec::new(),
                leaving: Vec::new(),
                family: None,
                from: None,
                to: None,
                traffic,
                verdict,
            });
            let rule = "own".to_owned();
            assert_eq!(policy.pf_rules(&lab.plan), Err(PfError::Rule { rule }));
        }
    }
}

/// The longest names that there can be still give an anchor that can be read.
#[test]
fn long_names_fit() {
    let mut wanted = pf_labs::with_networks(&["abcdefghijkl", "mnopqrstuvwx"]);
    wanted.lab = LabName::new("a-lab-of-20-letters0").expect("a name");
    let lab = lab(&wanted);
    let rules = lab.policy.pf_rules(&lab.plan).expect("rules");
    assert_eq!(Ruleset::parse(&rules.to_string()), Ok(rules));
}

/// An interface whose name is a word of the grammar is quoted.
#[test]
fn an_uplink_called_tag_is_quoted() {
    let lab = lab(&pf_labs::with_uplink("tag"));
    let rules = lab.policy.pf_rules(&lab.plan).expect("rules");
    assert!(rules.to_string().contains("nat on \"tag\" inet from <lab>"));
    assert_eq!(Ruleset::parse(&rules.to_string()), Ok(rules));
}

/// NAT66 never takes an address of the interface: older pf may choose the link-local one.
#[test]
fn nat_of_ipv6_has_an_address() {
    for (_, lab) in pf_labs::all() {
        let rules = lab.policy.pf_rules(&lab.plan).expect("rules");
        for (_, statement) in rules.statements() {
            if let Statement::Nat(nat) = statement
                && nat.family != Some(netplan::Family::V4)
            {
                assert!(matches!(nat.source, netplan::pf::NatSource::Address(_)));
            }
        }
    }
}

/// Rules on `tap` would be about every tap of the host.
#[test]
fn an_uplink_called_like_a_group_is_refused() {
    let lab = lab(&pf_labs::with_uplink("tap"));
    let interface = crate::interface("tap");
    assert_eq!(
        lab.policy.pf_rules(&lab.plan),
        Err(PfError::Group { interface })
    );
}

/// Of networks that the plan does not have no rule is made: without an interface it would be
/// about all.
#[test]
fn a_policy_of_another_plan_is_refused() {
    let (one, other) = (lab(&pf_labs::reference()), pf_labs::with_networks(&["x"]));
    let other = lab(&other);
    let error = one.policy.pf_rules(&other.plan).unwrap_err();
    assert!(matches!(error, PfError::Plan { .. }), "{error}");
}
