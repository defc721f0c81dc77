//! Bringing a lab up: each layer is observed, planned and applied; what can run side by side does.

use crate::{
    Blueprint, DraftError, Hosts, Lab, LabPlanError, MaterialError, ObserveError, StateError,
    Wired,
    blueprint::programs_wanted,
    check::dns,
    first_boot::with_first_boot,
    guest::GuestError,
    lab::{etcd_hosts, guest_steps, programs_places},
    plan::{plan_etcd, plan_kubernetes},
    preflight::{self, PreflightError},
    supplies::{SupplyError, seed_images},
};
use host_exec::{
    EventSink, Host,
    poll::{self, Attempt, Wait, WaitError},
};
use k8s_bootstrap::ExpiringToken;
use nspawn_vm::CgroupKind;
use pki::PkiPlan;
use std::{
    convert::Infallible,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

/// How long a machine may take to boot, on a machine of usual speed. By hand it took half a second.
const BOOT_LIMIT: Duration = Duration::from_secs(60);

/// How long kube-proxy may take to lead a node to a name server that is available. It took up to 5 s beside builds.
const DNS_LIMIT: Duration = Duration::from_secs(60);

/// How long one look at the name server may take: shorter than the second after which TCP would send a first packet
/// again that came before kube-proxy's rules.
const DNS_LOOK: Duration = Duration::from_millis(200);

/// What `up` made, or found made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Up {
    /// Whether anything had to be done.
    pub changed: bool,
    /// The kubeconfig that reaches the lab from this machine.
    pub kubeconfig: PathBuf,
}

