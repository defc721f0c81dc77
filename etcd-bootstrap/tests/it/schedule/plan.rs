//! From what is there of a schedule to what has to be done. Pure.

use super::units::with_schedule;
use crate::world::{name, spec};
use etcd_bootstrap::{
    ClusterSpec,
    schedule::{Kept, Observed, SERVICE_FILE, ScheduleStep, Site, TIMER_FILE, files, plan},
};
use host_exec::{files::Drift, systemd::UnitState};
use proptest::prelude::*;
use time::OffsetDateTime;

fn unit(active: &str, file: &str) -> UnitState {
    UnitState {
        load: "loaded".into(),
        active: active.into(),
        sub: "x".into(),
        file: file.into(),
        result: "success".into(),
        needs_reload: false,
    }
}

fn kept(count: u8) -> Vec<Kept> {
    let kept = |number| Kept {
        number,
        bytes: 20512,
        taken: OffsetDateTime::UNIX_EPOCH,
    };
    (1..=count).map(kept).collect()
}

/// All members as they have to be, with as many snapshots each.
fn settled(spec: &ClusterSpec, count: u8) -> Observed {
    let site = || Site {
        drifted: Vec::new(),
        timer: unit("active", "enabled"),
        service: unit("inactive", "static"),
        kept: kept(count),
    };
    let members = spec.members().iter();
    Observed {
        members: members.map(|m| (m.name.clone(), site())).collect(),
    }
}

#[test]
fn a_new_member_gets_units_and_timer_and_nobody_a_snapshot_at_once() {
    let spec = with_schedule(3);
    let mut observed = settled(&spec, 3);
    let blank = Observed::nothing(&spec).members.remove(&name(1)).unwrap();
    observed.members.insert(name(1), blank);
    assert_eq!(
        plan(&spec, &observed).to_string(),
        format!(
            "etcd-1: write {SERVICE_FILE} {TIMER_FILE}\n\
             etcd-1: start the timer of snapshots at boot\n\
             etcd-1: start the timer of snapshots\n"
        )
    );
}

#[test]
fn other_times_and_fewer_to_keep_are_changes_of_what_is_there() {
    let spec = with_schedule(3);
    let mut observed = settled(&spec, 5);
    let site = observed.members.get_mut(&name(2)).unwrap();
    site.drifted.push((TIMER_FILE.into(), Drift::Contents));
    observed.members.get_mut(&name(0)).unwrap().kept = kept(3);
    observed.members.remove(&name(1));
    assert_eq!(
        plan(&spec, &observed).to_string(),
        format!(
            "etcd-2: write {TIMER_FILE}\n\
             etcd-2: reload systemd\n\
             etcd-2: start the timer of snapshots\n\
             etcd-2: delete /var/lib/etcd-snapshots/4.db /var/lib/etcd-snapshots/5.db, more than are to be kept\n"
        )
    );
}

#[test]
fn switched_off_the_timers_go_and_no_snapshot_does() {
    let observed = settled(&spec(), 9);
    let plan_off = plan(&spec(), &observed);
    let said = "remove the timer of snapshots; the snapshots stay\n";
    let expected: String = (0..3).map(|n| format!("etcd-{n}: {said}")).collect();
    assert_eq!(plan_off.to_string(), expected);
    assert!(plan(&spec(), &Observed::nothing(&spec())).is_empty());
}

/// What a step makes of what is there.
fn act(spec: &ClusterSpec, observed: &mut Observed, step: &ScheduleStep) {
    let site = observed.members.get_mut(step.member()).unwrap();
    match step {
        ScheduleStep::WriteFiles { paths, .. } => {
            site.drifted.retain(|(path, _)| !paths.contains(path));
            for unit in [&mut site.timer, &mut site.service] {
                unit.needs_reload = unit.load == "loaded";
                unit.load = "loaded".into();
            }
        }
        ScheduleStep::ReloadUnits { .. } => {
            site.timer.needs_reload = false;
            site.service.needs_reload = false;
        }
        ScheduleStep::Enable { .. } => site.timer.file = "enabled".into(),
        ScheduleStep::StartTimer { .. } => site.timer.active = "active".into(),
        ScheduleStep::Delete { paths, .. } => {
            let schedule = spec.schedule().unwrap();
            site.kept
                .retain(|kept| !paths.contains(&schedule.path(kept.number)));
        }
        ScheduleStep::Remove { .. } => {
            let kept = std::mem::take(&mut site.kept);
            *site = Observed::nothing(spec)
                .members
                .remove(step.member())
                .unwrap();
            site.kept = kept;
        }
    }
}

fn site() -> impl Strategy<Value = Site> {
    let drift = prop::sample::subsequence(vec![SERVICE_FILE, TIMER_FILE], 0..=2);
    (drift, any::<[bool; 4]>(), 0_u8..8).prop_map(|(drift, [known, up, enabled, stale], count)| {
        let load = if known { "loaded" } else { "not-found" };
        let state = |up: bool, enabled: bool| UnitState {
            load: load.into(),
            needs_reload: known && stale,
            ..unit(
                if known && up { "active" } else { "inactive" },
                if known && enabled {
                    "enabled"
                } else {
                    "disabled"
                },
            )
        };
        let paths = match known {
            true => drift,
            false => vec![SERVICE_FILE, TIMER_FILE],
        };
        Site {
            drifted: paths
                .into_iter()
                .map(|path| (path.into(), Drift::Contents))
                .collect(),
            timer: state(up, enabled),
            service: state(false, false),
            kept: kept(count),
        }
    })
}

proptest! {
    /// From anything, also after kills between any two steps, and a second run has nothing to do.
    #[test]
    fn any_state_is_brought_to_the_schedule_by_runs_that_are_killed(
        sites in prop::collection::vec(site(), 3),
        kills in prop::collection::vec(0_usize..8, 0..4),
        on: bool,
    ) {
        let spec = if on { with_schedule(4) } else { spec() };
        let members = sites.into_iter().enumerate();
        let mut observed = Observed {
            members: members.map(|(n, site)| (name(n), site)).collect(),
        };
        for steps in kills.into_iter().chain([usize::MAX]) {
            for step in plan(&spec, &observed).steps.iter().take(steps) {
                act(&spec, &mut observed, step);
            }
        }
        prop_assert!(plan(&spec, &observed).is_empty());
        for (member, site) in &observed.members {
            let has = !files(&spec, spec.member(member).unwrap()).is_empty();
            prop_assert_eq!(site.timer.is_up() && site.timer.is_enabled(), has);
            prop_assert!(!on || site.kept.len() <= 4);
        }
    }
}
