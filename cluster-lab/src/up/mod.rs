//! Bringing a lab up: each layer is observed, planned and applied; what can run side by side does.

mod error;

pub use error::UpError;

use crate::{
    Blueprint, DraftError, Hosts, Lab, Machines, MetricsServer, ObserveError, Profile, Record,
    StateError, Wired,
    blueprint::programs_wanted,
    check::dns,
    etcd::settle_schedule,
    lab::{etcd_hosts, guest_steps},
    plan::{look_at_etcd, observe_kubernetes, plan_machines},
    preflight as here,
    shrink::Shrinking,
    supplies::Supplies,
};
use artifacts::{ProgramName, Version};
use etcd_bootstrap::certificates;
use host_exec::{
    EventSink,
    poll::{self, Attempt, Wait},
};
use k8s_bootstrap::{
    Desired, ExpiringToken,
    hardened::EncryptionKey,
    preflight::{self, Severity},
};
use std::{collections::BTreeSet, path::PathBuf, time::Duration};

/// How long kube-proxy may take to lead a node to a name server that is available. It took up to 5 s beside builds.
const DNS_LIMIT: Duration = Duration::from_secs(60);

/// How long one look at the name server may take: shorter than the second after which TCP would send a first packet
/// again that came before kube-proxy's rules.
const DNS_LOOK: Duration = Duration::from_millis(200);
/// The same over SSH.
const DNS_LOOK_FAR: Duration = Duration::from_millis(900);

/// What `up` made, or found made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Up {
    /// Whether anything was changed.
    pub changed: bool,
    /// Whether nothing was changed, and something waited for that comes by itself, as a node that was not Ready for a moment.
    pub waited: bool,
    /// The kubeconfig that reaches the lab from this machine.
    pub kubeconfig: PathBuf,
}