/// A lab that could not be brought up. What was done stays; the next `up` goes on from there.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum UpError {
    /// This machine lacks something. Nothing was touched.
    #[error(transparent)]
    Preflight(#[from] PreflightError),
    /// The lab is impossible. Nothing was touched.
    #[error(transparent)]
    Draft(#[from] DraftError),
    /// The lab's directory.
    #[error(transparent)]
    State(#[from] StateError),
    /// Programs and images.
    #[error(transparent)]
    Supplies(#[from] SupplyError),
    /// Certificates.
    #[error("cannot issue the certificates of the lab")]
    Pki(#[from] pki::ApplyError),
    /// Certificates, read back.
    #[error(transparent)]
    Material(#[from] MaterialError),
    /// Machines and networks.
    #[error(transparent)]
    Machines(#[from] nspawn_vm::ApplyError),
    /// Names and firewall of a machine.
    #[error(transparent)]
    Guest(#[from] GuestError),
    /// What is there could not be found out.
    #[error(transparent)]
    Observe(#[from] ObserveError),
    /// etcd or Kubernetes could not be planned.
    #[error(transparent)]
    Plan(#[from] LabPlanError),
    /// etcd.
    #[error("cannot bring up etcd")]
    Etcd(#[from] etcd_bootstrap::ApplyError),
    /// Kubernetes.
    #[error("cannot bring up Kubernetes")]
    Kubernetes(#[source] Box<k8s_bootstrap::ApplyError>),
    /// The name server is available, and its service does not lead a node to it.
    #[error(
        "the lab's name server does not answer its nodes; look at `lab logs worker-0 kube-proxy`"
    )]
    Dns(#[source] WaitError<Infallible>),
    /// No token could be drawn.
    #[error("cannot draw a bootstrap token")]
    Random(#[from] pki::RandomError),
}

impl From<k8s_bootstrap::ApplyError> for UpError {
    fn from(error: k8s_bootstrap::ApplyError) -> Self {
        Self::Kubernetes(Box::new(error))
    }
}

impl Lab {
    /// Brings the lab up, from whatever is there now, and returns when its nodes are Ready and its name server
    /// answers. With everything in place it changes nothing.
    ///
    /// # Errors
    ///
    /// The first step that failed. Dropping the future stops between two effects; either way the next `up` goes
    /// on from what is there.
    pub async fn up(&self, events: &dyn EventSink) -> Result<Up, UpError> {
        preflight::check(self).await?;
        let mut blueprint = self.draft().await?;
        let state = self.state();
        let _lock = state.lock()?;
        state.claim(&self.places.run_dir(&self.spec.name))?;
        if state
            .record()?
            .is_none_or(|record| record.spec != self.spec)
        {
            state.remember(&self.spec)?;
        }
        let mut held = None;
        if state.network()?.is_none() {
            // Looked at again, now that no other new lab chooses at the same time.
            held = Some(self.places.hold_networks().await?);
            blueprint = self.draft().await?;
        }
        state.remember_network(&blueprint.network.lock())?;
        drop(held);
        let images = self.supplies(&blueprint, events).await?;
        let mut changed = self.certify(&blueprint, events)?;
        let token = self.token()?;
        let wired = self.wire(&blueprint, &token)?;
        let (hosts, booted) = self.machines(&blueprint, &wired, &images, events).await?;
        changed |= booted;
        changed |= self.guests(&blueprint, &hosts, events).await?;
        changed |= self.clusters(&wired, &token, &hosts, events).await?;
        state.remember_kubeconfig(&blueprint.kubeconfig(&self.store())?)?;
        if changed {
            self.await_dns(&blueprint, events).await?;
        }
        Ok(Up {
            changed,
            kubeconfig: state.kubeconfig(),
        })
    }

    /// Gets the programs of the lab into the cache, as `up` does first, and returns their directory. Needs no root.
    ///
    /// # Errors
    ///
    /// The version is not in the catalogue, or a program can be had nowhere.
    pub async fn programs(&self, events: &dyn EventSink) -> Result<PathBuf, UpError> {
        self.spec.check().map_err(DraftError::from)?;
        let wanted = programs_wanted(&self.spec).map_err(DraftError::from)?;
        let set = artifacts::programs(&self.here, &wanted, &programs_places(self), events).await;
        Ok(set.map_err(SupplyError::from)?.dir)
    }

    fn certify(&self, blueprint: &Blueprint, events: &dyn EventSink) -> Result<bool, UpError> {
        let store = self.store();
        let plan = PkiPlan::new(&blueprint.pki, &store, self.now).map_err(ObserveError::from)?;
        if plan.is_done() {
            return Ok(false);
        }
        let step = "certificates";
        events.started("", step);
        pki::apply(&store, &plan, self.now, &pki::OsRandom)?;
        events.done("", step, &format!("{} items", plan.items().len()));
        Ok(true)
    }

    async fn machines(
        &self,
        blueprint: &Blueprint,
        wired: &Wired,
        images: &Path,
        events: &dyn EventSink,
    ) -> Result<(Hosts, bool), UpError> {
        let group = &with_first_boot(blueprint, &wired.etcd, &wired.kubernetes);
        let kind = CgroupKind::of_this_host()
            .map_err(|why| DraftError::from(crate::FactsError::Cgroups(why)))?;
        let patience = BOOT_LIMIT.mul_f64(self.spec.patience);
        let look = || nspawn_vm::observe(group, &self.here);
        let mut observed = look().await.map_err(ObserveError::from)?;
        let mut plan = nspawn_vm::plan(group, &observed);
        let changed = !plan.is_empty();
        // A machine that is on its way up or down, as an interrupted run leaves it, is waited for before it is
        // decided what it needs. Twice is enough: what is down then is started, and what is up runs.
        for _ in 0..2 {
            if plan.is_empty() {
                break;
            }
            seed_images(blueprint, &plan, images).await?;
            nspawn_vm::apply(group, &plan, kind, &self.here, patience, events).await?;
            observed = look().await.map_err(ObserveError::from)?;
            plan = nspawn_vm::plan(group, &observed);
        }
        Ok((shared(&observed), changed))
    }

    async fn guests(
        &self,
        blueprint: &Blueprint,
        hosts: &Hosts,
        events: &dyn EventSink,
    ) -> Result<bool, UpError> {
        let steps = guest_steps(blueprint, hosts).await?;
        let guests = blueprint.guests();
        let work = steps
            .iter()
            .filter(|(_, steps)| !steps.is_empty())
            .filter_map(|(name, steps)| {
                Some(
                    guests
                        .get(name)?
                        .apply(steps, hosts.get(name)?.as_ref(), events),
                )
            });
        Ok(!futures::future::try_join_all(work).await?.is_empty())
    }

    /// The token with which nodes join: the kept one while it is good for another hour, else a new one.
    fn token(&self) -> Result<ExpiringToken, UpError> {
        let enough = self.now + time::Duration::hours(1);
        match self.kept_token()?.filter(|token| token.expires > enough) {
            Some(token) => Ok(token),
            None => Ok(self.fresh_token()?),
        }
    }

    /// etcd and Kubernetes at the same time: an API server may start while etcd still elects a leader.
    async fn clusters(
        &self,
        wired: &Wired,
        token: &ExpiringToken,
        hosts: &Hosts,
        events: &dyn EventSink,
    ) -> Result<bool, UpError> {
        let etcd = async {
            let plan = plan_etcd(wired, hosts).await?;
            let members = etcd_hosts(&wired.etcd, hosts);
            etcd_bootstrap::apply(&wired.etcd, &plan, &members, &wired.etcd_tls, events).await?;
            Ok::<_, UpError>(!plan.is_empty())
        };
        let (etcd, kubernetes) =
            tokio::try_join!(etcd, self.kubernetes(wired, token, hosts, events))?;
        Ok(etcd || kubernetes)
    }

    /// Kubernetes calls its name server available before kube-proxy leads anybody to it.
    async fn await_dns(
        &self,
        blueprint: &Blueprint,
        events: &dyn EventSink,
    ) -> Result<(), UpError> {
        let step = "DNS from a node";
        events.started("", step);
        let wait = Wait::new(
            "answer of the name server",
            DNS_LIMIT.mul_f64(self.spec.patience),
        );
        let answered = poll::until(&wait, || async {
            let conditions = dns::conditions(blueprint, DNS_LOOK).await;
            let bad = conditions.into_iter().find(|condition| !condition.ok);
            Ok(bad.map_or(Attempt::Ready(()), |bad| {
                Attempt::NotYet(format!("{}: {}", bad.name, bad.evidence))
            }))
        });
        answered.await.map_err(UpError::Dns)?;
        events.done("", step, "answers");
        Ok(())
    }

    async fn kubernetes(
        &self,
        wired: &Wired,
        token: &ExpiringToken,
        hosts: &Hosts,
        events: &dyn EventSink,
    ) -> Result<bool, UpError> {
        let plan = plan_kubernetes(wired, hosts).await?;
        if plan.is_empty() {
            return Ok(false);
        }
        // Before it is handed out: a run that is killed after that must find the same one.
        self.state().remember_token(&token.token, token.expires)?;
        k8s_bootstrap::apply(&wired.kubernetes, &plan, hosts, events).await?;
        Ok(true)
    }
}

pub(crate) fn shared(observed: &nspawn_vm::Observed) -> Hosts {
    let share = |(name, host)| (name, Arc::new(host) as Arc<dyn Host>);
    observed.hosts().into_iter().map(share).collect()
}
