//! Where programs are looked for, and the addresses of the official places; pure.

use crate::{Architecture, Component, ProgramName, VersionSet};
use std::{path::PathBuf, time::Duration};

/// Which programs are wanted, of which versions, for which processors.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// The versions.
    pub versions: VersionSet,
    /// Where the programs are to run.
    pub architecture: Architecture,
    /// The programs; the order is that of the work.
    pub programs: Vec<ProgramName>,
    /// The programs of Kubernetes that are wanted as images too.
    pub as_images: Vec<ProgramName>,
    /// Whether an image of metrics-server is wanted.
    pub metrics_server: bool,
}

impl Wanted {
    /// What a lab of these versions needs: [`LAB_PROGRAMS`](crate::LAB_PROGRAMS).
    pub fn lab(versions: VersionSet, architecture: Architecture) -> Self {
        Self {
            versions,
            architecture,
            programs: crate::LAB_PROGRAMS.to_vec(),
            as_images: Vec::new(),
            metrics_server: false,
        }
    }

    /// With an image of metrics-server.
    #[must_use]
    pub fn with_metrics_server(mut self) -> Self {
        self.metrics_server = true;
        self
    }

    /// With images of the programs that run in pods where kubelets start the control plane.
    #[must_use]
    pub fn with_control_plane_images(mut self) -> Self {
        self.as_images = crate::CONTROL_PLANE_IMAGES.to_vec();
        self
    }

    /// With one more program.
    #[must_use]
    pub fn with(mut self, program: ProgramName) -> Self {
        if !self.programs.contains(&program) {
            self.programs.push(program);
        }
        self
    }

    /// The name of the directory of this version set; programs asked for later join the same one.
    pub fn set_name(&self) -> String {
        let VersionSet {
            kubernetes,
            etcd,
            coredns,
            ..
        } = &self.versions;
        format!(
            "kubernetes-{kubernetes}_etcd-{etcd}_coredns-{coredns}_{}",
            self.architecture
        )
    }
}

/// Where to look, in this order: the user's directory, the cache, `PATH`, the official places, the Go toolchain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Places {
    /// The cache directory of labs, such as `~/.cache/lab`. Shared by all labs of a user.
    pub cache_dir: PathBuf,
    /// A directory whose programs go before all others (`--bin-dir`).
    pub bin_dir: Option<PathBuf>,
    /// The directories of `PATH`, for programs of the right version and for `go` and `cc`.
    pub path_dirs: Vec<PathBuf>,
    /// The places to download from.
    pub mirrors: Mirrors,
}

impl Places {
    /// The official places, this cache, and these directories of `PATH`.
    pub fn new(cache_dir: impl Into<PathBuf>, path_dirs: Vec<PathBuf>) -> Self {
        Self {
            cache_dir: cache_dir.into(),
            bin_dir: None,
            path_dirs,
            mirrors: Mirrors::default(),
        }
    }

    /// The directory that holds the programs of a version set and its `lock.json`.
    pub fn set_dir(&self, wanted: &Wanted) -> PathBuf {
        self.sets_dir().join(wanted.set_name())
    }

    pub(crate) fn sets_dir(&self) -> PathBuf {
        self.cache_dir.join("programs")
    }

    /// The first file of this name in the directories of `PATH`.
    pub fn in_path(&self, name: &str) -> Option<PathBuf> {
        let mut candidates = self.path_dirs.iter().map(|dir| dir.join(name));
        candidates.find(|path| path.is_file())
    }
}

/// Base URLs, without a slash at the end, and how long one of them may take to answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mirrors {
    /// Officially `https://dl.k8s.io` (<https://kubernetes.io/releases/download/>).
    pub kubernetes: String,
    /// Officially `https://github.com/etcd-io/etcd/releases/download`.
    pub etcd: String,
    /// Officially `https://github.com/coredns/coredns/releases/download`.
    pub coredns: String,
    /// Officially `https://cloud.debian.org/images/cloud`.
    pub debian_images: String,
    /// How long connecting may take until the place counts as out of reach.
    pub connect_timeout: Duration,
}

impl Default for Mirrors {
    fn default() -> Self {
        Self {
            kubernetes: "https://dl.k8s.io".to_owned(),
            etcd: "https://github.com/etcd-io/etcd/releases/download".to_owned(),
            coredns: "https://github.com/coredns/coredns/releases/download".to_owned(),
            debian_images: "https://cloud.debian.org/images/cloud".to_owned(),
            connect_timeout: Duration::from_secs(3),
        }
    }
}

/// How a downloaded file holds its programs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Packing {
    /// The file is the program.
    Bare,
    /// A gzipped tar; the programs lie in this directory of it (empty: at its top).
    TarGz {
        /// The directory, without a slash at the end.
        dir: String,
    },
}

/// A file to download, with the file that has its checksum.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remote {
    /// The file.
    pub url: String,
    /// A text with its SHA-256: alone, or in lines of `sha256sum`.
    pub checksum_url: String,
    /// What is in it.
    pub packing: Packing,
}

impl Mirrors {
    /// The base URL of a component.
    pub fn base(&self, component: Component) -> &str {
        match component {
            Component::Kubernetes => &self.kubernetes,
            Component::Etcd => &self.etcd,
            Component::Coredns => &self.coredns,
        }
    }

    /// The file that holds a program. Programs of etcd share one.
    pub fn remote(&self, program: ProgramName, wanted: &Wanted) -> Remote {
        let component = program.component();
        let (base, architecture) = (self.base(component), wanted.architecture);
        let version = wanted.versions.of(component);
        match component {
            Component::Kubernetes => {
                let url = format!("{base}/release/v{version}/bin/linux/{architecture}/{program}");
                Remote {
                    checksum_url: format!("{url}.sha256"),
                    url,
                    packing: Packing::Bare,
                }
            }
            Component::Etcd => {
                let dir = format!("etcd-v{version}-linux-{architecture}");
                Remote {
                    url: format!("{base}/v{version}/{dir}.tar.gz"),
                    checksum_url: format!("{base}/v{version}/SHA256SUMS"),
                    packing: Packing::TarGz { dir },
                }
            }
            Component::Coredns => {
                let url = format!("{base}/v{version}/coredns_{version}_linux_{architecture}.tgz");
                Remote {
                    checksum_url: format!("{url}.sha256"),
                    url,
                    packing: Packing::TarGz { dir: String::new() },
                }
            }
        }
    }
}
