//! The certificates that a server presents, good or bad.

use crate::{
    Host,
    https::{ConnectError, handshake},
};
use rustls::{
    ClientConfig, DigitallySignedStruct, SignatureScheme,
    client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature},
    pki_types::{CertificateDer, ServerName, UnixTime},
};
use std::{
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::io::AsyncWriteExt as _;

/// What the server at `address` presents, its own certificate first, as `host` sees it. `tls` gives the identity to
/// show; its trust is not asked, because what is to be refused is what is to be looked at. Nothing but the handshake is
/// exchanged.
///
/// # Errors
///
/// No TCP connection; the server says nothing of TLS within `timeout`, or does not hold the key of what it presents.
pub async fn presented_certificates(
    host: &dyn Host,
    address: SocketAddr,
    tls: &ClientConfig,
    timeout: Duration,
) -> Result<Vec<CertificateDer<'static>>, ConnectError> {
    let witness = Arc::new(Witness {
        provider: Arc::clone(tls.crypto_provider()),
        seen: Mutex::default(),
    });
    let mut tls = tls.clone();
    let verifier = Arc::clone(&witness) as Arc<dyn ServerCertVerifier>;
    tls.dangerous().set_certificate_verifier(verifier);
    // A connection that is taken up again would present nothing.
    tls.resumption = rustls::client::Resumption::disabled();
    let connected = handshake(host, Arc::new(tls), address, timeout).await;
    let connected = match connected {
        Ok(mut stream) => {
            // A server that is told of the end has nothing to complain of in its log. That it cannot be told is no
            // matter: what it presents has been seen.
            let _ = tokio::time::timeout(timeout, stream.shutdown()).await;
            Ok(())
        }
        Err(error) => Err(error),
    };
    let seen = witness.seen.lock().unwrap_or_else(PoisonError::into_inner);
    match connected {
        // What a server that refuses us has shown before is still seen.
        Err(error) if seen.is_empty() => Err(error),
        _ => Ok(seen.clone()),
    }
}

/// Remembers what it is to verify, and takes it.
#[derive(Debug)]
struct Witness {
    provider: Arc<CryptoProvider>,
    seen: Mutex<Vec<CertificateDer<'static>>>,
}

impl ServerCertVerifier for Witness {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let chain = std::iter::once(end_entity).chain(intermediates);
        let chain = chain.map(|certificate| certificate.clone().into_owned());
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = chain.collect();
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider
            .signature_verification_algorithms
            .supported_schemes()
    }
}
