//! The cluster that is asked for.

use crate::{
    ClusterId, ClusterToken, EtcdVersion, History, InitialCluster, InitialMembers, MemberId,
    MemberName, MemberProgram, MemberSpec, READY_LIMIT,
    render::SettingsForm,
    tuning::{ADVISED_QUOTA_BYTES, ADVISED_REQUEST_BYTES, Tuning, TuningError},
};
use host_exec::{Contents, Mode};
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    net::IpAddr,
    path::{Path, PathBuf},
    time::Duration,
};

/// A cluster that cannot be, with the member and field to mend.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SpecError {
    /// No members.
    #[error("the cluster has no members; give 1, 3 or 5")]
    NoMembers,
    /// More than etcd's authors advise; every write waits for a majority of them.
    #[error("the cluster has {count} members; give at most 7, an odd number")]
    TooManyMembers {
        /// How many were given.
        count: usize,
    },
    /// Two members share what must be each one's own.
    #[error("members {first} and {second} have the same {field} {value}; give each its own")]
    Shared {
        /// `name`, `peer_ip` or `client_ips`.
        field: &'static str,
        /// What they share.
        value: String,
        /// The member named first.
        first: MemberName,
        /// The other one.
        second: MemberName,
    },
    /// A field of one member is wrong.
    #[error("member {member}: {field} {value} {problem}")]
    Member {
        /// The member.
        member: MemberName,
        /// Its field.
        field: &'static str,
        /// The value as given.
        value: String,
        /// What it has to be.
        problem: &'static str,
    },
    /// A path that would have to be quoted in a unit or environment file.
    #[error(
        "program {} must be an absolute path of letters, digits and any of '/-_.+'",
        .path.display()
    )]
    Program {
        /// The path as given.
        path: PathBuf,
    },
    /// A version whose settings this crate does not know, or that lacks what it needs.
    #[error("etcd {version} is not supported; give 3.5.11 or later, 3.6 or 3.7")]
    Version {
        /// The version as given.
        version: EtcdVersion,
    },
    /// What is remembered of the cluster contradicts itself or the members that are asked for.
    #[error(
        "the history of the cluster and its members disagree: {member} {problem}; mend the record, or \
         learn it anew from the running members"
    )]
    History {
        /// The member.
        member: MemberName,
        /// What is wrong with it.
        problem: &'static str,
    },
}

/// Something legal that is rarely meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum SpecLint {
    /// An even number of members survives no more losses than the odd number below it.
    EvenSize {
        /// How many members there are.
        members: usize,
    },
    /// A store may grow beyond what etcd's authors advise (etcd.io, "System limits").
    LargeQuota {
        /// The quota in bytes.
        bytes: u64,
    },
    /// A request may be larger than etcd's authors advise.
    LargeRequests {
        /// The limit in bytes.
        bytes: u32,
    },
}

impl fmt::Display for SpecLint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::EvenSize { members } => write!(
                f,
                "{members} members survive no more losses than {}; take an odd number",
                members - 1
            ),
            Self::LargeQuota { bytes } => write!(
                f,
                "quota_backend_bytes {bytes} is more than the advised {ADVISED_QUOTA_BYTES}; a member that \
                 comes back has to be sent all of it"
            ),
            Self::LargeRequests { bytes } => write!(
                f,
                "max_request_bytes {bytes} is more than the advised {ADVISED_REQUEST_BYTES}; one such request \
                 holds up all others"
            ),
        }
    }
}

/// A cluster: who its members are and what they run. Only legal ones can be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClusterSpec {
    token: ClusterToken,
    version: EtcdVersion,
    program: PathBuf,
    members: Vec<MemberSpec>,
    history: History,
    ready_limit: Duration,
    file_mode: Mode,
    tuning: Tuning,
    settings_form: SettingsForm,
}

impl ClusterSpec {
    /// Checks a cluster. `program` is the path of the etcd binary on every member, and `version` what
    /// that binary is. Its members are taken to be its founders; see [`ClusterSpec::with_history`] for one
    /// that has changed since.
    ///
    /// # Errors
    ///
    /// No or too many members, a shared name or address, an address that nobody can dial, a path that
    /// needs quotes, a readable key, a version that is not known. An even number is *not* an error,
    /// see [`ClusterSpec::lints`].
    pub fn new(
        token: ClusterToken,
        version: EtcdVersion,
        program: PathBuf,
        members: Vec<MemberSpec>,
    ) -> Result<Self, SpecError> {
        check_program(version, &program)?;
        for own in members.iter().filter_map(|member| member.program.as_ref()) {
            check_program(own.version, &own.path)?;
        }
        match members.len() {
            0 => return Err(SpecError::NoMembers),
            1..=7 => {}
            count => return Err(SpecError::TooManyMembers { count }),
        }
        members.iter().try_for_each(check_member)?;
        check_unique("name", &members, |m| vec![m.name.to_string()])?;
        check_unique("peer_ip", &members, |m| vec![m.peer_ip.to_string()])?;
        check_unique("client_ips", &members, |m| {
            let own: BTreeSet<_> = m.client_ips.iter().map(ToString::to_string).collect();
            own.into_iter().collect()
        })?;
        let history = History::founded_by(urls_of(&members));
        Ok(Self {
            token,
            version,
            program,
            members,
            history,
            ready_limit: READY_LIMIT,
            file_mode: Mode::PUBLIC,
            tuning: Tuning::default(),
            settings_form: SettingsForm::default(),
        })
    }

