//! HTTPS to an address *as a host sees it*: TLS with our own trust over [`Host::dial`].
//!
//! The API of etcd and of Kubernetes listen on networks that only their machines reach. The connection is
//! opened by a machine that may, and TLS runs from here to the server: keys never leave this side.

use crate::{DialError, Host, Stream};
use http::{Method, Request, Response, StatusCode, Uri};
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper_util::{
    client::legacy::{Client, connect},
    rt::{TokioExecutor, TokioIo},
};
use rustls::{ClientConfig, RootCertStore, pki_types::ServerName};
use rustls_pki_types::{
    CertificateDer, PrivateKeyDer,
    pem::{self, PemObject},
};
use std::{
    future::Future,
    io,
    net::{IpAddr, SocketAddr},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_rustls::{TlsConnector, client::TlsStream};

/// Certificates and keys that do not make a TLS client.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TlsError {
    /// A text is not PEM of the kind expected.
    #[error("cannot read the {what} as PEM")]
    Pem {
        /// `CA certificate`, `client certificate` or `client key`.
        what: &'static str,
        /// The cause.
        #[source]
        source: pem::Error,
    },
    /// rustls refuses them.
    #[error("cannot use the certificates")]
    Rustls(#[from] rustls::Error),
}

/// A TLS client that trusts `ca_pem` only and, if given, proves itself by a certificate and its key.
///
/// # Errors
///
/// A text is not PEM, or the key does not belong to the certificate.
pub fn client_config(
    ca_pem: &str,
    identity: Option<(&str, &str)>,
) -> Result<Arc<ClientConfig>, TlsError> {
    let unread = |what| move |source| TlsError::Pem { what, source };
    let mut roots = RootCertStore::empty();
    for ca in CertificateDer::pem_slice_iter(ca_pem.as_bytes()) {
        roots.add(ca.map_err(unread("CA certificate"))?)?;
    }
    // Else every server would be refused for its certificate, which is not what is wrong.
    if roots.is_empty() {
        return Err(unread("CA certificate")(pem::Error::NoItemsFound));
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots);
    let Some((certificate, key)) = identity else {
        return Ok(Arc::new(builder.with_no_client_auth()));
    };
    let chain = CertificateDer::pem_slice_iter(certificate.as_bytes())
        .collect::<Result<Vec<_>, _>>()
        .map_err(unread("client certificate"))?;
    let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).map_err(unread("client key"))?;
    Ok(Arc::new(builder.with_client_auth_cert(chain, key)?))
}

/// Opens TLS connections from a host; a connector of hyper, and so of `kube::Client`.
///
/// The URI's host must be an IP address: names are not resolved, and the address is what the server's
/// certificate is checked for.
#[derive(Debug, Clone)]
pub struct Connector {
    host: Arc<dyn Host>,
    tls: Arc<ClientConfig>,
    timeout: Duration,
}

impl Connector {
    /// Connections from `host` with the trust and identity of `tls`. TCP and TLS together may take `timeout`.
    pub fn new(host: Arc<dyn Host>, tls: Arc<ClientConfig>, timeout: Duration) -> Self {
        Self { host, tls, timeout }
    }

    async fn connect(self, uri: Uri) -> Result<TlsIo, ConnectError> {
        let address = socket_address(&uri)?;
        let connected = handshake(self.host.as_ref(), self.tls, address, self.timeout).await;
        connected.map(TlsIo)
    }
}

/// TCP and TLS to `address` from `host`, together within `timeout`.
pub(crate) async fn handshake(
    host: &dyn Host,
    tls: Arc<ClientConfig>,
    address: SocketAddr,
    timeout: Duration,
) -> Result<TlsStream<Box<dyn Stream>>, ConnectError> {
    let failed = |source| ConnectError::Handshake { address, source };
    let work = async {
        let stream = host.dial(address, timeout).await?;
        let name = ServerName::IpAddress(address.ip().into());
        let tls = TlsConnector::from(tls).connect(name, stream).await;
        tls.map_err(failed)
    };
    // A server may accept TCP and then say nothing (etcd before it has a leader), so TLS is bounded too.
    match tokio::time::timeout(timeout, work).await {
        Ok(result) => result,
        Err(_) => Err(failed(io::ErrorKind::TimedOut.into())),
    }
}

/// The certificate that a server shows to a client with this trust and identity, in DER; `None` if it shows none.
///
/// # Errors
///
/// No connection, or the client does not trust the server. A server that refuses the *client* is not noticed here: in
/// TLS 1.3 it says so only when it is asked something.
pub async fn served_certificate(
    connector: &Connector,
    address: SocketAddr,
) -> Result<Option<Vec<u8>>, ConnectError> {
    let uri = format!("https://{address}");
    let uri = uri.parse().expect("an address makes a URI");
    let TlsIo(stream) = connector.clone().connect(uri).await?;
    let chain = stream.get_ref().1.peer_certificates();
    Ok(chain.and_then(|chain| chain.first().map(|leaf| leaf.to_vec())))
}

