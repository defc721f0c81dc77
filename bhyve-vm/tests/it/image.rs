//! Images: lists of checksums, kinds of files, qcow2 made by hand, and the steps on the host word for word.

use bhyve_vm::{
    Step,
    image::{BaseFile, BaseVolume, Checksums, Digest, ImageFormat, ImportError, Qcow2, import},
};
use flate2::{Compression, write::DeflateEncoder, write::GzEncoder};
use liblzma::write::XzEncoder;
use proptest::prelude::*;
use std::{
    error::Error,
    io::{Cursor, Write},
};

/// An error and all its causes, as the program prints them.
fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(error) = next {
        text += &format!(": {error}");
        next = error.source();
    }
    text
}

const A: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
const B: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

fn sha512() -> String {
    "0123456789abcdef".repeat(8)
}

#[test]
fn lists_of_checksums() {
    let long = sha512();
    for text in [
        format!("{A}  a.raw\n{B} *b.raw\n"),
        format!("# a comment\n\nSHA256 (a.raw) = {A}\r\nSHA256 (b.raw) = {B}"),
        format!(
            "-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA256\n\n# a.raw: 1 bytes\n\
            SHA256 (a.raw) = {A}\nSHA256 (b.raw) = {B}\n\
            -----BEGIN PGP SIGNATURE-----\n\nabc\n-----END PGP SIGNATURE-----\n"
        ),
        format!("{A}  a.raw\n{A}  a.raw\n{}  b.raw\n", B.to_uppercase()),
    ] {
        let list = Checksums::parse(&text).unwrap();
        assert_eq!(list.of("a.raw").unwrap().as_str(), A, "{text}");
        assert_eq!(list.of("b.raw").unwrap().as_str(), B, "{text}");
    }
    // Of both kinds the longer one counts, whichever comes first.
    for text in [
        format!("{long}  a\n{A}  a\n"),
        format!("SHA256 (a) = {A}\nSHA512 (a) = {long}"),
    ] {
        assert_eq!(
            Checksums::parse(&text).unwrap().of("a").unwrap().as_str(),
            long
        );
    }
    let odd = format!("SHA256 (a (1) = b.raw) = {A}\n{B}  c  d\n");
    let list = Checksums::parse(&odd).unwrap();
    assert!(list.of("a (1) = b.raw").is_ok() && list.of("c  d").is_ok());
}

#[test]
fn lists_of_checksums_that_are_none() {
    let page = "<!DOCTYPE html><title>404</title>";
    let none = "is neither `DIGEST  NAME` nor `SHA256 (NAME) = DIGEST`";
    let short = &A[1..];
    let digits = "is not a checksum of 64 (SHA-256) or 128 (SHA-512) hexadecimal digits";
    for (text, error) in [
        (page.to_owned(), format!("line 1: {page:?} {none}")),
        (format!("\n{A}"), format!("line 2: {A:?} {none}")),
        (format!("{A}  "), format!("line 1: {A:?} {none}")),
        (
            format!("MD5 (a) = {A}"),
            format!("line 1: {:?} {none}", format!("MD5 (a) = {A}")),
        ),
        (format!("{short}  a"), format!("line 1: {short:?} {digits}")),
        (
            format!("g{short}  a"),
            format!("line 1: {:?} {digits}", format!("g{short}")),
        ),
        (
            format!("SHA512 (a) = {A}"),
            "line 1: a checksum of a is not as long as its kind SHA512 says".to_owned(),
        ),
        (
            format!("{A}  a\n{B}  a\n"),
            "line 2: a has another checksum than in a line before".to_owned(),
        ),
    ] {
        assert_eq!(chain(&Checksums::parse(&text).unwrap_err()), error);
    }
    let list = Checksums::parse(&format!("{A}  a\n{B}  b")).unwrap();
    assert_eq!(
        list.of("c").unwrap_err().to_string(),
        "the list of checksums has none of \"c\"; it has 2 of other files"
    );
}

