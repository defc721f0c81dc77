//! Verbs that look at a lab or at this machine: `status`, `check`, `doctor`.

use crate::{
    args::{Format, Global, OnArgs, SpecArgs},
    exit::Exit,
    next_steps,
    progress::Reporter,
    screen::{self, Paint},
    table, wanted,
};
use cluster_lab::{CheckReport, MachineState, MachineStatus, MatrixRow, Status, Untried};

/// `lab status`.
pub(crate) async fn status(global: &Global) -> anyhow::Result<Exit> {
    let lab = wanted::existing(global)?;
    let status = lab.status().await?;
    match global.output {
        Format::Json => screen::print_json(&status)?,
        Format::Text => {
            let command = next_steps::command(&lab, global);
            screen::print(&status_text(&status, &command, Paint::stdout()))?;
        }
    }
    Ok(Exit::DONE)
}

fn status_text(status: &Status, command: &str, paint: Paint) -> String {
    let row = |machine: &MachineStatus| {
        let addresses: Vec<_> = machine.addresses.iter().map(ToString::to_string).collect();
        let services = machine.services - machine.down.len().min(machine.services);
        let state = match &machine.state {
            MachineState::Running { .. } => format!("{services}/{} services", machine.services),
            MachineState::Absent => "not there".to_owned(),
            MachineState::Stopped => "stopped".to_owned(),
            MachineState::Booting { .. } => "boots".to_owned(),
            MachineState::Stopping => "goes down".to_owned(),
            MachineState::Broken { .. } => "broken".to_owned(),
        };
        [
            machine.name.clone(),
            machine.class.to_string(),
            state,
            addresses.join(" "),
        ]
    };
    let rows: Vec<_> = status.machines.iter().map(row).collect();
    let mut text = format!(
        "lab {}: Kubernetes {}, etcd {}\nKUBECONFIG={}\n\n",
        status.name,
        status.kubernetes,
        status.etcd,
        status.kubeconfig.display()
    );
    text.push_str(&table::columns(
        ["MACHINE", "CLASS", "STATE", "ADDRESSES"],
        &rows,
    ));
    for machine in &status.machines {
        let lines = machine
            .down
            .iter()
            .map(|unit| format!("{}: {unit}\n", machine.name));
        text.extend(lines);
    }
    text.push_str(&match status.ok() {
        true => format!(
            "\n{}; `{command} check` proves it\n",
            paint.good("everything runs")
        ),
        false => format!(
            "\n{}; `{command} up` mends it\n",
            paint.bad("not everything runs")
        ),
    });
    text
}

/// `lab check`.
pub(crate) async fn check(global: &Global) -> anyhow::Result<Exit> {
    let lab = wanted::existing(global)?;
    let reporter = Reporter::new(Format::Text, global.verbose, lab.state());
    let report = lab.check(&reporter).await;
    reporter.finish();
    let report = report?;
    match global.output {
        Format::Json => screen::print_json(&report)?,
        Format::Text => screen::print(&check_text(&report, Paint::stdout()))?,
    }
    Ok(if report.ok() {
        Exit::DONE
    } else {
        Exit::NOT_SO
    })
}

