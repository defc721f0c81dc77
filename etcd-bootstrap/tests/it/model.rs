//! A small world that obeys plans, and can be killed after any action.
//!
//! What a member says follows from who is up, as etcd 3.7.3 was seen to behave (`real.rs` shows the
//! same states with real processes).

use crate::world::{name, serving, silent, spec, unit};
use etcd_bootstrap::{
    ClientAnswer, MemberName, MemberObservation, Observed, Plan, Step, plan, render,
};
use host_exec::files::Drift;
use proptest::prelude::*;
use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
};

const PATHS: [&str; 4] = [
    "/etc/etcd/pki/ca.crt",
    "/etc/etcd/pki/server.crt",
    render::ENVIRONMENT_FILE,
    render::UNIT_FILE,
];
/// The only one of them that etcd reads again while it runs.
const READ_AGAIN: &str = "/etc/etcd/pki/server.crt";

#[derive(Debug, Clone)]
struct Member {
    /// Files on disk that differ.
    stale: BTreeSet<PathBuf>,
    /// The running process read something that differs from what is wanted.
    runs_on_stale: bool,
    up: bool,
    enabled: bool,
    needs_reload: bool,
    has_wal: bool,
}

#[derive(Debug, Clone)]
struct World {
    members: BTreeMap<MemberName, Member>,
    formed: bool,
}

/// What a step does, piece by piece: between any two the program can be killed.
#[derive(Debug, Clone)]
enum Action {
    Write(MemberName, PathBuf),
    Reload(MemberName),
    Stop(MemberName),
    Start(MemberName),
    Enable(MemberName),
    Wait(Vec<MemberName>),
}

fn actions(plan: &Plan) -> Vec<Action> {
    let writes = |m: &MemberName, paths: &[PathBuf]| {
        paths
            .iter()
            .map(|path| Action::Write(m.clone(), path.clone()))
            .collect::<Vec<_>>()
    };
    plan.steps()
        .flat_map(|step| match step {
            Step::WriteFiles { member, paths } => writes(member, paths),
            Step::ReloadUnits { member } => vec![Action::Reload(member.clone())],
            Step::Start { member, .. } => vec![Action::Start(member.clone())],
            Step::Enable { member } => vec![Action::Enable(member.clone())],
            Step::WaitReady { members } | Step::WaitSteady { members } => {
                vec![Action::Wait(members.clone())]
            }
            Step::Restart { member, paths } => {
                let mut actions = vec![Action::Stop(member.clone())];
                actions.extend(writes(member, paths));
                actions.extend([
                    Action::Reload(member.clone()),
                    Action::Start(member.clone()),
                ]);
                actions
            }
        })
        .collect()
}

impl World {
    fn has_quorum(&self) -> bool {
        self.members.values().filter(|member| member.up).count() >= spec().quorum()
    }

    fn observe(&self) -> Observed {
        let has_joined = |member: &Member| self.formed && member.has_wal;
        let joined: Vec<MemberName> = self
            .members
            .iter()
            .filter(|(_, member)| has_joined(member))
            .map(|(name, _)| name.clone())
            .collect();
        let look = |member: &Member| {
            let (mut peer, mut client) = silent();
            if member.up {
                peer = serving(&spec(), self.formed, &joined);
            }
            if member.up && self.has_quorum() {
                client = ClientAnswer::Serving {
                    unready: None,
                    status: None,
                };
            }
            MemberObservation {
                drifted: member
                    .stale
                    .iter()
                    .map(|p| (p.clone(), Drift::Contents))
                    .collect(),
                unit: host_exec::systemd::UnitState {
                    needs_reload: member.needs_reload,
                    ..unit(member.up, member.enabled)
                },
                has_wal: member.has_wal,
                configured: None,
                certificate_faults: Vec::new(),
                peer,
                client,
            }
        };
        let members = self
            .members
            .iter()
            .map(|(name, member)| (name.clone(), look(member)));
        Observed {
            members: members.collect(),
        }
    }

