//! Subnets: filling a pool, freeing and allocating in a full one, in one full of holes, in one of
//! mixed lengths, and how that grows.
//!
//! Criterion's "elem/s" counts networks: 40 Melem/s are 25 ns each. The yardstick, ipnet's own
//! iterator, only counts up: it remembers nothing, so no allocator with a registry reaches it.
//! The other yardstick, Kubernetes' cidrset, is a Go program: `benches/go/cidrset`.

#![expect(clippy::unwrap_used, reason = "a bench that cannot go on must stop")]

use std::hint::black_box;

use criterion::{BatchSize, Criterion, Throughput};
use ipnet::{Ipv4Net, Ipv6Net};
use netplan::{Fit, Net, Pool};

/// As many /24 as a /8 holds, and as many /64 as a /48.
const FULL: usize = 65_536;
const MILLION: usize = 1_000_000;

/// A pool, what is allocated out of it, and how often.
struct Case {
    name: &'static str,
    pool: &'static str,
    prefix_len: u8,
    count: usize,
}

const CASES: [Case; 4] = [
    Case::new("65,536 of /24 in a /8", "10.0.0.0/8", 24, FULL),
    Case::new("65,536 of /64 in a /48", "fd5c:1:2::/48", 64, FULL),
    Case::new("1,000,000 of /24 in a /4", "16.0.0.0/4", 24, MILLION),
    Case::new("1,000,000 of /64 in a /44", "fd5c:1:20::/44", 64, MILLION),
];

impl Case {
    const fn new(name: &'static str, pool: &'static str, prefix_len: u8, count: usize) -> Self {
        Self {
            name,
            pool,
            prefix_len,
            count,
        }
    }

    fn empty(&self) -> Pool {
        Pool::new(self.pool.parse().unwrap())
    }

    fn fill(&self, mut pool: Pool) -> Pool {
        for _ in 0..self.count {
            black_box(pool.allocate(self.prefix_len, Fit::Lowest).unwrap());
        }
        pool
    }
}

/// Numbers without a pattern, the same in each run: xorshift64.
struct Numbers(u64);

impl Numbers {
    fn new() -> Self {
        Self(0x9e37_79b9_7f4a_7c15)
    }

    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % limit as u64).unwrap()
    }
}

/// An order without a pattern (Fisher and Yates).
fn shuffled(mut nets: Vec<Net>) -> Vec<Net> {
    let mut numbers = Numbers::new();
    for last in (1..nets.len()).rev() {
        nets.swap(last, numbers.below(last + 1));
    }
    nets
}

/// The pool is made and dropped outside the measured time.
fn fill(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("fill");
    group.sample_size(20);
    for case in &CASES {
        group.throughput(Throughput::Elements(case.count as u64));
        group.bench_function(case.name, |bencher| {
            bencher.iter_batched(
                || case.empty(),
                |pool| case.fill(pool),
                BatchSize::LargeInput,
            );
        });
    }
    group.finish();
}

/// One iteration frees a network picked at random and allocates the only one that is free then.
fn churn(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("free and allocate, pool full");
    for case in &CASES {
        let mut pool = case.fill(case.empty());
        let nets = shuffled(pool.allocated());
        let mut next = nets.iter().cycle();
        group.bench_function(case.name, |bencher| {
            bencher.iter(|| {
                let net = *next.next().unwrap();
                pool.release(net).unwrap();
                pool.allocate(case.prefix_len, Fit::Lowest).unwrap()
            });
        });
        assert_eq!(pool.len(), case.count, "{}", case.name);
    }
    group.finish();
}

/// Full pools with 16,384 holes of one network each, in which two free neighbours are one pair:
/// freeing and allocating that pair, and the answer that no pair is free.
fn fragmented(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("16,384 holes");
    for case in &CASES[..2] {
        let mut pool = case.fill(case.empty());
        let pair_len = case.prefix_len - 1;
        for net in pool.allocated().into_iter().step_by(4) {
            pool.release(net).unwrap();
        }
        group.bench_function(format!("{}: no pair is free", case.name), |bencher| {
            bencher.iter(|| pool.allocate(pair_len, Fit::Lowest).unwrap_err());
        });
        // The neighbour of a hole in the middle makes the only pair, which lowest fit must find.
        let neighbour = pool.allocated()[pool.len() / 2 / 3 * 3];
        pool.release(neighbour).unwrap();
        group.bench_function(format!("{}: the only pair", case.name), |bencher| {
            bencher.iter(|| {
                let pair = pool.allocate(pair_len, Fit::Lowest).unwrap();
                pool.release(pair).unwrap();
            });
        });
        // Half of a hole by best fit: every hole is looked at, since none fits exactly.
        for (name, below, fit) in [
            ("one, lowest", 0, Fit::Lowest),
            ("one, best", 0, Fit::Best),
            ("one, sparse", 0, Fit::Sparse),
            ("half of one, best", 1, Fit::Best),
        ] {
            group.bench_function(format!("{}: {name}", case.name), |bencher| {
                bencher.iter(|| {
                    let net = pool.allocate(case.prefix_len + below, fit).unwrap();
                    pool.release(net).unwrap();
                });
            });
        }
    }
    group.finish();
}

/// One iteration frees an allocation picked at random and allocates one of a random length.
fn mixed(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("mixed lengths");
    for (name, pool, lens) in [
        ("any of /20 to /32 in a /8", "10.0.0.0/8", 20..=32_u8),
        ("any of /56 to /127 in a /48", "fd5c:1:2::/48", 56..=127),
    ] {
        let mut pool = Pool::new(pool.parse().unwrap());
        let mut numbers = Numbers::new();
        let count = usize::from(lens.end() - lens.start()) + 1;
        let mut any_len = move || lens.clone().nth(numbers.below(count)).unwrap();
        let mut nets: Vec<Net> = Vec::new();
        while nets.len() < 4_096
            && let Ok(net) = pool.allocate(any_len(), Fit::Lowest)
        {
            nets.push(net);
        }
        let mut picks = Numbers::new();
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                let at = picks.below(nets.len());
                pool.release(nets[at]).unwrap();
                // The freed network leaves room for itself at least, so a length that does not
                // fit any more is replaced by the one that does.
                let freed_len = nets[at].prefix_len();
                let found = pool.allocate(any_len(), Fit::Lowest);
                nets[at] = found
                    .or_else(|_| pool.allocate(freed_len, Fit::Lowest))
                    .unwrap();
            });
        });
        assert_eq!(pool.len(), nets.len(), "{name}");
    }
    group.finish();
}

fn yardstick(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("yardstick, ipnet subnets()");
    group.throughput(Throughput::Elements(FULL as u64));
    let v4: Ipv4Net = "10.0.0.0/8".parse().unwrap();
    group.bench_function("65,536 of /24 in a /8", |bencher| {
        bencher.iter(|| v4.subnets(24).unwrap().for_each(|net| _ = black_box(net)));
    });
    let v6: Ipv6Net = "fd5c:1:2::/48".parse().unwrap();
    group.bench_function("65,536 of /64 in a /48", |bencher| {
        bencher.iter(|| v6.subnets(64).unwrap().for_each(|net| _ = black_box(net)));
    });
    group.finish();
}

fn main() {
    let mut criterion = benches::settings();
    fill(&mut criterion);
    churn(&mut criterion);
    fragmented(&mut criterion);
    mixed(&mut criterion);
    yardstick(&mut criterion);
    criterion.final_summary();
}
