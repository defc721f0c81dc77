//! The command line.

use artifacts::{ProgramName, Version};
use clap::{Args, CommandFactory, Parser, Subcommand, ValueEnum};
use cluster_lab::OciRuntime;
use host_exec::SshDestination;
use netplan::{Allow, LabName};
use pki::{
    CaRole, HostName, ItemId,
    rotation::{Phase, Rotated},
};
use std::{ffi::OsString, net::IpAddr, path::PathBuf};

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

/// What is done with certificates.
#[derive(Debug, Clone, Subcommand)]
pub(crate) enum CertsVerb {
    /// Make every certificate but the authorities anew and bring it to its machine; whoever reads it again by himself
    /// is not started anew, and the API answers all the while.
    Renew,
    /// Put a new authority, or a new key of service accounts, in the place of the old one while the lab runs, in four
    /// phases: add it to the store, have all trust both, have it sign, drop the old one. Interrupted, it goes on.
    Rotate {
        /// kubernetes, front-proxy, etcd, etcd-peer or service-account.
        authority: Rotated,
        /// Stop when this phase has arrived everywhere: add, trust, swap or drop.
        #[arg(long, value_name = "PHASE")]
        to: Option<Phase>,
        /// Go one phase back; there is no way back from drop.
        #[arg(long, conflicts_with = "to")]
        back: bool,
        /// Drop the old one, or with --back the new one, although pods may hold it.
        #[arg(long)]
        force: bool,
    },
    /// Write a certificate with its key and authority to one PKCS #12 file, for a browser or a key chain.
    Export(ExportArgs),
    /// Sign a certificate request (PKCS #10, PEM) and print the certificate: for whoever keeps the key. The request must be
    /// about the subject that is named here, and ask for no names but those that are allowed here.
    Sign(SignArgs),
}

/// What is exported, and how.
#[derive(Debug, Clone, Args)]
pub(crate) struct ExportArgs {
    /// As `lab certs` lists it, such as `cluster/admin`.
    pub(crate) item: ItemId,
    /// The file to write, which must not be there; it is a secret.
    #[arg(long, value_name = "FILE")]
    pub(crate) pkcs12: PathBuf,
    /// A file of mode 0600 with the pass phrase, at least 8 characters.
    #[arg(long, value_name = "FILE")]
    pub(crate) passphrase_file: PathBuf,
}

/// Which request is signed, by which policy.
#[derive(Debug, Clone, Args)]
pub(crate) struct SignArgs {
    /// The file with the request.
    pub(crate) request: PathBuf,
    /// Whom the certificate is about: for Kubernetes the user.
    #[arg(long, value_name = "NAME")]
    pub(crate) common_name: String,
    /// For Kubernetes a group; up to two.
    #[arg(long, value_name = "NAME")]
    pub(crate) organization: Vec<String>,
    /// What it may be used for.
    #[arg(long, value_enum, default_value = "client")]
    pub(crate) usage: CertificateUsage,
    /// A host name that the request may ask for; may be given several times.
    #[arg(long, value_name = "NAME")]
    pub(crate) dns: Vec<HostName>,
    /// An address that the request may ask for; may be given several times.
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) ip: Vec<IpAddr>,
    /// How long it lives.
    #[arg(long, default_value_t = 365)]
    pub(crate) days: u32,
    /// Who signs: kubernetes, front-proxy, etcd or etcd-peer.
    #[arg(long, default_value = "kubernetes", value_parser = signer)]
    pub(crate) authority: CaRole,
}

/// What a certificate may be used for.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum CertificateUsage {
    /// To dial servers.
    Client,
    /// To be dialled.
    Server,
    /// Both.
    Both,
}

fn signer(text: &str) -> Result<CaRole, String> {
    let found = CaRole::ALL.into_iter().find(|role| role.name() == text);
    found.ok_or_else(|| "give kubernetes, front-proxy, etcd or etcd-peer".to_owned())
}

/// What is done with a node.
#[derive(Debug, Subcommand)]
pub(crate) enum NodeVerb {
    /// Keep new pods away, and move those that are there; PodDisruptionBudgets are honoured.
    Drain {
        /// The node, such as `worker-0`.
        node: String,
        #[command(flatten)]
        how: DrainArgs,
    },
    /// Take a node out of the cluster and clear its machine of it; the next `up` has it join anew.
    Reset {
        /// The node, such as `worker-0`.
        node: String,
        #[command(flatten)]
        how: DrainArgs,
    },
    /// Let a node take pods again.
    Uncordon {
        /// The node, such as `worker-0`.
        node: String,
    },
}

