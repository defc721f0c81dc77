//! The effects of each change.

use super::{
    At, ioctl,
    words::{Address, Change, How},
};
use crate::{
    net::{
        interfaces::{Interfaces, Kind, Nd6},
        kernel::{self, ip, kernel_name},
        said::Answer,
    },
    programs::sysctl,
    world::World,
};
use std::net::{IpAddr, Ipv6Addr};

/// The longest name of an interface: `IFNAMSIZ` is 16 with its end (net/if.h).
const NAME_LENGTH: usize = 15;

pub(super) fn apply(
    world: &World,
    interfaces: &mut Interfaces,
    at: &mut At,
    change: &Change,
) -> Answer<()> {
    match change {
        Change::Destroy => destroy(interfaces, at),
        Change::Rename(name) => rename(interfaces, at, name),
        Change::Describe(text) => {
            interfaces.at(&at.name)?.description.clone_from(text);
            Ok(())
        }
        // One that it is in already, or not in, is no error to the real program either.
        Change::Group(group, is_in) => {
            let groups = &mut interfaces.at(&at.name)?.groups;
            groups.retain(|known| known != group);
            groups.extend(is_in.then(|| group.clone()));
            Ok(())
        }
        Change::Up(up) => set_up(interfaces, &at.name, *up),
        Change::Member(member, true) => add_member(world, interfaces, &at.name, member),
        Change::Member(member, false) => delete_member(interfaces, &at.name, member),
        Change::Address(address) => set_address(world, interfaces, &at.name, address),
        Change::Nd6(flag, on) => set_nd6(interfaces, &at.name, *flag, *on),
        Change::Ether(ether) => set_ether(interfaces, &at.name, ether),
        Change::Mtu(mtu) => set_mtu(interfaces, &at.name, *mtu),
    }
}

/// Makes an interface of this name.
pub(super) fn make(interfaces: &mut Interfaces, name: &str, kind: Kind) -> Answer<()> {
    let ether = interfaces.add(name, kind).ether.clone();
    if kind != Kind::Bridge {
        return Ok(());
    }
    let link = ["link", "add", "name", name];
    let bridge = [
        "type",
        "bridge",
        "forward_delay",
        "0",
        "mcast_snooping",
        "0",
    ];
    let ether = ether.unwrap_or_default();
    ip(&[&link[..], &["address", &ether], &bridge].concat())?;
    // 1: no link-local address by itself.
    kernel::set(&format!("ipv6/conf/{name}/addr_gen_mode"), "1")?;
    kernel::set(&format!("ipv6/conf/{name}/disable_ipv6"), "1")?;
    interfaces.look()
}

fn destroy(interfaces: &mut Interfaces, at: &mut At) -> Answer<()> {
    let own = interfaces.at(&at.name)?;
    match (own.kind, own.opened_by) {
        (Kind::Fixed, _) => return Err(ioctl("SIOCIFDESTROY", "Invalid argument")),
        // The driver waits until the last one has closed it; a program that only hangs helps no test.
        (_, Some(_)) => return Err(ioctl("SIOCIFDESTROY", "Device busy")),
        _ => {}
    }
    if interfaces.link(&at.name).is_some() {
        ip(&["link", "delete", &at.name])?;
    }
    interfaces.remove(&at.name);
    at.says = false;
    interfaces.look()
}

fn rename(interfaces: &mut Interfaces, at: &mut At, name: &str) -> Answer<()> {
    let failed = |cause| ioctl("ioctl SIOCSIFNAME (set name)", cause);
    if name.len() > NAME_LENGTH {
        return Err(failed("File name too long"));
    }
    if name.is_empty() || name.contains(['/', ' ', ':']) {
        return Err(failed("Invalid argument"));
    }
    if interfaces.get(name).is_some() {
        return Err(failed("File exists"));
    }
    if interfaces.at(&at.name)?.kind == Kind::Fixed {
        return Err(failed("Invalid argument"));
    }
    if let Some(up) = interfaces.link(&at.name).map(kernel::Link::is_up) {
        ip(&["link", "set", "dev", &at.name, "down"])?;
        ip(&["link", "set", "dev", &at.name, "name", name])?;
        if up {
            ip(&["link", "set", "dev", name, "up"])?;
        }
    }
    interfaces.rename(&at.name, name);
    name.clone_into(&mut at.name);
    at.says = true;
    interfaces.look()
}

