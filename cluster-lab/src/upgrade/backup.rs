//! What is put aside before an upgrade changes anything: etcd's data, and the files of every node.

use super::UpgradeError;
use crate::{Hosts, StateError, Wired, lab::etcd_hosts};
use host_exec::{File, HostName, Mode};
use std::{
    fs, io,
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
};

/// What was put aside, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Backup {
    /// The directory, for its owner alone.
    pub dir: PathBuf,
    /// The snapshot of etcd, as `etcdutl snapshot restore` takes it.
    pub snapshot: PathBuf,
    /// etcd's revision in it.
    pub revision: i64,
    /// A hash over its keys.
    pub hash: u32,
    /// How many files of nodes.
    pub files: usize,
}

/// Takes a snapshot of etcd and copies the files that the lab has on every node into `dir`. Each file is written
/// whole or not at all; what an earlier try left there is replaced.
pub(super) async fn take(wired: &Wired, hosts: &Hosts, dir: &Path) -> Result<Backup, UpgradeError> {
    let io = |path: &Path| {
        let path = path.to_owned();
        move |source: io::Error| StateError::Io {
            what: "write",
            path,
            source,
        }
    };
    let mut builder = fs::DirBuilder::new();
    let made = builder.recursive(true).mode(0o700).create(dir);
    made.map_err(io(dir))?;
    let path = dir.join("etcd.db");
    let status = snapshot(wired, hosts, &path).await?.status;
    let write = |path: &Path, bytes: &[u8]| {
        let file = File::secret(path, bytes).with_mode(Mode::SECRET);
        host_exec::files::write_here(&file).map_err(io(path))
    };
    let mut files = 0;
    for (name, setup) in &wired.kubernetes.nodes {
        let Some(host) = hosts.get(name) else {
            continue;
        };
        let mut archive = tar::Builder::new(Vec::new());
        for file in &setup.files {
            let Some(bytes) = host.read_file(&file.path).await? else {
                continue;
            };
            let mut header = tar::Header::new_gnu();
            header.set_size(bytes.len() as u64);
            header.set_mode(file.mode.bits());
            let inside = file.path.strip_prefix("/").unwrap_or(&file.path);
            let added = archive.append_data(&mut header, inside, bytes.as_slice());
            added.map_err(io(&file.path))?;
            files += 1;
        }
        let path = archive_of(dir, name);
        write(&path, &archive.into_inner().map_err(io(&path))?)?;
    }
    Ok(Backup {
        dir: dir.to_owned(),
        snapshot: path,
        revision: status.revision,
        hash: status.hash,
        files,
    })
}

fn archive_of(dir: &Path, node: &HostName) -> PathBuf {
    dir.join(format!("{node}.tar"))
}

async fn snapshot(
    wired: &Wired,
    hosts: &Hosts,
    to: &Path,
) -> Result<etcd_bootstrap::SnapshotRecord, UpgradeError> {
    let members = etcd_hosts(&wired.etcd, hosts);
    let mut failed = UpgradeError::NoMember;
    // Any will do; one that does not answer is no reason to have none.
    for (member, host) in &members {
        match etcd_bootstrap::snapshot(&wired.etcd, member, host.as_ref(), to).await {
            Ok(record) => return Ok(record),
            Err(error) => failed = error.into(),
        }
    }
    Err(failed)
}
