//! What to type when a lab is up.

use crate::{args::Global, settings};
use cluster_lab::{Lab, LabSpec, WEB_IMAGE};
use std::path::Path;

/// The port on which [`WEB_IMAGE`] listens.
const WEB_PORT: u16 = 8080;

/// The first things that one does with a lab.
pub(crate) fn text(lab: &Lab, global: &Global, kubeconfig: &Path) -> String {
    let lab = command(lab, global);
    // A tag other than `latest` is pulled only where it is not there yet, and this image is there.
    let deployment = format!("create deployment web --replicas 2 --image {WEB_IMAGE}");
    let lines = [
        ("what runs", format!("{lab} status")),
        ("the proof, with packets", format!("{lab} check")),
        ("its nodes", format!("{lab} kubectl get nodes -o wide")),
        (
            "with your own kubectl",
            format!("export KUBECONFIG={}", kubeconfig.display()),
        ),
        ("a first Deployment", format!("{lab} kubectl {deployment}")),
        (
            "and its Service",
            format!("{lab} kubectl expose deployment web --port 80 --target-port {WEB_PORT}"),
        ),
        (
            "their state",
            format!("{lab} kubectl get pods,services -o wide"),
        ),
        ("the end", format!("{lab} down")),
    ];
    let width = lines.iter().map(|(what, _)| what.len()).max().unwrap_or(0);
    let line = |(what, command): &(&str, String)| format!("  {what:width$}  {command}\n");
    lines.iter().map(line).collect()
}

/// The words that begin every command about this lab: options as far as it would not be meant without them.
pub(crate) fn command(lab: &Lab, global: &Global) -> String {
    let mut words = settings::command_name();
    if lab.spec.name != LabSpec::default().name {
        words.push_str(&format!(" --name {}", lab.spec.name));
    }
    if global.state_dir.is_some() {
        words.push_str(&format!(" --state-dir {}", lab.places.state.display()));
    }
    words
}
