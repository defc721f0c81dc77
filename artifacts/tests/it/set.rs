//! A whole version set from files and from a server, with shell scripts in the place of the programs.

use crate::server::{Answer, Server};
use artifacts::{
    Lock, Places, ProgramName, ProgramsError, Sha256, Source, Wanted, observe, plan, programs,
};
use flate2::{Compression, write::GzEncoder};
use host_exec::event::Silent;
use std::{
    collections::BTreeMap, fs, io::Write as _, os::unix::fs::PermissionsExt as _, path::Path,
};

/// A program that says its version as the real one does, and nothing else.
fn script(program: ProgramName, wanted: &Wanted) -> Vec<u8> {
    let version = wanted.versions.of(program.component());
    let said = match program {
        ProgramName::Coredns => format!("CoreDNS-{version}"),
        ProgramName::Etcd | ProgramName::Etcdctl | ProgramName::Etcdutl => {
            format!("{program} version: {version}")
        }
        _ => format!("Kubernetes v{version}"),
    };
    format!("#!/bin/sh\necho '{said}'\n").into_bytes()
}

fn put(dir: &Path, program: ProgramName, contents: &[u8]) {
    fs::create_dir_all(dir).unwrap();
    let path = dir.join(program.as_str());
    fs::write(&path, contents).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
}

fn tar_gz(files: &[(String, Vec<u8>)]) -> Vec<u8> {
    let mut tar = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::fast()));
    for (path, contents) in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(contents.len() as u64);
        header.set_mode(0o755);
        tar.append_data(&mut header, path, contents.as_slice())
            .unwrap();
    }
    tar.into_inner().unwrap().finish().unwrap()
}

/// The official places, all three on one server.
fn official(wanted: &Wanted) -> BTreeMap<String, Answer> {
    let places = Places::new("/", Vec::new());
    let mut answers = BTreeMap::new();
    for program in &wanted.programs {
        let remote = places.mirrors.remote(*program, wanted);
        let base = places.mirrors.base(program.component());
        let body = match &remote.packing {
            artifacts::Packing::Bare => script(*program, wanted),
            artifacts::Packing::TarGz { dir } => {
                let mut inside = wanted.programs.clone();
                inside.retain(|p| p.component() == program.component());
                let path = |p: ProgramName| Path::new(dir).join(p.as_str()).display().to_string();
                tar_gz(
                    &inside
                        .iter()
                        .map(|p| (path(*p), script(*p, wanted)))
                        .collect::<Vec<_>>(),
                )
            }
        };
        let name = remote.url.rsplit('/').next().unwrap();
        let sums = format!("{}  {name}\n", Sha256::of(&body)).into_bytes();
        let path = |url: &str| url.strip_prefix(base).unwrap().to_owned();
        answers.insert(path(&remote.url), Answer::Body(body));
        answers.insert(path(&remote.checksum_url), Answer::Body(sums));
    }
    answers
}

/// A cache, no `PATH`, and the official places at `url`.
fn places(cache_dir: &Path, url: &str) -> Places {
    let mut places = Places::new(cache_dir, Vec::new());
    places.mirrors.kubernetes = url.to_owned();
    places.mirrors.etcd = url.to_owned();
    places.mirrors.coredns = url.to_owned();
    places
}

#[tokio::test]
async fn a_set_is_downloaded_once() {
    let (dir, wanted) = (tempfile::tempdir().unwrap(), crate::wanted("1.37.2"));
    let server = Server::start(official(&wanted));
    let places = places(dir.path(), &server.url);
    let set = programs(&crate::here(), &wanted, &places, &Silent)
        .await
        .unwrap();
    assert_eq!(set.lock.programs.len(), wanted.programs.len());
    for program in &wanted.programs {
        assert_eq!(
            fs::read(set.path(*program)).unwrap(),
            script(*program, &wanted),
            "{program}"
        );
        assert_eq!(
            fs::metadata(set.path(*program))
                .unwrap()
                .permissions()
                .mode()
                & 0o777,
            0o755
        );
    }
    assert!(set.lock.altered(&set.dir).unwrap().is_empty());
    assert_eq!(
        fs::read_dir(dir.path().join("downloads")).unwrap().count(),
        0
    );

    let asked = server.requests().len();
    let again = programs(&crate::here(), &wanted, &places, &Silent)
        .await
        .unwrap();
    assert_eq!(again, set);
    assert_eq!(server.requests().len(), asked, "a second run asks nobody");
}

