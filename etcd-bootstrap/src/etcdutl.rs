//! The program etcdutl on a host: the only thing that can write a data directory from a snapshot.

use crate::{ClusterToken, EtcdVersion, MemberName, SnapshotStatus};
use host_exec::{Command, Host, HostName, RunError};
use std::{
    path::{Path, PathBuf},
    time::Duration,
};

/// Some GiB over a slow disk.
pub(crate) const LIMIT: Duration = Duration::from_secs(300);

/// etcdutl could not be used, or says that a file is no snapshot.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EtcdutlError {
    /// It failed; its message says what is wrong with the file.
    #[error(transparent)]
    Run(#[from] RunError),
    /// It is of another minor than the cluster, and writes a store that the members may not be able to open.
    #[error(
        "{} on {host} is of version {found}, and the cluster is of {wanted}; take the etcdutl of {wanted}",
        .program.display()
    )]
    Minor {
        /// The host.
        host: HostName,
        /// The program.
        program: PathBuf,
        /// What it is.
        found: String,
        /// What the cluster is.
        wanted: EtcdVersion,
    },
    /// It says something else than the status of a snapshot.
    #[error("{} on {host} does not tell the status of the snapshot", .program.display())]
    Status {
        /// The host.
        host: HostName,
        /// The program.
        program: PathBuf,
        /// What is wrong with it.
        #[source]
        source: serde_json::Error,
    },
}

/// etcdutl beside the etcd of a member.
pub(crate) struct Etcdutl<'h> {
    host: &'h dyn Host,
    program: PathBuf,
}

/// What a data directory is made for: `etcdutl snapshot restore`.
pub(crate) struct RestoreTo<'a> {
    pub(crate) name: &'a MemberName,
    pub(crate) peer_url: &'a str,
    pub(crate) initial_cluster: &'a [(MemberName, String)],
    pub(crate) token: &'a ClusterToken,
    pub(crate) data_dir: &'a Path,
    /// By how much the revision grows, if the old ones are marked as compacted.
    pub(crate) bump_revision: Option<u64>,
    /// For a store that was copied from a data directory, which has no hash.
    pub(crate) skip_hash_check: bool,
}

impl<'h> Etcdutl<'h> {
    /// The one beside `etcd`.
    pub(crate) fn beside(etcd: &Path, host: &'h dyn Host) -> Self {
        Self {
            host,
            program: etcd.with_file_name("etcdutl"),
        }
    }

    fn command(&self) -> Command {
        Command::new(self.program.to_string_lossy().into_owned()).timeout(LIMIT)
    }

    /// Refuses another minor than that of `version`.
    ///
    /// etcdutl 3.7.3, `etcdutl version`:
    ///
    /// ```text
    /// etcdutl version: 3.7.3
    /// API version: 3.7
    /// ```
    pub(crate) async fn require(&self, version: EtcdVersion) -> Result<(), EtcdutlError> {
        let output = self.host.run(&self.command().arg("version")).await?;
        let text = output.stdout_text();
        let found = text
            .lines()
            .find_map(|line| line.strip_prefix("etcdutl version: "));
        let found = found.unwrap_or_default().trim();
        let same = |own: EtcdVersion| (own.major, own.minor) == (version.major, version.minor);
        if found.parse().is_ok_and(same) {
            return Ok(());
        }
        Err(EtcdutlError::Minor {
            host: self.host.name().clone(),
            program: self.program.clone(),
            found: found.to_owned(),
            wanted: version,
        })
    }

    /// Reads the whole of a snapshot.
    pub(crate) async fn status(&self, snapshot: &Path) -> Result<SnapshotStatus, EtcdutlError> {
        let status = self.command().args(["snapshot", "status"]);
        let status = status.arg(text(snapshot)).args(["--write-out", "json"]);
        let said = self.host.run(&status).await?;
        serde_json::from_str(&said.stdout_text()).map_err(|source| EtcdutlError::Status {
            host: self.host.name().clone(),
            program: self.program.clone(),
            source,
        })
    }

    /// Makes a data directory, which must not be there, from a snapshot.
    pub(crate) async fn restore(
        &self,
        snapshot: &Path,
        to: &RestoreTo<'_>,
    ) -> Result<(), EtcdutlError> {
        let cluster = to.initial_cluster.iter();
        let cluster: Vec<String> = cluster.map(|(name, url)| format!("{name}={url}")).collect();
        let mut restore = self
            .command()
            .args(["snapshot", "restore"])
            .arg(text(snapshot))
            .args(["--name", to.name.as_str()])
            .args(["--initial-advertise-peer-urls", to.peer_url])
            .args(["--initial-cluster", &cluster.join(",")])
            .args(["--initial-cluster-token", to.token.as_str()])
            .args(["--data-dir".to_owned(), text(to.data_dir)]);
        if let Some(bump) = to.bump_revision {
            // Each is refused without the other.
            restore = restore
                .args(["--bump-revision".to_owned(), bump.to_string()])
                .arg("--mark-compacted");
        }
        if to.skip_hash_check {
            restore = restore.arg("--skip-hash-check");
        }
        self.host.run(&restore).await?;
        Ok(())
    }
}

fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}
