//! Plans for the states of `MemberState`, one by one.

use crate::world::{self, healthy, name, ready, serving, silent, spec, unit};
use etcd_bootstrap::{
    ClientAnswer, ClusterId, ClusterSpec, MemberObservation, MemberState, Observed, PeerAnswer,
    PlanError, conditions, plan, render,
};
use host_exec::{files::Drift, systemd::UnitState};
use std::path::PathBuf;

fn drift(path: &str) -> Vec<(PathBuf, Drift)> {
    vec![(path.into(), Drift::Contents)]
}

fn absent() -> MemberObservation {
    let (peer, client) = silent();
    let files = [render::ENVIRONMENT_FILE, render::UNIT_FILE];
    MemberObservation {
        drifted: files.map(|path| (path.into(), Drift::Missing)).to_vec(),
        unit: UnitState {
            load: "not-found".into(),
            ..unit(false, false)
        },
        has_wal: false,
        configured: None,
        certificate_faults: Vec::new(),
        peer,
        client,
    }
}

fn nothing(spec: &ClusterSpec) -> Observed {
    let members = spec
        .members()
        .iter()
        .map(|member| (member.name.clone(), absent()));
    Observed {
        members: members.collect(),
    }
}

/// The plan as people see it, after a change of an observation.
fn text(mut observed: Observed, change: impl FnOnce(&mut Observed)) -> String {
    change(&mut observed);
    plan(&spec(), &observed).unwrap().to_string()
}

fn stop(observed: &mut Observed, index: usize) {
    let member = observed.members.get_mut(&name(index)).unwrap();
    (member.peer, member.client) = silent();
    member.unit = unit(false, true);
}

#[test]
fn from_nothing_all_is_written_before_anything_starts() {
    let plan = plan(&spec(), &nothing(&spec())).unwrap();
    assert_eq!(
        plan.to_string(),
        "etcd-0: write /etc/etcd/etcd.env /etc/systemd/system/etcd.service\n\
         etcd-1: write /etc/etcd/etcd.env /etc/systemd/system/etcd.service\n\
         etcd-2: write /etc/etcd/etcd.env /etc/systemd/system/etcd.service\n\
         etcd-0: start etcd\netcd-1: start etcd\netcd-2: start etcd\n\
         etcd-0: start etcd at boot\netcd-1: start etcd at boot\netcd-2: start etcd at boot\n\
         wait until ready: etcd-0 etcd-1 etcd-2\n"
    );
}

#[test]
fn the_plan_on_paper_is_that_of_empty_machines() {
    let paper = plan(&spec(), &Observed::nothing(&spec())).unwrap();
    assert_eq!(paper, plan(&spec(), &nothing(&spec())).unwrap());
}

#[test]
fn systemd_reads_a_changed_unit_again_and_a_new_one_by_itself() {
    let text = text(healthy(&spec()), |observed| {
        stop(observed, 0);
        let first = observed.members.get_mut(&name(0)).unwrap();
        first.drifted = drift(render::UNIT_FILE);
    });
    let expected = "etcd-0: write /etc/systemd/system/etcd.service\netcd-0: reload systemd\n\
        etcd-0: start etcd\nwait until ready: etcd-0\n";
    assert_eq!(text, expected);
}

#[test]
fn healthy_members_are_left_alone() {
    assert!(plan(&spec(), &healthy(&spec())).unwrap().is_empty());
}

#[test]
fn a_stopped_member_is_started() {
    let text = text(healthy(&spec()), |observed| stop(observed, 1));
    assert_eq!(text, "etcd-1: start etcd\nwait until ready: etcd-1\n");
}

#[test]
fn a_member_that_does_not_answer_for_a_moment_is_waited_for() {
    let mut observed = healthy(&spec());
    let member = observed.members.get_mut(&name(1)).unwrap();
    (member.peer, member.client) = silent();
    let waits = plan(&spec(), &observed).unwrap();
    assert_eq!(waits.to_string(), "wait until ready: etcd-1\n");
    assert!(waits.only_waits());
    stop(&mut observed, 1);
    assert!(!plan(&spec(), &observed).unwrap().only_waits());
}

