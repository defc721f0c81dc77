//! The pool by examples: ends, edges and the texts of its errors.

use netplan::{AllocateError, ClaimError, Fit, Pool};

use crate::net;

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

const FITS: [Fit; 5] = [
    Fit::Lowest,
    Fit::Highest,
    Fit::Best,
    Fit::Sparse,
    Fit::Near(7),
];

#[test]
fn whole_families_and_single_addresses() {
    for whole in ["0.0.0.0/0", "::/0", "10.0.0.1/32", "fd00::1/128"] {
        let whole = net(whole);
        let mut pool = Pool::new(whole);
        let bits = whole.family().bits();
        for fit in FITS {
            assert_eq!(pool.allocate(whole.prefix_len(), fit), Ok(whole), "{fit:?}");
            assert_eq!(pool.largest_free(), None);
            assert_eq!(pool.free().next(), None);
            assert_eq!(pool.count_free(bits), 0);
            for other in FITS {
                assert!(pool.allocate(bits, other).is_err(), "{other:?}");
            }
            pool.release(whole).expect("allocated above");
        }
        assert_eq!(pool.free().collect::<Vec<_>>(), [whole]);
        let host = pool.allocate(bits, Fit::Highest).expect("an address");
        assert_eq!(host.address(), whole.last_address());
        assert_eq!(pool.overlaps(whole), Some(host));
    }
}

#[test]
fn counts_what_is_free_in_whole_families() {
    let mut all = Pool::new(net("::/0"));
    assert_eq!(all.count_free(128), u128::MAX, "2^128 is one more");
    assert_eq!(all.count_free(127), 1 << 127);
    all.allocate(128, Fit::Lowest).expect("free");
    assert_eq!(all.count_free(128), u128::MAX, "2^128 - 1");
    assert_eq!(all.count_free(0), 0);
    assert_eq!(all.free().count(), 128);
    let v4 = Pool::new(net("0.0.0.0/0"));
    assert_eq!(v4.count_free(32), 1 << 32);
    assert_eq!(v4.count_free(33), 0, "no such length");
}

#[test]
fn pools_of_two_addresses() {
    for pair in ["255.255.255.254/31", "fd00::6/127"] {
        let pair = net(pair);
        let bits = pair.family().bits();
        for fit in FITS {
            let mut pool = Pool::new(pair);
            let one = pool.allocate(bits, fit).expect("two are free");
            assert!(pool.allocate(bits - 1, fit).is_err(), "{fit:?}");
            let two = pool.allocate(bits, fit).expect("one is free");
            let mut both = [one.address(), two.address()];
            both.sort();
            assert_eq!(both, [pair.address(), pair.last_address()], "{fit:?}");
            assert!(pool.allocate(bits, fit).is_err(), "{fit:?}");
        }
    }
}

#[test]
fn sparse_allocations_halve_the_space() {
    let mut pool = Pool::new(net("10.77.0.0/16"));
    let third = |_| {
        let net = pool.allocate(24, Fit::Sparse).expect("free");
        let std::net::IpAddr::V4(address) = net.address() else {
            panic!("an IPv4 pool");
        };
        address.octets()[2]
    };
    let order: Vec<u8> = (0..8).map(third).collect();
    assert_eq!(order, [0, 128, 64, 192, 32, 96, 160, 224]);
}

#[test]
fn best_keeps_large_blocks_whole() {
    let mut pool = Pool::new(net("10.77.0.0/16"));
    // Free are a /17 at the start, and a /24 and a /22 behind it.
    for taken in [
        "10.77.128.0/18",
        "10.77.192.0/19",
        "10.77.224.0/20",
        "10.77.240.0/21",
        "10.77.252.0/23",
        "10.77.254.0/24",
    ] {
        pool.claim(net(taken)).expect("free");
    }
    assert_eq!(pool.allocate(24, Fit::Best), Ok(net("10.77.255.0/24")));
    assert_eq!(pool.allocate(24, Fit::Best), Ok(net("10.77.248.0/24")));
    assert_eq!(pool.largest_free(), Some(net("10.77.0.0/17")));
}

#[test]
fn other_families_and_neighbours_are_outside() {
    let mut pool = Pool::new(net("10.77.0.0/16"));
    pool.claim(net("10.77.3.0/24")).expect("free");
    for other in [
        "10.76.0.0/16",
        "10.78.0.0/24",
        "10.0.0.0/8",
        "fd00::/16",
        "::/24",
        "::/0",
    ] {
        let other = net(other);
        assert!(!pool.is_free(other), "{other}");
        assert!(
            matches!(pool.claim(other), Err(ClaimError::Outside { .. })),
            "{other}"
        );
        assert!(pool.release(other).is_err(), "{other}");
    }
    assert_eq!(pool.overlaps(net("10.0.0.0/8")), Some(net("10.77.3.0/24")));
    assert_eq!(pool.overlaps(net("10.76.0.0/16")), None);
    let mut v6 = Pool::new(net("fd00::/64"));
    assert!(matches!(
        v6.claim(net("10.0.0.0/8")),
        Err(ClaimError::Outside { .. })
    ));
    assert!(matches!(
        v6.claim(net("fcff:ffff:ffff:ffff::/64")),
        Err(ClaimError::Outside { .. })
    ));
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
    pool.claim(net("10.77.129.0/24")).expect("free");
    pool.claim(net("10.77.130.0/23")).expect("free");
    assert_eq!(
        text(pool.claim(net("10.77.129.0/24"))),
        "10.77.129.0/24 overlaps 10.77.129.0/24, which is allocated; \
         the nearest free one of this length is 10.77.128.0/24"
    );
    assert_eq!(
        text(pool.claim(net("10.77.0.0/17"))),
        "10.77.0.0/17 overlaps 10.77.0.0/17, which is allocated; \
         no network of this length is free"
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
