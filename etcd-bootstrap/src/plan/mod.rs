//! From what is wanted and what is there to what has to be done. Pure.

mod step;

pub use step::{Plan, Step};

use crate::{
    ClusterId, ClusterSpec, MemberName, MemberObservation, MemberSpec, MemberState, Observed,
    Status, render,
    upgrade::{PathError, check_path},
};
use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

/// A cluster that must not be touched. Nothing was done.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PlanError {
    /// The observation lacks a member of the specification.
    #[error("etcd member {member} was not observed; observe the same cluster that is planned")]
    NotObserved {
        /// The member.
        member: MemberName,
    },
    /// A member is in another cluster.
    #[error(
        "etcd member {member} belongs to cluster {found}, not {expected}: its data is from another \
         token, other members or an earlier cluster; give that token and those members again, or \
         stop it and move {} aside", .data_dir.display()
    )]
    Foreign {
        /// The member.
        member: MemberName,
        /// The cluster it is in.
        found: ClusterId,
        /// The cluster of the specification.
        expected: ClusterId,
        /// Where its data is.
        data_dir: PathBuf,
    },
    /// A member would skip a minor.
    #[error("etcd member {member} must not be restarted: {problem}")]
    Version {
        /// The member.
        member: MemberName,
        /// The versions.
        problem: PathError,
    },
    /// A member of the formed cluster lost its data.
    #[error(
        "etcd member {member} has joined before, and {} is empty now: with its memory gone it must \
         not vote again; put the directory back, or replace the member", .data_dir.display()
    )]
    LostData {
        /// The member.
        member: MemberName,
        /// Where its data was.
        data_dir: PathBuf,
    },
}

/// A member runs a version that the wanted one must not follow at once. What is one minor older is taken: that is the way
/// back in the middle of an upgrade.
fn check_version(
    spec: &ClusterSpec,
    member: &MemberSpec,
    found: &MemberObservation,
) -> Result<(), PlanError> {
    let Some(status) = found.client.status() else {
        return Ok(());
    };
    let Ok(from) = status.version.parse() else {
        return Ok(());
    };
    match check_path(from, spec.version_of(member)) {
        Err(problem @ PathError::Skips { .. }) => Err(PlanError::Version {
            member: member.name.clone(),
            problem,
        }),
        _ => Ok(()),
    }
}

/// A member with all that the plan needs to know of it.
struct Subject<'a> {
    spec: &'a MemberSpec,
    found: &'a MemberObservation,
    state: MemberState,
}

/// Plans from `observed` to `spec`.
///
/// # Errors
///
/// A member belongs to another cluster or lost its data: what would heal that could also lose writes, so
/// it is not begun. Members that are down, forming or without a majority are *not* errors.
pub fn plan(spec: &ClusterSpec, observed: &Observed) -> Result<Plan, PlanError> {
    let members = spec.members().iter();
    let members = members
        .filter(|member| is_ours(spec, observed, member))
        .map(|member| judge(spec, observed, member))
        .collect::<Result<Vec<_>, _>>()?;
    let rolling: Vec<&Subject> = members
        .iter()
        .filter(|member| member.needs_restart() && member.state != MemberState::Forming)
        .collect();
    let mut plan = Plan::default();
    for member in members.iter().filter(|member| !member.needs_restart()) {
        member.plan_files(&mut plan.prepare);
    }
    plan_starts(&members, &mut plan.start);
    plan_settle(&members, &rolling, &mut plan.settle);
    plan_roll(&members, rolling, &mut plan.roll);
    Ok(plan)
}

/// Not those that are [`crate::change`]'s: started before it is added, etcd takes a member for a stranger, and one without
/// a vote is never ready.
fn is_ours(spec: &ClusterSpec, observed: &Observed, member: &MemberSpec) -> bool {
    use MemberState::{Learner, NotAdded, Removed};
    let state = observed.state(spec, &member.name);
    !matches!(state, Some(Learner | NotAdded | Removed))
}

fn judge<'a>(
    spec: &ClusterSpec,
    observed: &'a Observed,
    member: &'a MemberSpec,
) -> Result<Subject<'a>, PlanError> {
    let missing = || PlanError::NotObserved {
        member: member.name.clone(),
    };
    let found = observed.members.get(&member.name).ok_or_else(missing)?;
    let state = observed.state(spec, &member.name).ok_or_else(missing)?;
    check_version(spec, member, found)?;
    let (name, data_dir) = (member.name.clone(), member.data_dir.clone());
    match state {
        MemberState::Foreign(found) => {
            let expected = spec.cluster_id();
            Err(PlanError::Foreign {
                member: name,
                found,
                expected,
                data_dir,
            })
        }
        MemberState::LostData => Err(PlanError::LostData {
            member: name,
            data_dir,
        }),
        _ => Ok(Subject {
            spec: member,
            found,
            state,
        }),
    }
}

