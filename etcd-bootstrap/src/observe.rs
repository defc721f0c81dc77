//! What is there: files, service, data and answers of each member. Changes nothing.

use crate::{
    ClientAnswer, ClusterId, ClusterSpec, ClusterToken, Hosts, MemberName, MemberSpec, PeerAnswer,
    Probe, Tls, Unreachable, id,
    probe::host_of,
    render::{self, SettingsForm},
};
use futures::future::try_join_all;
use host_exec::{
    Command, FileError, Host, RunError,
    files::{self, Drift},
    systemd::{self, UnitState},
};
use serde::Serialize;
use std::{collections::BTreeMap, path::PathBuf, time::Duration};

/// How long one answer of a member may take. Shorter than etcd's own limit for a health check (7 s): a
/// member that is slower than this is reported as silent, not waited for.
pub const ANSWER_TIMEOUT: Duration = Duration::from_millis(1500);

/// A machine that could not be looked at. A member that does not answer is *not* an error but an observation.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ObserveError {
    /// The caller gave no host or no certificates for a member.
    #[error(transparent)]
    Unreachable(#[from] Unreachable),
    /// A file could not be examined.
    #[error("cannot observe the files of etcd member {member}")]
    Files {
        /// The member.
        member: MemberName,
        /// The cause.
        #[source]
        source: FileError,
    },
    /// systemd or find(1) failed.
    #[error("cannot observe the {what} of etcd member {member}")]
    Run {
        /// The member.
        member: MemberName,
        /// `service` or `data directory`.
        what: &'static str,
        /// The cause.
        #[source]
        source: RunError,
    },
}

/// What is there of a cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Observed {
    /// Each member of the specification.
    pub members: BTreeMap<MemberName, MemberObservation>,
}

impl Observed {
    /// The members of `spec` on machines that do not exist yet: for a plan on paper.
    #[must_use]
    pub fn nothing(spec: &ClusterSpec) -> Self {
        let absent = |member: &MemberSpec| {
            let files = render::all_files(spec, member);
            let observation = MemberObservation {
                drifted: files
                    .into_iter()
                    .map(|file| (file.path, Drift::Missing))
                    .collect(),
                unit: UnitState {
                    load: "not-found".into(),
                    ..UnitState::default()
                },
                has_wal: false,
                configured: None,
                certificate_faults: Vec::new(),
                peer: PeerAnswer::Silent("the machine is not there yet".into()),
                client: ClientAnswer::Silent("the machine is not there yet".into()),
            };
            (member.name.clone(), observation)
        };
        Self {
            members: spec.members().iter().map(absent).collect(),
        }
    }

    /// The same observation with what a check of the members' certificates found. Faults of a member that
    /// was not observed are dropped.
    #[must_use]
    pub fn with_certificate_faults(
        mut self,
        faults: BTreeMap<MemberName, Vec<CertificateFault>>,
    ) -> Self {
        for (name, faults) in faults {
            if let Some(member) = self.members.get_mut(&name) {
                member.certificate_faults = faults;
            }
        }
        self
    }
}

/// A certificate that will keep a member from its peers or its clients.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CertificateFault {
    /// The file.
    pub path: PathBuf,
    /// What is wrong with it: a date, an address, an issuer; with the clock's difference where it is the date.
    pub problem: String,
}

/// What is there of one member: facts, not yet judged (see [`Observed::state`]).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemberObservation {
    /// The files that differ from what they have to be, in the order in which they are written.
    pub drifted: Vec<(PathBuf, Drift)>,
    /// Its service.
    pub unit: UnitState,
    /// Whether its data directory holds a write-ahead log: it once belonged to a cluster, if only half-formed.
    pub has_wal: bool,
    /// The cluster that its present settings found; `None` without such a file, and for a member
    /// that joined a cluster which was there before (its file does not tell which).
    pub configured: Option<ClusterId>,
    /// What is wrong with its certificates, as far as the caller had them checked
    /// ([`Observed::with_certificate_faults`]).
    pub certificate_faults: Vec<CertificateFault>,
    /// What it says to its peers.
    pub peer: PeerAnswer,
    /// What it says to its clients.
    pub client: ClientAnswer,
}

/// Looks at all members at once. Takes about [`ANSWER_TIMEOUT`] when a member hangs, else some milliseconds.
///
/// # Errors
///
/// A host cannot be reached, or a file, the service or the data directory cannot be examined. What is
/// absent, stopped or silent is *not* an error.
pub async fn observe(
    spec: &ClusterSpec,
    hosts: &Hosts,
    tls: &Tls,
) -> Result<Observed, ObserveError> {
    let probe = Probe::new(spec, hosts, tls, ANSWER_TIMEOUT)?;
    let host = |member: &MemberSpec| host_of(hosts, &member.name).map(AsRef::as_ref);
    let looks = spec
        .members()
        .iter()
        .map(|m| async { look(spec, m, host(m)?, &probe).await });
    let mut members: BTreeMap<_, _> = try_join_all(looks).await?.into_iter().collect();
    // The data directories come last: a member that its peers already knew as joined had its log before,
    // so one without a log has lost it and is not merely starting at this moment.
    let logs = spec
        .members()
        .iter()
        .map(|m| async { has_wal(m, host(m)?).await });
    for (member, has_wal) in spec.members().iter().zip(try_join_all(logs).await?) {
        if let Some(observation) = members.get_mut(&member.name) {
            observation.has_wal = has_wal;
        }
    }
    Ok(Observed { members })
}