/// A TLS connection that could not be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// The URI does not name an IP address.
    #[error("{0} has no IP address as its host")]
    NotAnAddress(Uri),
    /// No TCP connection.
    #[error(transparent)]
    Dial(#[from] DialError),
    /// TCP connected, TLS did not.
    #[error("TLS with {address} failed")]
    Handshake {
        /// The other end.
        address: SocketAddr,
        /// The cause; for a refused certificate it carries rustls's reason.
        #[source]
        source: io::Error,
    },
}

fn socket_address(uri: &Uri) -> Result<SocketAddr, ConnectError> {
    let host = uri
        .host()
        .unwrap_or_default()
        .trim_start_matches('[')
        .trim_end_matches(']');
    let ip: IpAddr = host
        .parse()
        .map_err(|_| ConnectError::NotAnAddress(uri.clone()))?;
    Ok(SocketAddr::new(ip, uri.port_u16().unwrap_or(443)))
}

impl tower::Service<Uri> for Connector {
    type Response = TokioIo<TlsIo>;
    type Error = ConnectError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let connect = self.clone().connect(uri);
        Box::pin(async { connect.await.map(TokioIo::new) })
    }
}

/// A TLS connection over a stream of a host.
pub struct TlsIo(TlsStream<Box<dyn Stream>>);

impl connect::Connection for TlsIo {
    fn connected(&self) -> connect::Connected {
        connect::Connected::new()
    }
}

impl AsyncRead for TlsIo {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buf)
    }
}

impl AsyncWrite for TlsIo {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}

/// A request that got no answer.
#[derive(Debug, thiserror::Error)]
#[error("{method} {url}: {}", reason(.source.as_ref()))]
pub struct RequestError {
    /// The method.
    pub method: Method,
    /// The URL.
    pub url: String,
    /// The cause, with its own causes.
    pub source: Box<dyn std::error::Error + Send + Sync>,
}

/// hyper's own words ("client error (Connect)") say nothing; the innermost cause does.
fn reason(error: &(dyn std::error::Error + 'static)) -> String {
    let mut innermost = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    innermost.to_string()
}

/// An answer, read to its end.
pub type Answer = Response<Bytes>;

/// A small HTTPS client for probes and for APIs that speak JSON; connections are kept and reused.
#[derive(Debug, Clone)]
pub struct HttpsClient {
    client: Client<Connector, Full<Bytes>>,
    timeout: Duration,
}

impl HttpsClient {
    /// Requests over `connector`, each bounded by `timeout` from first byte to last.
    pub fn new(connector: Connector, timeout: Duration) -> Self {
        Self {
            client: Client::builder(TokioExecutor::new()).build(connector),
            timeout,
        }
    }

    /// The same connections for requests that are each bounded by `timeout`.
    #[must_use]
    pub fn with_timeout(&self, timeout: Duration) -> Self {
        Self {
            client: self.client.clone(),
            timeout,
        }
    }

    /// `GET url`.
    ///
    /// # Errors
    ///
    /// No connection, TLS refused, time over. A status other than 200 is *not* an error.
    pub async fn get(&self, url: &str) -> Result<Answer, RequestError> {
        self.request(Method::GET, url, Bytes::new(), &[]).await
    }

    /// `GET url` with more header fields, each a name and a value.
    ///
    /// # Errors
    ///
    /// As [`HttpsClient::get`]; a field that HTTP does not allow.
    pub async fn get_with(
        &self,
        url: &str,
        fields: &[(&str, &str)],
    ) -> Result<Answer, RequestError> {
        self.request(Method::GET, url, Bytes::new(), fields).await
    }

    /// `POST url` with a JSON body.
    ///
    /// # Errors
    ///
    /// As [`HttpsClient::get`].
    pub async fn post_json(
        &self,
        url: &str,
        body: impl Into<Bytes>,
    ) -> Result<Answer, RequestError> {
        self.request(Method::POST, url, body.into(), &[]).await
    }

    async fn request(
        &self,
        method: Method,
        url: &str,
        body: Bytes,
        fields: &[(&str, &str)],
    ) -> Result<Answer, RequestError> {
        let error = |source| RequestError {
            method: method.clone(),
            url: url.to_owned(),
            source,
        };
        let request = Request::builder()
            .method(method.clone())
            .uri(url)
            .header("content-type", "application/json");
        let request = fields
            .iter()
            .fold(request, |request, (name, value)| {
                request.header(*name, *value)
            })
            .body(Full::new(body))
            .map_err(|e| error(e.into()))?;
        let work = async {
            let (parts, body) = self.client.request(request).await?.into_parts();
            let bytes = read_all(body).await?;
            Ok::<_, Box<dyn std::error::Error + Send + Sync>>(Response::from_parts(parts, bytes))
        };
        match tokio::time::timeout(self.timeout, work).await {
            Ok(answer) => answer.map_err(error),
            Err(_) => Err(error(io::Error::from(io::ErrorKind::TimedOut).into())),
        }
    }
}

async fn read_all(body: Incoming) -> Result<Bytes, hyper::Error> {
    Ok(body.collect().await?.to_bytes())
}

/// Whether an answer is 200.
pub fn is_ok(answer: &Answer) -> bool {
    answer.status() == StatusCode::OK
}
