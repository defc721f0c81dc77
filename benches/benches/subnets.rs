//! Subnets: filling a pool, freeing and allocating in a full one, and how that grows.
//!
//! Criterion's "elem/s" counts networks: 40 Melem/s are 25 ns each. The yardstick, ipnet's own
//! iterator, only counts up: it remembers nothing, so no allocator with a registry reaches it.

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

/// An order without a pattern, the same in each run (Fisher and Yates, with xorshift64).
fn shuffled(mut nets: Vec<Net>) -> Vec<Net> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    for last in (1..nets.len()).rev() {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        let picked = state % (last as u64 + 1);
        nets.swap(last, usize::try_from(picked).unwrap());
    }
    nets
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
    yardstick(&mut criterion);
    criterion.final_summary();
}
