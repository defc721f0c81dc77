//! Gets the programs of a lab: `cargo run -p examples --example programs -- CACHE_DIR [KUBERNETES_VERSION]`.
//!
//! Prints what it will do, does it with progress on standard error, and lists what is in the set afterwards;
//! makes the images of the lab and, as root, the containerd root that every machine gets a clone of.
//! Run it again: nothing is left to do.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::disallowed_methods,
    reason = "an example talks to its user and reads its environment"
)]

use anyhow::Context as _;
use artifacts::{Architecture, DEFAULT_KUBERNETES, Places, VersionSet, Wanted};
use host_exec::{Event, EventSink, LocalHost, Progress};

/// Shows events as lines.
struct Lines;

impl EventSink for Lines {
    fn emit(&self, event: Event) {
        match event.progress {
            Progress::Started => eprintln!("{}", event.step),
            Progress::Running(what) => eprintln!("{}: {what}", event.step),
            Progress::Done(what) => eprintln!("{}: done, {what}", event.step),
            Progress::Failed(why) => eprintln!("{}: FAILED, {why}", event.step),
        }
    }
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let cache_dir = arguments.next().context("name a cache directory")?;
    let kubernetes = match arguments.next() {
        Some(version) => version.parse()?,
        None => DEFAULT_KUBERNETES,
    };
    let path = std::env::var_os("PATH").unwrap_or_default();
    let places = Places::new(
        std::path::absolute(cache_dir)?,
        std::env::split_paths(&path).collect(),
    );
    let versions = VersionSet::for_kubernetes(kubernetes)?;
    let wanted = Wanted::lab(versions, Architecture::here()?);
    let here = LocalHost::new("here".parse()?);

    let found = artifacts::observe(&here, &wanted, &places).await?;
    for step in artifacts::plan(&wanted, &found, &places.mirrors)? {
        println!("will {step}");
    }
    let started = std::time::Instant::now();
    let set = artifacts::programs(&here, &wanted, &places, &Lines).await?;
    println!(
        "{} in {:.3} s",
        set.dir.display(),
        started.elapsed().as_secs_f32()
    );
    for (program, entry) in &set.lock.programs {
        println!("{program} {} {}", entry.version, entry.sha256);
    }

    let images = artifacts::images(&here, &wanted, &set, &places, &Lines).await?;
    for image in &images.images {
        println!("{} {}", image.reference, image.archive.display());
    }
    for left in &images.left_out {
        println!("{} is left out: {}", left.reference, left.reason);
    }
    if nix::unistd::geteuid().is_root() {
        let root = artifacts::containerd_root(&here, &images, &places, &Lines).await?;
        println!("{}", root.display());
    }
    println!("all in {:.3} s", started.elapsed().as_secs_f32());
    Ok(())
}