    /// The same cluster with settings and unit that root alone can read, as the CIS benchmark asks (1.1.7).
    #[must_use]
    pub fn with_private_files(mut self) -> Self {
        self.file_mode = Mode::SECRET;
        self
    }

    /// The mode of settings and unit.
    #[must_use]
    pub fn file_mode(&self) -> Mode {
        self.file_mode
    }

    /// The same cluster on slow machines: `apply` waits for members this long, instead of [`READY_LIMIT`].
    #[must_use]
    pub fn with_ready_limit(mut self, limit: Duration) -> Self {
        self.ready_limit = limit;
        self
    }

    /// How long members are waited for.
    #[must_use]
    pub fn ready_limit(&self) -> Duration {
        self.ready_limit
    }

    /// The same cluster with settings other than etcd's own, equal on all members.
    ///
    /// # Errors
    ///
    /// A setting that etcd of this version would not start with; see [`Tuning::check`].
    pub fn with_tuning(mut self, tuning: Tuning) -> Result<Self, TuningError> {
        tuning.check(self.version)?;
        self.tuning = tuning;
        Ok(self)
    }

    /// Settings other than etcd's own.
    #[must_use]
    pub fn tuning(&self) -> &Tuning {
        &self.tuning
    }

    /// The same cluster with its settings given in another form. On members that run it means a restart.
    #[must_use]
    pub fn with_settings_form(mut self, form: SettingsForm) -> Self {
        self.settings_form = form;
        self
    }

    /// How members are given their settings.
    #[must_use]
    pub fn settings_form(&self) -> SettingsForm {
        self.settings_form
    }

    /// What sets this cluster apart from an earlier one on the same machines.
    #[must_use]
    pub fn token(&self) -> &ClusterToken {
        &self.token
    }

    /// The version that all members run.
    #[must_use]
    pub fn version(&self) -> EtcdVersion {
        self.version
    }

    /// The etcd binary, a path on each member.
    #[must_use]
    pub fn program(&self) -> &Path {
        &self.program
    }

    /// The version that this member runs: the cluster's, but for one in the middle of an upgrade.
    #[must_use]
    pub fn version_of(&self, member: &MemberSpec) -> EtcdVersion {
        let own = member.program.as_ref();
        own.map_or(self.version, |own| own.version)
    }

    /// The etcd binary on this member.
    #[must_use]
    pub fn program_of<'s>(&'s self, member: &'s MemberSpec) -> &'s Path {
        let own = member.program.as_ref();
        own.map_or(&self.program, |own| &own.path)
    }

    /// The same cluster with one member that has an etcd of its own, or the cluster's again.
    ///
    /// # Errors
    ///
    /// A version that is not known, or a path that needs quotes. A name that no member has changes nothing.
    pub fn with_member_program(
        mut self,
        name: &MemberName,
        program: MemberProgram,
    ) -> Result<Self, SpecError> {
        check_program(program.version, &program.path)?;
        for member in self
            .members
            .iter_mut()
            .filter(|member| member.name == *name)
        {
            member.program = Some(program.clone());
        }
        Ok(self)
    }

    /// The members, in the order in which they are first started.
    #[must_use]
    pub fn members(&self) -> &[MemberSpec] {
        &self.members
    }

    /// The member of this name; `None` if there is none.
    #[must_use]
    pub fn member(&self, name: &MemberName) -> Option<&MemberSpec> {
        self.members.iter().find(|member| member.name == *name)
    }

    /// How many members must agree before anything is written.
    #[must_use]
    pub fn quorum(&self) -> usize {
        self.members.len() / 2 + 1
    }

    /// The same cluster with a past: who founded it and who joined it later. Members that are in neither are
    /// wanted and yet to be added.
    ///
    /// # Errors
    ///
    /// The history contradicts itself, gives a member another peer URL, or knows none of the members.
    /// A member of the history that is not asked for is *not* an error: it is to be removed.
    pub fn with_history(mut self, history: History) -> Result<Self, SpecError> {
        history.check(&urls_of(&self.members))?;
        self.history = history;
        Ok(self)
    }

    /// Who founded the cluster, and who joined it later.
    #[must_use]
    pub fn history(&self) -> &History {
        &self.history
    }

    /// Whether a member is in the cluster, and not only wanted there.
    #[must_use]
    pub fn is_member(&self, name: &MemberName) -> bool {
        self.history.is_member(name)
    }

