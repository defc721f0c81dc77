//! sysctl(8).

use crate::{
    net::{
        kernel, modules,
        said::{Answer, Said},
    },
    store::Stored,
    world::World,
};
use std::{collections::BTreeMap, process::ExitCode};

/// A setting that the kernel of the host knows.
struct Setting {
    name: &'static str,
    /// At boot.
    value: &'static str,
    kind: Kind,
    /// The module that brings it; none for the kernel itself.
    module: Option<&'static str>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// A number that root changes.
    Number,
    /// A fact.
    Fact,
    /// Set in loader.conf(5) only.
    Tunable,
}

use Kind::{Fact, Number, Tunable};

const fn setting(name: &'static str, value: &'static str, kind: Kind) -> Setting {
    Setting {
        name,
        value,
        kind,
        module: None,
    }
}

const fn of_module(
    module: &'static str,
    name: &'static str,
    value: &'static str,
    kind: Kind,
) -> Setting {
    Setting {
        name,
        value,
        kind,
        module: Some(module),
    }
}

/// Those that anybody asks for here: a lab, its doctor, a person who repairs what the doctor finds.
static SETTINGS: [Setting; 34] = [
    setting("hw.machine", "amd64", Fact),
    setting("hw.model", "AMD EPYC 7763 64-Core Processor", Fact),
    setting("hw.ncpu", "8", Fact),
    setting("hw.pagesize", "4096", Fact),
    setting("hw.physmem", "68585259008", Fact),
    setting("kern.osreldate", "1404000", Fact),
    setting("kern.osrelease", "14.4-RELEASE-p11", Fact),
    setting("kern.ostype", "FreeBSD", Fact),
    setting("kern.maxfiles", "2095328", Number),
    setting("net.inet.ip.forwarding", "0", Number),
    setting("net.inet.ip.redirect", "1", Number),
    setting("net.inet6.ip6.accept_rtadv", "0", Number),
    setting("net.inet6.ip6.auto_linklocal", "1", Number),
    setting("net.inet6.ip6.dad_count", "1", Number),
    setting("net.inet6.ip6.forwarding", "0", Number),
    setting("net.inet6.ip6.no_radr", "0", Number),
    setting("net.inet6.ip6.redirect", "1", Number),
    setting("net.inet6.ip6.rfc6204w3", "0", Number),
    setting("security.jail.jailed", "0", Fact),
    of_module("if_bridge", "net.link.bridge.inherit_mac", "0", Number),
    of_module("if_bridge", "net.link.bridge.ipfw", "0", Number),
    of_module("if_bridge", "net.link.bridge.member_ifaddrs", "1", Number),
    of_module("if_bridge", "net.link.bridge.pfil_bridge", "0", Number),
    of_module("if_bridge", "net.link.bridge.pfil_local_phys", "0", Number),
    of_module("if_bridge", "net.link.bridge.pfil_member", "0", Number),
    of_module("if_bridge", "net.link.bridge.pfil_onlyip", "1", Number),
    of_module("if_tuntap", "net.link.tap.up_on_open", "0", Number),
    of_module("if_tuntap", "net.link.tap.user_open", "0", Number),
    of_module("vmm", "hw.vmm.maxcpu", "8", Tunable),
    of_module("vmm", "hw.vmm.svm.features", "4294967295", Fact),
    of_module("vmm", "hw.vmm.vmx.cap.unrestricted_guest", "0", Fact),
    of_module("vmm", "hw.vmm.vmx.initialized", "0", Fact),
    of_module("zfs", "vfs.zfs.arc.max", "8589934592", Number),
    of_module("zfs", "vfs.zfs.version.spa", "5000", Fact),
];

pub(super) fn main(world: &World, words: &[String]) -> ExitCode {
    Said::conclude(run(world, words))
}

/// The value that a setting has now, as other programs of the host ask for it.
pub(crate) fn value(world: &World, name: &str) -> Answer<String> {
    let changed = changed(world)?.value;
    let known = SETTINGS.iter().find(|own| own.name == name);
    let known = known.ok_or_else(|| unknown(name))?;
    Ok(now(&changed, known).to_owned())
}

/// What it says to these words.
pub(crate) fn run(world: &World, words: &[String]) -> Answer {
    let (options, names) = split(words)?;
    if names.is_empty() {
        return Err(usage());
    }
    let mut said = Said::default();
    for name in names {
        match one(world, name, options) {
            Ok(text) => said.out += &text,
            Err(complaint) => {
                said.out += &complaint.out;
                said.err += &complaint.err;
                said.status = complaint.status;
            }
        }
    }
    Ok(said)
}

#[derive(Clone, Copy, Default)]
struct Options {
    /// `-n`: values without names.
    bare: bool,
    /// `-i`: nothing about settings that nobody knows.
    ignore: bool,
    /// `-q`: no complaints.
    quiet: bool,
    /// `-e`: `=` behind the name.
    equals: bool,
}