#[tokio::test]
async fn a_program_that_changed_is_fetched_again_alone() {
    let (dir, wanted) = (tempfile::tempdir().unwrap(), crate::wanted("1.37.2"));
    let server = Server::start(official(&wanted));
    let places = places(dir.path(), &server.url);
    let set = programs(&crate::here(), &wanted, &places, &Silent)
        .await
        .unwrap();
    fs::write(set.path(ProgramName::Kubelet), "tampered").unwrap();
    fs::remove_file(set.path(ProgramName::Kubectl)).unwrap();
    let asked = server.requests().len();
    programs(&crate::here(), &wanted, &places, &Silent)
        .await
        .unwrap();
    assert_eq!(
        fs::read(set.path(ProgramName::Kubelet)).unwrap(),
        script(ProgramName::Kubelet, &wanted)
    );
    assert!(set.path(ProgramName::Kubectl).exists());
    assert_eq!(
        server.requests().len() - asked,
        4,
        "two files and their checksums"
    );
}

#[tokio::test]
async fn another_set_lends_what_it_shares() {
    let dir = tempfile::tempdir().unwrap();
    let (old, new) = (crate::wanted("1.36.0"), crate::wanted("1.35.0"));
    let mut answers = official(&old);
    answers.extend(official(&new));
    let server = Server::start(answers);
    let places = places(dir.path(), &server.url);
    programs(&crate::here(), &old, &places, &Silent)
        .await
        .unwrap();
    let asked = server.requests().len();
    let set = programs(&crate::here(), &new, &places, &Silent)
        .await
        .unwrap();
    // etcd and CoreDNS are the same; only the six of Kubernetes are fetched, with their checksums.
    assert_eq!(server.requests().len() - asked, 12);
    assert!(matches!(
        set.lock.programs[&ProgramName::Etcd].source,
        Source::Download { .. }
    ));
}

#[tokio::test]
async fn the_users_directory_goes_before_the_cache() {
    let (dir, wanted) = (tempfile::tempdir().unwrap(), crate::wanted("1.37.2"));
    let server = Server::start(official(&wanted));
    let mut places = places(&dir.path().join("cache"), &server.url);
    programs(&crate::here(), &wanted, &places, &Silent)
        .await
        .unwrap();

    let own = dir.path().join("own");
    let mut mine = script(ProgramName::Kubelet, &wanted);
    mine.extend(b"# my own\n");
    put(&own, ProgramName::Kubelet, &mine);
    put(
        &own,
        ProgramName::Etcd,
        b"#!/bin/sh\necho 'etcd Version: 3.4.23'\n",
    );
    places.bin_dir = Some(own.clone());
    let set = programs(&crate::here(), &wanted, &places, &Silent)
        .await
        .unwrap();
    assert_eq!(fs::read(set.path(ProgramName::Kubelet)).unwrap(), mine);
    assert_eq!(
        fs::read(set.path(ProgramName::Etcd)).unwrap(),
        script(ProgramName::Etcd, &wanted)
    );

    let found = observe(&crate::here(), &wanted, &places).await.unwrap();
    assert!(
        plan(&wanted, &found, &places.mirrors).unwrap().is_empty(),
        "a second run changes nothing"
    );
    assert!(
        found.rejected[0].1.ends_with("/etcd is 3.4.23, not 3.7.3"),
        "{:?}",
        found.rejected
    );

    mine.extend(b"# and changed\n");
    put(&own, ProgramName::Kubelet, &mine);
    programs(&crate::here(), &wanted, &places, &Silent)
        .await
        .unwrap();
    assert_eq!(fs::read(set.path(ProgramName::Kubelet)).unwrap(), mine);
}

#[tokio::test]
async fn path_serves_when_its_version_is_right() {
    let (dir, wanted) = (tempfile::tempdir().unwrap(), crate::wanted("1.37.2"));
    let (first, second) = (dir.path().join("a"), dir.path().join("b"));
    put(
        &first,
        ProgramName::Etcd,
        b"#!/bin/sh\necho 'etcd Version: 3.4.23'\n",
    );
    for program in &wanted.programs {
        put(&second, *program, &script(*program, &wanted));
    }
    let mut places = places(&dir.path().join("cache"), "http://127.0.0.1:9");
    places.path_dirs = vec![first, second.clone()];
    let set = programs(&crate::here(), &wanted, &places, &Silent)
        .await
        .unwrap();
    let etcd = &set.lock.programs[&ProgramName::Etcd].source;
    assert!(
        matches!(etcd, Source::File { path, .. } if *path == second.join("etcd")),
        "{etcd:?}"
    );
}

