//! What a machine shows: programs with their arguments, files with their modes.

use host_exec::{Command, FileError, Host, RunError};
use serde_json::Value;
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    path::{Path, PathBuf},
};

/// A program that the benchmark speaks of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Program {
    /// kube-apiserver.
    ApiServer,
    /// kube-controller-manager.
    ControllerManager,
    /// kube-scheduler.
    Scheduler,
    /// The kubelet.
    Kubelet,
    /// kube-proxy.
    Proxy,
    /// etcd.
    Etcd,
}

impl Program {
    const ALL: [Self; 6] = [
        Self::ApiServer,
        Self::ControllerManager,
        Self::Scheduler,
        Self::Kubelet,
        Self::Proxy,
        Self::Etcd,
    ];

    /// The name of its file, its unit and its static pod.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ApiServer => "kube-apiserver",
            Self::ControllerManager => "kube-controller-manager",
            Self::Scheduler => "kube-scheduler",
            Self::Kubelet => "kubelet",
            Self::Proxy => "kube-proxy",
            Self::Etcd => "etcd",
        }
    }

    /// The flags whose files say more than the flags do. None of these files holds a key.
    fn documents(self) -> &'static [&'static str] {
        match self {
            Self::ApiServer => &["admission-control-config-file", "authentication-config"],
            Self::Kubelet | Self::Proxy => &["config"],
            _ => &[],
        }
    }
}

impl fmt::Display for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A program that runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Process {
    /// Which.
    pub program: Program,
    /// Its arguments, without its own name.
    pub arguments: Vec<String>,
    /// What of its environment are settings: `ETCD_...` of etcd.
    pub environment: BTreeMap<String, String>,
    /// The files that some of its flags name, by flag, parsed.
    pub documents: BTreeMap<&'static str, Value>,
    /// The providers of `--encryption-provider-config` in their order, and nothing else of that file.
    pub encryption_providers: Option<Vec<String>>,
}

impl Process {
    /// A process of which nothing but arguments and environment is known.
    pub fn new(
        program: Program,
        arguments: Vec<String>,
        environment: BTreeMap<String, String>,
    ) -> Self {
        Self {
            program,
            arguments,
            environment,
            documents: BTreeMap::new(),
            encryption_providers: None,
        }
    }

    /// The value of a flag: the last of `--name=value`, `--name value` or `--name`, which means true; for etcd also
    /// that of its environment (etcd.io, "Configuration options": flags go before it).
    pub fn flag(&self, name: &str) -> Option<String> {
        let dashed = format!("--{name}");
        let with_value = format!("{dashed}=");
        let mut found = None;
        for (at, argument) in self.arguments.iter().enumerate() {
            if let Some(value) = argument.strip_prefix(&with_value) {
                found = Some(value.to_owned());
            } else if *argument == dashed {
                let next = self.arguments.get(at + 1);
                let value = next.filter(|next| !next.starts_with('-'));
                found = Some(value.map_or_else(|| "true".to_owned(), Clone::clone));
            }
        }
        let variable = format!("ETCD_{}", name.to_uppercase().replace('-', "_"));
        found.or_else(|| self.environment.get(&variable).cloned())
    }
}

/// A file or directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileFacts {
    /// Its permission bits.
    pub mode: u32,
    /// `USER:GROUP`.
    pub owner: String,
    /// It is a directory.
    pub is_directory: bool,
}

/// What one machine shows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MachineFacts {
    /// Programs that run, the first of each.
    pub processes: BTreeMap<Program, Process>,
    /// Files below `/etc/kubernetes`, `/etc/cni/net.d` and `/etc/systemd/system`, and those that flags name.
    pub files: BTreeMap<PathBuf, FileFacts>,
}

