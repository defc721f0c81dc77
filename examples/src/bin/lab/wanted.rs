//! Which lab is meant: from options, lab.toml and what is remembered.

use crate::{
    args::{Global, MachineKind, OnArgs, SpecArgs},
    exit::Ended,
    screen, settings,
};
use anyhow::Context;
use artifacts::{Architecture, Wanted};
use cluster_lab::{Lab, LabSpec, MetricsServer, Places};
use netplan::LabName;
use pki::Passphrase;
use std::path::{Path, PathBuf};
use time::OffsetDateTime;

/// Read when no `--file` is given and it is there.
pub(crate) const DEFAULT_FILE: &str = "lab.toml";

/// The lab that `up` and `plan` are asked for: options before lab.toml, and without one, what was last asked for
/// under this name, so that `lab up` goes on where `lab up --workers 2` was interrupted.
///
/// # Errors
///
/// A file that cannot be read or makes no sense; a damaged record.
pub(crate) fn asked_for(global: &Global, args: &SpecArgs) -> anyhow::Result<Lab> {
    let places = settings::places(global)?;
    let mut spec = match file(global) {
        Some(path) => LabSpec::from_file(&path)?,
        None => {
            let name = global.name.clone().unwrap_or(LabSpec::default().name);
            remembered(&places, &name)?.unwrap_or(LabSpec {
                name,
                ..LabSpec::default()
            })
        }
    };
    if let Some(name) = &global.name {
        spec.name = name.clone();
    }
    let machines = &mut spec.machines;
    machines.workers = args.workers.unwrap_or(machines.workers);
    machines.etcd = args.etcd.unwrap_or(machines.etcd);
    machines.control_planes = args.control_planes.unwrap_or(machines.control_planes);
    spec.kubernetes = args.kubernetes.unwrap_or(spec.kubernetes);
    spec.unsupported_version |= args.unsupported_version;
    spec.runtime = args.runtime.unwrap_or(spec.runtime);
    spec.shape = args.shape.map_or(spec.shape, Into::into);
    spec.profile = args.profile.map_or(spec.profile, Into::into);
    if args.metrics_server {
        spec.addons.metrics_server = MetricsServer::Built;
    }
    spec.patience = args.patience.unwrap_or(spec.patience);
    on(&mut spec, &args.on)?;
    for allow in &args.allow {
        // The newest reason counts, also where the lab remembers one.
        spec.network.allow.retain(|known| known.lint != allow.lint);
        spec.network.allow.push(allow.clone());
    }
    spec.check()?;
    if let Some(warning) = spec.kubernetes_version()?.warning() {
        screen::tell(&format!("warning: {warning}.\n"));
    }
    let passphrase = passphrase(&spec)?;
    Ok(lab(spec, places).with_passphrase(passphrase))
}

/// The pass phrase of the authorities' keys, if they have one.
fn passphrase(spec: &LabSpec) -> anyhow::Result<Option<Passphrase>> {
    let file = spec.pki.authority_passphrase_file.as_deref();
    let read = file.map(Passphrase::from_file).transpose();
    read.context("cannot use pki.authority_passphrase_file")
}

/// What the machines are, and where: options before what is known.
fn on(spec: &mut LabSpec, args: &OnArgs) -> anyhow::Result<()> {
    match args.machines {
        Some(MachineKind::Namespaces) if args.host.is_some() => {
            let message = "--host is for bhyve machines; leave it out, or say --machines bhyve";
            return Err(Ended::bad_input(message));
        }
        Some(MachineKind::Namespaces) => spec.bhyve = None,
        Some(MachineKind::Bhyve) => drop(spec.bhyve.get_or_insert_default()),
        None => {}
    }
    if let Some(host) = &args.host {
        spec.bhyve.get_or_insert_default().host = Some(host.clone());
    }
    if let Some(file) = &args.ssh_config {
        let file = std::path::absolute(file).context("cannot find the --ssh-config")?;
        match &mut spec.bhyve {
            Some(bhyve) => bhyve.ssh_config = Some(file),
            None => {
                let message = "--ssh-config is for bhyve machines; say --host or --machines bhyve";
                return Err(Ended::bad_input(message));
            }
        }
    }
    Ok(())
}

