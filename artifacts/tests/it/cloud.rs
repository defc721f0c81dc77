//! Images from a server on this machine and from files, with a conversion that only unpacks what it can tell apart.

use crate::server::{Answer, Server};
use artifacts::{
    Architecture, BoxedError, Checksum, CloudImage, CloudImageError, DebianRelease, DownloadError,
    ImageChecksum, ImageUrl, Places, RawImage, Sha256, cloud_image,
};
use host_exec::event::Silent;
use std::{
    fs::{self, File},
    io::Write as _,
    os::unix::fs::MetadataExt as _,
    path::Path,
};

const DIR: &str = "/bookworm/latest";
const NAME: &str = "debian-12-genericcloud-amd64.qcow2";

fn body() -> Vec<u8> {
    (0..100_000_u32).flat_map(u32::to_le_bytes).collect()
}

/// What a body becomes: itself with a hole after it. An archive is nothing that it knows.
fn convert(published: &Path, checksum: &Checksum, raw: &mut File) -> Result<(), BoxedError> {
    let bytes = fs::read(published)?;
    if checksum.of_same_kind(published)? != *checksum {
        return Err("it was not compared with its checksum".into());
    }
    if bytes.starts_with(b"archive") {
        return Err("it is no disk".into());
    }
    raw.write_all(&bytes)?;
    Ok(raw.set_len(1 << 20)?)
}

/// SHA-512, which this crate computes for files only.
fn sha512(bytes: &[u8]) -> String {
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), bytes).unwrap();
    let kind: Checksum = "0".repeat(128).parse().unwrap();
    kind.of_same_kind(file.path()).unwrap().to_string()
}

fn sums(body: &[u8]) -> Answer {
    let line = |name: &str, sum: String| format!("{sum}  {name}\n");
    let other = "debian-12-genericcloud-amd64.raw";
    let lines = [line(other, sha512(b"other")), line(NAME, sha512(body))];
    Answer::Body(lines.concat().into_bytes())
}

/// Debian's place with this image and this list.
fn debian(image: Answer, list: Answer) -> Server {
    Server::start([
        (format!("{DIR}/{NAME}"), image),
        (format!("{DIR}/SHA512SUMS"), list),
    ])
}

const BOOKWORM: CloudImage = CloudImage::Debian {
    release: DebianRelease::Bookworm,
    architecture: Architecture::Amd64,
};

async fn obtain(
    image: &CloudImage,
    cache: &Path,
    server: &Server,
) -> Result<RawImage, CloudImageError> {
    let mut places = Places::new(cache, Vec::new());
    places.mirrors.debian_images = server.url.clone();
    cloud_image(image, &places, convert, &Silent).await
}

fn files(cache: &Path) -> Vec<String> {
    let entries = fs::read_dir(cache.join("cloud")).unwrap();
    let mut names: Vec<_> = entries
        .map(|e| e.unwrap().file_name().into_string().unwrap())
        .filter(|name| name != ".lock")
        .collect();
    names.sort();
    names
}

#[track_caller]
fn assert_whole(raw: &RawImage, body: &[u8]) {
    let found = fs::read(&raw.path).unwrap();
    assert_eq!(found[..body.len()], *body);
    assert_eq!(raw.disk_bytes, 1 << 20);
    assert_eq!(raw.sha256, Sha256::of(&found));
}

#[tokio::test]
async fn an_image_of_the_catalogue_is_downloaded_once() {
    let dir = tempfile::tempdir().unwrap();
    let server = debian(Answer::Body(body()), sums(&body()));
    let raw = obtain(&BOOKWORM, dir.path(), &server).await.unwrap();
    assert_whole(&raw, &body());
    let key = &sha512(&body())[..16];
    let found = files(dir.path());
    assert_eq!(found[..2], [format!("{key}.json"), format!("{key}.raw")]);
    assert!(
        found[2].starts_with("address-") && found.len() == 3,
        "{found:?}"
    );

    let asked = server.requests().len();
    assert_eq!(obtain(&BOOKWORM, dir.path(), &server).await.unwrap(), raw);
    assert_eq!(server.requests().len(), asked, "a second run asks nobody");
    let elsewhere = debian(Answer::Body(vec![7; 9]), sums(&[7; 9]));
    let other = obtain(&BOOKWORM, dir.path(), &elsewhere).await.unwrap();
    assert_whole(&other, &[7; 9]);
}

