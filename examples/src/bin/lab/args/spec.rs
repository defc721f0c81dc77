//! What a lab is to be.

use artifacts::Version;
use clap::{Args, ValueEnum};
use cluster_lab::OciRuntime;
use host_exec::SshDestination;
use netplan::Allow;
use std::path::PathBuf;

/// What a lab is to be; each goes before the same field of lab.toml.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct SpecArgs {
    /// How many workers.
    #[arg(long, value_name = "N")]
    pub(crate) workers: Option<u16>,
    /// How many members of etcd: 1, 3 or 5.
    #[arg(long, value_name = "N")]
    pub(crate) etcd: Option<u16>,
    /// How many control planes, 1 to 7; may grow while the lab runs.
    #[arg(long, value_name = "N")]
    pub(crate) control_planes: Option<u16>,
    /// The version of Kubernetes, such as 1.37.2.
    #[arg(long, value_name = "VERSION")]
    pub(crate) kubernetes: Option<Version>,
    /// Take a Kubernetes newer than this program knows, by the rules of the newest that it knows.
    #[arg(long)]
    pub(crate) unsupported_version: bool,
    #[command(flatten)]
    pub(crate) on: OnArgs,
    /// The program that starts containers: crun or runc [default: crun].
    #[arg(long, value_name = "PROGRAM")]
    pub(crate) runtime: Option<OciRuntime>,
    /// Who keeps the control plane running [default: services].
    #[arg(long, value_enum)]
    pub(crate) shape: Option<Shape>,
    /// How much the cluster trusts by default [default: standard].
    #[arg(long, value_enum)]
    pub(crate) profile: Option<Profile>,
    /// Have metrics-server, built here with Go, for `kubectl top` and autoscalers.
    #[arg(long)]
    pub(crate) metrics_server: bool,
    /// Multiply every time limit, for slow machines.
    #[arg(long, value_name = "FACTOR")]
    pub(crate) patience: Option<f64>,
    /// Let something that `plan` finds stay as it is, and say why; may be given again.
    #[arg(long, value_name = "LINT=REASON", value_parser = allow)]
    pub(crate) allow: Vec<Allow>,
}

/// What the machines of a lab are, and where; each goes before the same field of lab.toml.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct OnArgs {
    /// What the machines are [default: namespaces, or bhyve with --host].
    #[arg(long, value_enum)]
    pub(crate) machines: Option<MachineKind>,
    /// The FreeBSD host of bhyve machines, such as ssh://root@host; your ssh configuration counts.
    #[arg(long, value_name = "DESTINATION")]
    pub(crate) host: Option<SshDestination>,
    /// An ssh_config(5) in place of your own.
    #[arg(long, value_name = "FILE")]
    pub(crate) ssh_config: Option<PathBuf>,
}

/// What a machine is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum MachineKind {
    /// Namespaces of this machine.
    Namespaces,
    /// bhyve VMs on a FreeBSD host.
    Bhyve,
}

/// Reads `LINT=REASON`.
fn allow(text: &str) -> Result<Allow, String> {
    match text.split_once('=') {
        Some((lint, reason)) if !lint.is_empty() && !reason.trim().is_empty() => Ok(Allow {
            lint: lint.to_owned(),
            reason: reason.trim().to_owned(),
        }),
        _ => Err("write the name of the lint, =, and the reason why it may stay".to_owned()),
    }
}

/// Who keeps the programs of the control plane running.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Shape {
    /// systemd: each program is a service.
    Services,
    /// The kubelet, from static pods as kubeadm writes them.
    StaticPods,
}

impl From<Shape> for cluster_lab::Shape {
    fn from(shape: Shape) -> Self {
        match shape {
            Shape::Services => Self::Services,
            Shape::StaticPods => Self::StaticPods,
        }
    }
}

/// How much the cluster trusts by default.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Profile {
    /// kubeadm's defaults.
    Standard,
    /// What the CIS benchmark asks for and a program can check.
    Hardened,
}

impl From<Profile> for cluster_lab::Profile {
    fn from(profile: Profile) -> Self {
        match profile {
            Profile::Standard => Self::Standard,
            Profile::Hardened => Self::Hardened,
        }
    }
}