#[tokio::test]
async fn a_version_that_was_never_released_is_said_with_all_that_was_tried() {
    let (dir, wanted) = (tempfile::tempdir().unwrap(), crate::wanted("1.37.2"));
    let mut answers = official(&wanted);
    answers.retain(|path, _| !path.contains("/release/"));
    let server = Server::start(answers);
    let places = places(dir.path(), &server.url);
    let error = programs(&crate::here(), &wanted, &places, &Silent)
        .await
        .unwrap_err();
    let message = error.to_string();
    for part in [
        "of kubernetes",
        "HTTP status 404",
        "there is no Go in PATH",
        "--bin-dir",
    ] {
        assert!(message.contains(part), "{part:?} is not in {message}");
    }
    // What could be had before is kept for the next run.
    let lock = Lock::read(&places.set_dir(&wanted)).unwrap().unwrap();
    assert_eq!(lock.programs.len(), 3);
}

/// A `go` that knows its version and no module: what a machine without a module proxy has.
#[tokio::test]
async fn a_build_without_modules_is_said_beside_the_download() {
    let (dir, wanted) = (tempfile::tempdir().unwrap(), crate::wanted("1.37.2"));
    let tools = dir.path().join("tools");
    fs::create_dir(&tools).unwrap();
    let go = "#!/bin/sh\n[ \"$1\" = version ] && exec echo go version go1.26.8 linux/amd64\n\
              echo unknown revision >&2\nexit 1\n";
    fs::write(tools.join("go"), go).unwrap();
    fs::set_permissions(tools.join("go"), fs::Permissions::from_mode(0o755)).unwrap();
    let mut places = places(&dir.path().join("cache"), "http://127.0.0.1:9");
    places.path_dirs = vec![tools];
    let error = programs(&crate::here(), &wanted, &places, &Silent)
        .await
        .unwrap_err();
    let message = error.to_string();
    for part in [
        "http://127.0.0.1:9: ",
        "cannot get the Go modules of etcd",
        "unknown revision",
        "--bin-dir",
    ] {
        assert!(message.contains(part), "{part:?} is not in {message}");
    }
}

#[tokio::test]
async fn what_a_killed_run_left_is_removed() {
    let (dir, wanted) = (tempfile::tempdir().unwrap(), crate::wanted("1.37.2"));
    let server = Server::start(official(&wanted));
    let places = places(dir.path(), &server.url);
    let set_dir = places.set_dir(&wanted);
    fs::create_dir_all(&set_dir).unwrap();
    fs::write(set_dir.join(".kubelet.1.part"), "half").unwrap();
    // Renamed, but not recorded: nobody knows what it is.
    fs::write(set_dir.join("kubectl"), "unknown").unwrap();
    let set = programs(&crate::here(), &wanted, &places, &Silent)
        .await
        .unwrap();
    assert!(!set_dir.join(".kubelet.1.part").exists());
    assert_eq!(
        fs::read(set.path(ProgramName::Kubectl)).unwrap(),
        script(ProgramName::Kubectl, &wanted)
    );
}

#[tokio::test]
async fn a_wrong_checksum_stops_everything() {
    let (dir, wanted) = (tempfile::tempdir().unwrap(), crate::wanted("1.37.2"));
    let mut answers = official(&wanted);
    let kubelet = answers
        .keys()
        .find(|path| path.ends_with("/kubelet"))
        .unwrap()
        .clone();
    answers.insert(kubelet, Answer::Body(b"something else".to_vec()));
    let server = Server::start(answers);
    let places = places(dir.path(), &server.url);
    let error = programs(&crate::here(), &wanted, &places, &Silent)
        .await
        .unwrap_err();
    assert!(matches!(error, ProgramsError::Download(_)), "{error}");
    assert!(!places.set_dir(&wanted).join("kubelet").exists());
}

#[tokio::test]
async fn a_lock_that_is_no_lock_is_named_with_its_remedy() {
    let (dir, wanted) = (tempfile::tempdir().unwrap(), crate::wanted("1.37.2"));
    let places = places(dir.path(), "http://127.0.0.1:9");
    let set_dir = places.set_dir(&wanted);
    fs::create_dir_all(&set_dir).unwrap();
    let mut file = fs::File::create(set_dir.join("lock.json")).unwrap();
    file.write_all(b"{").unwrap();
    let error = programs(&crate::here(), &wanted, &places, &Silent)
        .await
        .unwrap_err();
    assert!(
        error.to_string().contains("lock.json; remove it"),
        "{error}"
    );
}
