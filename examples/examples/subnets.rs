//! Allocates subnets as another tool would: a registry of sites out of one range of each family.
//!
//!     cargo run --example subnets

#![expect(clippy::print_stdout, reason = "a program for people")]

use netplan::{Fit, Net, Pool, reserved};

fn main() -> anyhow::Result<()> {
    let mut pool = Pool::new("10.77.0.0/16".parse()?);

    // What is in use already is claimed as it is.
    pool.claim("10.77.4.0/22".parse()?)?;
    // Host bits are a mistake, and the error says what was meant.
    if let Err(error) = "10.77.4.9/22".parse::<Net>() {
        println!("as it should: {error}");
    }

    // A site of 1,000 hosts, one of 60 packed behind it, and one that may grow.
    let large = pool.allocate(22, Fit::Lowest)?;
    let small = pool.allocate(26, Fit::Best)?;
    let growing = pool.allocate(24, Fit::Sparse)?;
    println!("large {large}, small {small}, growing {growing}");
    for rule in reserved(small) {
        println!("  in {small} no host may be {}: {}", rule.net, rule.reason);
    }

    // The same name gets the same place, whoever else comes and goes.
    let by_name = |name: &str| {
        name.bytes()
            .fold(7, |hash: u64, byte| hash * 31 + u64::from(byte))
    };
    println!(
        "berlin {}",
        pool.allocate(24, Fit::Near(by_name("berlin")))?
    );

    // Errors carry the next best.
    if let Err(error) = pool
        .allocate(17, Fit::Lowest)
        .and_then(|_| pool.allocate(17, Fit::Lowest))
    {
        println!("as it should: {error}");
    }
    if let Err(error) = pool.claim("10.77.6.0/24".parse()?) {
        println!("as it should: {error}");
    }

    pool.release(large)?;
    let free: Vec<String> = pool.free().map(|net| net.to_string()).collect();
    println!("free: {}", free.join(" "));
    println!("that is {} networks of /24", pool.count_free(24));
    Ok(())
}
