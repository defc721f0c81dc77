//! A one-layer image as an archive that containerd, Docker and podman import.
//!
//! The archive is an OCI image layout (OCI image specification 1.1, `image-layout.md`) with Docker's
//! `manifest.json` beside it, as `docker save` writes it since version 25. The bytes depend on the contents only:
//! fixed order, times 0, owner 0.

use crate::{Architecture, Sha256};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::{collections::BTreeMap, fmt, io, str::FromStr};

/// The name and tag of an image: `lab.local/web:1`.
///
/// It reaches command lines and label keys, so only a registry with a dot, a path and a tag can be constructed
/// (the grammar of the distribution project's `reference` package, without ports and digests).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ImageReference(String);

/// A text that is not an [`ImageReference`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("image reference {text:?} is not of the form lab.local/name:tag in lower case")]
pub struct InvalidImageReference {
    text: String,
}

impl ImageReference {
    /// The reference as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What follows the last colon.
    pub fn tag(&self) -> &str {
        self.0.rsplit(':').next().unwrap_or(&self.0)
    }
}

impl FromStr for ImageReference {
    type Err = InvalidImageReference;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let bad = || InvalidImageReference {
            text: text.to_owned(),
        };
        let (name, tag) = text.rsplit_once(':').ok_or_else(bad)?;
        let (registry, path) = name.split_once('/').ok_or_else(bad)?;
        let word = |word: &str| {
            let legal = |b: u8| {
                b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'.' | b'-' | b'_')
            };
            word.bytes()
                .next()
                .is_some_and(|b| b.is_ascii_alphanumeric())
                && word.bytes().all(legal)
        };
        let legal = registry.contains('.')
            && word(registry)
            && path.split('/').all(word)
            && word(tag)
            && text.len() <= 255;
        legal.then(|| Self(text.to_owned())).ok_or_else(bad)
    }
}

impl TryFrom<String> for ImageReference {
    type Error = InvalidImageReference;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<ImageReference> for String {
    fn from(reference: ImageReference) -> Self {
        reference.0
    }
}

impl fmt::Display for ImageReference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A file of an image's only layer. Directories above it are made, mode 0755.
#[derive(Clone, PartialEq, Eq)]
pub struct ImageFile {
    /// Its path, absolute or not; `..` is refused when the archive is written.
    pub path: String,
    /// Its contents.
    pub contents: Vec<u8>,
    /// Its permission bits.
    pub mode: u32,
}

impl fmt::Debug for ImageFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} ({} bytes, mode {:o})",
            self.path,
            self.contents.len(),
            self.mode
        )
    }
}

/// An image: what is in it, and how it runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image {
    /// Its name and tag.
    pub reference: ImageReference,
    /// The processors it runs on.
    pub architecture: Architecture,
    /// Its files.
    pub files: Vec<ImageFile>,
    /// The program and the arguments that always come first.
    pub entrypoint: Vec<String>,
    /// `UID:GID` it runs as.
    pub user: String,
    /// Its environment, `NAME=VALUE`.
    pub env: Vec<String>,
}

const MANIFEST_TYPE: &str = "application/vnd.oci.image.manifest.v1+json";
const CONFIG_TYPE: &str = "application/vnd.oci.image.config.v1+json";
const LAYER_TYPE: &str = "application/vnd.oci.image.layer.v1.tar";
const INDEX_TYPE: &str = "application/vnd.oci.image.index.v1+json";

impl Image {
    /// The archive. The same image gives the same bytes, on any machine, at any time.
    ///
    /// # Errors
    ///
    /// A file's path is not one that a tar can hold: too long, empty, or with `..` in it.
    pub fn archive(&self) -> io::Result<Vec<u8>> {
        let layer = layer(&self.files)?;
        let layer_digest = Sha256::of(&layer);
        let config = self.config(&layer_digest).to_string().into_bytes();
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": MANIFEST_TYPE,
            "config": descriptor(CONFIG_TYPE, &config),
            "layers": [descriptor(LAYER_TYPE, &layer)],
        })
        .to_string()
        .into_bytes();
        let mut listed = descriptor(MANIFEST_TYPE, &manifest);
        listed["annotations"] = json!({
            // The first is what containerd and Docker take as the name, the second what the specification has.
            "io.containerd.image.name": self.reference.as_str(),
            "org.opencontainers.image.ref.name": self.reference.tag(),
        });
        let index = json!({"schemaVersion": 2, "mediaType": INDEX_TYPE, "manifests": [listed]});
        let docker = json!([{
            "Config": blob_path(&Sha256::of(&config)),
            "RepoTags": [self.reference.as_str()],
            "Layers": [blob_path(&layer_digest)],
        }]);
        let mut files = BTreeMap::new();
        for blob in [config, manifest, layer] {
            files.insert(blob_path(&Sha256::of(&blob)), blob);
        }
        files.insert("index.json".to_owned(), index.to_string().into_bytes());
        files.insert("manifest.json".to_owned(), docker.to_string().into_bytes());
        let layout = json!({"imageLayoutVersion": "1.0.0"});
        files.insert("oci-layout".to_owned(), layout.to_string().into_bytes());
        let mut tar = tar::Builder::new(Vec::new());
        for (path, contents) in &files {
            append(&mut tar, path, contents, 0o644)?;
        }
        tar.into_inner()
    }

    fn config(&self, layer: &Sha256) -> Value {
        json!({
            "architecture": self.architecture,
            "os": "linux",
            "config": {
                "Entrypoint": self.entrypoint,
                "Env": self.env,
                "User": self.user,
                "WorkingDir": "/",
            },
            "rootfs": {"type": "layers", "diff_ids": [format!("sha256:{layer}")]},
        })
    }
}

fn descriptor(media_type: &str, blob: &[u8]) -> Value {
    json!({
        "mediaType": media_type,
        "digest": format!("sha256:{}", Sha256::of(blob)),
        "size": blob.len(),
    })
}

fn blob_path(digest: &Sha256) -> String {
    format!("blobs/sha256/{digest}")
}

fn layer(files: &[ImageFile]) -> io::Result<Vec<u8>> {
    let sorted: BTreeMap<&str, &ImageFile> = files
        .iter()
        .map(|file| (file.path.trim_start_matches('/'), file))
        .collect();
    let mut tar = tar::Builder::new(Vec::new());
    let mut made: Vec<String> = Vec::new();
    for (path, file) in sorted {
        for (end, _) in path.match_indices('/') {
            let dir = format!("{}/", &path[..end]);
            if !made.contains(&dir) {
                let mut header = header(0, 0o755);
                header.set_entry_type(tar::EntryType::Directory);
                tar.append_data(&mut header, &dir, io::empty())?;
                made.push(dir);
            }
        }
        append(&mut tar, path, &file.contents, file.mode)?;
    }
    tar.into_inner()
}

fn append(
    tar: &mut tar::Builder<Vec<u8>>,
    path: &str,
    contents: &[u8],
    mode: u32,
) -> io::Result<()> {
    let mut header = header(contents.len() as u64, mode);
    header.set_entry_type(tar::EntryType::Regular);
    tar.append_data(&mut header, path, contents)
}

/// Owner root, time 0: nothing of the machine that writes it.
fn header(size_bytes: u64, mode: u32) -> tar::Header {
    let mut header = tar::Header::new_ustar();
    header.set_size(size_bytes);
    header.set_mode(mode);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header
}
