//! What a FreeBSD host lacks for a lab of VMs, with the command that mends it.

use crate::{BhyveSpec, Finding, Lab, facts::guest_resolvers, preflight};
use bhyve_vm::{
    HostFinding, Severity, Subject, examine,
    fleet::{self, FleetPlanError, HostSurvey},
};

impl Lab {
    /// Looks at this machine and at the FreeBSD host. Changes nothing.
    pub(crate) async fn examine_vms(&self, bhyve: &BhyveSpec) -> Vec<Finding> {
        let client = match preflight::check_client(self) {
            Ok(()) => Finding::good("client of SSH", "there"),
            Err(error) => Finding::bad(
                "client of SSH",
                error.to_string(),
                "apt-get install -y openssh-client",
            ),
        };
        let mut findings = vec![client];
        let survey = match self.survey(bhyve).await {
            Ok(survey) => survey,
            Err(error) => {
                let remedy = "mend that first; what follows is looked at then";
                findings.push(Finding::bad("FreeBSD host", error, remedy));
                return findings;
            }
        };
        let seen = format!("FreeBSD {}, root", survey.version);
        findings.push(Finding::good("FreeBSD host", seen));
        findings.push(self.find_programs().await);
        findings.extend(self.examine_host(bhyve, &survey).await);
        findings
    }

    async fn survey(&self, bhyve: &BhyveSpec) -> Result<HostSurvey, String> {
        let host = self.freebsd_host(bhyve).map_err(|e| e.to_string())?;
        fleet::survey(&host).await.map_err(|e| with_causes(&e))
    }

    async fn examine_host(&self, bhyve: &BhyveSpec, survey: &HostSurvey) -> Vec<Finding> {
        let what = "the lab on this host";
        let remedy = "mend that first";
        let planned = async {
            let blueprint = self.draft().await.map_err(|e| with_causes(&e))?;
            let stock = self.stock_at_hand(&blueprint).await;
            let stock = stock.map_err(|e| with_causes(&e))?;
            let fleet = blueprint
                .fleet(bhyve, &stock)
                .map_err(|e| with_causes(&e))?;
            let host = self.freebsd_host(bhyve).map_err(|e| e.to_string())?;
            let observed = fleet::observe(&host, &fleet).await;
            let observed = observed.map_err(|e| with_causes(&e))?;
            Ok::<_, String>((fleet::plan(&fleet, &observed), fleet))
        };
        let (plan, fleet) = match planned.await {
            Ok(planned) => planned,
            Err(error) => return vec![Finding::bad(what, error, remedy)],
        };
        let mut needs = fleet::needs(&fleet);
        needs.now_s = u64::try_from(self.now.unix_timestamp()).ok();
        let facts = survey.facts(bhyve.dataset.as_str());
        let mut findings: Vec<_> = examine(&facts, &needs).into_iter().map(finding).collect();
        findings.push(match guest_resolvers(survey, bhyve).len() {
            0 => Finding::bad(
                "name servers for guests",
                "the host names none but itself, so guests find no package archive",
                "set bhyve.resolvers in lab.toml",
            ),
            count => Finding::good("name servers for guests", count.to_string()),
        });
        findings.push(match plan {
            Ok(plan) => {
                let steps = plan.steps().count();
                Finding::good(
                    what,
                    format!("possible; `lab up` has {steps} steps to do there"),
                )
            }
            // Its findings are in the list already.
            Err(FleetPlanError::Unfit { .. }) => Finding::bad(what, "not possible yet", remedy),
            Err(error) => Finding::bad(what, with_causes(&error), remedy),
        });
        findings
    }
}

/// Modules and forwarding are switched on by `up`, which `plan` shows; so nobody has to before.
fn finding(found: HostFinding) -> Finding {
    let HostFinding {
        subject,
        severity,
        what,
        evidence,
        remedy,
    } = found;
    if matches!(subject, Subject::Module | Subject::Forwarding) {
        return Finding::good(what, format!("{evidence}; `lab up` sees to it"));
    }
    Finding {
        what,
        ok: severity == Severity::Warning,
        seen: evidence,
        remedy,
    }
}

fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(&format!(": {error}"));
        cause = error.source();
    }
    text
}
