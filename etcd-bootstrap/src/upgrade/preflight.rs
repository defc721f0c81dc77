//! What has to be so before a member is touched: facts, and the table of conditions.

use super::{PathError, check_downgrade_path, check_path};
use crate::{
    ClusterSpec, EtcdVersion, Hosts, MemberName, MemberProgram, Probe, RequestFailed, Unreachable,
    maintenance::{self, Seen},
    probe::host_of,
};
use host_exec::{Command, Condition, Host, RunError};
use std::{collections::BTreeMap, path::Path, time::Duration};

/// Reading a write-ahead log of some hundred MB from a slow disk.
const CHECK_LIMIT: Duration = Duration::from_secs(120);

/// What was found out before an upgrade.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    /// What the members say.
    pub seen: Seen,
    /// What the new program on each member says that it is; or why it says nothing.
    pub programs: BTreeMap<MemberName, Result<EtcdVersion, String>>,
    /// What keeps a member of 3.5 from 3.6: content of the v2 API (`etcdutl check v2store`). `None` where there is none, or
    /// where the member is past that.
    pub v2_content: BTreeMap<MemberName, Option<String>>,
}

/// A member could not be looked at.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FactsError {
    /// The caller gave no host for a member.
    #[error(transparent)]
    Unreachable(#[from] Unreachable),
    /// A host could not be asked.
    #[error(transparent)]
    Run(#[from] RunError),
    /// A ready member does not tell the alarms.
    #[error(transparent)]
    Request(#[from] RequestFailed),
}

/// Looks at the members, at the programs that they are to run, and at what 3.6 could not read. Changes nothing.
///
/// # Errors
///
/// A host is missing or cannot be reached. A member that is silent or a program that is missing is *not* an error but
/// shows in [`preflight`].
pub async fn look(
    spec: &ClusterSpec,
    to: &MemberProgram,
    hosts: &Hosts,
    probe: &Probe,
) -> Result<Facts, FactsError> {
    let seen = maintenance::see(spec, probe).await?;
    let (mut programs, mut v2_content) = (BTreeMap::new(), BTreeMap::new());
    for member in spec.members() {
        let host = host_of(hosts, &member.name)?;
        programs.insert(
            member.name.clone(),
            version_of(&to.path, host.as_ref()).await?,
        );
        let leaves_3_5 = spec.version_of(member).minor == 5 && to.version.minor == 6;
        let found = if leaves_3_5 {
            v2_content_of(spec.program_of(member), &member.data_dir, host.as_ref()).await?
        } else {
            None
        };
        v2_content.insert(member.name.clone(), found);
    }
    Ok(Facts {
        seen,
        programs,
        v2_content,
    })
}

/// etcd 3.7.3, `etcd --version`: the first line is `etcd Version: 3.7.3`.
async fn version_of(
    program: &Path,
    host: &dyn Host,
) -> Result<Result<EtcdVersion, String>, RunError> {
    let ask = Command::new(program.to_string_lossy().into_owned()).arg("--version");
    let output = match host.output(&ask).await {
        Ok(output) => output,
        // A program that is missing or cannot be run is what is asked for here.
        Err(error) => return Ok(Err(error.to_string())),
    };
    let text = output.stdout_text();
    let version = text
        .lines()
        .find_map(|line| line.strip_prefix("etcd Version: "));
    Ok(match version.map(str::parse) {
        Some(Ok(version)) if output.status.success() => Ok(version),
        _ => Err(format!("{} is no etcd that runs here", program.display())),
    })
}

/// 3.6 has no v2 API and refuses to start on its content. The check is documented for a data directory that is not in
/// use; it only reads, and was tried on one that is, with 3.5.35.
async fn v2_content_of(
    program: &Path,
    data_dir: &Path,
    host: &dyn Host,
) -> Result<Option<String>, RunError> {
    let etcdutl = program
        .with_file_name("etcdutl")
        .to_string_lossy()
        .into_owned();
    let check = Command::new(etcdutl)
        .args(["check", "v2store", "--data-dir"])
        .arg(data_dir.to_string_lossy())
        .timeout(CHECK_LIMIT);
    let output = host.output(&check).await?;
    let said = output.stderr_text();
    let last = said.lines().last().unwrap_or("it says nothing").to_owned();
    Ok((!output.status.success()).then_some(last))
}

/// The table: each line is a named condition with its evidence, and the upgrade is not begun while one is not so. Pure.
///
/// A member that is not ready is allowed only where a run before began with it ([`ClusterSpec::version_of`] says another
/// version than the cluster's): it is then the first to be mended.
#[must_use]
pub fn preflight(spec: &ClusterSpec, to: &MemberProgram, facts: &Facts) -> Vec<Condition> {
    table(spec, to, facts, check_path)
}

/// The same table before a downgrade. Pure.
#[must_use]
pub fn preflight_downgrade(
    spec: &ClusterSpec,
    to: &MemberProgram,
    facts: &Facts,
) -> Vec<Condition> {
    table(spec, to, facts, check_downgrade_path)
}

fn table(
    spec: &ClusterSpec,
    to: &MemberProgram,
    facts: &Facts,
    path: fn(EtcdVersion, EtcdVersion) -> Result<(), PathError>,
) -> Vec<Condition> {
    let mut table = Vec::new();
    for member in spec.members() {
        let name = &member.name;
        let answer = facts.seen.members.get(name);
        let begun = spec.version_of(member) != spec.version();
        table.push(Condition {
            name: format!("{name} is ready"),
            ok: begun || answer.is_some_and(crate::ClientAnswer::is_ready),
            evidence: answer.map_or("not asked".into(), ToString::to_string),
        });
        let now = super::plan::runs(spec, &facts.seen, member);
        let legal = path(now, to.version);
        // Back to where the member came from, while the cluster has not gone on: its store is still in the old format.
        let back = begun && to.version == spec.version();
        table.push(Condition {
            name: format!("{name} may go from {now} to {}", to.version),
            ok: legal.is_ok() || back,
            evidence: legal
                .map_or_else(|e| e.to_string(), |()| "one step that etcd supports".into()),
        });
        let program = facts.programs.get(name);
        table.push(Condition {
            name: format!("{name} has etcd {}", to.version),
            ok: program.is_some_and(|found| found.as_ref() == Ok(&to.version)),
            evidence: match program {
                Some(Ok(found)) => format!("{} is {found}", to.path.display()),
                Some(Err(why)) => why.clone(),
                None => "not looked at".into(),
            },
        });
        let v2 = facts.v2_content.get(name).and_then(Option::as_ref);
        table.push(Condition {
            name: format!("{name} has no content of the v2 API"),
            ok: v2.is_none(),
            evidence: v2.cloned().unwrap_or_else(|| "none".into()),
        });
    }
    let known = spec.tuning().check(to.version);
    table.push(Condition {
        name: format!("etcd {} knows all settings", to.version),
        ok: known.is_ok(),
        evidence: known.map_or_else(|e| e.to_string(), |()| "it does".into()),
    });
    table.push(no_learner(spec, &facts.seen));
    table.push(no_alarm(&facts.seen));
    table
}

fn no_learner(spec: &ClusterSpec, seen: &Seen) -> Condition {
    let names = spec.members().iter().map(|member| &member.name);
    let learners = names.filter(|name| seen.status(name).is_some_and(|s| s.is_learner));
    let learners: Vec<String> = learners.map(ToString::to_string).collect();
    Condition {
        name: "every member of etcd has a vote".into(),
        ok: learners.is_empty(),
        evidence: match learners.is_empty() {
            true => "no learner".into(),
            false => format!("promote or remove {}", learners.join(", ")),
        },
    }
}

fn no_alarm(seen: &Seen) -> Condition {
    let alarms = seen.alarms.iter();
    let alarms: Vec<String> = alarms
        .map(|a| format!("{} of {}", a.kind, a.member))
        .collect();
    Condition {
        name: "etcd has no alarm".into(),
        ok: alarms.is_empty(),
        evidence: match alarms.is_empty() {
            true => "none".into(),
            false => alarms.join(", "),
        },
    }
}