#[test]
fn members_with_a_log_start_before_those_without() {
    let text = text(healthy(&spec()), |observed| {
        (0..3).for_each(|index| stop(observed, index));
        observed.members.get_mut(&name(0)).unwrap().has_wal = false;
    });
    assert_eq!(
        text,
        "etcd-1: start etcd\netcd-2: start etcd\n\
         etcd-0: start etcd, if the others never saw it join\n\
         wait until ready: etcd-0 etcd-1 etcd-2\n"
    );
}

#[test]
fn a_changed_leaf_is_only_written() {
    let text = text(healthy(&spec()), |observed| {
        observed.members.get_mut(&name(1)).unwrap().drifted = drift("/etc/etcd/pki/peer.crt");
    });
    assert_eq!(text, "etcd-1: write /etc/etcd/pki/peer.crt\n");
}

#[test]
fn a_changed_authority_or_setting_rolls_through_the_members() {
    for path in [
        "/etc/etcd/pki/peer-ca.crt",
        render::ENVIRONMENT_FILE,
        render::UNIT_FILE,
    ] {
        let text = text(healthy(&spec()), |observed| {
            observed
                .members
                .values_mut()
                .for_each(|member| member.drifted = drift(path));
        });
        let one = |member| {
            let all = "wait until ready: etcd-0 etcd-1 etcd-2\n";
            format!("etcd-{member}: restart etcd with {path}\n{all}")
        };
        assert_eq!(text, (0..3).map(one).collect::<String>());
    }
}

/// Whoever takes over from it has been restarted already, and keeps the lead.
#[test]
fn the_leader_is_restarted_last() {
    let text = text(healthy(&spec()), |observed| {
        for (index, member) in observed.members.values_mut().enumerate() {
            member.drifted = drift(render::ENVIRONMENT_FILE);
            member.client = ready(&spec(), index, "3.7.3", &[]);
        }
    });
    let restarts = text.lines().filter_map(|line| line.split_once(": restart"));
    let restarted: Vec<&str> = restarts.map(|(member, _)| member).collect();
    assert_eq!(restarted, ["etcd-1", "etcd-2", "etcd-0"], "{text}");
}

#[test]
fn the_member_that_is_not_ready_is_restarted_first() {
    let text = text(healthy(&spec()), |observed| {
        let path = render::ENVIRONMENT_FILE;
        observed
            .members
            .values_mut()
            .for_each(|member| member.drifted = drift(path));
        let last = observed.members.get_mut(&name(2)).unwrap();
        (last.peer, last.client) = silent();
    });
    assert!(text.starts_with("etcd-2: restart etcd"), "{text}");
    let steady = "wait until ready for 3 s without a break: etcd-2\netcd-0: restart";
    assert!(text.contains(steady), "{text}");
}

/// The row `disk-full` of the fault table met one that was ready between two ends, and the next member was restarted.
#[test]
fn nobody_is_restarted_on_the_word_of_a_member_that_ends_again_and_again() {
    let text = text(healthy(&spec()), |observed| {
        let path = "/etc/etcd/pki/peer-ca.crt";
        observed
            .members
            .values_mut()
            .for_each(|member| member.drifted = drift(path));
        let last = observed.members.get_mut(&name(2)).unwrap();
        (last.peer, last.client) = silent();
        last.unit = unit(false, true);
        last.unit.active = "activating".into();
        last.unit.sub = "auto-restart".into();
    });
    let (before, after) = text.split_once("etcd-0: restart etcd").unwrap();
    let steady = "wait until ready for 3 s without a break: etcd-2\n";
    assert!(before.contains(steady) && !after.contains(steady), "{text}");
}

