//! Archives of images, and copies of a containerd root.

use artifacts::{
    Architecture, Cloned, Go, HostTools, Image, ImageFile, ImagesFound, Lock, Places, ProgramSet,
    Sha256, clone_root, image_recipes, plan_images,
};
use std::{
    collections::BTreeMap,
    fs,
    io::Read as _,
    os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink},
    path::Path,
};

fn image() -> Image {
    let file = |path: &str, mode| ImageFile {
        path: path.to_owned(),
        contents: path.as_bytes().to_vec(),
        mode,
    };
    Image {
        reference: "lab.local/web:1".parse().unwrap(),
        architecture: Architecture::Amd64,
        files: vec![
            file("/web", 0o755),
            file("/etc/passwd", 0o644),
            file("etc/group", 0o644),
        ],
        entrypoint: vec!["/web".to_owned()],
        user: "65532:65532".to_owned(),
        env: vec!["PATH=/".to_owned()],
    }
}

fn members(tar: &[u8]) -> BTreeMap<String, (Vec<u8>, tar::Header)> {
    let mut archive = tar::Archive::new(tar);
    let entries = archive.entries().unwrap().map(|entry| {
        let mut entry = entry.unwrap();
        let mut contents = Vec::new();
        entry.read_to_end(&mut contents).unwrap();
        let path = entry.path().unwrap().to_string_lossy().into_owned();
        (path, (contents, entry.header().clone()))
    });
    entries.collect()
}

#[test]
fn the_same_image_gives_the_same_bytes() {
    let mut other_order = image();
    other_order.files.reverse();
    assert_eq!(image().archive().unwrap(), other_order.archive().unwrap());
    for (_, header) in members(&image().archive().unwrap()).values() {
        assert_eq!((header.mtime().unwrap(), header.uid().unwrap()), (0, 0));
    }
}

/// From the index over the manifest to the layer, as an importer goes.
#[test]
fn every_digest_leads_to_its_blob() {
    let files = members(&image().archive().unwrap());
    let json =
        |path: &str| -> serde_json::Value { serde_json::from_slice(&files[path].0).unwrap() };
    let blob = |descriptor: &serde_json::Value| {
        let digest = descriptor["digest"]
            .as_str()
            .unwrap()
            .strip_prefix("sha256:")
            .unwrap();
        let path = format!("blobs/sha256/{digest}");
        assert_eq!(Sha256::of(&files[&path].0).as_str(), digest);
        assert_eq!(descriptor["size"], files[&path].0.len());
        path
    };
    let listed = &json("index.json")["manifests"][0];
    assert_eq!(
        listed["annotations"]["io.containerd.image.name"],
        "lab.local/web:1"
    );
    let manifest = json(&blob(listed));
    let config = json(&blob(&manifest["config"]));
    let layer = blob(&manifest["layers"][0]);
    let diff_id = format!("sha256:{}", layer.rsplit('/').next().unwrap());
    assert_eq!(config["rootfs"]["diff_ids"][0], diff_id.as_str());
    assert_eq!(config["config"]["Entrypoint"][0], "/web");
    assert_eq!(config["config"]["User"], "65532:65532");
    assert_eq!(json("manifest.json")[0]["Layers"][0], layer.as_str());
    let inside = members(&files[&layer].0);
    let names: Vec<_> = inside.keys().map(String::as_str).collect();
    assert_eq!(names, ["etc/", "etc/group", "etc/passwd", "web"]);
    assert_eq!(inside["web"].1.mode().unwrap(), 0o755);
}

#[test]
fn a_path_out_of_the_image_is_refused() {
    let mut image = image();
    image.files[0].path = "../web".to_owned();
    assert!(image.archive().is_err());
}

/// Nobody does without what was asked for.
fn metrics_server_is_asked_for(set: &ProgramSet, places: &Places, found: &ImagesFound) {
    let mut found = found.clone();
    for (kubernetes, version) in [
        ("1.28.3", "0.8.0"),
        ("1.33.1", "0.8.0"),
        ("1.37.2", "0.9.0"),
    ] {
        let wanted = crate::wanted(kubernetes).with_metrics_server();
        let recipes = image_recipes(&wanted, set, places).unwrap();
        let last = recipes.last().unwrap();
        let expected = format!("lab.local/metrics-server:v{version}");
        assert_eq!(last.reference.as_str(), expected);
        found.go = Go::Missing("there is no Go in PATH".to_owned());
        let message = plan_images(&wanted, &recipes, &found)
            .unwrap_err()
            .to_string();
        assert!(
            message.contains("there is no Go in PATH; install Go"),
            "{message}"
        );
        found.go = Go::Found {
            path: "/go".into(),
            version: "1.26.8".parse().unwrap(),
        };
        let (steps, _) = plan_images(&wanted, &recipes, &found).unwrap();
        assert_eq!(
            steps.last().unwrap().to_string(),
            format!("make {expected} with /go")
        );
    }
}

