//! Downloads from a server on this machine.

use crate::server::{Answer, Server};
use artifacts::{DownloadError, Sha256, download};
use std::{fs, ops::ControlFlow, path::Path, time::Duration};

fn body() -> Vec<u8> {
    (0..300_000_u32).flat_map(u32::to_le_bytes).collect()
}

fn sum(body: &[u8]) -> Answer {
    Answer::Body(format!("{}  file\n", Sha256::of(body)).into_bytes())
}

fn fetch(server: &Server, target: &Path) -> Result<Sha256, DownloadError> {
    let agent = download::agent(Duration::from_secs(3));
    let (url, sums) = (
        format!("{}/file", server.url),
        format!("{}/file.sha256", server.url),
    );
    download::fetch(&agent, &url, &sums, target, &mut |_, _| {
        ControlFlow::Continue(())
    })
}

fn server(file: Answer, checksum: Answer) -> Server {
    Server::start([
        ("/file".to_owned(), file),
        ("/file.sha256".to_owned(), checksum),
    ])
}

fn left(dir: &Path) -> Vec<String> {
    let entries = fs::read_dir(dir).unwrap();
    entries
        .map(|e| e.unwrap().file_name().into_string().unwrap())
        .collect()
}

#[test]
fn a_file_with_the_right_checksum_is_kept() {
    let dir = tempfile::tempdir().unwrap();
    let server = server(Answer::Body(body()), sum(&body()));
    let found = fetch(&server, &dir.path().join("x")).unwrap();
    assert_eq!(found, Sha256::of(&body()));
    assert_eq!(fs::read(dir.path().join("x")).unwrap(), body());
    assert_eq!(left(dir.path()), ["x"]);
}

#[test]
fn a_file_with_the_wrong_checksum_is_removed_and_named() {
    let dir = tempfile::tempdir().unwrap();
    let server = server(Answer::Body(body()), sum(b"something else"));
    let error = fetch(&server, &dir.path().join("x")).unwrap_err();
    assert!(
        matches!(error, DownloadError::ChecksumMismatch { .. }),
        "{error}"
    );
    assert!(
        error.to_string().contains("/file has the wrong checksum"),
        "{error}"
    );
    assert!(left(dir.path()).is_empty());
}

#[test]
fn a_transfer_that_broke_off_goes_on_where_it_was() {
    let dir = tempfile::tempdir().unwrap();
    let server = server(Answer::CutOnce(body(), 400_000), sum(&body()));
    let error = fetch(&server, &dir.path().join("x")).unwrap_err();
    assert!(
        matches!(
            error,
            DownloadError::BrokeOff {
                received_bytes: 400_000,
                ..
            }
        ),
        "{error:?}"
    );
    assert_eq!(left(dir.path()), ["x.part"]);
    fetch(&server, &dir.path().join("x")).unwrap();
    assert_eq!(fs::read(dir.path().join("x")).unwrap(), body());
    let last = server.requests().pop().unwrap();
    assert_eq!(last, ("/file".to_owned(), "bytes=400000-".to_owned()));
}

#[test]
fn a_part_of_something_else_is_started_again() {
    let dir = tempfile::tempdir().unwrap();
    // Shorter than the file, as long, and longer; from a server that continues and one that does not.
    for garbage in [
        vec![7; 1000],
        vec![7; body().len()],
        vec![7; body().len() + 1],
    ] {
        for answer in [Answer::Body(body()), Answer::NoRanges(body())] {
            fs::write(dir.path().join("x.part"), &garbage).unwrap();
            let server = server(answer, sum(&body()));
            fetch(&server, &dir.path().join("x")).unwrap();
            assert_eq!(fs::read(dir.path().join("x")).unwrap(), body());
        }
    }
}

