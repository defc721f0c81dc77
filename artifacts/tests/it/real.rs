//! With the real Go, C compiler and containerd.

use artifacts::{
    Architecture, BuiltImage, Cloned, Go, IMPORT_IMAGES, Image, ImageFile, ImageSet, Places,
    ProgramName, Source, build_web, clone_root, containerd_root, observe, packages, programs,
};
use host_exec::{Command, Host as _, Status, Stdin, event::Silent, poll};
use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

/// A directory on a real file system: `/tmp` can be a tmpfs, on which overlayfs works, but not an overlay.
fn scratch() -> tempfile::TempDir {
    tempfile::tempdir_in("/var/tmp").unwrap()
}

/// The machine's `PATH`, and official places that nobody answers at.
fn places_without_downloads(dir: &Path) -> Places {
    let mut places = crate::places(dir);
    for base in [
        &mut places.mirrors.kubernetes,
        &mut places.mirrors.etcd,
        &mut places.mirrors.coredns,
    ] {
        *base = "http://127.0.0.1:9".to_owned();
    }
    places
}

async fn web(dir: &Path) -> std::path::PathBuf {
    let places = places_without_downloads(dir);
    let found = observe(&crate::here(), &crate::wanted("1.37.2"), &places)
        .await
        .unwrap();
    let Go::Found { path, .. } = found.go else {
        panic!("no Go: {:?}", found.go)
    };
    build_web(
        &crate::here(),
        &path,
        Architecture::here().unwrap(),
        &places,
    )
    .await
    .unwrap()
}

/// The smallest of all programs that say their version: a minute with an empty build cache.
#[tokio::test]
#[ignore = "needs go and its module proxy"]
async fn a_program_is_built_once_and_another_joins_it() {
    let dir = scratch();
    let (here, mut places) = (crate::here(), places_without_downloads(dir.path()));
    // Only the Go of PATH, not an etcdctl that happens to be there.
    let go = places.in_path("go").unwrap();
    places.path_dirs = vec![go.parent().unwrap().to_owned()];
    let mut wanted = crate::wanted("1.37.2");
    wanted.programs = vec![ProgramName::Etcdctl];
    let set = programs(&here, &wanted, &places, &Silent).await.unwrap();
    let built = set.lock.programs[&ProgramName::Etcdctl].clone();
    assert!(matches!(built.source, Source::Build { .. }), "{built:?}");
    assert!(set.lock.altered(&set.dir).unwrap().is_empty());

    wanted.programs.push(ProgramName::Etcdutl);
    let both = programs(&here, &wanted, &places, &Silent).await.unwrap();
    assert_eq!(both.lock.programs.len(), 2);
    assert_eq!(
        both.lock.programs[&ProgramName::Etcdctl],
        built,
        "it was not built again"
    );
}

