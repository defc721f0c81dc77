//! What a cluster remembers, whatever comes and goes.

use crate::world::{member, name, spec, spec_of};
use etcd_bootstrap::{
    ClusterSpec, ClusterToken, EtcdVersion, History, InitialMembers, Joined, LearnError,
    ListedMember, MemberId, MemberName, SpecError, render,
};
use proptest::prelude::*;
use std::collections::BTreeMap;

fn token() -> ClusterToken {
    "lab-1".parse().unwrap()
}

fn urls(size: u8) -> InitialMembers {
    (0..size)
        .map(|index| (name(index.into()), member(index).peer_url()))
        .collect()
}

/// Adds a member as etcd does: it is started with the members of now and itself.
fn add(history: &mut History, index: u8, id: u64) {
    let name = name(index.into());
    let initial = history.initial_cluster(&name, &member(index).peer_url());
    let initial_cluster = initial.members;
    let id = MemberId(id);
    history.record_added(
        name,
        Joined {
            id,
            initial_cluster,
        },
    );
}

/// What a running member lists.
fn listed(history: &History) -> Vec<ListedMember> {
    let ids = history.member_ids(&token());
    let members = history.members().into_iter();
    members
        .map(|(name, url)| ListedMember {
            id: ids[&name],
            name: name.to_string(),
            peer_urls: vec![url],
            is_learner: false,
            client_urls: vec![],
        })
        .collect()
}

fn value_of(spec: &ClusterSpec, index: usize, key: &str) -> String {
    let settings = render::environment(spec, &spec.members()[index]);
    settings.into_iter().find(|(k, _)| *k == key).unwrap().1
}

#[test]
fn a_cluster_without_changes_is_what_its_members_found() {
    let spec = spec();
    assert_eq!(spec.history(), &History::founded_by(urls(3)));
    assert_eq!(value_of(&spec, 2, "ETCD_INITIAL_CLUSTER_STATE"), "new");
}

#[test]
fn a_member_that_is_wanted_has_no_id_and_starts_with_those_of_now() {
    let version = EtcdVersion::new(3, 7, 3);
    let grown = spec_of(version, "lab-1", 5);
    let mut history = History::founded_by(urls(3));
    let wanted = grown.clone().with_history(history.clone()).unwrap();
    assert_eq!(wanted.cluster_id(), spec().cluster_id());
    assert!(!wanted.is_member(&name(3)) && !wanted.member_ids().contains_key(&name(3)));
    let value = value_of(&wanted, 3, "ETCD_INITIAL_CLUSTER");
    assert_eq!(value.matches("https://").count(), 4, "{value}");
    assert_eq!(
        value_of(&wanted, 3, "ETCD_INITIAL_CLUSTER_STATE"),
        "existing"
    );

    add(&mut history, 3, 77);
    add(&mut history, 4, 78);
    let joined = grown.with_history(history).unwrap();
    assert_eq!(joined.member_ids()[&name(3)], MemberId(77));
    assert_eq!(value_of(&joined, 3, "ETCD_INITIAL_CLUSTER"), value);
    let founder = value_of(&joined, 0, "ETCD_INITIAL_CLUSTER");
    assert_eq!(founder, value_of(&spec(), 0, "ETCD_INITIAL_CLUSTER"));
}

#[test]
fn a_replaced_founder_joins_and_the_cluster_keeps_its_id() {
    let mut history = History::founded_by(urls(3));
    history.record_removed(&name(1));
    assert!(!history.is_member(&name(1)));
    add(&mut history, 1, 99);
    let spec = spec().with_history(history.clone()).unwrap();
    assert_eq!(spec.cluster_id(), crate::world::spec().cluster_id());
    assert_eq!(spec.member_ids()[&name(1)], MemberId(99));
    assert_eq!(value_of(&spec, 1, "ETCD_INITIAL_CLUSTER_STATE"), "existing");
    // Once more: what it was before is forgotten, and it still is no founder.
    history.record_removed(&name(1));
    assert!(!history.is_member(&name(1)));
    assert_eq!(history.members().len(), 2);
}

