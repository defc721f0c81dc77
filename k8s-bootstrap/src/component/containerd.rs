//! containerd, in the configuration format of its major version.

use super::{Component, Gate, Place, UnitOptions};
use crate::{Containerd, ContainerdMajor, NodePath};
use host_exec::File;

const CONFIG: &str = "/etc/containerd/config.toml";

/// The definition of the container runtime of any node.
pub fn component(place: Place<'_>, own: &Containerd) -> Component {
    let program = &own.program;
    // An older shim found first would not understand a newer containerd.
    let path = format!(
        "{}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        program.parent()
    );
    Component {
        name: "containerd",
        description: "Container runtime",
        program: program.as_str().to_owned(),
        arguments: vec![format!("--config={CONFIG}")],
        environment: vec![("PATH", path)],
        files: vec![File::public(CONFIG, config(place, own))],
        reads: Vec::new(),
        follows: Vec::new(),
        gate: Gate::AtOnce,
        options: UnitOptions {
            unit: vec![("After", "network.target".into())],
            // As in containerd's own unit: containers outlive a restart and are limited by their own cgroups.
            service: vec![
                ("Delegate", "yes".into()),
                ("KillMode", "process".into()),
                ("LimitCORE", "infinity".into()),
                ("LimitNPROC", "infinity".into()),
                ("TasksMax", "infinity".into()),
            ],
            ..UnitOptions::default()
        },
    }
}

fn config(place: Place<'_>, own: &Containerd) -> String {
    match own.major {
        ContainerdMajor::V1 => version_2(place, own),
        ContainerdMajor::V2 => version_3(place, own),
    }
}

/// <https://github.com/containerd/containerd/blob/release/1.7/docs/cri/config.md>.
fn version_2(place: Place<'_>, own: &Containerd) -> String {
    let spec = place.cluster;
    format!(
        "version = 2\n\
         \n\
         [plugins.\"io.containerd.grpc.v1.cri\"]\n\
         restrict_oom_score_adj = {restrict}\n\
         sandbox_image = \"{pause}\"\n\
         \n\
         [plugins.\"io.containerd.grpc.v1.cri\".cni]\n\
         bin_dir = \"{bin_dir}\"\n\
         conf_dir = \"{conf_dir}\"\n\
         \n{runtime}",
        restrict = own.restrict_oom_score_adj,
        pause = spec.images.pause,
        bin_dir = spec
            .cni_bin_dirs
            .first()
            .map_or("/opt/cni/bin", NodePath::as_str),
        conf_dir = super::cni::CONF_DIR,
        runtime = runtime("io.containerd.grpc.v1.cri", &own.oci_runtime),
    )
}

/// <https://github.com/containerd/containerd/blob/release/2.1/docs/cri/config.md>.
fn version_3(place: Place<'_>, own: &Containerd) -> String {
    let spec = place.cluster;
    let bin_dirs: Vec<String> = spec
        .cni_bin_dirs
        .iter()
        .map(|dir| format!("\"{dir}\""))
        .collect();
    format!(
        "version = 3\n\
         \n\
         [plugins.\"io.containerd.cri.v1.images\".pinned_images]\n\
         sandbox = \"{pause}\"\n\
         \n\
         [plugins.\"io.containerd.cri.v1.runtime\"]\n\
         restrict_oom_score_adj = {restrict}\n\
         \n\
         [plugins.\"io.containerd.cri.v1.runtime\".cni]\n\
         bin_dirs = [{bin_dirs}]\n\
         conf_dir = \"{conf_dir}\"\n\
         \n{runtime}",
        pause = spec.images.pause,
        restrict = own.restrict_oom_score_adj,
        bin_dirs = bin_dirs.join(", "),
        conf_dir = super::cni::CONF_DIR,
        runtime = runtime("io.containerd.cri.v1.runtime", &own.oci_runtime),
    )
}

/// runc and crun share one shim; which of them it calls is an option.
fn runtime(plugin: &str, oci_runtime: &NodePath) -> String {
    format!(
        "[plugins.\"{plugin}\".containerd]\n\
         default_runtime_name = \"oci\"\n\
         \n\
         [plugins.\"{plugin}\".containerd.runtimes.oci]\n\
         runtime_type = \"io.containerd.runc.v2\"\n\
         \n\
         [plugins.\"{plugin}\".containerd.runtimes.oci.options]\n\
         BinaryName = \"{oci_runtime}\"\n\
         SystemdCgroup = true\n"
    )
}