fn set_up(interfaces: &mut Interfaces, name: &str, up: bool) -> Answer<()> {
    interfaces.at(name)?.up = up;
    if interfaces.link(name).is_some() {
        let state = if up { "up" } else { "down" };
        ip(&["link", "set", "dev", kernel_name(name), state])?;
        interfaces.look()?;
    }
    Ok(())
}

fn add_member(
    world: &World,
    interfaces: &mut Interfaces,
    bridge: &str,
    member: &str,
) -> Answer<()> {
    let failed = |cause| ioctl(&format!("BRDGADD {member}"), cause);
    if interfaces.at(bridge)?.kind != Kind::Bridge {
        return Err(failed("Operation not supported"));
    }
    let Some(own) = interfaces.get(member) else {
        return Err(failed("No such file or directory"));
    };
    match interfaces.bridge_of(member) {
        Some(other) if other.name == bridge => return Err(failed("File exists")),
        Some(_) => return Err(failed("Device busy")),
        None => {}
    }
    let link = interfaces.link(member);
    let has_address = link.is_some_and(|link| link.addresses().next().is_some());
    let takes_addresses = sysctl::value(world, "net.link.bridge.member_ifaddrs")? != "0";
    if own.kind == Kind::Bridge || (has_address && !takes_addresses) {
        return Err(failed("Invalid argument"));
    }
    // The first member gives its MTU, later ones must have it.
    let mtu = own.mtu;
    let has_link = link.is_some();
    let own = interfaces.at(bridge)?;
    if !own.members.is_empty() && own.mtu != mtu {
        return Err(failed("Invalid argument"));
    }
    own.mtu = mtu;
    own.members.insert(0, member.to_owned());
    if has_link {
        ip(&["link", "set", "dev", member, "master", bridge])?;
    }
    interfaces.look()
}

fn delete_member(interfaces: &mut Interfaces, bridge: &str, member: &str) -> Answer<()> {
    let own = interfaces.at(bridge)?;
    let count = own.members.len();
    own.members.retain(|known| known != member);
    if own.members.len() == count {
        let request = format!("BRDGDEL {member}");
        return Err(ioctl(&request, "No such file or directory"));
    }
    if interfaces.link(member).is_some() {
        ip(&["link", "set", "dev", member, "nomaster"])?;
    }
    interfaces.look()
}

fn set_address(
    world: &World,
    interfaces: &mut Interfaces,
    name: &str,
    wanted: &Address,
) -> Answer<()> {
    if wanted.scope.as_deref().is_some_and(|scope| scope != name) {
        return Err(ioctl("ioctl (SIOCAIFADDR)", "Invalid argument"));
    }
    let in_bridge = interfaces.bridge_of(name).is_some();
    if wanted.how != How::Remove
        && in_bridge
        && sysctl::value(world, "net.link.bridge.member_ifaddrs")? == "0"
    {
        return Err(ioctl("ioctl (SIOCAIFADDR)", "Invalid argument"));
    }
    if interfaces.link(name).is_none() {
        let cause = "stand-in: a tap that nobody holds takes no address";
        return Err(ioctl("ioctl (SIOCAIFADDR)", cause));
    }
    match wanted.how {
        How::Remove => remove_address(interfaces, name, wanted.address),
        How::Alias => add_address(interfaces, name, (wanted.address, wanted.prefix_len)),
        How::Replace => {
            let link = interfaces.link(name);
            let first = link.and_then(|link| link.addresses().find(|(own, _)| own.is_ipv4()));
            if let Some((first, _)) = first.filter(|(first, _)| *first != wanted.address) {
                remove_address(interfaces, name, first)?;
            }
            add_address(interfaces, name, (wanted.address, wanted.prefix_len))
        }
    }
}

fn add_address(
    interfaces: &mut Interfaces,
    name: &str,
    (address, prefix_len): (IpAddr, u8),
) -> Answer<()> {
    let elsewhere = interfaces.iter().any(|own| {
        let link = interfaces.link(&own.name).filter(|_| own.name != name);
        let is_link_local = matches!(address, IpAddr::V6(own) if own.is_unicast_link_local());
        !is_link_local && link.is_some_and(|link| link.addresses().any(|(own, _)| own == address))
    });
    if elsewhere && address.is_ipv4() {
        return Err(ioctl("ioctl (SIOCAIFADDR)", "File exists"));
    }
    let own = interfaces.at(name)?;
    match address {
        IpAddr::V6(address) if own.nd6.contains(&Nd6::IfDisabled) => {
            own.waiting.retain(|(known, _)| *known != address);
            own.waiting.push((address, prefix_len));
            Ok(())
        }
        _ => {
            give(name, address, prefix_len)?;
            own.up = true;
            interfaces.look()
        }
    }
}