/// The lab that is there.
///
/// # Errors
///
/// There is none of this name; its record cannot be read.
pub(crate) fn existing(global: &Global) -> anyhow::Result<Lab> {
    let places = settings::places(global)?;
    let name = name(global)?;
    let Some(spec) = remembered(&places, &name)? else {
        return Err(no_such_lab(&places, &name));
    };
    // Most verbs need no key of an authority: those that do say that it is closed.
    let passphrase = passphrase(&spec).unwrap_or_else(|error| {
        screen::tell(&format!("warning: {error:#}.\n"));
        None
    });
    Ok(lab(spec, places).with_passphrase(passphrase))
}

/// The lab that is there, or one that would be on the host that is named: to look at that host.
///
/// # Errors
///
/// As [`existing`], where no host is named.
pub(crate) fn on_host(global: &Global, args: &OnArgs) -> anyhow::Result<Lab> {
    if args.host.is_none() && args.ssh_config.is_none() {
        return existing(global);
    }
    let args = SpecArgs {
        on: args.clone(),
        ..SpecArgs::default()
    };
    asked_for(global, &args)
}

/// The lab of this name, whether it is there or not: enough to take it down.
///
/// # Errors
///
/// lab.toml decides the name and cannot be read.
pub(crate) fn by_name(global: &Global) -> anyhow::Result<Lab> {
    let (places, name) = (settings::places(global)?, name(global)?);
    // What is damaged is not needed for namespaces, which are found by the lab's name.
    let remembered = remembered(&places, &name).ok().flatten();
    // Of VMs nothing would be found without their host, which lab.toml may still name.
    let described = || file(global).and_then(|path| LabSpec::from_file(&path).ok());
    let spec = remembered.unwrap_or_else(|| LabSpec {
        name,
        ..described().unwrap_or_default()
    });
    Ok(lab(spec, places))
}

/// The directory with the lab's programs.
///
/// # Errors
///
/// The lab is of a version or for a processor that this program does not know.
pub(crate) fn program_dir(lab: &Lab) -> anyhow::Result<PathBuf> {
    let wanted = Wanted::lab(lab.spec.versions()?, Architecture::here()?);
    let places = artifacts::Places::new(lab.places.cache.clone(), lab.places.path_dirs.clone());
    Ok(places.set_dir(&wanted))
}

fn lab(spec: LabSpec, places: Places) -> Lab {
    Lab::new(spec, places, OffsetDateTime::now_utc())
}

fn name(global: &Global) -> anyhow::Result<LabName> {
    match (&global.name, file(global)) {
        (Some(name), _) => Ok(name.clone()),
        (None, Some(path)) => Ok(LabSpec::from_file(&path)?.name),
        (None, None) => Ok(LabSpec::default().name),
    }
}

fn file(global: &Global) -> Option<PathBuf> {
    let default = || Some(PathBuf::from(DEFAULT_FILE)).filter(|path| path.exists());
    global.file.clone().or_else(default)
}

fn remembered(places: &Places, name: &LabName) -> anyhow::Result<Option<LabSpec>> {
    let record = places.lab(name).record();
    Ok(record
        .context(format!("cannot use lab {name}"))?
        .map(|record| record.spec))
}

fn no_such_lab(places: &Places, name: &LabName) -> anyhow::Error {
    let others = others(&places.state);
    let others = match others.as_slice() {
        [] => String::new(),
        names => format!(" (there is {})", names.join(", ")),
    };
    Ended::no_such_lab(format!(
        "there is no lab {name} in {}{others}; make it with `lab up`, or say which one with --name NAME or \
        --state-dir DIR",
        places.state.display()
    ))
}

fn others(state: &Path) -> Vec<String> {
    let entries = state.read_dir().into_iter().flatten().flatten();
    let labs = entries.filter(|entry| entry.path().join("lab.json").exists());
    let mut names: Vec<String> = labs
        .filter_map(|entry| entry.file_name().into_string().ok())
        .collect();
    names.sort();
    names
}
