//! One member: its addresses, its paths, its certificates.

use crate::MemberName;
use host_exec::File;
use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
};

/// The port for clients, IANA's `etcd-client`.
pub const CLIENT_PORT: u16 = 2379;
/// The port for the other members, IANA's `etcd-server`.
pub const PEER_PORT: u16 = 2380;

/// Where a member keeps its certificates and keys, all PEM.
///
/// Peers have an authority of their own: were it the clients', any client could join as a member.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PkiPaths {
    /// The authority of servers and their clients.
    pub client_ca: PathBuf,
    /// The authority of members towards each other.
    pub peer_ca: PathBuf,
    /// What clients see. Needs the usages server *and* client: the JSON gateway dials its own server.
    pub server_certificate: PathBuf,
    /// Its key, not encrypted.
    pub server_key: PathBuf,
    /// What peers see, in both directions. Its addresses must hold the one that peers see it come from.
    pub peer_certificate: PathBuf,
    /// Its key, not encrypted.
    pub peer_key: PathBuf,
}

impl PkiPaths {
    /// `ca.crt`, `peer-ca.crt`, `server.crt`, `server.key`, `peer.crt` and `peer.key` in `directory`.
    #[must_use]
    pub fn below(directory: &Path) -> Self {
        Self {
            client_ca: directory.join("ca.crt"),
            peer_ca: directory.join("peer-ca.crt"),
            server_certificate: directory.join("server.crt"),
            server_key: directory.join("server.key"),
            peer_certificate: directory.join("peer.crt"),
            peer_key: directory.join("peer.key"),
        }
    }

    pub(crate) fn all(&self) -> [&Path; 6] {
        [
            &self.client_ca,
            &self.peer_ca,
            &self.server_certificate,
            &self.server_key,
            &self.peer_certificate,
            &self.peer_key,
        ]
    }

    /// The files that etcd reads once, at its start; the others it reads again for every handshake.
    pub(crate) fn read_at_start(&self) -> [&Path; 2] {
        [&self.client_ca, &self.peer_ca]
    }
}

/// The certificates and keys of one member as PEM texts, for [`MemberSpec::with_pems`].
#[derive(Clone, Copy)]
pub struct MemberPems<'p> {
    /// The authority of servers and their clients.
    pub client_ca: &'p str,
    /// The authority of members towards each other.
    pub peer_ca: &'p str,
    /// Certificate and key for clients.
    pub server: (&'p str, &'p str),
    /// Certificate and key for peers.
    pub peer: (&'p str, &'p str),
}

impl fmt::Debug for MemberPems<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MemberPems(..)")
    }
}

/// One member. Checked as part of a [`ClusterSpec`](crate::ClusterSpec).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemberSpec {
    /// Its name, unique in the cluster.
    pub name: MemberName,
    /// The address for peers: where it listens, what it advertises, what its connections come from.
    pub peer_ip: IpAddr,
    /// The addresses for clients; it listens on all and advertises the first.
    pub client_ips: Vec<IpAddr>,
    /// Where its data is, mode 0700. `/var/lib/etcd` unless set otherwise.
    pub data_dir: PathBuf,
    /// Where metrics and health are served without TLS. `127.0.0.1:2381` unless set otherwise; a member on the
    /// loopback has them at its own address, since others may be there too.
    pub metrics: SocketAddr,
    /// Where its certificates and keys are. Below `/etc/etcd/pki` unless set otherwise.
    pub pki: PkiPaths,
    /// The certificates and keys themselves. Empty while none are made yet: enough to render and to
    /// plan on paper, not to observe (see [`Tls::new`](crate::Tls::new)).
    pub certificates: Vec<File>,
}

impl MemberSpec {
    /// A member with the usual paths and no certificates yet.
    #[must_use]
    pub fn new(name: MemberName, peer_ip: IpAddr, client_ips: Vec<IpAddr>) -> Self {
        let metrics_ip = if peer_ip.is_loopback() {
            peer_ip
        } else {
            Ipv4Addr::LOCALHOST.into()
        };
        Self {
            name,
            peer_ip,
            client_ips,
            data_dir: PathBuf::from("/var/lib/etcd"),
            metrics: SocketAddr::new(metrics_ip, 2381),
            pki: PkiPaths::below(Path::new("/etc/etcd/pki")),
            certificates: Vec::new(),
        }
    }

    /// The same member with data, certificates and keys below `directory`: for several on one machine.
    #[must_use]
    pub fn below(mut self, directory: &Path) -> Self {
        self.data_dir = directory.join("data");
        self.pki = PkiPaths::below(&directory.join("pki"));
        self
    }

    /// The same member with these certificates and keys, at the paths of [`MemberSpec::pki`].
    #[must_use]
    pub fn with_certificates(mut self, certificates: Vec<File>) -> Self {
        self.certificates = certificates;
        self
    }

    /// The same member with its certificates and keys given as texts.
    #[must_use]
    pub fn with_pems(self, pems: MemberPems<'_>) -> Self {
        let pki = &self.pki;
        let certificates = vec![
            File::public(&pki.client_ca, pems.client_ca),
            File::public(&pki.peer_ca, pems.peer_ca),
            File::public(&pki.server_certificate, pems.server.0),
            File::secret(&pki.server_key, pems.server.1),
            File::public(&pki.peer_certificate, pems.peer.0),
            File::secret(&pki.peer_key, pems.peer.1),
        ];
        self.with_certificates(certificates)
    }

    /// The URL under which the other members reach it.
    #[must_use]
    pub fn peer_url(&self) -> String {
        https(self.peer_ip, PEER_PORT)
    }

    /// The URLs under which clients reach it; the first is the advertised one.
    #[must_use]
    pub fn client_urls(&self) -> Vec<String> {
        self.client_ips
            .iter()
            .map(|ip| https(*ip, CLIENT_PORT))
            .collect()
    }

    /// The text of the certificate or key at `path`; `None` if it was not given or is not text.
    pub(crate) fn certificate(&self, path: &Path) -> Option<&str> {
        let file = self.certificates.iter().find(|file| file.path == path)?;
        std::str::from_utf8(file.contents.bytes()).ok()
    }
}

fn https(ip: IpAddr, port: u16) -> String {
    format!("https://{}", SocketAddr::new(ip, port))
}
