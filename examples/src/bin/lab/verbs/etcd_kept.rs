//! Verbs about the snapshots that members of etcd take by their timers: `etcd snapshots`, `etcd snapshot --kept`.

use super::etcd_care::told;
use crate::{
    args::{Format, Global},
    exit::Exit,
    screen, table, wanted,
};
use cluster_lab::{EtcdMember, KeptName};
use etcd_bootstrap::schedule::Kept;
use serde_json::json;
use std::path::PathBuf;

/// `lab etcd snapshots`.
pub(crate) async fn list(global: &Global) -> anyhow::Result<Exit> {
    let lab = wanted::existing(global)?;
    let status = lab.etcd_status().await?;
    match global.output {
        Format::Json => {
            let members = status.members.iter();
            let all: serde_json::Map<_, _> = members
                .map(|member| (member.name.to_string(), json!(member.snapshots)))
                .collect();
            screen::print_json(&all)?;
        }
        Format::Text => screen::print(&text(&status.members))?,
    }
    Ok(Exit::DONE)
}

fn text(members: &[EtcdMember]) -> String {
    let rows: Vec<_> = members.iter().flat_map(rows).collect();
    if rows.is_empty() {
        return "no member has taken a snapshot by its timer yet\n".to_owned();
    }
    table::columns(["SNAPSHOT", "TAKEN", "BYTES"], &rows)
}

fn rows(member: &EtcdMember) -> Vec<[String; 3]> {
    let kept = member.snapshots.iter().flat_map(|own| &own.kept);
    let row = |kept: &Kept| {
        let name = KeptName {
            member: member.name.clone(),
            number: kept.number,
        };
        [name.to_string(), moment(kept), kept.bytes.to_string()]
    };
    kept.map(row).collect()
}

/// When it was taken, to the minute.
pub(super) fn moment(kept: &Kept) -> String {
    let (date, time) = (kept.taken.date(), kept.taken.time());
    format!("{date} {:02}:{:02}Z", time.hour(), time.minute())
}

/// `lab etcd snapshot --kept`.
pub(crate) async fn fetch(
    global: &Global,
    to: Option<PathBuf>,
    kept: &KeptName,
) -> anyhow::Result<Exit> {
    let lab = wanted::existing(global)?;
    let to = to.unwrap_or_else(|| lab.etcd_snapshot_path());
    let path = to.display();
    if global.dry_run {
        let step = format!("{kept} is checked and goes to {path}");
        return told(global, &step, false, "would be done");
    }
    let bytes = lab.etcd_kept(kept, &to).await?;
    match global.output {
        Format::Json => screen::print_json(&json!({ "path": to, "bytes": bytes }))?,
        Format::Text => screen::print(&format!("{path}: {bytes} bytes, whole, from {kept}\n"))?,
    }
    Ok(Exit::DONE)
}

#[cfg(test)]
mod tests {
    use super::*;
    use cluster_lab::ScheduledSnapshots;
    use etcd_bootstrap::ClientAnswer;

    #[test]
    fn each_snapshot_has_the_name_that_restore_takes() {
        let kept = |number, second| Kept {
            number,
            bytes: 20512,
            taken: time::OffsetDateTime::from_unix_timestamp(second).unwrap(),
        };
        let mut member = EtcdMember {
            name: "etcd-1".parse().unwrap(),
            id: None,
            leads: false,
            answer: ClientAnswer::Silent("refused".into()),
            snapshots: Some(ScheduledSnapshots {
                timer_runs: true,
                last_failed: false,
                kept: vec![kept(1, 1_795_765_629), kept(2, 1_795_722_429)],
            }),
            certificates: Vec::new(),
        };
        let said = text(std::slice::from_ref(&member));
        let lines: Vec<_> = said.lines().collect();
        assert_eq!(lines.len(), 3, "{said}");
        assert!(
            lines[1].starts_with("etcd-1:1  2026-11-27 07:47Z  20512"),
            "{said}"
        );
        let name = lines[2].split(' ').next().unwrap();
        assert_eq!(name.parse::<KeptName>().unwrap().number, 2);
        member.snapshots = None;
        assert!(text(&[member]).starts_with("no member"));
    }
}