#[tokio::test]
async fn the_first_answer_counts_until_it_is_removed() {
    let dir = tempfile::tempdir().unwrap();
    let server = debian(
        Answer::Then(vec![body(), vec![7; 9]]),
        Answer::Then([sums(&body()), sums(&[7; 9])].map(bytes).into()),
    );
    let first = obtain(&BOOKWORM, dir.path(), &server).await.unwrap();
    // A lab does not change because it is started again.
    assert_eq!(obtain(&BOOKWORM, dir.path(), &server).await.unwrap(), first);
    let pin = files(dir.path()).pop().unwrap();
    fs::remove_file(dir.path().join("cloud").join(pin)).unwrap();
    let second = obtain(&BOOKWORM, dir.path(), &server).await.unwrap();
    assert_whole(&second, &[7; 9]);
}

fn bytes(answer: Answer) -> Vec<u8> {
    match answer {
        Answer::Body(bytes) => bytes,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn an_image_that_was_replaced_in_between_is_asked_for_again() {
    let dir = tempfile::tempdir().unwrap();
    let list = Answer::Then([sums(&[7; 9]), sums(&body())].map(bytes).into());
    let server = debian(Answer::Body(body()), list);
    let raw = obtain(&BOOKWORM, dir.path(), &server).await.unwrap();
    assert_whole(&raw, &body());
}

#[tokio::test]
async fn a_wrong_checksum_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let server = debian(Answer::Body(body()), sums(b"something else"));
    let error = obtain(&BOOKWORM, dir.path(), &server).await.unwrap_err();
    assert!(
        matches!(
            error,
            CloudImageError::Download(DownloadError::ChecksumMismatch { .. })
        ),
        "{error}"
    );
    assert!(files(dir.path()).is_empty());
}

#[tokio::test]
async fn a_download_that_was_cut_off_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let server = debian(Answer::CutOnce(body(), 250_000), sums(&body()));
    let error = obtain(&BOOKWORM, dir.path(), &server).await.unwrap_err();
    assert!(
        matches!(
            error,
            CloudImageError::Download(DownloadError::BrokeOff {
                received_bytes: 250_000,
                ..
            })
        ),
        "{error}"
    );
    let raw = obtain(&BOOKWORM, dir.path(), &server).await.unwrap();
    assert_whole(&raw, &body());
    let last = server.requests().pop().unwrap();
    assert_eq!(last, (format!("{DIR}/{NAME}"), "bytes=250000-".to_owned()));
}

#[tokio::test]
async fn what_is_gone_is_said_with_its_status() {
    let dir = tempfile::tempdir().unwrap();
    for server in [
        Server::start([]),
        Server::start([(format!("{DIR}/SHA512SUMS"), sums(&body()))]),
    ] {
        let error = obtain(&BOOKWORM, dir.path(), &server).await.unwrap_err();
        assert!(error.to_string().ends_with("HTTP status 404"), "{error}");
    }
    let other = Answer::Body(format!("{}  other\n{0}  b\n", sha512(b"x")).into_bytes());
    let server = debian(Answer::Body(body()), other);
    let error = obtain(&BOOKWORM, dir.path(), &server).await.unwrap_err();
    assert!(
        error.to_string().ends_with(&format!("checksum of {NAME}")),
        "{error}"
    );
}

#[tokio::test]
async fn an_address_with_its_checksum_is_asked_for_no_list() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start([("/a.raw".to_owned(), Answer::Body(body()))]);
    let image = |sum: Sha256| CloudImage::Url {
        url: format!("{}/a.raw", server.url).parse().unwrap(),
        checksum: ImageChecksum::Known(sum.into()),
    };
    let right = image(Sha256::of(&body()));
    let raw = obtain(&right, dir.path(), &server).await.unwrap();
    assert_whole(&raw, &body());
    assert_eq!(files(dir.path()).len(), 2, "nothing to remember");
    let wrong = image(Sha256::of(b"something else"));
    assert!(obtain(&wrong, dir.path(), &server).await.is_err());
    assert_eq!(server.requests().len(), 2);
}

