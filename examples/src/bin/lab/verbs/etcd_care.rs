//! Verbs that look after what etcd holds: `etcd snapshot`, `restore`, `defrag`, `free-space`, `upgrade`.

use super::change::with_progress;
use crate::{
    args::{Format, Global},
    exit::{Ended, Exit},
    progress::Reporter,
    screen, wanted,
};
use artifacts::Version;
use cluster_lab::{EtcdCare, EtcdDowngrade, EtcdSource, KeptName, Lab};
use serde_json::json;
use std::path::PathBuf;

/// `lab etcd snapshot`.
pub(crate) async fn snapshot(
    global: &Global,
    to: Option<PathBuf>,
    trial: bool,
) -> anyhow::Result<Exit> {
    let lab = wanted::existing(global)?;
    let to = to.unwrap_or_else(|| lab.etcd_snapshot_path());
    if global.dry_run {
        let then = if trial {
            ", and restored for a trial"
        } else {
            ""
        };
        let step = format!(
            "a snapshot of the first member that gives one goes to {}{then}",
            to.display()
        );
        return told(global, &step, false, "would be done");
    }
    let taken = done(global, &lab, async |reporter| {
        lab.etcd_snapshot(&to, trial, reporter).await
    })
    .await?;
    let (path, record) = (taken.path.display().to_string(), &taken.record);
    match global.output {
        Format::Json => screen::print_json(&json!({ "path": path, "record": record }))?,
        Format::Text => screen::print(&format!(
            "{path}: revision {}, {} keys, {} bytes, hash {:08x}, of {}\n",
            record.status.revision,
            record.status.total_keys,
            record.status.total_bytes,
            record.status.hash,
            record.member
        ))?,
    }
    Ok(Exit::DONE)
}

/// `lab etcd restore`.
pub(crate) async fn restore(
    global: &Global,
    file: Option<PathBuf>,
    from_member: Option<&str>,
    kept: Option<KeptName>,
) -> anyhow::Result<Exit> {
    let lab = wanted::existing(global)?;
    let source = match (file, from_member) {
        (Some(file), _) => Some(EtcdSource::File(file)),
        (None, Some(member)) => {
            let name = member.parse();
            Some(EtcdSource::Member(name.map_err(|error| {
                Ended::bad_input(format!("{member:?} is no name of a member: {error}"))
            })?))
        }
        (None, None) => kept.map(EtcdSource::Kept),
    };
    if global.dry_run {
        let plan = lab.plan_etcd_restore(source.as_ref()).await?;
        return told(global, &plan.to_string(), false, "would be done");
    }
    let restored = done(global, &lab, async |reporter| {
        lab.etcd_restore(source.as_ref(), reporter).await
    })
    .await?;
    let conditions = restored.conditions.iter();
    let proven: String = conditions.map(|held| format!("{held}\n")).collect();
    match global.output {
        Format::Json => {
            let text = restored.plan.to_string();
            let steps: Vec<&str> = text.lines().collect();
            let conditions = &restored.conditions;
            let said = json!({ "changed": true, "steps": steps, "conditions": conditions });
            screen::print_json(&said)?;
        }
        Format::Text => screen::print(&format!("{}{proven}restored\n", restored.plan))?,
    }
    Ok(Exit::DONE)
}

/// `lab etcd defrag` and `lab etcd free-space`.
pub(crate) async fn care(global: &Global, care: EtcdCare) -> anyhow::Result<Exit> {
    let lab = wanted::existing(global)?;
    let (plan, word) = if global.dry_run {
        (lab.plan_etcd_care(care).await?, "would be done")
    } else {
        (
            done(global, &lab, async |reporter| {
                lab.etcd_care(care, reporter).await
            })
            .await?,
            "done",
        )
    };
    told(global, &plan.to_string(), plan.is_empty(), word)
}

/// `lab etcd upgrade`.
pub(crate) async fn upgrade(global: &Global, to: Version) -> anyhow::Result<Exit> {
    let lab = wanted::existing(global)?;
    let (plan, word) = if global.dry_run {
        let plan = done(global, &lab, async |reporter| {
            lab.plan_etcd_upgrade(to, reporter).await
        })
        .await?;
        (plan, "would be done")
    } else {
        (
            done(global, &lab, async |reporter| {
                lab.etcd_upgrade(to, reporter).await
            })
            .await?,
            "done",
        )
    };
    told(global, &plan.to_string(), plan.is_empty(), word)
}

/// `lab etcd downgrade`.
pub(crate) async fn downgrade(global: &Global, wish: EtcdDowngrade) -> anyhow::Result<Exit> {
    let lab = wanted::existing(global)?;
    let work = async |reporter: &Reporter| match global.dry_run {
        true => lab.plan_etcd_downgrade(wish, reporter).await,
        false => lab.etcd_downgrade(wish, reporter).await,
    };
    let plan = done(global, &lab, work).await?;
    let word = match global.dry_run {
        true => "would be done",
        false => "done",
    };
    told(global, &plan.to_string(), plan.is_empty(), word)
}

/// Does `work`, which the same command goes on with when it was interrupted.
pub(super) async fn done<T, E: Into<anyhow::Error>>(
    global: &Global,
    lab: &Lab,
    work: impl AsyncFnOnce(&Reporter) -> Result<T, E>,
) -> anyhow::Result<T> {
    let interrupted = "interrupted; the same command goes on from here";
    Ok(with_progress(global, lab, interrupted, work).await?.0)
}

pub(super) fn told(
    global: &Global,
    steps: &str,
    is_empty: bool,
    word: &str,
) -> anyhow::Result<Exit> {
    let lines: Vec<&str> = steps.lines().collect();
    match global.output {
        Format::Json => {
            screen::print_json(&json!({ "changed": !is_empty && !global.dry_run, "steps": lines }))?
        }
        Format::Text if is_empty => screen::print(&format!("{}nothing to do\n", with_end(steps)))?,
        Format::Text => screen::print(&format!("{}{word}\n", with_end(steps)))?,
    }
    Ok(Exit::DONE)
}

fn with_end(text: &str) -> String {
    match text.is_empty() || text.ends_with('\n') {
        true => text.to_owned(),
        false => format!("{text}\n"),
    }
}
