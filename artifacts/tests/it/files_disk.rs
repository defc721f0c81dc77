//! Disks of files: the same for the same files, and as mtools and dosfstools take them.

use artifacts::{
    BuiltImage, DiskFile, DiskLabel, FilesDisk, FilesDiskError, ImageSet, Lock, MACHINE_PROGRAMS,
    ProgramSet, ProgramsDiskError, Sha256, WrittenDisk, programs_disk,
};
use host_exec::{Command, Host as _, event::Silent};
use std::{
    fs::{self, File},
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

/// Files of all kinds of length: none, one cluster, just more, and several; with short, long and mixed names.
fn files(dir: &Path) -> Vec<DiskFile> {
    let longest = "n".repeat(100);
    let sizes = [
        ("etcd", 1_000_003),
        ("kube-controller-manager", 512),
        ("image-coredns.tar", 513),
        ("Empty", 0),
        ("README.md", 1),
        (longest.as_str(), 13),
    ];
    let file = |(name, size): (&str, usize)| {
        let contents = dir.join(name);
        let bytes: Vec<u8> = name.bytes().cycle().take(size).collect();
        fs::write(&contents, bytes).unwrap();
        DiskFile {
            name: name.parse().unwrap(),
            contents,
        }
    };
    sizes.map(file).into()
}

fn write(dir: &Path, files: Vec<DiskFile>) -> (PathBuf, WrittenDisk) {
    let path = dir.join("disk.img");
    let disk = FilesDisk::new(DiskLabel::PROGRAMS, files).unwrap();
    let written = disk.write(&mut File::create(&path).unwrap()).unwrap();
    assert_eq!(written.bytes, disk.bytes());
    (path, written)
}

async fn run(program: &str, arguments: &[&str]) -> String {
    let command = Command::new(program).args(arguments.iter().copied());
    let output = crate::here().run(&command).await.unwrap();
    output.stdout_text().into_owned()
}

#[test]
fn the_same_files_give_the_same_bytes() {
    let dir = tempfile::tempdir().unwrap();
    let mut other_order = files(dir.path());
    other_order.reverse();
    let (path, written) = write(dir.path(), other_order);
    assert_eq!(written.bytes, fs::metadata(&path).unwrap().len());
    assert_eq!(written.sha256, Sha256::of_file(&path).unwrap());
    assert_eq!(write(dir.path(), files(dir.path())).1, written);
    // Pinned: a change of the format is to be seen, and to raise the version in the names of the cache.
    assert_eq!(
        written.sha256.as_str(),
        "62f9ac5383e1d4228268f8a3284e2ba87ea609bfb72476925b76a41648bd7c52"
    );
}

#[test]
fn what_cannot_be_on_a_disk_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let refused = |files: Vec<DiskFile>| {
        let error = FilesDisk::new(DiskLabel::PROGRAMS, files).unwrap_err();
        error.to_string()
    };
    let mut twice = files(dir.path());
    twice.push(DiskFile {
        name: "ETCD".parse().unwrap(),
        contents: dir.path().join("etcd"),
    });
    assert!(refused(twice).starts_with("the disk would have both ETCD and etcd"));
    let file = |contents: PathBuf| {
        let name = "file".parse().unwrap();
        vec![DiskFile { name, contents }]
    };
    assert!(refused(file(dir.path().to_owned())).ends_with("only files go onto the disk"));
    assert!(refused(file(dir.path().join("none"))).contains("/none, which is to go onto"));
    let large = dir.path().join("large");
    File::create(&large).unwrap().set_len(1 << 32).unwrap();
    assert!(refused(file(large)).contains("/large has 4294967296 bytes"));
}

#[test]
fn names_and_labels_are_checked() {
    for name in ["", ".a", "a.", "a b", "a/b", "a~1", "ä", &"a".repeat(101)] {
        assert!(name.parse::<artifacts::FileName>().is_err(), "{name}");
    }
    for label in ["", "lab", "A B", "ABCDEFGHIJKL"] {
        assert!(label.parse::<DiskLabel>().is_err(), "{label}");
    }
    assert_eq!("LABPROGS".parse(), Ok(DiskLabel::PROGRAMS));
    assert_eq!(DiskLabel::PROGRAMS.to_string(), "LABPROGS");
}

#[test]
fn a_file_that_grows_or_shrinks_is_named() {
    let dir = tempfile::tempdir().unwrap();
    for size in [0, 999_999, 1_000_004] {
        let disk = FilesDisk::new(DiskLabel::PROGRAMS, files(dir.path())).unwrap();
        let etcd = dir.path().join("etcd");
        fs::write(&etcd, vec![7; size]).unwrap();
        let error = disk.write(&mut Vec::new()).unwrap_err();
        assert!(
            matches!(&error, FilesDiskError::Changed { path } if *path == etcd),
            "{error}"
        );
    }
}

#[tokio::test]
#[ignore = "needs mtools"]
async fn mtools_reads_the_files_back() {
    let dir = tempfile::tempdir().unwrap();
    let files = files(dir.path());
    let (image, _) = write(dir.path(), files.clone());
    let (image, back) = (
        image.to_string_lossy().into_owned(),
        dir.path().join("back"),
    );
    fs::create_dir(&back).unwrap();
    let listed = run("mdir", &["-b", "-i", &image, "::/"]).await;
    let mut names: Vec<_> = files.iter().map(|file| file.name.as_str()).collect();
    names.sort_by_key(|name| name.to_ascii_lowercase());
    let listed: Vec<_> = listed.lines().map(|line| &line[3..]).collect();
    assert_eq!(listed, names);
    run("mcopy", &["-i", &image, "::/*", &back.to_string_lossy()]).await;
    for file in &files {
        let name = file.name.as_str();
        let same = fs::read(&file.contents).unwrap() == fs::read(back.join(name)).unwrap();
        assert!(same, "{name}");
    }
    let label = run("mlabel", &["-i", &image, "-s", "::"]).await;
    assert_eq!(label.trim(), "Volume label is LABPROGS");
}