#[test]
fn the_record_is_readable_and_ids_are_as_etcd_prints_them() {
    let mut history = History::founded_by(urls(1));
    add(&mut history, 1, u64::MAX);
    let text = serde_json::to_string(&history).unwrap();
    assert!(text.contains(r#""id":"ffffffffffffffff""#), "{text}");
    assert_eq!(serde_json::from_str::<History>(&text).unwrap(), history);
    let bad = text.replace("ffffffffffffffff", "x");
    assert!(serde_json::from_str::<History>(&bad).is_err());
}

#[test]
fn a_history_of_other_members_is_refused() {
    let refused = |history: History| {
        let error = spec().with_history(history).unwrap_err();
        assert!(matches!(error, SpecError::History { .. }), "{error}");
        error.to_string()
    };
    let mut elsewhere = urls(3);
    elsewhere[1].1 = "https://10.9.9.9:2380".into();
    let text = refused(History::founded_by(elsewhere));
    assert!(text.contains("etcd-1 has another peer address"), "{text}");
    let strangers = (5..8).map(|i| (name(i.into()), member(i).peer_url()));
    let text = refused(History::founded_by(strangers.collect()));
    assert!(text.contains("keep one that is"), "{text}");
    let mut twice = History::founded_by(urls(1));
    add(&mut twice, 1, 5);
    add(&mut twice, 2, 5);
    assert!(refused(twice).contains("the ID of another member"));
    let mut without_itself = History::founded_by(urls(2));
    let joined = Joined {
        id: MemberId(1),
        initial_cluster: urls(2),
    };
    without_itself.record_added(name(2), joined);
    assert!(refused(without_itself).contains("not in the list of members"));
}

#[test]
fn a_lost_record_is_learnt_from_a_running_member() {
    let mut history = History::founded_by(urls(3));
    history.record_removed(&name(0));
    add(&mut history, 0, 99);
    add(&mut history, 3, 100);
    let mut seen = listed(&history);
    // Added, and not started yet: it has no name.
    let last = seen.iter_mut().find(|m| m.id == MemberId(100)).unwrap();
    last.name.clear();
    let id = history.cluster_id(&token());
    let learnt = History::learn(&token(), id, &seen, &urls(4)).unwrap();
    assert_eq!(learnt.founders(), history.founders());
    assert_eq!(learnt.member_ids(&token()), history.member_ids(&token()));

    let nameless = History::learn(&token(), id, &seen, &urls(3)).unwrap_err();
    assert!(
        matches!(nameless, LearnError::Nameless { .. }),
        "{nameless}"
    );
    let other = "lab-2".parse().unwrap();
    let unknown = History::learn(&other, id, &seen, &urls(4)).unwrap_err();
    assert!(matches!(unknown, LearnError::Founders { .. }), "{unknown}");
}

proptest! {
    /// Whoever comes and goes: the cluster stays itself, and nobody who stays needs another setting.
    #[test]
    fn changes_touch_nobody_else(
        size in 1_u8..4,
        changes in prop::collection::vec((any::<bool>(), 0_u8..6), 0..12),
    ) {
        let mut history = History::founded_by(urls(size));
        let id = history.cluster_id(&token());
        for (round, (adds, index)) in changes.into_iter().enumerate() {
            let before = history.clone();
            if adds && !history.is_member(&name(index.into())) {
                add(&mut history, index, 1000 + round as u64);
            } else if history.members().len() > 1 {
                history.record_removed(&name(index.into()));
            }
            prop_assert_eq!(history.cluster_id(&token()), id);
            let same = |h: &History| -> BTreeMap<MemberName, _> {
                let all = urls(6).into_iter().filter(|(n, _)| h.is_member(n));
                all.filter(|(n, _)| *n != name(index.into()))
                    .map(|(n, url)| (n.clone(), h.initial_cluster(&n, &url)))
                    .collect()
            };
            prop_assert_eq!(same(&before), same(&history));
            let learnt = History::learn(&token(), id, &listed(&history), &urls(6)).unwrap();
            prop_assert_eq!(learnt.member_ids(&token()), history.member_ids(&token()));
            prop_assert_eq!(learnt.cluster_id(&token()), id);
        }
    }
}