/// A machine does not answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ObserveError {
    /// A command could not be run.
    #[error(transparent)]
    Run(#[from] RunError),
    /// A file could not be read.
    #[error(transparent)]
    File(#[from] FileError),
}

/// The directories whose files are looked at, to a depth of [`DEPTH`].
const ROOTS: [&str; 3] = ["/etc/kubernetes", "/etc/cni/net.d", "/etc/systemd/system"];
const DEPTH: &str = "3";

/// Looks at a machine: one `ps`, two `find`, and the configuration of each program that runs. Needs root there; changes nothing.
///
/// # Errors
///
/// The host does not answer, or lacks `ps` or `find`. Programs that do not run and files that are not there are *not*
/// errors.
pub async fn observe(host: &dyn Host) -> Result<MachineFacts, ObserveError> {
    let list = Command::new("ps").args(["-ww", "-e", "-o", "pid=,args="]);
    let list = host.run(&list).await?;
    let mut facts = MachineFacts::default();
    for (program, pid) in first_of_each(&list.stdout_text()) {
        if let Some(process) = process(host, program, pid).await? {
            facts.processes.insert(program, process);
        }
    }
    let deep = ROOTS.map(str::to_owned);
    facts.files = files(host, deep, DEPTH).await?;
    facts.files.extend(files(host, named(&facts), "0").await?);
    Ok(facts)
}

/// `ps -ww -e -o pid=,args=` (procps-ng 4.0.2) prints:
///
/// ```text
///      73 /usr/bin/containerd --config=/etc/containerd/config.toml
///      75 /opt/lab/bin/kube-apiserver --advertise-address=10.231.1.30 --allow-privileged=true
/// ```
fn first_of_each(list: &str) -> BTreeMap<Program, u32> {
    let mut found = BTreeMap::new();
    for line in list.lines() {
        let mut words = line.split_whitespace();
        let (Some(pid), Some(path)) = (words.next(), words.next()) else {
            continue;
        };
        let name = Path::new(path).file_name().and_then(|name| name.to_str());
        let known = Program::ALL
            .into_iter()
            .find(|program| name == Some(program.as_str()));
        if let (Some(program), Ok(pid)) = (known, pid.parse()) {
            found.entry(program).or_insert(pid);
        }
    }
    found
}

/// What of one process can be seen; `None` if it has ended meanwhile.
async fn process(
    host: &dyn Host,
    program: Program,
    pid: u32,
) -> Result<Option<Process>, ObserveError> {
    let read = |path: String| async move { host.read_file(Path::new(&path)).await };
    let Some(arguments) = read(format!("/proc/{pid}/cmdline")).await? else {
        return Ok(None);
    };
    let arguments = words(&arguments).skip(1).collect();
    let mut environment = BTreeMap::new();
    if program == Program::Etcd
        && let Some(all) = read(format!("/proc/{pid}/environ")).await?
    {
        let pairs = words(&all).filter_map(|pair| {
            let (name, value) = pair.split_once('=')?;
            Some((name.to_owned(), value.to_owned()))
        });
        environment.extend(pairs.filter(|(name, _)| name.starts_with("ETCD_")));
    }
    let mut process = Process::new(program, arguments, environment);
    // Through the root of the process: that of a pod is not the machine's. By programs of the machine, since a host
    // may refuse to follow that link by itself.
    let of_flag = |flag: &str| Some(format!("/proc/{pid}/root{}", process.flag(flag)?));
    let mut documents = BTreeMap::new();
    for flag in program.documents().iter().copied() {
        if let Some(path) = of_flag(flag)
            && let Some(text) = lines(host, Command::new("cat").arg(path)).await?
            && let Ok(document) = serde_norway::from_str(&text)
        {
            documents.insert(flag, document);
        }
    }
    // The names of providers and nothing else: the keys stay where they are.
    if let Some(path) = of_flag("encryption-provider-config") {
        let names = format!("^[ -]*({}):", PROVIDERS.join("|"));
        let grep = Command::new("grep").args(["-E", "-o", &names, &path]);
        process.encryption_providers = lines(host, grep).await?.as_deref().map(providers);
    }
    process.documents = documents;
    Ok(Some(process))
}

/// What a command prints; `None` if it finds nothing to print.
async fn lines(host: &dyn Host, command: Command) -> Result<Option<String>, ObserveError> {
    let output = host.output(&command).await?;
    let found = output.status.success();
    Ok(found.then(|| output.stdout_text().into_owned()))
}

fn words(bytes: &[u8]) -> impl Iterator<Item = String> {
    let words = bytes
        .split(|byte| *byte == 0)
        .filter(|word| !word.is_empty());
    words.map(|word| String::from_utf8_lossy(word).into_owned())
}

/// The kinds of providers of an `EncryptionConfiguration`.
const PROVIDERS: [&str; 5] = ["aescbc", "aesgcm", "identity", "kms", "secretbox"];

/// `grep -E -o` (GNU grep 3.8) prints what it was asked for of each line that has it, in their order:
///
/// ```text
///   - secretbox:
///   - identity:
/// ```
fn providers(lines: &str) -> Vec<String> {
    let name = |line: &str| line.trim_matches([' ', '-', ':']).to_owned();
    lines.lines().map(name).collect()
}

/// The absolute paths that flags, settings and the kubelet's configuration name.
fn named(facts: &MachineFacts) -> BTreeSet<String> {
    let of_process = |process: &Process| {
        let flags = process.arguments.iter();
        let flags = flags.filter_map(|argument| argument.split_once('=').map(|(_, value)| value));
        let settings = process.environment.values().map(String::as_str);
        let config = process.documents.get("config");
        let ca = config.and_then(|config| config.pointer("/authentication/x509/clientCAFile"));
        let all = flags.chain(settings).chain(ca.and_then(Value::as_str));
        let paths = all.filter(|value| value.starts_with('/'));
        paths.map(str::to_owned).collect::<Vec<_>>()
    };
    facts.processes.values().flat_map(of_process).collect()
}

/// Modes and owners of `roots` and of what is below them; roots that are not there are left out.
async fn files(
    host: &dyn Host,
    roots: impl IntoIterator<Item = String>,
    depth: &str,
) -> Result<BTreeMap<PathBuf, FileFacts>, ObserveError> {
    let roots: Vec<String> = roots.into_iter().collect();
    if roots.is_empty() {
        return Ok(BTreeMap::new());
    }
    let find = Command::new("find").args(roots);
    let find = find.args(["-maxdepth", depth, "-printf", "%m %u:%g %y %p\\0"]);
    // Status 1 says that a root is not there, which is no error.
    let output = host.output(&find).await?;
    Ok(parse_files(&output.stdout))
}

/// `find -printf '%m %u:%g %y %p\0'` (findutils 4.9.0) prints, with NUL between them:
///
/// ```text
/// 755 root:root d /etc/kubernetes
/// 600 root:root f /etc/kubernetes/kubelet.conf
/// ```
fn parse_files(output: &[u8]) -> BTreeMap<PathBuf, FileFacts> {
    let entries = words(output).filter_map(|entry| {
        let mut parts = entry.splitn(4, ' ');
        let mode = u32::from_str_radix(parts.next()?, 8).ok()?;
        let owner = parts.next()?.to_owned();
        let kind = parts.next()?;
        let file = FileFacts {
            mode,
            owner,
            is_directory: kind == "d",
        };
        // A link has no mode of its own.
        (kind != "l").then_some((PathBuf::from(parts.next()?), file))
    });
    entries.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn process(arguments: &[&str]) -> Process {
        let arguments = arguments.iter().map(ToString::to_string).collect();
        let environment = [("ETCD_CERT_FILE".to_owned(), "/a.crt".to_owned())];
        Process::new(Program::Etcd, arguments, environment.into())
    }

    #[test]
    fn flags_are_found_in_every_form_and_the_last_counts() {
        let found = |arguments: &[&str], name| process(arguments).flag(name);
        assert_eq!(found(&["--a=1", "--a=2"], "a").as_deref(), Some("2"));
        assert_eq!(found(&["--a", "1"], "a").as_deref(), Some("1"));
        assert_eq!(found(&["--a", "--b=2"], "a").as_deref(), Some("true"));
        assert_eq!(found(&["--ab=1"], "a"), None);
        assert_eq!(found(&[], "cert-file").as_deref(), Some("/a.crt"));
        assert_eq!(
            found(&["--cert-file=/b"], "cert-file").as_deref(),
            Some("/b")
        );
    }

    #[test]
    fn programs_are_told_from_what_only_mentions_them() {
        let list = "      1 /usr/lib/systemd/systemd\n     75 /opt/lab/bin/kube-apiserver --a=etcd\n  \
            80 grep kubelet\n     90 etcd\n     91 /usr/bin/etcd\n";
        let wanted = [(Program::ApiServer, 75), (Program::Etcd, 90)];
        assert_eq!(first_of_each(list), wanted.into());
    }

    #[test]
    fn files_are_read_with_blanks_in_their_names_and_links_are_not() {
        let output =
            b"755 root:root d /etc/a\x00600 root:etcd f /etc/a/b c\x00777 root:root l /etc/a/l\0";
        let files = parse_files(output);
        assert_eq!(files.len(), 2);
        let file = &files[Path::new("/etc/a/b c")];
        assert_eq!((file.mode, file.owner.as_str()), (0o600, "root:etcd"));
        assert!(files[Path::new("/etc/a")].is_directory);
    }

    #[test]
    fn providers_come_in_their_order() {
        assert_eq!(
            providers("  - secretbox:\n  - identity:\n"),
            ["secretbox", "identity"]
        );
    }
}
