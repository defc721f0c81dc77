//! From who is a member and who shall be to the steps between. Pure.

use super::{
    ChangePlan, ChangeStep, Membership, PlannedStep, Quorum, Wish,
    model::{Model, Seat},
};
use crate::{ClusterSpec, MemberId, MemberName, MemberSpec};
use std::collections::BTreeSet;

/// A change that must not be begun, or cannot. Nothing was done.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ChangeRefused {
    /// Too few members are healthy already.
    #[error(
        "etcd has no majority ({quorum}): no change of members can mend that; start the members that are down, or \
         restore a snapshot"
    )]
    NoQuorum {
        /// The votes.
        quorum: Quorum,
    },
    /// A step would leave too few.
    #[error(
        "\"{step}\" would cost etcd its majority ({before}; {after} after it); first bring back or replace the \
         members that are down"
    )]
    QuorumLost {
        /// The step.
        step: String,
        /// The votes before it.
        before: Quorum,
        /// The votes after it.
        after: Quorum,
    },
    /// It is the only one with the data.
    #[error(
        "etcd member {member} is the only voter: without it all data is gone; add another member first"
    )]
    LastMember {
        /// The member.
        member: MemberName,
    },
    /// A member that shall come in has no machine.
    #[error(
        "the machine of etcd member {member} cannot be reached, so it cannot be brought in; bring the machine up first"
    )]
    MachineUnreachable {
        /// The member.
        member: MemberName,
    },
    /// The cluster has a member that nobody asked for.
    #[error(
        "the cluster has a member {id} ({name:?}, {peer_url}) that is not in the specification: remove it by name, or \
         give it a place there"
    )]
    Stranger {
        /// Its ID.
        id: MemberId,
        /// Its name; empty if it has not started.
        name: String,
        /// Where the others reach it.
        peer_url: String,
    },
    /// A name that means nobody.
    #[error("etcd has no member {member}; its members are {members}")]
    Unknown {
        /// The name.
        member: MemberName,
        /// The names there are.
        members: String,
    },
    /// Nobody could take over the lead.
    #[error("etcd member {member} cannot lead: {problem}; `etcd status` shows who can")]
    CannotLead {
        /// The member that was to take over, or the leader that nobody can follow.
        member: MemberName,
        /// Why.
        problem: &'static str,
    },
}

/// Plans from who is a member to who shall be: the members of `spec` without those that `wish` removes. One change
/// at a time: what was begun is finished, the dead go before anybody comes, and healthy members go last.
///
/// # Errors
///
/// There is no majority, or a step would cost it; a member has no machine to come to; the list has a member that
/// nobody asked for. Members that are down are *not* an error while a majority is up.
pub fn plan(
    spec: &ClusterSpec,
    wish: &Wish,
    found: &Membership,
) -> Result<ChangePlan, ChangeRefused> {
    for name in &wish.replace {
        known(spec, found, name)?;
    }
    for name in &wish.remove {
        known(spec, found, name)?;
    }
    let mut planner = Planner::new(spec, wish, found)?;
    planner.finish_learners()?;
    planner.remove(|seat| !seat.site.ready)?;
    planner.replace()?;
    planner.add()?;
    planner.remove(|seat| seat.site.ready)?;
    planner.clean()?;
    Ok(planner.plan)
}

/// Plans to have another member lead: `to`, or any healthy voter.
///
/// # Errors
///
/// There is no majority; `to` is no healthy voter, or there is no other. A leader that leads already is
/// *not* an error.
pub fn plan_move_leader(
    spec: &ClusterSpec,
    to: Option<&MemberName>,
    found: &Membership,
) -> Result<ChangePlan, ChangeRefused> {
    let wish = Wish::default();
    let mut planner = Planner::new(spec, &wish, found)?;
    if let Some(to) = to {
        known(spec, found, to)?;
    }
    let Some(from) = planner.model.leader.clone() else {
        return Ok(planner.plan);
    };
    if to == Some(&from) {
        return Ok(planner.plan);
    }
    let cannot = |member: &MemberName, problem| ChangeRefused::CannotLead {
        member: member.clone(),
        problem,
    };
    let to = match to {
        None => {
            let next = planner.model.successor(&from, &wish);
            let none = || cannot(&from, "it does already, and no other voter is healthy");
            next.ok_or_else(none)?.name.clone()
        }
        Some(to) => match planner.model.seat(to) {
            Some(seat) if !seat.learner && seat.site.ready => to.clone(),
            Some(seat) if seat.learner => return Err(cannot(to, "it has no vote yet")),
            _ => return Err(cannot(to, "it does not take reads and writes")),
        },
    };
    planner.push(ChangeStep::MoveLeader { from, to })?;
    Ok(planner.plan)
}

fn known(spec: &ClusterSpec, found: &Membership, name: &MemberName) -> Result<(), ChangeRefused> {
    let listed = found.listed.iter().map(|member| member.name.as_str());
    if spec.member(name).is_some() || listed.clone().any(|l| l == name.as_str()) {
        return Ok(());
    }
    let names: BTreeSet<&str> = spec
        .members()
        .iter()
        .map(|m| m.name.as_str())
        .chain(listed)
        .collect();
    Err(ChangeRefused::Unknown {
        member: name.clone(),
        members: names.into_iter().collect::<Vec<_>>().join(", "),
    })
}

struct Planner<'a> {
    spec: &'a ClusterSpec,
    wish: &'a Wish,
    found: &'a Membership,
    model: Model,
    plan: ChangePlan,
}

