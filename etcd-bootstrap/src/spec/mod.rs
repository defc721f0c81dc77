//! The cluster that is asked for.

mod check;
mod lint;

pub use check::SpecError;
pub use lint::SpecLint;

pub(crate) use check::is_plain;

use crate::{
    ClusterId, ClusterToken, EtcdVersion, History, InitialCluster, InitialMembers, MemberId,
    MemberName, MemberProgram, MemberSpec, READY_LIMIT,
    render::SettingsForm,
    schedule::Schedule,
    tuning::{ADVISED_QUOTA_BYTES, ADVISED_REQUEST_BYTES, Tuning, TuningError},
};
use check::{check_members, check_program};
use host_exec::Mode;
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    time::Duration,
};

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
    pub(crate) schedule: Option<Schedule>,
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
        check_members(version, &members)?;
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
            schedule: None,
        })
    }

    /// The snapshots that its members take by a timer; none unless asked for, see [`ClusterSpec::with_schedule`].
    #[must_use]
    pub fn schedule(&self) -> Option<&Schedule> {
        self.schedule.as_ref()
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