#[test]
fn a_complete_part_is_not_fetched_again() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("x.part"), body()).unwrap();
    let server = server(Answer::Body(body()), sum(&body()));
    fetch(&server, &dir.path().join("x")).unwrap();
    assert_eq!(
        server
            .requests()
            .iter()
            .filter(|(path, _)| path == "/file")
            .count(),
        1
    );
}

#[test]
fn redirects_are_followed() {
    let dir = tempfile::tempdir().unwrap();
    let real = server(Answer::Body(body()), sum(&body()));
    let front = server(
        Answer::Redirect(format!("{}/file", real.url)),
        Answer::Redirect(format!("{}/file.sha256", real.url)),
    );
    assert_eq!(
        fetch(&front, &dir.path().join("x")).unwrap(),
        Sha256::of(&body())
    );
}

#[test]
fn what_is_not_there_is_said_with_its_status() {
    let dir = tempfile::tempdir().unwrap();
    let nothing = Server::start([]);
    let error = fetch(&nothing, &dir.path().join("x")).unwrap_err();
    assert!(
        error.to_string().ends_with("/file.sha256: HTTP status 404"),
        "{error}"
    );
    let no_sum = server(
        Answer::Body(body()),
        Answer::Body(b"<html>hello there</html>".to_vec()),
    );
    let error = fetch(&no_sum, &dir.path().join("x")).unwrap_err();
    assert!(
        error
            .to_string()
            .contains("has no SHA-256 or SHA-512 checksum of file"),
        "{error}"
    );
}

#[test]
fn a_stopped_download_keeps_its_part() {
    let dir = tempfile::tempdir().unwrap();
    let server = server(Answer::Body(body()), sum(&body()));
    let agent = download::agent(Duration::from_secs(3));
    let (url, sums) = (
        format!("{}/file", server.url),
        format!("{}/file.sha256", server.url),
    );
    let target = dir.path().join("x");
    let stopped = download::fetch(&agent, &url, &sums, &target, &mut |here, _| match here {
        0 => ControlFlow::Continue(()),
        _ => ControlFlow::Break(()),
    });
    assert!(matches!(stopped, Err(DownloadError::BrokeOff { .. })));
    assert_eq!(left(dir.path()), ["x.part"]);
}

#[test]
fn a_place_that_refuses_is_out_of_reach() {
    // A port that was free a moment ago, and that nothing listens on.
    let free = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let agent = download::agent(Duration::from_secs(3));
    assert!(download::probe(&agent, &format!("http://{free}")).is_err());
    let nothing = Server::start([]);
    assert!(
        download::probe(&agent, &nothing.url).is_ok(),
        "404 is an answer"
    );
}

#[test]
fn checksum_files_have_three_forms() {
    let hash = Sha256::of(b"x").to_string();
    let lines = format!(
        "### header\n0000  other.tar.gz\n{hash}  etcd.tar.gz\n{hash} *bin.tgz\nSHA256 (disk.qcow2) = {hash}\n"
    );
    assert_eq!(
        download::checksum_of("etcd.tar.gz", &lines),
        Some(hash.as_str())
    );
    assert_eq!(
        download::checksum_of("bin.tgz", &lines),
        Some(hash.as_str())
    );
    assert_eq!(
        download::checksum_of("disk.qcow2", &lines),
        Some(hash.as_str())
    );
    assert_eq!(download::checksum_of("tar.gz", &lines), None);
    assert_eq!(
        download::checksum_of("anything", &format!("{hash}\n")),
        Some(hash.as_str())
    );
}

#[test]
fn a_full_disk_is_called_so() {
    let dir = tempfile::tempdir().unwrap();
    std::os::unix::fs::symlink("/dev/full", dir.path().join("x.part")).unwrap();
    let server = server(Answer::Body(body()), sum(&body()));
    let message = fetch(&server, &dir.path().join("x"))
        .unwrap_err()
        .to_string();
    assert!(
        message.starts_with("no space left for ") && message.contains("x.part"),
        "{message}"
    );
}