impl<'a> Planner<'a> {
    fn new(
        spec: &'a ClusterSpec,
        wish: &'a Wish,
        found: &'a Membership,
    ) -> Result<Self, ChangeRefused> {
        let model = Model::new(spec, wish, found)?;
        let quorum = model.quorum();
        if !quorum.holds() {
            return Err(ChangeRefused::NoQuorum { quorum });
        }
        let plan = ChangePlan {
            steps: Vec::new(),
            history: model.recorded(spec),
            remove: wish.remove.clone(),
        };
        Ok(Self {
            spec,
            wish,
            found,
            model,
            plan,
        })
    }

    fn push(&mut self, step: ChangeStep) -> Result<(), ChangeRefused> {
        let before = self.model.quorum();
        self.model.apply(&step);
        let after = self.model.quorum();
        if !after.holds() {
            let step = step.to_string();
            return Err(ChangeRefused::QuorumLost {
                step,
                before,
                after,
            });
        }
        self.plan.steps.push(PlannedStep {
            step,
            before,
            after,
        });
        Ok(())
    }

    /// What a killed run left half done. etcd takes one learner at a time, so this comes first.
    fn finish_learners(&mut self) -> Result<(), ChangeRefused> {
        let learners = self.model.seats.iter().filter(|seat| seat.learner);
        for seat in learners.cloned().collect::<Vec<_>>() {
            let name = seat.name.clone();
            if self.wish.remove.contains(&name) {
                self.take_away(&seat)?;
            } else if seat.is_lost_learner() {
                self.take_away(&seat)?;
                self.bring_in(&name)?;
            } else {
                if !seat.site.serving {
                    self.reachable(&name)?;
                    self.push(ChangeStep::Start {
                        member: name.clone(),
                    })?;
                }
                self.push(ChangeStep::Promote { member: name })?;
            }
        }
        Ok(())
    }

    /// Those that go, of the kind that is asked for; the leader as the last one.
    fn remove(&mut self, kind: impl Fn(&Seat) -> bool) -> Result<(), ChangeRefused> {
        let goes = |seat: &&Seat| self.wish.remove.contains(&seat.name) && kind(seat);
        let mut seats: Vec<Seat> = self.model.seats.iter().filter(goes).cloned().collect();
        seats.sort_by_key(|seat| self.model.leader.as_ref() == Some(&seat.name));
        seats.iter().try_for_each(|seat| self.take_away(seat))
    }

    fn replace(&mut self) -> Result<(), ChangeRefused> {
        for name in &self.wish.replace {
            let seat = self.model.seat(name);
            let dead = seat.filter(|seat| !seat.learner && !seat.site.ready);
            if let Some(seat) = dead.cloned() {
                self.reachable(name)?;
                self.take_away(&seat)?;
                self.bring_in(name)?;
            }
        }
        Ok(())
    }

    fn add(&mut self) -> Result<(), ChangeRefused> {
        let members = self.spec.members().iter().map(|member| &member.name);
        let missing = members.filter(|name| self.model.seat(name).is_none());
        let missing: Vec<_> = missing
            .filter(|name| !self.wish.remove.contains(*name))
            .collect();
        missing.into_iter().try_for_each(|name| self.bring_in(name))
    }

    /// What a killed run left of those that it had removed.
    fn clean(&mut self) -> Result<(), ChangeRefused> {
        let listed = |name: &MemberName| {
            let mut planned = self.plan.steps.iter();
            planned.any(|s| matches!(&s.step, ChangeStep::Remove { member, .. } if member == name))
        };
        let gone = self.wish.remove.iter().filter(|name| !listed(name));
        let gone: Vec<MemberName> = gone.cloned().collect();
        gone.iter().try_for_each(|name| self.take_out(name))
    }

    fn take_away(&mut self, seat: &Seat) -> Result<(), ChangeRefused> {
        let member = seat.name.clone();
        let quorum = self.model.quorum();
        if quorum.voters == 1 && !seat.learner {
            return Err(ChangeRefused::LastMember { member });
        }
        if self.model.leader.as_ref() == Some(&member)
            && let Some(next) = self.model.successor(&member, self.wish)
        {
            let to = next.name.clone();
            let from = member.clone();
            self.push(ChangeStep::MoveLeader { from, to })?;
        }
        let id = seat.id;
        self.push(ChangeStep::Remove { member, id })?;
        self.take_out(&seat.name)
    }

    /// Service and data of one that is no member, where there are any.
    fn take_out(&mut self, name: &MemberName) -> Result<(), ChangeRefused> {
        let site = self.found.sites.get(name).copied().unwrap_or_default();
        let Some(MemberSpec { data_dir, .. }) = self.spec.member(name) else {
            return Ok(());
        };
        if !(site.reachable && (site.up || site.has_wal)) {
            return Ok(());
        }
        let (member, data_dir) = (name.clone(), data_dir.clone());
        self.push(ChangeStep::TakeOut { member, data_dir })
    }

    fn bring_in(&mut self, name: &MemberName) -> Result<(), ChangeRefused> {
        let Some(member) = self.spec.member(name) else {
            return Ok(());
        };
        self.reachable(name)?;
        let taken_out = self.plan.steps.iter().any(
            |planned| matches!(&planned.step, ChangeStep::TakeOut { member, .. } if member == name),
        );
        if !taken_out {
            self.take_out(name)?;
        }
        let (member, peer_url) = (name.clone(), member.peer_url());
        self.push(ChangeStep::AddLearner { member, peer_url })?;
        let member = name.clone();
        self.push(ChangeStep::Start { member })?;
        let member = name.clone();
        self.push(ChangeStep::Promote { member })
    }

    fn reachable(&self, name: &MemberName) -> Result<(), ChangeRefused> {
        match self.found.sites.get(name) {
            Some(site) if site.reachable => Ok(()),
            _ => Err(ChangeRefused::MachineUnreachable {
                member: name.clone(),
            }),
        }
    }
}
