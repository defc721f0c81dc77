//! Big files: on this machine, and over SSH with a connection that is cut on the way.

use crate::{LONG, sshd::Sshd};
use host_exec::{
    Command, File, Host, LocalHost, Mode, RunErrorKind, Sha256Hex, Stdin, UploadError,
    UploadErrorKind, Uploaded, download, poll, upload,
};
use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

/// The cases of any host; `dir` is an empty directory that this machine and `host` see at the same place.
pub(crate) async fn check(host: &dyn Host, dir: &Path) {
    streams_a_file(host, dir).await;
    brings_a_file_once(host, dir).await;
    carries_on_with_a_part(host, dir).await;
    believes_nothing_but_the_checksum(host, dir).await;
    refuses_what_is_no_file(host, dir).await;
    brings_a_file_back(host, dir).await;
}

struct Case {
    local: PathBuf,
    sum: Sha256Hex,
    bytes: Vec<u8>,
}

impl Case {
    /// A file of this machine of some 300,000 bytes, no two of the same `seed` apart.
    fn new(dir: &Path, seed: u32) -> Self {
        let words = (0..75_000_u32).map(|n| n.wrapping_mul(2_654_435_761).wrapping_add(seed));
        let bytes: Vec<u8> = words.flat_map(u32::to_le_bytes).collect();
        fs::create_dir_all(dir).unwrap();
        let local = dir.join(format!("local {seed}"));
        fs::write(&local, &bytes).unwrap();
        let sum = Sha256Hex::of(&bytes);
        Self { local, sum, bytes }
    }

    async fn send(&self, host: &dyn Host, to: &Path, mode: u32) -> Result<Uploaded, UploadError> {
        upload(host, &self.local, to, Mode::new(mode), &self.sum, LONG).await
    }

    /// The name of what has come so far.
    fn part(&self, to: &Path) -> PathBuf {
        let name = to.file_name().unwrap().to_str().unwrap();
        to.with_file_name(format!(".{name}.{}.part", &self.sum.as_str()[..16]))
    }

    fn len(&self) -> u64 {
        self.bytes.len().try_into().unwrap()
    }
}

fn sent(bytes: u64, resumed_from: u64) -> Uploaded {
    Uploaded {
        bytes,
        resumed_from,
    }
}

async fn streams_a_file(host: &dyn Host, dir: &Path) {
    let case = Case::new(dir, 1);
    let cat = Command::new("cat").stdin(Stdin::File(case.local.clone()));
    assert!(host.run(&cat).await.unwrap().stdout == case.bytes);
    let rest = Command::new("cat").stdin(Stdin::FileFrom(case.local.clone(), 299_990));
    assert_eq!(host.run(&rest).await.unwrap().stdout, case.bytes[299_990..]);
    let missing = Command::new("cat").stdin(Stdin::File(dir.join("missing")));
    let error = host.run(&missing).await.unwrap_err();
    assert!(matches!(*error.kind, RunErrorKind::Io(_)), "{error}");
    assert!(error.to_string().contains("/missing: No such"), "{error}");
}

async fn brings_a_file_once(host: &dyn Host, dir: &Path) {
    let (case, to) = (Case::new(dir, 2), dir.join("far/the image's"));
    let done = case.send(host, &to, 0o640).await.unwrap();
    assert_eq!(done, sent(case.len(), 0));
    assert!(host.read_file(&to).await.unwrap().unwrap() == case.bytes);
    assert_eq!(host.file_mode(&to).await.unwrap(), Some(Mode::new(0o640)));
    assert_eq!(case.send(host, &to, 0o640).await.unwrap(), sent(0, 0));
    assert_eq!(case.send(host, &to, 0o755).await.unwrap(), sent(0, 0));
    assert_eq!(host.file_mode(&to).await.unwrap(), Some(Mode::EXECUTABLE));
    let other = Case::new(dir, 3);
    assert_eq!(
        other.send(host, &to, 0o600).await.unwrap(),
        sent(other.len(), 0)
    );
    assert!(host.read_file(&to).await.unwrap().unwrap() == other.bytes);
    assert_eq!(host.file_mode(&to).await.unwrap(), Some(Mode::SECRET));
    assert_eq!(fs::read_dir(dir.join("far")).unwrap().count(), 1);
}

