//! Rotations in a store: the second pair lies beside the first, and one word beside both says how far it is.
//!
//! ```text
//! ca/etcd.{crt,key}  ca/etcd.next.{crt,key}  ca/etcd.rotation
//! sa.{pub,key}       sa.next.{pub,key}       sa.rotation
//! ```
//!
//! Which pair signs follows from that word alone, so one rename changes both halves at once.

use std::fs;
use std::path::{Path, PathBuf};

use time::OffsetDateTime;

use super::{Generation, NoWayBack, Phase, Rotated, next_common_name};
use crate::authority::{Authority, IssueError, LoadError};
use crate::disk::{failed, read_text, sync_directory};
use crate::lock::WriteLock;
use crate::random::{Random, RandomError};
use crate::request::{Life, RequestError, Subject};
use crate::role::CaRole;
use crate::store::{KEY_MODE, PUBLIC_MODE, ReadError, Store, WriteError};
use crate::x509::{Certificate, CertificateError, KeyError, KeySpec, PrivateKey};

/// A step of a rotation could not be made in the store. The step before it still counts.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RotationError {
    /// The store cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The store cannot be written.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// There is nothing to move.
    #[error("{0} is not being rotated")]
    NotRotating(Rotated),
    /// A step that does not follow.
    #[error("the rotation of {rotated} is at `{at}`, and `{to}` does not come after that")]
    Order {
        /// What is rotated.
        rotated: Rotated,
        /// The phase that it is in.
        at: Phase,
        /// The phase that was asked for.
        to: Phase,
    },
    /// The last phase.
    #[error(transparent)]
    NoWayBack(#[from] NoWayBack),
    /// The pair that is there cannot be succeeded.
    #[error("the certificate of {rotated} cannot be read")]
    Certificate {
        /// What is rotated.
        rotated: Rotated,
        /// What is wrong with it.
        #[source]
        source: CertificateError,
    },
    /// The name of the new authority.
    #[error("naming the new authority of {rotated}")]
    Subject {
        /// What is rotated.
        rotated: Rotated,
        /// What is wrong.
        #[source]
        source: RequestError,
    },
    /// No salt could be drawn for a key under a pass phrase.
    #[error(transparent)]
    Random(#[from] RandomError),
    /// A key could not be drawn or read.
    #[error("the new key of {rotated}")]
    Key {
        /// What is rotated.
        rotated: Rotated,
        /// What is wrong.
        #[source]
        source: KeyError,
    },
    /// The new authority could not be made.
    #[error("making the new authority of {rotated}")]
    Issue {
        /// What is rotated.
        rotated: Rotated,
        /// What is wrong.
        #[source]
        source: Box<IssueError>,
    },
    /// One of the two pairs cannot be used.
    #[error("loading an authority of {rotated}")]
    Load {
        /// What is rotated.
        rotated: Rotated,
        /// What is wrong.
        #[source]
        source: Box<LoadError>,
    },
}

/// The two files of one pair.
struct Pair {
    public: PathBuf,
    key: PathBuf,
}

fn stem(rotated: Rotated) -> String {
    match rotated {
        Rotated::Authority(role) => format!("ca/{}", role.name()),
        Rotated::ServiceAccount => "sa".to_owned(),
    }
}

fn pair(root: &Path, rotated: Rotated, generation: Generation) -> Pair {
    let public = match rotated {
        Rotated::Authority(_) => "crt",
        Rotated::ServiceAccount => "pub",
    };
    let mark = match generation {
        Generation::Old => "",
        Generation::New => ".next",
    };
    let stem = stem(rotated);
    Pair {
        public: root.join(format!("{stem}{mark}.{public}")),
        key: root.join(format!("{stem}{mark}.key")),
    }
}

fn record(root: &Path, rotated: Rotated) -> PathBuf {
    root.join(format!("{}.rotation", stem(rotated)))
}

fn parse(path: &Path, text: &str) -> Result<Phase, ReadError> {
    let found = text.trim_end().parse();
    found.map_err(|_| ReadError::Rotation {
        path: path.to_owned(),
    })
}

/// The path of a half of the pair that signs. While the last phase ends, one half may have moved to its final name.
pub(crate) fn signing_half(root: &Path, rotated: Rotated, public: bool) -> PathBuf {
    let half = |generation| {
        let pair = pair(root, rotated, generation);
        if public { pair.public } else { pair.key }
    };
    let path = record(root, rotated);
    // What cannot be read here is named by `Store::rotation`, which every plan asks first.
    let word = fs::read_to_string(&path).unwrap_or_default();
    let new = parse(&path, &word).is_ok_and(|phase| phase.signer() == Generation::New);
    let next = half(Generation::New);
    if new && next.exists() {
        return next;
    }
    half(Generation::Old)
}

impl Store {
    /// How far the rotation of one of its authorities, or of the service account key, has come; `None` where there is
    /// none.
    ///
    /// # Errors
    /// The record cannot be read.
    pub fn rotation(&self, rotated: Rotated) -> Result<Option<Phase>, ReadError> {
        let path = record(self.root(), rotated);
        let text = read_text(&path)?;
        text.map(|text| parse(&path, &text)).transpose()
    }

    /// Every rotation that has begun and not ended.
    ///
    /// # Errors
    /// A record cannot be read.
    pub fn rotations(&self) -> Result<Vec<(Rotated, Phase)>, ReadError> {
        let mut found = Vec::new();
        for rotated in Rotated::ALL {
            found.extend(self.rotation(rotated)?.map(|phase| (rotated, phase)));
        }
        Ok(found)
    }

    /// What whoever verifies has to trust: the certificates of an authority, or the public keys of service accounts,
    /// as PEM texts one after another. More than one between the phases [`Trust`](Phase::Trust) and
    /// [`Swap`](Phase::Swap) of a rotation; then the old one comes first, so that the file stays when the signer
    /// changes. Of the Kubernetes authority the one that signs comes first: a certificate of a kubelet is judged by
    /// it, and whoever reads the file is started anew at the swap too. kube-apiserver, as a client of the kubelets,
    /// would go on with its old leaf for up to five minutes (client-go, `cert_rotation.go`).
    ///
    /// # Errors
    /// A file is missing or cannot be read.
    pub fn trusted(&self, rotated: Rotated) -> Result<String, ReadError> {
        let Some(phase) = self.rotation(rotated)? else {
            return self.read_public(&rotated.item());
        };
        if phase.trusted() == [phase.signer()] {
            return self.read_public(&rotated.item());
        }
        let mut trusted = phase.trusted().to_vec();
        if rotated == Rotated::Authority(CaRole::Kubernetes) {
            trusted.sort_by_key(|generation| *generation != phase.signer());
        }
        let mut bundle = String::new();
        for generation in trusted {
            bundle.push_str(&self.public_of(rotated, generation)?);
        }
        Ok(bundle)
    }

    /// The public half of one of the two pairs of a rotation.
    ///
    /// # Errors
    /// It is missing or cannot be read.
    pub fn public_of(&self, rotated: Rotated, generation: Generation) -> Result<String, ReadError> {
        let path = pair(self.root(), rotated, generation).public;
        read_text(&path)?.ok_or_else(|| self.missing(rotated))
    }

    /// One of the two authorities of a rotation, with its key: to try what a leaf of it is accepted for.
    ///
    /// # Errors
    /// It is missing, cannot be read, or cannot act at this moment.
    pub fn authority_of(
        &self,
        role: CaRole,
        generation: Generation,
        now: OffsetDateTime,
    ) -> Result<Authority, RotationError> {
        let rotated = Rotated::Authority(role);
        let certificate = self.public_of(rotated, generation)?;
        let path = pair(self.root(), rotated, generation).key;
        let key = self.read_key(&path)?.ok_or_else(|| self.missing(rotated))?;
        Authority::from_pem(&certificate, &key, now).map_err(|source| RotationError::Load {
            rotated,
            source: Box::new(source),
        })
    }

    fn missing(&self, rotated: Rotated) -> ReadError {
        ReadError::Missing {
            item: rotated.item(),
            store: self.root().to_owned(),
        }
    }
}

/// Begins a rotation: makes the new pair, with a key of this kind, beside the old one, [`Phase::Add`]. One that has begun already is left as it
/// is, which is not an error; what a killed run has left of the pair is used.
///
/// # Errors
/// The old pair is missing, another process writes to the store, the disk refuses, or the new pair cannot be made.
pub fn begin(
    store: &Store,
    rotated: Rotated,
    life: Life,
    kind: KeySpec,
    now: OffsetDateTime,
    random: &dyn Random,
) -> Result<Phase, RotationError> {
    let new = pair(store.root(), rotated, Generation::New);
    match store.rotation(rotated)? {
        // A way back that was killed may have taken away the pair.
        Some(Phase::Add) if new.public.exists() && new.key.exists() => return Ok(Phase::Add),
        Some(Phase::Add) | None => {}
        Some(later) => return Ok(later),
    }
    let lock = store.lock()?;
    let failed = |source| RotationError::Key { rotated, source };
    let key = match store.read_key(&new.key)? {
        Some(pem) => PrivateKey::from_pem(&pem),
        None => PrivateKey::generate_for(kind),
    };
    let key = key.map_err(failed)?;
    let text = store.key_text(&rotated.item(), &key, random)?;
    write(store, &lock, &new.key, text.as_bytes(), KEY_MODE)?;
    let public = match rotated {
        Rotated::ServiceAccount => {
            store.read_public(&rotated.item())?;
            key.public_key_pem()
        }
        Rotated::Authority(role) => make_authority(store, role, key, life, now, random)?,
    };
    write(store, &lock, &new.public, public.as_bytes(), PUBLIC_MODE)?;
    remember(store, &lock, rotated, Phase::Add)?;
    Ok(Phase::Add)
}

fn make_authority(
    store: &Store,
    role: CaRole,
    key: PrivateKey,
    life: Life,
    now: OffsetDateTime,
    random: &dyn Random,
) -> Result<String, RotationError> {
    let rotated = Rotated::Authority(role);
    let old = store.read_public(&rotated.item())?;
    let old = Certificate::from_pem(&old)
        .map_err(|source| RotationError::Certificate { rotated, source })?;
    let name = next_common_name(role, old.common_name());
    let subject =
        Subject::new(&name, &[]).map_err(|source| RotationError::Subject { rotated, source })?;
    let made = Authority::create_with_key(key, &subject, life, now, random);
    let made = made.map_err(|source| RotationError::Issue {
        rotated,
        source: Box::new(source),
    })?;
    Ok(made.certificate_pem().to_owned())
}

/// Says that a rotation is in its next phase. From here on every plan of the store and every file of a machine is that
/// of the new phase.
///
/// # Errors
/// There is no rotation, `to` is not its next phase, or the store cannot be written.
pub fn advance(store: &Store, rotated: Rotated, to: Phase) -> Result<(), RotationError> {
    let lock = store.lock()?;
    let at = store.rotation(rotated)?;
    let at = at.ok_or(RotationError::NotRotating(rotated))?;
    if at.next() != Some(to) {
        return Err(RotationError::Order { rotated, at, to });
    }
    remember(store, &lock, rotated, to)
}

/// Says that a rotation is in the phase before; from the first one the new pair is removed, and there is no rotation
/// any more, which is `None`.
///
/// # Errors
/// There is no rotation or no way back from its phase, or the store cannot be written.
pub fn step_back(store: &Store, rotated: Rotated) -> Result<Option<Phase>, RotationError> {
    let lock = store.lock()?;
    let at = store.rotation(rotated)?;
    let at = at.ok_or(RotationError::NotRotating(rotated))?;
    if let Some(before) = at.back()? {
        remember(store, &lock, rotated, before)?;
        return Ok(Some(before));
    }
    let new = pair(store.root(), rotated, Generation::New);
    // The record last: without it a killed run would leave a key that nobody asks for.
    for path in [new.key, new.public, record(store.root(), rotated)] {
        remove(&path)?;
    }
    sync(store, rotated)?;
    Ok(None)
}

/// Ends a rotation in its last phase: the new pair takes the names of the old one, which is gone with that.
///
/// # Errors
/// There is no rotation, it is not in its last phase, or the store cannot be written. Killed anywhere, the next call
/// goes on, and the new pair signs all the while.
pub fn finish(store: &Store, rotated: Rotated) -> Result<(), RotationError> {
    let _lock = store.lock()?;
    let at = store.rotation(rotated)?;
    let at = at.ok_or(RotationError::NotRotating(rotated))?;
    if at != Phase::Drop {
        let to = Phase::Drop;
        return Err(RotationError::Order { rotated, at, to });
    }
    let old = pair(store.root(), rotated, Generation::Old);
    let new = pair(store.root(), rotated, Generation::New);
    for (from, to) in [(&new.key, &old.key), (&new.public, &old.public)] {
        if from.exists() {
            fs::rename(from, to).map_err(failed("renaming to", to))?;
        }
    }
    sync(store, rotated)?;
    remove(&record(store.root(), rotated))?;
    sync(store, rotated)
}

fn remember(
    store: &Store,
    lock: &WriteLock,
    rotated: Rotated,
    phase: Phase,
) -> Result<(), RotationError> {
    let path = record(store.root(), rotated);
    let text = format!("{phase}\n");
    write(store, lock, &path, text.as_bytes(), PUBLIC_MODE)
}

fn write(
    store: &Store,
    lock: &WriteLock,
    path: &Path,
    bytes: &[u8],
    mode: u32,
) -> Result<(), RotationError> {
    Ok(store.write(lock, path, bytes, mode, &mut |_| {})?)
}

fn remove(path: &Path) -> Result<(), WriteError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(failed("removing", path)(error))
        }
        _ => Ok(()),
    }
}

fn sync(store: &Store, rotated: Rotated) -> Result<(), RotationError> {
    let path = record(store.root(), rotated);
    Ok(sync_directory(path.parent().unwrap_or(store.root()))?)
}
