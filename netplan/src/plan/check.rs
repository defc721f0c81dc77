//! The numbers of a requirement, each for itself.

use crate::plan::PlanError;
use crate::requirement::{MachineCounts, RangeSizes};

pub(crate) fn check_counts(counts: MachineCounts, sizes: RangeSizes) -> Result<(), PlanError> {
    let bands = "the addresses of a class end there";
    let check = |field, value: u16, min, max, reason| {
        let value = u32::from(value);
        if (min..=max).contains(&value) {
            Ok(())
        } else {
            Err(PlanError::Count {
                field,
                value,
                min,
                max,
                reason,
            })
        }
    };
    let none = "a cluster needs at least one";
    let reason = |count| if count == 0 { none } else { bands };
    check("machines.etcd", counts.etcd, 1, 20, reason(counts.etcd))?;
    let planes = counts.control_planes;
    check("machines.control_planes", planes, 1, 20, reason(planes))?;
    let pairs = [
        (sizes.pods_v4, sizes.node_pods_v4),
        (sizes.pods_v6, sizes.node_pods_v6),
    ];
    let nodes = pairs.map(|(all, one)| 1_u32.checked_shl(u32::from(one.saturating_sub(all))));
    let nodes = nodes.into_iter().flatten().min().unwrap_or(u32::MAX);
    let by_pods = nodes.saturating_sub(u32::from(planes));
    if by_pods < 205 {
        let reason =
            "the pod range has no room for more nodes (see sizes.pods_v4 and sizes.pods_v6)";
        check("machines.workers", counts.workers, 0, by_pods, reason)
    } else {
        check("machines.workers", counts.workers, 0, 205, bands)
    }
}

pub(crate) fn check_sizes(sizes: RangeSizes) -> Result<(), PlanError> {
    let check = |field, value: u8, min: u8, max: u8, reason| {
        if (min..=max).contains(&value) {
            Ok(())
        } else {
            Err(PlanError::Size {
                field,
                value,
                min,
                max,
                reason,
            })
        }
    };
    let inside_v4 = "the lab's /16 holds other networks too, and Kubernetes needs some addresses";
    let bitmap =
        "API servers before 1.33 refuse more than 20 bits, and DNS needs the tenth address";
    let inside_v6 = "the lab's /48 holds other networks too, and kubeadm wants 14 addresses";
    let per_node =
        "one node gets a part of the pod range, at most 16 bits longer (kubeadm's limit)";
    check("sizes.services_v4", sizes.services_v4, 17, 27, inside_v4)?;
    check("sizes.services_v6", sizes.services_v6, 108, 123, bitmap)?;
    check("sizes.pods_v4", sizes.pods_v4, 17, 28, inside_v4)?;
    check("sizes.pods_v6", sizes.pods_v6, 49, 124, inside_v6)?;
    let (v4, v6) = (sizes.pods_v4, sizes.pods_v6);
    check(
        "sizes.node_pods_v4",
        sizes.node_pods_v4,
        v4,
        30.min(v4 + 16),
        per_node,
    )?;
    check(
        "sizes.node_pods_v6",
        sizes.node_pods_v6,
        v6,
        126.min(v6 + 16),
        per_node,
    )
}
