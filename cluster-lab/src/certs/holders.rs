//! Pods that may still hold what a rotation takes away: the authorities as they were when they started, or a token
//! that the old key has signed.

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

/// After which phase pods that started before it hold the old one, and have to start anew before it is dropped; none
/// where no pod holds anything.
pub(super) fn held_since(rotated: Rotated) -> Option<Phase> {
    match rotated {
        Rotated::Authority(CaRole::Kubernetes) => Some(Phase::Trust),
        Rotated::ServiceAccount => Some(Phase::Swap),
        Rotated::Authority(_) => None,
    }
}

/// What holders are looked for with.
pub(super) struct Search<'a> {
    pub(super) lab: &'a Lab,
    pub(super) wired: &'a Wired,
    pub(super) hosts: &'a Hosts,
    pub(super) rotated: Rotated,
    /// The moment when all had been told whom to trust.
    pub(super) told: Option<OffsetDateTime>,
}

impl Search<'_> {
    /// Who holds the old one.
    pub(super) async fn all(&self) -> Result<Vec<Holder>, RotateError> {
        let kubernetes = &self.wired.kubernetes;
        let found = match self.rotated {
            Rotated::Authority(CaRole::Kubernetes) => match self.told {
                Some(told) => trust::holders(kubernetes, self.hosts, told).await,
                None => Ok(Vec::new()),
            },
            Rotated::ServiceAccount => {
                let uids = self.uids_with_old_tokens().await?;
                match uids.is_empty() {
                    true => Ok(Vec::new()),
                    false => trust::pods_by_uid(kubernetes, self.hosts, &uids).await,
                }
            }
            Rotated::Authority(_) => Ok(Vec::new()),
        };
        Ok(found.map_err(ObserveError::from)?)
    }

    /// Has the lab's own pods among them made anew, and waits until none holds the old one.
    pub(super) async fn replace_own(&self, events: &dyn EventSink) -> Result<(), RotateError> {
        let is_own = |holder: &Holder| holder.own.is_some();
        let own: Vec<Holder> = self.all().await?.into_iter().filter(is_own).collect();
        if own.is_empty() {
            return Ok(());
        }
        let step = "pods that hold the old one";
        events.started("", step);
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

    /// The identifiers of pods whose token the old key has signed, from the files on the nodes.
    async fn uids_with_old_tokens(&self) -> Result<BTreeSet<String>, RotateError> {
        let store = self.lab.store();
        let pem = store.public_of(Rotated::ServiceAccount, Generation::Old);
        let pem = pem.map_err(rotation::RotationError::from)?;
        let old = rotation::token_key_id(&pem);
        let nodes = self.wired.kubernetes.spec().nodes();
        let hosts = nodes.filter_map(|(_, node)| self.hosts.get(&node.name));
        let looks = hosts.map(|host| tokens(host.as_ref()));
        let found = try_join_all(looks).await?.into_iter().flatten();
        Ok(found
            .filter(|(_, key)| *key == old)
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
