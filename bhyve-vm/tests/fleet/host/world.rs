//! What the host has, and its programs that concern files and the system as a whole.

use super::zfs::Dataset;
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

/// Status, standard output, standard error.
pub(crate) type Answer = (i32, String, String);

#[derive(Debug, Clone)]
pub(crate) struct World {
    pub(crate) system: &'static str,
    pub(crate) version: &'static str,
    pub(crate) user: u32,
    pub(crate) time: u64,
    pub(crate) modules: BTreeSet<String>,
    pub(crate) sysctls: BTreeMap<String, String>,
    /// Bytes and mode.
    pub(crate) files: BTreeMap<String, (Vec<u8>, u32)>,
    pub(crate) datasets: BTreeMap<String, Dataset>,
    pub(crate) available: u64,
    pub(crate) interfaces: BTreeMap<String, super::network::Interface>,
    /// Destination, next hop, interface.
    pub(crate) routes: BTreeSet<(String, String, String)>,
    pub(crate) pf_enabled: bool,
    pub(crate) pf_rules: Vec<String>,
    pub(crate) anchors: BTreeMap<String, String>,
    pub(crate) processes: BTreeMap<u32, String>,
    pub(crate) nodes: BTreeSet<String>,
    /// A word that bhyve ends with when it is run.
    pub(crate) bhyve_fails: Option<&'static str>,
    /// Every command that changes something, as it was called.
    pub(crate) changes: Vec<String>,
    pub(crate) next_pid: u32,
}

pub(crate) fn ok(text: impl Into<String>) -> Answer {
    (0, text.into(), String::new())
}

pub(crate) fn failed(status: i32, text: impl Into<String>) -> Answer {
    (status, String::new(), format!("{}\n", text.into()))
}

impl World {
    /// A host that is ready for VMs, with one of somebody else's.
    pub(crate) fn ready() -> Self {
        let pairs = [
            ("hw.physmem", "34359738368"),
            ("hw.ncpu", "8"),
            ("hw.vmm.maxcpu", "8"),
            ("hw.vmm.vmx.initialized", "1"),
            ("hw.vmm.vmx.cap.unrestricted_guest", "1"),
            ("vfs.zfs.arc.max", "8589934592"),
            ("net.inet.ip.forwarding", "0"),
            ("net.inet6.ip6.forwarding", "1"),
            ("net.link.bridge.pfil_member", "0"),
        ];
        let mut world = Self {
            system: "FreeBSD",
            version: "15.1-RELEASE-p5",
            user: 0,
            time: 1_764_180_000,
            modules: ["kernel", "vmm.ko", "nmdm.ko", "if_tuntap", "if_bridge.ko"]
                .map(str::to_owned)
                .into(),
            sysctls: pairs
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .into(),
            files: BTreeMap::new(),
            datasets: BTreeMap::new(),
            available: 100 << 30,
            interfaces: BTreeMap::new(),
            routes: BTreeSet::new(),
            pf_enabled: true,
            pf_rules: [
                "nat-anchor \"labcluster/*\" all",
                "rdr-anchor \"labcluster/*\" all",
                "anchor \"labcluster/*\" all",
            ]
            .map(str::to_owned)
            .to_vec(),
            anchors: BTreeMap::new(),
            processes: [
                (1, "/sbin/init".to_owned()),
                (700, "bhyve: theirs".to_owned()),
            ]
            .into(),
            nodes: ["theirs".to_owned()].into(),
            bhyve_fails: None,
            changes: Vec::new(),
            next_pid: 1000,
        };
        for name in ["CODE", "VARS"] {
            let path = format!("/usr/local/share/uefi-firmware/BHYVE_UEFI_{name}.fd");
            world.files.insert(path, (b"firmware".to_vec(), 0o644));
        }
        let resolv = b"nameserver 192.0.2.1\n".to_vec();
        world
            .files
            .insert("/etc/resolv.conf".to_owned(), (resolv, 0o644));
        world
            .datasets
            .insert("zroot".to_owned(), Dataset::filesystem("/zroot"));
        world.uplink();
        world
    }

    /// Runs a program. One that this host does not know is a fault of the test.
    pub(crate) fn run(&mut self, words: &[String], input: &[u8]) -> Answer {
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        if let ["sh", "-c", script, "sh", journal, step, ref command @ ..] = words[..]
            && script.contains("two lines in the lab's journal")
        {
            return self.journalled(journal, step, command, input);
        }
        if let ["sh", "-c", _, "upload", verb, ref words @ ..] = words[..] {
            return self.upload(verb, words, input);
        }
        self.program(&words, input)
    }

    fn journalled(&mut self, journal: &str, step: &str, command: &[&str], input: &[u8]) -> Answer {
        let (directory, _) = journal.rsplit_once('/').unwrap();
        self.note(directory, journal, &format!("begun {step}\n"));
        self.changes.push(command.join(" "));
        let answer = self.program(command, input);
        let word = if answer.0 == 0 { "done" } else { "failed" };
        self.note(directory, journal, &format!("{word} {step}\n"));
        answer
    }

