//! One reader per command. Each refuses what it cannot read, and names the line.

use super::network::interface_net;
use ipnet::IpNet;
use std::{collections::BTreeMap, fmt};

/// Output that is not as the command prints it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line} of the output of {command}, {text:?}: {cause}")]
pub struct ObserveError {
    /// The command as it is to be run.
    pub command: &'static str,
    /// From 1.
    pub line: usize,
    /// The line.
    pub text: String,
    /// What is wrong with it.
    pub cause: &'static str,
}

/// Reads every line with `read`, which says what is wrong with one.
fn lines<T>(
    command: &'static str,
    text: &str,
    read: impl Fn(&str) -> Result<T, &'static str>,
) -> Result<Vec<T>, ObserveError> {
    let numbered = text.lines().enumerate();
    let read = numbered.map(|(index, line)| {
        read(line).map_err(|cause| ObserveError {
            command,
            line: index + 1,
            text: line.to_owned(),
            cause,
        })
    });
    read.collect()
}

/// The VMs that have a node: `ls -1 /dev/vmm` (vmm(4)). Without any VM the directory itself is missing: empty text.
///
/// ```
/// assert_eq!(bhyve_vm::parse_nodes("etcd-0\netcd-1\n")?, ["etcd-0", "etcd-1"]);
/// # Ok::<(), bhyve_vm::ObserveError>(())
/// ```
///
/// # Errors
///
/// A line that is no name of a node.
pub fn parse_nodes(text: &str) -> Result<Vec<String>, ObserveError> {
    lines("ls -1 /dev/vmm", text, |line| {
        let legal = !line.is_empty() && !line.contains(['/', ' ', ':']);
        legal.then(|| line.to_owned()).ok_or("not a name of a VM")
    })
}

/// A process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Process {
    /// Its number.
    pub pid: u32,
    /// Seconds since it was started.
    pub age_s: u64,
    /// Memory in use, in KiB.
    pub resident_kib: u64,
    /// Its title or arguments.
    pub title: String,
}

/// The processes: `ps -axww -o pid= -o etimes= -o rss= -o command=` (ps(1)).
///
/// ```text
///   812   3600  14480 bhyve: etcd-0 (bhyve)
///   790   3601   2412 daemon: lab: etcd-0[791] (daemon)
/// ```
///
/// The name in parentheses, which ps(1) adds to a title that does not begin with it, is kept.
///
/// # Errors
///
/// A line without three numbers and a title.
pub fn parse_processes(text: &str) -> Result<Vec<Process>, ObserveError> {
    let command = "ps -axww -o pid= -o etimes= -o rss= -o command=";
    lines(command, text, |line| {
        let (pid, rest) = number(line).ok_or("no process number")?;
        let (age_s, rest) = number(rest).ok_or("no elapsed time")?;
        let (resident_kib, title) = number(rest).ok_or("no resident size")?;
        let title = title.trim().to_owned();
        if title.is_empty() {
            return Err("no title");
        }
        let pid = pid.try_into().map_err(|_| "no process number")?;
        Ok(Process {
            pid,
            age_s,
            resident_kib,
            title,
        })
    })
}

fn number(text: &str) -> Option<(u64, &str)> {
    let text = text.trim_start();
    let (digits, rest) = text.split_once(' ')?;
    Some((digits.parse().ok()?, rest))
}

impl Process {
    /// The VM that it runs, by the title that bhyve gives itself.
    pub fn vm(&self) -> Option<&str> {
        let name = self.title.strip_prefix("bhyve: ")?;
        Some(name.strip_suffix(" (bhyve)").unwrap_or(name))
    }
}

/// A dataset.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dataset {
    /// Its name.
    pub name: String,
    /// `filesystem`, `volume`, `snapshot` or `bookmark`.
    pub kind: String,
    /// In bytes.
    pub used: u64,
    /// In bytes; none for snapshots.
    pub available: Option<u64>,
    /// The snapshot that it is a clone of.
    pub origin: Option<String>,
    /// Our mark ([`OWNER_PROPERTY`](crate::OWNER_PROPERTY)).
    pub owner: Option<String>,
}

