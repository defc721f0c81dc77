//! Pods that may still hold what a rotation takes away: the authorities as they were when they started, or a token of
//! the key that goes.

use super::rotate::RotateError;
use crate::{Hosts, Lab, ObserveError, Wired};
use futures::future::try_join_all;
use host_exec::{
    Command, EventSink, Host,
    poll::{self, Attempt, Wait, WaitError},
};
use k8s_bootstrap::trust::{self, Holder};
use pki::{
    CaRole,
    rotation::{self, Generation, Phase, Rotated},
};
use std::{collections::BTreeSet, path::Path, time::Duration};
use time::OffsetDateTime;
use zeroize::Zeroizing;

/// For pods of this lab's own to be replaced: the name server's end takes some seconds each.
const OWN_LIMIT: Duration = Duration::from_secs(120);
/// Where kubelets keep the tokens of pods.
const PODS: &str = "/var/lib/kubelet/pods";

/// Whether pods may hold what is dropped after a phase: authorities as they were before it, or tokens of the key that
/// does not sign in it. That is the old key in the forward direction, the new one on the way back.
pub(super) fn is_held(rotated: Rotated, phase: Phase) -> bool {
    let is_between = matches!(phase, Phase::Trust | Phase::Swap);
    match rotated {
        Rotated::Authority(CaRole::Kubernetes) | Rotated::ServiceAccount => is_between,
        Rotated::Authority(_) => false,
    }
}

/// What holders are looked for with.
pub(super) struct Search<'a> {
    pub(super) lab: &'a Lab,
    pub(super) wired: &'a Wired,
    pub(super) hosts: &'a Hosts,
    pub(super) rotated: Rotated,
    /// The phase that the lab is in.
    pub(super) phase: Phase,
    /// The moment when all had been told whom to trust.
    pub(super) told: Option<OffsetDateTime>,
}

