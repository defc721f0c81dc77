//! Every lint, with a plan that breaks it and a neighbour that does not.

mod cases;
mod model;

use std::collections::BTreeSet;

use netplan::{
    Allow, Finding, HostFacts, KubernetesSpec, LINTS, Occupied, Plan, Requirement, Severity,
    V6Mode, lint, plan,
};

use crate::{golden, net, requirement};

/// A requirement, what the host says, and what is changed in the plan afterwards: a lock, or a
/// requirement that was edited since, can bring about what [`plan`] itself would refuse.
struct World {
    requirement: Requirement,
    facts: HostFacts,
    edit: fn(&mut Plan),
}

impl World {
    /// The reference lab at a fixed place, with no finding.
    fn clean() -> Self {
        let mut requirement = requirement(3, 1, 1);
        requirement.v4 = Some(net("10.77.0.0/16"));
        requirement.v6 = Some(net("fd5c:1b2a:9e10::/48"));
        Self {
            requirement,
            facts: HostFacts::default(),
            edit: |_| {},
        }
    }

    fn kubernetes(&mut self) -> &mut KubernetesSpec {
        self.requirement
            .kubernetes
            .as_mut()
            .expect("the reference lab has a cluster")
    }

    fn occupy(&mut self, text: &str) {
        self.facts.occupied.push(Occupied {
            net: net(text),
            by: "route via eth0".to_owned(),
        });
    }

    fn allow(&mut self, lint: &str, reason: &str) {
        self.requirement.allow.push(Allow {
            lint: lint.to_owned(),
            reason: reason.to_owned(),
        });
    }

    /// The plan is made without the facts: what they say against it is for lints to say.
    fn findings(&self) -> Vec<Finding> {
        let mut plan = plan(&self.requirement, &HostFacts::default(), None).expect("a plan");
        (self.edit)(&mut plan);
        lint(&self.requirement, &plan, &self.facts)
    }
}

fn names(findings: &[Finding]) -> Vec<&str> {
    findings.iter().map(|finding| finding.lint.name).collect()
}

#[test]
fn the_reference_lab_is_clean() {
    let findings = World::clean().findings();
    assert!(findings.is_empty(), "{findings:?}");
    for minor in 28..=37 {
        let mut world = World::clean();
        world.kubernetes().version = netplan::KubernetesVersion::new(minor);
        assert_eq!(names(&world.findings()), [""; 0], "1.{minor}");
    }
}

/// Each case breaks its lint, its neighbour does not, and no lint is without a case.
#[test]
fn every_lint_has_a_case_and_a_neighbour() {
    let mut seen = BTreeSet::new();
    for case in cases::ALL {
        let findings = |edit: fn(&mut World)| {
            let mut world = World::clean();
            edit(&mut world);
            world.findings()
        };
        let broken = findings(case.broken);
        let found = broken.iter().find(|finding| finding.lint.name == case.lint);
        let found =
            found.unwrap_or_else(|| panic!("{} is not among {:?}", case.lint, names(&broken)));
        assert_eq!(found.subject, case.subject, "{}", case.lint);
        let fine = findings(case.fine);
        let still = fine.iter().find(|finding| finding.lint.name == case.lint);
        assert!(
            still.is_none(),
            "the neighbour has {}",
            still.expect("some")
        );
        seen.insert(case.lint);
    }
    let all: BTreeSet<&str> = LINTS.iter().map(|lint| lint.name).collect();
    assert_eq!(seen, all);
    assert_eq!(all.len(), LINTS.len(), "names are unique");
}

/// The whole text of each case; `NETPLAN_BLESS=1 cargo test` writes it anew.
#[test]
fn texts_are_golden() {
    let mut text = String::new();
    for case in cases::ALL {
        let mut world = World::clean();
        (case.broken)(&mut world);
        for finding in world.findings().iter().filter(|f| f.lint.name == case.lint) {
            text.push_str(&format!("{finding}\n"));
        }
    }
    golden::check(".", "lints.txt", &text);
}

#[test]
fn an_allowed_finding_is_not_fatal_and_says_why() {
    let mut world = World::clean();
    world.occupy("10.77.9.0/24");
    let before = world.findings();
    assert!(before[0].is_fatal());
    world.allow("host-route-hidden", "the old lab, to be removed");
    world.allow("host-route-hidden", "twice");
    let after = world.findings();
    assert_eq!(names(&after), ["host-route-hidden", "allow-unused"]);
    assert!(!after[0].is_fatal());
    assert_eq!(
        after[0].to_string(),
        format!("{} [allowed: the old lab, to be removed]", before[0])
    );
    assert_eq!(after[1].subject, "allow.1");
    // Without a reason it is not allowed.
    world.requirement.allow.truncate(1);
    world.requirement.allow[0].reason = " ".to_owned();
    let findings = world.findings();
    assert!(findings.iter().all(Finding::is_fatal), "{findings:?}");
}

#[test]
fn entries_that_do_nothing_cannot_be_allowed() {
    let mut world = World::clean();
    world.allow("habit-range", "we know");
    world.allow("allow-unused", "we know that too");
    let findings = world.findings();
    assert_eq!(names(&findings), ["allow-unused", "allow-unused"]);
    assert!(findings.iter().all(|finding| finding.allowed.is_none()));
}

#[test]
fn the_worst_findings_come_first() {
    let mut world = World::clean();
    world.occupy("10.0.0.0/8");
    world.occupy("10.77.9.0/24");
    world.requirement.v6_mode = V6Mode::UlaOnly;
    world.kubernetes().sizes.node_pods_v4 = Some(25);
    let findings = world.findings();
    let severities: Vec<Severity> = findings.iter().map(|f| f.lint.severity).collect();
    let sorted = {
        let mut sorted = severities.clone();
        sorted.sort();
        sorted
    };
    assert_eq!(severities, sorted);
    assert_eq!(severities.first(), Some(&Severity::Error));
    assert_eq!(severities.last(), Some(&Severity::Note));
}

#[test]
fn a_finding_is_data() {
    let mut world = World::clean();
    world.occupy("10.77.9.0/24");
    world.allow("host-route-hidden", "known");
    let json = serde_json::to_value(&world.findings()[0]).expect("a finding is data");
    assert_eq!(json["lint"], "host-route-hidden");
    assert_eq!(json["severity"], "error");
    assert_eq!(json["subject"], "v4");
    assert_eq!(json["allowed"], "known");
}

#[test]
fn lints_are_described() {
    for lint in LINTS {
        for text in [lint.name, lint.summary, lint.reference, lint.remedy] {
            assert!(!text.is_empty() && !text.ends_with('.'), "{}", lint.name);
        }
        let is_plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        assert!(lint.name.bytes().all(is_plain), "{}", lint.name);
    }
}

#[test]
fn what_a_lock_remembers_is_held_against_the_host() {
    let world = World::clean();
    let first = plan(&world.requirement, &world.facts, None).expect("a plan");
    let mut world = World::clean();
    world.occupy("10.77.0.0/16");
    let again = plan(&world.requirement, &world.facts, Some(&first.lock())).expect("locked");
    let findings = lint(&world.requirement, &again, &world.facts);
    assert_eq!(names(&findings), ["host-route-equal"]);
}
