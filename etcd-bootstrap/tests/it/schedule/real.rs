//! The programs of the service with a real etcd: `LAB_BIN_DIR` says where the programs are. systemd is not part of it.

use crate::real::{self, Cluster};
use etcd_bootstrap::{
    check_whole,
    schedule::{FetchError, Schedule, fetch, files},
};
use host_exec::{Command, Host, LocalHost, Output, unit_file::values};
use std::{
    fs,
    io::Write as _,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

const KEEP: u8 = 3;
const ROOM: &str = "/run/etcd-snapshot.room";

/// A member that runs, and its service.
struct Scene {
    cluster: Cluster,
    host: LocalHost,
    service: String,
    directory: PathBuf,
    room: PathBuf,
    _temporary: tempfile::TempDir,
}

impl Scene {
    async fn new(net: u8) -> Self {
        let temporary = tempfile::tempdir().unwrap();
        let directory = temporary.path().join("deep/snapshots");
        let schedule = Schedule::every("6h".parse().unwrap(), KEEP).unwrap();
        let schedule = schedule.below(&directory).unwrap();
        let mut cluster = Cluster::of(net, &real::program(), 1, |spec| {
            spec.with_schedule(schedule).unwrap()
        })
        .await;
        let names = cluster.names();
        cluster.start(&names).await;
        cluster.wait(&names).await.unwrap();
        let service = files(&cluster.spec, &cluster.spec.members()[0]).remove(0);
        let room = temporary.path().join("room");
        let service = String::from_utf8(service.contents.bytes().to_vec()).unwrap();
        Self {
            service: service.replace(ROOM, room.to_str().unwrap()),
            cluster,
            host: LocalHost::new("here".parse().unwrap()),
            directory,
            room,
            _temporary: temporary,
        }
    }

    /// Runs the service as systemd would, with `meddle` before the lines that have `at` in them, and returns the first
    /// output that is no success.
    async fn run(&self, at: &str, meddle: impl Fn(&Path)) -> Option<(String, Output)> {
        let mut failed = None;
        for line in values(&self.service, "ExecStart") {
            if line.contains(at) {
                meddle(&self.directory);
            }
            let output = self.line(&line).await;
            if !output.status.success() {
                failed = Some((line, output));
                break;
            }
        }
        for line in values(&self.service, "ExecStopPost") {
            assert!(self.line(&line).await.status.success(), "{line}");
        }
        failed
    }

    async fn line(&self, line: &str) -> Output {
        // A line is read again and again; the output of all goes to one file.
        let words = line.split_whitespace();
        let mut words = words.map(|word| word.replace("%%", "%").replace("\\;", ";"));
        let program = words.next().unwrap();
        let output = self.host.output(&Command::new(program).args(words)).await;
        let output = output.unwrap();
        let room = fs::File::options()
            .append(true)
            .create(true)
            .open(&self.room);
        room.unwrap().write_all(&output.stdout).unwrap();
        if line.starts_with("rm ") {
            fs::remove_file(&self.room).unwrap();
        }
        output
    }

    /// What is there, with the revision of each.
    async fn there(&self) -> Vec<(String, i64)> {
        let mut there = Vec::new();
        for entry in fs::read_dir(&self.directory).unwrap() {
            let path = entry.unwrap().path();
            let etcdutl = real::program().with_file_name("etcdutl");
            let ask = Command::new(etcdutl.to_str().unwrap()).args(["snapshot", "status"]);
            let ask = ask
                .arg(path.to_str().unwrap())
                .args(["--write-out", "json"]);
            let said = self.host.run(&ask).await.unwrap();
            let said: serde_json::Value = serde_json::from_slice(&said.stdout).unwrap();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            there.push((name, said["revision"].as_i64().unwrap()));
        }
        there.sort();
        there
    }

    async fn put(&self) {
        let member = &self.cluster.spec.members()[0];
        let text = |path: &Path| path.to_str().unwrap().to_owned();
        let put = Command::new(text(&real::program().with_file_name("etcdctl")))
            .args(["--endpoints", &member.client_urls()[0]])
            .args(["--cacert".to_owned(), text(&member.pki.client_ca)])
            .args(["--cert".to_owned(), text(&member.pki.server_certificate)])
            .args(["--key".to_owned(), text(&member.pki.server_key)])
            .args(["put", "key", "value"]);
        self.host.run(&put).await.unwrap();
    }
}

#[tokio::test]
#[ignore = "needs etcd"]
async fn the_newest_are_kept_in_their_order_for_root_alone() {
    let scene = Scene::new(71).await;
    for run in 1..=5_i64 {
        scene.put().await;
        let failed = scene.run("none", |_| {}).await;
        assert!(failed.is_none(), "{failed:?}");
        let there = scene.there().await;
        let expected: Vec<_> = (0..run.min(i64::from(KEEP)))
            .map(|age| (format!("{}.db", age + 1), run + 1 - age))
            .collect();
        assert_eq!(there, expected);
    }
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&scene.directory), 0o700);
    assert_eq!(mode(&scene.directory.join("1.db")), 0o600);
    let (spec, names) = (&scene.cluster.spec, scene.cluster.names());
    let to = tempfile::tempdir().unwrap();
    let to = to.path().join("fetched.db");
    let fetch = |number| fetch(spec, &names[0], number, &scene.host, &to);
    let stored = fetch(2).await.unwrap();
    assert_eq!(check_whole(&fs::read(&stored.path).unwrap()), Ok(()));
    assert_eq!(mode(&to), 0o600);
    let missing = fetch(4).await.unwrap_err();
    assert_eq!(
        missing.to_string(),
        "etcd member etcd-1 has no snapshot 4; it has 1, 2, 3"
    );
    let newest = scene.directory.join("1.db");
    let whole = fs::read(&newest).unwrap();
    fs::write(&newest, &whole[..whole.len() - 512]).unwrap();
    let damaged = fetch(1).await.unwrap_err();
    assert!(matches!(damaged, FetchError::Damaged { .. }), "{damaged}");
    assert!(!to.with_file_name("fetched.db.part").exists());
}

