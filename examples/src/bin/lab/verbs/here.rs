//! Verbs about files and this program: `kubeconfig`, `init`, `completions`.

use crate::{
    args::{Cli, Format, Global},
    exit::{Ended, Exit},
    screen,
    wanted::{self, DEFAULT_FILE},
};
use anyhow::Context;
use clap::CommandFactory;
use cluster_lab::LabSpec;
use serde_json::json;
use std::{
    fs::{self, OpenOptions},
    io::{self, Write},
    path::PathBuf,
};

/// `lab kubeconfig`.
pub(crate) fn kubeconfig(global: &Global, raw: bool) -> anyhow::Result<Exit> {
    let path = wanted::existing(global)?.state().kubeconfig();
    if !path.exists() {
        let message = "the lab has no kubeconfig yet; `lab up` makes it";
        return Err(Ended::no_such_lab(message));
    }
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
        patience,
        ..
    } = spec;
    let (oldest, newest) = (artifacts::OLDEST_MINOR, artifacts::NEWEST_MINOR);
    format!(
        "\
# A lab, for `lab up`. Every field may be left out; what is written here is what counts then.

# From this name those of namespaces, interfaces and directories are made: a-z, 0-9 and -.
name = \"{name}\"

# 1.{oldest}.x up to 1.{newest}.x; the versions of etcd and CoreDNS follow from it.
kubernetes = \"{kubernetes}\"

# The program under containerd that starts containers: crun or runc.
runtime = \"{runtime}\"

# Multiplies every time limit; more than 1 for slow machines.
patience = {patience:?}

[machines]
# Members of etcd, on machines of their own: 1, 3 or 5.
etcd = {etcd}
# More than one is not supported yet.
control_planes = {control_planes}
# 1 to 20; may grow while the lab runs.
workers = {workers}

# Networks are chosen so that they clash with nothing on this machine. To have them at a certain place:
[network]
# v4 = \"10.99.0.0/16\"
# v6 = \"fd12:3456:789a::/48\"
# What `lab plan` finds to say about them, and is meant so:
# allow = [{{ lint = \"route-shadowed\", reason = \"that VPN is never up together with the lab\" }}]
",
        runtime = runtime.as_str(),
        etcd = machines.etcd,
        control_planes = machines.control_planes,
        workers = machines.workers,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_commented_file_is_the_default_lab_and_its_examples_are_possible() {
        let text = commented(&LabSpec::default());
        assert_eq!(LabSpec::from_toml(&text).unwrap(), LabSpec::default());
        let spec =
            LabSpec::from_toml(&text.replace("# v", "v").replace("# allow", "allow")).unwrap();
        assert_eq!(spec.network.v4.unwrap().to_string(), "10.99.0.0/16");
        assert_eq!(spec.network.v6.unwrap().to_string(), "fd12:3456:789a::/48");
        assert_eq!(spec.network.allow.len(), 1);
        spec.check().unwrap();
    }
}
