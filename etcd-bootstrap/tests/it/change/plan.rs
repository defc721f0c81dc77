//! What is planned, and what is refused.

use crate::world::{member, name, spec, spec_of};
use etcd_bootstrap::{
    ClusterSpec, EtcdVersion, History, ListedMember, MemberId, MemberName,
    change::{ChangePlan, ChangeRefused, Membership, Quorum, Site, Wish, plan, plan_move_leader},
};

const HEALTHY: Site = Site {
    reachable: true,
    ready: true,
    serving: true,
    up: true,
    has_wal: true,
};
const BLANK: Site = Site {
    reachable: true,
    ready: false,
    serving: false,
    up: false,
    has_wal: false,
};

/// A cluster of `members` founders, all healthy, with the first one leading; `spec` may want more.
fn healthy(spec: &ClusterSpec, members: usize) -> Membership {
    let founders = spec.history().founders().iter().take(members);
    let listed = founders.map(|(name, url)| ListedMember {
        id: spec.member_ids()[name],
        name: name.to_string(),
        peer_urls: vec![url.clone()],
        is_learner: false,
        client_urls: vec!["https://there:2379".into()],
    });
    let sites = spec.members().iter().enumerate().map(|(index, member)| {
        let site = if index < members { HEALTHY } else { BLANK };
        (member.name.clone(), site)
    });
    Membership {
        listed: listed.collect(),
        leader: Some(spec.member_ids()[&name(0)]),
        sites: sites.collect(),
    }
}

/// `wanted` members of which the first `founders` are there.
fn growing(founders: u8, wanted: u8) -> ClusterSpec {
    let version = EtcdVersion::new(3, 7, 3);
    let urls = (0..founders).map(|i| (name(i.into()), member(i).peer_url()));
    let history = History::founded_by(urls.collect());
    let wanted = spec_of(version, "lab-1", wanted);
    wanted.with_history(history).unwrap()
}

fn dead(found: &mut Membership, name: &MemberName) {
    found.sites.insert(name.clone(), BLANK);
}

fn lines(plan: &ChangePlan) -> Vec<String> {
    plan.to_string().lines().map(str::to_owned).collect()
}

#[test]
fn healthy_members_are_left_alone() {
    let spec = spec();
    let plan = plan(&spec, &Wish::default().replace(name(1)), &healthy(&spec, 3)).unwrap();
    assert!(plan.is_empty() && plan.history == *spec.history(), "{plan}");
}

#[test]
fn the_dead_are_removed_before_their_successor_comes() {
    let spec = spec();
    let mut found = healthy(&spec, 3);
    let site = Site {
        has_wal: true,
        up: true,
        ..BLANK
    };
    found.sites.insert(name(2), site);
    let plan = plan(&spec, &Wish::default().replace(name(2)), &found).unwrap();
    let expected = [
        "etcd-2: remove member a1bb8448c6c140ed (2 of 3 healthy, 2 needed; then 2 of 2 healthy, 2 needed)",
        "etcd-2: stop etcd, and rename its data in /var/lib/etcd (2 of 2 healthy, 2 needed)",
        "etcd-2: add https://10.0.0.12:2380 as a learner (2 of 2 healthy, 2 needed)",
        "etcd-2: start etcd, and remove it again if it never joins (2 of 2 healthy, 2 needed)",
        "etcd-2: promote when in sync, and wait until ready (2 of 2 healthy, 2 needed; then 3 of 3 healthy, 2 needed)",
    ];
    assert_eq!(lines(&plan), expected);
}

#[test]
fn a_cluster_grows_one_learner_at_a_time() {
    let spec = growing(1, 3);
    let plan = plan(&spec, &Wish::default(), &healthy(&spec, 1)).unwrap();
    let lines = lines(&plan);
    assert_eq!(lines.len(), 6, "{plan}");
    assert!(lines[0].starts_with("etcd-1: add"), "{plan}");
    assert!(
        lines[2].ends_with("then 2 of 2 healthy, 2 needed)"),
        "{plan}"
    );
    assert!(lines[3].starts_with("etcd-2: add"), "{plan}");
    assert!(
        lines[5].ends_with("then 3 of 3 healthy, 2 needed)"),
        "{plan}"
    );
}

#[test]
fn a_leader_that_goes_hands_over_and_goes_last() {
    let spec = spec();
    let wish = Wish::default().remove(name(0)).remove(name(1));
    let plan = plan(&spec, &wish, &healthy(&spec, 3)).unwrap();
    let lines = lines(&plan);
    assert!(lines[0].starts_with("etcd-1: remove"), "{plan}");
    assert!(lines[1].starts_with("etcd-1: stop"), "{plan}");
    assert!(
        lines[2].starts_with("etcd-0: hand over the lead to etcd-2"),
        "{plan}"
    );
    assert!(lines[3].starts_with("etcd-0: remove"), "{plan}");
}

