//! A small cluster that obeys plans and can be killed after any action: whatever it is, it never loses a majority
//! that it had, never starts a member with an older memory, and is as wanted in the end.

use crate::world::{member, name, spec_of};
use etcd_bootstrap::{
    ClusterSpec, EtcdVersion, History, ListedMember, MemberId, MemberName,
    change::{ChangeStep, Membership, Site, Wish, plan},
};
use proptest::prelude::*;
use std::collections::BTreeMap;

#[derive(Debug, Clone)]
struct Member {
    id: MemberId,
    learner: bool,
    joined: bool,
}

/// A machine: whose memory it has, and whether etcd runs.
#[derive(Debug, Clone, Copy, Default)]
struct Machine {
    memory: Option<MemberId>,
    up: bool,
}

#[derive(Debug, Clone)]
struct World {
    spec: ClusterSpec,
    wish: Wish,
    members: BTreeMap<MemberName, Member>,
    machines: BTreeMap<MemberName, Machine>,
    leader: Option<MemberName>,
    next_id: u64,
}

impl World {
    fn healthy(&self, name: &MemberName) -> bool {
        let own = self.members.get(name).filter(|member| !member.learner);
        let machine = self.machines.get(name).copied().unwrap_or_default();
        own.is_some_and(|own| machine.up && machine.memory == Some(own.id))
    }

    fn has_majority(&self) -> bool {
        let voters = self.members.values().filter(|member| !member.learner);
        let healthy = self.members.keys().filter(|name| self.healthy(name));
        healthy.count() > voters.count() / 2
    }

    fn look(&self) -> Membership {
        let listed = self.members.iter().map(|(name, own)| ListedMember {
            id: own.id,
            name: if own.joined {
                name.to_string()
            } else {
                String::new()
            },
            peer_urls: vec![self.spec.member(name).unwrap().peer_url()],
            is_learner: own.learner,
            client_urls: if own.joined {
                vec!["https://x".into()]
            } else {
                vec![]
            },
        });
        let site = |(name, machine): (&MemberName, &Machine)| {
            let own = self.members.get(name);
            let lives = own.is_some_and(|own| machine.up && machine.memory == Some(own.id));
            let site = Site {
                reachable: true,
                ready: self.healthy(name),
                serving: lives,
                up: machine.up,
                has_wal: machine.memory.is_some(),
            };
            (name.clone(), site)
        };
        Membership {
            listed: listed.collect(),
            leader: self.leader.as_ref().map(|name| self.members[name].id),
            sites: self.machines.iter().map(site).collect(),
        }
    }

    /// Does a step; what it returns is the ID that a history has to keep.
    fn act(&mut self, step: &ChangeStep) -> Result<(), TestCaseError> {
        match step {
            ChangeStep::MoveLeader { to, .. } => {
                prop_assert!(self.healthy(to), "{to} cannot lead");
                self.leader = Some(to.clone());
            }
            ChangeStep::Remove { member, id } => {
                prop_assert_eq!(self.members[member].id, *id);
                self.members.remove(member);
                if let Some(machine) = self.machines.get_mut(member) {
                    machine.up = false;
                }
                if self.leader.as_ref() == Some(member) {
                    self.leader = self.members.keys().find(|name| self.healthy(name)).cloned();
                }
            }
            ChangeStep::TakeOut { member, .. } => {
                prop_assert!(!self.members.contains_key(member), "{member} is a member");
                self.machines.insert(member.clone(), Machine::default());
            }
            ChangeStep::AddLearner { member, .. } => {
                let learners = self.members.values().filter(|own| own.learner);
                prop_assert_eq!(learners.count(), 0, "two learners");
                self.next_id += 1;
                let added = Member {
                    id: MemberId(self.next_id),
                    learner: true,
                    joined: false,
                };
                self.members.insert(member.clone(), added);
            }
            ChangeStep::Start { member } => {
                let id = self.members[member].id;
                let machine = self.machines.get_mut(member).unwrap();
                let older = machine.memory.filter(|memory| *memory != id);
                prop_assert_eq!(older, None, "{} starts with an older memory", member);
                *machine = Machine {
                    memory: Some(id),
                    up: true,
                };
                self.members.get_mut(member).unwrap().joined = true;
            }
            ChangeStep::Promote { member } => {
                self.members.get_mut(member).unwrap().learner = false;
                prop_assert!(
                    self.healthy(member),
                    "{member} has a vote and does not live"
                );
            }
        }
        Ok(())
    }

