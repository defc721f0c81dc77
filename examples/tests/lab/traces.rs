//! What this machine has that a lab could leave behind or spoil.

use std::{
    collections::BTreeSet,
    fs,
    path::Path,
    process::{Command, Output},
};

/// Settings of the whole machine that programs inside machines are known to write.
const SETTINGS: [&str; 8] = [
    "kernel/panic",
    "kernel/panic_on_oops",
    "kernel/keys/root_maxkeys",
    "vm/overcommit_memory",
    "vm/panic_on_oom",
    "net/ipv4/ip_forward",
    "net/ipv4/conf/all/forwarding",
    "net/ipv6/conf/all/forwarding",
];

/// What the first lab makes and the last one removes: of no meaning while labs of others come and go.
const SHARED: [&str; 4] = [
    "/run/netns",
    "/run/lab",
    "/run/lab.made-netns-dir",
    "/run/lab.loaded-br_netfilter",
];

/// Everything of interest, one line each.
pub(crate) struct Traces(BTreeSet<String>);

/// Which of the traces on this machine are those of one scene.
pub(crate) struct Own<'s> {
    /// Where its labs are kept.
    pub(crate) dir: &'s Path,
    /// Their names.
    pub(crate) labs: &'s [&'static str],
    /// Whether no other scene was there at the same time.
    pub(crate) alone: bool,
}

impl Traces {
    pub(crate) fn now() -> Self {
        let mut lines = BTreeSet::new();
        let mut add = |kind: &str, found: Vec<String>| {
            lines.extend(found.into_iter().map(|line| format!("{kind} {line}")));
        };
        add("interface", names("/sys/class/net"));
        add("namespace", names("/run/netns"));
        add("run", names("/run/lab"));
        add(
            "address",
            said("ip", &["-oneline", "address", "show", "scope", "global"]),
        );
        add("route", said("ip", &["route", "show", "table", "all"]));
        add(
            "route6",
            said("ip", &["-6", "route", "show", "table", "all"]),
        );
        add("rule", said("ip", &["rule"]));
        add("nft", said("nft", &["--stateless", "list", "ruleset"]));
        add("mount", mounts());
        add("cgroup", cgroups());
        add("process", processes());
        add("setting", SETTINGS.map(setting).to_vec());
        let shared = SHARED.iter().filter(|path| Path::new(path).exists());
        add("shared", shared.map(ToString::to_string).collect());
        Self(lines)
    }

    /// What has come (`+`) and gone (`-`) since, and is no other scene's.
    pub(crate) fn changes_to(&self, now: &Self, own: &Own<'_>) -> Vec<String> {
        let others = |lines: &BTreeSet<String>| lines.iter().any(|line| own.is_of_another(line));
        let alone = own.alone && !others(&self.0) && !others(&now.0);
        let counts = |line: &&String| {
            let shared = line.starts_with("shared ") || line.ends_with(" /run/netns");
            !own.is_of_another(line) && (alone || !shared)
        };
        let come = now.0.difference(&self.0).filter(counts);
        // Processes of an earlier test may still have been about to go.
        let gone = self.0.difference(&now.0).filter(counts);
        let gone = gone.filter(|line| !line.starts_with("process "));
        let come = come.map(|line| format!("+ {line}"));
        come.chain(gone.map(|line| format!("- {line}"))).collect()
    }
}

impl Own<'_> {
    /// Whether a line names a lab, and none of these. What names no lab is the machine's.
    fn is_of_another(&self, line: &str) -> bool {
        let own = |prefix: &str| {
            let mut names = self.labs.iter().map(|lab| format!("{prefix}{lab}"));
            names.any(|name| mentions(line, &name))
        };
        if line.starts_with("process ") {
            return !own("lab.") && !line.contains(&*self.dir.to_string_lossy());
        }
        let of_another = |prefix| line.contains(prefix) && !own(prefix);
        (of_another("lab.") && !line.contains("/run/lab."))
            || of_another("lab-")
            || of_another("run ")
    }
}

/// Whether `name` is in `line`, and not as the beginning of a longer one.
fn mentions(line: &str, name: &str) -> bool {
    line.match_indices(name).any(|(at, _)| {
        let next = line[at + name.len()..].chars().next();
        next.is_none_or(|next| !next.is_ascii_alphanumeric() && next != '-')
    })
}

fn names(dir: &str) -> Vec<String> {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    entries
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect()
}

#[expect(
    clippy::disallowed_methods,
    reason = "commands that only look, as a person would type them"
)]
fn said(program: &str, words: &[&str]) -> Vec<String> {
    let Output {
        stdout,
        stderr,
        status,
    } = Command::new(program).args(words).output().unwrap();
    assert!(
        status.success(),
        "{program} {words:?}: {}",
        String::from_utf8_lossy(&stderr)
    );
    let text = String::from_utf8_lossy(&stdout).into_owned();
    text.lines().map(|line| line.trim().to_owned()).collect()
}

/// Mount points with their kind, without those below /tmp, where others work.
fn mounts() -> Vec<String> {
    let all = fs::read_to_string("/proc/self/mounts").unwrap();
    let words = all.lines().map(|line| line.split(' ').collect::<Vec<_>>());
    let ours = words.filter(|words| !words[1].starts_with("/tmp/"));
    ours.map(|words| format!("{} {}", words[2], words[1]))
        .collect()
}

fn cgroups() -> Vec<String> {
    let below = |dir: &str| {
        let ours = names(dir)
            .into_iter()
            .filter(|name| name.starts_with("lab."));
        ours.map(|name| format!("{dir}/{name}")).collect::<Vec<_>>()
    };
    let hierarchies = names("/sys/fs/cgroup")
        .into_iter()
        .map(|name| format!("/sys/fs/cgroup/{name}"));
    hierarchies
        .chain(["/sys/fs/cgroup".to_owned()])
        .flat_map(|dir| below(&dir))
        .collect()
}

/// Processes whose control group or command line names a lab of the tests.
fn processes() -> Vec<String> {
    let mut found = Vec::new();
    for pid in names("/proc") {
        let read = |file: &str| fs::read(format!("/proc/{pid}/{file}")).unwrap_or_default();
        let command = String::from_utf8_lossy(&read("cmdline")).replace('\0', " ");
        let groups = String::from_utf8_lossy(&read("cgroup")).replace('\n', " ");
        let named = command.contains("/var/tmp/lab-test-") || command.contains("lab.t-");
        if pid.parse::<u32>().is_ok() && (named || groups.contains("/lab.t-")) {
            found.push(format!("{pid} {command} {groups}"));
        }
    }
    found
}

fn setting(name: &str) -> String {
    let value = fs::read_to_string(format!("/proc/sys/{name}")).unwrap_or_default();
    format!("{name} = {}", value.trim())
}
