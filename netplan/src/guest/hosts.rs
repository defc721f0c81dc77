//! hosts(5).

use crate::plan::Plan;

/// `/etc/hosts`, the same for every machine: each name with the addresses on the network of its
/// machine's default routes, which is where the others reach it first.
///
/// `localhost` is in it for both families. The own name is at the own address and not at
/// `127.0.1.1`, so that what a machine says of itself is true elsewhere too.
///
/// ```
/// use netplan::{HostFacts, KubernetesVersion, LabName, MachineCounts, Requirement};
///
/// let (lab, version) = (LabName::new("demo")?, KubernetesVersion::new(37));
/// let requirement = Requirement::reference(lab, 7, version, MachineCounts::default());
/// let plan = netplan::plan(&requirement, &HostFacts::default(), None)?;
/// let text = netplan::hosts_file(&plan);
/// assert!(text.starts_with("127.0.0.1 localhost\n::1 localhost\n"));
/// assert_eq!(text.lines().filter(|line| line.ends_with(" cp-0")).count(), 2);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use]
pub fn hosts_file(plan: &Plan) -> String {
    let mut text = String::from("127.0.0.1 localhost\n::1 localhost\n");
    for machine in &plan.machines {
        for address in machine
            .main_address()
            .into_iter()
            .flat_map(|own| own.iter())
        {
            text.push_str(&format!("{address} {}\n", machine.name));
        }
    }
    text
}
