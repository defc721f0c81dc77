//! CRI-O, of the same minor as Kubernetes.
//!
//! Written by its manual pages and by the files of its own packages (<https://github.com/cri-o/packaging>): no CRI-O
//! could be had where this was made, so no CRI-O has read these files yet.

use super::{Component, Gate, Place, UnitOptions};
use crate::{Crio, NodePath};
use host_exec::File;

/// The file that is sorted last counts (crio.conf.d(5)), and CRI-O's own packages have a `10-crio.conf` there, with another
/// default runtime.
const CONFIG: &str = "/etc/crio/crio.conf.d/90-cluster.conf";
/// Whose images are taken (containers-policy.json(5)); CRI-O does not start without one. Its packages keep their own
/// `policy.json` beside it, and write it again when they are upgraded.
const POLICY: &str = "/etc/crio/cluster-policy.json";
/// Where images are looked for. Here too the last one counts (containers-registries.conf.d(5)): after the `crio.conf` of
/// the packages, which names two registries.
const REGISTRIES: &str = "/etc/containers/registries.conf.d/zz-cluster.conf";

/// The definition of the container runtime of any node.
pub fn component(place: Place<'_>, own: &Crio) -> Component {
    Component {
        name: "crio",
        description: "Container runtime",
        program: own.program.as_str().to_owned(),
        arguments: Vec::new(),
        environment: Vec::new(),
        files: vec![
            File::public(CONFIG, config(place, own)),
            File::public(POLICY, policy()),
            File::public(REGISTRIES, registries()),
        ],
        reads: Vec::new(),
        follows: Vec::new(),
        gate: Gate::AtOnce,
        options: UnitOptions {
            unit: vec![("After", "network.target".into())],
            // As in CRI-O's own unit (contrib/systemd/crio.service). Monitors of containers are in the containers'
            // cgroups, so a restart ends none.
            service: vec![
                ("Delegate", "yes".into()),
                ("KillMode", "process".into()),
                ("LimitCORE", "infinity".into()),
                ("LimitNOFILE", "1048576".into()),
                ("LimitNPROC", "1048576".into()),
                ("TasksMax", "infinity".into()),
            ],
            ..UnitOptions::default()
        },
    }
}

/// crio.conf(5).
fn config(place: Place<'_>, own: &Crio) -> String {
    let spec = place.cluster;
    let plugin_dirs: Vec<String> = spec
        .cni_bin_dirs
        .iter()
        .map(NodePath::as_str)
        .map(|dir| format!("\"{dir}\""))
        .collect();
    format!(
        "[crio.api]\n\
         listen = \"{socket}\"\n\
         \n\
         [crio.runtime]\n\
         cgroup_manager = \"systemd\"\n\
         default_runtime = \"oci\"\n\
         \n\
         [crio.runtime.runtimes.oci]\n\
         monitor_cgroup = \"pod\"\n\
         monitor_path = \"{monitor}\"\n\
         runtime_path = \"{runtime}\"\n\
         runtime_root = \"/run/oci\"\n\
         runtime_type = \"oci\"\n\
         \n\
         [crio.image]\n\
         pause_image = \"{pause}\"\n\
         pinned_images = [\"{pause}\"]\n\
         signature_policy = \"{POLICY}\"\n\
         \n\
         [crio.network]\n\
         cni_default_network = \"{network}\"\n\
         network_dir = \"{conf_dir}\"\n\
         plugin_dirs = [{plugin_dirs}]\n",
        socket = spec.runtime.socket(),
        runtime = own.oci_runtime,
        monitor = own.monitor,
        // Its packages bring a network of their own, whose name may be sorted before ours.
        network = super::cni::NETWORK,
        pause = spec.images.pause,
        conf_dir = super::cni::CONF_DIR,
        plugin_dirs = plugin_dirs.join(", "),
    )
}

/// As containerd: every image is taken, and its digest is what names it.
fn policy() -> String {
    let policy = serde_json::json!({"default": [{"type": "insecureAcceptAnything"}]});
    format!("{policy:#}\n")
}

/// A short name is Docker Hub's, as with containerd and everywhere in Kubernetes, and never a matter of guessing
/// (<https://kubernetes.io/docs/concepts/containers/images/#image-names>).
fn registries() -> String {
    "unqualified-search-registries = [\"docker.io\"]\nshort-name-mode = \"enforcing\"\n".to_owned()
}