async fn look(
    spec: &ClusterSpec,
    member: &MemberSpec,
    host: &dyn Host,
    probe: &Probe,
) -> Result<(MemberName, MemberObservation), ObserveError> {
    let name = &member.name;
    let on_disk = async {
        let wanted = render::all_files(spec, member);
        let drifted = files::observe(host, &wanted).await?;
        let drifted = drifted
            .into_iter()
            .map(|(file, drift)| (file.path.clone(), drift))
            .collect();
        let form = spec.settings_form();
        let settings = host.read_file(form.file()).await?;
        Ok((
            drifted,
            settings.and_then(|text| configured_cluster(form, &text)),
        ))
    };
    let files = async {
        on_disk.await.map_err(|source| ObserveError::Files {
            member: name.clone(),
            source,
        })
    };
    let unit = async {
        let unit = render::unit_name();
        let states = systemd::states(host, std::slice::from_ref(&unit)).await;
        let what = "service";
        let run = |source| ObserveError::Run {
            member: name.clone(),
            what,
            source,
        };
        Ok(states.map_err(run)?.remove(&unit).unwrap_or_default())
    };
    let answers = async { Ok(futures::join!(probe.peer(name), probe.client(name))) };
    let ((drifted, configured), unit, (peer, client)) = futures::try_join!(files, unit, answers)?;
    let has_wal = false;
    let found = MemberObservation {
        drifted,
        unit,
        has_wal,
        configured,
        certificate_faults: Vec::new(),
        peer,
        client,
    };
    Ok((name.clone(), found))
}

/// Whether there is a file `member/wal/*.wal`, which is etcd's own test for "this is not a new member".
///
/// # Errors
///
/// find(1) fails for another reason than that there is no such directory.
pub(crate) async fn has_wal(member: &MemberSpec, host: &dyn Host) -> Result<bool, ObserveError> {
    let wal = member.data_dir.join("member/wal");
    let find = Command::new("find")
        .arg(wal.display().to_string())
        .args(["-maxdepth", "1", "-name", "*.wal", "-print", "-quit"])
        .env("LC_ALL", "C");
    let what = "data directory";
    let run = |source| ObserveError::Run {
        member: member.name.clone(),
        what,
        source,
    };
    let output = host.output(&find).await.map_err(run)?;
    if !output.stdout.is_empty() {
        return Ok(true);
    }
    if output.status.success() || output.stderr_text().contains("No such file or directory") {
        return Ok(false);
    }
    // Once more, for an error that carries status and message; it may also have healed meanwhile.
    host.run(&find)
        .await
        .map(|output| !output.stdout.is_empty())
        .map_err(run)
}

/// The ID of the cluster that a settings file of ours founds.
fn configured_cluster(form: SettingsForm, settings: &[u8]) -> Option<ClusterId> {
    let text = std::str::from_utf8(settings).ok()?;
    let value = |name: &str| render::read_back(form, text, name);
    if value("initial-cluster-state")? != "new" {
        return None;
    }
    let token: ClusterToken = value("initial-cluster-token")?.parse().ok()?;
    let members: Vec<(MemberName, String)> = value("initial-cluster")?
        .split(',')
        .map(|member| {
            let (name, url) = member.split_once('=')?;
            Some((name.parse().ok()?, url.to_owned()))
        })
        .collect::<Option<_>>()?;
    Some(id::ids_of(&members, &token).1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rendered_file_describes_the_cluster_it_was_made_for() {
        let member = |n: u8| {
            let ip = [10, 0, 0, n].into();
            MemberSpec::new(format!("etcd-{n}").parse().unwrap(), ip, vec![ip])
        };
        let version = "3.7.3".parse().unwrap();
        let members = (0..3).map(member).collect();
        let spec = ClusterSpec::new("lab".parse().unwrap(), version, "/bin/etcd".into(), members);
        let spec = spec.unwrap();
        for form in SettingsForm::ALL {
            let spec = spec.clone().with_settings_form(form);
            let files = render::files(&spec, &spec.members()[1]);
            let file = files.iter().find(|file| file.path == form.file()).unwrap();
            let found = configured_cluster(form, file.contents.bytes());
            assert_eq!(found, Some(spec.cluster_id()), "{form:?}");
            assert_eq!(configured_cluster(form, b"ETCD_NAME=x\n"), None);
        }
    }

    #[tokio::test]
    async fn only_a_write_ahead_log_is_data() {
        let host = host_exec::LocalHost::new("here".parse().unwrap());
        let directory = tempfile::tempdir().unwrap();
        let ip = [10, 0, 0, 1].into();
        let mut member = MemberSpec::new("etcd-0".parse().unwrap(), ip, vec![ip]);
        member.data_dir = directory.path().join("data");
        let found = async || has_wal(&member, &host).await.unwrap();
        assert!(!found().await, "no directory");
        let wal = member.data_dir.join("member/wal");
        std::fs::create_dir_all(&wal).unwrap();
        std::fs::write(wal.join("0.tmp"), "").unwrap();
        assert!(!found().await, "a log that was being made does not count");
        std::fs::write(wal.join("0000000000000000-0000000000000000.wal"), "").unwrap();
        assert!(found().await);
    }

    /// Callers spawn these.
    #[test]
    fn the_operations_can_move_between_threads() {
        fn is_send<T: Send>(_: impl FnOnce() -> T) {}
        type In = (&'static ClusterSpec, &'static Hosts, &'static Tls);
        fn all((spec, hosts, tls): In, plan: &'static crate::Plan) {
            is_send(|| observe(spec, hosts, tls));
            is_send(|| crate::apply(spec, plan, hosts, tls, &host_exec::event::Silent));
        }
        let _: fn(In, &'static crate::Plan) = all;
    }
}