#[test]
fn a_forming_member_is_restarted_at_once() {
    let text = text(nothing(&spec()), |observed| {
        let first = observed.members.get_mut(&name(0)).unwrap();
        first.unit = unit(true, true);
        first.peer = serving(&spec(), false, &[]);
        first.has_wal = true;
        first.drifted = drift(render::ENVIRONMENT_FILE);
    });
    let steps: Vec<&str> = text
        .lines()
        .filter(|line| line.contains("start etcd"))
        .collect();
    assert_eq!(steps[0], "etcd-0: restart etcd with /etc/etcd/etcd.env");
    assert_eq!(
        steps[1],
        "etcd-1: start etcd, if the others never saw it join"
    );
}

#[test]
fn lost_data_is_refused() {
    let mut observed = healthy(&spec());
    stop(&mut observed, 1);
    observed.members.get_mut(&name(1)).unwrap().has_wal = false;
    let error = plan(&spec(), &observed).unwrap_err();
    assert!(matches!(&error, PlanError::LostData { member, .. } if *member == name(1)));
    assert!(
        error.to_string().contains("/var/lib/etcd is empty now"),
        "{error}"
    );
}

#[test]
fn a_member_of_another_cluster_is_refused_running_or_not() {
    let other = ClusterId(7);
    let by_word = |member: &mut MemberObservation| {
        member.client = ClientAnswer::Silent("timed out".into());
        let PeerAnswer::Serving { cluster_id, .. } = &mut member.peer else {
            unreachable!()
        };
        *cluster_id = Some(other);
    };
    let by_log = |member: &mut MemberObservation| {
        (member.peer, member.client) = silent();
        member.unit = unit(false, true);
        member.configured = Some(other);
    };
    let changes: [&dyn Fn(&mut MemberObservation); 2] = [&by_word, &by_log];
    for change in changes {
        let mut observed = healthy(&spec());
        change(observed.members.get_mut(&name(2)).unwrap());
        assert_eq!(
            observed.state(&spec(), &name(2)),
            Some(MemberState::Foreign(other))
        );
        let error = plan(&spec(), &observed).unwrap_err().to_string();
        assert!(
            error.contains("etcd-2 belongs to cluster 7, not "),
            "{error}"
        );
    }
}

#[test]
fn settings_of_another_cluster_without_data_are_just_replaced() {
    let text = text(nothing(&spec()), |observed| {
        observed
            .members
            .values_mut()
            .for_each(|member| member.configured = Some(ClusterId(7)));
    });
    assert!(text.starts_with("etcd-0: write"), "{text}");
}

#[test]
fn a_new_member_of_the_list_must_be_observed() {
    let mut observed = healthy(&spec());
    observed.members.remove(&name(2));
    assert_eq!(
        plan(&spec(), &observed),
        Err(PlanError::NotObserved { member: name(2) })
    );
}

#[test]
fn every_state_says_why() {
    let spec = spec();
    let mut observed = healthy(&spec);
    stop(&mut observed, 1);
    let member = observed.members.get_mut(&name(2)).unwrap();
    member.client = ClientAnswer::Silent("timed out".into());
    assert_eq!(observed.state(&spec, &name(0)), Some(MemberState::Healthy));
    assert_eq!(observed.state(&spec, &name(1)), Some(MemberState::Stopped));
    assert_eq!(observed.state(&spec, &name(2)), Some(MemberState::NoQuorum));
    assert!(observed.evidence(&spec, &name(1)).contains("inactive"));
    assert!(
        observed
            .evidence(&spec, &name(2))
            .contains("clients: timed out")
    );
}

#[test]
fn silence_is_no_health() {
    let spec = world::spec();
    let conditions = conditions(&spec, &std::collections::BTreeMap::new());
    assert_eq!(conditions.len(), 6);
    assert!(
        conditions.iter().all(|condition| !condition.ok),
        "{conditions:?}"
    );
}
