//! Whether a host can run the VMs that are wanted: facts in, findings out, each with evidence and a command.
//!
//! Nothing is changed: a finding prints what a person may run, and the line that makes it last.

use crate::{Interface, ReleaseLevel};
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
}

/// What the VMs need.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Needs {
    /// The firmware's path.
    pub firmware: String,
    /// Memory of all VMs together, in MiB.
    pub memory_mib: u64,
    /// The most processors of one VM.
    pub cpus: u64,
    /// Space for their disks, in bytes.
    pub disk_bytes: u64,
    /// Interfaces that will be made.
    pub interfaces: Vec<String>,
    /// The pf anchor of the lab, such as `bhyve-lab`, if its networks are to be translated.
    pub anchor: Option<String>,
}

/// The settings to ask for.
pub const SYSCTLS: [&str; 10] = [
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
];

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// The VMs run, with something to know.
    Warning,
    /// They will not run, or not as wanted.
    Error,
}

/// Something that is not as it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostFinding {
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
    findings
}

fn finding(severity: Severity, what: &str, evidence: String, remedy: &str) -> HostFinding {
    HostFinding {
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
        return Some(finding(Severity::Error, what, found.to_string(), remedy));
    }
    let Some(patch) = found.patch else {
        let what = "whether SA-26:72.bhyve is closed cannot be told outside a release";
        let remedy = "compare with the advisory: fetch -o - https://www.freebsd.org/security/advisories/FreeBSD-SA-26:72.bhyve.asc";
        return Some(finding(Severity::Warning, what, found.to_string(), remedy));
    };
    let of_branch = FIXED.iter().filter(|fixed| fixed.0 == found.major);
    // A later minor version was made after the fix.
    let closed = match of_branch.clone().find(|fixed| fixed.1 == found.minor) {
        Some(fixed) => patch >= fixed.2,
        None => of_branch.clone().all(|fixed| found.minor > fixed.1),
    };
    let what = "a guest can escape through bhyve's devices (SA-26:72.bhyve)";
    let remedy = "freebsd-update fetch install";
    (!closed).then(|| finding(Severity::Error, what, found.to_string(), remedy))
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
                Severity::Error,
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
            Severity::Error,
            what,
            format!("hw.vmm.vmx.initialized: {told}"),
            remedy,
        ));
    }
    if intel && value("hw.vmm.vmx.cap.unrestricted_guest") != Some("1") {
        let what = "this processor cannot start UEFI guests";
        let evidence = "hw.vmm.vmx.cap.unrestricted_guest is not 1".to_owned();
        findings.push(finding(Severity::Error, what, evidence, "use another host"));
    }
    if let Some(limit) = number(host, "hw.vmm.maxcpu").filter(|limit| *limit < needs.cpus) {
        let what = format!("a VM wants {} processors", needs.cpus);
        let remedy = format!(
            "echo hw.vmm.maxcpu={} >>/boot/loader.conf, then reboot",
            needs.cpus
        );
        findings.push(finding(
            Severity::Error,
            &what,
            format!("hw.vmm.maxcpu: {limit}"),
            &remedy,
        ));
    }
    if let Some(cores) = number(host, "hw.ncpu").filter(|cores| *cores < needs.cpus) {
        let what = "a VM with more processors than the host has loses its clock";
        let remedy = format!("give it {cores} processors at most");
        findings.push(finding(
            Severity::Warning,
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
            Severity::Error,
            what,
            evidence,
            "make the VMs smaller or fewer",
        ));
    }
    let room = (physical - wanted) * MIB;
    let remedy =
        format!("sysctl vfs.zfs.arc.max={room}; echo vfs.zfs.arc.max={room} >>/etc/sysctl.conf");
    let what = "the VMs and the file cache together want more memory than the host has";
    Some(finding(Severity::Warning, what, evidence, &remedy))
}

fn space(host: &HostFacts, needs: &Needs) -> Vec<HostFinding> {
    let mut findings = Vec::new();
    if !host.firmware.contains(&needs.firmware) {
        let what = "the UEFI firmware is missing";
        let evidence = format!("no {}", needs.firmware);
        findings.push(finding(
            Severity::Error,
            what,
            evidence,
            "pkg install edk2-bhyve",
        ));
    }
    if host.pool_available < needs.disk_bytes {
        let what = "the pool may fill up: volumes are sparse, and a full pool stops all VMs";
        let evidence = format!(
            "{} bytes free, {} wanted",
            host.pool_available, needs.disk_bytes
        );
        findings.push(finding(
            Severity::Warning,
            what,
            evidence,
            "zfs list -o space",
        ));
    }
    findings
}

fn network(host: &HostFacts, needs: &Needs) -> Vec<HostFinding> {
    let mut findings = Vec::new();
    for (name, variable) in [
        ("net.inet.ip.forwarding", "gateway_enable"),
        ("net.inet6.ip6.forwarding", "ipv6_gateway_enable"),
    ] {
        if number(host, name) != Some(1) {
            let what = "packets are not forwarded, so guests reach nothing outside";
            let told = host.sysctls.get(name).map_or("missing", String::as_str);
            let remedy = format!("sysctl {name}=1; sysrc {variable}=YES");
            findings.push(finding(
                Severity::Error,
                what,
                format!("{name}: {told}"),
                &remedy,
            ));
        }
    }
    if number(host, "net.link.bridge.pfil_member") == Some(1) {
        let what = "pf filters between guests of one bridge";
        let evidence = "net.link.bridge.pfil_member: 1".to_owned();
        findings.push(finding(
            Severity::Warning,
            what,
            evidence,
            "sysctl net.link.bridge.pfil_member=0",
        ));
    }
    for name in &needs.interfaces {
        let Some(interface) = host.interfaces.iter().find(|found| found.name == *name) else {
            continue;
        };
        let words = interface.description.as_deref().unwrap_or("no description");
        if !words.starts_with("lab") {
            let what = format!("interface {name} is somebody else's");
            let remedy = "choose another name for ours";
            findings.push(finding(
                Severity::Error,
                &what,
                format!("{name}: {words}"),
                remedy,
            ));
        }
    }
    findings.extend(anchor(host, needs));
    findings
}

fn anchor(host: &HostFacts, needs: &Needs) -> Vec<HostFinding> {
    let Some(anchor) = &needs.anchor else {
        return Vec::new();
    };
    let Some(rules) = &host.pf else {
        let what = "pf is off, so guests are not translated";
        let remedy = "pfctl -e; sysrc pf_enable=YES";
        return vec![finding(
            Severity::Error,
            what,
            "pfctl -s nat fails".to_owned(),
            remedy,
        )];
    };
    ["nat-anchor", "rdr-anchor", "anchor"]
        .into_iter()
        .map(|kind| format!("{kind} \"{anchor}/*\""))
        .filter(|line| !rules.iter().any(|rule| rule.starts_with(line.as_str())))
        .map(|line| {
            let what = "rules of the lab would be loaded and never asked";
            let evidence = format!("no rule {line}");
            let remedy = format!("add to /etc/pf.conf, translation before filter: {line}");
            finding(Severity::Error, what, evidence, &remedy)
        })
        .collect()
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