#[test]
fn kinds_of_files() {
    let mut raw = vec![0; 512];
    raw[510..].copy_from_slice(&[0x55, 0xaa]);
    for (head, format) in [
        (&raw[..], "raw"),
        (b"QFI\xfb\0\0\0\x03", "qcow2"),
        (b"\x1f\x8b\x08", "gzip"),
        (b"\xfd7zXZ\0", "xz"),
        (b"\x28\xb5\x2f\xfd", "zstd"),
        (b"BZh9", "bzip2"),
    ] {
        assert_eq!(ImageFormat::of(head).unwrap().to_string(), format);
    }
    for head in [&b""[..], &raw[..511], &[0; 512], b"<!DOCTYPE html>", b"QFI"] {
        assert_eq!(
            ImageFormat::of(head).unwrap_err().to_string(),
            "it begins neither as a compressed file nor as a disk with a boot record; \
            a publisher's error page or a part of a download looks like this"
        );
    }
}

const CLUSTER: usize = 512;

/// A qcow2 image of version 3 with clusters of 512 bytes, written from QEMU's specification: one cluster as it is, one
/// compressed, one of explicit zeros, one never written, and an end in the middle of a cluster.
fn qcow2() -> Vec<u8> {
    let mut image = vec![0; CLUSTER * 4];
    let mut put = |at: usize, bytes: &[u8]| image[at..at + bytes.len()].copy_from_slice(bytes);
    put(0, b"QFI\xfb");
    put(4, &3_u32.to_be_bytes());
    put(20, &9_u32.to_be_bytes());
    put(24, &(4 * 512 + 100_u64).to_be_bytes());
    put(36, &1_u32.to_be_bytes());
    put(40, &512_u64.to_be_bytes());
    put(96, &4_u32.to_be_bytes());
    put(100, &104_u32.to_be_bytes());
    // L1 in the second cluster of the file, L2 in the third, and data in the fourth.
    put(512, &(1024_u64 | 1 << 63).to_be_bytes());
    let entries = [1536 | 1 << 63, (1 << 62) | (2048 + 7), 1, 0, 2560];
    for (index, entry) in entries.into_iter().enumerate() {
        put(1024 + index * 8, &u64::to_be_bytes(entry));
    }
    put(1536, &[7; 512]);
    image.extend([0; 7]);
    let mut deflate = DeflateEncoder::new(&mut image, Compression::best());
    deflate.write_all(&[9; 512]).unwrap();
    deflate.finish().unwrap();
    image.resize(2560, 0xee);
    image.extend([5; 100]);
    image
}

fn raw_of(image: &[u8]) -> Result<(Vec<u8>, u64), String> {
    let mut out = Cursor::new(Vec::new());
    let mut image = Qcow2::open(Cursor::new(image)).map_err(|error| error.to_string())?;
    let data = image
        .write_raw(&mut out)
        .map_err(|error| error.to_string())?;
    Ok((out.into_inner(), data))
}

#[test]
fn qcow2_by_hand() {
    let expected = [[7; 512], [9; 512], [0; 512], [0; 512]].concat();
    let (raw, data) = raw_of(&qcow2()).unwrap();
    assert_eq!(raw, [&expected[..], &[5; 100]].concat());
    assert_eq!(data, 1124);
    let image = Qcow2::open(Cursor::new(qcow2())).unwrap();
    let header = image.header();
    assert_eq!(
        (header.version, header.disk_bytes, header.cluster_bytes()),
        (3, 2148, 512)
    );
}

