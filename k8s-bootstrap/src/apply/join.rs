//! A node's way to its client certificate.

use super::{ApplyError, Run, forget_kubelet_start, told};
use crate::{
    Api, ApiError, ClientIdentity, NodeSetup, Object,
    component::{Gate, kubelet},
    join::{self, Answer},
    observe,
};
use host_exec::{
    Command, Contents, File, Host, HostName, Mode,
    poll::{self, Attempt, WaitError},
};
use pki::{Certificate, CertificateRequest};
use std::{net::SocketAddr, sync::Arc, time::Duration};
use time::OffsetDateTime;
use zeroize::Zeroizing;

/// From the API's first answer on: it has to become ready (3 s), its controllers have to start (1 s).
const JOIN_LIMIT: Duration = Duration::from_secs(120);
/// Between two looks for the signature, which takes some 50 ms once the controllers run.
const LOOK_PAUSE: Duration = Duration::from_millis(25);

impl Run<'_> {
    /// Waits until a node has its certificate, and says since when by the node's clock; `None` where the plan
    /// does not have it join.
    pub(super) async fn joined(&self, name: &HostName) -> Option<OffsetDateTime> {
        told(self.joined.get(name)?, Option::is_some).await
    }

    /// Gets the node a client certificate of its own. Killed between two steps, the next run asks anew.
    pub(super) async fn join(&self, name: &HostName, setup: &NodeSetup) -> Result<(), ApplyError> {
        if let Some(identity) = self.desired.kubelets.get(name) {
            let work = self.install_given(name, setup, identity);
            self.has_joined(name, self.timed(name.as_str(), "join", work).await?);
            return Ok(());
        }
        self.open(name, Gate::ApiAnswers).await;
        self.prepared().await;
        let moment = self
            .timed(name.as_str(), "join", self.get_certificate(name, setup))
            .await?;
        self.has_joined(name, moment);
        Ok(())
    }

    fn has_joined(&self, name: &HostName, moment: OffsetDateTime) {
        if let Some(joined) = self.joined.get(name) {
            joined.send_replace(Some(moment));
        }
    }

    /// For a kubelet whose certificate the material has: one that starts the API could not ask it first.
    async fn install_given(
        &self,
        name: &HostName,
        setup: &NodeSetup,
        identity: &ClientIdentity,
    ) -> Result<OffsetDateTime, ApplyError> {
        let host = observe::host(self.hosts, name)?;
        install(&**host, setup, &identity.certificate_pem, &identity.key_pem).await?;
        Ok(host_exec::clock(&**host).await?)
    }

    /// Returns the moment, by the node's clock, at which the certificate was found good.
    async fn get_certificate(
        &self,
        name: &HostName,
        setup: &NodeSetup,
    ) -> Result<OffsetDateTime, ApplyError> {
        let host = observe::host(self.hosts, name)?;
        let failed = |reason| ApplyError::Join {
            node: name.clone(),
            reason,
        };
        let subject = join::subject(name).map_err(|e| failed(JoinReason::Subject(e)))?;
        let request =
            CertificateRequest::create(subject).map_err(|e| failed(JoinReason::Request(e)))?;
        let pem = self.signed(name, host, &request).await?;
        let now = host_exec::clock(&**host).await?;
        let ca = Certificate::from_pem(&self.desired.ca_pem)
            .map_err(|e| failed(JoinReason::Authority(e)))?;
        let issued = request
            .accept(&pem, &ca, now)
            .map_err(|e| failed(JoinReason::Answer(e)))?;
        install(&**host, setup, &issued.certificate_pem, &issued.key_pem).await?;
        Ok(now)
    }

    /// Asks the cluster's own signer, from the node itself: this also proves that the node reaches the API.
    async fn signed(
        &self,
        name: &HostName,
        host: &Arc<dyn Host>,
        request: &CertificateRequest,
    ) -> Result<String, ApplyError> {
        let spec = &self.desired.spec;
        let first = &spec.control_planes[0];
        let own = SocketAddr::new(first.address.v4.into(), spec.api_port);
        let address = spec.node_endpoint().address().unwrap_or(own);
        let (ca, token) = (&self.desired.ca_pem, &self.desired.token);
        let timeout = spec.patient(Duration::from_secs(10));
        let api = Api::with_token(Arc::clone(host), address, ca, token, timeout)?;
        let object = join::signing_request(request);
        let what = format!(
            "client certificate for {name} ({})",
            join::describe(object.key())
        );
        let wait = self.wait(what, JOIN_LIMIT).longest_pause(LOOK_PAUSE);
        let looked = poll::until(&wait, || look(&api, &object)).await;
        match looked {
            Ok(pem) => Ok(pem),
            Err(WaitError::Failed(LookError::Api(error))) => Err(error.into()),
            Err(WaitError::Failed(LookError::Refused(why))) => Err(ApplyError::Join {
                node: name.clone(),
                reason: JoinReason::Refused(why),
            }),
            Err(WaitError::TimedOut { what, after, last }) => {
                let unit = "kube-controller-manager";
                Err(self.timed_out(what, after, last, &first.name, unit).await)
            }
        }
    }
}

