//! Properties of plans of any requirement and any edit. `PROPTEST_CASES=10000` is a long run.

use std::collections::BTreeMap;

use netplan::{
    ClassName, ClassSpec, Families, Family, HostFacts, InterfaceName, KubernetesSpec,
    KubernetesVersion, LabName, Lock, NetworkName, NetworkSpec, Plan, PlanError, Requirement, Role,
    RouterSpec, V4Mode, V6Mode, plan,
};
use proptest::prelude::*;
use proptest::sample::{select, subsequence};

use crate::choices::Choices;
use crate::net;
use crate::sound::{assert_repeats, assert_sound, try_in_a_row, try_lock_lines, try_requirement};

const NETWORKS: [&str; 6] = ["alpha", "beta", "gamma", "delta", "epsilon", "zeta"];
const CLASSES: [&str; 6] = ["web", "db", "cache", "queue", "mail", "web-2"];

pub(crate) fn network_name(text: &str) -> NetworkName {
    NetworkName::new(text).expect("a network name")
}

pub(crate) fn class_name(text: &str) -> ClassName {
    ClassName::new(text).expect("a class name")
}

fn families() -> impl Strategy<Value = Families> {
    prop_oneof![
        3 => Just(Families::Dual),
        1 => Just(Families::V4),
        1 => Just(Families::V6),
    ]
}

fn network(name: &'static str) -> impl Strategy<Value = NetworkSpec> {
    let slot = prop::option::weighted(0.2, 0..40_u16);
    (families(), slot).prop_map(move |(families, slot)| NetworkSpec {
        families,
        slot,
        ..NetworkSpec::new(network_name(name))
    })
}

fn networks() -> impl Strategy<Value = Vec<NetworkSpec>> {
    subsequence(NETWORKS.to_vec(), 1..=NETWORKS.len())
        .prop_shuffle()
        .prop_flat_map(|names| names.into_iter().map(network).collect::<Vec<_>>())
}

fn class(name: &'static str, networks: Vec<NetworkName>) -> impl Strategy<Value = ClassSpec> {
    let most = networks.len().min(3);
    let networks = subsequence(networks, 1..=most).prop_shuffle();
    let room = prop::option::weighted(0.3, 6..40_u32);
    (networks, 0..6_u32, room, any::<bool>()).prop_map(move |(networks, count, room, is_first)| {
        let mut class = ClassSpec::new(class_name(name), count, networks);
        class.default_route = is_first.then(|| class.networks[0].clone());
        class.room = room;
        class
    })
}

/// Networks, classes on them, and whether there is a cluster; nothing has an explicit place.
fn requirement() -> impl Strategy<Value = Requirement> {
    let classes = subsequence(CLASSES.to_vec(), 1..=CLASSES.len()).prop_shuffle();
    let lab = select(vec!["a", "demo", "two-words"]);
    let asked = (networks(), classes, lab, any::<u64>(), any::<bool>());
    asked
        .prop_flat_map(|(networks, names, lab, seed, is_host)| {
            let on: Vec<NetworkName> = networks.iter().map(|own| own.name.clone()).collect();
            let classes: Vec<_> = names.iter().map(|name| class(name, on.clone())).collect();
            let uplink = InterfaceName::new("eth0").expect("a name");
            let requirement = Requirement {
                lab: LabName::new(lab).expect("a name"),
                seed,
                v4: None,
                v6: None,
                networks,
                classes: Vec::new(),
                kubernetes: None,
                router: match is_host {
                    true => RouterSpec::Host { uplink },
                    false => RouterSpec::Namespace,
                },
                v4_mode: V4Mode::Nat,
                v6_mode: V6Mode::Routed,
                allow: Vec::new(),
            };
            (Just(requirement), classes, any::<bool>())
        })
        .prop_map(|(mut requirement, classes, has_cluster)| {
            requirement.classes = classes;
            if has_cluster {
                toggle_kubernetes(&mut requirement);
            }
            requirement
        })
}

/// The same with explicit networks and host numbers here and there, which may be impossible.
fn with_explicit() -> impl Strategy<Value = Requirement> {
    let choices = (any::<bool>(), 0..5_usize, 0..250_u8, 24..29_u8, 0..60_u32);
    (requirement(), choices).prop_map(|(mut requirement, choices)| {
        let (has_whole, at, block, len, first) = choices;
        requirement.v4 = has_whole.then(|| net("10.77.0.0/16"));
        if let Some(network) = requirement.networks.get_mut(at) {
            network.v4 = Some(net(&format!("10.77.{block}.0/{len}")));
        }
        if let Some(class) = requirement.classes.get_mut(at) {
            class.first = Some(first);
        }
        requirement
    })
}

