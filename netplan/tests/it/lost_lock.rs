//! How much an edit moves when the lock is lost.

use std::collections::BTreeMap;

use netplan::{
    Addresses, ClassSpec, KubernetesVersion, LabName, Mac, Machine, MachineCounts, NetworkSpec,
    Plan, Requirement,
};
use proptest::test_runner::Config;

use crate::numbers::Numbers;
use crate::plan_properties::{class_name, network_name, rename_network, replanned};

/// 24 networks of /23 to /28 in a /16, each with a class of its own.
fn batch(numbers: &mut Numbers) -> Requirement {
    let lab = LabName::new("batch").expect("a name");
    let counts = MachineCounts::default();
    let version = KubernetesVersion::new(37);
    let mut asked = Requirement::reference(lab, 7, version, counts);
    asked.kubernetes = None;
    asked.networks.clear();
    asked.classes.clear();
    for _ in 0..24 {
        let at = asked.networks.len();
        let name = numbers.below(10_000) * 24 + at;
        insert_network(&mut asked, at, name, numbers);
    }
    asked
}

fn insert_network(asked: &mut Requirement, at: usize, name: usize, numbers: &mut Numbers) {
    let network = network_name(&format!("n{name}"));
    let mut class = ClassSpec::new(class_name(&format!("c{name}")), 2, vec![network.clone()]);
    class.room = Some([8, 15, 40, 100, 200, 400][numbers.below(6)]);
    asked.networks.insert(at, NetworkSpec::new(network));
    asked.classes.insert(at, class);
}

/// Where the machines are, by name.
fn places(plan: &Plan) -> BTreeMap<&str, (Addresses, Mac)> {
    let machines = plan.machines.iter();
    let places = machines.map(|machine| (machine.name.as_str(), place(machine)));
    places.collect()
}

fn place(machine: &Machine) -> (Addresses, Mac) {
    (machine.nics[0].address, machine.nics[0].mac)
}

const KINDS: [&str; 5] = ["append", "insert", "delete", "grow", "rename"];

/// One edit of a kind, and the position of what it is about.
fn edited(
    asked: &Requirement,
    kind: &str,
    fresh: usize,
    numbers: &mut Numbers,
) -> (Requirement, usize) {
    let mut edited = asked.clone();
    let at = numbers.below(24);
    match kind {
        "append" => insert_network(&mut edited, 24, fresh, numbers),
        "insert" => insert_network(&mut edited, at, fresh, numbers),
        "delete" => {
            edited.networks.remove(at);
            edited.classes.remove(at);
        }
        "grow" => edited.classes[at].room = edited.classes[at].room.map(|room| room * 2),
        _ => {
            let new = network_name(&format!("n{fresh}"));
            rename_network(&mut edited, at, &new);
        }
    }
    (edited, at)
}

/// How many there are of something that no edit was about, and how many of them moved.
#[derive(Clone, Copy, Default)]
struct Share {
    moved: u32,
    all: u32,
}

impl Share {
    fn add(&mut self, moved: bool) {
        self.moved += u32::from(moved);
        self.all += 1;
    }

    fn percent(self) -> f64 {
        f64::from(self.moved) * 100.0 / f64::from(self.all)
    }
}

/// Adds what moved between two plans, but for the network and the class that the edit was about.
fn compare(before: &Plan, after: &Plan, touched: Option<usize>, sums: &mut (Share, Share)) {
    let touched = touched.map(|at| (&before.networks[at].name, &before.classes[at].name));
    for network in &before.networks {
        let same = after.network(network.name.as_str());
        if let Some(same) = same.filter(|same| touched.is_none_or(|own| *own.0 != same.name)) {
            sums.0.add(same.nets != network.nets);
        }
    }
    let new = places(after);
    for machine in &before.machines {
        let same = new.get(machine.name.as_str());
        if let Some(same) = same.filter(|_| touched.is_none_or(|own| *own.1 != machine.class)) {
            sums.1.add(*same != place(machine));
        }
    }
}

/// Without the lock, an edit moves hardly anything: places follow from names. The figure is printed
/// (`--nocapture`). As many edits are tried as properties have cases, 256 by default; the figure to
/// quote is that of `PROPTEST_CASES=2000`.
#[test]
#[expect(
    clippy::print_stdout,
    reason = "the figure is what the test is run for by hand"
)]
fn a_lost_lock_moves_less_than_2_percent() {
    let trials = usize::try_from(Config::default().cases).expect("a number of cases");
    let trials = trials.max(200);
    let mut numbers = Numbers(20_261_126);
    let mut sums = [(Share::default(), Share::default()); 5];
    for trial in 0..trials {
        let kind = trial % KINDS.len();
        let asked = batch(&mut numbers);
        let (edited, at) = edited(&asked, KINDS[kind], 1_000_000 + trial, &mut numbers);
        let before = replanned(&asked, None).expect("a plan");
        let after = replanned(&edited, None).expect("a plan");
        compare(&before, &after, (kind >= 2).then_some(at), &mut sums[kind]);
    }
    for (kind, (networks, machines)) in KINDS.iter().zip(sums) {
        let (networks, machines) = (networks.percent(), machines.percent());
        println!("{kind}: {networks:.2} % of networks, {machines:.2} % of machines");
        assert!(networks < 2.0 && machines < 2.0, "{kind}");
    }
}