impl Search<'_> {
    /// Who holds what goes next.
    pub(super) async fn all(&self) -> Result<Vec<Holder>, RotateError> {
        let kubernetes = &self.wired.kubernetes;
        let found = match self.rotated {
            Rotated::Authority(CaRole::Kubernetes) => match self.told {
                Some(told) => trust::holders(kubernetes, self.hosts, told).await,
                None => Ok(Vec::new()),
            },
            Rotated::ServiceAccount => {
                let uids = self.uids_with_such_tokens().await?;
                match uids.is_empty() {
                    true => Ok(Vec::new()),
                    false => trust::pods_by_uid(kubernetes, self.hosts, &uids).await,
                }
            }
            Rotated::Authority(_) => Ok(Vec::new()),
        };
        Ok(found.map_err(ObserveError::from)?)
    }

    /// Has the lab's own pods among them made anew, and waits until none holds it.
    pub(super) async fn replace_own(&self, events: &dyn EventSink) -> Result<(), RotateError> {
        let is_own = |holder: &Holder| holder.own.is_some();
        let own: Vec<Holder> = self.all().await?.into_iter().filter(is_own).collect();
        if own.is_empty() {
            return Ok(());
        }
        let step = "pods that hold what goes";
        events.started("", step);
        self.second_is_over().await?;
        let kubernetes = &self.wired.kubernetes;
        let restarted = trust::restart_own(kubernetes, self.hosts, &own, self.lab.now);
        restarted.await.map_err(ObserveError::from)?;
        let limit = OWN_LIMIT.mul_f64(self.lab.spec.patience);
        let wait = Wait::new("pods of the lab that are new", limit);
        let looked = poll::until(&wait, || async {
            let found = self.all().await?;
            let own: Vec<String> = found
                .iter()
                .filter(|one| is_own(one))
                .map(ToString::to_string)
                .collect();
            Ok::<_, RotateError>(match own.is_empty() {
                true => Attempt::Ready(()),
                false => Attempt::NotYet(own.join(", ")),
            })
        });
        match looked.await {
            Ok(()) => events.done("", step, &format!("{} of the lab's own are new", own.len())),
            Err(WaitError::Failed(error)) => return Err(error),
            Err(late @ WaitError::TimedOut { .. }) => {
                return Err(RotateError::Own(late.to_string()));
            }
        }
        Ok(())
    }

    /// Waits until the second in which all were told is over on every node. The API has whole seconds, so a pod that
    /// starts in that one would pass for a holder for ever.
    async fn second_is_over(&self) -> Result<(), RotateError> {
        let Some(told) = self.told else {
            return Ok(());
        };
        let wait = Wait::new("second after all were told", OWN_LIMIT);
        let looked = poll::until(&wait, || async {
            let nodes = self.wired.kubernetes.spec().nodes();
            let hosts = nodes.filter_map(|(_, node)| self.hosts.get(&node.name));
            let clocks = try_join_all(hosts.map(|host| host_exec::clock(host.as_ref())));
            let clocks = clocks.await.map_err(ObserveError::from)?;
            Ok::<_, RotateError>(match clocks.iter().min() {
                Some(at) if at.unix_timestamp() <= told.unix_timestamp() => {
                    Attempt::NotYet(format!("the clock of a node says {at}"))
                }
                _ => Attempt::Ready(()),
            })
        });
        match looked.await {
            Ok(()) => Ok(()),
            Err(WaitError::Failed(error)) => Err(error),
            Err(late @ WaitError::TimedOut { .. }) => Err(RotateError::Own(late.to_string())),
        }
    }

    /// The Secrets whose token the key has signed that goes. Such a token has no end, and nobody makes it anew by himself.
    pub(super) async fn secrets(&self) -> Result<Vec<String>, RotateError> {
        if self.rotated != Rotated::ServiceAccount {
            return Ok(Vec::new());
        }
        let going = self.going_key()?;
        let secrets = trust::token_secrets(&self.wired.kubernetes, self.hosts).await;
        let secrets = secrets.map_err(ObserveError::from)?.into_iter();
        let held = secrets.filter(|(_, key)| *key == going);
        Ok(held.map(|(name, _)| format!("Secret {name}")).collect())
    }

    /// The identifier of the key that does not sign, and is to go.
    fn going_key(&self) -> Result<Option<String>, RotateError> {
        let going = match self.phase.signer() {
            Generation::Old => Generation::New,
            Generation::New => Generation::Old,
        };
        let pem = self.lab.store().public_of(Rotated::ServiceAccount, going);
        let pem = pem.map_err(rotation::RotationError::from)?;
        Ok(rotation::token_key_id(&pem))
    }

    /// The identifiers of pods whose token the key has signed that goes, from the files on the nodes.
    async fn uids_with_such_tokens(&self) -> Result<BTreeSet<String>, RotateError> {
        let going = self.going_key()?;
        let nodes = self.wired.kubernetes.spec().nodes();
        let hosts = nodes.filter_map(|(_, node)| self.hosts.get(&node.name));
        let looks = hosts.map(|host| tokens(host.as_ref()));
        let found = try_join_all(looks).await?.into_iter().flatten();
        Ok(found
            .filter(|(_, key)| *key == going)
            .map(|(uid, _)| uid)
            .collect())
    }
}

/// The pods of a node with the identifiers of the keys that signed their tokens.
async fn tokens(host: &dyn Host) -> Result<Vec<(String, Option<String>)>, RotateError> {
    // /var/lib/kubelet/pods/UID/volumes/kubernetes.io~projected/VOLUME/token
    let find = Command::new("find")
        .args([PODS, "-mindepth", "5", "-maxdepth", "5", "-name", "token"])
        .args(["-path", "*/volumes/kubernetes.io~projected/*"]);
    // A directory of a pod that goes meanwhile is no failure.
    let listed = host.output(&find).await.map_err(ObserveError::Services)?;
    let listed = listed.stdout_text().into_owned();
    let mut found = Vec::new();
    for path in listed.lines() {
        let uid = path
            .strip_prefix(PODS)
            .and_then(|rest| rest.split('/').nth(1));
        let bytes = host
            .read_file(Path::new(path))
            .await
            .map_err(ObserveError::Look)?;
        let bytes = Zeroizing::new(bytes.unwrap_or_default());
        let key = std::str::from_utf8(&bytes).ok().and_then(trust::token_key);
        found.extend(uid.map(|uid| (uid.to_owned(), key)));
    }
    Ok(found)
}
