//! How much an edit moves when the lock is lost.

use std::collections::BTreeMap;

use netplan::{
    Addresses, ClassSpec, KubernetesVersion, LabName, Mac, MachineCounts, NetworkSpec, Plan,
    Requirement,
};

use crate::plan_properties::{class_name, network_name, rename_network, replanned};

/// splitmix64, so that the batch is the same everywhere.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let value = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let value = (value ^ value >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        let value = (value ^ value >> 31) >> 33;
        usize::try_from(value).expect("31 bits") % end
    }
}

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
fn places(plan: &Plan) -> BTreeMap<String, (Addresses, Mac)> {
    let machines = plan.machines.iter();
    let places = machines.map(|own| (own.name.to_string(), (own.nics[0].address, own.nics[0].mac)));
    places.collect()
}

/// Without the lock, an edit moves hardly anything: places follow from names. The figure is printed
/// (`--nocapture`).
#[test]
#[expect(
    clippy::print_stdout,
    reason = "the figure is what the test is run for by hand"
)]
fn a_lost_lock_moves_less_than_2_percent() {
    let mut numbers = Numbers(20_261_126);
    let kinds = ["append", "insert", "delete", "grow", "rename"];
    let mut sums = [[0_u32; 4]; 5];
    for trial in 0..2_000 {
        let kind = trial % kinds.len();
        let asked = batch(&mut numbers);
        let (at, name) = (numbers.below(24), 1_000_000 + trial);
        let mut edited = asked.clone();
        match kind {
            0 => insert_network(&mut edited, 24, name, &mut numbers),
            1 => insert_network(&mut edited, at, name, &mut numbers),
            2 => {
                edited.networks.remove(at);
                edited.classes.remove(at);
            }
            3 => edited.classes[at].room = edited.classes[at].room.map(|room| room * 2),
            _ => {
                let new = network_name(&format!("n{name}"));
                rename_network(&mut edited, at, &new);
            }
        }
        let touched = asked.networks[at].name.as_str();
        let touched = (kind >= 2).then_some(touched);
        let before = replanned(&asked, None).expect("a plan");
        let after = replanned(&edited, None).expect("a plan");
        for network in &before.networks {
            let same = after.network(network.name.as_str());
            if let Some(same) = same.filter(|same| Some(same.name.as_str()) != touched) {
                sums[kind][0] += u32::from(same.nets != network.nets);
                sums[kind][1] += 1;
            }
        }
        let (old, new) = (places(&before), places(&after));
        let class = asked.classes[at].name.as_str();
        for (name, place) in &old {
            let is_touched = touched.is_some() && name.starts_with(&format!("{class}-"));
            if let Some(now) = new.get(name).filter(|_| !is_touched) {
                sums[kind][2] += u32::from(now != place);
                sums[kind][3] += 1;
            }
        }
    }
    let percent = |moved: u32, all: u32| f64::from(moved) * 100.0 / f64::from(all);
    for (kind, [networks, all_networks, machines, all_machines]) in kinds.iter().zip(sums) {
        let networks = percent(networks, all_networks);
        let machines = percent(machines, all_machines);
        println!("{kind}: {networks:.2} % of networks, {machines:.2} % of machines");
        assert!(networks < 2.0 && machines < 2.0, "{kind}");
    }
}