/// Cut, changed by one bit, etcd down, no room: whatever ends a run, what was there is there, and nothing else.
#[tokio::test]
#[ignore = "needs etcd"]
async fn what_is_not_whole_takes_the_place_of_nothing() {
    let mut scene = Scene::new(72).await;
    assert!(scene.run("none", |_| {}).await.is_none());
    let there = scene.there().await;
    scene.put().await;

    let change = |change: &dyn Fn(&mut Vec<u8>), directory: &Path| {
        let new = directory.join("new.db");
        let mut bytes = fs::read(&new).unwrap();
        change(&mut bytes);
        fs::write(&new, bytes).unwrap();
    };
    let flip = |bytes: &mut Vec<u8>| {
        let at = bytes.len() - 2000;
        bytes[at] ^= 1;
    };
    for what in [&flip as &dyn Fn(&mut Vec<u8>), &|bytes| {
        bytes.truncate(8192)
    }] {
        let failed = scene.run("snapshot restore", |at| change(what, at)).await;
        let (line, output) = failed.expect("it is not whole");
        assert!(line.contains("snapshot restore"), "{line}: {output:?}");
        assert_eq!(scene.there().await, there);
    }

    // A store that is larger than any disk; not a block of it is really there.
    let member = &scene.cluster.spec.members()[0];
    let store = member.data_dir.join("member/snap/db");
    let service = scene.service.clone();
    let huge = scene.room.with_file_name("huge");
    fs::File::create(&huge).unwrap().set_len(1 << 43).unwrap();
    scene.service = service.replace(store.to_str().unwrap(), huge.to_str().unwrap());
    let (line, output) = scene.run("none", |_| {}).await.expect("there is no room");
    assert!(line.starts_with("xargs "), "{line}: {output:?}");
    assert_eq!(scene.there().await, there);

    scene.service = service.replace(":2379", ":2378");
    let (line, output) = scene.run("none", |_| {}).await.expect("nothing listens");
    assert!(line.ends_with("endpoint status"), "{line}: {output:?}");
    assert_eq!(scene.there().await, there);

    scene.service = service;
    assert!(scene.run("none", |_| {}).await.is_none());
    assert_eq!(scene.there().await.len(), 2);
}
