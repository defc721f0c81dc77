//! The registry: owners stay with their networks, and refusals name them.

use std::collections::BTreeMap;

use netplan::{AllocateError, Fit, Net, OwnedClaimError, Registry};
use proptest::prelude::*;

use crate::net;

#[test]
fn a_refused_claim_names_the_owner() {
    let mut registry = Registry::new(net("10.77.0.0/16"));
    registry.claim(net("10.77.0.0/24"), "etcd").expect("free");
    registry.claim(net("10.77.1.0/24"), "kube").expect("free");
    let error = registry.claim(net("10.77.0.0/23"), "pods");
    assert_eq!(
        error.as_ref().map_err(ToString::to_string),
        Err(
            "10.77.0.0/23 overlaps 10.77.0.0/24, which belongs to etcd; \
             the nearest free one of this length is 10.77.2.0/23"
                .to_owned()
        )
    );
    assert_eq!(registry.owner(net("10.77.0.0/24")), Some(&"etcd"));
    assert_eq!(registry.owner(net("10.77.0.0/23")), None);
    let outside = registry.claim(net("10.78.0.0/24"), "pods");
    let pool = net("10.77.0.0/16");
    let expected = OwnedClaimError::Outside {
        net: net("10.78.0.0/24"),
        pool,
    };
    assert_eq!(outside, Err(expected));
    assert_eq!(
        registry
            .allocate(16, Fit::Lowest, "all")
            .map_err(|error| error.to_string()),
        Err("no free /16 in 10.77.0.0/16: the largest free network is 10.77.128.0/17".to_owned())
    );
    assert!(registry.release(net("10.77.0.0/23")).is_err());
    assert_eq!(registry.release(net("10.77.0.0/24")), Ok("etcd"));
    assert_eq!(
        registry.overlaps(net("10.77.0.0/16")),
        Some((net("10.77.1.0/24"), &"kube"))
    );
}

proptest! {
    #[test]
    fn owners_are_those_of_the_pool(
        operations in prop::collection::vec((0..=8_u8, any::<u64>(), 0..3_u8), 1..60),
    ) {
        let mut registry = Registry::new(net("fd5c::/120"));
        let mut model: BTreeMap<Net, u64> = BTreeMap::new();
        for (len, n, kind) in operations {
            if kind == 0 && !model.is_empty() {
                let at = usize::try_from(n).unwrap_or(0) % model.len();
                let (net, owner) = model.iter().nth(at).map(|(net, n)| (*net, *n)).expect("inside");
                model.remove(&net);
                prop_assert_eq!(registry.release(net), Ok(owner));
            } else {
                match registry.allocate(120 + len, Fit::Near(n), n) {
                    Ok(net) => prop_assert_eq!(model.insert(net, n), None),
                    Err(AllocateError::Exhausted { .. }) => {}
                    Err(other) => return Err(TestCaseError::fail(other.to_string())),
                }
            }
            let owners: Vec<(Net, u64)> = registry.iter().map(|(net, n)| (net, *n)).collect();
            prop_assert_eq!(&owners, &model.iter().map(|(net, n)| (*net, *n)).collect::<Vec<_>>());
            prop_assert_eq!(registry.pool().allocated(), owners.iter().map(|(net, _)| *net).collect::<Vec<_>>());
        }
    }
}