#[test]
fn qcow2_that_is_refused() {
    let plain = "which is not read here; make a plain image with \
        qemu-img convert -O qcow2 -o compat=1.1,compression_type=zlib";
    for (at, bytes, error) in [
        (
            0,
            &b"QFJ"[..],
            "it is not a qcow2 image: it does not begin with QFI\\xfb".to_owned(),
        ),
        (
            7,
            &[1],
            "it is qcow2 of version 1; versions 2 and 3 are read".into(),
        ),
        (
            7,
            &[4],
            "it is qcow2 of version 4; versions 2 and 3 are read".into(),
        ),
        (
            15,
            &[104],
            "it has a backing file, so it is not a whole disk; \
            make one of both with qemu-img convert -O qcow2"
                .into(),
        ),
        (
            35,
            &[2],
            "it is encrypted; decrypt it with qemu-img convert first".into(),
        ),
        (
            79,
            &[2],
            "it is marked as corrupt; fetch it again, or ask qemu-img check what is wrong".into(),
        ),
        (79, &[4], format!("it uses an external data file, {plain}")),
        (
            79,
            &[8],
            format!("it uses another compression than zlib, {plain}"),
        ),
        (
            79,
            &[0x35],
            format!(
                "it uses an external data file and extended L2 entries and a feature newer than this reader, {plain}"
            ),
        ),
        (
            23,
            &[8],
            "its cluster_bits is 8, which has to be 9 to 21".into(),
        ),
        (
            23,
            &[22],
            "its cluster_bits is 22, which has to be 9 to 21".into(),
        ),
        (
            24,
            &[0; 8],
            "its size is 0, which has to be 1 byte to 64 TiB".into(),
        ),
        (
            24,
            &[1],
            "its size is 72057594037930084, which has to be 1 byte to 64 TiB".into(),
        ),
        (
            29,
            &[1],
            "its l1_size is 1, which is too small for the size of the disk".into(),
        ),
        (
            36,
            &[1],
            "its l1_size is 16777217, which has to be at most 4194304".into(),
        ),
        (
            47,
            &[1],
            "its l1_table_offset is 513, which has to be that of a cluster".into(),
        ),
        (
            42,
            &[1],
            "it is truncated: byte 1099511628296 is needed, and it has 2660; fetch it again".into(),
        ),
        (
            2055,
            &[0xff; 16],
            "it is damaged: cluster 1 cannot be decompressed; fetch it again".into(),
        ),
    ] {
        let mut image = qcow2();
        image[at..at + bytes.len()].copy_from_slice(bytes);
        assert_eq!(raw_of(&image).unwrap_err(), error);
    }
}

/// Whatever is missing at the end is noticed: nothing is taken for zeros.
#[test]
fn qcow2_cut_off() {
    let image = qcow2();
    for length in 4..image.len() {
        let error = raw_of(&image[..length]).unwrap_err();
        let known = error.starts_with("it is truncated: byte ") || error.contains("decompressed");
        assert!(known, "{length}: {error}");
    }
    assert_eq!(
        raw_of(&image[..2659]).unwrap_err(),
        "it is truncated: byte 2660 is needed, and it has 2659; fetch it again"
    );
}

/// A disk of 3 MiB with a boot record, something in its middle and nothing at its end.
fn disk() -> Vec<u8> {
    let mut disk = vec![0; 3 << 20];
    disk[510..512].copy_from_slice(&[0x55, 0xaa]);
    disk[1_500_000..1_500_005].copy_from_slice(b"lab-1");
    disk
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
    gzip.write_all(bytes).unwrap();
    gzip.finish().unwrap()
}

fn xz(bytes: &[u8]) -> Vec<u8> {
    let mut xz = XzEncoder::new(Vec::new(), 1);
    xz.write_all(bytes).unwrap();
    xz.finish().unwrap()
}

fn zstd(bytes: &[u8]) -> Vec<u8> {
    zstd::encode_all(bytes, 1).unwrap()
}

/// The format, the size of the disk and what was written of it, or the error.
type Outcome = Result<(String, u64, u64), String>;

