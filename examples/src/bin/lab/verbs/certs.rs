//! `lab certs`: what certificates there are and until when, and their renewal.

use super::{certs_files, change::with_progress};
use crate::{
    args::{CertsVerb, Format, Global},
    exit::{Ended, Exit},
    next_steps,
    screen::{self, Paint},
    table, wanted,
};
use cluster_lab::{CertsReport, Lab, OnMachine, OnMachineState, RotateReport, RotateWish};
use pki::{
    Expiry, ExpiryLevel,
    rotation::{Phase, Rotated},
};
use serde_json::json;
use std::path::Path;
use time::OffsetDateTime;

/// `lab certs ...`, and with `--dry-run` what it would do.
pub(crate) async fn certs(global: &Global, verb: Option<CertsVerb>) -> anyhow::Result<Exit> {
    match verb {
        None => show(global).await,
        Some(CertsVerb::Export(args)) => certs_files::export(global, &args),
        Some(CertsVerb::Sign(args)) => certs_files::sign(global, &args),
        Some(CertsVerb::Renew) if global.dry_run => would_renew(global).await,
        Some(CertsVerb::Renew) => renew(global).await,
        Some(CertsVerb::Rotate {
            authority,
            to,
            back,
            force,
        }) => {
            let wish = match back {
                true => RotateWish::Back { force },
                false => RotateWish::Forward { to, force },
            };
            match global.dry_run {
                true => would_rotate(global, authority, wish).await,
                false => rotate(global, authority, wish).await,
            }
        }
    }
}

async fn show(global: &Global) -> anyhow::Result<Exit> {
    let lab = wanted::existing(global)?;
    let report = lab.certificates().await?;
    if report.store.is_empty() {
        let lab = next_steps::command(&lab, global);
        return Err(Ended::no_such_lab(format!(
            "the lab has no certificates yet; `{lab} up` issues them"
        )));
    }
    match global.output {
        Format::Json => screen::print_json(&report)?,
        Format::Text => {
            let command = next_steps::command(&lab, global);
            screen::print(&text(&report, &lab, &command, Paint::stdout()))?;
        }
    }
    Ok(match report.is_well() {
        true => Exit::DONE,
        false => Exit::NOT_SO,
    })
}

async fn would_renew(global: &Global) -> anyhow::Result<Exit> {
    let lab = wanted::existing(global)?;
    let plan = lab.plan_renewal().await?;
    match global.output {
        Format::Json => screen::print_json(&plan)?,
        Format::Text => {
            let issued = plan.issued.iter().map(ToString::to_string);
            let lines: Vec<String> = issued.chain(plan.steps.iter().cloned()).collect();
            screen::print(&format!("{}\nwould be done\n", lines.join("\n")))?;
        }
    }
    Ok(Exit::DONE)
}

async fn renew(global: &Global) -> anyhow::Result<Exit> {
    let lab = wanted::existing(global)?;
    let command = next_steps::command(&lab, global);
    let interrupted = format!(
        "interrupted; `{command} up` brings what has been issued to its machines, `{command} certs renew` renews all \
         once more"
    );
    let (done, seconds) = with_progress(global, &lab, interrupted, async |reporter| {
        lab.renew(reporter).await
    })
    .await?;
    match global.output {
        Format::Json => {
            let result = json!({ "changed": true, "issued": done.issued, "seconds": seconds });
            screen::print_json(&json!({ "result": result }))?;
        }
        Format::Text => screen::print(&format!(
            "{} certificates of lab {} are new ({seconds:.1} s)\n",
            done.issued.len(),
            lab.spec.name
        ))?,
    }
    Ok(Exit::DONE)
}

async fn would_rotate(global: &Global, rotated: Rotated, wish: RotateWish) -> anyhow::Result<Exit> {
    let lab = wanted::existing(global)?;
    let plan = lab.plan_rotation(rotated, wish).await?;
    match global.output {
        Format::Json => screen::print_json(&plan)?,
        Format::Text => {
            let mut text = String::new();
            if let Some(at) = plan.at {
                text.push_str(&format!("the rotation of {rotated} is at `{at}`\n"));
            }
            for planned in &plan.phases {
                let phase = planned.phase.map_or("as it was", Phase::name);
                text.push_str(&format!("{phase}:\n"));
                text.extend(planned.steps.iter().map(|step| format!("  {step}\n")));
            }
            screen::print(&format!("{text}would be done\n"))?;
        }
    }
    Ok(Exit::DONE)
}