    fn plan(&self) -> Plan {
        plan(&spec(), &self.observe()).unwrap()
    }

    fn act(&mut self, action: &Action) -> Result<(), TestCaseError> {
        match action {
            Action::Wait(members) => {
                let ready = members.iter().all(|name| self.members[name].up) && self.has_quorum();
                prop_assert!(ready, "{members:?} never become ready in {self:?}");
            }
            Action::Stop(name) => {
                let counts = self.has_quorum() && self.members[name].up;
                self.member(name).up = false;
                let all_others = self.members.iter().all(|(n, m)| n == name || m.up);
                prop_assert!(
                    all_others || !counts,
                    "stopped {name} beside another in {self:?}"
                );
            }
            Action::Write(name, path) => {
                self.member(name).stale.remove(path);
                self.member(name).needs_reload |= path.ends_with("etcd.service");
            }
            Action::Reload(name) => self.member(name).needs_reload = false,
            Action::Enable(name) => self.member(name).enabled = true,
            Action::Start(name) => {
                let member = self.member(name);
                prop_assert!(
                    !member.needs_reload,
                    "{name} started with a unit not yet read"
                );
                member.runs_on_stale = member.stale.iter().any(|path| !path.ends_with(READ_AGAIN));
                (member.up, member.has_wal) = (true, true);
                self.formed |= self.has_quorum();
            }
        }
        Ok(())
    }

    fn member(&mut self, name: &MemberName) -> &mut Member {
        self.members.get_mut(name).unwrap()
    }
}

fn any_member() -> impl Strategy<Value = Member> {
    let stale = proptest::sample::subsequence(PATHS.to_vec(), 0..=PATHS.len());
    (stale, any::<[bool; 4]>()).prop_map(|(stale, [up, enabled, needs_reload, wal])| {
        let stale: BTreeSet<PathBuf> = stale.into_iter().map(PathBuf::from).collect();
        let runs_on_stale = up && stale.iter().any(|path| !path.ends_with(READ_AGAIN));
        Member {
            stale,
            runs_on_stale,
            up,
            enabled,
            needs_reload,
            has_wal: wal || up,
        }
    })
}

fn any_world() -> impl Strategy<Value = World> {
    (proptest::collection::vec(any_member(), 3), any::<bool>()).prop_map(|(members, formed)| {
        let members: BTreeMap<_, _> = members
            .into_iter()
            .enumerate()
            .map(|(index, m)| (name(index), m))
            .collect();
        let with_log = members.values().filter(|member| member.has_wal).count();
        let mut world = World { members, formed };
        // A majority forms the cluster, and only members with a log were ever one.
        world.formed = world.has_quorum() || formed && with_log >= spec().quorum();
        world
    })
}

proptest! {
    #[test]
    fn a_run_killed_anywhere_is_finished_by_the_next(
        mut world in any_world(),
        kill in any::<proptest::sample::Index>(),
    ) {
        let first = actions(&world.plan());
        for action in &first[..kill.index(first.len() + 1)] {
            world.act(action)?;
        }
        for action in actions(&world.plan()) {
            world.act(&action)?;
        }
        let left = world.plan();
        prop_assert!(left.is_empty(), "still to do:\n{left}");
        prop_assert!(world.members.values().all(|m| !m.runs_on_stale && m.stale.is_empty()));
    }

    #[test]
    fn restarts_of_members_in_a_majority_have_a_wait_between(world in any_world()) {
        let mut restarted = false;
        for step in &world.plan().roll {
            match step {
                Step::Restart { .. } => {
                    prop_assert!(!restarted, "two restarts in a row");
                    restarted = true;
                }
                Step::WaitReady { .. } => restarted = false,
                Step::WaitSteady { .. } => {}
                other => prop_assert!(false, "{other} while rolling"),
            }
        }
        prop_assert!(!restarted, "the last restart is not waited for");
    }
}
