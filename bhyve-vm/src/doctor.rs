//! Whether a host can run the VMs that are wanted: facts in, findings out, each with evidence and a command.
//!
//! Nothing is changed: a finding prints what a person may run, and the line that makes it last.

mod network;

use network::{clock, network, overlaps};

use crate::{HostRoute, Interface, ReleaseLevel};
use ipnet::IpNet;
use std::{collections::BTreeMap, fmt};

/// What was asked of a host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostFacts {
    /// `freebsd-version -u`.
    pub version: ReleaseLevel,
    /// `kldstat -v`.
    pub modules: Vec<String>,
    /// `sysctl -i` of [`SYSCTLS`].
    pub sysctls: BTreeMap<String, String>,
    /// Paths of firmware that exist.
    pub firmware: Vec<String>,
    /// Free space of the pool, in bytes.
    pub pool_available: u64,
    /// `ifconfig -a`.
    pub interfaces: Vec<Interface>,
    /// Lines of `pfctl -s nat` and `pfctl -s rules`; none if pf is off.
    pub pf: Option<Vec<String>>,
    /// `netstat -rnW`.
    pub routes: Vec<HostRoute>,
    /// `date -u +%s`: seconds since 1970, by the host's clock.
    pub clock_s: Option<u64>,
}

/// What the VMs need.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Needs {
    /// The files of the firmware.
    pub firmware: Vec<String>,
    /// Memory of all VMs together, in MiB.
    pub memory_mib: u64,
    /// The most processors of one VM.
    pub cpus: u64,
    /// Space for their disks, in bytes.
    pub disk_bytes: u64,
    /// Interfaces that will be made.
    pub interfaces: Vec<String>,
    /// The lines by which pf.conf has to call the anchor of the lab, such as `nat-anchor "bhyve-lab/*"`; empty if no
    /// rules are wanted. Lines of another kind are not looked for.
    pub anchor_lines: Vec<String>,
    /// The networks of the lab.
    pub networks: Vec<IpNet>,
    /// The time, in seconds since 1970, if the host's clock is to be compared with it.
    pub now_s: Option<u64>,
}

/// The settings to ask for.
pub const SYSCTLS: [&str; 11] = [
    "hw.physmem",
    "hw.ncpu",
    "hw.vmm.maxcpu",
    "hw.vmm.vmx.initialized",
    "hw.vmm.vmx.cap.unrestricted_guest",
    "hw.vmm.svm.features",
    "vfs.zfs.arc.max",
    "net.inet.ip.forwarding",
    "net.inet6.ip6.forwarding",
    "net.link.bridge.pfil_member",
    // Not looked at here: it tells hosts apart.
    "kern.hostuuid",
];

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// The VMs run, with something to know.
    Warning,
    /// They will not run, or not as wanted.
    Error,
}

/// What a finding is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Subject {
    /// The version of FreeBSD.
    Version,
    /// A known hole of it.
    Advisory,
    /// A kernel module that is not loaded.
    Module,
    /// The processor.
    Processor,
    /// Memory.
    Memory,
    /// Files of the firmware.
    Firmware,
    /// Room in the pool.
    Space,
    /// Forwarding of packets.
    Forwarding,
    /// What pf sees of bridges.
    Bridge,
    /// An interface with a name of ours.
    Interface,
    /// pf and its anchors.
    Firewall,
    /// The clock.
    Clock,
    /// Networks that overlap.
    Overlap,
}

/// Something that is not as it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostFinding {
    /// What it is about.
    pub subject: Subject,
    /// How bad.
    pub severity: Severity,
    /// What.
    pub what: String,
    /// What was seen.
    pub evidence: String,
    /// What a person can do: a command, or words if there is none.
    pub remedy: String,
}

/// The patch levels from which FreeBSD-SA-26:72.bhyve, an escape from the guest, is closed.
const FIXED: [(u32, u32, u32); 3] = [(14, 4, 11), (14, 5, 2), (15, 1, 5)];