    fn note(&mut self, directory: &str, journal: &str, line: &str) {
        if self.is_directory(directory) {
            let file = self.files.entry(journal.to_owned()).or_default();
            file.0.extend(line.as_bytes());
        }
    }

    fn program(&mut self, words: &[&str], input: &[u8]) -> Answer {
        match *words {
            ["uname", "-s"] => ok(format!("{}\n", self.system)),
            ["freebsd-version", "-u"] => ok(format!("{}\n", self.version)),
            ["id", "-u"] => ok(format!("{}\n", self.user)),
            ["date", "-u", "+%s"] => ok(format!("{}\n", self.time)),
            ["kldstat", "-v"] => ok(self.kldstat()),
            ["kldload", "-n", ref names @ ..] => self.kldload(names),
            ["sysctl", ref arguments @ ..] => self.sysctl(arguments),
            ["zfs", ref arguments @ ..] => self.zfs(arguments),
            ["ifconfig", ref arguments @ ..] => self.ifconfig(arguments),
            ["route", "-n", ref arguments @ ..] => self.route(arguments),
            ["netstat", "-rnW"] => ok(self.netstat()),
            ["pfctl", ref arguments @ ..] => self.pfctl(arguments, input),
            ["sh", "-c", script] if script.contains("hw.vmm.vmx.initialized") => {
                match self
                    .sysctls
                    .get("hw.vmm.vmx.initialized")
                    .map(String::as_str)
                {
                    Some("1") => ok(""),
                    _ => failed(1, "the processor does not offer virtualization"),
                }
            }
            ["sh", "-c", "! pgrep -fx \"$1\" >/dev/null", "sh", title] => {
                let runs = self.processes.values().any(|process| process == title);
                (i32::from(runs), String::new(), String::new())
            }
            ["ps" | "pkill" | "bhyvectl" | "daemon", ..] => self.process_program(words),
            _ => self.file_program(words),
        }
    }

    fn kldstat(&self) -> String {
        let mut text = "Id Refs Address                Size Name\n".to_owned();
        for (id, name) in self.modules.iter().enumerate() {
            writeln!(
                text,
                " {id}    1 0xffffffff80200000  1f3e2d0 {name} (/boot/{name})"
            )
            .unwrap();
        }
        text
    }

    fn kldload(&mut self, names: &[&str]) -> Answer {
        for name in names {
            if self.modules.contains(&format!("absent {name}")) {
                return failed(
                    1,
                    format!("kldload: can't load {name}: No such file or directory"),
                );
            }
            self.modules.insert((*name).to_owned());
            if *name == "if_bridge" {
                let name = "net.link.bridge.pfil_bridge".to_owned();
                self.sysctls.entry(name).or_insert("1".to_owned());
            }
            if *name == "vmm" {
                let name = "hw.vmm.vmx.initialized".to_owned();
                self.sysctls.entry(name).or_insert("1".to_owned());
            }
        }
        ok("")
    }

    fn sysctl(&mut self, arguments: &[&str]) -> Answer {
        match arguments {
            ["-i", names @ ..] => {
                let known = names
                    .iter()
                    .filter_map(|name| Some((name, self.sysctls.get(*name)?)));
                ok(known
                    .map(|(name, value)| format!("{name}: {value}\n"))
                    .collect::<String>())
            }
            [setting] => {
                let (name, value) = setting.split_once('=').unwrap();
                match self.sysctls.get_mut(name) {
                    Some(old) => {
                        let told = format!("{name}: {old} -> {value}\n");
                        value.clone_into(old);
                        ok(told)
                    }
                    None => failed(1, format!("sysctl: unknown oid '{name}'")),
                }
            }
            _ => failed(1, "usage: sysctl [-bdehiNnoqTtWx] name[=value] ..."),
        }
    }

    /// All that lasts, without times and process numbers.
    pub(crate) fn state(&self) -> String {
        let mut text = String::new();
        let logs = [
            "/journal.log",
            "/events",
            "/bhyve.pid",
            ".pid",
            "/console",
            "/request",
        ];
        for (path, (bytes, mode)) in &self.files {
            if !logs.iter().any(|log| path.ends_with(log)) {
                writeln!(text, "{path} {mode:o} {:x}", Sha256::digest(bytes)).unwrap();
            }
        }
        for (name, dataset) in &self.datasets {
            writeln!(text, "{name} {dataset:?}").unwrap();
        }
        let titles: BTreeSet<_> = self.processes.values().map(|title| plain(title)).collect();
        writeln!(
            text,
            "{:?}\n{:?}\n{:?}\n{:?}\n{:?}\n{:?}\n{:?}",
            self.interfaces,
            self.routes,
            self.sysctls,
            self.anchors,
            self.nodes,
            titles,
            self.modules
        )
        .unwrap();
        text
    }
}

/// `daemon: lab: a[812]` without the number.
fn plain(title: &str) -> String {
    match title.split_once('[') {
        Some((name, _)) => name.to_owned(),
        None => title.to_owned(),
    }
}