fn split(words: &[String]) -> Answer<(Options, &[String])> {
    let mut options = Options::default();
    let count = words
        .iter()
        .take_while(|word| word.starts_with('-'))
        .count();
    let (flags, names) = words.split_at(count);
    for letter in flags.iter().flat_map(|flag| flag.chars().skip(1)) {
        match letter {
            'n' => options.bare = true,
            'i' => options.ignore = true,
            'q' => options.quiet = true,
            'e' => options.equals = true,
            _ => {
                let mut said = usage();
                said.err
                    .insert_str(0, &format!("sysctl: illegal option -- {letter}\n"));
                return Err(said);
            }
        }
    }
    Ok((options, names))
}

fn usage() -> Said {
    Said::refused(
        "usage: sysctl [-j jail] [-bdeFhilNnoqTtWx] [ -B <bufsize> ] [-f filename] name[=value] ...\n\
         \x20      sysctl [-j jail] [-bdeFhlNnoqTtWx] [ -B <bufsize> ] -a",
    )
}

fn unknown(name: &str) -> Said {
    Said::refused(format!("sysctl: unknown oid '{name}'"))
}

fn one(world: &World, word: &str, options: Options) -> Answer<String> {
    let (name, wanted) = match word.split_once('=') {
        Some((name, wanted)) => (name, Some(wanted)),
        None => (word, None),
    };
    let found = found(world, name, wanted.is_none())?;
    if found.is_empty() {
        return match (options.ignore, options.quiet) {
            (true, _) => Ok(String::new()),
            (_, true) => Err(Said {
                status: 1,
                ..Said::default()
            }),
            _ => Err(unknown(name)),
        };
    }
    let mut changed = changed(world)?;
    let sep = if options.equals { "=" } else { ": " };
    let text = |own: &Setting, value: &str| match options.bare {
        true => value.to_owned(),
        false => format!("{}{sep}{value}", own.name),
    };
    if let (Some(wanted), [own]) = (wanted, &found[..]) {
        let before = text(own, now(&changed.value, own));
        change(&mut changed, own, wanted)?;
        return Ok(format!("{before} -> {wanted}\n"));
    }
    let lines = found
        .iter()
        .map(|own| text(own, now(&changed.value, own)) + "\n");
    Ok(lines.collect())
}

/// The setting of this name, or those below it.
fn found(world: &World, name: &str, also_below: bool) -> Answer<Vec<&'static Setting>> {
    let mut found = Vec::new();
    for own in &SETTINGS {
        let is_there = match own.module {
            Some(module) => modules::is_loaded(world, module)?,
            None => true,
        };
        let rest = own.name.strip_prefix(name);
        let is_below = also_below && rest.is_some_and(|rest| rest.starts_with('.'));
        if is_there && (rest == Some("") || is_below) {
            found.push(own);
        }
    }
    Ok(found)
}

fn change(changed: &mut Changed, own: &Setting, wanted: &str) -> Answer<()> {
    let name = own.name;
    match own.kind {
        Fact => return Err(Said::refused(format!("sysctl: oid '{name}' is read only"))),
        Tunable => {
            return Err(Said::refused(format!(
                "sysctl: oid '{name}' is a read only tunable\n\
                 sysctl: Tunable values are set in /boot/loader.conf"
            )));
        }
        Number => {}
    }
    if wanted.parse::<u64>().is_err() {
        return Err(Said::refused(format!("sysctl: invalid integer '{wanted}'")));
    }
    for (setting, link) in KERNEL {
        if setting == name {
            kernel::set(link, wanted)?;
        }
    }
    changed.value.insert(name.to_owned(), wanted.to_owned());
    Ok(changed.save()?)
}

/// Settings that the kernel below has as well.
const KERNEL: [(&str, &str); 5] = [
    ("net.inet.ip.forwarding", "ipv4/ip_forward"),
    ("net.inet6.ip6.forwarding", "ipv6/conf/all/forwarding"),
    ("net.inet6.ip6.forwarding", "ipv6/conf/default/forwarding"),
    (
        "net.link.bridge.pfil_member",
        "bridge/bridge-nf-call-iptables",
    ),
    (
        "net.link.bridge.pfil_member",
        "bridge/bridge-nf-call-ip6tables",
    ),
];

/// What is not as at boot.
type Changed = Stored<BTreeMap<String, String>>;

fn changed(world: &World) -> Answer<Changed> {
    Ok(Stored::open(world, "sysctl")?)
}

fn now<'a>(changed: &'a BTreeMap<String, String>, own: &Setting) -> &'a str {
    changed.get(own.name).map_or(own.value, String::as_str)
}