async fn carries_on_with_a_part(host: &dyn Host, dir: &Path) {
    let (case, dir) = (Case::new(dir, 4), dir.join("parts"));
    let to = dir.join("image");
    let part = case.part(&to);
    for begun in [100_000, 300_000] {
        let half = File::secret(&part, &case.bytes[..begun]);
        host.write_file(&half).await.unwrap();
        // Of other contents of the same file, and of a file whose name begins with the same word.
        let stale = File::secret(dir.join(".image.0123456789abcdef.part"), "x");
        host.write_file(&stale).await.unwrap();
        let neighbour = File::secret(dir.join(".image.raw.0123456789abcdef.part"), "x");
        host.write_file(&neighbour).await.unwrap();
        let begun = u64::try_from(begun).unwrap();
        assert_eq!(
            case.send(host, &to, 0o644).await.unwrap(),
            sent(case.len() - begun, begun)
        );
        assert!(host.read_file(&to).await.unwrap().unwrap() == case.bytes);
        assert_eq!(host.read_file(&stale.path).await.unwrap(), None);
        assert!(host.read_file(&neighbour.path).await.unwrap().is_some());
        host.remove_file(&to).await.unwrap();
    }
    // Longer than the whole, or a symbolic link to somewhere else: none of ours.
    host.write_file(&File::secret(&part, vec![0; 400_000]))
        .await
        .unwrap();
    assert_eq!(
        case.send(host, &to, 0o644).await.unwrap(),
        sent(case.len(), 0)
    );
    host.remove_file(&to).await.unwrap();
    let elsewhere = dir.join("elsewhere");
    fs::write(&elsewhere, &case.bytes[..10]).unwrap();
    let names = [elsewhere.to_str().unwrap(), part.to_str().unwrap()];
    host.run(&Command::new("ln").arg("-s").args(names))
        .await
        .unwrap();
    assert_eq!(
        case.send(host, &to, 0o644).await.unwrap(),
        sent(case.len(), 0)
    );
    assert_eq!(fs::read(&elsewhere).unwrap().len(), 10);
}

async fn believes_nothing_but_the_checksum(host: &dyn Host, dir: &Path) {
    let (case, to) = (Case::new(dir, 5), dir.join("sums/image"));
    host.write_file(&File::public(&to, "old")).await.unwrap();
    let promised = Sha256Hex::of(b"something else");
    let wrong = Case {
        sum: promised.clone(),
        ..Case::new(dir, 5)
    };
    let error = wrong.send(host, &to, 0o644).await.unwrap_err();
    let UploadErrorKind::Checksum { expected, found } = &*error.kind else {
        panic!("{error:?}")
    };
    assert_eq!((expected, found), (&promised, &case.sum));
    // A part that is not the beginning of it.
    let part = File::secret(case.part(&to), "rubbish");
    host.write_file(&part).await.unwrap();
    let error = case.send(host, &to, 0o644).await.unwrap_err();
    assert!(
        matches!(*error.kind, UploadErrorKind::Checksum { .. }),
        "{error:?}"
    );
    assert_eq!(host.read_file(&to).await.unwrap().unwrap(), b"old");
    assert_eq!(fs::read_dir(dir.join("sums")).unwrap().count(), 1);
    assert_eq!(
        case.send(host, &to, 0o644).await.unwrap(),
        sent(case.len(), 0)
    );
}

async fn refuses_what_is_no_file(host: &dyn Host, dir: &Path) {
    let case = Case::new(dir, 6);
    for bad in [Path::new("relative"), &dir.join("../up"), Path::new("/")] {
        let error = case.send(host, bad, 0o644).await.unwrap_err();
        assert!(matches!(*error.kind, UploadErrorKind::Path), "{error:?}");
    }
    let error = case.send(host, dir, 0o644).await.unwrap_err();
    let UploadErrorKind::Run(cause) = &*error.kind else {
        panic!("{error:?}")
    };
    let said = cause.to_string();
    assert!(
        said.contains("Is a directory") && !said.contains("umask"),
        "{said}"
    );
    let missing = Case {
        local: dir.join("missing"),
        ..case
    };
    let error = missing
        .send(host, &dir.join("never"), 0o644)
        .await
        .unwrap_err();
    assert!(
        matches!(*error.kind, UploadErrorKind::Local(_)),
        "{error:?}"
    );
    let shown = error.to_string();
    assert!(
        shown.starts_with(&format!("{}: cannot upload ", host.name())),
        "{shown}"
    );
}

