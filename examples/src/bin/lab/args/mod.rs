//! The command line.

mod certs;
mod etcd;
mod machines;
mod spec;

pub(crate) use certs::{CertificateUsage, CertsVerb, ExportArgs, SignArgs};
pub(crate) use etcd::{EtcdVerb, MemberVerb};
pub(crate) use machines::{DrainArgs, NodeVerb, VmVerb};
pub(crate) use spec::{MachineKind, OnArgs, SpecArgs};

use artifacts::{ProgramName, Version};
use clap::{Args, CommandFactory, Parser, Subcommand, ValueEnum};
use netplan::LabName;
use std::{ffi::OsString, path::PathBuf};

/// What `--help` ends with.
const EXIT_STATUS: &str = "\
Exit status:
  0    done, or nothing to do
  1    something failed; the message says what, and what to do
  2    wrong usage, or a lab that cannot be
  3    `check` found something that is not as it has to be, `doctor` something that is missing, `certs` a certificate that
       ends soon (less than a tenth of its life is left) or a machine with another one, `certs rotate` pods that hold
       what would be dropped
  4    there is no such lab
  130  interrupted
`kubectl`, `exec`, `shell` and `logs` end with the status of the program that they run.

Files:
  ./lab.toml                what is wanted, if it is there (see `lab init`)
  $XDG_STATE_HOME/lab/NAME  keys, kubeconfig, addresses and events of a lab (default ~/.local/state)
  $XDG_CACHE_HOME/lab       programs and images, shared by all labs (default ~/.cache)";

/// A highly available Kubernetes lab: real etcd, real Kubernetes; machines are namespaces of this machine, or bhyve VMs
/// on a FreeBSD host.
#[derive(Debug, Parser)]
#[command(name = "lab", version, after_help = EXIT_STATUS, propagate_version = false)]
#[command(disable_help_subcommand = true)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) verb: Verb,
}

/// Options that every verb takes, before or after it.
#[derive(Debug, Args)]
#[command(next_help_heading = "Global options")]
pub(crate) struct Global {
    /// What is wanted [default: ./lab.toml, if it is there].
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) file: Option<PathBuf>,
    /// The lab [default: that of the file, else `lab`].
    #[arg(long, global = true)]
    pub(crate) name: Option<LabName>,
    /// Where labs are kept [default: $XDG_STATE_HOME/lab].
    #[arg(long, global = true, value_name = "DIR")]
    pub(crate) state_dir: Option<PathBuf>,
    /// A directory whose programs go before those of the cache.
    #[arg(long, global = true, value_name = "DIR")]
    pub(crate) bin_dir: Option<PathBuf>,
    /// How results are printed.
    #[arg(long, global = true, value_enum, default_value = "text")]
    pub(crate) output: Format,
    /// Say what would be done, and do nothing (`up`, `upgrade`, `down`, `node`, `certs`,
    /// `init`).
    #[arg(long, global = true)]
    pub(crate) dry_run: bool,
    /// Tell more while working.
    #[arg(short, long, global = true)]
    pub(crate) verbose: bool,
}

/// How results are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For people.
    Text,
    /// For programs: one object, or one object per line for `up` and `down`.
    Json,
}