/// An interface with a new address comes up by itself.
fn give(name: &str, address: IpAddr, prefix_len: u8) -> Answer<()> {
    let (name, net) = (kernel_name(name), format!("{address}/{prefix_len}"));
    let nodad: &[&str] = if address.is_ipv6() {
        &["nodad"]
    } else {
        &["broadcast", "+"]
    };
    ip(&[&["addr", "replace", &net, "dev", name], nodad].concat())?;
    ip(&["link", "set", "dev", name, "up"])
}

fn remove_address(interfaces: &mut Interfaces, name: &str, address: IpAddr) -> Answer<()> {
    let waiting = &mut interfaces.at(name)?.waiting;
    let count = waiting.len();
    waiting.retain(|(own, _)| IpAddr::V6(*own) != address);
    if waiting.len() < count {
        return Ok(());
    }
    let link = interfaces.link(name);
    let found = link.and_then(|link| link.addresses().find(|(own, _)| *own == address));
    let Some((_, length)) = found else {
        return Err(ioctl(
            "ioctl (SIOCDIFADDR)",
            "Can't assign requested address",
        ));
    };
    let net = format!("{address}/{length}");
    ip(&["addr", "delete", &net, "dev", kernel_name(name)])?;
    interfaces.look()
}

fn set_nd6(interfaces: &mut Interfaces, name: &str, flag: Nd6, on: bool) -> Answer<()> {
    let own = interfaces.at(name)?;
    if on {
        own.nd6.insert(flag);
    } else {
        own.nd6.remove(&flag);
    }
    let disabled = own.nd6.contains(&Nd6::IfDisabled);
    let link_local = own.nd6.contains(&Nd6::AutoLinkLocal);
    let waiting: Vec<(Ipv6Addr, u8)> = if disabled {
        Vec::new()
    } else {
        std::mem::take(&mut own.waiting)
    };
    if interfaces.link(name).is_none() {
        return Ok(());
    }
    let conf = format!("ipv6/conf/{}", kernel_name(name));
    match flag {
        Nd6::IfDisabled => kernel::set(
            &format!("{conf}/disable_ipv6"),
            if disabled { "1" } else { "0" },
        )?,
        // 0: made of the MAC address.
        Nd6::AutoLinkLocal => kernel::set(
            &format!("{conf}/addr_gen_mode"),
            if link_local { "0" } else { "1" },
        )?,
        // 2: also where packets are forwarded.
        Nd6::AcceptRtadv => kernel::set(&format!("{conf}/accept_ra"), if on { "2" } else { "0" })?,
        Nd6::PerformNud | Nd6::NoRadr => {}
    }
    for (address, length) in waiting {
        give(name, address.into(), length)?;
    }
    interfaces.look()
}

fn set_ether(interfaces: &mut Interfaces, name: &str, ether: &str) -> Answer<()> {
    interfaces.at(name)?.ether = Some(ether.to_owned());
    if interfaces.link(name).is_some() {
        let set = ["link", "set", "dev", name, "address", ether];
        ip(&set).map_err(|_| ioctl("ioctl (SIOCSIFLLADDR)", "Invalid argument"))?;
    }
    Ok(())
}

fn set_mtu(interfaces: &mut Interfaces, name: &str, mtu: u32) -> Answer<()> {
    let failed = || ioctl("ioctl SIOCSIFMTU (set mtu)", "Invalid argument");
    if !(72..=65535).contains(&mtu) || interfaces.bridge_of(name).is_some() {
        return Err(failed());
    }
    interfaces.at(name)?.mtu = mtu;
    if interfaces.link(name).is_some() {
        let set = [
            "link",
            "set",
            "dev",
            kernel_name(name),
            "mtu",
            &mtu.to_string(),
        ];
        ip(&set).map_err(|_| failed())?;
        interfaces.look()?;
    }
    Ok(())
}
