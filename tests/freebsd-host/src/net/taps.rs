//! Taps that VMs hold: a veth pair, one end on the host under the tap's name, the other in the guest.

use crate::{
    net::{
        interfaces::{Interfaces, Kind},
        kernel::{self, ip},
        said::{Answer, Said},
    },
    world::World,
};

/// What bhyve(8) does to a tap when it starts: the link comes up on the host, in the bridge that has the tap, and its
/// other end is in the network namespace of `guest_pid`, down, with this name and MAC address.
///
/// The calling process is the one that holds the tap (`Opened by PID`); [`close_tap`] or its end closes it.
///
/// # Errors
///
/// No such tap, or one that another process holds; the text is the cause as the kernel of FreeBSD names it.
pub(crate) fn open_tap(
    world: &World,
    name: &str,
    guest_pid: u32,
    guest_name: &str,
    mac: &str,
) -> Result<(), String> {
    let mut interfaces = Interfaces::lock(world).map_err(text)?;
    let tap = interfaces.get(name).filter(|own| own.kind == Kind::Tap);
    let tap = tap.ok_or("No such file or directory")?;
    if tap.opened_by.is_some_and(|pid| pid != std::process::id()) {
        return Err("Device busy".to_owned());
    }
    if interfaces.link(name).is_some() {
        // Of a VM that ended without closing, and whose namespace lingers.
        ip(&["link", "delete", name]).map_err(text)?;
    }
    make_pair(&interfaces, name, (guest_pid, guest_name, mac)).map_err(text)?;
    let tap = interfaces.at(name).map_err(text)?;
    tap.opened_by = Some(std::process::id());
    tap.up = true;
    interfaces.save().map_err(text)
}

fn make_pair(
    interfaces: &Interfaces,
    name: &str,
    (guest_pid, guest_name, mac): (u32, &str, &str),
) -> Answer<()> {
    let pid = guest_pid.to_string();
    let peer = ["peer", "name", guest_name, "address", mac, "netns", &pid];
    let pair = ["link", "add", "name", name, "type", "veth"];
    ip(&[&pair[..], &peer].concat())?;
    kernel::set(&format!("ipv6/conf/{name}/disable_ipv6"), "1")?;
    if let Some(bridge) = interfaces.bridge_of(name) {
        ip(&["link", "set", "dev", name, "master", &bridge.name])?;
    }
    ip(&["link", "set", "dev", name, "up"])
}

/// What the end of bhyve(8) does to a tap: it goes down, and stays.
///
/// # Errors
///
/// The state of the host cannot be read or written. A tap that is not open, or gone, is no error.
pub(crate) fn close_tap(world: &World, name: &str) -> Result<(), String> {
    let mut interfaces = Interfaces::lock(world).map_err(text)?;
    if interfaces.get(name).is_none_or(|own| own.kind != Kind::Tap) {
        return Ok(());
    }
    if interfaces.link(name).is_some() {
        ip(&["link", "delete", name]).map_err(text)?;
    }
    let tap = interfaces.at(name).map_err(text)?;
    tap.opened_by = None;
    tap.up = false;
    interfaces.save().map_err(text)
}

fn text(said: Said) -> String {
    said.err.trim_end().to_owned()
}