/// The datasets: `zfs list -H -p -t all -o name,type,used,avail,origin,lab:owner` (zfs-list(8)), columns parted by a tab,
/// `-` for none.
///
/// ```text
/// zroot/lab/etcd-0/root   volume  56832   101468160   zroot/lab/images/debian-12@ready    etcd-0
/// ```
///
/// # Errors
///
/// A line with other than six columns, an unknown type, or a size that is no number.
pub fn parse_datasets(text: &str) -> Result<Vec<Dataset>, ObserveError> {
    let command = "zfs list -H -p -t all -o name,type,used,avail,origin,lab:owner";
    lines(command, text, |line| {
        let columns: Vec<&str> = line.split('\t').collect();
        let [name, kind, used, available, origin, owner] = columns[..] else {
            return Err("not six columns");
        };
        if !["filesystem", "volume", "snapshot", "bookmark"].contains(&kind) {
            return Err("no type of dataset");
        }
        let given = |text: &str| (text != "-").then(|| text.to_owned());
        let available = given(available).map(|bytes| bytes.parse());
        Ok(Dataset {
            name: name.to_owned(),
            kind: kind.to_owned(),
            used: used.parse().map_err(|_| "no number of bytes used")?,
            available: available
                .transpose()
                .map_err(|_| "no number of bytes available")?,
            origin: given(origin),
            owner: given(owner),
        })
    })
}

/// A network interface.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Interface {
    /// Its name.
    pub name: String,
    /// Whether it is up, from its flags.
    pub up: bool,
    /// Maximum transmission unit, in bytes.
    pub mtu: u32,
    /// Our mark, or somebody's words.
    pub description: Option<String>,
    /// MAC address.
    pub ether: Option<String>,
    /// Addresses, as printed: `inet` and `inet6`, with scope, without prefix.
    pub addresses: Vec<String>,
    /// The same with their prefix lengths, without scope.
    pub nets: Vec<IpNet>,
    /// Options of neighbour discovery, such as `AUTO_LINKLOCAL`; none if it says nothing of them.
    pub nd6: Option<Vec<String>>,
    /// Members, of a bridge.
    pub members: Vec<String>,
    /// Its groups.
    pub groups: Vec<String>,
    /// The process that holds a tap.
    pub opened_by: Option<u32>,
}

/// The interfaces: `ifconfig -a` (ifconfig(8)).
///
/// ```text
/// tap110: flags=8943<UP,BROADCAST,RUNNING,PROMISC,SIMPLEX,MULTICAST> metric 0 mtu 1500
///         description: lab:etcd-0
///         options=4080000<LINKSTATE,MEXTPG>
///         ether 58:9c:fc:10:ff:d4
///         groups: tap
///         media: Ethernet 1000baseT <full-duplex>
///         status: active
///         nd6 options=29<PERFORMNUD,IFDISABLED,AUTO_LINKLOCAL>
///         Opened by PID 812
/// ```
///
/// Lines of an interface that say something else are left alone.
///
/// # Errors
///
/// A heading without flags or MTU, or a line before the first heading.
pub fn parse_interfaces(text: &str) -> Result<Vec<Interface>, ObserveError> {
    let mut found: Vec<Interface> = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let error = |cause| ObserveError {
            command: "ifconfig -a",
            line: index + 1,
            text: line.to_owned(),
            cause,
        };
        if line.starts_with([' ', '\t']) {
            let interface = found
                .last_mut()
                .ok_or_else(|| error("no interface before it"))?;
            interface.read(line.trim()).map_err(error)?;
        } else {
            found.push(heading(line).ok_or_else(|| error("no heading of an interface"))?);
        }
    }
    Ok(found)
}

fn heading(line: &str) -> Option<Interface> {
    let (name, rest) = line.split_once(": flags=")?;
    let (_, flags) = rest.split_once('<')?;
    let (flags, rest) = flags.split_once('>')?;
    let (_, mtu) = rest.split_once(" mtu ")?;
    Some(Interface {
        name: name.to_owned(),
        up: flags.split(',').any(|flag| flag == "UP"),
        mtu: mtu.split(' ').next()?.parse().ok()?,
        ..Interface::default()
    })
}

impl Interface {
    fn read(&mut self, line: &str) -> Result<(), &'static str> {
        let (key, value) = line.split_once(' ').unwrap_or((line, ""));
        let first = || value.split(' ').next().unwrap_or_default().to_owned();
        match key {
            "description:" => self.description = Some(value.to_owned()),
            "ether" => self.ether = Some(first()),
            "inet" | "inet6" => {
                self.addresses.push(first());
                self.nets.extend(interface_net(line));
            }
            "nd6" => self.nd6 = nd6_options(value),
            "member:" => self.members.push(first()),
            "groups:" => self.groups = value.split_whitespace().map(str::to_owned).collect(),
            "Opened" => {
                let pid = value.strip_prefix("by PID ").ok_or("no process")?;
                self.opened_by = Some(pid.parse().map_err(|_| "no process")?);
            }
            _ => {}
        }
        Ok(())
    }
}

