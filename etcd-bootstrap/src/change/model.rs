//! The members as the plan moves them about. Pure.

use super::{ChangeRefused, ChangeStep, Membership, Quorum, Site, Wish};
use crate::{ClusterSpec, History, Joined, ListedMember, MemberId, MemberName, MemberSpec};

/// A member of the cluster with what is known of its machine.
#[derive(Debug, Clone)]
pub(super) struct Seat {
    pub(super) name: MemberName,
    pub(super) id: MemberId,
    pub(super) learner: bool,
    pub(super) site: Site,
    peer_url: String,
    /// It has told the others where it serves clients, which it does once it has joined.
    joined: bool,
}

impl Seat {
    fn new(
        listed: &ListedMember,
        spec: &ClusterSpec,
        wish: &Wish,
        found: &Membership,
    ) -> Result<Self, ChangeRefused> {
        let peer_url = listed.peer_urls.first().cloned().unwrap_or_default();
        let stranger = || ChangeRefused::Stranger {
            id: listed.id,
            name: listed.name.clone(),
            peer_url: peer_url.clone(),
        };
        let name = name_of(listed, spec).ok_or_else(stranger)?;
        if spec.member(&name).is_none() && !wish.remove.contains(&name) {
            return Err(stranger());
        }
        Ok(Self {
            site: found.sites.get(&name).copied().unwrap_or_default(),
            name,
            id: listed.id,
            learner: listed.is_learner,
            peer_url,
            joined: !listed.client_urls.is_empty(),
        })
    }

    /// A learner that was in and whose memory is gone: started with nothing it would end ("tocommit is out of range"),
    /// since the leader knows what it had.
    pub(super) fn is_lost_learner(&self) -> bool {
        let nothing = self.site.reachable && !self.site.has_wal && !self.site.serving;
        self.learner && self.joined && nothing
    }
}

/// The name of a listed member: the one at this peer URL, or, for one that is somewhere else, its own.
pub(super) fn name_of(listed: &ListedMember, spec: &ClusterSpec) -> Option<MemberName> {
    let at_url = |member: &&MemberSpec| listed.peer_urls.contains(&member.peer_url());
    match spec.members().iter().find(at_url) {
        Some(member) => Some(member.name.clone()),
        None => listed.name.parse().ok(),
    }
}

/// The members, and which of them leads.
#[derive(Debug, Clone)]
pub(super) struct Model {
    pub(super) seats: Vec<Seat>,
    pub(super) leader: Option<MemberName>,
}

impl Model {
    pub(super) fn new(
        spec: &ClusterSpec,
        wish: &Wish,
        found: &Membership,
    ) -> Result<Self, ChangeRefused> {
        let listed = found.listed.iter();
        let seats = listed.map(|member| Seat::new(member, spec, wish, found));
        let seats: Vec<Seat> = seats.collect::<Result<_, _>>()?;
        let leader = found.leader;
        let leader = seats.iter().find(|seat| Some(seat.id) == leader);
        let leader = leader.map(|seat| seat.name.clone());
        Ok(Self { seats, leader })
    }

    pub(super) fn seat(&self, name: &MemberName) -> Option<&Seat> {
        self.seats.iter().find(|seat| seat.name == *name)
    }

    pub(super) fn quorum(&self) -> Quorum {
        let voters = self.seats.iter().filter(|seat| !seat.learner);
        let healthy = voters.clone().filter(|seat| seat.site.ready);
        Quorum {
            voters: voters.count(),
            healthy: healthy.count(),
        }
    }

    /// Another voter that could lead: healthy, and none of those that go.
    pub(super) fn successor(&self, of: &MemberName, wish: &Wish) -> Option<&Seat> {
        self.seats
            .iter()
            .filter(|seat| !seat.learner && seat.site.ready && seat.name != *of)
            .find(|seat| !wish.remove.contains(&seat.name))
    }

    /// What a step does to it when it succeeds.
    pub(super) fn apply(&mut self, step: &ChangeStep) {
        match step {
            ChangeStep::MoveLeader { to, .. } => self.leader = Some(to.clone()),
            ChangeStep::Remove { member, .. } => self.seats.retain(|seat| seat.name != *member),
            ChangeStep::AddLearner { member, peer_url } => self.seats.push(Seat {
                name: member.clone(),
                id: MemberId(0),
                learner: true,
                site: Site::default(),
                peer_url: peer_url.clone(),
                joined: false,
            }),
            ChangeStep::Promote { member } => {
                let seats = self.seats.iter_mut();
                for seat in seats.filter(|seat| seat.name == *member) {
                    seat.learner = false;
                    seat.site.ready = true;
                }
            }
            ChangeStep::TakeOut { .. } | ChangeStep::Start { .. } => {}
        }
    }

    /// `history` with what it does not know yet: what a run did that was killed before it could record it, or
    /// somebody else.
    pub(super) fn recorded(&self, spec: &ClusterSpec) -> History {
        let mut history = spec.history().clone();
        let known = spec.member_ids();
        for name in known.keys().filter(|name| self.seat(name).is_none()) {
            history.record_removed(name);
        }
        let pairs = self
            .seats
            .iter()
            .map(|s| (s.name.clone(), s.peer_url.clone()));
        let initial_cluster: Vec<_> = pairs.collect();
        for seat in &self.seats {
            if known.get(&seat.name) != Some(&seat.id) {
                let joined = Joined {
                    id: seat.id,
                    initial_cluster: initial_cluster.clone(),
                };
                history.record_added(seat.name.clone(), joined);
            }
        }
        history
    }
}