/// Why a node gets no certificate.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum JoinReason {
    /// Its name makes no subject of a certificate.
    #[error(transparent)]
    Subject(pki::RequestError),
    /// No request could be made.
    #[error(transparent)]
    Request(pki::RequestCreateError),
    /// The material's authority is none.
    #[error("the certificate of the cluster's authority cannot be read; mend the material")]
    Authority(#[source] pki::CertificateError),
    /// Somebody denied the request, or the signer cannot sign it.
    #[error("the cluster refuses it a certificate: {0}")]
    Refused(String),
    /// The certificate that came is of no use.
    #[error(
        "the signed certificate is of no use; compare the clocks and --cluster-signing-cert-file"
    )]
    Answer(#[source] pki::AnswerError),
}

enum LookError {
    Api(ApiError),
    Refused(String),
}

impl std::fmt::Debug for LookError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Api(error) => error.fmt(f),
            Self::Refused(why) => f.write_str(why),
        }
    }
}

/// Looks what has become of the request; sends it where it is not there.
async fn look(api: &Api, object: &Object) -> Result<Attempt<String>, LookError> {
    let live = match api.get(object.key()).await {
        Ok(Some(live)) => live,
        Ok(None) => {
            return match api.create(object).await {
                Ok(()) => Ok(Attempt::NotYet("the request has just been sent".into())),
                Err(error) => not_yet(error),
            };
        }
        Err(error) => return not_yet(error),
    };
    match join::answer(&live) {
        Answer::Certificate(pem) => Ok(Attempt::Ready(pem)),
        Answer::Pending(why) => Ok(Attempt::NotYet(why)),
        Answer::Refused(why) => Err(LookError::Refused(why)),
    }
}

/// A server that has not yet seen the Secret does not know the token, and forbids it everything while its own
/// roles are not there.
fn not_yet(error: ApiError) -> Result<Attempt<String>, LookError> {
    if error.is_transient() || error.is_unauthorized() {
        return Ok(Attempt::NotYet(error.source.to_string()));
    }
    Err(LookError::Api(error))
}

/// Puts the pair where the kubelet looks for it. The record of its last start goes first: a kubelet that runs
/// with an older pair is then started anew, also by the run after one that was killed in between.
async fn install(
    host: &dyn Host,
    setup: &NodeSetup,
    certificate: &str,
    key: &str,
) -> Result<(), ApplyError> {
    forget_kubelet_start(host, setup).await?;
    let (certificate, key) = (certificate.as_bytes(), key.as_bytes());
    let mut pair = Zeroizing::new(Vec::with_capacity(certificate.len() + key.len()));
    pair.extend_from_slice(certificate);
    pair.extend_from_slice(key);
    let file = File {
        path: kubelet::FIRST_PAIR.into(),
        mode: Mode::SECRET,
        contents: Contents::Secret(pair),
    };
    host.write_file(&file).await?;
    // client-go's store renews by moving this link, and takes nothing but a link
    // (k8s.io/client-go/util/certificate, `updateSymlink`).
    let link = ["-sfn", kubelet::FIRST_PAIR, kubelet::CURRENT_PAIR];
    host.run(&Command::new("ln").args(link)).await?;
    Ok(())
}