#[tokio::test]
async fn a_file_is_compared_and_left_where_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let (cache, nobody) = (dir.path().join("cache"), Server::start([]));
    let path = dir.path().join("a.raw");
    fs::write(&path, body()).unwrap();
    let image = |checksum| CloudImage::File {
        path: path.clone(),
        checksum,
    };
    let wrong = image(Some(Sha256::of(b"something else").into()));
    let error = obtain(&wrong, &cache, &nobody).await.unwrap_err();
    assert!(matches!(error, CloudImageError::WrongChecksum { .. }));
    assert!(
        !cache.exists(),
        "bad input is refused before anything is touched"
    );
    let plain = obtain(&image(None), &cache, &nobody).await.unwrap();
    assert_whole(&plain, &body());
    let right = image(Some(Sha256::of(&body()).into()));
    assert_eq!(obtain(&right, &cache, &nobody).await.unwrap(), plain);
    assert!(path.exists());
    fs::remove_file(&path).unwrap();
    // It is needed no more; only without a checksum nobody can tell.
    assert_eq!(obtain(&right, &cache, &nobody).await.unwrap(), plain);
    let error = obtain(&image(None), &cache, &nobody).await.unwrap_err();
    assert!(matches!(error, CloudImageError::Read { .. }), "{error}");
}

#[tokio::test]
async fn what_cannot_be_converted_is_kept_for_another_try() {
    let dir = tempfile::tempdir().unwrap();
    let archive = b"archive".repeat(100);
    let server = debian(Answer::Body(archive.clone()), sums(&archive));
    for _ in 0..2 {
        let error = obtain(&BOOKWORM, dir.path(), &server).await.unwrap_err();
        let message = error.to_string();
        assert_eq!(message, "cannot make a raw disk of debian-12 for amd64");
        let kept = format!("{}-{NAME}", &sha512(&archive)[..16]);
        assert_eq!(files(dir.path()), [kept]);
    }
    let asked = server.requests();
    let downloads = asked.iter().filter(|(path, _)| path.ends_with(NAME));
    assert_eq!(downloads.count(), 1);
}

#[tokio::test]
async fn a_disk_that_is_not_whole_is_made_again() {
    let dir = tempfile::tempdir().unwrap();
    let server = debian(Answer::Body(body()), sums(&body()));
    let raw = obtain(&BOOKWORM, dir.path(), &server).await.unwrap();
    let inode = || fs::metadata(&raw.path).unwrap().ino();
    let made = inode();
    fs::remove_file(raw.path.with_extension("json")).unwrap();
    assert_eq!(obtain(&BOOKWORM, dir.path(), &server).await.unwrap(), raw);
    assert_ne!(inode(), made);
    fs::write(&raw.path, "half").unwrap();
    assert_eq!(obtain(&BOOKWORM, dir.path(), &server).await.unwrap(), raw);
    assert_whole(&raw, &body());
}

#[test]
fn addresses_are_checked() {
    let good: ImageUrl = "https://a.example/b/c.qcow2".parse().unwrap();
    assert_eq!(good.file().as_str(), "c.qcow2");
    for text in [
        "",
        "c.qcow2",
        "ftp://a.example/c.qcow2",
        "https://a.example",
        "https:///c.qcow2",
        "https://a.example/",
        "https://a.example/b c",
        "https://a.example/c?d=e",
        "https://a.example/%20",
        "https://a.example/c.qcow2\n",
    ] {
        assert!(text.parse::<ImageUrl>().is_err(), "{text}");
    }
    let secret = "https://user:secret@a.example/c".parse::<ImageUrl>();
    assert!(!format!("{:?}", secret.unwrap_err()).contains("secret"));
}

#[test]
fn releases_of_the_catalogue_are_read_by_name() {
    assert_eq!("debian-13".parse(), Ok(DebianRelease::Trixie));
    let error = "debian-14".parse::<DebianRelease>().unwrap_err();
    assert!(error.to_string().contains("use debian-12 or debian-13"));
}