#[tokio::test]
#[ignore = "needs go"]
async fn the_web_program_serves_and_asks() {
    let dir = scratch();
    let program = web(dir.path()).await.to_string_lossy().into_owned();
    fs::write(dir.path().join("page"), "from a volume\n").unwrap();
    let free = std::net::TcpListener::bind("[::1]:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let here = crate::here();
    let serve = Command::new(&program).args([
        "serve",
        "-listen",
        &free.to_string(),
        "-files",
        &dir.path().to_string_lossy(),
    ]);
    let client = |arguments: &[&str]| Command::new(&program).args(arguments.iter().copied());
    let talk = async {
        let url = format!("http://{free}");
        let wait = poll::Wait::new("answer from web", Duration::from_secs(10));
        let answer = poll::until(&wait, || async {
            Ok::<_, std::convert::Infallible>(match here.run(&client(&["get", &url])).await {
                Ok(output) => poll::Attempt::Ready(output.stdout_text().into_owned()),
                Err(e) => poll::Attempt::NotYet(e.to_string()),
            })
        });
        let answer = answer.await.unwrap();
        assert!(
            answer.starts_with("pod ") && answer.contains("\nclient [::1]:"),
            "{answer}"
        );
        let page = here
            .run(&client(&["get", &format!("{url}/files/page")]))
            .await
            .unwrap();
        assert_eq!(page.stdout_text(), "from a volume\n");
        let missing = here
            .output(&client(&["get", &format!("{url}/files/none")]))
            .await
            .unwrap();
        assert!(missing.stderr_text().contains("404"), "{missing:?}");
        let tcp = here
            .run(&client(&["tcp", &free.to_string()]))
            .await
            .unwrap();
        assert!(
            tcp.stdout_text()
                .trim_end()
                .ends_with(&format!("-> {free}"))
        );
        let name = here.run(&client(&["lookup", "localhost"])).await.unwrap();
        assert!(name.stdout_text().contains("127.0.0.1"));
        assert!(here.run(&client(&["sleep", "1ms"])).await.is_ok());
        assert!(here.run(&client(&["dance"])).await.is_err());
    };
    tokio::select! {
        ended = here.output(&serve) => panic!("the server ended: {ended:?}"),
        () = talk => {}
    }
}

fn images(dir: &Path) -> ImageSet {
    let image = |name: &str| {
        let image = Image {
            reference: format!("lab.local/{name}:1").parse().unwrap(),
            architecture: Architecture::here().unwrap(),
            files: vec![ImageFile {
                path: format!("/{name}"),
                contents: name.repeat(1000).into_bytes(),
                mode: 0o755,
            }],
            entrypoint: vec![format!("/{name}")],
            user: "65532:65532".to_owned(),
            env: Vec::new(),
        };
        let archive = dir.join(format!("{name}.tar"));
        fs::write(&archive, image.archive().unwrap()).unwrap();
        BuiltImage {
            reference: image.reference,
            archive,
        }
    };
    ImageSet {
        images: vec![image("one"), image("two")],
        left_out: Vec::new(),
    }
}

/// Imports into a root, clones it twice, and starts containerd on a clone: the images are there, pinned and unpacked.
#[tokio::test]
#[ignore = "needs containerd"]
async fn a_containerd_root_is_made_once_and_serves_every_clone() {
    let dir = scratch();
    let (places, here) = (crate::places(&dir.path().join("cache")), crate::here());
    let images = images(dir.path());
    let opt = Path::new("/opt/containerd").exists();
    let root = containerd_root(&here, &images, &places, &Silent)
        .await
        .unwrap();
    let made = fs::metadata(&root).unwrap().modified().unwrap();
    assert_eq!(
        Path::new("/opt/containerd").exists(),
        opt,
        "nothing is made outside of the cache"
    );
    let again = containerd_root(&here, &images, &places, &Silent)
        .await
        .unwrap();
    assert_eq!(again, root);
    assert_eq!(fs::metadata(&root).unwrap().modified().unwrap(), made);

    for machine in ["cp-0", "worker-0"] {
        let to = dir.path().join(machine).join("containerd");
        assert_eq!(clone_root(&root, &to).unwrap(), Cloned::Made);
        assert_eq!(clone_root(&root, &to).unwrap(), Cloned::AlreadyThere);
        let listed = listed_in(dir.path(), &to).await;
        for name in ["lab.local/one:1", "lab.local/two:1"] {
            let line = listed.lines().find(|line| line.starts_with(name));
            let line = line.unwrap_or_else(|| panic!("{name} is not in {listed}"));
            assert!(line.contains("io.cri-containerd.pinned=pinned"), "{line}");
        }
        let fs_of_one = fs::read_dir(to.join("io.containerd.snapshotter.v1.overlayfs/snapshots"))
            .unwrap()
            .any(|entry| entry.unwrap().path().join("fs/one").exists());
        assert!(fs_of_one, "the image is unpacked");
    }
}

/// What a containerd with this root lists in the namespace of the kubelet.
async fn listed_in(dir: &Path, root: &Path) -> String {
    let here = crate::here();
    let state = tempfile::tempdir_in("/run").unwrap();
    let socket = state.path().join("c.sock").to_string_lossy().into_owned();
    let config = dir.join("config.toml");
    let text = format!(
        "version = 2\nroot = {root:?}\nstate = {:?}\n\
         disabled_plugins = [\"io.containerd.grpc.v1.cri\", \"io.containerd.internal.v1.opt\"]\n[grpc]\n  address = {socket:?}\n",
        state.path().join("state"),
    );
    fs::write(&config, text).unwrap();
    let daemon = Command::new("containerd").args(["--config", &config.to_string_lossy()]);
    let list = Command::new("ctr").args(["--address", &socket, "-n", "k8s.io", "images", "ls"]);
    let wait = poll::Wait::new("list of images", Duration::from_secs(30));
    let ask = poll::until(&wait, || async {
        Ok::<_, std::convert::Infallible>(match here.run(&list).await {
            Ok(output) => poll::Attempt::Ready(output.stdout_text().into_owned()),
            Err(e) => poll::Attempt::NotYet(e.to_string()),
        })
    });
    tokio::select! {
        ended = here.output(&daemon) => panic!("containerd ended: {ended:?}"),
        listed = ask => listed.unwrap(),
    }
}

/// The script that guests run, with these images in `folder`; in a run directory whose socket has a short path.
struct Guest {
    folder: PathBuf,
    root: PathBuf,
    run: tempfile::TempDir,
}

impl Guest {
    fn new(dir: &Path) -> Self {
        let folder = dir.join("programs");
        fs::create_dir(&folder).unwrap();
        for image in images(dir).images {
            let name = image.archive.file_name().unwrap().to_string_lossy();
            let to = folder.join(format!("image-{name}"));
            fs::rename(&image.archive, to).unwrap();
        }
        Self {
            folder,
            root: dir.join("containerd"),
            run: tempfile::tempdir_in("/run").unwrap(),
        }
    }

    fn run(&self) -> PathBuf {
        self.run.path().join("import")
    }

    fn import(&self) -> Command {
        let paths = [&self.folder, &self.root, &self.run()].map(|p| p.display().to_string());
        let words = ["-c", IMPORT_IMAGES, "lab-images"];
        Command::new("sh").args(words).args(paths)
    }

    async fn assert_imported(&self, dir: &Path) {
        let listed = listed_in(dir, &self.root).await;
        for name in ["lab.local/one:1", "lab.local/two:1"] {
            let line = listed.lines().find(|line| line.starts_with(name));
            let line = line.unwrap_or_else(|| panic!("{name} is not in {listed}"));
            assert!(line.contains("io.cri-containerd.pinned=pinned"), "{line}");
        }
        assert!(!self.run().exists(), "nothing is left of the run");
    }

    async fn refusal(&self) -> String {
        let output = crate::here().output(&self.import()).await.unwrap();
        let said = output.stderr_text().into_owned();
        assert_eq!(output.status, Status::Exited(1), "{said}");
        said
    }
}

#[tokio::test]
#[ignore = "needs containerd"]
async fn a_guest_imports_its_images_once_and_again_when_they_change() {
    let dir = scratch();
    let guest = Guest::new(dir.path());
    crate::here().run(&guest.import()).await.unwrap();
    guest.assert_imported(dir.path()).await;
    let database = guest.root.join("io.containerd.metadata.v1.bolt/meta.db");
    let changed = || fs::metadata(&database).unwrap().modified().unwrap();
    let before = changed();
    crate::here().run(&guest.import()).await.unwrap();
    assert_eq!(changed(), before, "a second run starts no containerd");
    fs::remove_file(guest.folder.join("image-two.tar")).unwrap();
    crate::here().run(&guest.import()).await.unwrap();
    assert!(changed() > before);
    guest.assert_imported(dir.path()).await;
}

#[tokio::test]
#[ignore = "needs containerd"]
async fn a_guests_import_that_was_killed_is_finished_by_the_next() {
    let dir = scratch();
    let guest = Guest::new(dir.path());
    let (here, command) = (crate::here(), guest.import());
    let listed = guest.run().join("listed");
    let wait = poll::Wait::new("first image", Duration::from_secs(30));
    let first = poll::until(&wait, || {
        std::future::ready(Ok::<_, std::convert::Infallible>(match listed.exists() {
            true => poll::Attempt::Ready(()),
            false => poll::Attempt::NotYet("it is not imported".to_owned()),
        }))
    });
    tokio::select! {
        ended = here.output(&command) => panic!("it was not killed: {ended:?}"),
        killed = first => killed.unwrap(),
    }
    assert!(guest.run().exists() && !guest.root.join("lab-images").exists());
    here.run(&command).await.unwrap();
    guest.assert_imported(dir.path()).await;
}

#[tokio::test]
#[ignore = "needs containerd"]
async fn a_guests_import_that_cannot_be_done_says_why() {
    let dir = scratch();
    let guest = Guest::new(dir.path());
    let two = guest.folder.join("image-two.tar");
    fs::rename(&two, guest.folder.join("image-three.tar")).unwrap();
    let said = guest.refusal().await;
    assert!(
        said.ends_with("image-three.tar has no image lab.local/three\n"),
        "{said}"
    );
    fs::write(guest.folder.join("image-three.tar"), "no archive").unwrap();
    let said = guest.refusal().await;
    assert!(said.contains("image-three.tar: ctr: "), "{said}");
    assert!(!guest.root.join("lab-images").exists());
    // As a containerd that runs holds it.
    let database = guest.root.join("io.containerd.metadata.v1.bolt/meta.db");
    let held = fs::File::open(&database).unwrap();
    held.lock().unwrap();
    let said = guest.refusal().await;
    assert!(said.contains("already: stop it"), "{said}");
    drop(held);
    fs::remove_dir_all(&guest.folder).unwrap();
    fs::create_dir(&guest.folder).unwrap();
    let said = guest.refusal().await;
    assert!(
        said.contains("is the disk of programs mounted there?"),
        "{said}"
    );
}

#[tokio::test]
#[ignore = "needs shellcheck"]
async fn the_guests_script_is_clean() {
    let check = Command::new("shellcheck").args(["--shell=sh", "-"]);
    let checked = crate::here()
        .run(&check.stdin(Stdin::Bytes(IMPORT_IMAGES.into())))
        .await;
    checked.unwrap();
}

#[tokio::test]
#[ignore = "needs systemd-nspawn, nft and containerd"]
async fn a_machine_that_has_everything_lacks_nothing() {
    let missing = packages::missing(&crate::here(), &packages::REQUIREMENTS)
        .await
        .unwrap();
    let needed: Vec<_> = missing.iter().filter(|m| !m.optional).collect();
    assert!(needed.is_empty(), "{needed:?}");
}