/// A cluster on the first network, of the classes there; or none, where there is one.
fn toggle_kubernetes(requirement: &mut Requirement) {
    let network = requirement.networks[0].clone();
    let is_on = requirement.kubernetes.is_some();
    for class in &mut requirement.classes {
        let is_node = !is_on && class.networks.contains(&network.name);
        class.role = if is_node { Role::Worker } else { Role::Other };
    }
    requirement.kubernetes = (!is_on).then(|| KubernetesSpec {
        families: network.families,
        primary: network.families.iter().next().expect("a family"),
        nodes: 64,
        services: 512,
        ..KubernetesSpec::new(KubernetesVersion::new(37), network.name)
    });
}

/// One change of a requirement; a position counts modulo how many there are.
#[derive(Clone, Debug)]
enum Edit {
    AddNetwork,
    RemoveNetwork(usize),
    RenameNetwork(usize),
    AddFamily(usize),
    AddClass(usize),
    RemoveClass(usize),
    RenameClass(usize),
    Count(usize, u32),
    Room(usize, u32),
    ReverseNetworks,
    ReverseClasses,
    Kubernetes,
}

fn edit() -> impl Strategy<Value = Edit> {
    let at = 0..6_usize;
    prop_oneof![
        Just(Edit::AddNetwork),
        at.clone().prop_map(Edit::RemoveNetwork),
        at.clone().prop_map(Edit::RenameNetwork),
        at.clone().prop_map(Edit::AddFamily),
        at.clone().prop_map(Edit::AddClass),
        at.clone().prop_map(Edit::RemoveClass),
        at.clone().prop_map(Edit::RenameClass),
        (at.clone(), 0..12_u32).prop_map(|(at, count)| Edit::Count(at, count)),
        (at, 12..80_u32).prop_map(|(at, room)| Edit::Room(at, room)),
        Just(Edit::ReverseNetworks),
        Just(Edit::ReverseClasses),
        Just(Edit::Kubernetes),
    ]
}

/// What an edit changed by intent: everything else must stay.
#[derive(Debug, Default)]
struct Touched {
    /// The old names of networks and classes that were renamed, by their new names.
    old_names: BTreeMap<String, String>,
    /// The network that was edited.
    network: Option<NetworkName>,
}

impl Edit {
    /// `fresh` is a number that no other edit has.
    fn apply(&self, requirement: &mut Requirement, fresh: usize) -> Touched {
        let mut touched = Touched::default();
        let (networks, classes) = (requirement.networks.len(), requirement.classes.len().max(1));
        match *self {
            Self::AddNetwork => {
                let name = network_name(&format!("new{fresh}"));
                requirement.networks.push(NetworkSpec::new(name));
            }
            Self::RemoveNetwork(at) if networks > 1 => remove_network(requirement, at % networks),
            Self::RemoveNetwork(_) => {}
            Self::RenameNetwork(at) => {
                let new = network_name(&format!("other{fresh}"));
                let old = rename_network(requirement, at % networks, &new);
                touched.old_names.insert(new.to_string(), old.to_string());
            }
            Self::AddFamily(at) => {
                let network = &mut requirement.networks[at % networks];
                network.families = Families::Dual;
                touched.network = Some(network.name.clone());
            }
            Self::AddClass(at) => {
                let name = class_name(&format!("extra{fresh}"));
                let network = requirement.networks[at % networks].name.clone();
                requirement
                    .classes
                    .push(ClassSpec::new(name, 2, vec![network]));
            }
            Self::RemoveClass(at) if at % classes < requirement.classes.len() => {
                requirement.classes.remove(at % classes);
            }
            Self::RenameClass(at) => {
                if let Some(class) = requirement.classes.get_mut(at % classes) {
                    let new = class_name(&format!("same{fresh}"));
                    let old = std::mem::replace(&mut class.name, new);
                    touched
                        .old_names
                        .insert(class.name.to_string(), old.to_string());
                    class.renamed_from = Some(old);
                }
            }
            Self::Count(at, count) => {
                if let Some(class) = requirement.classes.get_mut(at % classes) {
                    class.count = count.min(class.room.unwrap_or(count));
                }
            }
            Self::Room(at, room) => {
                if let Some(class) = requirement.classes.get_mut(at % classes) {
                    class.room = Some(room);
                }
            }
            Self::ReverseNetworks => requirement.networks.reverse(),
            Self::ReverseClasses => requirement.classes.reverse(),
            Self::RemoveClass(_) => {}
            Self::Kubernetes => toggle_kubernetes(requirement),
        }
        touched
    }
}

