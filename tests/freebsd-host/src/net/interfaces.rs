//! What FreeBSD knows of its interfaces beside what the kernel below keeps.

use crate::{
    net::{
        kernel::{self, Link, host_name, kernel_name},
        said::{Answer, Said},
    },
    store::Stored,
    world::World,
};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeSet, net::Ipv6Addr, path::Path};

/// The interfaces, locked against other programs until dropped.
#[derive(Debug)]
pub(crate) struct Interfaces {
    kept: Stored<Kept>,
    links: Vec<Link>,
}

/// What is kept between two calls.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Kept {
    last_index: u32,
    interfaces: Vec<Interface>,
}

/// An interface.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Interface {
    pub(crate) name: String,
    pub(crate) kind: Kind,
    /// Its number, which is its scope in link-local addresses.
    pub(crate) index: u32,
    pub(crate) ether: Option<String>,
    pub(crate) description: Option<String>,
    pub(crate) groups: Vec<String>,
    pub(crate) up: bool,
    pub(crate) mtu: u32,
    pub(crate) nd6: BTreeSet<Nd6>,
    /// IPv6 addresses that wait for IPv6 to be switched on.
    pub(crate) waiting: Vec<(Ipv6Addr, u8)>,
    /// Members, of a bridge.
    pub(crate) members: Vec<String>,
    /// The process that holds a tap, and the name that its device has.
    pub(crate) opened_by: Option<u32>,
}

/// What makes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Kind {
    Bridge,
    Tap,
    /// Hardware, or the loopback.
    Fixed,
}

/// Flags of neighbour discovery (ifconfig(8), nd6; netinet6/nd6.h).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) enum Nd6 {
    PerformNud,
    AcceptRtadv,
    IfDisabled,
    AutoLinkLocal,
    NoRadr,
}

impl Kind {
    /// The driver, as ifconfig(8) names it to create one, which is also the group of its interfaces.
    pub(crate) fn driver(self) -> Option<&'static str> {
        match self {
            Self::Bridge => Some("bridge"),
            Self::Tap => Some("tap"),
            Self::Fixed => None,
        }
    }

    /// The module that has the driver.
    pub(crate) fn module(self) -> &'static str {
        match self {
            Self::Bridge => "if_bridge",
            Self::Tap => "if_tuntap",
            Self::Fixed => "kernel",
        }
    }

    /// The kind that a name without or with a number asks for: `tap`, `tap110`.
    pub(crate) fn of_new(name: &str) -> Option<Self> {
        let driver = name.trim_end_matches(|digit: char| digit.is_ascii_digit());
        [Self::Bridge, Self::Tap]
            .into_iter()
            .find(|kind| kind.driver() == Some(driver))
    }
}

impl Interfaces {
    /// Reads them, and waits for another program that changes them.
    pub(crate) fn lock(world: &World) -> Answer<Self> {
        let kept = Stored::open(world, "interfaces")?;
        let mut interfaces = Self {
            kept,
            links: kernel::links()?,
        };
        interfaces.find_fixed();
        interfaces.forget_dead_holders();
        Ok(interfaces)
    }

    /// Writes them, all at once.
    pub(crate) fn save(&self) -> Answer<()> {
        Ok(self.kept.save()?)
    }

    /// Asks the kernel anew.
    pub(crate) fn look(&mut self) -> Answer<()> {
        self.links = kernel::links()?;
        Ok(())
    }

    /// Hardware is what the kernel has and nobody made here.
    fn find_fixed(&mut self) {
        let (loopback, hardware): (Vec<&Link>, Vec<&Link>) = self
            .links
            .iter()
            .partition(|link| link.link_type == "loopback");
        for link in hardware.into_iter().chain(loopback) {
            let name = host_name(&link.ifname);
            if self
                .kept
                .value
                .interfaces
                .iter()
                .any(|own| own.name == name)
            {
                continue;
            }
            self.kept.value.last_index += 1;
            let is_loopback = link.link_type == "loopback";
            self.kept.value.interfaces.push(Interface {
                ether: link.address.clone().filter(|_| !is_loopback),
                groups: is_loopback.then(|| "lo".to_owned()).into_iter().collect(),
                up: link.is_up(),
                mtu: link.mtu,
                nd6: [Nd6::PerformNud, Nd6::AutoLinkLocal].into(),
                ..Interface::new(name, Kind::Fixed, self.kept.value.last_index)
            });
        }
    }