    /// The name and peer URL of each member that is asked for: `--initial-cluster` of a cluster that they found.
    #[must_use]
    pub fn initial_cluster(&self) -> InitialMembers {
        urls_of(&self.members)
    }

    /// What this member is, was or will be started with. It never changes while the member is one.
    #[must_use]
    pub fn initial_cluster_of(&self, member: &MemberSpec) -> InitialCluster {
        self.history
            .initial_cluster(&member.name, &member.peer_url())
    }

    /// The ID of the cluster: what its founders made, whoever is in it now.
    #[must_use]
    pub fn cluster_id(&self) -> ClusterId {
        self.history.cluster_id(&self.token)
    }

    /// The IDs of its members. One that is asked for and not added yet has none; one that is to be removed has.
    #[must_use]
    pub fn member_ids(&self) -> BTreeMap<MemberName, MemberId> {
        self.history.member_ids(&self.token)
    }

    /// What is legal here and probably not meant.
    #[must_use]
    pub fn lints(&self) -> Vec<SpecLint> {
        let members = self.members.len();
        let even = members.is_multiple_of(2);
        let quota = self.tuning.quota_backend_bytes;
        let quota = quota.filter(|bytes| *bytes > ADVISED_QUOTA_BYTES);
        let request = self.tuning.max_request_bytes;
        let request = request.filter(|bytes| *bytes > ADVISED_REQUEST_BYTES);
        [
            even.then_some(SpecLint::EvenSize { members }),
            quota.map(|bytes| SpecLint::LargeQuota { bytes }),
            request.map(|bytes| SpecLint::LargeRequests { bytes }),
        ]
        .into_iter()
        .flatten()
        .collect()
    }
}

fn urls_of(members: &[MemberSpec]) -> InitialMembers {
    let pair = |member: &MemberSpec| (member.name.clone(), member.peer_url());
    members.iter().map(pair).collect()
}

/// Whether a path can stand in a unit and an environment file as it is (`systemd.syntax(7)`), and in
/// no way leaves where it points.
fn is_plain(path: &Path) -> bool {
    let legal = |b: u8| b.is_ascii_alphanumeric() || b"/-_.+".contains(&b);
    let text = path.to_str().unwrap_or_default();
    path.is_absolute() && text.bytes().all(legal) && !text.split('/').any(|part| part == "..")
}

fn check_program(version: EtcdVersion, path: &Path) -> Result<(), SpecError> {
    // 3.5.11 brought /readyz; 3.4 and older are out of support.
    let known = version.major == 3 && matches!(version.minor, 5..=7);
    if !known || version < EtcdVersion::new(3, 5, 11) {
        return Err(SpecError::Version { version });
    }
    if !is_plain(path) {
        let path = path.to_owned();
        return Err(SpecError::Program { path });
    }
    Ok(())
}

fn check_member(member: &MemberSpec) -> Result<(), SpecError> {
    let wrong = |field, value: String, problem| {
        Err(SpecError::Member {
            member: member.name.clone(),
            field,
            value,
            problem,
        })
    };
    let cannot_be_dialled = |ip: &IpAddr| ip.is_unspecified() || ip.is_multicast();
    if member.client_ips.is_empty() {
        return wrong("client_ips", "[]".into(), "must hold at least one address");
    }
    let ips = [("peer_ip", &member.peer_ip)]
        .into_iter()
        .chain(member.client_ips.iter().map(|ip| ("client_ips", ip)));
    for (field, ip) in ips {
        if cannot_be_dialled(ip) {
            return wrong(field, ip.to_string(), "must be the address of one machine");
        }
    }
    let paths = [("data_dir", member.data_dir.as_path())]
        .into_iter()
        .chain(member.pki.all().map(|path| ("pki", path)));
    for (field, path) in paths {
        if !is_plain(path) {
            let problem = "must be an absolute path of letters, digits and any of '/-_.+'";
            return wrong(field, path.display().to_string(), problem);
        }
    }
    for key in [&member.pki.server_key, &member.pki.peer_key] {
        let readable = member.certificates.iter().any(|file| {
            let open = file.mode.bits() & 0o077 != 0;
            file.path == *key && (open || matches!(file.contents, Contents::Public(_)))
        });
        if readable {
            let problem = "must be a secret file that only its owner can read";
            return wrong("certificates", key.display().to_string(), problem);
        }
    }
    Ok(())
}

fn check_unique(
    field: &'static str,
    members: &[MemberSpec],
    values: impl Fn(&MemberSpec) -> Vec<String>,
) -> Result<(), SpecError> {
    let mut seen: BTreeMap<String, &MemberName> = BTreeMap::new();
    for member in members {
        for value in values(member) {
            if let Some(first) = seen.insert(value.clone(), &member.name) {
                let (first, second) = (first.clone(), member.name.clone());
                return Err(SpecError::Shared {
                    field,
                    value,
                    first,
                    second,
                });
            }
        }
    }
    Ok(())
}
