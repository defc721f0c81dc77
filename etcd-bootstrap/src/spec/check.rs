//! What no cluster can be, and the checks that find it.

use crate::{EtcdVersion, MemberName, MemberSpec};
use host_exec::Contents;
use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
    path::{Path, PathBuf},
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
    /// Members that cannot be in one cluster.
    #[error(
        "member {older} runs etcd {older_version} and {newer} runs {newer_version}, more than one minor apart; \
         upgrade all members one minor at a time"
    )]
    VersionGap {
        /// The member with the oldest version.
        older: MemberName,
        /// That version.
        older_version: EtcdVersion,
        /// The member with the newest version.
        newer: MemberName,
        /// That version.
        newer_version: EtcdVersion,
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

/// Whether a path can stand in a unit and an environment file as it is (`systemd.syntax(7)`), and in
/// no way leaves where it points.
pub(crate) fn is_plain(path: &Path) -> bool {
    let legal = |b: u8| b.is_ascii_alphanumeric() || b"/-_.+".contains(&b);
    let text = path.to_str().unwrap_or_default();
    path.is_absolute() && text.bytes().all(legal) && !text.split('/').any(|part| part == "..")
}

pub(super) fn check_program(version: EtcdVersion, path: &Path) -> Result<(), SpecError> {
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

/// The members of a cluster of this version: each by itself, and all of them together.
pub(super) fn check_members(version: EtcdVersion, members: &[MemberSpec]) -> Result<(), SpecError> {
    match members.len() {
        0 => return Err(SpecError::NoMembers),
        1..=7 => {}
        count => return Err(SpecError::TooManyMembers { count }),
    }
    for own in members.iter().filter_map(|member| member.program.as_ref()) {
        check_program(own.version, &own.path)?;
    }
    members.iter().try_for_each(check_member)?;
    check_versions(version, members)?;
    check_unique("name", members, |m| vec![m.name.to_string()])?;
    check_unique("peer_ip", members, |m| vec![m.peer_ip.to_string()])?;
    check_unique("client_ips", members, |m| {
        let own: BTreeSet<_> = m.client_ips.iter().map(ToString::to_string).collect();
        own.into_iter().collect()
    })
}

/// In the middle of an upgrade members differ by one minor (etcd.io, "Upgrading etcd clusters").
fn check_versions(version: EtcdVersion, members: &[MemberSpec]) -> Result<(), SpecError> {
    let of = |member: &MemberSpec| member.program.as_ref().map_or(version, |own| own.version);
    let versions = members.iter().map(|member| (of(member), &member.name));
    let (Some(oldest), Some(newest)) = (versions.clone().min(), versions.max()) else {
        return Ok(());
    };
    if newest.0.minor - oldest.0.minor <= 1 {
        return Ok(());
    }
    Err(SpecError::VersionGap {
        older: oldest.1.clone(),
        older_version: oldest.0,
        newer: newest.1.clone(),
        newer_version: newest.0,
    })
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
