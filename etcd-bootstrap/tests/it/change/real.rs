//! Changes of the membership of real clusters, on each minor.

use crate::lab::{LIMIT, Lab, name};
use etcd_bootstrap::{
    ClusterSpec, ClusterState, LearnError, MemberProgram, MemberState, PlanError, RecallError,
    change::{self, ChangeError, Wish},
    recall, render,
};
use host_exec::event::Silent;
use std::{
    fs,
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, Instant},
};

/// Makes each of these a test on each minor.
macro_rules! on_each_minor {
    ($($test:ident,)*) => {
        on_each_minor! { etcd_3_5: 5, $($test,)* }
        on_each_minor! { etcd_3_6: 6, $($test,)* }
        on_each_minor! { etcd_3_7: 7, $($test,)* }
    };
    ($minor:ident: $number:literal, $($test:ident,)*) => {
        mod $minor {
            $(
                #[tokio::test]
                #[ignore = "needs etcd"]
                async fn $test() {
                    super::$test($number).await;
                }
            )*
        }
    };
}

on_each_minor! {
    a_cluster_grows_and_shrinks,
    a_member_whose_data_is_lost_is_replaced_under_writes,
    a_leader_hands_over_and_goes,
    a_learner_that_never_starts_is_removed_again,
    a_replacement_killed_after_any_step_is_finished_by_the_next_run,
    a_first_formation_that_failed_starts_anew_and_nothing_else_does,
    a_learner_and_a_removed_member_are_seen_and_left_to_a_change,
    a_record_that_was_lost_is_learnt_from_the_members,
}

async fn a_cluster_grows_and_shrinks(minor: u8) {
    let mut lab = Lab::new(minor, 1, 1, 5).await;
    let id = lab.spec.cluster_id();
    let settings = |lab: &Lab| {
        let file = "etc/etcd/etcd.env";
        fs::read_to_string(lab.directory.path().join("etcd-1").join(file)).unwrap()
    };
    let before = settings(&lab);
    let plan = lab.change(&Wish::default()).await;
    assert_eq!(plan.steps.len(), 12, "{plan}");
    lab.assert_healthy().await;
    assert_eq!(lab.spec.cluster_id(), id);
    assert_eq!(
        settings(&lab),
        before,
        "nobody who stays gets other settings"
    );

    let gone = [name(4), name(5)];
    let wish = gone.iter().cloned().fold(Wish::default(), Wish::remove);
    lab.change(&wish).await;
    let smaller = lab.without(&gone);
    let data = &lab.spec.member(&name(5)).unwrap().data_dir;
    assert!(data.join("member.aside-1/wal").exists(), "data is kept");
    lab.spec = smaller;
    for gone in &gone {
        lab.kill(gone).await;
    }
    lab.assert_healthy().await;
    assert!(lab.plan(&Wish::default()).await.is_empty());
}

async fn a_member_whose_data_is_lost_is_replaced_under_writes(minor: u8) {
    let mut lab = Lab::new(minor, 2, 3, 3).await;
    let writer = lab.writer();
    let stop = AtomicBool::new(false);
    let lost = lab.leader().await;
    let work = async {
        lab.lose(&lost).await;
        let found = etcd_bootstrap::observe(&lab.spec, &lab.hosts(), &lab.tls).await;
        let refused = etcd_bootstrap::plan(&lab.spec, &found.unwrap()).unwrap_err();
        assert!(matches!(refused, PlanError::LostData { .. }), "{refused}");
        let started = Instant::now();
        let plan = lab.change(&Wish::default().replace(lost.clone())).await;
        stop.store(true, Ordering::Relaxed);
        (plan, started.elapsed())
    };
    let ((plan, took), (acknowledged, longest)) = tokio::join!(work, writer.run(&stop));
    assert_eq!(plan.steps.len(), 4, "{plan}");
    lab.assert_healthy().await;
    for member in 0..3 {
        let written = writer.written(member).await;
        assert!(
            written >= acknowledged,
            "{written} of {acknowledged} writes are left"
        );
    }
    assert!(
        acknowledged > 0 && took < LIMIT && longest < LIMIT,
        "{acknowledged} writes, {took:?}, longest gap {longest:?}"
    );
}

