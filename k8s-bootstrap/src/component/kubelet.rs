//! kubelet: its configuration, and where it keeps its client certificate.

use super::{CA, Component, Flags, Gate, Place, UnitOptions, paths};
use crate::{CgroupVersion, Role, Shape, hardened, join, kubeadm, yaml};
use host_exec::{File, Mode};
use serde_json::{Value, json};

/// Its unit, in both shapes.
pub(crate) const UNIT: &str = "kubelet.service";
/// The configuration, at kubeadm's place.
pub const CONFIG: &str = "/var/lib/kubelet/config.yaml";
/// Where it finds the API, and itself: names [`CURRENT_PAIR`], as kubeadm's kubelet-finalize leaves it.
pub const KUBECONFIG: &str = "/etc/kubernetes/kubelet.conf";
/// Its client certificate and key in one file: a link, which the kubelet moves when it renews them.
pub const CURRENT_PAIR: &str = "/var/lib/kubelet/pki/kubelet-client-current.pem";
/// Where that link points after the join. The kubelet names the later ones by their date.
pub const FIRST_PAIR: &str = "/var/lib/kubelet/pki/kubelet-client-first.pem";
/// Its serving certificate and key: a link as [`CURRENT_PAIR`], which the kubelet makes.
pub const CURRENT_SERVING_PAIR: &str = "/var/lib/kubelet/pki/kubelet-server-current.pem";
/// The taint that keeps pods of users off control planes, kubeadm's.
pub const CONTROL_PLANE_TAINT: &str = "node-role.kubernetes.io/control-plane";

/// Where drivers of flexvolumes lie. The default lies below /usr, which may be read-only.
pub(crate) const VOLUME_PLUGINS: &str = "/var/lib/kubelet/volumeplugins";

/// The definition of the kubelet of any node.
///
/// It gets no `--bootstrap-kubeconfig`: without a certificate its watches are refused, and their pauses, which
/// grow to 6.4 s, outlast the join. So it starts when the certificate is there.
pub fn component(place: Place<'_>, ca_pem: &str) -> Component {
    let runtime = place.cluster.runtime.unit();
    // The summary of resource use is read from these.
    let mut service = vec![
        ("CPUAccounting", "true".into()),
        ("MemoryAccounting", "true".into()),
    ];
    service.extend(hardened::log_directory(place, Shape::StaticPods));
    let kubelet = Component {
        name: "kubelet",
        description: "Kubernetes node agent",
        program: place.program("kubelet"),
        arguments: flags(place).into_arguments(),
        environment: Vec::new(),
        files: vec![
            File::public(CONFIG, yaml::render(&config(place))),
            kubeconfig(place, ca_pem),
        ],
        reads: Vec::new(),
        // `clientCAFile` (`cmd/kubelet/app/auth.go`). The authority that it trusts itself is in its kubeconfig.
        follows: paths([CA]),
        gate: Gate::Joined,
        options: UnitOptions {
            // It tries the runtime's socket every 2 s only, so the runtime comes first.
            unit: vec![
                ("Wants", runtime.clone()),
                ("After", format!("{runtime} pod-network.service")),
            ],
            service,
            ..UnitOptions::default()
        },
    };
    match place.cluster.shape {
        Shape::Services => kubelet,
        Shape::StaticPods => kubeadm::adapt_kubelet(place, kubelet),
    }
}

fn flags(place: Place<'_>) -> Flags {
    let node = place.node;
    let mut flags = Flags::default();
    flags
        .set("config", CONFIG)
        .set("hostname-override", node.name.as_str())
        .set("kubeconfig", KUBECONFIG)
        // Two families, and the network meant: by itself it takes the one of the default route.
        .set("node-ip", node.address.list());
    if place.cluster.external_cloud_provider {
        // The Node has a taint until a cloud-controller-manager has looked at it.
        flags.set("cloud-provider", "external");
    }
    if place.role == Role::ControlPlane {
        // For the case that somebody deletes the Node object; the one made here has the taint already.
        flags.set(
            "register-with-taints",
            format!("{CONTROL_PLANE_TAINT}=:NoSchedule"),
        );
    }
    flags
}

/// Public, since it holds no key; with kubeadm's mode all the same.
fn kubeconfig(place: Place<'_>, ca_pem: &str) -> File {
    let spec = place.cluster;
    let user = join::user(&place.node.name);
    let api_url = match spec.shape {
        Shape::Services => spec.node_endpoint(),
        Shape::StaticPods => kubeadm::kubelet_api_url(place),
    };
    let text = pki::kubeconfig_of_file(&spec.cluster_name, &api_url, ca_pem, &user, CURRENT_PAIR);
    File::public(KUBECONFIG, text).with_mode(Mode::SECRET)
}

/// `KubeletConfiguration`, <https://kubernetes.io/docs/reference/config-api/kubelet-config.v1beta1/>.
pub(crate) fn config(place: Place<'_>) -> Value {
    let spec = place.cluster;
    let mut config = json!({
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "authentication": {
            "anonymous": {"enabled": false},
            "webhook": {"enabled": true},
            "x509": {"clientCAFile": CA},
        },
        "authorization": {"mode": "Webhook"},
        "cgroupDriver": "systemd",
        // A second server of the other family would be asked only after a time-out of the first.
        "clusterDNS": [spec.dns_service_address().v4],
        "clusterDomain": spec.dns_domain.as_str(),
        "containerRuntimeEndpoint": format!("unix://{}", spec.runtime.socket()),
        // The defaults (10 and 15 %) evict pods from a laptop whose disk is rather full.
        "evictionHard": {
            "imagefs.available": "1%",
            "memory.available": "50Mi",
            "nodefs.available": "1%",
            "nodefs.inodesFree": "1%",
        },
        // Swap belongs to the machine below, not to us.
        "failSwapOn": false,
        "healthzBindAddress": "127.0.0.1",
        "healthzPort": 10248,
        // Images may have been put there by hand; 100 turns their collection off.
        "imageGCHighThresholdPercent": 100,
        "imageGCLowThresholdPercent": 99,
        "readOnlyPort": 0,
        "resolvConf": spec.resolv_conf.as_str(),
        "rotateCertificates": true,
        "serializeImagePulls": false,
        // It serves with a certificate of the cluster's authority, which `serving` approves.
        "serverTLSBootstrap": true,
        "volumePluginDir": VOLUME_PLUGINS,
    });
    if spec.cgroup == CgroupVersion::V1 && place.version().release().fail_cgroup_v1.is_some() {
        config["failCgroupV1"] = false.into();
    }
    if spec.shape == Shape::StaticPods {
        kubeadm::local_kubelet_config(place, &mut config);
    }
    hardened::kubelet(place, &mut config);
    config
}
