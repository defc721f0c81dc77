//! Verbs about etcd: `etcd status`, and the way to those about its members.

use super::etcd_members;
use super::{etcd_care, etcd_kept};
use crate::{
    args::{EtcdVerb, Format, Global},
    exit::Exit,
    screen::{self, Paint},
    table, wanted,
};
use cluster_lab::{EtcdCare, EtcdDowngrade, EtcdMember, EtcdStatus};

/// `lab etcd ...`.
pub(crate) async fn etcd(global: &Global, verb: EtcdVerb) -> anyhow::Result<Exit> {
    match verb {
        EtcdVerb::Status => status(global).await,
        EtcdVerb::Replace { member } => etcd_members::replace(global, &member).await,
        EtcdVerb::MoveLeader { to } => etcd_members::move_leader(global, to.as_deref()).await,
        EtcdVerb::Member { verb } => etcd_members::member(global, verb).await,
        EtcdVerb::Snapshot {
            to,
            kept: Some(kept),
            ..
        } => etcd_kept::fetch(global, to, &kept).await,
        EtcdVerb::Snapshot { to, trial, .. } => etcd_care::snapshot(global, to, trial).await,
        EtcdVerb::Snapshots => etcd_kept::list(global).await,
        EtcdVerb::Restore {
            file,
            from_member,
            kept,
        } => etcd_care::restore(global, file, from_member.as_deref(), kept).await,
        EtcdVerb::Defrag { force } => etcd_care::care(global, EtcdCare::Defragment { force }).await,
        EtcdVerb::FreeSpace => etcd_care::care(global, EtcdCare::FreeSpace).await,
        EtcdVerb::Upgrade { to } => etcd_care::upgrade(global, to).await,
        // Without a version it is `--cancel`, which clap sees to.
        EtcdVerb::Downgrade { to, .. } => {
            let wish = to.map_or(EtcdDowngrade::Cancel, EtcdDowngrade::To);
            etcd_care::downgrade(global, wish).await
        }
    }
}

async fn status(global: &Global) -> anyhow::Result<Exit> {
    let lab = wanted::existing(global)?;
    let status = lab.etcd_status().await?;
    match global.output {
        Format::Json => screen::print_json(&status)?,
        Format::Text => screen::print(&status_text(&status, Paint::stdout()))?,
    }
    Ok(match status.ok() {
        true => Exit::DONE,
        false => Exit::NOT_SO,
    })
}

fn status_text(status: &EtcdStatus, paint: Paint) -> String {
    let rows: Vec<_> = status.members.iter().map(row).collect();
    let head = [
        "MEMBER",
        "ID",
        "VERSION",
        "ROLE",
        "TERM",
        "INDEX",
        "REVISION",
        "SIZE",
        "IN USE",
        "CERTIFICATES END",
        "LAST SNAPSHOT",
        "SAYS",
    ];
    let mut text = format!(
        "cluster {}: {} members, {} must agree\n\n{}\n",
        status.cluster_id,
        status.members.len(),
        status.quorum,
        table::columns(head, &rows)
    );
    let bad = status.conditions.iter().filter(|condition| !condition.ok);
    text.extend(bad.map(|condition| format!("{}  {condition}\n", paint.bad("BAD"))));
    if status.ok() {
        text.push_str(&format!("{}\n", paint.good("as it has to be")));
    }
    text
}

fn row(member: &EtcdMember) -> [String; 12] {
    let mut row: [String; 12] = Default::default();
    row[0] = member.name.to_string();
    row[1] = member.id.map(|id| id.to_string()).unwrap_or_default();
    row[9] = member
        .certificates_end()
        .map(|end| end.date().to_string())
        .unwrap_or_default();
    let newest = member.snapshots.as_ref().and_then(|own| own.kept.first());
    row[10] = newest.map(etcd_kept::moment).unwrap_or_default();
    row[11] = match member.answer.is_ready() {
        true => "ready".into(),
        false => member.answer.to_string(),
    };
    if let Some(status) = member.status() {
        let role = match (member.leads, status.is_learner) {
            (true, _) => "leader",
            (false, true) => "learner",
            (false, false) => "follower",
        };
        row[2..9].clone_from_slice(&[
            status.version.clone(),
            role.into(),
            status.raft_term.to_string(),
            status.raft_index.to_string(),
            status.revision.to_string(),
            mebibytes(status.db_size_bytes),
            mebibytes(status.db_in_use_bytes),
        ]);
    }
    row
}

fn mebibytes(bytes: u64) -> String {
    format!("{:.1} MiB", bytes as f64 / f64::from(1 << 20))
}

#[cfg(test)]
mod tests {
    use super::*;
    use cluster_lab::Condition;
    use etcd_bootstrap::{ClientAnswer, ClusterId, MemberId};

    #[test]
    fn a_silent_member_says_why() {
        let status = EtcdStatus {
            cluster_id: ClusterId(0xa1),
            quorum: 2,
            members: vec![EtcdMember {
                name: "etcd-0".parse().unwrap(),
                id: Some(MemberId(0xb2)),
                leads: false,
                answer: ClientAnswer::Silent("connection refused".into()),
                snapshots: None,
                certificates: Vec::new(),
            }],
            conditions: vec![Condition::new("etcd-0 is ready", false, "silent")],
        };
        let text = status_text(&status, Paint::none());
        assert!(
            text.starts_with("cluster a1: 1 members, 2 must agree\n"),
            "{text}"
        );
        let line = text
            .lines()
            .find(|line| line.starts_with("etcd-0"))
            .unwrap();
        assert!(line.starts_with("etcd-0  b2 "), "{text}");
        assert!(line.ends_with(" connection refused"), "{text}");
        assert!(text.ends_with("BAD  etcd-0 is ready: silent\n"), "{text}");
    }
}
