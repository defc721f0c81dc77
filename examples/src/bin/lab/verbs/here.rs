//! Verbs about files and this program: `kubeconfig`, `init`, `completions`.

use crate::{
    args::{Cli, Format, Global},
    exit::{Ended, Exit},
    screen,
    wanted::{self, DEFAULT_FILE},
};
use anyhow::Context;
use clap::CommandFactory;
use cluster_lab::{BhyveSpec, LabSpec, SnapshotsSpec, VmSize};
use serde_json::json;
use std::{
    fs::{self, OpenOptions},
    io::{self, Write},
    path::PathBuf,
};

/// `lab kubeconfig`.
pub(crate) async fn kubeconfig(global: &Global, raw: bool) -> anyhow::Result<Exit> {
    let lab = wanted::existing(global)?;
    let path = lab.state().kubeconfig();
    if !path.exists() {
        let message = "the lab has no kubeconfig yet; `lab up` makes it";
        return Err(Ended::no_such_lab(message));
    }
    lab.reach_api().await?;
    if raw {
        let text = fs::read_to_string(&path);
        screen::print(&text.with_context(|| format!("cannot read {}", path.display()))?)?;
        return Ok(Exit::DONE);
    }
    match global.output {
        Format::Json => screen::print_json(&json!({ "kubeconfig": path }))?,
        Format::Text => screen::print(&format!("{}\n", path.display()))?,
    }
    Ok(Exit::DONE)
}

/// `lab init`.
pub(crate) fn init(global: &Global) -> anyhow::Result<Exit> {
    let path = global
        .file
        .clone()
        .unwrap_or_else(|| PathBuf::from(DEFAULT_FILE));
    let made = OpenOptions::new().write(true).create_new(true).open(&path);
    let mut file = match made {
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {
            return Err(Ended::bad_input(format!(
                "{} is there already and is left as it is; write another with --file FILE",
                path.display()
            )));
        }
        made => made.with_context(|| format!("cannot make {}", path.display()))?,
    };
    let written = file.write_all(commented(&default(global)).as_bytes());
    written.with_context(|| format!("cannot write {}", path.display()))?;
    screen::print(&format!(
        "wrote {}; `lab plan` shows what comes of it\n",
        path.display()
    ))?;
    Ok(Exit::DONE)
}

/// `lab init --dry-run`.
pub(crate) fn would_write(global: &Global) -> anyhow::Result<Exit> {
    screen::print(&commented(&default(global)))?;
    Ok(Exit::DONE)
}

fn default(global: &Global) -> LabSpec {
    let default = LabSpec::default();
    let name = global.name.clone().unwrap_or(default.name);
    LabSpec { name, ..default }
}

/// `lab completions SHELL`.
pub(crate) fn completions(shell: clap_complete::Shell) -> anyhow::Result<Exit> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "lab", &mut script);
    screen::print(&String::from_utf8_lossy(&script))?;
    Ok(Exit::DONE)
}

