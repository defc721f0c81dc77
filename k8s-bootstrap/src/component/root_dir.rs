//! Definitions for a directory of one's own instead of `/`: for a caller who is not root.

use super::Component;
use host_exec::File;
use std::path::{Path, PathBuf};

/// What a node's own files begin with; everything else that a flag names belongs to the machine.
const MOVED: [&str; 2] = ["/etc/", "/var/"];

/// A directory in which the files of a node lie as they usually do below `/`, like kubeadm's `--rootfs`,
/// but without a change of root: the paths in the arguments are moved instead.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RootDir(PathBuf);

impl RootDir {
    /// Takes an absolute path; nothing is looked at or made.
    pub fn new(directory: impl Into<PathBuf>) -> Self {
        Self(directory.into())
    }

    /// Where a path of the node lies here. One outside `/etc` and `/var` stays as it is.
    ///
    /// ```
    /// # use k8s_bootstrap::component::RootDir;
    /// let root = RootDir::new("/tmp/cp");
    /// assert_eq!(root.path("/etc/kubernetes/pki/ca.crt"), "/tmp/cp/etc/kubernetes/pki/ca.crt");
    /// assert_eq!(root.path("/usr/bin/etcd"), "/usr/bin/etcd");
    /// ```
    pub fn path(&self, path: &str) -> String {
        if MOVED.iter().any(|start| path.starts_with(start)) {
            return format!("{}{path}", self.0.display());
        }
        path.to_owned()
    }

    /// The file at its place here. What is in it is left alone: kubeconfigs of `pki` name no other files.
    #[must_use]
    pub fn file(&self, file: &File) -> File {
        File {
            path: self.moved(&file.path),
            ..file.clone()
        }
    }

    /// The definition with its files, and the paths in its flags, here. The program stays where it is.
    #[must_use]
    pub fn component(&self, component: &Component) -> Component {
        let argument = |argument: &String| match argument.split_once('=') {
            Some((flag, value)) => format!("{flag}={}", self.path(value)),
            None => argument.clone(),
        };
        Component {
            arguments: component.arguments.iter().map(argument).collect(),
            files: component.files.iter().map(|file| self.file(file)).collect(),
            reads: self.moved_all(&component.reads),
            follows: self.moved_all(&component.follows),
            ..component.clone()
        }
    }

    fn moved_all(&self, paths: &[PathBuf]) -> Vec<PathBuf> {
        paths.iter().map(|path| self.moved(path)).collect()
    }

    fn moved(&self, path: &Path) -> PathBuf {
        match path.to_str() {
            Some(text) => self.path(text).into(),
            None => path.to_owned(),
        }
    }
}
