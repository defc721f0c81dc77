//! Conditions that are asked for, not tried: machines, certificates, etcd, Kubernetes.

use super::CheckError;
use crate::{Blueprint, Hosts, Lab, MachineState, ObserveError, lab::etcd_hosts, machines::Seen};
use etcd_bootstrap::{ANSWER_TIMEOUT, Probe};
use host_exec::{Condition, HostName};
use pki::{ExpiryLevel, Store};
use time::OffsetDateTime;

pub(super) fn machines(seen: &Seen) -> Vec<Condition> {
    let condition = |(name, state): (&HostName, &MachineState)| {
        let (ok, evidence) = match state {
            MachineState::Running { evidence, .. } => (true, evidence.clone()),
            MachineState::Absent => (false, "it has never been made".into()),
            MachineState::Stopped => (false, "it is stopped".into()),
            MachineState::Booting { evidence } => (false, format!("it boots: {evidence}")),
            MachineState::Stopping => (false, "it is on its way down".into()),
            MachineState::Broken { why } => (false, why.clone()),
        };
        Condition::new(format!("{name} runs"), ok, evidence)
    };
    seen.states.iter().map(condition).collect()
}

pub(super) fn certificates(store: &Store, now: OffsetDateTime) -> Condition {
    let name = "certificates are valid";
    let all = match pki::expiry(store, now) {
        Ok(all) => all,
        Err(error) => return Condition::new(name, false, error.to_string()),
    };
    let Some(first) = all.iter().min_by_key(|one| one.not_after) else {
        return Condition::new(name, false, "there are none");
    };
    let worst = all
        .iter()
        .filter(|one| one.level > ExpiryLevel::Warning)
        .count();
    let days = (first.not_after - now).whole_days();
    let evidence = match worst {
        0 => format!(
            "{} of them; the first to end is {}, in {days} days",
            all.len(),
            first.subject
        ),
        _ => format!(
            "{worst} of {} end soon or have ended; `lab certs` lists them",
            all.len()
        ),
    };
    Condition::new(name, worst == 0, evidence)
}

impl Lab {
    /// etcd and Kubernetes, asked at the same time.
    pub(super) async fn cluster_conditions(
        &self,
        blueprint: &Blueprint,
        hosts: &Hosts,
    ) -> Result<Vec<Condition>, CheckError> {
        let token = self.token_to_look_with::<CheckError>()?;
        let wired = match self.wire(blueprint, &token) {
            Ok(wired) => wired,
            // Machines without certificates: a lab that was interrupted early.
            Err(error @ ObserveError::Material(_)) => {
                return Ok(vec![Condition::new(
                    "etcd and Kubernetes are set up",
                    false,
                    error.to_string(),
                )]);
            }
            Err(error) => return Err(error.into()),
        };
        let members = etcd_hosts(&wired.etcd, hosts);
        let probe = Probe::new(&wired.etcd, &members, &wired.etcd_tls, ANSWER_TIMEOUT)
            .map_err(|e| ObserveError::from(etcd_bootstrap::ObserveError::from(e)))?;
        let (etcd, kubernetes) = tokio::join!(
            etcd_bootstrap::health(&wired.etcd, &probe),
            k8s_bootstrap::health(&wired.kubernetes, hosts),
        );
        let kubernetes = kubernetes.map_err(ObserveError::from)?;
        Ok(etcd.into_iter().chain(kubernetes).collect())
    }
}