/// lab.toml with every field at its value in `spec`, and what may be written there.
fn commented(spec: &LabSpec) -> String {
    let LabSpec {
        name,
        kubernetes,
        machines,
        runtime,
        shape,
        profile,
        patience,
        pki,
        ..
    } = spec;
    let (oldest, newest) = (artifacts::OLDEST_MINOR, artifacts::NEWEST_MINOR);
    let bhyve = BhyveSpec::default();
    format!(
        "\
# A lab, for `lab up`. Every field may be left out; what is written here is what counts then.

# From this name those of namespaces, interfaces and directories are made: a-z, 0-9 and -.
name = \"{name}\"

# 1.{oldest}.x up to 1.{newest}.x; the versions of etcd and CoreDNS follow from it.
kubernetes = \"{kubernetes}\"

# A newer one is brought up by the rules of 1.{newest}, if it can be, with:
# unsupported_version = true

# The program under containerd that starts containers: crun or runc. containerd is the first in PATH that lies below /usr,
# 1.6 or later; another one goes to /usr/local/bin with its shim and ctr. containerd 2 needs crun 1.14.3 or later, or runc.
runtime = \"{runtime}\"

# Who keeps the control plane running: services (systemd) or static-pods (the kubelet, as kubeadm has it).
shape = \"{shape}\"

# How much the cluster trusts by default: standard (kubeadm's defaults) or hardened (the CIS benchmark).
profile = \"{profile}\"

# Multiplies every time limit; more than 1 for slow machines.
patience = {patience:?}

[machines]
# Members of etcd, on machines of their own: 1, 3 or 5.
etcd = {etcd}
# 1 to 7; may grow while the lab runs. With several, every node has a balancer, and one address leads to all.
control_planes = {control_planes}
# 1 to 20; may grow while the lab runs.
workers = {workers}

# Each member of etcd can take snapshots of itself by a timer, try each, and keep the newest. When:
[etcd.snapshots]
# 5m to 30m, 1h, 2h, 3h, 4h, 6h, 8h, 12h, 24h, or never. Hours of the day (UTC) may be given instead, as at = [2, 14].
# every = \"12h\"
keep = {keep}

# Networks are chosen so that they clash with nothing on this machine. To have them at a certain place:
[network]
# v4 = \"10.99.0.0/16\"
# v6 = \"fd12:3456:789a::/48\"
# What `lab plan` finds to say about them, and is meant so:
# allow = [{{ lint = \"route-shadowed\", reason = \"that VPN is never up together with the lab\" }}]

# Keys and certificates, in the words of kubeadm.
[pki]
# ECDSA-P256 or ECDSA-P384; in a build with the feature aws-lc-rs also RSA-2048, RSA-3072, RSA-4096.
encryption_algorithm = \"{encryption_algorithm}\"
# Of what is issued from now on: leaves, and authorities.
certificate_validity_days = {leaf_days}
ca_certificate_validity_days = {ca_days}
# Authorities of yours, as kubeadm lays them out: ca.crt and ca.key, front-proxy-ca.*, etcd/ca.*, etcd/peer-ca.*; the
# others are made. Paths are relative to this file.
# authorities = \"/etc/kubernetes/pki\"
# A file of mode 0600 with a pass phrase, under which the keys of the authorities lie in the lab's directory.
# authority_passphrase_file = \"/root/lab-passphrase\"

# What the cluster has beyond its own parts.
[addons]
# metrics-server, for `kubectl top` and autoscalers, now or later: true has it built here with Go; or the name of an image
# that nodes can pull, which namespaces cannot, such as
# \"registry.k8s.io/metrics-server/metrics-server:v0.9.0\". Its first figures come half a minute after `lab up`.
# metrics_server = true

# Machines are namespaces of this machine. To have them as bhyve VMs on a FreeBSD 14 or 15 host:
# [bhyve]
# As ssh(1) reaches it, with your own configuration, agent and jump hosts.
# host = \"ssh://root@bhyve.example\"
# Everything of all labs lies below this dataset.
# dataset = \"{dataset}\"
# The interface to the outside; left out, the one of the default route.
# uplink = \"em0\"
# The guests' system: debian-12, debian-13, or a path or URL of a raw or qcow2 image with its image_checksum.
# image = \"{image}\"
# How IPv6 leaves the lab: auto, nat66, routed (somebody routes network.v6 to the host) or inside (not at all).
# ipv6 = \"auto\"
# etcd = {etcd_size}
# control_plane = {control_plane_size}
# worker = {worker_size}
",
        runtime = runtime.as_str(),
        shape = shape.as_str(),
        profile = profile.as_str(),
        etcd = machines.etcd,
        control_planes = machines.control_planes,
        workers = machines.workers,
        keep = SnapshotsSpec::default().keep,
        encryption_algorithm = pki.encryption_algorithm,
        leaf_days = pki.certificate_validity_days,
        ca_days = pki.ca_certificate_validity_days,
        dataset = bhyve.dataset,
        image = bhyve.image,
        etcd_size = size(bhyve.etcd),
        control_plane_size = size(bhyve.control_plane),
        worker_size = size(bhyve.worker),
    )
}

fn size(size: VmSize) -> String {
    let VmSize {
        cpus,
        memory_mib,
        disk_gib,
    } = size;
    format!("{{ cpus = {cpus}, memory_mib = {memory_mib}, disk_gib = {disk_gib} }}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_commented_file_is_the_default_lab_and_its_examples_are_possible() {
        let text = commented(&LabSpec::default());
        assert_eq!(LabSpec::from_toml(&text).unwrap(), LabSpec::default());
        // Comments that are an example: a key or a table, and nothing like a sentence.
        let example = |line: &str| {
            let bare = line.strip_prefix("# ").unwrap_or_default();
            bare.starts_with('[')
                || bare
                    .split(" = ")
                    .next()
                    .is_some_and(|key| !key.contains(' ') && bare.contains(" = "))
        };
        let line = |line: &str| match example(line) {
            true => format!("{}\n", &line[2..]),
            false => format!("{line}\n"),
        };
        let spec = LabSpec::from_toml(&text.lines().map(line).collect::<String>()).unwrap();
        let bhyve = spec.bhyve.clone().unwrap();
        assert_eq!(bhyve.host.unwrap().to_string(), "root@bhyve.example");
        assert_eq!(
            (bhyve.etcd, bhyve.image),
            (BhyveSpec::default().etcd, BhyveSpec::default().image)
        );
        assert_eq!(spec.network.v4.unwrap().to_string(), "10.99.0.0/16");
        assert_eq!(spec.network.v6.unwrap().to_string(), "fd12:3456:789a::/48");
        assert_eq!(spec.network.allow.len(), 1);
        spec.check().unwrap();
    }
}