async fn a_leader_hands_over_and_goes(minor: u8) {
    let mut lab = Lab::new(minor, 3, 3, 3).await;
    let leader = lab.leader().await;
    let found = change::observe(&lab.spec, &lab.hosts(), &lab.tls)
        .await
        .unwrap();
    let plan = change::plan_move_leader(&lab.spec, None, &found).unwrap();
    lab.apply(&plan).await.unwrap();
    let second = lab.leader().await;
    assert_ne!(second, leader);

    let plan = lab.change(&Wish::default().remove(second.clone())).await;
    let text = plan.to_string();
    assert!(
        text.starts_with(&format!("{second}: hand over the lead")),
        "{text}"
    );
    lab.spec = lab.without(std::slice::from_ref(&second));
    lab.kill(&second).await;
    lab.assert_healthy().await;
}

async fn a_learner_that_never_starts_is_removed_again(minor: u8) {
    let mut lab = Lab::new(minor, 4, 1, 2).await;
    let spec = lab.spec.clone();
    let broken = MemberProgram {
        version: spec.version(),
        path: "/bin/false".into(),
    };
    let limited = spec.clone().with_ready_limit(Duration::from_secs(3));
    lab.spec = limited.with_member_program(&name(2), broken).unwrap();
    let plan = lab.plan(&Wish::default()).await;
    let error = lab.apply(&plan).await.unwrap_err();
    assert!(
        matches!(error, ChangeError::NeverJoined { .. }),
        "{error:?}"
    );
    let history = lab.kept.lock().unwrap().take().unwrap();
    assert!(!history.is_member(&name(2)), "{history:?}");

    lab.spec = spec.with_history(history).unwrap();
    lab.change(&Wish::default()).await;
    lab.assert_healthy().await;
}

async fn a_replacement_killed_after_any_step_is_finished_by_the_next_run(minor: u8) {
    let mut lab = Lab::new(minor, 5, 3, 3).await;
    let id = lab.spec.cluster_id();
    let wish = Wish::default().replace(name(3));
    for done in 0..=4 {
        lab.lose(&name(3)).await;
        let before = lab.spec.clone();
        let mut plan = lab.plan(&wish).await;
        assert_eq!(plan.steps.len(), 4, "{plan}");
        plan.steps.truncate(done);
        lab.apply(&plan).await.unwrap();
        // The record of what was done is lost with the run.
        lab.spec = before;
        let rest = lab.plan(&wish).await;
        assert_eq!(rest.steps.len(), 4 - done, "after {done} steps:\n{rest}");
        lab.apply(&rest).await.unwrap();
        assert!(lab.plan(&wish).await.is_empty());
        lab.assert_healthy().await;
        assert_eq!(lab.spec.cluster_id(), id);
    }
}

async fn a_first_formation_that_failed_starts_anew_and_nothing_else_does(minor: u8) {
    let mut lab = Lab::blank(minor, 6, 3, 3).await;
    let see = async |lab: &Lab| {
        let found = etcd_bootstrap::observe(&lab.spec, &lab.hosts(), &lab.tls).await;
        found.unwrap()
    };
    assert_eq!(
        see(&lab).await.cluster_state(&lab.spec),
        ClusterState::Nothing
    );
    // One of three starts, and waits for the others.
    let hosts = lab.hosts();
    let mut plan = etcd_bootstrap::plan(&lab.spec, &see(&lab).await).unwrap();
    plan.start.truncate(1);
    let (spec, tls) = (&lab.spec, &lab.tls);
    etcd_bootstrap::prepare(spec, &plan, &hosts, &Silent)
        .await
        .unwrap();
    etcd_bootstrap::start_members(spec, &plan, &hosts, tls, &Silent)
        .await
        .unwrap();
    assert!(etcd_bootstrap::gate(&lab.probe(), &name(1)).await);
    let found = see(&lab).await;
    assert_eq!(found.cluster_state(&lab.spec), ClusterState::HalfFormed);
    let steps = change::plan_anew(&lab.spec, &found).unwrap();
    assert_eq!(steps.len(), 1, "{steps:?}");
    change::apply_anew(&lab.spec, &steps, &hosts, &Silent)
        .await
        .unwrap();
    let kept = lab
        .spec
        .member(&name(1))
        .unwrap()
        .data_dir
        .join("member.aside-1/wal");
    assert!(kept.exists(), "data is kept");

    let (program, members) = (lab.spec.program().to_owned(), lab.spec.members().to_vec());
    let other = "second".parse().unwrap();
    lab.spec = ClusterSpec::new(other, lab.spec.version(), program, members).unwrap();
    lab.form().await;
    lab.assert_healthy().await;
    let found = see(&lab).await;
    assert_eq!(found.cluster_state(&lab.spec), ClusterState::Formed);
    assert!(change::plan_anew(&lab.spec, &found).is_err());
    lab.kill(&name(2)).await;
    lab.kill(&name(3)).await;
    let refused = change::plan_anew(&lab.spec, &see(&lab).await).unwrap_err();
    assert!(refused.to_string().contains("may hold data"), "{refused}");
}