#[tokio::test]
#[ignore = "needs dosfstools"]
async fn fsck_finds_no_fault() {
    let dir = tempfile::tempdir().unwrap();
    let all = files(dir.path());
    let large = dir.path().join("large");
    File::create(&large).unwrap().set_len(300 << 20).unwrap();
    let large = DiskFile {
        name: "large".parse().unwrap(),
        contents: large,
    };
    for (files, count) in [
        (vec![], 1),
        (all.clone(), 7),
        ([all, vec![large]].concat(), 8),
    ] {
        let (image, _) = write(dir.path(), files);
        let said = run(
            "/usr/sbin/fsck.vfat",
            &["-n", "-v", &image.to_string_lossy()],
        )
        .await;
        assert!(said.contains("32 bit entries"), "{said}");
        // The label counts as a file, and the root directory takes a cluster.
        assert!(said.contains(&format!(": {count} files, ")), "{said}");
    }
}

#[tokio::test]
#[ignore = "needs blkid"]
async fn blkid_sees_the_label() {
    let dir = tempfile::tempdir().unwrap();
    let (image, _) = write(dir.path(), files(dir.path()));
    let words = ["-p", "-o", "export", &image.to_string_lossy()];
    let said = run("/usr/sbin/blkid", &words).await;
    for line in ["LABEL=LABPROGS", "TYPE=vfat", "VERSION=FAT32"] {
        assert!(said.lines().any(|found| found == line), "{said}");
    }
}

/// A set with a file for each program, and one image.
fn set(dir: &Path) -> (ProgramSet, ImageSet) {
    let wanted = crate::wanted("1.37.2");
    let mut lock = Lock {
        versions: wanted.versions.clone(),
        architecture: wanted.architecture,
        programs: Default::default(),
    };
    for program in MACHINE_PROGRAMS {
        fs::write(dir.join(program.as_str()), program.as_str()).unwrap();
        let sha256 = Sha256::of(program.as_str().as_bytes());
        let entry = format!(
            r#"{{"version": "1.2.3", "source": {{"from": "build", "go": "1.26.8"}}, "sha256": "{sha256}",
            "stamp": {{"size_bytes": 0, "modified_ns": 0}}}}"#
        );
        lock.programs
            .insert(program, serde_json::from_str(&entry).unwrap());
    }
    let archive = dir.join("web-1-0123456789ab.tar");
    fs::write(&archive, "an archive").unwrap();
    let images = ImageSet {
        images: vec![BuiltImage {
            reference: "lab.local/web:1".parse().unwrap(),
            archive,
        }],
        left_out: Vec::new(),
    };
    let dir = dir.to_owned();
    (ProgramSet { dir, lock }, images)
}

#[tokio::test]
#[ignore = "needs mtools"]
async fn a_programs_disk_is_written_once_and_again_when_it_is_not_whole() {
    let dir = tempfile::tempdir().unwrap();
    let places = crate::places(&dir.path().join("cache"));
    let (set, images) = set(dir.path());
    let disk = || async {
        programs_disk(&set, &images, &places, &Silent)
            .await
            .unwrap()
    };
    let first = disk().await;
    let inode = || fs::metadata(&first.path).unwrap().ino();
    let made = inode();
    assert_eq!(disk().await, first);
    assert_eq!(inode(), made, "a second run writes nothing");
    let image = first.path.to_string_lossy().into_owned();
    let listed = run("mdir", &["-b", "-i", &image, "::/"]).await;
    let listed: Vec<_> = listed.lines().map(|line| &line[3..]).collect();
    let mut names: Vec<_> = MACHINE_PROGRAMS.iter().map(|p| p.as_str()).collect();
    names.push("image-web.tar");
    names.sort_unstable();
    assert_eq!(listed, names);
    let web = run("mtype", &["-i", &image, "::/image-web.tar"]).await;
    assert_eq!(web, "an archive");

    // Killed before its record was there; and changed by somebody.
    fs::remove_file(first.path.with_extension("json")).unwrap();
    assert_eq!(disk().await, first);
    fs::write(&first.path, "half").unwrap();
    assert_eq!(disk().await, first);
    assert_eq!(Sha256::of_file(&first.path).unwrap(), first.sha256);
    let names = fs::read_dir(first.path.parent().unwrap()).unwrap();
    assert_eq!(names.count(), 3, "the disk, its record and the lock");
}

#[tokio::test]
async fn a_programs_disk_lacks_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let places = crate::places(&dir.path().join("cache"));
    let (mut set, images) = set(dir.path());
    fs::remove_file(&images.images[0].archive).unwrap();
    let error = programs_disk(&set, &images, &places, &Silent).await;
    assert!(matches!(error, Err(ProgramsDiskError::NoArchive { .. })));
    set.lock.programs.remove(&artifacts::ProgramName::Kubelet);
    let error = programs_disk(&set, &images, &places, &Silent).await;
    let message = error.unwrap_err().to_string();
    assert!(
        message.starts_with("the program kubelet is not in the set"),
        "{message}"
    );
}
