//! `lab certs ...`.

use clap::{Args, Subcommand, ValueEnum};
use pki::{
    CaRole, HostName, ItemId,
    rotation::{Phase, Rotated},
};
use std::{net::IpAddr, path::PathBuf};

/// What is done with certificates.
#[derive(Debug, Clone, Subcommand)]
pub(crate) enum CertsVerb {
    /// Make every certificate but the authorities anew and bring it to its machine; whoever reads it again by himself
    /// is not started anew, and the API answers all the while.
    Renew,
    /// Put a new authority, or a new key of service accounts, in the place of the old one while the lab runs, in four
    /// phases: add it to the store, have all trust both, have it sign, drop the old one. Interrupted, it goes on.
    Rotate {
        /// kubernetes, front-proxy, etcd, etcd-peer or service-account.
        authority: Rotated,
        /// Stop when this phase has arrived everywhere: add, trust, swap or drop.
        #[arg(long, value_name = "PHASE")]
        to: Option<Phase>,
        /// Go one phase back; there is no way back from drop.
        #[arg(long, conflicts_with = "to")]
        back: bool,
        /// Drop the old one, or with --back the new one, although pods may hold it.
        #[arg(long)]
        force: bool,
    },
    /// Write a certificate with its key and authority to one PKCS #12 file, for a browser or a key chain.
    Export(ExportArgs),
    /// Sign a certificate request (PKCS #10, PEM) and print the certificate: for whoever keeps the key. The request must be
    /// about the subject that is named here, and ask for no names but those that are allowed here.
    Sign(SignArgs),
}

/// What is exported, and how.
#[derive(Debug, Clone, Args)]
pub(crate) struct ExportArgs {
    /// As `lab certs` lists it, such as `cluster/admin`.
    pub(crate) item: ItemId,
    /// The file to write, which must not be there; it is a secret.
    #[arg(long, value_name = "FILE")]
    pub(crate) pkcs12: PathBuf,
    /// A file of mode 0600 with the pass phrase, at least 8 characters.
    #[arg(long, value_name = "FILE")]
    pub(crate) passphrase_file: PathBuf,
}

/// Which request is signed, by which policy.
#[derive(Debug, Clone, Args)]
pub(crate) struct SignArgs {
    /// The file with the request.
    pub(crate) request: PathBuf,
    /// Whom the certificate is about: for Kubernetes the user.
    #[arg(long, value_name = "NAME")]
    pub(crate) common_name: String,
    /// For Kubernetes a group; up to two.
    #[arg(long, value_name = "NAME")]
    pub(crate) organization: Vec<String>,
    /// What it may be used for.
    #[arg(long, value_enum, default_value = "client")]
    pub(crate) usage: CertificateUsage,
    /// A host name that the request may ask for; may be given several times.
    #[arg(long, value_name = "NAME")]
    pub(crate) dns: Vec<HostName>,
    /// An address that the request may ask for; may be given several times.
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) ip: Vec<IpAddr>,
    /// How long it lives.
    #[arg(long, default_value_t = 365)]
    pub(crate) days: u32,
    /// Who signs: kubernetes, front-proxy, etcd or etcd-peer.
    #[arg(long, default_value = "kubernetes", value_parser = signer)]
    pub(crate) authority: CaRole,
}

/// What a certificate may be used for.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum CertificateUsage {
    /// To dial servers.
    Client,
    /// To be dialled.
    Server,
    /// Both.
    Both,
}

fn signer(text: &str) -> Result<CaRole, String> {
    let found = CaRole::ALL.into_iter().find(|role| role.name() == text);
    found.ok_or_else(|| "give kubernetes, front-proxy, etcd or etcd-peer".to_owned())
}
