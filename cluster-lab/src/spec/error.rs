//! What is wrong with a specification.

use artifacts::UnknownKubernetes;
use std::{io, path::PathBuf};

/// What may be done about a version that is too new.
const TRY_NEWER: &str =
    "; to try it all the same, say unsupported_version = true (--unsupported-version)";

/// A specification that cannot be read, or that asks for something impossible. Nothing was touched.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SpecError {
    /// The file cannot be read.
    #[error("cannot read {}", .path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// The text is not a specification; the message has line, column and the line itself.
    #[error("{}{source}", .path.as_ref().map(|path| format!("{}: ", path.display())).unwrap_or_default())]
    Parse {
        /// The file, if it was one.
        path: Option<PathBuf>,
        /// What the parser says.
        source: Box<toml::de::Error>,
    },
    /// A number is out of its range.
    #[error("{field} = {value}: {remedy}")]
    Range {
        /// The field, as in lab.toml.
        field: &'static str,
        /// The value.
        value: String,
        /// What it may be.
        remedy: &'static str,
    },
    /// The size of a VM is out of its range.
    #[error("{field} = {value}: {remedy}")]
    Size {
        /// The field, as in lab.toml.
        field: String,
        /// The value.
        value: u32,
        /// What it may be.
        remedy: &'static str,
    },
    /// The image of VMs.
    #[error("{field} = {value:?}: {why}")]
    Image {
        /// The field, as in lab.toml.
        field: &'static str,
        /// The value.
        value: String,
        /// What is wrong with it, and what to do.
        why: String,
    },
    /// Snapshots of etcd by a timer.
    #[error("etcd.snapshots: {why}")]
    Snapshots {
        /// What is wrong with it, and what to do.
        why: String,
    },
    /// A version that is not in the catalogue.
    #[error("{unknown}{}", if .unknown.is_newer() { TRY_NEWER } else { "" })]
    Kubernetes {
        /// What the catalogue says.
        unknown: UnknownKubernetes,
    },
}