/// For the host itself, beside VMs and ARC.
const RESERVE_MIB: u64 = 1024;

/// Looks at all there is; an empty list is a clean bill.
pub fn examine(host: &HostFacts, needs: &Needs) -> Vec<HostFinding> {
    let mut findings = Vec::new();
    findings.extend(version(host.version));
    findings.extend(modules(&host.modules));
    findings.extend(processor(host, needs));
    findings.extend(memory(host, needs));
    findings.extend(space(host, needs));
    findings.extend(network(host, needs));
    findings.extend(clock(host, needs));
    findings.extend(overlaps(host, needs));
    findings
}

fn finding(
    (severity, subject): (Severity, Subject),
    what: &str,
    evidence: String,
    remedy: &str,
) -> HostFinding {
    HostFinding {
        subject,
        severity,
        what: what.to_owned(),
        evidence,
        remedy: remedy.to_owned(),
    }
}

fn version(found: ReleaseLevel) -> Option<HostFinding> {
    if !(14..=15).contains(&found.major) {
        let what = "this version of FreeBSD is not supported";
        let remedy = "use FreeBSD 14 or 15";
        return Some(finding(
            (Severity::Error, Subject::Version),
            what,
            found.to_string(),
            remedy,
        ));
    }
    let Some(patch) = found.patch else {
        let what = "whether SA-26:72.bhyve is closed cannot be told outside a release";
        let remedy = "compare with the advisory: fetch -o - https://www.freebsd.org/security/advisories/FreeBSD-SA-26:72.bhyve.asc";
        return Some(finding(
            (Severity::Warning, Subject::Advisory),
            what,
            found.to_string(),
            remedy,
        ));
    };
    let of_branch = FIXED.iter().filter(|fixed| fixed.0 == found.major);
    // A later minor version was made after the fix.
    let closed = match of_branch.clone().find(|fixed| fixed.1 == found.minor) {
        Some(fixed) => patch >= fixed.2,
        None => of_branch.clone().all(|fixed| found.minor > fixed.1),
    };
    let what = "a guest can escape through bhyve's devices (SA-26:72.bhyve)";
    let remedy = "freebsd-update fetch install";
    (!closed).then(|| {
        finding(
            (Severity::Error, Subject::Advisory),
            what,
            found.to_string(),
            remedy,
        )
    })
}

fn modules(found: &[String]) -> Vec<HostFinding> {
    let loaded = |name: &str| {
        let file = format!("{name}.ko");
        found.iter().any(|module| module == name || *module == file)
    };
    ["vmm", "nmdm", "if_tuntap", "if_bridge"]
        .into_iter()
        .filter(|name| !loaded(name))
        .map(|name| {
            let what = format!("module {name} is not loaded");
            let remedy = format!("kldload -n {name}; sysrc kld_list+={name}");
            finding(
                (Severity::Error, Subject::Module),
                &what,
                format!("kldstat -v names no {name}"),
                &remedy,
            )
        })
        .collect()
}