fn check_text(report: &CheckReport, paint: Paint) -> String {
    let mark = |ok| {
        if ok {
            paint.good("ok ")
        } else {
            paint.bad("BAD")
        }
    };
    let mut text = format!("{}\n", paint.head("conditions"));
    for condition in &report.conditions {
        text.push_str(&format!("  {}  {condition}\n", mark(condition.ok)));
    }
    let row = |row: &MatrixRow| {
        let word = |reached| if reached { "reached" } else { "blocked" }.to_owned();
        [
            mark(row.ok),
            row.from.clone(),
            row.to.clone(),
            row.address.to_string(),
            row.via.clone().unwrap_or_default(),
            word(row.expected),
            word(row.seen),
            row.evidence.clone(),
        ]
    };
    let rows: Vec<_> = report.matrix.iter().map(row).collect();
    let head = [
        "   ", "FROM", "TO", "ADDRESS", "VIA", "EXPECTED", "SEEN", "EVIDENCE",
    ];
    let bad = report
        .conditions
        .iter()
        .filter(|condition| !condition.ok)
        .count()
        + report.matrix.iter().filter(|row| !row.ok).count();
    let all = report.conditions.len() + report.matrix.len();
    text.push_str(&format!(
        "\n{}\n{}\n",
        paint.head("who reaches whom"),
        table::columns(head, &rows)
    ));
    text.push_str(&untried_text(&report.untried, paint));
    text.push_str(&match bad {
        0 => format!("{}: all {all}\n", paint.good("as it has to be")),
        _ => format!("{}: {bad} of {all}\n", paint.bad("not as it has to be")),
    });
    text
}

/// Nothing where every flow was tried.
fn untried_text(untried: &[Untried], paint: Paint) -> String {
    if untried.is_empty() {
        return String::new();
    }
    let row = |one: &Untried| {
        [
            format!("   {}", one.from),
            format!("{} port {} ({})", one.to, one.port, one.family),
            one.why.clone(),
        ]
    };
    let rows: Vec<_> = untried.iter().map(row).collect();
    format!(
        "{}: {}\n{}\n",
        paint.head("not tried"),
        untried.len(),
        table::columns(["   FROM", "TO", "WHY"], &rows)
    )
}

/// `lab doctor`.
pub(crate) async fn doctor(global: &Global, on: OnArgs) -> anyhow::Result<Exit> {
    let args = SpecArgs {
        on,
        ..SpecArgs::default()
    };
    let findings = wanted::asked_for(global, &args)?.doctor().await?;
    let ok = findings.iter().all(|finding| finding.ok);
    match global.output {
        Format::Json => screen::print_json(&findings)?,
        Format::Text => {
            let paint = Paint::stdout();
            let mut text = String::new();
            for finding in &findings {
                let mark = if finding.ok {
                    paint.good("ok ")
                } else {
                    paint.bad("BAD")
                };
                text.push_str(&format!("{mark}  {}: {}\n", finding.what, finding.seen));
                if !finding.remedy.is_empty() {
                    text.push_str(&format!("     to mend it: {}\n", finding.remedy));
                }
            }
            screen::print(&text)?;
        }
    }
    Ok(if ok { Exit::DONE } else { Exit::NOT_SO })
}

#[cfg(test)]
mod tests {
    use super::*;
    use cluster_lab::Condition;

    fn report(ok: bool) -> CheckReport {
        CheckReport {
            conditions: vec![Condition {
                name: "etcd has one leader".into(),
                ok,
                evidence: "two in term 7".into(),
            }],
            matrix: Vec::new(),
            untried: Vec::new(),
        }
    }

    #[test]
    fn a_check_shows_evidence_and_counts_what_is_not_so() {
        let text = check_text(&report(false), Paint::none());
        assert!(
            text.contains("  BAD  etcd has one leader: two in term 7\n"),
            "{text}"
        );
        assert!(text.ends_with("not as it has to be: 1 of 1\n"), "{text}");
        assert!(check_text(&report(true), Paint::none()).ends_with("\nas it has to be: all 1\n"));
    }

    #[test]
    fn a_check_says_what_it_did_not_try() {
        let untried = Untried {
            from: "internet".into(),
            to: "etcd-0".into(),
            port: 2379,
            family: netplan::Family::V6,
            expected: false,
            why: "nobody is there".into(),
        };
        let mut report = report(true);
        report.untried.push(untried);
        let text = check_text(&report, Paint::none());
        let line = "   internet  etcd-0 port 2379 (IPv6)  nobody is there";
        assert!(text.contains(line), "{text}");
        assert!(text.contains("not tried: 1\n"), "{text}");
        assert!(text.ends_with("\nas it has to be: all 1\n"), "{text}");
    }
}
