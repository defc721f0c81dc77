//! How far a restore has come on each member. Changes nothing.

use super::Places;
use crate::{
    ClusterSpec, ClusterToken, Hosts, MemberName, MemberSpec, Unreachable,
    probe::host_of,
    render::{self, SettingsForm},
};
use futures::future::try_join_all;
use host_exec::{Command, FileError, Host, RunError, systemd};
use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    slice,
};

/// How far one member has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// Nothing was made.
    Untouched,
    /// Its new data is made, and not in its place.
    Staged,
    /// Its new data is in its place.
    Swapped,
}

/// What is there of one member.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// How far it has come.
    pub stage: Stage,
    /// Whether its data directory has data in its place: the old, or with [`Stage::Swapped`] the new.
    pub has_data: bool,
    /// Whether the data of before was moved aside for this token.
    pub moved_aside: bool,
    /// Whether its service is up.
    pub is_up: bool,
    /// Whether its service starts at boot.
    pub is_enabled: bool,
    /// The token in its present settings.
    pub token: Option<ClusterToken>,
}

/// What is there of all members.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Observed {
    /// Each member of the specification.
    pub members: BTreeMap<MemberName, Found>,
}

/// A machine that could not be looked at.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ObserveRestoreError {
    /// The caller gave no host for a member.
    #[error(transparent)]
    Unreachable(#[from] Unreachable),
    /// systemd or find(1) failed.
    #[error("cannot look at the data of etcd member {member}")]
    Run {
        /// The member.
        member: MemberName,
        /// The cause.
        #[source]
        source: RunError,
    },
    /// The settings could not be read.
    #[error("cannot read the settings of etcd member {member}")]
    File {
        /// The member.
        member: MemberName,
        /// The cause.
        #[source]
        source: FileError,
    },
}

/// Looks how far a restore into `spec`, which has the token of the new cluster, has come.
///
/// # Errors
///
/// A host is missing or cannot be reached. A data directory that is not there is *not* an error.
pub async fn observe(spec: &ClusterSpec, hosts: &Hosts) -> Result<Observed, ObserveRestoreError> {
    let looks = spec.members().iter().map(|member| async move {
        let host = host_of(hosts, &member.name)?;
        let found = look(spec, member, host.as_ref()).await?;
        Ok::<_, ObserveRestoreError>((member.name.clone(), found))
    });
    Ok(Observed {
        members: try_join_all(looks).await?.into_iter().collect(),
    })
}

async fn look(
    spec: &ClusterSpec,
    member: &MemberSpec,
    host: &dyn Host,
) -> Result<Found, ObserveRestoreError> {
    let run = |source| ObserveRestoreError::Run {
        member: member.name.clone(),
        source,
    };
    let directories = directories(member, host).await.map_err(run)?;
    let unit = render::unit_name();
    let mut units = systemd::states(host, slice::from_ref(&unit))
        .await
        .map_err(run)?;
    let form = spec.settings_form();
    let settings = host.read_file(form.file()).await;
    let settings = settings.map_err(|source| ObserveRestoreError::File {
        member: member.name.clone(),
        source,
    })?;
    let places = Places::of(member, spec.token());
    let is_there = |path: &Path| {
        let below = path.strip_prefix(&member.data_dir).unwrap_or(path);
        directories.contains(&*below.to_string_lossy())
    };
    let stage = match (
        is_there(&places.staging),
        is_there(&places.staging.join("member")),
    ) {
        (false, _) => Stage::Untouched,
        (true, true) => Stage::Staged,
        (true, false) => Stage::Swapped,
    };
    let unit = units.remove(&unit).unwrap_or_default();
    Ok(Found {
        stage,
        has_data: is_there(&places.live),
        moved_aside: is_there(&places.before),
        is_up: unit.is_up(),
        is_enabled: unit.is_enabled(),
        token: settings.and_then(|text| token_of(form, &text)),
    })
}

/// The directories below the data directory, two levels deep, relative to it.
///
/// ```text
/// member
/// member/snap
/// restore-lab-x-1
/// restore-lab-x-1/member
/// ```
async fn directories(member: &MemberSpec, host: &dyn Host) -> Result<BTreeSet<String>, RunError> {
    let find = Command::new("find")
        .arg(member.data_dir.display().to_string())
        .args([
            "-mindepth",
            "1",
            "-maxdepth",
            "2",
            "-type",
            "d",
            "-printf",
            "%P\\n",
        ])
        .env("LC_ALL", "C");
    let output = host.output(&find).await?;
    let output = if output.status.success() {
        output
    } else if output.stderr_text().contains("No such file or directory") && output.stdout.is_empty()
    {
        return Ok(BTreeSet::new());
    } else {
        // Once more, for an error that carries status and message; etcd may have removed a file meanwhile.
        host.run(&find).await?
    };
    Ok(output.stdout_text().lines().map(str::to_owned).collect())
}

fn token_of(form: SettingsForm, settings: &[u8]) -> Option<ClusterToken> {
    let text = std::str::from_utf8(settings).ok()?;
    let token = render::read_back(form, text, "initial-cluster-token")?;
    token.parse().ok()
}
