//! Plans that keep a cluster: maintenance, restore, upgrade. Pure.

use crate::world::{name, spec, spec_of};
use etcd_bootstrap::{
    Alarm, AlarmKind, ClientAnswer, ClusterSpec, EtcdVersion, MemberProgram, Status,
    maintenance::{
        DefragOptions, MaintenanceRefused, MaintenanceStep, Seen, plan_defrag, plan_space,
    },
    restore::{self, Found, RestoreRefused, RestoreStep, Stage},
    upgrade::{self, Facts, PathError, UpgradeStep, check_path},
};
use proptest::prelude::*;

const MIB: u64 = 1 << 20;

/// Members that are all ready, with `leader` in the lead and stores of 1 GiB, most of it free.
fn seen(spec: &ClusterSpec, leader: usize) -> Seen {
    let ids = spec.member_ids();
    let lead = ids[&name(leader)];
    let member = |member: &etcd_bootstrap::MemberSpec| {
        let status = Status {
            cluster_id: spec.cluster_id(),
            member_id: ids[&member.name],
            leader: Some(lead),
            is_learner: false,
            raft_term: 2,
            raft_index: 100,
            revision: 50,
            db_size_bytes: 1024 * MIB,
            db_in_use_bytes: 10 * MIB,
            version: spec.version_of(member).to_string(),
            storage_version: String::new(),
            downgrade: None,
            quota_bytes: 0,
            errors: Vec::new(),
        };
        let answer = ClientAnswer::Serving {
            unready: None,
            status: Some(status),
        };
        (member.name.clone(), answer)
    };
    Seen {
        members: spec.members().iter().map(member).collect(),
        alarms: Vec::new(),
    }
}

