//! The TLS ports of a lab, asked what they show and whom they believe: the only proof that a change has arrived.

use crate::{Hosts, Lab, Wired};
use etcd_bootstrap::{CLIENT_PORT, PEER_PORT};
use host_exec::{
    Host, HostName,
    https::{self, Connector, HttpsClient, served_certificate},
};
use pki::{
    AltNames, CaRole, Certificate, ItemId, LeafRequest, LeafRole, Life, OsRandom, Purpose, Subject,
    rotation::{Generation, Rotated},
};
use std::{
    error::Error as StdError,
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};

/// How long a port may take to answer.
const ANSWER: Duration = Duration::from_secs(5);
/// Where kubelets serve (`--port`).
const KUBELET_PORT: u16 = 10250;
/// Who tries the ports. Nobody gives it a right.
const PROBE: &str = "rotation-probe";
/// The only client that API servers believe as a proxy (`--requestheader-allowed-names`).
const PROXY: &str = "front-proxy-client";

/// What listens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Listener {
    EtcdClient,
    EtcdPeer,
    Api,
    Kubelet,
}

impl Listener {
    /// Who signs what it shows, and whom it believes.
    fn authority(self) -> CaRole {
        match self {
            Self::EtcdClient => CaRole::Etcd,
            Self::EtcdPeer => CaRole::EtcdPeer,
            Self::Api | Self::Kubelet => CaRole::Kubernetes,
        }
    }

    /// The leaf of the store that it shows; a kubelet has one from the cluster.
    fn leaf(self) -> Option<LeafRole> {
        match self {
            Self::EtcdClient => Some(LeafRole::EtcdServer),
            Self::EtcdPeer => Some(LeafRole::EtcdPeer),
            Self::Api => Some(LeafRole::ApiServer),
            Self::Kubelet => None,
        }
    }

    fn word(self) -> &'static str {
        match self {
            Self::EtcdClient => "etcd",
            Self::EtcdPeer => "etcd's peer port",
            Self::Api => "the API server",
            Self::Kubelet => "the kubelet",
        }
    }
}

/// A port, and the machine from which it is asked: its own, which every firewall lets through, and whose address a
/// member of etcd wants to find in the certificate of a peer.
pub(super) struct Port {
    machine: HostName,
    host: Arc<dyn Host>,
    ip: IpAddr,
    port: u16,
    pub(super) listener: Listener,
}

impl Port {
    fn address(&self) -> SocketAddr {
        SocketAddr::new(self.ip, self.port)
    }

    /// The port in words.
    pub(super) fn name(&self) -> String {
        format!("{} of {}", self.listener.word(), self.machine)
    }
}

/// The ports whose certificate an authority signs, or who believe it: for the front proxy those of the API servers.
pub(super) fn of(wired: &Wired, hosts: &Hosts, role: CaRole) -> Vec<Port> {
    let mut all = Vec::new();
    let mut add = |machine: &str, ip: IpAddr, port: u16, listener: Listener| {
        let found = hosts.iter().find(|(name, _)| name.as_str() == machine);
        all.extend(found.map(|(name, host)| Port {
            machine: name.clone(),
            host: Arc::clone(host),
            ip,
            port,
            listener,
        }));
    };
    for member in wired.etcd.members() {
        let name = member.name.as_str();
        if let Some(ip) = member.client_ips.first() {
            add(name, *ip, CLIENT_PORT, Listener::EtcdClient);
        }
        add(name, member.peer_ip, PEER_PORT, Listener::EtcdPeer);
    }
    let spec = wired.kubernetes.spec();
    for (part, node) in spec.nodes() {
        let (name, ip) = (node.name.as_str(), node.address.v4.into());
        if part == k8s_bootstrap::Role::ControlPlane {
            add(name, ip, spec.api_port, Listener::Api);
        }
        add(name, ip, KUBELET_PORT, Listener::Kubelet);
    }
    all.retain(|port| match role {
        CaRole::FrontProxy => port.listener == Listener::Api,
        role => port.listener.authority() == role,
    });
    all
}

/// A question that could not be put, in one line. Whoever asks waits and asks again.
pub(super) type Unasked = String;

/// The innermost cause of an error: what hyper says around it tells nothing.
fn words(error: impl StdError + 'static) -> Unasked {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = cause.to_string();
        source = cause.source();
    }
    text
}

