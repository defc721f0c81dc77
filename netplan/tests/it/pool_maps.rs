//! The same operations on two pools, where the answers of one must be those of the other.

use netplan::{AllocateError, ClaimError, Fit, Net, Pool};
use proptest::prelude::*;

use crate::net;

/// Carries networks from one pool into another by their distance from the first address.
#[derive(Clone, Copy)]
struct Map {
    from: Net,
    to: Net,
}

impl Map {
    fn net(self, net: Net) -> Net {
        let host_bits = net.family().bits() - net.prefix_len();
        let number = |net: Net| match net.address() {
            std::net::IpAddr::V4(v4) => u128::from(v4.to_bits()),
            std::net::IpAddr::V6(v6) => v6.to_bits(),
        };
        let address = self.to.nth(number(net) - number(self.from));
        Net::new(
            address.expect("inside"),
            self.to.family().bits() - host_bits,
        )
        .expect("aligned")
    }

    fn prefix_len(self, prefix_len: u8) -> u8 {
        self.to.family().bits() - (self.from.family().bits() - prefix_len)
    }
}

#[derive(Clone, Debug)]
enum Operation {
    Allocate(u8, Fit),
    Claim(u8, u64),
    Release(usize),
}

/// `near`: whether block numbers mean the same in both pools.
fn operations(near: bool) -> impl Strategy<Value = Vec<Operation>> {
    let fit = prop_oneof![
        Just(Fit::Lowest),
        Just(Fit::Highest),
        Just(Fit::Best),
        Just(Fit::Sparse),
        any::<u64>().prop_map(move |n| if near { Fit::Near(n) } else { Fit::Best }),
    ];
    let operation = prop_oneof![
        4 => (any::<u8>(), fit).prop_map(|(len, fit)| Operation::Allocate(len, fit)),
        3 => (any::<u8>(), any::<u64>()).prop_map(|(len, n)| Operation::Claim(len, n)),
        3 => any::<usize>().prop_map(Operation::Release),
    ];
    prop::collection::vec(operation, 1..80)
}

/// `second` has been prepared: outside of the map's target nothing is free.
fn step_together(
    map: Map,
    mut second: Pool,
    lens: std::ops::RangeInclusive<u8>,
    operations: &[Operation],
) -> Result<(), TestCaseError> {
    let mut first = Pool::new(map.from);
    let count = lens.end() - lens.start() + 1;
    for operation in operations {
        match *operation {
            Operation::Allocate(len, fit) => {
                let len = lens.start() + len % count;
                let one = first.allocate(len, fit);
                let other = second.allocate(map.prefix_len(len), fit);
                if let Err(AllocateError::Exhausted { largest_free, .. }) = &other {
                    prop_assert_eq!(first.largest_free().map(|net| map.net(net)), *largest_free);
                }
                prop_assert_eq!(one.ok().map(|net| map.net(net)), other.ok());
            }
            Operation::Claim(len, n) => {
                let len = lens.start() + len % count;
                // Any network of the length: a scratch pool counts them.
                let net = Pool::new(map.from)
                    .allocate(len, Fit::Near(n))
                    .expect("empty");
                let nearest = |result| match result {
                    Err(ClaimError::Taken {
                        taken,
                        nearest_free,
                        ..
                    }) => Some((taken, nearest_free)),
                    _ => None,
                };
                let one = nearest(first.claim(net));
                let other = nearest(second.claim(map.net(net)));
                let mapped =
                    one.map(|(taken, near)| (map.net(taken), near.map(|net| map.net(net))));
                prop_assert_eq!(mapped, other);
            }
            Operation::Release(n) => {
                let at = n % first.len().max(1);
                if let Some(net) = first.iter().nth(at) {
                    prop_assert_eq!(first.release(net), Ok(()));
                    prop_assert_eq!(second.release(map.net(net)), Ok(()));
                }
            }
        }
        let free: Vec<Net> = first.free().map(|net| map.net(net)).collect();
        prop_assert_eq!(free, second.free().collect::<Vec<_>>());
    }
    for len in lens {
        prop_assert_eq!(
            first.count_free(len),
            second.count_free(map.prefix_len(len))
        );
    }
    let used: Vec<Net> = first.iter().map(|net| map.net(net)).collect();
    let others = second.iter().filter(|net| map.to.covers(*net));
    prop_assert_eq!(used, others.collect::<Vec<_>>());
    Ok(())
}