async fn rotate(global: &Global, rotated: Rotated, wish: RotateWish) -> anyhow::Result<Exit> {
    let lab = wanted::existing(global)?;
    let again = format!(
        "{} certs rotate {rotated}",
        next_steps::command(&lab, global)
    );
    let interrupted =
        format!("interrupted; `{again}` goes on from here, `{again} --back` goes one phase back");
    let (done, seconds) = with_progress(global, &lab, interrupted, async |reporter| {
        lab.rotate(rotated, wish, reporter).await
    })
    .await?;
    match global.output {
        Format::Json => {
            screen::print_json(&json!({ "result": { "rotation": done, "seconds": seconds } }))?;
        }
        Format::Text => screen::print(&rotated_text(&done, wish, &again, seconds))?,
    }
    Ok(match done.held_by.is_empty() {
        true => Exit::DONE,
        false => Exit::NOT_SO,
    })
}

fn rotated_text(done: &RotateReport, wish: RotateWish, again: &str, seconds: f64) -> String {
    let rotated = done.rotated;
    let Some(phase) = done.phase else {
        return match wish {
            RotateWish::Back { .. } => format!("{rotated} is as it was ({seconds:.1} s)\n"),
            RotateWish::Forward { .. } => {
                format!("{rotated} is a new one, and the old one is dropped ({seconds:.1} s)\n")
            }
        };
    };
    let mut text = format!("{rotated}: `{phase}` has arrived everywhere ({seconds:.1} s)\n");
    if done.held_by.is_empty() {
        text.push_str(&format!(
            "`{again}` goes on, `{again} --back` goes one phase back\n"
        ));
        return text;
    }
    let (going, again) = match wish {
        RotateWish::Back { .. } => ("new", format!("{again} --back")),
        RotateWish::Forward { .. } => ("old", again.to_owned()),
    };
    text.push_str(&format!("these may hold nothing but the {going} one:\n"));
    text.extend(done.held_by.iter().map(|one| format!("  {one}\n")));
    text.push_str(&format!(
        "start pods anew (kubectl rollout restart) and make Secrets anew, then `{again}` drops the {going} one; with \
         --force it does so at once\n"
    ));
    text
}

/// The certificates as a table, authorities first, then by whom they are of.
fn text(report: &CertsReport, lab: &Lab, command: &str, paint: Paint) -> String {
    let store = lab.state().pki();
    let mut rows = Vec::new();
    let mut sorted: Vec<(String, &Expiry)> = report
        .store
        .iter()
        .map(|one| (name(&one.file, &store), one))
        .collect();
    sorted.sort_by(|(a, _), (b, _)| (!a.starts_with("ca/"), a).cmp(&(!b.starts_with("ca/"), b)));
    for (name, one) in sorted {
        let of = |found: &&OnMachine| {
            found
                .item
                .as_ref()
                .is_some_and(|item| item.to_string() == name)
        };
        let there: Vec<&OnMachine> = report.machines.iter().filter(of).collect();
        rows.push(row(one, &name, &on_machines(&there), lab.now));
    }
    let own = report.machines.iter().filter(|one| one.item.is_none());
    for found in own {
        let Some(expiry) = &found.expiry else {
            continue;
        };
        let file = found.file.file_stem().unwrap_or_default().to_string_lossy();
        let name = format!(
            "node/{}/{}",
            found.machine,
            file.trim_end_matches("-current")
        );
        rows.push(row(expiry, &name, "from the cluster", lab.now));
    }
    let head = [
        "CERTIFICATE",
        "SUBJECT",
        "ENDS",
        "LEFT",
        "RENEWED",
        "STATE",
        "ON MACHINES",
    ];
    let mut text = table::columns(head, &rows);
    for rotation in &report.rotations {
        text.push_str(&format!(
            "\n{} is being rotated and at `{}`; `{command} certs rotate {}` goes on\n",
            rotation.rotated, rotation.phase, rotation.rotated
        ));
    }
    text.push_str(&verdict(report, command, paint));
    text
}

