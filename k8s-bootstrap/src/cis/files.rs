//! 1.1: files of control planes and of etcd's machines.

use super::{
    check::{
        Check,
        Duty::{ControlPlane, Etcd},
    },
    facts::Program,
    rule::{Files, Rule},
};

const ROOT: &str = "root:root";
const PKI: &str = "/etc/kubernetes/pki";
const CNI: &str = "/etc/cni/net.d";
const ADMINISTRATORS: Files = Files::At(&[
    "/etc/kubernetes/admin.conf",
    "/etc/kubernetes/super-admin.conf",
]);
const API_SERVER: Files = Files::Definition(Program::ApiServer);
const CONTROLLERS: Files = Files::Definition(Program::ControllerManager);
const SCHEDULER: Files = Files::Definition(Program::Scheduler);
const MEMBER: Files = Files::Definition(Program::Etcd);
const DATA: Files = Files::Named(Program::Etcd, "data-dir");
const OF_SCHEDULER: Files = Files::Named(Program::Scheduler, "kubeconfig");
const OF_CONTROLLERS: Files = Files::Named(Program::ControllerManager, "kubeconfig");

#[rustfmt::skip]
pub(super) const CHECKS: &[Check] = &[
    Check::automated("1.1.1", "definition of the API server: at most 600", ControlPlane, Rule::Mode(API_SERVER, 0o600)),
    Check::automated("1.1.2", "definition of the API server: root's", ControlPlane, Rule::Owner(API_SERVER, ROOT)),
    Check::automated("1.1.3", "definition of the controller manager: at most 600", ControlPlane, Rule::Mode(CONTROLLERS, 0o600)),
    Check::automated("1.1.4", "definition of the controller manager: root's", ControlPlane, Rule::Owner(CONTROLLERS, ROOT)),
    Check::automated("1.1.5", "definition of the scheduler: at most 600", ControlPlane, Rule::Mode(SCHEDULER, 0o600)),
    Check::automated("1.1.6", "definition of the scheduler: root's", ControlPlane, Rule::Owner(SCHEDULER, ROOT)),
    Check::automated("1.1.7", "definition of etcd: at most 600", Etcd, Rule::Mode(MEMBER, 0o600)),
    Check::automated("1.1.8", "definition of etcd: root's", Etcd, Rule::Owner(MEMBER, ROOT)),
    Check::judged("1.1.9", "configuration of the pod network: at most 600", ControlPlane, Rule::Mode(Files::Below(CNI, ".conflist"), 0o600)),
    Check::judged("1.1.10", "configuration of the pod network: root's", ControlPlane, Rule::Owner(Files::Below(CNI, ""), ROOT)),
    Check::automated("1.1.11", "data of etcd: at most 700", Etcd, Rule::Mode(DATA, 0o700)),
    Check::automated("1.1.12", "data of etcd: of a user etcd", Etcd, Rule::Owner(DATA, "etcd:etcd")),
    Check::automated("1.1.13", "kubeconfigs of administrators: at most 600", ControlPlane, Rule::Mode(ADMINISTRATORS, 0o600)),
    Check::automated("1.1.14", "kubeconfigs of administrators: root's", ControlPlane, Rule::Owner(ADMINISTRATORS, ROOT)),
    Check::automated("1.1.15", "kubeconfig of the scheduler: at most 600", ControlPlane, Rule::Mode(OF_SCHEDULER, 0o600)),
    Check::automated("1.1.16", "kubeconfig of the scheduler: root's", ControlPlane, Rule::Owner(OF_SCHEDULER, ROOT)),
    Check::automated("1.1.17", "kubeconfig of the controller manager: at most 600", ControlPlane, Rule::Mode(OF_CONTROLLERS, 0o600)),
    Check::automated("1.1.18", "kubeconfig of the controller manager: root's", ControlPlane, Rule::Owner(OF_CONTROLLERS, ROOT)),
    Check::automated("1.1.19", "certificates and keys: root's", ControlPlane, Rule::Owner(Files::Below(PKI, ""), ROOT)),
    Check::judged("1.1.20", "certificates: at most 644", ControlPlane, Rule::Mode(Files::Below(PKI, ".crt"), 0o644)),
    Check::judged("1.1.21", "keys: at most 600", ControlPlane, Rule::Mode(Files::Below(PKI, ".key"), 0o600)),
];
