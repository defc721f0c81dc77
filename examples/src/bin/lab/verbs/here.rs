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
    let bhyve = BhyveSpec::default();
    format!(
        include_str!("lab.toml.in"),
        name = spec.name,
        oldest = artifacts::OLDEST_MINOR,
        newest = artifacts::NEWEST_MINOR,
        kubernetes = spec.kubernetes,
        runtime = spec.runtime.as_str(),
        shape = spec.shape.as_str(),
        profile = spec.profile.as_str(),
        patience = spec.patience,
        etcd = spec.machines.etcd,
        control_planes = spec.machines.control_planes,
        workers = spec.machines.workers,
        keep = SnapshotsSpec::default().keep,
        encryption_algorithm = spec.pki.encryption_algorithm,
        leaf_days = spec.pki.certificate_validity_days,
        ca_days = spec.pki.ca_certificate_validity_days,
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