async fn a_learner_and_a_removed_member_are_seen_and_left_to_a_change(minor: u8) {
    let mut lab = Lab::new(minor, 7, 3, 4).await;
    let states = async |lab: &Lab| {
        let found = etcd_bootstrap::observe(&lab.spec, &lab.hosts(), &lab.tls)
            .await
            .unwrap();
        let plan = etcd_bootstrap::plan(&lab.spec, &found).unwrap();
        assert!(plan.is_empty(), "forming has nothing to do here:\n{plan}");
        found.state(&lab.spec, &name(4)).unwrap()
    };
    assert_eq!(states(&lab).await, MemberState::NotAdded);
    let mut plan = lab.plan(&Wish::default()).await;
    plan.steps.truncate(2);
    lab.apply(&plan).await.unwrap();
    assert_eq!(states(&lab).await, MemberState::Learner);
    let before = lab.spec.clone();
    let removed = lab.plan(&Wish::default().remove(name(4))).await;
    let mut plan = removed.clone();
    plan.steps.truncate(1);
    lab.apply(&plan).await.unwrap();
    assert_eq!(states(&lab).await, MemberState::Removed);
    // Even if nobody recorded that.
    lab.spec = before;
    assert_eq!(states(&lab).await, MemberState::Removed);
    lab.change(&Wish::default()).await;
    assert_eq!(states(&lab).await, MemberState::Healthy);
}

async fn a_record_that_was_lost_is_learnt_from_the_members(minor: u8) {
    let mut lab = Lab::new(minor, 8, 1, 3).await;
    lab.change(&Wish::default()).await;
    lab.lose(&name(1)).await;
    lab.change(&Wish::default().replace(name(1))).await;
    // As if nothing had ever changed, it is another cluster.
    let (token, program) = (lab.spec.token().clone(), lab.spec.program().to_owned());
    let (version, members) = (lab.spec.version(), lab.spec.members().to_vec());
    let plain = ClusterSpec::new(token, version, program, members.clone()).unwrap();
    assert_ne!(plain.cluster_id(), lab.spec.cluster_id());
    let told = recall(&plain, &lab.probe()).await.unwrap();
    let known = plain.clone().with_history(told.clone()).unwrap();
    assert_eq!(known.cluster_id(), lab.spec.cluster_id());
    assert_eq!(known.member_ids(), lab.spec.member_ids());

    lab.kill(&name(2)).await;
    assert_eq!(recall(&plain, &lab.probe()).await.as_ref(), Ok(&told));
    lab.kill(&name(3)).await;
    let alone = recall(&plain, &lab.probe()).await;
    assert!(
        matches!(alone, Err(RecallError::NoMajority { .. })),
        "{alone:?}"
    );
    let (hosts, unit) = (lab.hosts(), [render::unit_name()]);
    for member in [name(2), name(3)] {
        host_exec::systemd::start(hosts[&member].as_ref(), &unit)
            .await
            .unwrap();
    }
    // Who joined is told other members than it was started with, and is restarted once.
    lab.spec = known;
    lab.form().await;
    lab.assert_healthy().await;

    let other = "second".parse().unwrap();
    let (program, version) = (lab.spec.program().to_owned(), lab.spec.version());
    let foreign = ClusterSpec::new(other, version, program, members).unwrap();
    let refused = recall(&foreign, &lab.probe()).await;
    assert!(
        matches!(
            refused,
            Err(RecallError::Learn(LearnError::Founders { .. }))
        ),
        "{refused:?}"
    );
}