    /// A process that ended without a word has closed what it held.
    fn forget_dead_holders(&mut self) {
        for interface in &mut self.kept.value.interfaces {
            let holder = interface.opened_by;
            if holder.is_some_and(|pid| !Path::new("/proc").join(pid.to_string()).exists()) {
                interface.opened_by = None;
                interface.up = false;
            }
        }
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Interface> {
        self.kept.value.interfaces.iter()
    }

    pub(crate) fn get(&self, name: &str) -> Option<&Interface> {
        self.iter().find(|own| own.name == name)
    }

    /// The interface, or ifconfig(8)'s complaint.
    pub(crate) fn at(&mut self, name: &str) -> Answer<&mut Interface> {
        let mut own = self.kept.value.interfaces.iter_mut();
        own.find(|own| own.name == name)
            .ok_or_else(|| Said::refused(format!("ifconfig: interface {name} does not exist")))
    }

    /// What the kernel has under this name: nothing for a tap that nobody holds.
    pub(crate) fn link(&self, name: &str) -> Option<&Link> {
        let wanted = kernel_name(name);
        self.links.iter().find(|link| link.ifname == wanted)
    }

    /// The bridge that an interface is a member of.
    pub(crate) fn bridge_of(&self, member: &str) -> Option<&Interface> {
        self.iter()
            .find(|own| own.members.iter().any(|name| name == member))
    }

    /// A new interface with the first free number from 0.
    pub(crate) fn free_name(&self, driver: &str) -> String {
        let mut names = (0_u32..).map(|number| format!("{driver}{number}"));
        names
            .find(|name| self.get(name).is_none())
            .unwrap_or_else(|| driver.to_owned())
    }

    pub(crate) fn add(&mut self, name: &str, kind: Kind) -> &mut Interface {
        self.kept.value.last_index += 1;
        let index = self.kept.value.last_index;
        self.kept
            .value
            .interfaces
            .push(Interface::new(name, kind, index));
        let last = self.kept.value.interfaces.len() - 1;
        &mut self.kept.value.interfaces[last]
    }

    /// Takes it away, also from the bridge that has it.
    pub(crate) fn remove(&mut self, name: &str) {
        self.kept.value.interfaces.retain(|own| own.name != name);
        for own in &mut self.kept.value.interfaces {
            own.members.retain(|member| member != name);
        }
    }

    /// Gives it another name, also in the bridge that has it.
    pub(crate) fn rename(&mut self, from: &str, to: &str) {
        for own in &mut self.kept.value.interfaces {
            if own.name == from {
                to.clone_into(&mut own.name);
            }
            for member in own.members.iter_mut().filter(|member| *member == from) {
                to.clone_into(member);
            }
        }
    }
}

impl Interface {
    fn new(name: &str, kind: Kind, index: u32) -> Self {
        Self {
            name: name.to_owned(),
            kind,
            index,
            ether: kind.driver().map(|_| generated_ether(name)),
            description: None,
            groups: kind.driver().map(str::to_owned).into_iter().collect(),
            up: false,
            mtu: 1500,
            // On interfaces that are made IPv6 is off until somebody says -ifdisabled; a bridge takes no link-local
            // address by itself.
            nd6: match kind {
                Kind::Bridge => [Nd6::PerformNud, Nd6::IfDisabled].into(),
                Kind::Tap | Kind::Fixed => {
                    [Nd6::PerformNud, Nd6::IfDisabled, Nd6::AutoLinkLocal].into()
                }
            },
            waiting: Vec::new(),
            members: Vec::new(),
            opened_by: None,
        }
    }
}

/// A MAC address of FreeBSD's own prefix, made of the name that the interface is created with: the same after a restart,
/// and, as with the real one, also of the next one that is created as bridge0 after the first was renamed.
fn generated_ether(name: &str) -> String {
    // FNV-1a: any function that spreads names will do.
    let hash = name.bytes().fold(0x811c_9dc5_u32, |hash, byte| {
        (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193)
    });
    let [a, b, c, _] = hash.to_be_bytes();
    format!("58:9c:fc:{a:02x}:{b:02x}:{c:02x}")
}
