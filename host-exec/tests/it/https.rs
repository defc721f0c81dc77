//! HTTPS through a host against a real TLS server.

use crate::LONG;
use host_exec::{
    LocalHost,
    https::{Connector, HttpsClient, client_config, is_ok},
    presented_certificates,
};
use std::{
    net::{SocketAddr, TcpListener},
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// A CA with one server certificate for 127.0.0.1: `openssl` made it, see tests/data/tls/README.
const CA: &str = include_str!("../data/tls/ca.pem");
const OTHER_CA: &str = include_str!("../data/tls/other-ca.pem");
const CERTIFICATE: &str = include_str!("../data/tls/server.pem");
const KEY: &str = include_str!("../data/tls/server.key");

fn client(ca: &str, timeout: Duration) -> HttpsClient {
    let host = Arc::new(LocalHost::new("here".parse().unwrap()));
    let tls = client_config(ca, None).unwrap();
    HttpsClient::new(Connector::new(host, tls, timeout), timeout)
}

/// Answers one connection at a time with the first line of each request.
async fn serve() -> SocketAddr {
    use pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};
    use tokio_rustls::{TlsAcceptor, rustls::ServerConfig, rustls::pki_types};
    let provider = Arc::new(tokio_rustls::rustls::crypto::ring::default_provider());
    let chain = vec![CertificateDer::from_pem_slice(CERTIFICATE.as_bytes()).unwrap()];
    let key = PrivateKeyDer::from_pem_slice(KEY.as_bytes()).unwrap();
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (socket, _) = listener.accept().await.unwrap();
            // A client that does not trust us breaks off here.
            let Ok(mut tls) = acceptor.accept(socket).await else {
                continue;
            };
            let mut request = vec![0; 4096];
            let read = tls.read(&mut request).await.unwrap();
            let text = String::from_utf8_lossy(&request[..read]).into_owned();
            let body = text.lines().next().unwrap_or_default();
            let answer = format!(
                "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}",
                body.len()
            );
            // The client may be gone already.
            if tls.write_all(answer.as_bytes()).await.is_ok() {
                let _ = tls.shutdown().await;
            }
        }
    });
    address
}

#[tokio::test]
async fn a_server_of_the_right_ca_answers() {
    let address = serve().await;
    let answer = client(CA, LONG)
        .get(&format!("https://{address}/health"))
        .await
        .unwrap();
    assert!(is_ok(&answer));
    assert_eq!(answer.body().as_ref(), b"GET /health HTTP/1.1");
    let answer = client(CA, LONG)
        .post_json(&format!("https://{address}/v3"), "{}")
        .await
        .unwrap();
    assert_eq!(answer.body().as_ref(), b"POST /v3 HTTP/1.1");
}

#[tokio::test]
async fn a_server_of_another_ca_is_refused_by_name() {
    let url = format!("https://{}/", serve().await);
    let error = client(OTHER_CA, LONG)
        .get(&url)
        .await
        .unwrap_err()
        .to_string();
    assert!(
        error.starts_with(&format!("GET {url}: ")) && error.contains("invalid peer certificate"),
        "{error}"
    );
}

#[tokio::test]
async fn a_certificate_is_seen_whoever_signed_it() {
    use tokio_rustls::rustls::pki_types::{CertificateDer, pem::PemObject};
    let (address, host) = (serve().await, LocalHost::new("here".parse().unwrap()));
    let tls = client_config(OTHER_CA, None).unwrap();
    let own = CertificateDer::from_pem_slice(CERTIFICATE.as_bytes()).unwrap();
    for _ in 0..2 {
        let seen = presented_certificates(&host, address, &tls, LONG).await;
        assert_eq!(seen.unwrap(), std::slice::from_ref(&own));
    }
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let (address, soon) = (silent.local_addr().unwrap(), Duration::from_millis(300));
    let error = presented_certificates(&host, address, &tls, soon).await;
    assert!(
        error
            .unwrap_err()
            .to_string()
            .starts_with("TLS with 127.0.0.1:")
    );
}

#[tokio::test]
async fn a_server_that_says_nothing_is_left_in_time() {
    // It accepts by its backlog alone.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("https://{}/", silent.local_addr().unwrap());
    let soon = Duration::from_millis(300);
    for client in [client(CA, soon), client(CA, LONG).with_timeout(soon)] {
        let started = Instant::now();
        let error = client.get(&url).await.unwrap_err();
        assert!(started.elapsed() < LONG / 2);
        assert!(error.to_string().contains("timed out"), "{error}");
    }
}

#[tokio::test]
async fn a_name_is_no_address() {
    let error = client(CA, LONG)
        .get("https://localhost/")
        .await
        .unwrap_err();
    assert!(error.to_string().contains("no IP address"), "{error}");
}

#[test]
fn texts_that_are_no_certificates_are_named() {
    let broken = "-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n";
    for (ca, identity, what) in [
        (broken, None, "CA certificate"),
        // A client that trusts nobody would refuse every server, and blame its certificate.
        ("", None, "CA certificate"),
        (KEY, None, "CA certificate"),
        (CA, Some((broken, KEY)), "client certificate"),
        (CA, Some((CERTIFICATE, "no key")), "client key"),
    ] {
        let error = client_config(ca, identity).unwrap_err().to_string();
        assert!(error.contains(what), "{error}");
    }
    let other = include_str!("../data/tls/other.key");
    assert!(
        client_config(CA, Some((CERTIFICATE, other))).is_err(),
        "a key of another certificate"
    );
}