/// Takes the network away, and with it the classes that are on no other and a cluster on it.
fn remove_network(requirement: &mut Requirement, at: usize) {
    let gone = requirement.networks.remove(at).name;
    for class in &mut requirement.classes {
        class.networks.retain(|name| *name != gone);
        class.default_route = class.default_route.take().filter(|name| *name != gone);
    }
    let mut kubernetes = requirement.kubernetes.take();
    requirement.kubernetes = kubernetes.take_if(|own| own.network != gone);
    requirement
        .classes
        .retain(|class| !class.networks.is_empty());
}

pub(crate) fn rename_network(
    requirement: &mut Requirement,
    at: usize,
    new: &NetworkName,
) -> NetworkName {
    let network = &mut requirement.networks[at];
    let old = std::mem::replace(&mut network.name, new.clone());
    network.renamed_from = Some(old.clone());
    let uses = requirement.classes.iter_mut();
    let uses = uses.flat_map(|class| class.networks.iter_mut().chain(&mut class.default_route));
    let cluster = requirement.kubernetes.as_mut().map(|own| &mut own.network);
    for name in uses.chain(cluster).filter(|name| **name == old) {
        *name = new.clone();
    }
    old
}

/// Everything of `before` that `after` has too stands where it stood.
#[track_caller]
fn assert_nobody_moved(before: &Plan, after: &Plan, touched: &Touched) {
    let old_name = |name: &str| {
        touched
            .old_names
            .get(name)
            .cloned()
            .unwrap_or(name.to_owned())
    };
    for family in Family::BOTH {
        if let (Some(old), Some(new)) = (before.supernet.of(family), after.supernet.of(family)) {
            assert_eq!(old, new);
        }
    }
    if let (Some(old), Some(new)) = (&before.kubernetes, &after.kubernetes)
        && old_name(new.network.as_str()) == old.network.as_str()
    {
        assert_eq!((old.services, old.pods), (new.services, new.pods));
    }
    for new in &after.networks {
        let Some(old) = before.network(&old_name(new.name.as_str())) else {
            continue;
        };
        for family in Family::BOTH {
            if let (Some(old), Some(new)) = (old.nets.of(family), new.nets.of(family)) {
                // A network may grow where it is.
                assert_eq!(old.address(), new.address());
                assert!(new.covers(old));
            }
        }
    }
    for new in &after.machines {
        let (class, number) = new.name.as_str().rsplit_once('-').expect("a number");
        let name = format!("{}-{number}", old_name(class));
        let Some(old) = before.machine(&name) else {
            continue;
        };
        for nic in &new.nics {
            let Some(was) = old.nic(&old_name(nic.network.as_str())) else {
                continue;
            };
            for family in Family::BOTH {
                if let (Some(was), Some(is)) = (was.address.of(family), nic.address.of(family)) {
                    assert_eq!(was, is, "{} on {}", new.name, nic.network);
                }
            }
            // A MAC address follows from the first address, so a network that gets IPv4 beside
            // IPv6 has new ones.
            if touched.network.as_ref() != Some(&nic.network) {
                assert_eq!(was.mac, nic.mac);
            }
        }
        if before
            .kubernetes
            .as_ref()
            .map(|own| old_name(own.network.as_str()))
            == after
                .kubernetes
                .as_ref()
                .map(|own| old_name(own.network.as_str()))
            && let (Some(was), Some(is)) = (old.pods, new.pods)
        {
            assert_eq!(was, is, "pods of {}", new.name);
        }
    }
}

pub(crate) fn replanned(asked: &Requirement, lock: Option<&Lock>) -> Result<Plan, PlanError> {
    plan(asked, &HostFacts::default(), lock)
}

