//! kube-apiserver: kubeadm's flags, two families of Service addresses, etcd elsewhere.

use super::{CA, Component, Flags, Gate, Place, UnitOptions, files_in, pki_file};
use crate::{Shape, Tuning, hardened};

/// The flags whose files kube-apiserver reads again when they change, in 1.28 to 1.37: serving certificate, clients'
/// authorities and the proxy's certificate at once (`dynamiccertificates` of k8s.io/apiserver, inotify); its
/// certificate towards etcd at each handshake (etcd's `transport.TLSInfo`); that towards kubelets every five minutes
/// (`CertCallbackRefreshDuration` in client-go's `transport`). Authorities that it trusts as a client it reads at its
/// start: from 1.36 on client-go follows that of the kubelets too, etcd's client never does.
const FOLLOWED: [&str; 10] = [
    "client-ca-file",
    "etcd-certfile",
    "etcd-keyfile",
    "kubelet-client-certificate",
    "kubelet-client-key",
    "proxy-client-cert-file",
    "proxy-client-key-file",
    "requestheader-client-ca-file",
    "tls-cert-file",
    "tls-private-key-file",
];

/// The definition of the API server of a control plane.
pub fn component(place: Place<'_>) -> Component {
    let arguments = flags(place).into_arguments();
    let (reads, follows) = files_in(&arguments, &FOLLOWED);
    let environment = match (place.cluster.tuning, place.cluster.shape) {
        // The start makes many short-lived objects; collecting a quarter as often is a little quicker.
        (Tuning::QuickStart, Shape::Services) => vec![("GOGC", "400".into())],
        // kubeadm's configuration knows no environment before v1beta4.
        (Tuning::Standard, _) | (_, Shape::StaticPods) => Vec::new(),
    };
    Component {
        name: "kube-apiserver",
        description: "Kubernetes API server",
        program: place.program("kube-apiserver"),
        reads,
        follows,
        arguments,
        environment,
        files: hardened::api_server_files(place),
        // It waits for etcd by itself, so it may start while etcd elects.
        gate: Gate::AtOnce,
        options: UnitOptions {
            service: [(STOP_LIMIT.0, STOP_LIMIT.1.to_owned())]
                .into_iter()
                .chain(hardened::log_directory(place, Shape::Services))
                .collect(),
            ..UnitOptions::default()
        },
    }
}

/// What it has begun it answers before it ends, and that takes it less than a second after the pause of
/// `--shutdown-delay-duration`. Watches it would wait for a minute (measured: 61 s), but for [`WATCHES`]; what is left
/// then is a stream of an `exec` or a `logs`, which has no end of its own.
const STOP_LIMIT: (&str, &str) = ("TimeoutStopSec", "7s");

/// When it stops, it ends the watches that it serves, whose clients begin them anew at another API server at once, and
/// waits so long at most (`WithWatchTerminationDuringShutdown` of k8s.io/apiserver; there since 1.27). Without it, it
/// waits for its clients to end them, which they do not: a static pod takes all its 30 s of grace then.
pub(crate) const WATCHES: &str = "shutdown-watch-termination-grace-period";

/// When it stops, it says first that it is not ready any more, and goes on for so long: a connection that is waiting when
/// it closes its port would be lost, and the balancers see within a second that no more are to come.
pub(crate) const PAUSE: &str = "shutdown-delay-duration";

fn pause(shape: Shape) -> &'static str {
    match shape {
        Shape::Services => "2s",
        // A kubelet of another minor takes the pod for an unknown one, and kills it after 2 s: half of them is for what it
        // has begun.
        Shape::StaticPods => "1s",
    }
}

fn flags(place: Place<'_>) -> Flags {
    let spec = place.cluster;
    let etcd: Vec<String> = spec
        .etcd_endpoints
        .iter()
        .map(|address| format!("https://{address}"))
        .collect();
    let mut flags = Flags::default();
    flags
        // Two networks: without it the address of the default route would be taken, and that may be another.
        .set("advertise-address", place.node.address.v4.to_string())
        .set("allow-privileged", "true")
        .set("authorization-mode", "Node,RBAC")
        .set("client-ca-file", CA)
        .set("enable-admission-plugins", "NodeRestriction")
        .set("enable-bootstrap-token-auth", "true")
        .set("etcd-cafile", pki_file("etcd/ca.crt"))
        .set("etcd-certfile", pki_file("apiserver-etcd-client.crt"))
        .set("etcd-keyfile", pki_file("apiserver-etcd-client.key"))
        .set("etcd-servers", etcd.join(","))
        .set(
            "kubelet-client-certificate",
            pki_file("apiserver-kubelet-client.crt"),
        )
        .set(
            "kubelet-client-key",
            pki_file("apiserver-kubelet-client.key"),
        )
        .set(
            "kubelet-preferred-address-types",
            "InternalIP,ExternalIP,Hostname",
        )
        .set("secure-port", spec.api_port.to_string())
        .set(
            "service-account-issuer",
            format!("https://kubernetes.default.svc.{}", spec.dns_domain),
        )
        .set("service-account-key-file", pki_file("sa.pub"))
        .set("service-account-signing-key-file", pki_file("sa.key"))
        // The first family must be that of the advertised address, or the start is refused.
        .set("service-cluster-ip-range", spec.services.list())
        .set("tls-cert-file", pki_file("apiserver.crt"))
        .set("tls-private-key-file", pki_file("apiserver.key"));
    flags.set(WATCHES, "1s");
    if spec.shape == Shape::Services {
        // kubeadm leaves it out, and believes any kubelet; a static pod is as kubeadm writes it.
        flags.set("kubelet-certificate-authority", CA);
    }
    if spec.balancer.is_some() {
        flags.set(PAUSE, pause(spec.shape));
    }
    front_proxy(&mut flags);
    hardened::api_server(place, &mut flags);
    flags
}

/// Aggregated APIs learn the user from headers, which they believe of this client only.
fn front_proxy(flags: &mut Flags) {
    flags
        .set("proxy-client-cert-file", pki_file("front-proxy-client.crt"))
        .set("proxy-client-key-file", pki_file("front-proxy-client.key"))
        .set("requestheader-allowed-names", "front-proxy-client")
        .set(
            "requestheader-client-ca-file",
            pki_file("front-proxy-ca.crt"),
        )
        .set("requestheader-extra-headers-prefix", "X-Remote-Extra-")
        .set("requestheader-group-headers", "X-Remote-Group")
        .set("requestheader-username-headers", "X-Remote-User");
}