/// How a node is drained; the names are those of `kubectl drain`.
#[derive(Debug, Clone, Args)]
pub(crate) struct DrainArgs {
    /// Also end pods that no controller makes again.
    #[arg(long)]
    pub(crate) force: bool,
    /// Also end pods with an emptyDir, whose contents are lost.
    #[arg(long)]
    pub(crate) delete_emptydir_data: bool,
    /// Seconds that each pod gets to end [default: its own].
    #[arg(long, value_name = "SECONDS")]
    pub(crate) grace_period: Option<u64>,
    /// Seconds until the last pod must have gone.
    #[arg(long, value_name = "SECONDS", default_value_t = 300)]
    pub(crate) timeout: u64,
}

/// What is done with etcd.
#[derive(Debug, Subcommand)]
pub(crate) enum EtcdVerb {
    /// Say how each member stands: leader, term, index, sizes, alarms.
    Status,
    /// Take out a member whose data is lost, and have it come anew with nothing; its old data is renamed, not deleted.
    Replace {
        /// The member, such as `etcd-1`.
        member: String,
    },
    /// Have another member lead.
    MoveLeader {
        /// The member that is to lead, such as `etcd-1`; left out, any healthy one.
        to: Option<String>,
    },
    /// Have more or fewer members; `--dry-run` shows the quorum before and after each step.
    Member {
        #[command(subcommand)]
        verb: MemberVerb,
    },
    /// Take a snapshot: all that Kubernetes knows, its Secrets too, in one file.
    Snapshot {
        /// Where it goes; below the lab's directory unless given. What it is goes beside it, as FILE.json.
        #[arg(long, value_name = "FILE")]
        to: Option<PathBuf>,
        /// Restore it into a directory that is thrown away, as a proof that it can be.
        #[arg(long)]
        trial: bool,
    },
    /// Make etcd anew from a snapshot, with the API servers stopped meanwhile; without one, go on with a restore that began.
    Restore {
        /// The snapshot.
        #[arg(value_name = "FILE", conflicts_with = "from_member")]
        file: Option<PathBuf>,
        /// Take what this member has, where the others have lost their data. Its last writes may be lost.
        #[arg(long, value_name = "MEMBER")]
        from_member: Option<String>,
    },
    /// Give free pages of the stores back to the disks: one member at a time, the leader last.
    Defrag {
        /// Also where there is little to win.
        #[arg(long)]
        force: bool,
    },
    /// Get out of the alarm NOSPACE: compact, defragment, and take it back if there is room then.
    FreeSpace,
    /// Go to another version of etcd, one member at a time; or back, while a member still runs the old one.
    Upgrade {
        /// The version, such as 3.7.3.
        #[arg(long, value_name = "VERSION")]
        to: Version,
    },
    /// Go back to the minor before, from 3.6 on: etcd rewrites its stores, then one member at a time.
    Downgrade {
        /// The version, such as 3.6.16.
        #[arg(long, value_name = "VERSION", required_unless_present = "cancel")]
        to: Option<Version>,
        /// Take back a downgrade that has begun; members that went back come up again.
        #[arg(long, conflicts_with = "to")]
        cancel: bool,
    },
}

/// What is done with the number of members.
#[derive(Debug, Clone, Copy, Subcommand)]
pub(crate) enum MemberVerb {
    /// Two more, each on a machine of its own, as `lab up --etcd N` does: 1 to 3, 3 to 5.
    Add,
    /// Two fewer; the last ones leave, and their machines are removed.
    Remove,
}

/// What is done with VMs.
#[derive(Debug, Subcommand)]
pub(crate) enum VmVerb {
    /// List the VMs of all labs on the host.
    List(OnArgs),
    /// Start a VM that rests.
    Start {
        /// The machine, such as `cp-0`.
        node: String,
    },
    /// Have a VM shut down, by force in the end.
    Stop {
        /// The machine, such as `cp-0`.
        node: String,
        /// Do not ask the guest.
        #[arg(long)]
        force: bool,
    },
    /// Have a VM shut down and start again.
    Reboot {
        /// The machine, such as `cp-0`.
        node: String,
    },
    /// Remove a VM with its disk; the next `up` makes it anew. Not one that holds a member of etcd.
    Destroy {
        /// The machine, such as `worker-0`.
        node: String,
    },
    /// Say how a VM stands, why, and what leads out of it.
    Explain {
        /// The machine, such as `cp-0`.
        node: String,
    },
}

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
