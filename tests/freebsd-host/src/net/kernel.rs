//! Links and addresses of the kernel below, by ip(8) of iproute2.

use crate::{
    net::said::{Answer, Said},
    world::World,
};
use serde::Deserialize;
use std::{
    fs,
    io::Write as _,
    net::IpAddr,
    path::Path,
    process::{Command, Stdio},
};

/// A link as the kernel has it.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Link {
    pub(crate) ifname: String,
    pub(crate) mtu: u32,
    pub(crate) flags: Vec<String>,
    pub(crate) link_type: String,
    pub(crate) address: Option<String>,
    pub(crate) addr_info: Vec<LinkAddress>,
}

/// An address of a link.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct LinkAddress {
    pub(crate) local: Option<IpAddr>,
    pub(crate) prefixlen: u8,
}

impl Link {
    pub(crate) fn is_up(&self) -> bool {
        self.flags.iter().any(|flag| flag == "UP")
    }

    /// Its addresses with their prefix lengths, in the order in which they were given.
    pub(crate) fn addresses(&self) -> impl Iterator<Item = (IpAddr, u8)> {
        let known = self.addr_info.iter();
        let known = known.filter_map(|one| Some((one.local?, one.prefixlen)));
        // Of IPv6 the kernel tells the last one first.
        let (v4, v6): (Vec<_>, Vec<_>) = known.partition(|(address, _)| address.is_ipv4());
        v4.into_iter().chain(v6.into_iter().rev())
    }
}

/// The kernel's name for an interface of the host: only the loopback's differs.
pub(crate) fn kernel_name(name: &str) -> &str {
    if name == "lo0" { "lo" } else { name }
}

/// The host's name for a link.
pub(crate) fn host_name(link: &str) -> &str {
    if link == "lo" { "lo0" } else { link }
}

/// Runs a program of the machine; its standard output.
pub(crate) fn run(words: &[&str], input: Option<&str>) -> Answer<String> {
    let failed = |cause: String| Said {
        err: format!("freebsd-host: {}: {cause}\n", words.join(" ")),
        status: 70, // EX_SOFTWARE of sysexits(3): no refusal of the host's, but the stand-in's own failure.
        ..Said::default()
    };
    let [program, arguments @ ..] = words else {
        return Err(failed("no program".to_owned()));
    };
    #[expect(
        clippy::disallowed_methods,
        reason = "it runs where it is: host-exec's commands are for the lab's side"
    )]
    let mut command = Command::new(World::here().machine_program(program));
    let stdin = input.map_or_else(Stdio::null, |_| Stdio::piped());
    command.args(arguments).stdin(stdin);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().map_err(|error| failed(error.to_string()))?;
    if let (Some(text), Some(mut pipe)) = (input, child.stdin.take()) {
        let written = pipe.write_all(text.as_bytes());
        written.map_err(|error| failed(error.to_string()))?;
    }
    let output = child.wait_with_output();
    let output = output.map_err(|error| failed(error.to_string()))?;
    if !output.status.success() {
        return Err(failed(String::from_utf8_lossy(&output.stderr).into_owned()));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Runs ip(8), for its effect.
pub(crate) fn ip(arguments: &[&str]) -> Answer<()> {
    run(&[&["ip"], arguments].concat(), None).map(drop)
}

/// All links that can be interfaces of the host: Ethernet and loopback, no tunnel that the kernel makes by itself.
pub(crate) fn links() -> Answer<Vec<Link>> {
    let text = run(&["ip", "-j", "addr", "show"], None)?;
    let links: Vec<Link> = serde_json::from_str(&text)
        .map_err(|error| Said::refused(format!("freebsd-host: ip -j addr show: {error}")))?;
    let is_ours = |link: &Link| ["ether", "loopback"].contains(&link.link_type.as_str());
    Ok(links.into_iter().filter(is_ours).collect())
}

/// Writes a setting of this network namespace, below /proc/sys/net; none where the kernel has no such setting.
pub(crate) fn set(name: &str, value: &str) -> Answer<()> {
    let path = Path::new("/proc/sys/net").join(name);
    if !path.exists() {
        return Ok(());
    }
    fs::write(&path, value)
        .map_err(|error| Said::refused(format!("freebsd-host: {}: {error}", path.display())))
}
