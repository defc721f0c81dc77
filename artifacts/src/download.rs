//! One file over HTTP, resumed where an earlier attempt broke off, kept only with the right checksum.

use crate::{
    Checksum, InvalidChecksum, Sha256,
    digest::Hasher,
    store::{StoreError, writing},
};
use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read, Write},
    ops::ControlFlow,
    path::{Path, PathBuf},
    time::Duration,
};
use ureq::{Agent, http::StatusCode};

/// The longest silence in the middle of a transfer.
const STALLED_AFTER: Duration = Duration::from_secs(60);

/// The largest checksum file that is read; SHA256SUMS of etcd has 3 KB.
const LARGEST_CHECKSUM_FILE_BYTES: u64 = 1 << 20;

/// Is called with the bytes here and, if known, the bytes in all; says whether to go on.
pub type Progress<'a> = dyn FnMut(u64, Option<u64>) -> ControlFlow<()> + 'a;

/// A file that could not be downloaded.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DownloadError {
    /// The server does not answer, or the transfer broke off. What arrived is kept and continued by the next attempt.
    #[error("cannot download {url}")]
    Transport {
        /// The address.
        url: String,
        /// The cause.
        #[source]
        source: Box<ureq::Error>,
    },
    /// The server does not have it, or refuses.
    #[error("cannot download {url}: HTTP status {status}")]
    Status {
        /// The address.
        url: String,
        /// The answer's status.
        status: u16,
    },
    /// The transfer broke off. What arrived is kept and continued by the next attempt.
    #[error(
        "download of {url} broke off after {received_bytes} bytes; try again, it goes on from there"
    )]
    BrokeOff {
        /// The address.
        url: String,
        /// What is here of it.
        received_bytes: u64,
        /// The cause; none if the server closed too early.
        #[source]
        source: Option<io::Error>,
    },
    /// The file with checksums has none for this file.
    #[error("{checksum_url} has no SHA-256 or SHA-512 checksum of {name}")]
    NoChecksum {
        /// The address of the checksum file.
        checksum_url: String,
        /// The name looked for.
        name: String,
        /// What stood in its place.
        #[source]
        source: Option<InvalidChecksum>,
    },
    /// What arrived is not what the checksum says. It was removed.
    #[error(
        "{url} has the wrong checksum, {found} instead of {expected}; the file was removed: try again, and if it stays so do not trust that place"
    )]
    ChecksumMismatch {
        /// The address.
        url: String,
        /// What its checksum file says.
        expected: Checksum,
        /// What arrived.
        found: Checksum,
    },
    /// A file of this machine.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl DownloadError {
    /// Whether another source may serve where this one did not: it is out of reach or lacks the file.
    /// A wrong checksum or a full disk is no reason to look elsewhere.
    pub(crate) fn place_is_unusable(&self) -> bool {
        matches!(
            self,
            Self::Transport { .. } | Self::Status { .. } | Self::NoChecksum { .. }
        )
    }
}

/// An HTTP client with this connect time-out. Follows redirects: both dl.k8s.io and GitHub answer with one.
pub fn agent(connect_timeout: Duration) -> Agent {
    Agent::config_builder()
        .http_status_as_error(false)
        // The files are compressed already, and the size on the wire has to be that of the file.
        .accept_encoding("identity")
        .timeout_connect(Some(connect_timeout))
        .timeout_resolve(Some(connect_timeout))
        .timeout_recv_response(Some(STALLED_AFTER))
        .timeout_per_read(Some(STALLED_AFTER))
        .build()
        .new_agent()
}

/// Whether a server answers at this address with anything, be it an error status.
///
/// # Errors
///
/// No connection, no TLS, no answer.
pub fn probe(agent: &Agent, url: &str) -> Result<(), Box<ureq::Error>> {
    match agent
        .head(url)
        .config()
        .max_redirects(0)
        .max_redirects_will_error(false)
        .build()
        .call()
    {
        Ok(_) | Err(ureq::Error::StatusCode(_)) => Ok(()),
        Err(source) => Err(Box::new(source)),
    }
}

/// Downloads `url` into the file `target`.
///
/// The bytes go to `TARGET.part` first; a part of an earlier attempt is continued if the server can do so
/// (RFC 9110, section 14), and started again if what comes of it has the wrong checksum. Blocks.
///
/// # Errors
///
/// See [`DownloadError`]. A part that could not be continued is *not* an error.
pub fn fetch(
    agent: &Agent,
    url: &str,
    checksum_url: &str,
    target: &Path,
    progress: &mut Progress<'_>,
) -> Result<Sha256, DownloadError> {
    let expected = published_checksum(agent, url, checksum_url)?;
    fetch_known(agent, url, &expected, target, progress)?;
    match expected.sha256() {
        Some(sha256) => Ok(sha256),
        None => Ok(Sha256::of_file(target).map_err(writing(target))?),
    }
}

/// The same for a file whose checksum is known.
///
/// # Errors
///
/// See [`DownloadError`]. A part that could not be continued is *not* an error.
pub fn fetch_known(
    agent: &Agent,
    url: &str,
    expected: &Checksum,
    target: &Path,
    progress: &mut Progress<'_>,
) -> Result<(), DownloadError> {
    let part = part_of(target);
    let resumed = receive(agent, url, &part, progress)?;
    let mut found = expected.of_same_kind(&part).map_err(writing(&part))?;
    if found != *expected && resumed {
        fs::remove_file(&part).map_err(writing(&part))?;
        receive(agent, url, &part, progress)?;
        found = expected.of_same_kind(&part).map_err(writing(&part))?;
    }
    if found != *expected {
        fs::remove_file(&part).map_err(writing(&part))?;
        return Err(DownloadError::ChecksumMismatch {
            url: url.to_owned(),
            expected: expected.clone(),
            found,
        });
    }
    Ok(fs::rename(&part, target).map_err(writing(target))?)
}

