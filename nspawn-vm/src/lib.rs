//! Linux namespaces as machines: `systemd-nspawn` boots systemd on an overlay of this host's own root.
//!
//! A [`Group`] is a set of machines with a router between them, all on one kernel: what a hypervisor with
//! bridges gives, in half a second and without images. A machine has its own network, mount, pid, uts, ipc
//! and cgroup namespaces, a clean `/etc`, the host's `/usr` read-only, and systemd as process 1, so the unit
//! files of real guests run in it unchanged. The router is a namespace with bridges, routes and nftables.
//!
//! ```
//! use nspawn_vm::{FirstBoot, Group, MachineSpec, Nic, Places, RouterSpec};
//!
//! let machine = MachineSpec {
//!     name: "web-0".parse()?,
//!     nics: vec![Nic {
//!         name: "eth0".parse()?,
//!         bridge: "br0".parse()?,
//!         mac: "02:00:00:00:00:0a".parse()?,
//!         addresses: vec!["10.9.0.10/24".parse()?],
//!         gateways: vec!["10.9.0.1".parse()?],
//!     }],
//!     binds: vec![],
//!     data: vec![],
//!     first_boot: FirstBoot::default(),
//! };
//! let group = Group {
//!     name: "demo".parse()?,
//!     places: Places::new("/var/lib/demo", "/run/demo"),
//!     router: RouterSpec::with_bridges([("br0".parse()?, vec!["10.9.0.1/24".parse()?])]),
//!     machines: vec![machine],
//! };
//! // What would be done on a host where nothing of it is there yet:
//! let plan = nspawn_vm::plan(&group, &nspawn_vm::Observed::nothing());
//! assert_eq!(plan.machines_to_start().count(), 1);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # What this crate does not do
//!
//! No images, no disks, no quotas, no rootless mode. It is no security boundary: machines share the kernel
//! and root is root; a privileged container inside can change settings of the whole host.
//! A command that is entered from outside stays in the control group of its caller: limits of the machine do
//! not hold for it, and it ends with the machine's pid namespace, not with its service.
//! What runs inside a machine is the business of others, through [`host_exec::NamespaceHost`].
//!
//! # Invariants
//!
//! - Everything can be found, and removed, from the name of the group alone (see [`destroy`]): namespaces
//!   `lab.GROUP.MACHINE`, control groups `lab.GROUP/MACHINE`, the two directories of [`Places`].
//! - Nothing of the host changes: no sysctl, route, firewall rule or mount outside the group's namespaces.
//!   The one exception is asked for: a [`HostLink`], one interface with its own two addresses.
//!   The kernel module br_netfilter is loaded where it is missing, kept off for the host's own bridges, and
//!   unloaded with the last group.
//! - Mounts are made in a private mount namespace per machine, so none is left when its processes are gone.
//! - A machine outlives the program that started it; the one that finds it running leaves it alone.
//!
//! Sources: systemd-nspawn(1), network_namespaces(7), cgroups(7), ip-netns(8), the kernel's overlayfs.rst.

mod apply;
mod bridge_filter;
mod cgroup;
mod destroy;
mod error;
mod machine;
mod name;
mod network;
mod observe;
pub mod parts;
mod places;
mod plan;
mod process;
mod settle;
mod skeleton;
mod spec;

pub use apply::apply;
pub use cgroup::CgroupKind;
pub use destroy::{Leftovers, destroy, destroy_machine};
pub use error::{ApplyError, DestroyError, ObserveError};
pub use name::{GroupName, IfName, InvalidName, MacAddr};
pub use observe::{MachineState, Observed, observe};
pub use places::Places;
pub use plan::{Plan, Step, plan};
pub use spec::{
    Bind, DataDir, FirstBoot, Group, HostLink, Internet, MachineSpec, Nic, Route, RouterSpec,
};