/// What is to be done.
#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Write a commented lab.toml.
    Init,
    /// Show everything that `up` would do, and do nothing.
    Plan(SpecArgs),
    /// Bring the lab up, from whatever is there now.
    Up {
        #[command(flatten)]
        spec: SpecArgs,
        /// End with all steps and their times, as a chart.
        #[arg(long)]
        timings: bool,
        /// Write the chart as SVG too.
        #[arg(long, value_name = "FILE")]
        timings_svg: Option<PathBuf>,
    },
    /// Go to a newer Kubernetes, one machine at a time; finishes an upgrade that was interrupted.
    Upgrade {
        /// The version, of the same minor or the next.
        #[arg(long, value_name = "VERSION")]
        to: Version,
    },
    /// Get the programs of the lab, as `up` does first, and print their directory. Needs no root.
    Programs {
        #[command(flatten)]
        spec: SpecArgs,
        /// Another program instead of those of the lab, such as kubeadm, which joins them in that directory.
        #[arg(long, hide = true, value_name = "PROGRAM")]
        only: Option<ProgramName>,
    },
    /// Show machines and services at a glance.
    Status,
    /// Prove with packets and answers that everything is as it has to be.
    Check {
        /// Judge the machines by the CIS Kubernetes Benchmark instead, and show what was seen. A lab of the profile
        /// hardened ends with status 3 if a check fails; a standard one shows the same and ends with 0.
        #[arg(long)]
        cis: bool,
    },
    /// Run the lab's kubectl; everything after the word is kubectl's own.
    #[command(disable_help_flag = true)]
    Kubectl {
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<String>,
    },
    /// Print the path of the administrator's kubeconfig.
    Kubeconfig {
        /// Print the contents instead.
        #[arg(long)]
        raw: bool,
    },
    /// Run a command in a machine.
    Exec {
        /// The machine, such as `cp-0`.
        node: String,
        /// The command and its arguments.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true, required = true)]
        command: Vec<String>,
    },
    /// Open a shell in a machine.
    Shell {
        /// The machine, such as `cp-0`.
        node: String,
    },
    /// Show the journal of a machine, also of one that is down.
    Logs {
        /// The machine, such as `cp-0`.
        node: String,
        /// Only this unit, such as `kubelet`.
        unit: Option<String>,
        /// Go on with what is added.
        #[arg(short, long)]
        follow: bool,
        /// Only so many of the newest lines.
        #[arg(short = 'n', long, value_name = "N")]
        lines: Option<u32>,
    },
    /// Print networks, machines and ranges, or a picture of them.
    Map {
        /// The form.
        #[arg(long = "as", value_enum, default_value = "text")]
        view: View,
    },
    /// Say whether one end reaches another, and which rule decides at each point on the way.
    Explain {
        /// Who begins: a machine, `pod:NODE`, `host`, `internet`, or an address.
        from: String,
        /// Who should answer: the same, or `router`.
        to: String,
        /// The port there.
        port: u16,
        /// The transport.
        #[arg(long, value_enum, default_value = "tcp")]
        protocol: Transport,
    },
    /// Look for what this machine, or the FreeBSD host, lacks, and say what mends it.
    Doctor(OnArgs),
    /// Show the console of a bhyve machine and type into it; ends with Ctrl-].
    Console {
        /// The machine, such as `cp-0`.
        node: String,
    },
    /// Take a node of Kubernetes out of service, and give it back.
    Node {
        #[command(subcommand)]
        verb: NodeVerb,
    },
    /// Look after etcd: its members, their store.
    Etcd {
        #[command(subcommand)]
        verb: EtcdVerb,
    },
    /// Look at bhyve VMs and move them.
    Vm {
        #[command(subcommand)]
        verb: VmVerb,
    },
    /// List the certificates of the lab and how long they last, or renew them.
    Certs {
        #[command(subcommand)]
        verb: Option<CertsVerb>,
    },
    /// Remove the lab: nothing of it stays.
    Down {
        /// Also the image and the programs that labs share on a FreeBSD host, if no other lab uses them.
        #[arg(long)]
        purge: bool,
    },
    /// Print a completion script.
    Completions {
        /// For this shell.
        shell: clap_complete::Shell,
    },
}

/// The form of a map.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum View {
    /// Tables and lanes for a terminal.
    Text,
    /// A picture for a web page or a README.
    Svg,
    /// The same picture as Mermaid.
    Mermaid,
    /// Who reaches whom, for Graphviz.
    Dot,
    /// Who reaches whom, as a table.
    Matrix,
}

/// The transport of a flow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Transport {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
}

/// Puts `--` behind the verb `kubectl`, so that options of kubectl that this program has too reach kubectl.
pub(crate) fn split_kubectl(words: impl IntoIterator<Item = OsString>) -> Vec<OsString> {
    let mut words: Vec<OsString> = words.into_iter().collect();
    let takes_value = |word: &str| {
        let command = Cli::command();
        let mut options = command.get_arguments();
        options.any(|arg| {
            arg.get_action().takes_values()
                && arg
                    .get_long()
                    .is_some_and(|long| word == format!("--{long}"))
        })
    };
    let mut at = 1;
    while let Some(word) = words.get(at).and_then(|word| word.to_str()) {
        if !word.starts_with('-') {
            if word == "kubectl" && words.get(at + 1).is_none_or(|next| next != "--") {
                words.insert(at + 1, "--".into());
            }
            break;
        }
        at += if takes_value(word) { 2 } else { 1 };
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Cli {
        let words = line.split(' ').map(OsString::from);
        Cli::try_parse_from(split_kubectl(words)).unwrap()
    }

    #[test]
    fn the_definition_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn global_options_are_taken_before_and_after_the_verb() {
        for line in [
            "lab --name demo --output json plan",
            "lab plan --output json --name demo",
        ] {
            let cli = parse(line);
            assert_eq!(cli.global.name.unwrap().as_str(), "demo", "{line}");
            assert_eq!(cli.global.output, Format::Json, "{line}");
        }
    }

    #[test]
    fn everything_after_kubectl_is_its_own() {
        let cli = parse("lab --name demo kubectl --output json -v=6 get pods --help --name x -- y");
        assert_eq!(cli.global.name.unwrap().as_str(), "demo");
        assert_eq!(cli.global.output, Format::Text);
        let Verb::Kubectl { args } = cli.verb else {
            panic!("another verb");
        };
        let expected = "--output json -v=6 get pods --help --name x -- y";
        assert_eq!(args.join(" "), expected);
    }

    #[test]
    fn a_lab_called_kubectl_is_not_the_verb() {
        let cli = parse("lab --name kubectl map --output json");
        assert_eq!(cli.global.output, Format::Json);
        assert!(matches!(cli.verb, Verb::Map { .. }));
    }

    #[test]
    fn exec_takes_a_command_with_and_without_dashes() {
        for line in ["lab exec cp-0 -- ip -6 a", "lab exec cp-0 ip -6 a"] {
            let Verb::Exec { node, command } = parse(line).verb else {
                panic!("another verb");
            };
            assert_eq!(
                (node.as_str(), command.join(" ").as_str()),
                ("cp-0", "ip -6 a")
            );
        }
    }
}