/// What a run had to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Effort {
    Nothing,
    Waiting,
    Changing,
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
        here::check(self).await?;
        let blueprint = self.draft().await?;
        self.only_starts_machines(&blueprint).await?;
        let state = self.state();
        let is_new = |record: &Record| record.spec != self.spec;
        let is_wish = state.record()?.as_ref().is_none_or(is_new);
        if is_wish {
            // A wish that cannot be is not remembered: it would stand in the way of the next.
            self.judge(&blueprint).await?;
        }
        let _lock = state.lock()?;
        state.claim(&self.places.run_dir(&self.spec.name))?;
        let shrinking = self.shrinking(&blueprint).await?;
        self.remember_leaving(shrinking.as_ref())?;
        if is_wish {
            state.remember(&self.spec)?;
        }
        if let Some(shrinking) = &shrinking {
            shrinking.drain(events).await?;
        }
        let (blueprint, hosts, effort) = self.raise(blueprint, shrinking.as_ref(), events).await?;
        state.remember_kubeconfig(&blueprint.kubeconfig(&self.store())?)?;
        if self.spec.bhyve.is_some() {
            self.open_tunnel(&blueprint)
                .await
                .map_err(ObserveError::from)?;
        }
        if effort != Effort::Nothing {
            self.await_dns(&blueprint, &hosts, events).await?;
        }
        Ok(Up {
            changed: effort == Effort::Changing,
            waited: effort == Effort::Waiting,
            kubeconfig: state.kubeconfig(),
        })
    }

    /// Machines with all that they are to have and run; those that leave are taken out of the cluster in the end.
    async fn raise(
        &self,
        blueprint: Blueprint,
        shrinking: Option<&Shrinking>,
        events: &dyn EventSink,
    ) -> Result<(Blueprint, Hosts, Effort), UpError> {
        let mut blueprint = self.hold_networks(blueprint).await?;
        let supplies = self.supplies(&blueprint, events).await?;
        for version in blueprint.later_versions() {
            // It was upgraded since, and has the programs of both.
            self.at_version(version).programs(None, events).await?;
        }
        self.etcd_programs(&blueprint, events).await?;
        self.make_key()?;
        let mut changed = self.certify(&blueprint, events)?;
        let token = self.token::<UpError>()?;
        let (hosts, wired, made) = self
            .machines(&mut blueprint, &supplies, &token, events)
            .await?;
        blueprint.refuse_restoring()?;
        changed |= made;
        changed |= self.import_added_images(&blueprint, &hosts, events).await?;
        let effort = self.clusters(&wired, &token, &hosts, events).await?;
        if let Some(shrinking) = shrinking {
            shrinking.remove(&wired.kubernetes, events).await?;
            changed = true;
        }
        let effort = if changed { Effort::Changing } else { effort };
        Ok((blueprint, hosts, effort))
    }

    /// In the middle of a restore of etcd, which needs its machines, `up` starts those that are down and does nothing else.
    /// A member's machine that would be made anew could found a cluster of its own, and nodes do not come or go.
    async fn only_starts_machines(&self, blueprint: &Blueprint) -> Result<(), UpError> {
        let Err(restoring) = blueprint.refuse_restoring() else {
            return Ok(());
        };
        let state = self.state();
        let is_as_it_was = state
            .record()?
            .is_some_and(|record| record.spec == self.spec);
        let seen = self.see(blueprint).await?;
        let all_made = seen.states.keys().all(|name| !seen.is_new(name));
        match is_as_it_was && state.leaving()?.is_none() && all_made {
            true => Ok(()),
            false => Err(restoring.into()),
        }
    }

    /// Whether the host of VMs can have them at all.
    async fn judge(&self, blueprint: &Blueprint) -> Result<(), UpError> {
        if let Machines::Vms(_) = blueprint.machines {
            let seen = self.see(blueprint).await?;
            plan_machines(&blueprint.machines, &seen)?;
        }
        Ok(())
    }

    /// Writes down who has which network and address. A new lab looks at the networks again, now that no other new lab
    /// chooses at the same time.
    async fn hold_networks(&self, blueprint: Blueprint) -> Result<Blueprint, UpError> {
        let state = self.state();
        if state.network()?.is_some() {
            state.remember_network(&blueprint.network.lock())?;
            return Ok(blueprint);
        }
        let held = self.places.hold_networks().await?;
        let blueprint = self.draft().await?;
        state.remember_network(&blueprint.network.lock())?;
        drop(held);
        Ok(blueprint)
    }

    /// Gets the programs of the lab into the cache, as `up` does first, and makes the image of metrics-server if it is to
    /// have one; or gets another program of the same versions alone. Returns their directory. Needs no root.
    ///
    /// # Errors
    ///
    /// The version is not in the catalogue, or a program can be had nowhere, or the image cannot be made.
    pub async fn programs(
        &self,
        only: Option<ProgramName>,
        events: &dyn EventSink,
    ) -> Result<PathBuf, UpError> {
        self.spec.check().map_err(DraftError::from)?;
        let mut wanted = programs_wanted(&self.spec).map_err(DraftError::from)?;
        if let Some(only) = only {
            wanted.programs = vec![only];
        }
        let set = self.get_programs(&wanted, events).await?;
        if self.spec.addons.metrics_server == MetricsServer::Built && only.is_none() {
            let wanted = wanted.with_metrics_server();
            self.get_images(&wanted, &set, events).await?;
        }
        Ok(set.dir)
    }

    /// The same lab, asked for in another version.
    pub(crate) fn at_version(&self, version: Version) -> Self {
        Self {
            spec: self.spec.at_version(version),
            ..self.clone()
        }
    }

    /// Draws the key of a hardened lab, once and before its certificates: where those are there and the key is not, it
    /// has been lost, and another one would leave every Secret unreadable.
    fn make_key(&self) -> Result<(), UpError> {
        let state = self.state();
        if self.spec.profile == Profile::Standard || state.encryption_key()?.is_some() {
            return Ok(());
        }
        if state.pki().exists() {
            return Err(state.lost_encryption_key().into());
        }
        let key = EncryptionKey::draw(&pki::OsRandom)?;
        Ok(state.remember_encryption_key(&key)?)
    }

    fn certify(&self, blueprint: &Blueprint, events: &dyn EventSink) -> Result<bool, UpError> {
        let store = self.store();
        let plan = self.plan_certificates(blueprint)?;
        if plan.is_done() {
            return Ok(false);
        }
        let step = "certificates";
        events.started("", step);
        pki::apply(&store, &plan, self.now, &pki::OsRandom)?;
        events.done("", step, &format!("{} items", plan.items().len()));
        Ok(true)
    }

    /// Machines that run, with names and firewall, and what etcd and Kubernetes are to be on them.
    async fn machines(
        &self,
        blueprint: &mut Blueprint,
        supplies: &Supplies,
        token: &ExpiringToken,
        events: &dyn EventSink,
    ) -> Result<(Hosts, Wired, bool), UpError> {
        match (&blueprint.machines, supplies) {
            (Machines::Namespaces(group), Supplies::Here(images)) => {
                // Before they boot: a machine finds its first files there.
                let wired = self.wire(blueprint, token)?;
                let raised = self.raise_namespaces(blueprint, group, &wired, images, events);
                let (hosts, booted) = raised.await?;
                let made = self.guests(blueprint, &hosts, events).await?;
                Ok((hosts, wired, booted || made))
            }
            (Machines::Vms(bhyve), Supplies::Elsewhere(supplied)) => {
                let disk = supplied.stock.programs.sha256.to_string();
                let raised = self.raise_vms(blueprint, bhyve, supplied, events);
                let (hosts, booted) = raised.await?;
                *blueprint = blueprint.clone().with_disk(&disk);
                let made = self.guests(blueprint, &hosts, events).await?;
                *blueprint = self.with_guests_asked(blueprint.clone(), &hosts).await;
                let wired = self.wire(blueprint, token)?;
                Ok((hosts, wired, booted || made))
            }
            _ => unreachable!("supplies are got for the machines of the same blueprint"),
        }
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
    pub(crate) fn token<E>(&self) -> Result<ExpiringToken, E>
    where
        E: From<StateError> + From<pki::RandomError>,
    {
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
    ) -> Result<Effort, UpError> {
        let etcd = async {
            self.remember_founders(&wired.etcd)?;
            let members = etcd_hosts(&wired.etcd, hosts);
            // What etcd would only time out on is named before it is started.
            let checked =
                async { Ok(certificates::check_on(&wired.etcd, &members, self.now).await?) };
            let planned = async { Ok::<_, UpError>(look_at_etcd(wired, hosts, self.now).await?) };
            let ((), (plan, pending)) = tokio::try_join!(checked, planned)?;
            etcd_bootstrap::apply(&wired.etcd, &plan, &members, &wired.etcd_tls, events).await?;
            let settled = pending && self.settle_members(wired, hosts, events).await?;
            let scheduled = settle_schedule(&wired.etcd, &members, events).await?;
            Ok::<_, UpError>(if settled || scheduled || !plan.only_waits() {
                Effort::Changing
            } else if plan.is_empty() {
                Effort::Nothing
            } else {
                Effort::Waiting
            })
        };
        let (etcd, kubernetes) =
            tokio::try_join!(etcd, self.kubernetes(wired, token, hosts, events))?;
        Ok(etcd.max(kubernetes))
    }

    /// Kubernetes calls its name server available before kube-proxy leads anybody to it.
    pub(crate) async fn await_dns(
        &self,
        blueprint: &Blueprint,
        hosts: &Hosts,
        events: &dyn EventSink,
    ) -> Result<(), UpError> {
        let step = "DNS from a node";
        events.started("", step);
        let wait = Wait::new(
            "answer of the name server",
            DNS_LIMIT.mul_f64(self.spec.patience),
        );
        let look = match self.spec.bhyve {
            None => DNS_LOOK,
            Some(_) => DNS_LOOK_FAR,
        };
        let answered = poll::until(&wait, || async {
            let conditions = dns::conditions(blueprint, hosts, look).await;
            let bad = conditions.into_iter().find(|condition| !condition.ok);
            Ok(bad.map_or(Attempt::Ready(()), |bad| Attempt::NotYet(bad.to_string())))
        });
        answered.await.map_err(UpError::Dns)?;
        events.done("", step, "answers");
        Ok(())
    }

    pub(crate) async fn kubernetes(
        &self,
        wired: &Wired,
        token: &ExpiringToken,
        hosts: &Hosts,
        events: &dyn EventSink,
    ) -> Result<Effort, UpError> {
        let desired = &wired.kubernetes;
        let seen = observe_kubernetes(wired, hosts).await?;
        let plan = k8s_bootstrap::plan(desired, &seen);
        if plan.is_empty() {
            return Ok(Effort::Nothing);
        }
        self.judge_nodes(desired, &seen, hosts, events).await?;
        // Before it is handed out: a run that is killed after that must find the same one.
        self.state().remember_token(&token.token, token.expires)?;
        let changed = k8s_bootstrap::apply(desired, &plan, hosts, events).await?;
        Ok(match changed {
            true => Effort::Changing,
            false => Effort::Waiting,
        })
    }

    /// Machines that come from an image, on which nothing of ours has run yet, are looked at as `kubeadm init` does.
    /// Those made of namespaces are this machine, and boot with their files.
    async fn judge_nodes(
        &self,
        desired: &Desired,
        seen: &k8s_bootstrap::Observed,
        hosts: &Hosts,
        events: &dyn EventSink,
    ) -> Result<(), UpError> {
        let new = seen.nodes.iter().filter(|(_, node)| node.is_untouched());
        let new: BTreeSet<_> = new.map(|(name, _)| name.clone()).collect();
        if new.is_empty() {
            return Ok(());
        }
        let step = "fit for Kubernetes";
        events.started("", step);
        let (errors, warnings): (Vec<_>, Vec<_>) = preflight::look(desired.spec(), hosts, &new)
            .await?
            .into_iter()
            .partition(|found| found.severity == Severity::Error);
        for warning in &warnings {
            events.running(&warning.place, step, &warning.to_string());
        }
        if !errors.is_empty() {
            return Err(UpError::Unfit(errors));
        }
        events.done("", step, &format!("{} machines", new.len()));
        Ok(())
    }
}