/// A pool of `whole` in which everything outside of `part` is allocated.
fn only_free(whole: Net, part: Net) -> Pool {
    let mut pool = Pool::new(whole);
    for len in whole.prefix_len() + 1..=part.prefix_len() {
        // The sibling of the part's ancestor of this length.
        let parent = Net::containing(part.address(), len - 1).expect("a length");
        let middle = 1_u128 << (parent.family().bits() - len);
        let halves = [0, middle]
            .map(|offset| Net::new(parent.nth(offset).expect("inside"), len).expect("aligned"));
        for half in halves.into_iter().filter(|half| !half.covers(part)) {
            pool.claim(half).expect("disjoint halves");
        }
    }
    pool
}

proptest! {
    #[test]
    fn ipv4_and_its_image_in_ipv6_answer_alike(operations in operations(true)) {
        for (from, to) in [
            ("0.0.0.0/0", "64:ff9b::/96"),
            ("10.77.0.0/16", "fd5c::/112"),
            ("192.168.7.0/24", "fd5c::ff00/120"),
        ] {
            let map = Map { from: net(from), to: net(to) };
            let lens = map.from.prefix_len()..=32;
            step_together(map, Pool::new(map.to), lens, &operations)?;
        }
    }

    #[test]
    fn a_pool_answers_like_the_only_free_part_of_a_larger_one(operations in operations(false)) {
        // The second pair has numbers of more than 64 bits in the larger pool only.
        for (part, whole) in [
            ("10.77.128.0/20", "0.0.0.0/0"),
            ("fd5c:1b2a:9e10:8000:ffff::7000/116", "::/0"),
            ("fd5c:1b2a:9e10:1f00::/56", "fd5c:1b2a::/32"),
        ] {
            let (part, whole) = (net(part), net(whole));
            let lens = part.prefix_len()..=part.prefix_len() + 12;
            step_together(Map { from: part, to: part }, only_free(whole, part), lens, &operations)?;
        }
    }

    #[test]
    fn the_same_set_gives_the_same_answers_in_any_order(
        claims in prop::collection::vec((1..=80_u8, any::<u64>()), 1..40),
        len in 0..=80_u8,
        n in any::<u64>(),
    ) {
        let supernet = net("fd5c:1b2a:9e10::/48");
        let mut forward = Pool::new(supernet);
        for (len, n) in &claims {
            let _full = forward.allocate(48 + len, Fit::Near(*n));
        }
        let mut backward = Pool::new(supernet);
        // A history of its own: something that is gone again.
        let gone = backward.allocate(128, Fit::Highest).expect("empty");
        for net in forward.iter().filter(|net| !net.overlaps(gone)).collect::<Vec<_>>().iter().rev() {
            prop_assert_eq!(backward.claim(*net), Ok(()));
        }
        backward.release(gone).expect("allocated above");
        for net in &forward {
            if net.overlaps(gone) {
                backward.claim(net).expect("free again");
            }
        }
        prop_assert_eq!(&forward, &backward);
        prop_assert!(forward.free().eq(backward.free()));
        for fit in [Fit::Lowest, Fit::Highest, Fit::Best, Fit::Sparse, Fit::Near(n)] {
            let (mut one, mut other) = (forward.clone(), backward.clone());
            prop_assert_eq!(one.allocate(48 + len, fit), other.allocate(48 + len, fit));
        }
    }
}