fn processor(host: &HostFacts, needs: &Needs) -> Vec<HostFinding> {
    let value = |name: &str| host.sysctls.get(name).map(String::as_str);
    let mut findings = Vec::new();
    let intel = value("hw.vmm.vmx.initialized") == Some("1");
    if !intel && value("hw.vmm.svm.features").is_none() {
        let what = "the processor does not offer virtualization";
        let told = value("hw.vmm.vmx.initialized").unwrap_or("missing");
        let remedy = "load vmm, then switch VT-x or SVM on in the firmware of the host";
        findings.push(finding(
            (Severity::Error, Subject::Processor),
            what,
            format!("hw.vmm.vmx.initialized: {told}"),
            remedy,
        ));
    }
    if intel && value("hw.vmm.vmx.cap.unrestricted_guest") != Some("1") {
        let what = "this processor cannot start UEFI guests";
        let evidence = "hw.vmm.vmx.cap.unrestricted_guest is not 1".to_owned();
        findings.push(finding(
            (Severity::Error, Subject::Processor),
            what,
            evidence,
            "use another host",
        ));
    }
    if let Some(limit) = number(host, "hw.vmm.maxcpu").filter(|limit| *limit < needs.cpus) {
        let what = format!("a VM wants {} processors", needs.cpus);
        let remedy = format!(
            "echo hw.vmm.maxcpu={} >>/boot/loader.conf, then reboot",
            needs.cpus
        );
        findings.push(finding(
            (Severity::Error, Subject::Processor),
            &what,
            format!("hw.vmm.maxcpu: {limit}"),
            &remedy,
        ));
    }
    if let Some(cores) = number(host, "hw.ncpu").filter(|cores| *cores < needs.cpus) {
        let what = "a VM with more processors than the host has loses its clock";
        let remedy = format!("give it {cores} processors at most");
        findings.push(finding(
            (Severity::Warning, Subject::Processor),
            what,
            format!("hw.ncpu: {cores}"),
            &remedy,
        ));
    }
    findings
}

fn number(host: &HostFacts, name: &str) -> Option<u64> {
    host.sysctls.get(name)?.parse().ok()
}

/// Guests' memory is taken as they touch it: too much of it ends in the death of a VM, not in an error at its start.
fn memory(host: &HostFacts, needs: &Needs) -> Option<HostFinding> {
    const MIB: u64 = 1024 * 1024;
    let physical = number(host, "hw.physmem")? / MIB;
    // 0 is the default, which is all but 1 GiB, or 5/8 if that is more (ARC tuning, zfs(4)).
    let arc = match number(host, "vfs.zfs.arc.max")? / MIB {
        0 => physical.saturating_sub(1024).max(physical / 8 * 5),
        arc => arc,
    };
    let wanted = needs.memory_mib + RESERVE_MIB;
    if wanted + arc <= physical {
        return None;
    }
    let evidence = format!(
        "{} MiB for VMs + {arc} MiB ARC + {RESERVE_MIB} MiB for the host > {physical} MiB",
        needs.memory_mib
    );
    if wanted >= physical {
        let what = "the VMs want more memory than the host has";
        return Some(finding(
            (Severity::Error, Subject::Memory),
            what,
            evidence,
            "make the VMs smaller or fewer",
        ));
    }
    let room = (physical - wanted) * MIB;
    let remedy =
        format!("sysctl vfs.zfs.arc.max={room}; echo vfs.zfs.arc.max={room} >>/etc/sysctl.conf");
    let what = "the VMs and the file cache together want more memory than the host has";
    Some(finding(
        (Severity::Warning, Subject::Memory),
        what,
        evidence,
        &remedy,
    ))
}

fn space(host: &HostFacts, needs: &Needs) -> Vec<HostFinding> {
    let missing = needs.firmware.iter();
    let missing = missing.filter(|path| !host.firmware.contains(path));
    let missing = missing.map(|path| {
        let what = "the UEFI firmware is missing";
        let subject = (Severity::Error, Subject::Firmware);
        finding(
            subject,
            what,
            format!("no {path}"),
            "pkg install edk2-bhyve",
        )
    });
    let mut findings: Vec<_> = missing.collect();
    if host.pool_available < needs.disk_bytes {
        let what = "the pool may fill up: volumes are sparse, and a full pool stops all VMs";
        let evidence = format!(
            "{} bytes free, {} wanted",
            host.pool_available, needs.disk_bytes
        );
        findings.push(finding(
            (Severity::Warning, Subject::Space),
            what,
            evidence,
            "zfs list -o space",
        ));
    }
    findings
}

impl fmt::Display for HostFinding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let severity = match self.severity {
            Severity::Warning => "warning",
            Severity::Error => "error",
        };
        write!(
            f,
            "{severity}: {} ({}); {}",
            self.what, self.evidence, self.remedy
        )
    }
}
