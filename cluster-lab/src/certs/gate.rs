//! Whether a phase of a rotation, or a renewal, has arrived everywhere: asked of the ports, the API and the nodes.

use super::ports::{self, Port, believes, shows};
use crate::{Hosts, Lab, Wired};
use futures::future::join_all;
use host_exec::{
    EventSink,
    poll::{self, Attempt, Wait, WaitError},
};
use k8s_bootstrap::trust;
use pki::{
    CaRole,
    rotation::{self, Generation, Phase, Rotated},
};
use std::{collections::BTreeSet, convert::Infallible, time::Duration};

/// From the last file written on: kube-apiserver and kubelet take in a changed file in a moment, and look once a
/// minute in any case; a controller manager that leads anew publishes after up to 15 s.
const LIMIT: Duration = Duration::from_secs(120);

/// Has not become so in time.
pub(crate) type Late = WaitError<Infallible>;

/// What a gate looks at.
pub(super) struct Gate<'a> {
    pub(super) lab: &'a Lab,
    pub(super) wired: &'a Wired,
    pub(super) hosts: &'a Hosts,
    pub(super) events: &'a dyn EventSink,
}

impl Gate<'_> {
    /// Waits until every port shows the certificate of the store.
    pub(super) async fn shown(&self) -> Result<(), Late> {
        self.until("certificates that are shown", || async {
            let mut open = Vec::new();
            for role in CaRole::ALL {
                open.extend(self.unshown(&ports::of(self.wired, self.hosts, role)).await);
            }
            open
        })
        .await
    }

    /// Waits until a phase has arrived.
    pub(super) async fn arrived(&self, rotated: Rotated, phase: Phase) -> Result<(), Late> {
        let what = format!("`{phase}` of {rotated} that has arrived");
        self.until(&what, || async {
            match rotated {
                Rotated::Authority(role) => self.open_of_authority(role, phase).await,
                Rotated::ServiceAccount => self.open_of_tokens(phase).await,
            }
        })
        .await
    }

    async fn until<F>(&self, what: &str, look: impl Fn() -> F) -> Result<(), Late>
    where
        F: Future<Output = Vec<String>>,
    {
        let limit = LIMIT.mul_f64(self.lab.spec.patience);
        let wait = Wait::new(what, limit).longest_pause(Duration::from_millis(500));
        self.events.started("", what);
        let looked = poll::until(&wait, || async {
            let open = look().await;
            Ok(match open.is_empty() {
                true => Attempt::Ready(()),
                false => Attempt::NotYet(open.join("; ")),
            })
        });
        let looked = looked.await;
        match &looked {
            Ok(()) => self.events.done("", what, "seen at every port"),
            Err(error) => self.events.failed("", what, &error.to_string()),
        }
        looked
    }

    /// What shows something else than the store has.
    async fn unshown(&self, ports: &[Port]) -> Vec<String> {
        let looks = ports.iter().map(|port| async {
            let said = shows(self.lab, port).await;
            let why = said.unwrap_or_else(Some);
            why.map(|why| format!("{}: {why}", port.name()))
        });
        join_all(looks).await.into_iter().flatten().collect()
    }

    async fn open_of_authority(&self, role: CaRole, phase: Phase) -> Vec<String> {
        let ports = ports::of(self.wired, self.hosts, role);
        let mut open = Vec::new();
        if phase == Phase::Add {
            return open;
        }
        for generation in [Generation::Old, Generation::New] {
            let wanted = phase.trusted().contains(&generation);
            open.extend(self.unbelieving(&ports, role, generation, wanted).await);
        }
        if phase >= Phase::Swap && role != CaRole::FrontProxy {
            open.extend(self.unshown(&ports).await);
        }
        if role == CaRole::Kubernetes {
            open.extend(self.untold().await);
        }
        open
    }

    /// Which ports do not hold of a generation what they have to.
    async fn unbelieving(
        &self,
        ports: &[Port],
        role: CaRole,
        generation: Generation,
        wanted: bool,
    ) -> Vec<String> {
        let store = self.lab.store();
        if generation == Generation::Old
            && store.authority_of(role, generation, self.lab.now).is_err()
        {
            // One that has expired nobody can try, and nobody believes.
            return Vec::new();
        }
        let word = match generation {
            Generation::Old => "old",
            Generation::New => "new",
        };
        let looks = ports.iter().map(|port| async {
            let why = match believes(self.lab, port, role, generation).await {
                Ok(found) if found == wanted => return None,
                Ok(true) => format!("it still believes the {word} authority"),
                Ok(false) => format!("it does not believe the {word} authority yet"),
                Err(why) => why,
            };
            Some(format!("{}: {why}", port.name()))
        });
        join_all(looks).await.into_iter().flatten().collect()
    }

    async fn untold(&self) -> Vec<String> {
        match trust::untold_namespaces(&self.wired.kubernetes, self.hosts).await {
            Ok(names) if names.is_empty() => Vec::new(),
            Ok(names) => vec![format!(
                "kube-root-ca.crt is still another one in {}",
                names.join(" ")
            )],
            Err(error) => vec![error.to_string()],
        }
    }

    async fn open_of_tokens(&self, phase: Phase) -> Vec<String> {
        let store = self.lab.store();
        let id = |generation| {
            let pem = store.public_of(Rotated::ServiceAccount, generation).ok();
            pem.and_then(|pem| rotation::token_key_id(&pem))
                .unwrap_or_default()
        };
        let kubernetes = &self.wired.kubernetes;
        let (keys, signers) = tokio::join!(
            trust::token_keys(kubernetes, self.hosts),
            trust::token_signers(kubernetes, self.hosts)
        );
        let (keys, signers) = match (keys, signers) {
            (Ok(keys), Ok(signers)) => (keys, signers),
            (Err(error), _) | (_, Err(error)) => return vec![error.to_string()],
        };
        let wanted: BTreeSet<String> = phase.trusted().iter().map(|one| id(*one)).collect();
        let mut open = Vec::new();
        for (name, found) in keys {
            if found != wanted {
                open.push(format!(
                    "the API server of {name} believes the tokens of other keys"
                ));
            }
        }
        for (name, found) in signers {
            if found != id(phase.signer()) {
                open.push(format!(
                    "the API server of {name} signs tokens with another key"
                ));
            }
        }
        open
    }
}
