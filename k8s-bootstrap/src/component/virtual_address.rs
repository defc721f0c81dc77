//! An address that leads people to whichever control plane lives: keepalived.

use super::{CA, Component, Gate, Place, UnitOptions, paths};
use crate::VirtualAddress;
use host_exec::File;

const CONFIG: &str = "/etc/kubernetes/virtual-address.conf";
/// The check's client.
const CURL: &str = "/usr/bin/curl";
/// Of `/readyz`: what says how etcd is (names of checks, the same from 1.28 to 1.37).
const WITHOUT_ETCD: &str = "exclude=etcd&exclude=etcd-readiness";

/// The definition of the virtual router of a control plane.
pub fn component(place: Place<'_>, own: &VirtualAddress) -> Component {
    let words = [
        "--dont-fork",
        "--vrrp",
        "--log-console",
        "--use-file",
        CONFIG,
    ];
    Component {
        name: "api-address",
        description: "Virtual address of the Kubernetes API",
        program: own.program.as_str().to_owned(),
        arguments: words.map(str::to_owned).to_vec(),
        environment: Vec::new(),
        files: vec![File::public(CONFIG, config(place, own))],
        reads: Vec::new(),
        // Each check starts a client of its own.
        follows: paths([CA]),
        gate: Gate::AtOnce,
        options: UnitOptions {
            unit: vec![("After", "network.target".into())],
            ..UnitOptions::default()
        },
    }
}

/// keepalived.conf(5), VRRP version 3 (RFC 9568).
///
/// All begin as backups of one priority and none takes the address from another that lives: each move cuts
/// connections. The IPv6 address moves along with the IPv4 one, as an excluded address, which is not in the
/// advertisements: one election decides about both. As host addresses they are never the source of what their holder
/// sends: its own are on the network, and keepalived makes /128 ones deprecated (RFC 4862, section 5.5.4). A holder that
/// is gone is missed after three advertisements, three quarters of a second.
///
/// One that is not ready may be so for a moment only, with etcd without a leader as all are, so it is asked twice. One that
/// says that it stops, or is not there, is believed at once: it closes its port a second later (see `PAUSE` of the
/// API server).
fn config(place: Place<'_>, own: &VirtualAddress) -> String {
    let readyz = format!("https://127.0.0.1:{}/readyz", place.cluster.api_port);
    format!(
        "global_defs {{\n    \
             router_id {name}\n    \
             vrrp_version 3\n    \
             enable_script_security\n    \
             script_user nobody\n\
         }}\n\
         \n\
         {ready}\n\
         {stays}\n\
         vrrp_instance api {{\n    \
             state BACKUP\n    \
             nopreempt\n    \
             interface {interface}\n    \
             virtual_router_id {router_id}\n    \
             priority 100\n    \
             advert_int 0.25\n    \
             virtual_ipaddress {{\n        \
                 {v4}/32\n    \
             }}\n    \
             virtual_ipaddress_excluded {{\n        \
                 {v6}/128\n    \
             }}\n    \
             track_script {{\n        \
                 ready\n        \
                 stays\n    \
             }}\n\
         }}\n",
        name = place.node.name,
        ready = check("ready", &readyz, 1, 2),
        stays = check("stays", &format!("{readyz}?{WITHOUT_ETCD}"), 3, 1),
        interface = own.interface,
        router_id = own.router_id,
        v4 = own.address.v4,
        v6 = own.address.v6,
    )
}

/// A look at the API server every second, the shortest that keepalived knows. It fails when `fall` answers in a row are bad,
/// or take longer than `limit` seconds.
fn check(name: &str, url: &str, limit: u32, fall: u32) -> String {
    format!(
        "vrrp_script {name} {{\n    \
             script \"{CURL} --silent --fail --max-time {limit} --cacert {CA} --output /dev/null {url}\"\n    \
             interval 1\n    \
             timeout {timeout}\n    \
             fall {fall}\n    \
             rise 1\n\
         }}\n",
        timeout = limit + 1,
    )
}