/// The file beside `target` that holds what has arrived so far.
pub(crate) fn part_of(target: &Path) -> PathBuf {
    let mut name = target.as_os_str().to_owned();
    name.push(".part");
    PathBuf::from(name)
}

/// What the file at `checksum_url` says of the file at `url`.
pub(crate) fn published_checksum(
    agent: &Agent,
    url: &str,
    checksum_url: &str,
) -> Result<Checksum, DownloadError> {
    let mut response = get(agent, checksum_url, 0)?;
    let text = response
        .body_mut()
        .with_config()
        .limit(LARGEST_CHECKSUM_FILE_BYTES)
        .read_to_string()
        .map_err(|source| DownloadError::Transport {
            url: checksum_url.to_owned(),
            source: Box::new(source),
        })?;
    let name = url.rsplit('/').next().unwrap_or(url);
    let found = checksum_of(name, &text).ok_or(None);
    found
        .and_then(|word| word.parse().map_err(Some))
        .map_err(|source| DownloadError::NoChecksum {
            checksum_url: checksum_url.to_owned(),
            name: name.to_owned(),
            source,
        })
}

/// Finds the checksum of `name` in a text that is either one checksum alone (dl.k8s.io), or lines of sha256sum(1):
/// checksum, blank, `*` or blank, file name (GitHub, Debian), or lines of BSD: `SHA256 (NAME) = CHECKSUM` (Fedora).
pub fn checksum_of<'a>(name: &str, text: &'a str) -> Option<&'a str> {
    let mut words = text.split_whitespace();
    if let (Some(alone), None) = (words.next(), words.next()) {
        return Some(alone);
    }
    text.lines().find_map(|line| {
        if let Some((left, checksum)) = line.split_once(") = ") {
            return (left.split_once(" (")?.1 == name).then_some(checksum.trim());
        }
        let (checksum, file) = line.split_once(char::is_whitespace)?;
        let file = file.trim().trim_start_matches('*');
        (file.rsplit('/').next() == Some(name)).then_some(checksum)
    })
}

fn get(
    agent: &Agent,
    url: &str,
    from: u64,
) -> Result<ureq::http::Response<ureq::Body>, DownloadError> {
    let mut request = agent.get(url);
    if from > 0 {
        request = request.header("Range", format!("bytes={from}-"));
    }
    let response = request.call().map_err(|source| DownloadError::Transport {
        url: url.to_owned(),
        source: Box::new(source),
    })?;
    let status = response.status();
    if status.is_success() || (from > 0 && status == StatusCode::RANGE_NOT_SATISFIABLE) {
        return Ok(response);
    }
    Err(DownloadError::Status {
        url: url.to_owned(),
        status: status.as_u16(),
    })
}

/// Brings `part` to its full length. Says whether it was continued from an earlier attempt.
fn receive(
    agent: &Agent,
    url: &str,
    part: &Path,
    progress: &mut Progress<'_>,
) -> Result<bool, DownloadError> {
    let here = fs::metadata(part).map(|found| found.len()).unwrap_or(0);
    let mut response = get(agent, url, here)?;
    if response.status() == StatusCode::RANGE_NOT_SATISFIABLE {
        // Nothing lies beyond what is here: the part is complete, or it is garbage, which its checksum tells.
        return Ok(true);
    }
    let resumed = here > 0 && response.status() == StatusCode::PARTIAL_CONTENT;
    let start = if resumed { here } else { 0 };
    let total = response.body().content_length().map(|rest| start + rest);
    let mut file = open(part, resumed).map_err(writing(part))?;
    let mut body = response.body_mut().with_config().limit(u64::MAX).reader();
    let mut received = start;
    let mut buffer = vec![0; 128 * 1024];
    let broke_off = |received_bytes, source| DownloadError::BrokeOff {
        url: url.to_owned(),
        received_bytes,
        source,
    };
    loop {
        if progress(received, total).is_break() {
            return Err(broke_off(received, Some(io::ErrorKind::Interrupted.into())));
        }
        let n = match body.read(&mut buffer) {
            Ok(0) => break,
            Ok(n) => n,
            Err(source) => return Err(broke_off(received, Some(source))),
        };
        file.write_all(&buffer[..n]).map_err(writing(part))?;
        received += n as u64;
    }
    match total {
        Some(total) if received < total => Err(broke_off(received, None)),
        _ => Ok(resumed),
    }
}

fn open(part: &Path, resumed: bool) -> io::Result<File> {
    if resumed {
        return OpenOptions::new().append(true).open(part);
    }
    File::create(part)
}

/// Copies `from` to `to` and returns the checksum of what went through.
pub(crate) fn copy_and_hash(from: &mut dyn Read, to: &mut dyn Write) -> io::Result<Sha256> {
    let mut hasher = Hasher::default();
    let mut buffer = vec![0; 128 * 1024];
    loop {
        match from.read(&mut buffer)? {
            0 => return Ok(hasher.finish()),
            n => {
                hasher.update(&buffer[..n]);
                to.write_all(&buffer[..n])?;
            }
        }
    }
}