fn imported(file: &[u8], digest: &Digest) -> (Outcome, Vec<u8>) {
    let mut out = Cursor::new(Vec::new());
    let result = import(Cursor::new(file), "a.img", digest, &mut out);
    let result = result.map(|i| (i.format.to_string(), i.disk_bytes, i.data_bytes));
    (
        result.map_err(|error: ImportError| chain(&error)),
        out.into_inner(),
    )
}

#[test]
fn imports() {
    let disk = disk();
    // Files of one part, and of two.
    let (one, two) = disk.split_at(1 << 20);
    for (file, format) in [
        (disk.clone(), "raw"),
        (gzip(&disk), "gzip"),
        (xz(&disk), "xz"),
        (zstd(&disk), "zstd"),
        ([gzip(one), gzip(two)].concat(), "gzip"),
        ([xz(one), xz(two)].concat(), "xz"),
        ([zstd(one), zstd(two)].concat(), "zstd"),
    ] {
        let (result, out) = imported(&file, &Digest::sha256(&file));
        assert_eq!(result.unwrap(), (format.to_owned(), 3 << 20, 2 * 65_536));
        assert!(out == disk);
    }
    let file = qcow2();
    let long: Digest = sha512().parse().unwrap();
    let digest = long.of_same_kind(&mut &file[..]).unwrap();
    assert_eq!(digest.as_str().len(), 128);
    let (result, out) = imported(&file, &digest);
    assert_eq!(result.unwrap(), ("qcow2".to_owned(), 2148, 1124));
    assert_eq!(out.len(), 2148);
}

#[test]
fn imports_that_are_refused() {
    let expected: Digest = A.parse().unwrap();
    let (error, out) = imported(b"", &expected);
    assert_eq!(
        error.unwrap_err(),
        format!(
            "a.img has the wrong checksum, {B} instead of {A}; fetch it and the list of checksums again, \
            and if it stays so do not trust that place"
        )
    );
    assert!(out.is_empty());
    let half = |packed: Vec<u8>| packed[..packed.len() - 9].to_vec();
    for (file, error) in [
        (
            b"<!DOCTYPE html>".to_vec(),
            "a.img is no disk image: it begins neither as a compressed file nor as a disk with a boot record; \
            a publisher's error page or a part of a download looks like this",
        ),
        (
            b"BZh9 and so on".to_vec(),
            "a.img is compressed with bzip2, which is not read here; take the publisher's qcow2 or raw image, \
            or unpack it with `bzip2 -d a.img` and give the checksum of what comes out",
        ),
        (
            gzip(&qcow2()),
            "a.img is gzip, but not of a raw disk with a boot record; \
            unpack it with `gzip -d a.img` and give the checksum of what comes out",
        ),
        (
            xz(&gzip(&disk())),
            "a.img is xz, but not of a raw disk with a boot record; \
            unpack it with `xz -d a.img` and give the checksum of what comes out",
        ),
        (
            qcow2()[..2000].to_vec(),
            "a.img is a qcow2 image that cannot be imported: it is truncated: byte 2048 is needed, \
            and it has 2000; fetch it again",
        ),
        (
            half(gzip(&disk())),
            "cannot copy the disk out of a.img: incomplete deflate stream",
        ),
        (
            half(xz(&disk())),
            "cannot copy the disk out of a.img: premature eof",
        ),
        (
            half(zstd(&disk())),
            "cannot copy the disk out of a.img: incomplete frame",
        ),
        (
            b"\xfd7zXZ\0 and so on".to_vec(),
            "cannot read a.img: lzma data error",
        ),
        (
            b"\x1f\x8b\x08".to_vec(),
            "cannot read a.img: unexpected end of file",
        ),
    ] {
        let (result, _) = imported(&file, &Digest::sha256(&file));
        assert_eq!(result.unwrap_err(), error);
    }
}

fn lines(steps: &[Step]) -> String {
    steps.iter().map(|step| format!("{step}\n")).collect()
}