#[test]
fn without_go_the_web_image_is_left_out_and_without_cc_nothing_goes() {
    let wanted = crate::wanted("1.37.2");
    let dir = tempfile::tempdir().unwrap();
    let places = crate::places(dir.path());
    let entry = r#"{"version": "1.15.0", "source": {"from": "build", "go": "1.26.8"}, "sha256":
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        "stamp": {"size_bytes": 0, "modified_ns": 0}}"#;
    let set = ProgramSet {
        dir: dir.path().to_owned(),
        lock: Lock {
            versions: wanted.versions.clone(),
            architecture: wanted.architecture,
            programs: [(
                artifacts::ProgramName::Coredns,
                serde_json::from_str(entry).unwrap(),
            )]
            .into(),
        },
    };
    let recipes = image_recipes(&wanted, &set, &places).unwrap();
    let names: Vec<_> = recipes
        .iter()
        .map(|recipe| recipe.reference.as_str())
        .collect();
    assert_eq!(
        names,
        [
            "lab.local/pause:3.10.2",
            "lab.local/coredns:v1.15.0",
            "lab.local/web:1"
        ]
    );

    let mut found = ImagesFound {
        archives: Vec::new(),
        cc: Some("/usr/bin/cc".into()),
        go: Go::Missing("there is no Go in PATH".to_owned()),
        netfilter: HostTools::default(),
    };
    let (steps, left_out) = plan_images(&wanted, &recipes, &found).unwrap();
    assert_eq!((steps.len(), left_out.len()), (2, 1));
    assert_eq!(
        left_out[0].reason,
        "it is written in Go: there is no Go in PATH"
    );
    metrics_server_is_asked_for(&set, &places, &found);
    found.cc = None;
    let message = plan_images(&wanted, &recipes, &found)
        .unwrap_err()
        .to_string();
    assert!(
        message.contains("lab.local/pause:3.10.2") && message.contains("apt-get install gcc"),
        "{message}"
    );
    found.archives = recipes
        .iter()
        .map(|recipe| recipe.archive.clone())
        .collect();
    assert_eq!(
        plan_images(&wanted, &recipes, &found).unwrap(),
        (Vec::new(), Vec::new())
    );
}

fn root(dir: &Path) {
    fs::create_dir_all(dir.join("snapshots/1/fs")).unwrap();
    fs::write(dir.join("snapshots/1/fs/web"), "program").unwrap();
    fs::set_permissions(
        dir.join("snapshots/1/fs/web"),
        fs::Permissions::from_mode(0o755),
    )
    .unwrap();
    symlink("web", dir.join("snapshots/1/fs/link")).unwrap();
    fs::write(dir.join("meta.db"), "database").unwrap();
    fs::set_permissions(dir.join("snapshots"), fs::Permissions::from_mode(0o700)).unwrap();
}

#[test]
fn a_clone_shares_contents_and_owns_its_databases() {
    let dir = tempfile::tempdir().unwrap();
    let (from, to) = (
        dir.path().join("from"),
        dir.path().join("machine/containerd"),
    );
    root(&from);
    assert_eq!(clone_root(&from, &to).unwrap(), Cloned::Made);
    let inode = |root: &Path, name: &str| fs::metadata(root.join(name)).unwrap().ino();
    assert_eq!(
        inode(&from, "snapshots/1/fs/web"),
        inode(&to, "snapshots/1/fs/web")
    );
    assert_ne!(inode(&from, "meta.db"), inode(&to, "meta.db"));
    assert_eq!(
        fs::read_link(to.join("snapshots/1/fs/link")).unwrap(),
        Path::new("web")
    );
    assert_eq!(
        fs::metadata(to.join("snapshots")).unwrap().mode() & 0o7777,
        0o700
    );

    fs::write(to.join("meta.db"), "changed by the machine").unwrap();
    assert_eq!(fs::read(from.join("meta.db")).unwrap(), b"database");
    assert_eq!(clone_root(&from, &to).unwrap(), Cloned::AlreadyThere);
    assert_eq!(
        fs::read(to.join("meta.db")).unwrap(),
        b"changed by the machine"
    );
}

#[test]
fn a_clone_that_was_killed_is_made_again() {
    let dir = tempfile::tempdir().unwrap();
    let (from, to) = (dir.path().join("from"), dir.path().join("containerd"));
    root(&from);
    fs::create_dir_all(dir.path().join("containerd.cloning/half")).unwrap();
    fs::create_dir(&to).unwrap();
    assert_eq!(clone_root(&from, &to).unwrap(), Cloned::Made);
    assert!(!dir.path().join("containerd.cloning").exists());
    assert!(!to.join("half").exists());
}

#[test]
fn a_root_that_is_not_there_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let error = clone_root(&dir.path().join("none"), &dir.path().join("to")).unwrap_err();
    assert!(error.to_string().ends_with("/none"), "{error}");
    assert!(!dir.path().join("to").exists());
}