/// The name of an item, from its file in the store.
fn name(file: &Path, store: &Path) -> String {
    let below = file.strip_prefix(store).unwrap_or(file);
    below.with_extension("").display().to_string()
}

fn row(one: &Expiry, name: &str, on_machines: &str, now: OffsetDateTime) -> [String; 7] {
    let renewed = match one.renewal {
        None => "by rotation".to_owned(),
        Some(at) if at <= now => "now due".to_owned(),
        Some(at) => at.date().to_string(),
    };
    [
        name.to_owned(),
        one.subject.clone(),
        one.not_after.date().to_string(),
        left(one.not_after, now),
        renewed,
        one.level.to_string(),
        on_machines.to_owned(),
    ]
}

/// How long until a moment, in the unit that a person would take.
fn left(end: OffsetDateTime, now: OffsetDateTime) -> String {
    let left = end - now;
    match left.whole_days() {
        _ if left.is_negative() => "none".to_owned(),
        0 => format!("{} h", left.whole_hours()),
        days @ 1..=730 => format!("{days} d"),
        days => format!("{} y", days / 365),
    }
}

/// Where it lies: the number of machines that have it, and by name those that do not.
fn on_machines(there: &[&OnMachine]) -> String {
    if there.is_empty() {
        return String::new();
    }
    let names = |state: OnMachineState, word: &str| {
        let names = there.iter().filter(|one| one.state == state);
        let names: Vec<&str> = names.map(|one| one.machine.as_str()).collect();
        (!names.is_empty()).then(|| format!("{word} {}", names.join(" ")))
    };
    let same = names(OnMachineState::Same, "on");
    let other = names(OnMachineState::Differs, "ANOTHER ON");
    let missing = names(OnMachineState::Missing, "MISSING ON");
    let words: Vec<String> = [same, other, missing].into_iter().flatten().collect();
    words.join(", ")
}

fn verdict(report: &CertsReport, command: &str, paint: Paint) -> String {
    let mut text = String::new();
    let stale = report.stale();
    if stale > 0 {
        let files = if stale == 1 {
            "file on a machine is not that"
        } else {
            "files on machines are not those"
        };
        let word = paint.bad(&format!("{stale} {files} of the store"));
        text.push_str(&format!(
            "\n{word}; `{command} up` brings what the store has\n"
        ));
    }
    match report.level() {
        ExpiryLevel::Fine if stale > 0 => {}
        ExpiryLevel::Fine => {
            let leaves = report.store.iter().filter_map(|one| one.renewal);
            let first = leaves.min().map(|at| at.date().to_string());
            text.push_str(&format!(
                "\n{}; the first renewal is due on {}, and `{command} up` does it then\n",
                paint.good("all are fine"),
                first.unwrap_or_default()
            ));
        }
        ExpiryLevel::Warning => text.push_str(&format!(
            "\n{}; `{command} certs renew` renews leaves, `{command} certs rotate` authorities\n",
            paint.bad("less than a third of the life of some is left")
        )),
        ExpiryLevel::Error | ExpiryLevel::Expired => text.push_str(&format!(
            "\n{}; `{command} certs renew` renews leaves, `{command} certs rotate` authorities\n",
            paint.bad("some have ended, or are about to")
        )),
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use time::Duration;

    #[test]
    fn time_that_is_left_is_told_as_a_person_would() {
        let now = OffsetDateTime::UNIX_EPOCH;
        for (days, told) in [
            (364.5, "364 d"),
            (3650.0, "10 y"),
            (0.5, "12 h"),
            (-0.1, "none"),
        ] {
            let end = now + Duration::days(1) * days;
            assert_eq!(left(end, now), told);
        }
    }

    #[test]
    fn machines_that_have_another_one_stand_out() {
        let found = |machine: &str, state| OnMachine {
            machine: machine.to_owned(),
            file: "/etc/kubernetes/pki/ca.crt".into(),
            item: Some(pki::ItemId::ServiceAccount),
            state,
            expiry: None,
        };
        let all = [
            found("cp-0", OnMachineState::Same),
            found("cp-1", OnMachineState::Differs),
            found("cp-2", OnMachineState::Same),
        ];
        let all: Vec<&OnMachine> = all.iter().collect();
        assert_eq!(on_machines(&all), "on cp-0 cp-2, ANOTHER ON cp-1");
    }
}
