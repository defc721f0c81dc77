//! `kill -9` of `lab` at any moment of `up`: the next `up` goes on, to the same cluster.

use crate::{
    lab::{Lab, Scene, addresses},
    reference::etcd_cluster,
    run::{Event, Next},
    turn::Room,
};
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

/// Seeds of the random moments; the same in every run, so that a failure can be had again.
const SEEDS: [u64; 3] = [1, 2, 3];
/// How many times a lab is killed at random before it may come up.
const KILLS: usize = 3;

#[test]
#[ignore = "needs root"]
fn killed_at_every_step_it_converges_to_the_same_cluster() {
    let scene = Scene::taking(Room::Usual);
    let lab = scene.lab("t-kill");
    let planned = addresses(&lab.json(&["plan"])["network"]);
    let mut seen = BTreeSet::new();
    let mut kept = Kept::default();
    let mut order = Vec::new();
    // Each run goes on from the last, and is killed at the first event of a kind that no run was killed at.
    loop {
        let mut up = lab.start_up(&[]);
        let new = up.event(|event| seen.insert((event.step.clone(), event.progress.clone())));
        let Some(Event {
            machine,
            step,
            progress,
        }) = new
        else {
            let done = up.end();
            assert_eq!(done.code, Some(0), "{done:?}");
            break;
        };
        assert_ne!(progress, "failed", "{machine}: {step}");
        let done = up.kill();
        // One that had said its last event may have ended by itself.
        assert!(done.signal == Some(9) || done.code == Some(0), "{done:?}");
        kept.compare(&lab);
        order.push(format!("{step} {progress}"));
    }
    eprintln!("killed after each of: {}", order.join(", "));
    let killed_at = |step: &str| seen.contains(&(step.to_owned(), "started".to_owned()));
    for step in [
        "certificates",
        "network",
        "boot",
        "etcd: start",
        "API",
        "DNS",
    ] {
        assert!(killed_at(step), "no run was killed at {step}: {seen:?}");
    }
    // What comes after these, Ready and DNS from a node, may come true while no run is there, and be found by the next.
    lab.nothing_is_planned();
    lab.up(&[]).changed_nothing();
    let report = lab.check();
    eprintln!("{}", etcd_cluster(&report));
    kept.compare(&lab);
    assert_eq!(kept.directories.len(), 3, "{kept:?}");
    assert_eq!(addresses(&lab.network()), planned);
    lab.down();
    scene.nothing_is_left();
}

#[test]
#[ignore = "needs root"]
fn killed_at_random_moments_it_comes_up() {
    let scene = Scene::taking(Room::Usual);
    for seed in SEEDS {
        let lab = scene.lab("t-random");
        let mut random = Random(seed);
        let mut kept = Kept::default();
        for _ in 0..KILLS {
            let moment = Duration::from_millis(random.below(5000));
            eprintln!("seed {seed}: killed after {} ms", moment.as_millis());
            killed_after(&lab, moment);
            kept.compare(&lab);
        }
        lab.up(&[]);
        lab.check();
        kept.compare(&lab);
    }
    scene.nothing_is_left();
}

/// Starts `up`, and kills it at this moment unless it is done before.
#[track_caller]
fn killed_after(lab: &Lab<'_>, moment: Duration) {
    let deadline = Instant::now() + moment;
    let mut up = lab.start_up(&[]);
    let left = || deadline.saturating_duration_since(Instant::now());
    while let Next::Line(_) = up.next(left()) {}
    let done = up.kill();
    assert!(done.signal == Some(9) || done.code == Some(0), "{done:?}");
}

/// What a lab must keep through all interruptions, as soon as it has it.
#[derive(Debug, Default)]
struct Kept {
    authorities: BTreeMap<&'static str, String>,
    /// The directory of each member with its part of the cluster: another inode would be another cluster.
    directories: BTreeMap<String, u64>,
}

impl Kept {
    #[track_caller]
    fn compare(&mut self, lab: &Lab<'_>) {
        for name in ["kubernetes", "etcd", "etcd-peer", "front-proxy"] {
            if let Some(now) = lab.authority(name) {
                let first = self.authorities.entry(name).or_insert_with(|| now.clone());
                assert_eq!(*first, now, "another authority {name}");
            }
        }
        for member in ["etcd-0", "etcd-1", "etcd-2"] {
            let dir = lab.dir().join("machines").join(member);
            let database = find_below(&dir.join("data/var-lib-etcd"), "member");
            if let Some(inode) = database.map(|path| fs::metadata(path).unwrap().ino()) {
                let first = self.directories.entry(member.to_owned()).or_insert(inode);
                assert_eq!(*first, inode, "{member} began anew");
            }
        }
    }
}

/// The directory `name` in `dir` or in one directly below.
fn find_below(dir: &Path, name: &str) -> Option<PathBuf> {
    let below = fs::read_dir(dir).into_iter().flatten().flatten();
    let dirs = [dir.to_owned()]
        .into_iter()
        .chain(below.map(|entry| entry.path()));
    dirs.map(|path| path.join(name)).find(|path| path.is_dir())
}

/// SplitMix64, by Vigna: numbers that look random and are the same for a seed.
struct Random(u64);

impl Random {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % end
    }
}
