//! Each node's part of the pod range.

use std::collections::BTreeMap;

use crate::addresses::Nets;
use crate::lock::Lock;
use crate::names::ClassName;
use crate::plan::lengths::Length;
use crate::plan::numbers::host_offset;
use crate::plan::place::{Prefer, Want, place};
use crate::plan::{Class, Gone, Machine, PlanError};
use crate::requirement::KubernetesSpec;

/// Gives each node its part of the pod range: the one with its host number where that is free, so
/// that the pods of `fd..:1::30` are in `fd..:130::/64`. Returns what the lock keeps for nodes
/// that are no longer asked for.
pub(crate) fn place_pods(
    machines: &mut [Machine],
    classes: &[Class],
    kubernetes: &KubernetesSpec,
    pods: Nets,
    lock: Option<&Lock>,
) -> Result<Gone, PlanError> {
    let numbers = numbers(machines, classes);
    let mut gone = Vec::new();
    for pool in pods.iter() {
        let family = pool.family();
        let length = Length::of_node_pods(kubernetes, family);
        let nodes = machines.iter().zip(&numbers);
        let wants: Vec<Want> = nodes
            .filter(|(machine, _)| machine.role.is_node())
            .map(|(machine, number)| Want {
                id: format!("pods/{}", machine.name),
                field: length.field.clone(),
                prefix_len: length.len,
                prefer: Prefer::Slot(low_bits(host_offset(*number, family))),
                explicit: None,
                grows: false,
            })
            .collect();
        let placed = place(
            pool,
            &wants,
            lock,
            &["pods/"],
            "make kubernetes.nodes larger",
        )?;
        gone.extend(placed.gone);
        let nodes = machines.iter_mut().filter(|machine| machine.role.is_node());
        for (machine, net) in nodes.zip(placed.nets) {
            machine.pods.get_or_insert_default().insert(net);
        }
    }
    Ok(gone)
}

/// The number that each machine would have without a lock.
fn numbers(machines: &[Machine], classes: &[Class]) -> Vec<u32> {
    let first = classes.iter().map(|class| (&class.name, class.band.first));
    let mut next: BTreeMap<&ClassName, u32> = first.collect();
    let number = |machine: &Machine| {
        let next = next.get_mut(&machine.class)?;
        *next += 1;
        Some(*next - 1)
    };
    machines.iter().filter_map(number).collect()
}

/// A block number wraps around the pool anyway.
fn low_bits(offset: u128) -> u64 {
    (offset & u128::from(u64::MAX))
        .try_into()
        .expect("64 bits were left")
}