/// Members with a log first: they know who has joined, and those without are confirmed by them.
fn plan_starts(members: &[Subject], steps: &mut Vec<Step>) {
    let forming = members
        .iter()
        .filter(|member| member.needs_restart() && member.state == MemberState::Forming);
    // A member that never was in a majority counts for none, so restarting it can cost none.
    steps.extend(forming.map(Subject::restart));
    let any_log = members.iter().any(|member| member.found.has_wal);
    for with_log in [true, false] {
        let down = members
            .iter()
            .filter(|member| !member.found.unit.is_up() && member.found.has_wal == with_log);
        let confirm_new = !with_log && any_log;
        steps.extend(down.map(|member| Step::Start {
            member: member.name(),
            confirm_new,
        }));
    }
}

/// Enables, and waits for those that no restart waits for. Nobody is restarted while another may end again and again.
fn plan_settle(members: &[Subject], rolling: &[&Subject], steps: &mut Vec<Step>) {
    let disabled = members.iter().filter(|m| !m.found.unit.is_enabled());
    steps.extend(disabled.map(|member| Step::Enable {
        member: member.name(),
    }));
    let rolls = |member: &Subject| rolling.iter().any(|r| r.spec.name == member.spec.name);
    let waiting = members.iter();
    let waiting = waiting.filter(|m| !m.found.client.is_ready() && !rolls(m));
    let waiting: Vec<MemberName> = waiting.map(Subject::name).collect();
    if !waiting.is_empty() {
        steps.push(Step::WaitReady { members: waiting });
    }
    let unsteady = members.iter();
    let unsteady = unsteady.filter(|m| m.is_unsteady() && !m.needs_restart());
    let unsteady: Vec<MemberName> = unsteady.map(Subject::name).collect();
    if !unsteady.is_empty() && !rolling.is_empty() {
        steps.push(Step::WaitSteady { members: unsteady });
    }
}

/// Restarts those that are not ready before those that are, and never one while another has yet to come back. The leader
/// comes last: whoever takes over then has been restarted already, so the lead is handed over once.
fn plan_roll(members: &[Subject], mut rolling: Vec<&Subject>, steps: &mut Vec<Step>) {
    rolling.sort_by_key(|member| (member.state == MemberState::Healthy, member.leads()));
    for (index, member) in rolling.iter().enumerate() {
        steps.push(member.restart());
        let later: BTreeSet<_> = rolling[index + 1..]
            .iter()
            .filter(|later| later.state != MemberState::Healthy)
            .map(|later| &later.spec.name)
            .collect();
        let others = members
            .iter()
            .filter(|other| !later.contains(&other.spec.name));
        steps.push(Step::WaitReady {
            members: others.map(Subject::name).collect(),
        });
        if member.is_unsteady() && index + 1 < rolling.len() {
            steps.push(Step::WaitSteady {
                members: vec![member.name()],
            });
        }
    }
}

impl Subject<'_> {
    fn name(&self) -> MemberName {
        self.spec.name.clone()
    }

    /// Whether it may be one that ends again and again, at this moment down, on its way, or just up.
    fn is_unsteady(&self) -> bool {
        use MemberState::{Failing, Starting, Unready};
        matches!(self.state, Failing | Starting | Unready)
    }

    fn leads(&self) -> bool {
        self.found.client.status().is_some_and(Status::leads)
    }

    fn drifted(&self) -> Vec<PathBuf> {
        self.found
            .drifted
            .iter()
            .map(|(path, _)| path.clone())
            .collect()
    }

    /// Whether the service runs on something that it read at its start and that differs now. Certificates
    /// and keys other than the authorities are read again for every connection.
    fn needs_restart(&self) -> bool {
        let own = [
            Path::new(render::ENVIRONMENT_FILE),
            Path::new(render::YAML_FILE),
            Path::new(render::UNIT_FILE),
        ];
        let read_at_start = |path: &PathBuf| {
            own.contains(&path.as_path()) || self.spec.pki.read_at_start().contains(&path.as_path())
        };
        self.found.unit.is_up() && self.drifted().iter().any(read_at_start)
    }

    fn restart(&self) -> Step {
        Step::Restart {
            member: self.name(),
            paths: self.drifted(),
        }
    }

    fn plan_files(&self, steps: &mut Vec<Step>) {
        let paths = self.drifted();
        // A unit that systemd has not read yet is read when it is started; a reload reads all units again, and
        // takes up to a second on a machine that is still booting.
        let unit_changes = self.found.unit.load != "not-found"
            && paths
                .iter()
                .any(|path| path == Path::new(render::UNIT_FILE));
        if !paths.is_empty() {
            steps.push(Step::WriteFiles {
                member: self.name(),
                paths,
            });
        }
        if unit_changes || self.found.unit.needs_reload {
            steps.push(Step::ReloadUnits {
                member: self.name(),
            });
        }
    }
}
