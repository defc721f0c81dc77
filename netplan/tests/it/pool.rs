//! The pool against a model that tries every block.

use netplan::{AllocateError, ClaimError, Fit, Net, Pool};
use proptest::prelude::*;

use crate::net;

/// Every network of this length in the pool, in order.
fn blocks(pool: Net, prefix_len: u8) -> Vec<Net> {
    let step = 1_u128 << (pool.family().bits() - prefix_len);
    (0..1_u128 << (prefix_len - pool.prefix_len()))
        .map(|n| Net::new(pool.nth(n * step).expect("inside"), prefix_len).expect("aligned"))
        .collect()
}

fn model_find(pool: Net, used: &[Net], prefix_len: u8, first: usize) -> Option<Net> {
    let all = blocks(pool, prefix_len);
    let free = |net: &&Net| !used.iter().any(|used| used.overlaps(**net));
    let (before, behind) = all.split_at(first);
    behind
        .iter()
        .find(free)
        .or_else(|| before.iter().find(free))
        .copied()
}

#[derive(Clone, Debug)]
enum Operation {
    Allocate(u8),
    Near(u8, u64),
    Claim(u8, usize),
    Release(usize),
    ReleaseAny(u8, usize),
}

fn operation(span: u8) -> impl Strategy<Value = Operation> {
    prop_oneof![
        4 => (0..=span).prop_map(Operation::Allocate),
        3 => ((0..=span), any::<u64>()).prop_map(|(len, n)| Operation::Near(len, n)),
        3 => ((0..=span), any::<usize>()).prop_map(|(len, n)| Operation::Claim(len, n)),
        5 => any::<usize>().prop_map(Operation::Release),
        1 => ((0..=span), any::<usize>()).prop_map(|(len, n)| Operation::ReleaseAny(len, n)),
    ]
}

fn agree(pool_net: Net, operations: &[Operation]) -> Result<(), TestCaseError> {
    let own = pool_net.prefix_len();
    let mut pool = Pool::new(pool_net);
    let mut used: Vec<Net> = Vec::new();
    for operation in operations {
        match *operation {
            Operation::Allocate(len) => {
                let expected = model_find(pool_net, &used, own + len, 0);
                prop_assert_eq!(pool.allocate(own + len, Fit::Lowest).ok(), expected);
                used.extend(expected);
            }
            Operation::Near(len, n) => {
                let first = usize::try_from(n % (1 << len)).expect("small");
                let expected = model_find(pool_net, &used, own + len, first);
                prop_assert_eq!(pool.allocate(own + len, Fit::Near(n)).ok(), expected);
                used.extend(expected);
            }
            Operation::Claim(len, n) => {
                let all = blocks(pool_net, own + len);
                let net = all[n % all.len()];
                let taken = used.iter().filter(|used| used.overlaps(net)).min().copied();
                match pool.claim(net) {
                    Ok(()) => {
                        prop_assert_eq!(taken, None);
                        used.push(net);
                    }
                    Err(ClaimError::Taken { taken: found, .. }) => {
                        prop_assert_eq!(Some(found), taken);
                    }
                    Err(other) => return Err(TestCaseError::fail(other.to_string())),
                }
            }
            Operation::Release(n) if !used.is_empty() => {
                let net = used.swap_remove(n % used.len());
                prop_assert_eq!(pool.release(net), Ok(()));
            }
            Operation::Release(_) => {}
            Operation::ReleaseAny(len, n) => {
                let all = blocks(pool_net, own + len);
                let net = all[n % all.len()];
                let at = used.iter().position(|used| *used == net);
                prop_assert_eq!(pool.release(net).is_ok(), at.is_some());
                if let Some(at) = at {
                    used.swap_remove(at);
                }
            }
        }
        used.sort();
        prop_assert_eq!(pool.len(), used.len());
        prop_assert_eq!(&pool.allocated(), &used);
        let largest = (own..=own + 9).find_map(|len| model_find(pool_net, &used, len, 0));
        prop_assert_eq!(pool.largest_free(), largest);
    }
    Ok(())
}