#[test]
fn what_was_begun_is_finished_first() {
    let spec = growing(3, 4);
    let mut found = healthy(&spec, 3);
    found.listed.push(ListedMember {
        id: MemberId(77),
        name: String::new(),
        peer_urls: vec![member(3).peer_url()],
        is_learner: true,
        client_urls: vec![],
    });
    let begun = plan(&spec, &Wish::default(), &found).unwrap();
    assert_eq!(lines(&begun).len(), 2, "{begun}");
    assert!(lines(&begun)[0].starts_with("etcd-3: start"), "{begun}");
    // Nobody recorded it: it is found by its peer URL, and its list is the present one.
    assert_eq!(begun.history.joined()[&name(3)].id, MemberId(77));
    let list = &begun.history.joined()[&name(3)].initial_cluster;
    assert_eq!(list.len(), 4, "{list:?}");

    // It had joined, and has nothing now: started again it would end, so it comes anew.
    found.listed[3].client_urls = vec!["https://there:2379".into()];
    let lost = plan(&spec, &Wish::default(), &found).unwrap();
    assert!(
        lines(&lost)[0].starts_with("etcd-3: remove member 4d"),
        "{lost}"
    );
    assert_eq!(lines(&lost).len(), 4, "{lost}");
}

#[test]
fn a_removal_that_a_killed_run_recorded_nowhere_is_cleaned_up() {
    let spec = spec();
    let mut found = healthy(&spec, 2);
    let left = Site {
        has_wal: true,
        ..BLANK
    };
    found.sites.insert(name(2), left);
    let plan = plan(&spec, &Wish::default().remove(name(2)), &found).unwrap();
    assert_eq!(lines(&plan).len(), 1, "{plan}");
    assert!(
        lines(&plan)[0].starts_with("etcd-2: stop etcd, and rename"),
        "{plan}"
    );
    assert!(!plan.history.is_member(&name(2)));
}

#[test]
fn no_step_costs_the_majority() {
    let refuse = |dead_ones: &[usize], wish: Wish| {
        let spec = spec();
        let mut found = healthy(&spec, 3);
        for index in dead_ones {
            dead(&mut found, &name(*index));
        }
        plan(&spec, &wish, &found).unwrap_err()
    };
    let none = refuse(&[1, 2], Wish::default().replace(name(1)));
    let quorum = Quorum {
        voters: 3,
        healthy: 1,
    };
    assert_eq!(none, ChangeRefused::NoQuorum { quorum });
    let lost = refuse(&[2], Wish::default().remove(name(1)));
    assert!(matches!(lost, ChangeRefused::QuorumLost { .. }), "{lost}");
    assert!(
        lost.to_string()
            .contains("1 of 2 healthy, 2 needed after it"),
        "{lost}"
    );
    let all = Wish::default().remove(name(0)).remove(name(1));
    let last = refuse(&[], all.remove(name(2)));
    assert_eq!(last, ChangeRefused::LastMember { member: name(0) });
}

#[test]
fn who_is_not_known_is_not_touched() {
    let spec = spec();
    let mut found = healthy(&spec, 3);
    let wish = Wish::default().remove("etcd-9".parse().unwrap());
    let unknown = plan(&spec, &wish, &found).unwrap_err().to_string();
    assert!(
        unknown.ends_with("its members are etcd-0, etcd-1, etcd-2"),
        "{unknown}"
    );

    found.listed.push(ListedMember {
        id: MemberId(5),
        name: "other".into(),
        peer_urls: vec!["https://10.9.9.9:2380".into()],
        is_learner: false,
        client_urls: vec![],
    });
    let stranger = plan(&spec, &Wish::default(), &found).unwrap_err();
    assert!(
        matches!(stranger, ChangeRefused::Stranger { .. }),
        "{stranger}"
    );
    // By its name it can go.
    let wish = Wish::default().remove("other".parse().unwrap());
    assert_eq!(lines(&plan(&spec, &wish, &found).unwrap()).len(), 1);
}

#[test]
fn nobody_comes_without_a_machine() {
    let spec = spec();
    let mut found = healthy(&spec, 3);
    found.sites.insert(name(1), Site::default());
    let refused = plan(&spec, &Wish::default().replace(name(1)), &found).unwrap_err();
    assert_eq!(
        refused,
        ChangeRefused::MachineUnreachable { member: name(1) }
    );
    let removed = plan(&spec, &Wish::default().remove(name(1)), &found).unwrap();
    assert_eq!(lines(&removed).len(), 1, "{removed}");
}

#[test]
fn the_lead_moves_to_a_healthy_voter() {
    let spec = spec();
    let mut found = healthy(&spec, 3);
    let moved = plan_move_leader(&spec, None, &found).unwrap();
    assert!(
        lines(&moved)[0].starts_with("etcd-0: hand over the lead to etcd-1"),
        "{moved}"
    );
    assert!(
        plan_move_leader(&spec, Some(&name(0)), &found)
            .unwrap()
            .is_empty()
    );
    dead(&mut found, &name(2));
    let refused = plan_move_leader(&spec, Some(&name(2)), &found).unwrap_err();
    assert!(
        refused
            .to_string()
            .contains("does not take reads and writes"),
        "{refused}"
    );
}