/// What is wrong with the certificate that a port shows, compared with the store; `None` if nothing.
pub(super) async fn shows(lab: &Lab, port: &Port) -> Result<Option<String>, Unasked> {
    let store = lab.store();
    let role = port.listener.authority();
    let trusted = store.trusted(Rotated::Authority(role));
    let trusted = trusted.map_err(words)?;
    let tls = https::client_config(&trusted, None).map_err(words)?;
    let connector = Connector::new(Arc::clone(&port.host), tls, ANSWER);
    let shown = served_certificate(&connector, port.address()).await;
    let shown = shown.map_err(words)?.unwrap_or_default();
    let Some(leaf) = port.listener.leaf() else {
        return Ok(of_the_signer(lab, port, &shown).err());
    };
    let name = pki::HostName::new(port.machine.as_str()).map_err(words)?;
    let own = store.certificate(&ItemId::node(leaf, &name));
    let own = own.map_err(words)?;
    Ok((own.der() != shown)
        .then(|| "it shows another certificate than that of the store".to_owned()))
}

/// Whether the authority that signs now has signed what a kubelet shows.
fn of_the_signer(lab: &Lab, port: &Port, shown: &[u8]) -> Result<(), String> {
    let shown = Certificate::from_der_bytes(shown).map_err(words)?;
    let ca = lab
        .store()
        .certificate(&ItemId::Authority(CaRole::Kubernetes));
    let ca = ca.map_err(words)?;
    let user = format!("system:node:{}", port.machine);
    let subject = Subject::new(&user, &["system:nodes"]).map_err(words)?;
    let names = AltNames::new(Vec::new(), vec![port.ip]).map_err(words)?;
    let judged = shown.check_server(&subject, &names, &ca, lab.now);
    judged.map_err(words)
}

/// Whether a port believes a client that one of the two authorities of a rotation has signed.
pub(super) async fn believes(
    lab: &Lab,
    port: &Port,
    role: CaRole,
    generation: Generation,
) -> Result<bool, Unasked> {
    let store = lab.store();
    let as_proxy = role == CaRole::FrontProxy;
    let authority = store.authority_of(role, generation, lab.now);
    let authority = authority.map_err(words)?;
    let request = probe(port, as_proxy)?;
    let issued = authority.issue(&request, lab.now, &OsRandom);
    let issued = issued.map_err(words)?;
    let trusted = store.trusted(Rotated::Authority(port.listener.authority()));
    let trusted = trusted.map_err(words)?;
    let identity = (issued.certificate_pem.as_str(), issued.key_pem.as_str());
    let tls = https::client_config(&trusted, Some(identity)).map_err(words)?;
    let connector = Connector::new(Arc::clone(&port.host), tls, ANSWER);
    let path = match port.listener {
        Listener::Kubelet => "healthz",
        _ => "version",
    };
    let url = format!("https://{}/{path}", port.address());
    let user = [("X-Remote-User", PROBE)];
    let fields = if as_proxy { &user[..] } else { &[] };
    let answer = HttpsClient::new(connector, ANSWER)
        .get_with(&url, fields)
        .await;
    match answer {
        // Who is not known gets 401; who is known and may not gets 403.
        Ok(answer) => Ok(answer.status().as_u16() != 401),
        // etcd ends the handshake with an alert (RFC 8446, 6.2). Other failures say nothing about belief.
        Err(error) => match words(error) {
            alert if alert.contains("alert") => Ok(false),
            other => Err(other),
        },
    }
}

/// A leaf for one question. A member of etcd wants a peer to have the address that it comes from.
fn probe(port: &Port, as_proxy: bool) -> Result<LeafRequest, Unasked> {
    let life = Life::days(1).map_err(words)?;
    let subject = Subject::new(if as_proxy { PROXY } else { PROBE }, &[]).map_err(words)?;
    let request = match port.listener {
        Listener::EtcdClient | Listener::EtcdPeer => {
            let names = AltNames::new(Vec::new(), vec![port.ip]).map_err(words)?;
            LeafRequest::new(subject, Purpose::ServerAndClient, names, life)
        }
        _ => LeafRequest::new(subject, Purpose::Client, AltNames::default(), life),
    };
    request.map_err(words)
}
