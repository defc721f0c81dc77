//! qcow2 images as QEMU writes them, read here and by QEMU.

#![expect(
    clippy::disallowed_methods,
    reason = "the programs are run here and at once; host-exec needs a runtime for it"
)]

use bhyve_vm::image::Qcow2;
use std::{
    fs::{self, File},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    process::Command,
};
use tempfile::TempDir;

fn run(folder: &Path, program: &str, words: &[&str]) {
    let output = Command::new(program)
        .args(words)
        .current_dir(folder)
        .output();
    let output = output.unwrap_or_else(|error| panic!("{program}: {error}"));
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program} {words:?}: {error}");
}

fn qemu_img(folder: &TempDir, words: &str) {
    let words: Vec<&str> = words.split(' ').collect();
    run(folder.path(), "qemu-img", &words);
}

fn qemu_io(folder: &TempDir, image: &str, orders: &[&str]) {
    let orders = orders.iter().flat_map(|order| ["-c", order]);
    let words: Vec<&str> = orders.chain([image]).collect();
    run(folder.path(), "qemu-io", &words);
}

/// Bytes that neither repeat nor compress, the same in each run (a linear congruential generator).
fn noise(count: usize) -> Vec<u8> {
    let mut state = 7_u64;
    let next = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        state.to_be_bytes()[0]
    };
    std::iter::repeat_with(next).take(count).collect()
}

/// `disk.raw`: 37.5 MiB and one sector, of noise, of text, and mostly of nothing.
fn folder() -> TempDir {
    let folder = TempDir::new().unwrap();
    let mut disk = vec![0; (37 << 20) + (1 << 19) + 512];
    let text = b"what compresses well ".repeat(100_000);
    disk[..3_000_000].copy_from_slice(&noise(3_000_000));
    disk[9_000_001..][..text.len()].copy_from_slice(&text);
    disk[30_000_000..][..70_000].copy_from_slice(&noise(70_000));
    let end = disk.len() - 100;
    disk[end..].fill(0xa5);
    fs::write(folder.path().join("disk.raw"), disk).unwrap();
    folder
}

/// The disk of an image as this crate reads it, in a file.
fn ours(folder: &TempDir, image: &str) -> Result<PathBuf, String> {
    let file = File::open(folder.path().join(image)).unwrap();
    let mut image = Qcow2::open(file).map_err(|error| error.to_string())?;
    let path = folder.path().join("ours.raw");
    let mut out = File::create(&path).unwrap();
    image
        .write_raw(&mut out)
        .map_err(|error| error.to_string())?;
    Ok(path)
}

/// Both readers make the same disk of an image.
#[track_caller]
fn same(folder: &TempDir, image: &str) -> PathBuf {
    let ours = ours(folder, image).unwrap();
    qemu_img(
        folder,
        &format!("convert -f qcow2 -O raw {image} theirs.raw"),
    );
    let theirs = folder.path().join("theirs.raw");
    assert!(
        fs::read(&ours).unwrap() == fs::read(theirs).unwrap(),
        "{image} is read otherwise"
    );
    ours
}

#[test]
#[ignore = "needs qemu-img"]
fn images_of_both_versions_plain_and_compressed() {
    let folder = folder();
    let disk = fs::read(folder.path().join("disk.raw")).unwrap();
    for options in [
        "-o compat=0.10",
        "-o compat=1.1",
        "-c -o compat=0.10",
        "-c -o compat=1.1",
        "-o compat=1.1,cluster_size=512",
        "-c -o compat=1.1,cluster_size=4k",
        "-c -o compat=1.1,cluster_size=2M",
        "-o compat=1.1,preallocation=metadata",
        "-o compat=1.1,lazy_refcounts=on,refcount_bits=1",
    ] {
        qemu_img(
            &folder,
            &format!("convert -O qcow2 {options} disk.raw a.qcow2"),
        );
        let ours = same(&folder, "a.qcow2");
        assert!(fs::read(&ours).unwrap() == disk, "{options}");
        // Blocks of 512 bytes: 3 MB of noise, 2 MB of text and a little more are there, and the rest are holes.
        let kept = fs::metadata(&ours).unwrap().blocks() * 512;
        assert!(kept < 7 << 20, "{options}: {kept} bytes");
    }
}

#[test]
#[ignore = "needs qemu-img"]
fn images_that_were_written_to() {
    let folder = folder();
    for compat in ["0.10", "1.1"] {
        qemu_img(
            &folder,
            &format!("convert -O qcow2 -o compat={compat} disk.raw a.qcow2"),
        );
        qemu_img(&folder, "snapshot -c before a.qcow2");
        let orders = [
            "write -z 0 1M",
            "write -P 7 20M 100k",
            "discard 9M 1M",
            "write -z -u 29M 2M",
        ];
        qemu_io(&folder, "a.qcow2", &orders);
        // The disk as it is, and not as it was.
        same(&folder, "a.qcow2");
        qemu_img(&folder, "snapshot -d before a.qcow2");
        qemu_img(&folder, "resize a.qcow2 5G");
        qemu_io(&folder, "a.qcow2", &["write -P 9 4G 1k"]);
        let ours = ours(&folder, "a.qcow2").unwrap();
        // 5 GiB twice are not read into memory.
        assert_eq!(fs::metadata(&ours).unwrap().len(), 5 << 30);
        qemu_img(&folder, "compare -f qcow2 -F raw a.qcow2 ours.raw");
        qemu_img(&folder, "resize --shrink a.qcow2 30M");
        same(&folder, "a.qcow2");
    }
}

#[test]
#[ignore = "needs qemu-img"]
fn images_that_are_refused() {
    let folder = folder();
    let secret = "--object secret,id=s,data=abc";
    for (words, error) in [
        (
            "create -f qcow2 -b disk.raw -F raw a.qcow2".to_owned(),
            "it has a backing file,",
        ),
        (
            format!(
                "create {secret} -f qcow2 -o encrypt.format=luks,encrypt.key-secret=s,encrypt.iter-time=10 a.qcow2 1M"
            ),
            "it is encrypted;",
        ),
        (
            "create -f qcow2 -o data_file=d.raw a.qcow2 1M".to_owned(),
            "it uses an external data file, which",
        ),
        (
            "create -f qcow2 -o compression_type=zstd a.qcow2 1M".to_owned(),
            "it uses another compression than zlib, which",
        ),
        (
            "create -f qcow2 -o extended_l2=on a.qcow2 1M".to_owned(),
            "it uses extended L2 entries, which",
        ),
        (
            "convert -O qed disk.raw a.qcow2".to_owned(),
            "it is not a qcow2 image:",
        ),
    ] {
        qemu_img(&folder, &words);
        let found = ours(&folder, "a.qcow2").unwrap_err();
        assert!(found.starts_with(error), "{words}: {found}");
    }
}

/// A download that broke off, at each of some places.
#[test]
#[ignore = "needs qemu-img"]
fn images_cut_off() {
    let folder = folder();
    qemu_img(&folder, "convert -c -O qcow2 disk.raw whole.qcow2");
    let whole = fs::read(folder.path().join("whole.qcow2")).unwrap();
    for part in 1..20 {
        fs::write(
            folder.path().join("a.qcow2"),
            &whole[..whole.len() / 20 * part],
        )
        .unwrap();
        let found = ours(&folder, "a.qcow2").unwrap_err();
        let known = found.contains("truncated") || found.contains("decompressed");
        assert!(known, "{part} of 20: {found}");
    }
}
