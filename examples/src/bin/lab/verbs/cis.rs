//! `lab check --cis`: the CIS Kubernetes Benchmark, with evidence.

use crate::{
    args::{Format, Global},
    exit::Exit,
    progress::Reporter,
    screen::{self, Paint},
    table, wanted,
};
use cluster_lab::{
    CisReport, Profile,
    cis::{Finding, Verdict},
};

/// `lab check --cis`.
pub(crate) async fn check(global: &Global) -> anyhow::Result<Exit> {
    let lab = wanted::existing(global)?;
    let reporter = Reporter::new(Format::Text, global.verbose, lab.state());
    let report = lab.check_cis(&reporter).await;
    reporter.finish();
    let report = report?;
    match global.output {
        Format::Json => screen::print_json(&report)?,
        Format::Text => screen::print(&text(&report, Paint::stdout()))?,
    }
    Ok(if report.ok() {
        Exit::DONE
    } else {
        Exit::NOT_SO
    })
}

fn text(report: &CisReport, paint: Paint) -> String {
    let rows: Vec<_> = grouped(&report.findings)
        .iter()
        .map(|(first, machines)| {
            [
                mark(first.verdict, paint),
                first.number.to_owned(),
                first.title.to_owned(),
                machines.join(" "),
                first.evidence.clone(),
            ]
        })
        .collect();
    let head = ["      ", "CHECK", "WHAT", "MACHINES", "EVIDENCE"];
    let mut text = format!(
        "{}\n{}\n",
        paint.head(&report.benchmark.to_string()),
        table::columns(head, &rows)
    );
    let count = |verdict| report.count(verdict);
    let counts = format!(
        "{} pass, {} fail, {} excepted, {} for a person to look at, {} not applicable",
        count(Verdict::Pass),
        count(Verdict::Fail),
        count(Verdict::Excepted),
        count(Verdict::Manual),
        count(Verdict::NotApplicable),
    );
    text.push_str(&match (report.profile, report.ok()) {
        (Profile::Hardened, true) => format!("{}: {counts}\n", paint.good("hardened")),
        (Profile::Hardened, false) => {
            format!("{}: {counts}\n", paint.bad("not as hardened as promised"))
        }
        (Profile::Standard, _) => {
            format!("{counts}; `lab up --profile hardened` makes a lab that fails none\n")
        }
    });
    text
}

fn mark(verdict: Verdict, paint: Paint) -> String {
    match verdict {
        Verdict::Pass => paint.good("pass  "),
        Verdict::Fail => paint.bad("FAIL  "),
        Verdict::Excepted => "except".to_owned(),
        Verdict::Manual => "manual".to_owned(),
        Verdict::NotApplicable => "n/a   ".to_owned(),
    }
}

/// Findings of one check that say the same, with the machines that they are about.
fn grouped(findings: &[Finding]) -> Vec<(&Finding, Vec<&str>)> {
    let mut groups: Vec<(&Finding, Vec<&str>)> = Vec::new();
    for finding in findings {
        let machine = finding.machine.as_ref().map(|name| name.as_str());
        let same = groups.iter_mut().find(|(first, _)| {
            (first.number, first.verdict, &first.evidence)
                == (finding.number, finding.verdict, &finding.evidence)
        });
        match same {
            Some((_, machines)) => machines.extend(machine),
            None => groups.push((finding, machine.into_iter().collect())),
        }
    }
    groups
}

#[cfg(test)]
mod tests {
    use super::*;
    use cluster_lab::cis::Benchmark;

    fn report(profile: Profile, verdict: Verdict) -> CisReport {
        let finding = |machine: &str| Finding {
            number: "4.1.1",
            title: "unit of the kubelet: at most 600",
            automated: true,
            machine: Some(machine.parse().unwrap()),
            verdict,
            evidence: "/etc/systemd/system/kubelet.service 644 root:root".to_owned(),
        };
        CisReport {
            benchmark: Benchmark::V1_12,
            profile,
            findings: vec![finding("cp-0"), finding("worker-0")],
            exceptions: Vec::new(),
        }
    }

    #[test]
    fn machines_that_say_the_same_share_a_line() {
        let text = text(&report(Profile::Hardened, Verdict::Pass), Paint::none());
        let line = "pass    4.1.1  unit of the kubelet: at most 600  cp-0 worker-0  /etc/systemd";
        assert!(text.contains(line), "{text}");
        assert!(text.contains("\nhardened: 2 pass, 0 fail"), "{text}");
    }

    #[test]
    fn only_a_hardened_lab_breaks_its_word_by_failing() {
        let failing = report(Profile::Hardened, Verdict::Fail);
        assert!(!failing.ok());
        assert!(
            text(&failing, Paint::none()).contains("not as hardened as promised: 0 pass, 2 fail")
        );
        let standard = report(Profile::Standard, Verdict::Fail);
        assert!(standard.ok());
        assert!(text(&standard, Paint::none()).contains("FAIL    4.1.1"));
        assert!(report(Profile::Hardened, Verdict::Excepted).ok());
    }
}