fn base(disk_bytes: u64) -> BaseVolume {
    let parent = "zroot/lab/base".parse().unwrap();
    BaseVolume::new(&parent, &A.parse().unwrap(), disk_bytes).unwrap()
}

#[test]
fn steps_of_a_base_volume() {
    let base = base((2 << 30) + 512);
    assert_eq!(base.size_mib().get(), 2049);
    let raw = "/zroot/lab/import/debian-12.raw".parse().unwrap();
    let text = lines(&base.create_steps(&raw));
    assert_eq!(text, include_str!("../data/image/base-volume.create"));
    assert_eq!(
        lines(&base.remove_steps()),
        include_str!("../data/image/base-volume.remove")
    );
    assert_eq!(
        base.is_ready().to_string(),
        format!("zfs list -H -o name zroot/lab/base/{A}@ready")
    );
}

#[test]
fn steps_of_a_base_file() {
    let place = "/zroot/lab/base".parse().unwrap();
    let base = BaseFile::new(&place, &A.parse().unwrap(), 2 << 30).unwrap();
    let raw = "/zroot/lab/base/import.raw".parse().unwrap();
    let disk = "/zroot/lab/etcd-0/root.img".parse().unwrap();
    let copy = base.copy_steps(&disk, 10_240.try_into().unwrap()).unwrap();
    let text = lines(&base.create_steps(&raw)) + &lines(&copy);
    assert_eq!(text, include_str!("../data/image/base-file.steps"));
    let error = base
        .copy_steps(&disk, 2_047.try_into().unwrap())
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "root disk of 2047 MiB is smaller than its image; give it at least 2048 MiB"
    );
}

#[test]
fn a_root_volume_has_room_for_its_image() {
    let base = base(2 << 30);
    let root = "zroot/lab/lab0/etcd-0".parse().unwrap();
    let error = base.root_volume(root, 1.try_into().unwrap()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "root disk of 1 MiB is smaller than its image; give it at least 2048 MiB"
    );
}

#[test]
fn bases_that_cannot_be() {
    let (digest, parent) = (A.parse().unwrap(), "zroot/lab".parse().unwrap());
    for bytes in [0, 1, 513, 1 << 60] {
        let error = BaseVolume::new(&parent, &digest, bytes).unwrap_err();
        assert_eq!(
            error.to_string(),
            format!(
                "image has a disk of {bytes} bytes; it has to be a multiple of 512, below 4 PiB"
            )
        );
    }
    let long = format!("zroot/{}", "x".repeat(150)).parse().unwrap();
    let error = BaseVolume::new(&long, &digest, 512)
        .unwrap_err()
        .to_string();
    assert!(error.starts_with("ZFS dataset \"zroot/xxx") && error.contains("200 characters"));
    let long = format!("/{}", "x".repeat(1000)).parse().unwrap();
    let error = BaseFile::new(&long, &digest, 512).unwrap_err().to_string();
    assert!(
        error.ends_with("must have at most 1023 characters (PATH_MAX)"),
        "{error}"
    );
}

proptest! {
    /// Damage is an error or another disk of no more than its header says, and never the end of the program.
    #[test]
    fn damaged_qcow2(at in 28_usize..2660, byte in any::<u8>(), more in any::<Option<(u8, u8)>>()) {
        let mut image = qcow2();
        image[at] = byte;
        if let Some((at, byte)) = more {
            // Also the tables: L1 and the entries of L2.
            image[if at < 128 { 512 + usize::from(at) / 16 } else { 896 + usize::from(at) }] = byte;
        }
        let header = Qcow2::open(Cursor::new(&image)).map(|image| image.header().disk_bytes);
        // A hole of TiB cannot be kept in memory.
        if header.is_ok_and(|bytes| bytes < 1 << 20) && let Ok((raw, data)) = raw_of(&image) {
            prop_assert!(data <= raw.len() as u64);
        }
    }
}