proptest! {
    #[test]
    fn agrees_with_a_search_of_all_blocks(
        family in 0..4_usize,
        operations in prop::collection::vec(operation(9), 1..60),
    ) {
        // Nine bits: two levels of the trie, the second one not full; and pools that end at the
        // last address of their family.
        let pools = ["10.77.0.0/23", "fd00::/119", "255.255.254.0/23", "ffff:ffff:ffff:ffff::/64"];
        let pool = net(pools[family]);
        if pool.prefix_len() == 64 {
            let pool = Net::containing(pool.last_address(), 119).expect("a length");
            agree(pool, &operations)?;
        } else {
            agree(pool, &operations)?;
        }
    }

    #[test]
    fn the_same_set_gives_the_same_answers_in_any_order(
        claims in prop::collection::vec((1..=20_u8, any::<u32>()), 1..40),
        len in 1..=20_u8,
    ) {
        let supernet = net("fd5c:1b2a:9e10::/48");
        let mut forward = Pool::new(supernet);
        for (len, n) in claims {
            let _full = forward.allocate(48 + len, Fit::Near(u64::from(n)));
        }
        let mut backward = Pool::new(supernet);
        for net in forward.allocated().into_iter().rev() {
            prop_assert_eq!(backward.claim(net), Ok(()));
        }
        prop_assert_eq!(forward.allocate(48 + len, Fit::Lowest), backward.allocate(48 + len, Fit::Lowest));
    }
}

#[test]
fn fills_to_the_last_block_and_says_so() {
    let mut pool = Pool::new(net("10.0.0.0/8"));
    for n in 0..65_536_u32 {
        let allocated = pool.allocate(24, Fit::Lowest).expect("a free block");
        assert_eq!(
            allocated.address(),
            std::net::Ipv4Addr::from_bits(0x0a00_0000 | n << 8)
        );
    }
    let expected = AllocateError::Exhausted {
        prefix_len: 24,
        pool: pool.net(),
        largest_free: None,
    };
    assert_eq!(pool.allocate(24, Fit::Lowest), Err(expected));
    pool.release(net("10.99.7.0/24")).expect("allocated above");
    assert_eq!(pool.allocate(24, Fit::Near(3)), Ok(net("10.99.7.0/24")));
}

#[test]
fn whole_families_and_single_addresses() {
    for whole in ["0.0.0.0/0", "::/0", "10.0.0.1/32", "fd00::1/128"] {
        let whole = net(whole);
        let mut pool = Pool::new(whole);
        assert_eq!(pool.allocate(whole.prefix_len(), Fit::Near(7)), Ok(whole));
        assert_eq!(pool.largest_free(), None);
        pool.release(whole).expect("allocated above");
        let bits = whole.family().bits();
        let host = pool.allocate(bits, Fit::Lowest).expect("an address");
        assert_eq!(host.address(), whole.address());
        assert_eq!(pool.overlaps(whole), Some(host));
    }
}

#[test]
fn errors_say_what_would_go() {
    let mut pool = Pool::new(net("10.77.0.0/16"));
    pool.claim(net("10.77.0.0/17")).expect("free");
    let text = |result: Result<(), ClaimError>| result.expect_err("refused").to_string();
    assert_eq!(
        text(pool.claim(net("10.77.1.0/24"))),
        "10.77.1.0/24 overlaps 10.77.0.0/17, which is allocated; \
         the nearest free one of this length is 10.77.128.0/24"
    );
    assert_eq!(
        text(pool.claim(net("10.78.0.0/24"))),
        "10.78.0.0/24 does not lie in 10.77.0.0/16"
    );
    assert_eq!(
        pool.allocate(8, Fit::Lowest)
            .expect_err("too short")
            .to_string(),
        "a /8 cannot come out of 10.77.0.0/16: ask for /16 to /32"
    );
    assert_eq!(
        pool.release(net("10.77.1.0/24"))
            .expect_err("a part")
            .to_string(),
        "10.77.1.0/24 is not allocated in 10.77.0.0/16; 10.77.0.0/17 is"
    );
}