fn status_of(seen: &mut Seen, index: usize) -> &mut Status {
    match seen.members.get_mut(&name(index)) {
        Some(ClientAnswer::Serving {
            status: Some(status),
            ..
        }) => status,
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_leader_is_defragmented_last_and_who_has_little_to_win_is_left_alone() {
    let spec = spec();
    let mut seen = seen(&spec, 0);
    status_of(&mut seen, 1).db_in_use_bytes = 1000 * MIB;
    let plan = plan_defrag(&spec, &seen, DefragOptions::default()).unwrap();
    let order: Vec<_> = plan
        .steps
        .iter()
        .map(|step| step.member().as_str())
        .collect();
    assert_eq!(order, ["etcd-2", "etcd-0"]);
    assert_eq!(plan.skipped[0].member, name(1));
    let forced = plan_defrag(&spec, &seen, DefragOptions { force: true }).unwrap();
    assert_eq!(forced.steps.len(), 3);
    assert!(
        forced.to_string().ends_with("bytes in use, the leader)\n"),
        "{forced}"
    );

    status_of(&mut seen, 2).is_learner = true;
    let forced = plan_defrag(&spec, &seen, DefragOptions { force: true }).unwrap();
    assert_eq!(forced.skipped[0].member, name(2));
}

#[test]
fn nobody_is_defragmented_while_a_member_is_out_or_corrupt() {
    let spec = spec();
    let mut seen = seen(&spec, 0);
    seen.alarms.push(Alarm {
        member: spec.member_ids()[&name(1)],
        kind: AlarmKind::Corrupt,
    });
    let corrupt = MaintenanceRefused::Corrupt {
        member: "etcd-1".into(),
    };
    let force = DefragOptions { force: true };
    assert_eq!(plan_defrag(&spec, &seen, force), Err(corrupt.clone()));
    assert_eq!(plan_space(&spec, &seen), Err(corrupt));
    seen.alarms.clear();
    seen.members
        .insert(name(2), ClientAnswer::Silent("refused".into()));
    let refused = plan_defrag(&spec, &seen, force).unwrap_err();
    assert!(
        matches!(refused, MaintenanceRefused::NotReady { .. }),
        "{refused}"
    );
}

#[test]
fn the_way_out_of_nospace_disarms_only_after_the_sizes_are_checked() {
    let spec = spec();
    let mut seen = seen(&spec, 1);
    assert!(
        plan_space(&spec, &seen).unwrap().is_empty(),
        "there is no alarm"
    );
    let alarm = Alarm {
        member: spec.member_ids()[&name(0)],
        kind: AlarmKind::NoSpace,
    };
    seen.alarms.push(alarm);
    status_of(&mut seen, 0).quota_bytes = 100;
    let plan = plan_space(&spec, &seen).unwrap();
    let kinds: Vec<&str> = plan
        .steps
        .iter()
        .map(|step| match step {
            MaintenanceStep::Compact { .. } => "compact",
            MaintenanceStep::Defragment { leads: true, .. } => "leader",
            MaintenanceStep::Defragment { .. } => "follower",
            MaintenanceStep::CheckSize { .. } => "check",
            MaintenanceStep::Disarm { .. } => "disarm",
        })
        .collect();
    let expected = [
        "compact", "follower", "follower", "leader", "check", "check", "check", "disarm",
    ];
    assert_eq!(kinds, expected);
    let check = MaintenanceStep::CheckSize {
        member: name(0),
        at_most_bytes: 90,
    };
    assert!(plan.steps.contains(&check), "{plan}");
}

#[test]
fn minors_follow_each_other_and_old_patches_are_refused() {
    let version = |text: &str| text.parse::<EtcdVersion>().unwrap();
    let path = |from, to| check_path(version(from), version(to));
    for (from, to) in [
        ("3.5.32", "3.6.16"),
        ("3.6.11", "3.7.3"),
        ("3.7.3", "3.7.1"),
    ] {
        assert_eq!(path(from, to), Ok(()), "{from} {to}");
    }
    assert!(matches!(
        path("3.5.31", "3.6.16"),
        Err(PathError::Patch { .. })
    ));
    assert!(matches!(
        path("3.6.10", "3.7.3"),
        Err(PathError::Patch { .. })
    ));
    assert!(matches!(
        path("3.5.35", "3.7.3"),
        Err(PathError::Skips { .. })
    ));
    assert!(matches!(
        path("3.7.3", "3.6.16"),
        Err(PathError::Older { .. })
    ));
}

fn program(version: EtcdVersion) -> MemberProgram {
    MemberProgram {
        version,
        path: "/opt/lab/programs/etcd".into(),
    }
}

fn facts(spec: &ClusterSpec, to: &MemberProgram, leader: usize) -> Facts {
    let names = || spec.members().iter().map(|member| member.name.clone());
    Facts {
        seen: seen(spec, leader),
        programs: names().map(|name| (name, Ok(to.version))).collect(),
        v2_content: names().map(|name| (name, None)).collect(),
    }
}

#[test]
fn followers_are_upgraded_first_and_a_raft_snapshot_is_written_before_3_7() {
    let spec = spec_of(EtcdVersion::new(3, 6, 16), "lab-1", 3);
    let to = program(EtcdVersion::new(3, 7, 3));
    let plan = upgrade::plan(&spec, &to, &facts(&spec, &to, 0)).unwrap();
    assert_eq!(
        plan.to_string(),
        "etcd-0: take a snapshot\n\
        etcd-0: have all members write a raft snapshot, since 3.7 cannot read entries of 3.5 (10001 entries that \
        change nothing)\n\
        etcd-1: etcd 3.6.16 becomes 3.7.3 (2 go on serving, 2 are needed)\n\
        etcd-2: etcd 3.6.16 becomes 3.7.3 (2 go on serving, 2 are needed)\n\
        etcd-0: hand the lead over to etcd-1\n\
        etcd-0: etcd 3.6.16 becomes 3.7.3 (2 go on serving, 2 are needed)\n"
    );
    let older = spec_of(EtcdVersion::new(3, 5, 35), "lab-1", 3);
    let to = program(EtcdVersion::new(3, 6, 16));
    let plan = upgrade::plan(&older, &to, &facts(&older, &to, 0)).unwrap();
    assert!(!plan.to_string().contains("raft snapshot"), "{plan}");
}

#[test]
fn a_downgrade_rewrites_the_stores_first_and_an_upgrade_takes_it_back() {
    let (old, new) = (EtcdVersion::new(3, 6, 16), EtcdVersion::new(3, 7, 3));
    let spec = spec_of(new, "lab-1", 3);
    let to = program(old);
    let mut facts = facts(&spec, &to, 0);
    let plan = upgrade::plan_downgrade(&spec, &to, &facts).unwrap();
    assert_eq!(
        plan.to_string(),
        "etcd-0: take a snapshot\n\
        etcd-0: have all members write their stores in the format of 3.6\n\
        etcd-1: etcd 3.7.3 becomes 3.6.16 (2 go on serving, 2 are needed)\n\
        etcd-2: etcd 3.7.3 becomes 3.6.16 (2 go on serving, 2 are needed)\n\
        etcd-0: hand the lead over to etcd-1\n\
        etcd-0: etcd 3.7.3 becomes 3.6.16 (2 go on serving, 2 are needed)\n\
        etcd-0: see that etcd has ended the downgrade\n"
    );
    assert!(
        upgrade::plan(&spec, &to, &facts).is_err(),
        "by its program alone"
    );

    // Killed when the stores were written and one member was begun.
    for index in 0..3 {
        let status = status_of(&mut facts.seen, index);
        status.downgrade = Some("3.6.0".into());
        status.storage_version = "3.6.0".into();
    }
    status_of(&mut facts.seen, 1).version = old.to_string();
    let spec = spec.with_member_program(&name(1), to.clone()).unwrap();
    let rest = upgrade::plan_downgrade(&spec, &to, &facts).unwrap();
    assert!(
        matches!(&rest.steps[0], UpgradeStep::Replace { member, .. } if *member == name(2)),
        "{rest}"
    );
    // And etcd has ended it since: beside the older member nobody's store changes again.
    let mut ended = facts.clone();
    for index in 0..3 {
        status_of(&mut ended.seen, index).downgrade = None;
    }
    let same = upgrade::plan_downgrade(&spec, &to, &ended).unwrap();
    assert_eq!(same, rest);
    let back = MemberProgram {
        version: new,
        path: spec.program().into(),
    };
    facts.programs = facts
        .programs
        .into_keys()
        .map(|name| (name, Ok(new)))
        .collect();
    let back = upgrade::plan(&spec, &back, &facts).unwrap();
    assert_eq!(
        back.to_string(),
        "etcd-0: cancel the downgrade that has begun\n\
        etcd-1: etcd 3.6.16 becomes 3.7.3 (2 go on serving, 2 are needed)\n"
    );
}

#[test]
fn a_member_that_was_begun_and_is_down_comes_first_and_may_go_back() {
    let (old, new) = (EtcdVersion::new(3, 6, 16), EtcdVersion::new(3, 7, 3));
    let spec = spec_of(old, "lab-1", 3);
    let (to, back) = (
        program(new),
        MemberProgram {
            version: old,
            path: spec.program().into(),
        },
    );
    let spec = spec.with_member_program(&name(2), to.clone()).unwrap();
    for target in [&to, &back] {
        let mut facts = facts(&spec, target, 0);
        facts
            .seen
            .members
            .insert(name(2), ClientAnswer::Silent("refused".into()));
        let plan = upgrade::plan(&spec, target, &facts).unwrap();
        let UpgradeStep::Replace {
            member, serving: 2, ..
        } = &plan.steps[0]
        else {
            panic!("{plan}");
        };
        assert_eq!(*member, name(2));
    }
    // Anybody else who is down was not begun by an upgrade.
    let mut facts = facts(&spec, &to, 0);
    facts
        .seen
        .members
        .insert(name(1), ClientAnswer::Silent("refused".into()));
    assert!(upgrade::plan(&spec, &to, &facts).is_err());
}

fn untouched() -> Found {
    Found {
        stage: Stage::Untouched,
        has_data: true,
        moved_aside: false,
        is_up: true,
        is_enabled: true,
        token: Some("lab-0".parse().unwrap()),
    }
}

fn begin(spec: &ClusterSpec) -> restore::Observed {
    let found = |member: &etcd_bootstrap::MemberSpec| (member.name.clone(), untouched());
    restore::Observed {
        members: spec.members().iter().map(found).collect(),
    }
}

/// What a step makes of what is there; `token` is in the settings then.
fn act(observed: &mut restore::Observed, step: &RestoreStep, spec: &ClusterSpec) {
    let mut with = |name, change: &dyn Fn(&mut Found)| {
        if let Some(found) = observed.members.get_mut(name) {
            change(found);
        }
    };
    match step {
        RestoreStep::Stop { member } => with(member, &|found| {
            found.is_up = false;
            found.is_enabled = false;
        }),
        RestoreStep::Stage { member } => with(member, &|found| found.stage = Stage::Staged),
        RestoreStep::Swap { member, .. } => with(member, &|found| {
            found.moved_aside |= found.has_data;
            found.has_data = true;
            found.stage = Stage::Swapped;
            found.token = Some(spec.token().clone());
        }),
        RestoreStep::Start { members } => {
            for member in members {
                with(member, &|found| {
                    found.is_up = true;
                    found.is_enabled = true;
                });
            }
        }
    }
}

proptest! {
    #[test]
    fn a_restore_killed_after_any_steps_is_finished_and_no_member_runs_on_half_of_it(
        kills in prop::collection::vec(0_usize..8, 0..6),
        lost in prop::collection::vec(any::<bool>(), 3),
    ) {
        let spec = spec();
        let mut observed = begin(&spec);
        for (index, lost) in lost.into_iter().enumerate() {
            let found = observed.members.get_mut(&name(index)).unwrap();
            found.has_data = !lost;
        }
        for steps in kills.into_iter().chain([usize::MAX]) {
            let plan = restore::plan(&spec, &observed, false).unwrap();
            for step in plan.steps.iter().take(steps) {
                if let RestoreStep::Swap { .. } = step {
                    // Nobody runs, and nobody would be left behind.
                    prop_assert!(observed.members.values().all(|found| !found.is_up));
                    prop_assert!(observed.members.values().all(|found| found.stage != Stage::Untouched));
                }
                act(&mut observed, step, &spec);
            }
        }
        prop_assert!(restore::plan(&spec, &observed, false).unwrap().is_empty());
        prop_assert!(observed.members.values().all(|found| found.is_up && found.stage == Stage::Swapped));
    }
}

#[test]
fn a_token_that_was_used_is_refused_and_so_is_half_a_restore() {
    let spec = spec();
    let mut observed = begin(&spec);
    let found = observed.members.get_mut(&name(1)).unwrap();
    found.token = Some(spec.token().clone());
    let refused = restore::plan(&spec, &observed, false).unwrap_err();
    assert!(
        matches!(refused, RestoreRefused::TokenReuse { .. }),
        "{refused}"
    );
    let mut observed = begin(&spec);
    observed.members.get_mut(&name(1)).unwrap().stage = Stage::Swapped;
    let refused = restore::plan(&spec, &observed, false).unwrap_err();
    assert!(matches!(refused, RestoreRefused::Torn { .. }), "{refused}");
    let plan = restore::plan(&spec, &begin(&spec), true).unwrap();
    assert!(plan.to_string().starts_with("WARNING: "), "{plan}");
}