/// `options=29<PERFORMNUD,IFDISABLED>` as a list.
fn nd6_options(value: &str) -> Option<Vec<String>> {
    let (_, options) = value.split_once('<')?;
    let options = options.split('>').next()?.split(',');
    let given = options.filter(|option| !option.is_empty());
    Some(given.map(str::to_owned).collect())
}

/// The names of the kernel's modules, also of those built in: `kldstat -v` (kldstat(8)).
///
/// ```text
/// Id Refs Address                Size Name
///  1   61 0xffffffff80200000  1f3e2d0 kernel (/boot/kernel/kernel)
///         Contains modules:
///                  Id Name
///                   1 newreno
///  5    1 0xffffffff82a21000   3360a8 vmm.ko (/boot/kernel/vmm.ko)
///         Contains modules:
///                  Id Name
///                 580 vmm
/// ```
///
/// Files are given with their `.ko`, modules without: so `vmm` is there in both ways, `if_tuntap` also where it is
/// built in.
///
/// # Errors
///
/// A line of another shape.
pub fn parse_modules(text: &str) -> Result<Vec<String>, ObserveError> {
    let names = lines("kldstat -v", text, |line| {
        let words: Vec<&str> = line.split_whitespace().collect();
        match words[..] {
            ["Id", "Refs", "Address", "Size", "Name"]
            | ["Contains", "modules:"]
            | ["Id", "Name"] => Ok(None),
            [id, _, address, _, name, ..] if is_number(id) && address.starts_with("0x") => {
                Ok(Some(name.to_owned()))
            }
            [id, name] if is_number(id) => Ok(Some(name.to_owned())),
            _ => Err("neither a file nor a module"),
        }
    })?;
    Ok(names.into_iter().flatten().collect())
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit())
}

/// Settings of the kernel: `sysctl -i NAME ...` (sysctl(8)); `-i` leaves unknown names out silently.
///
/// ```text
/// hw.vmm.vmx.initialized: 1
/// net.inet.ip.forwarding: 1
/// ```
///
/// # Errors
///
/// A line without `: `.
pub fn parse_sysctls(text: &str) -> Result<BTreeMap<String, String>, ObserveError> {
    let pairs = lines("sysctl -i", text, |line| {
        let pair = line.split_once(':').ok_or("not NAME: VALUE")?;
        if pair.0.is_empty() || pair.0.contains(' ') {
            return Err("not NAME: VALUE");
        }
        Ok((pair.0.to_owned(), pair.1.trim().to_owned()))
    })?;
    Ok(pairs.into_iter().collect())
}

/// A version of FreeBSD with its patch level.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ReleaseLevel {
    /// 14 in 14.4.
    pub major: u32,
    /// 4 in 14.4.
    pub minor: u32,
    /// 11 in 14.4-RELEASE-p11; 0 for none. None for anything but a release, whose level its name does not tell.
    pub patch: Option<u32>,
}

/// The version: `freebsd-version -u` (freebsd-version(1)), such as `14.4-RELEASE-p11`, `15.0-STABLE`, `16.0-CURRENT`.
///
/// `-u` is the base system's, which holds bhyve; `-k` and `-r` tell the kernel's, whose patch level may lag.
///
/// # Errors
///
/// Anything else.
pub fn parse_version(text: &str) -> Result<ReleaseLevel, ObserveError> {
    let line = text.trim_end_matches('\n');
    let read = || {
        let (number, branch) = line.split_once('-')?;
        let (major, minor) = number.split_once('.')?;
        let patch = match branch.split_once("-p") {
            None if branch == "RELEASE" => Some(0),
            Some(("RELEASE", patch)) => Some(patch.parse().ok()?),
            _ => None,
        };
        let known = [
            "RELEASE",
            "STABLE",
            "CURRENT",
            "PRERELEASE",
            "RC",
            "BETA",
            "ALPHA",
        ];
        known.iter().find(|name| branch.starts_with(*name))?;
        Some(ReleaseLevel {
            major: major.parse().ok()?,
            minor: minor.parse().ok()?,
            patch,
        })
    };
    read().ok_or_else(|| ObserveError {
        command: "freebsd-version -u",
        line: 1,
        text: line.to_owned(),
        cause: "not a version such as 14.4-RELEASE-p11",
    })
}

impl fmt::Display for ReleaseLevel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)?;
        match self.patch {
            Some(0) => f.write_str("-RELEASE"),
            Some(patch) => write!(f, "-RELEASE-p{patch}"),
            None => Ok(()),
        }
    }
}