proptest! {
    #[test]
    fn plans_are_sound_and_repeat_themselves(mut asked in requirement()) {
        let facts = HostFacts::default();
        let first = plan(&asked, &facts, None).expect("nothing is explicit");
        assert_sound(&first);
        assert_repeats(&asked, &facts, &first);
        prop_assert_eq!(&plan(&asked, &facts, None).expect("planned before"), &first);
        // The seed of the lock counts.
        asked.seed = !asked.seed;
        prop_assert_eq!(&plan(&asked, &facts, Some(&first.lock())).expect("a plan"), &first);
    }

    #[test]
    fn explicit_networks_are_kept_or_refused(asked in with_explicit()) {
        try_requirement(&asked, &HostFacts::default());
        if let Ok(plan) = replanned(&asked, None) {
            for (spec, network) in asked.networks.iter().zip(&plan.networks) {
                prop_assert!(spec.v4.is_none() || spec.v4 == network.nets.v4);
            }
            for (spec, class) in asked.classes.iter().zip(&plan.classes) {
                prop_assert!(spec.first.is_none_or(|first| first == class.band.first));
            }
        }
    }

    #[test]
    fn edits_with_the_lock_move_nobody(
        mut asked in requirement(),
        edits in prop::collection::vec(edit(), 1..6),
    ) {
        let facts = HostFacts::default();
        let mut last = plan(&asked, &facts, None).expect("nothing is explicit");
        for (fresh, edit) in edits.iter().enumerate() {
            let mut next_asked = asked.clone();
            let touched = edit.apply(&mut next_asked, fresh);
            let next = match plan(&next_asked, &facts, Some(&last.lock())) {
                Ok(next) => next,
                // What does not fit beside what is there is refused: nothing moves for it. A /18
                // of pods may find no place between networks that are spread over a /16.
                Err(
                    PlanError::CannotGrow { .. }
                    | PlanError::Exhausted { .. }
                    | PlanError::Field { .. },
                ) => continue,
                Err(error) => return Err(TestCaseError::fail(format!("{edit:?}: {error}"))),
            };
            assert_sound(&next);
            assert_repeats(&next_asked, &facts, &next);
            assert_nobody_moved(&last, &next, &touched);
            (asked, last) = (next_asked, next);
        }
    }

    #[test]
    fn what_was_taken_away_comes_back_to_its_place(
        asked in requirement(),
        at in 0..6_usize,
        is_without_cluster in any::<bool>(),
    ) {
        let first = replanned(&asked, None).expect("nothing is explicit");
        let mut fewer = asked.clone();
        if fewer.networks.len() > 1 {
            let at = at % fewer.networks.len();
            remove_network(&mut fewer, at);
        }
        fewer.classes.truncate(at);
        if is_without_cluster && fewer.kubernetes.is_some() {
            toggle_kubernetes(&mut fewer);
        }
        let between = replanned(&fewer, Some(&first.lock())).expect("fewer fit too");
        let back = replanned(&asked, Some(&between.lock())).expect("there is room");
        assert_sound(&back);
        assert_nobody_moved(&first, &back, &Touched::default());
    }

    #[test]
    fn the_order_of_the_requirement_does_not_matter(asked in requirement()) {
        let first = replanned(&asked, None).expect("nothing is explicit");
        let mut other = asked;
        other.networks.reverse();
        other.classes.reverse();
        let second = replanned(&other, None).expect("the same");
        for network in &first.networks {
            prop_assert_eq!(Some(network), second.network(network.name.as_str()));
        }
        for class in &first.classes {
            prop_assert_eq!(Some(class), second.class(class.name.as_str()));
        }
        for machine in &first.machines {
            prop_assert_eq!(Some(machine), second.machine(machine.name.as_str()));
        }
    }

    #[test]
    fn any_requirements_in_a_row_have_sound_plans_or_errors(
        bytes in prop::collection::vec(any::<u8>(), 0..400),
    ) {
        let mut choices = Choices::new(&bytes);
        try_in_a_row(&[(); 3].map(|()| choices.requirement()));
    }

    /// Lines that are missing, or from another plan, give a sound plan or an error.
    #[test]
    fn a_lock_that_is_not_whole_gives_a_sound_plan_or_an_error(
        asked in requirement(),
        other in requirement(),
        kept in prop::collection::vec(any::<bool>(), 200),
    ) {
        let texts = [&asked, &other].map(|asked| {
            replanned(asked, None).expect("nothing is explicit").lock().to_text()
        });
        let bodies = texts.iter().flat_map(|text| text.lines());
        let bodies = bodies.filter_map(|line| Some(line.rsplit_once(" #")?.0));
        let kept = bodies.zip(kept.iter().cycle()).filter(|(body, kept)| {
            **kept || body.starts_with("lab ") || body.starts_with("seed ")
        });
        // One line about each thing, the first of the two.
        let mut lines = BTreeMap::new();
        for (body, _) in kept {
            let (id, value) = body.split_once(' ').expect("a value");
            lines.entry((id, value.contains(':'))).or_insert(body);
        }
        let lines: Vec<&str> = lines.into_values().collect();
        try_lock_lines(&lines.join("\n"), &asked);
    }
}
