//! A balancer in front of the API servers on the loopback of every node: HAProxy.
//!
//! What speaks to the API on a node goes through it, so the loss of a control plane costs a node its open
//! connections and no more.

use super::{CA, Component, Gate, Place, UnitOptions, paths};
use crate::Balancer;
use host_exec::File;
use std::fmt::Write as _;

pub(crate) const CONFIG: &str = "/etc/kubernetes/balancer.cfg";
/// A name that the certificate of every API server has.
const SERVER_NAME: &str = "kubernetes";

/// The definition of the balancer of any node.
pub fn component(place: Place<'_>, own: &Balancer) -> Component {
    Component {
        name: "api-balancer",
        description: "Balancer in front of the Kubernetes API servers",
        program: own.program.as_str().to_owned(),
        // A master in the foreground, which systemd keeps, with a worker: it hands the listening sockets on to the
        // next worker when it is reloaded, so that no client meets a closed port (management.txt, "-W").
        arguments: vec!["-W".into(), "-f".into(), CONFIG.into()],
        environment: Vec::new(),
        files: vec![File::public(CONFIG, config(place, own))],
        reads: paths([CA]),
        follows: Vec::new(),
        gate: Gate::AtOnce,
        options: UnitOptions {
            oneshot: false,
            unit: vec![("After", "network.target".into())],
            // Its only file is public and its port needs no right.
            service: vec![
                ("DynamicUser", "yes".into()),
                ("LimitNOFILE", "65536".into()),
                ("ExecReload", "/bin/kill -USR2 $MAINPID".into()),
            ],
            reloads: true,
        },
    }
}

/// HAProxy's configuration manual, versions 2.2 and later.
///
/// A server is looked at twice a second and out after two bad answers, so a lost one is found within some 2 s (each
/// look may take one). Open connections to a machine that is gone are ended by TCP itself within 3 s (`tcp-ut`,
/// `srvtcpka`), since a client would wait for minutes; those to a server that is stopping are left to it, which answers
/// what it has begun. The check speaks HTTP over TLS and trusts the cluster's authority only; what it forwards, it does
/// not open.
fn config(place: Place<'_>, own: &Balancer) -> String {
    let spec = place.cluster;
    let mut text = format!(
        "global\n    \
             log stdout format raw daemon notice\n    \
             maxconn 8192\n    \
             # A worker that has been replaced looks at no server any more.\n    \
             hard-stop-after 60s\n\
         \n\
         defaults\n    \
             mode tcp\n    \
             log global\n    \
             option redispatch 1\n    \
             option clitcpka\n    \
             option srvtcpka\n    \
             srvtcpka-idle 1s\n    \
             srvtcpka-intvl 1s\n    \
             srvtcpka-cnt 2\n    \
             retries 3\n    \
             timeout connect 1s\n    \
             timeout check 1s\n    \
             # A watch may be silent for minutes.\n    \
             timeout client 1h\n    \
             timeout server 1h\n\
         \n\
         frontend api\n    \
             bind 127.0.0.1:{port}\n    \
             default_backend control-planes\n\
         \n\
         backend control-planes\n    \
             balance leastconn\n    \
             option httpchk\n    \
             http-check send meth GET uri /readyz ver HTTP/1.1 hdr Host {SERVER_NAME}\n    \
             http-check expect status 200\n    \
             default-server check check-ssl verify required ca-file {CA} verifyhost {SERVER_NAME} inter 500ms fastinter 250ms downinter 250ms fall 2 rise 1 tcp-ut 2s\n",
        port = own.port,
    );
    for node in &spec.control_planes {
        // Writing to a String cannot fail.
        let _infallible = writeln!(
            text,
            "    server {} {}:{}",
            node.name, node.address.v4, spec.api_port
        );
    }
    text
}
