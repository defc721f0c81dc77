//! Programs of versions that came after a VM's disk of programs was made: sent over the login to the guest.

use crate::blueprint::PROGRAMS_DIR;
use artifacts::ProgramName;
use host_exec::{Command, Host, Mode, RunError, Sha256Hex, UploadError, upload};
use std::{
    io,
    path::{Path, PathBuf},
    time::Duration,
};

/// For one program. kube-apiserver has 114 MiB, and may come over somebody's way home.
const SEND_LIMIT: Duration = Duration::from_secs(15 * 60);

/// Programs of a version set: where they are here, and what their directory is called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ProgramSet {
    name: String,
    dir: PathBuf,
    programs: &'static [ProgramName],
}

/// Programs that did not come to a guest.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SendProgramsError {
    /// One that should be in the cache cannot be read.
    #[error("cannot read {}", .path.display())]
    Read {
        /// The program.
        path: PathBuf,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// It could not be sent.
    #[error(transparent)]
    Upload(#[from] UploadError),
}

impl ProgramSet {
    pub(crate) fn new(name: String, dir: PathBuf, programs: &'static [ProgramName]) -> Self {
        Self {
            name,
            dir,
            programs,
        }
    }

    /// What the set is called, as in `kubernetes-1.37.2_etcd-3.7.3`.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// All of them.
    pub(crate) fn programs(&self) -> &'static [ProgramName] {
        self.programs
    }

    /// Those that `host` does not have. One that is there is whole: it gets its name when it has its checksum.
    pub(crate) async fn lacking(&self, host: &dyn Host) -> Result<Vec<ProgramName>, RunError> {
        let paths = self.programs.iter().map(|program| self.place(*program));
        let list = Command::new("ls").args(["-d", "--"]).args(paths);
        let listed = host.output(&list).await?;
        let there = listed.stdout_text();
        let is_there = |program: &ProgramName| {
            let place = self.place(*program);
            there.lines().any(|line| line == place)
        };
        let programs = self.programs.iter().copied();
        Ok(programs.filter(|program| !is_there(program)).collect())
    }

    /// Sends some of them, whose checksums `host` does not have already.
    pub(crate) async fn send(
        &self,
        programs: &[ProgramName],
        host: &dyn Host,
    ) -> Result<(), SendProgramsError> {
        for program in programs {
            let local = self.dir.join(program.as_str());
            let sum = Sha256Hex::of_file(&local).map_err(|source| SendProgramsError::Read {
                path: local.clone(),
                source,
            })?;
            let to = self.place(*program);
            upload(
                host,
                &local,
                Path::new(&to),
                Mode::new(0o755),
                &sum,
                SEND_LIMIT,
            )
            .await?;
        }
        Ok(())
    }

    fn place(&self, program: ProgramName) -> String {
        format!("{PROGRAMS_DIR}/{}/{}", self.name, program.as_str())
    }
}
