//! CRI-O, of the same minor as Kubernetes.

use super::{Component, Gate, Place, UnitOptions};
use crate::{Crio, NodePath};
use host_exec::File;

const CONFIG: &str = "/etc/crio/crio.conf.d/10-cluster.conf";

/// The definition of the container runtime of any node.
pub fn component(place: Place<'_>, own: &Crio) -> Component {
    Component {
        name: "crio",
        description: "Container runtime",
        program: own.program.as_str().to_owned(),
        arguments: Vec::new(),
        environment: Vec::new(),
        files: vec![File::public(CONFIG, config(place, own))],
        reads: Vec::new(),
        gate: Gate::AtOnce,
        options: UnitOptions {
            oneshot: false,
            unit: vec![("After", "network.target".into())],
            service: vec![
                ("Delegate", "yes".into()),
                ("KillMode", "process".into()),
                ("TasksMax", "infinity".into()),
            ],
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
        "[crio.runtime]\n\
         cgroup_manager = \"systemd\"\n\
         conmon_cgroup = \"pod\"\n\
         default_runtime = \"oci\"\n\
         \n\
         [crio.runtime.runtimes.oci]\n\
         runtime_path = \"{runtime}\"\n\
         \n\
         [crio.image]\n\
         pause_image = \"{pause}\"\n\
         \n\
         [crio.network]\n\
         network_dir = \"{conf_dir}\"\n\
         plugin_dirs = [{plugin_dirs}]\n",
        runtime = own.oci_runtime,
        pause = spec.images.pause,
        conf_dir = super::cni::CONF_DIR,
        plugin_dirs = plugin_dirs.join(", "),
    )
}