    /// Plans and does the first `most` steps. The history of the last one is kept or not, as a kill would have it.
    fn run(&mut self, most: usize, keeps_last: bool) -> Result<bool, TestCaseError> {
        let Ok(plan) = plan(&self.spec, &self.wish, &self.look()) else {
            return Ok(false);
        };
        let mut history = plan.history.clone();
        self.spec = self.spec.clone().with_history(history.clone()).unwrap();
        for planned in plan.steps.iter().take(most) {
            if !keeps_last {
                self.spec = self.spec.clone().with_history(history.clone()).unwrap();
            }
            let before = self.has_majority();
            self.act(&planned.step)?;
            prop_assert!(!before || self.has_majority(), "lost by {planned}");
            prop_assert!(planned.after.holds(), "{planned}");
            history = self.recorded(history, &planned.step);
            if keeps_last {
                self.spec = self.spec.clone().with_history(history.clone()).unwrap();
            }
        }
        Ok(true)
    }

    fn recorded(&self, mut history: History, step: &ChangeStep) -> History {
        match step {
            ChangeStep::Remove { member, .. } => history.record_removed(member),
            ChangeStep::AddLearner { member, peer_url } => {
                let initial = history.initial_cluster(member, peer_url);
                let joined = etcd_bootstrap::Joined {
                    id: self.members[member].id,
                    initial_cluster: initial.members,
                };
                history.record_added(member.clone(), joined);
            }
            _ => {}
        }
        history
    }
}

fn any_world() -> impl Strategy<Value = World> {
    let founders = 1_u8..6;
    (founders, 0_u8..3).prop_flat_map(|(founders, more)| {
        let wanted = founders + more;
        let machine = (0_u8..8, 0_u8..4);
        let machines = prop::collection::vec(machine, usize::from(wanted));
        machines.prop_map(move |machines| world(founders, wanted, &machines))
    })
}

/// The first number of a machine is below 2 for one that is dead, 1 of which lost its memory; the second one is 0 for
/// one that goes, 1 for one that is to be replaced.
fn world(founders: u8, wanted: u8, kinds: &[(u8, u8)]) -> World {
    let version = EtcdVersion::new(3, 7, 3);
    let urls = (0..founders).map(|i| (name(i.into()), member(i).peer_url()));
    let history = History::founded_by(urls.collect());
    let spec = spec_of(version, "lab-1", wanted);
    let spec = spec.with_history(history).unwrap();
    let ids = spec.member_ids();
    let mut wish = Wish::default();
    let mut machines = BTreeMap::new();
    for (index, (life, fate)) in kinds.iter().enumerate() {
        let own = name(index);
        wish = match fate {
            0 => wish.remove(own.clone()),
            1 => wish.replace(own.clone()),
            _ => wish,
        };
        let up = *life > 1;
        let memory = ids.get(&own).copied().filter(|_| *life != 1);
        let up = up && memory.is_some();
        machines.insert(own, Machine { memory, up });
    }
    let founder = |(name, id): (&MemberName, &MemberId)| {
        let own = Member {
            id: *id,
            learner: false,
            joined: true,
        };
        (name.clone(), own)
    };
    let mut world = World {
        members: ids.iter().map(founder).collect(),
        spec,
        wish,
        machines,
        leader: None,
        next_id: 1,
    };
    world.leader = world
        .members
        .keys()
        .find(|name| world.healthy(name))
        .cloned();
    world
}

proptest! {
    #[test]
    fn a_majority_is_never_lost_and_every_killed_run_is_finished(
        mut world in any_world(),
        kills in prop::collection::vec((0_usize..8, any::<bool>()), 0..4),
    ) {
        let possible = plan(&world.spec, &world.wish, &world.look());
        prop_assume!(possible.is_ok());
        for (most, keeps) in kills {
            prop_assert!(world.run(most, keeps)?, "refused after a kill");
        }
        prop_assert!(world.run(usize::MAX, true)?, "refused at the end");
        let left = plan(&world.spec, &world.wish, &world.look()).unwrap();
        prop_assert!(left.is_empty(), "still to do:\n{left}");
        for member in world.spec.members() {
            let name = &member.name;
            let goes = world.wish.remove.contains(name);
            prop_assert_eq!(world.members.contains_key(name), !goes, "{}", name);
            if !goes && world.wish.replace.contains(name) {
                prop_assert!(world.healthy(name), "{name} was to be replaced");
            }
        }
        let ids: BTreeMap<_, _> = world.members.iter().map(|(n, own)| (n.clone(), own.id)).collect();
        prop_assert_eq!(world.spec.member_ids(), ids);
    }
}
