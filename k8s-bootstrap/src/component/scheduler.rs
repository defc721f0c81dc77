//! kube-scheduler: kubeadm's flags.

use super::{
    Component, Flags, Gate, Place, UnitOptions,
    controller_manager::{elect, spare_or},
    files_in,
};
use crate::hardened;

pub(crate) const KUBECONFIG: &str = "/etc/kubernetes/scheduler.conf";

/// The definition of the scheduler of a control plane.
pub fn component(place: Place<'_>) -> Component {
    let mut flags = Flags::default();
    flags
        .set("authentication-kubeconfig", KUBECONFIG)
        .set("authorization-kubeconfig", KUBECONFIG)
        .set("bind-address", "127.0.0.1")
        .set("kubeconfig", KUBECONFIG);
    elect(place, &mut flags);
    hardened::scheduler(place, &mut flags);
    let arguments = flags.into_arguments();
    let (reads, follows) = files_in(&arguments, &[]);
    Component {
        name: "kube-scheduler",
        description: "Kubernetes scheduler",
        program: place.program("kube-scheduler"),
        reads,
        follows,
        arguments,
        environment: Vec::new(),
        files: Vec::new(),
        // Before its roles exist it collects "forbidden" answers and backs off.
        gate: spare_or(place, Gate::ApiReady),
        options: UnitOptions::default(),
    }
}