#[tokio::test]
async fn files_are_brought_to_this_machine() {
    let dir = tempfile::tempdir().unwrap();
    check(&LocalHost::new("here".parse().unwrap()), dir.path()).await;
}

/// The connection has to be cut before the whole file is there: `./lab test` runs nothing else meanwhile.
mod alone {
    use super::*;

    /// A connection that is cut in the middle, several times: each call carries on where the last one stood.
    #[tokio::test(flavor = "multi_thread")]
    #[ignore = "needs sshd"]
    async fn a_cut_upload_is_carried_on() {
        let sshd = Sshd::start().await;
        let host = sshd.host();
        let dir = tempfile::tempdir().unwrap();
        check(&host, &dir.path().join("cases")).await;

        let whole: u64 = 256 << 20;
        let (local, to) = (dir.path().join("local"), dir.path().join("far"));
        // Empty to the disk, not to the connection.
        fs::File::create(&local).unwrap().set_len(whole).unwrap();
        let here = LocalHost::new("here".parse().unwrap());
        let sum = Command::new("sha256sum").stdin(Stdin::File(local.clone()));
        let sum = here.run(&sum).await.unwrap().stdout_text()[..64].to_owned();
        let case = Case {
            local,
            sum: sum.parse().unwrap(),
            bytes: Vec::new(),
        };
        let part = case.part(&to);
        let mut before = 0;
        for _ in 0..3 {
            let wait = poll::Wait::new("a piece of the file", LONG);
            let piece = poll::until(&wait, || async {
                let there = fs::metadata(&part).map_or(0, |found| found.len());
                Ok::<_, std::convert::Infallible>(match there > before + (4 << 20) {
                    true => poll::Attempt::Ready(()),
                    false => poll::Attempt::NotYet(format!("{there} bytes")),
                })
            });
            let cut = async {
                piece.await.unwrap();
                sshd.signal_sessions("-KILL").await;
            };
            let (ended, ()) = tokio::join!(case.send(&host, &to, 0o644), cut);
            let error = ended.unwrap_err();
            let UploadErrorKind::Run(cause) = &*error.kind else {
                panic!("{error:?}")
            };
            assert!(
                matches!(*cause.kind, RunErrorKind::Unreachable(_)),
                "{cause}"
            );
            let found = fs::metadata(&part).unwrap();
            assert_eq!(found.permissions().mode() & 0o7777, 0o600);
            assert!(before < found.len() && found.len() < whole);
            before = found.len();
            assert!(!to.exists());
        }
        let done = case.send(&host, &to, 0o644).await.unwrap();
        assert!(done.resumed_from >= before, "{done:?}");
        assert_eq!(done.bytes + done.resumed_from, whole);
        assert!(!part.exists());
        assert_eq!(fs::metadata(&to).unwrap().len(), whole);
        host.disconnect().await.unwrap();
    }
}

/// What comes back is what was there, closed to others, whatever was in its place before.
async fn brings_a_file_back(host: &dyn Host, dir: &Path) {
    let case = Case::new(&dir.join("back"), 7);
    let to = dir.join("back/it came");
    fs::write(&to, "something that was longer before? no").unwrap();
    fs::set_permissions(&to, fs::Permissions::from_mode(0o644)).unwrap();
    let bytes = download(host, &case.local, &to, LONG).await.unwrap();
    assert_eq!(bytes, Some(case.len()));
    assert_eq!(Sha256Hex::of_file(&to).unwrap(), case.sum);
    let mode = fs::metadata(&to).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let none = download(host, &dir.join("no such file"), &to, LONG).await;
    assert_eq!(none.unwrap(), None);
    assert_eq!(
        fs::metadata(&to).unwrap().len(),
        case.len(),
        "nothing was touched"
    );
    for (from, to) in [
        (Path::new("relative"), &*to),
        (dir, &*to),
        (&*case.local, Path::new("/no/such/directory/file")),
    ] {
        let refused = download(host, from, to, LONG).await.unwrap_err();
        assert_eq!(refused.from, from, "{refused:?}");
    }
}
