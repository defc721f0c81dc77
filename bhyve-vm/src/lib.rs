//! bhyve virtual machines on a FreeBSD host: what is asked for, the exact words for bhyve, states, and causes of an end.
//!
//! ```
//! use bhyve_vm::{DeviceTree, Release, VmSpec, argv, config_file, keys, parse_argv};
//!
//! let spec: VmSpec = toml::from_str(r#"
//!     name = "etcd-0"
//!     uuid = "8f5c2b7e-0a41-4a52-9d4c-0a1b2c3d4e5f"
//!     cpus = { sockets = 1, cores = 2, threads = 1 }
//!     memory_mib = 2048
//!     seed = "/zroot/lab/etcd-0/seed.img"
//!
//!     [firmware]
//!     code = "/usr/local/share/uefi-firmware/BHYVE_UEFI_CODE.fd"
//!     vars_template = "/usr/local/share/uefi-firmware/BHYVE_UEFI_VARS.fd"
//!     vars = "/zroot/lab/etcd-0/vars.fd"
//!
//!     [[disks]]
//!     path = "/dev/zvol/zroot/lab/etcd-0/root"
//!     serial = "etcd-0-root"
//!
//!     [[nics]]
//!     mac = "58:9c:fc:0a:00:10"
//!     tap = "tap110"
//!     bridge = "bridge110"
//! "#)?;
//!
//! let tree = DeviceTree::new(&spec)?;
//! let words = argv(&tree);
//! assert!(words.contains(&"16:0,virtio-net,tap110,mac=58:9c:fc:0a:00:10".to_owned()));
//! // Both forms come down to the same keys.
//! assert_eq!(parse_argv(&words, Release::V15)?, keys(&tree, Release::V15));
//! assert!(config_file(&keys(&tree, Release::V15)).contains("pci.0.16.0.backend=tap110\n"));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # How far it goes
//!
//! From a specification to running VMs and back to a host without them: [`fleet`] asks a host, plans, and does what it
//! planned, through any [`Host`](host_exec::Host). All else is pure: values in, values out.
//!
//! No FreeBSD was in reach. The two printed forms of a VM are read by readers written from bhyve's rules, and must give
//! the same keys. The driver is tested against a host in memory with the connection cut at every call, and was run
//! through a real `sshd` against a stand-in host whose programs refuse what FreeBSD's refuse.
//!
//! # Arguments and files of others
//!
//! [`Arguments`] takes every option and device of bhyve(8), in any spelling that getopt(3) takes, and gives the words
//! back as they were; its `Display` says what each does. [`KeyTree`] holds every key of bhyve_config(5) that the
//! release knows. Both refuse what bhyve would ignore, and name the word, its place and what is known there:
//!
//! ```
//! use bhyve_vm::{Arguments, Release};
//!
//! let words = ["-AHP", "-s", "0,hostbridge", "-s", "3,virtio-blk,/vm/a.img,readonly", "a"].map(str::to_owned);
//! let arguments = Arguments::parse(&words)?;
//! assert_eq!(
//!     arguments.keys(Release::V15).unwrap_err().to_string(),
//!     "argument 5, \"3,virtio-blk,/vm/a.img,readonly\": pci.0.3.0.readonly is no key of virtio-blk; it has path, \
//!      nocache, nodelete, sync, direct, ro, sectorsize, bootindex, ser, serial"
//! );
//! # Ok::<(), bhyve_vm::ReadError>(())
//! ```
//!
//! # Several VMs
//!
//! [`Derived`] gives a VM of a lab its UUID, MAC addresses and taps, [`VmSpec::with_slots`] stores the slots that were
//! chosen, and [`refuse_shared`] says whether the VMs of one host leave each other alone.
//!
//! # Life on the host
//!
//! A [`Supervision`] prints the scripts that keep a VM running on the host while nobody is logged in; they are
//! run for real under dash and bash, with stand-ins for what only FreeBSD has. [`observe`] tells a VM's state from
//! what the host's commands print, contradictions included; [`examine`] tells whether a host can run the VMs at all.
//! [`fleet`] asks those commands and follows their answers; the contract of each of its calls is there.
//!
//! # What this crate does not do
//!
//! It downloads no images, and thinks up no networks or firewall rules: it applies those that it is given. Seeds and
//! images are in [`seed`] and [`image`]. Devices of a [`VmSpec`] are the few that a Linux server needs: no graphics, no USB, no emulated network
//! card: those were ways out of a guest before. Who wants one names it in [`VmSpec::extra`].
//!
//! # Invariants
//!
//! - A text that bhyve would take for something else (`,`, `%`, `\`, blanks) cannot be in a [`VmSpec`]; `%`, `\` and what does not print cannot be in a [`KeyTree`]. Nothing is escaped.
//! - A [`DeviceTree`] has no slot, file, serial, MAC address or tap twice.
//! - Adding a disk moves no network card and the other way round, so the guest's interface names stay.
//! - `Arguments::parse(words).words() == words` for every list that is read.
//! - `parse_argv(argv(tree)) == keys(tree) == parse_config_file(config_file(keys(tree)))`.
//! - bhyve's status 1 is never taken for "powered off" without evidence ([`exit_cause`]).
//! - What carries no mark of ours is never changed or destroyed ([`fleet::NotOurs`]).
//!
//! # States
//!
//! ```text
//! absent -> defined -> provisioning -> stopped -> starting -> running -> stopping -> stopped
//!                                         |        ^  ^          |
//!                                         |        |  +----- rebooting (status 0, or asked for)
//!                                         v        +-------- crashed   (3, signals, panic; within the budget)
//!                                      deleting -> absent
//! ```
//!
//! Any state may turn into `failed`, from which a request leads out, or `unknown` while the host is silent:
//! the whole table is [`VmState::after`] (what happens) and [`VmState::requests`] (what may be asked), and
//! [`VmState::next`] sums it up.
//!
//! Manual pages: bhyve(8), bhyve_config(5), bhyvectl(8), daemon(8), nmdm(4), tap(4), zfs(8).

mod console;
mod doctor;
mod exit;
pub mod fleet;
pub mod image;
mod keys;
mod names;
mod observe;
mod plan;
mod print;
mod read;
pub mod seed;
mod slots;
mod spec;
mod state;
mod supervisor;
mod tree;

pub use console::{ConsoleState, Finding, Stage, Trouble, read_console};
pub use doctor::{HostFacts, HostFinding, Needs, SYSCTLS, Severity, Subject, examine};
pub use exit::{
    Asked, Ending, Evidence, ExitCause, Reaction, START_UP, Wanted, exit_cause, reaction,
};
pub use keys::{KeyError, KeyTree, Release};
pub use names::{
    BridgeName, Derived, DiskSerial, HostPath, InvalidValue, LabMark, MacAddress, TapName, Uuid,
    VmName, ZfsDataset,
};
pub use observe::{
    Contradiction, Dataset, Facts, HostRoute, Interface, ObserveError, Observed, Parts, Process,
    ReleaseLevel, observe, parse_datasets, parse_interfaces, parse_modules, parse_nodes,
    parse_processes, parse_resolvers, parse_routes, parse_sysctls, parse_version,
};
pub use plan::{Action, Condition, OWNER_PROPERTY, RootVolume, Step};
pub use print::{argv, config_file, keys};
pub use read::{Arguments, ReadError, parse_argv, parse_config_file};
pub use slots::{Device, Slot};
pub use spec::{
    Console, Disk, Firmware, Nic, RestartPolicy, SectorSizes, StopPolicy, Topology, VmSpec,
};
pub use state::{IllegalEvent, IllegalRequest, Request, StateEvent, VmState};
pub use supervisor::{
    ConsoleWord, Event, EventError, EventLog, EventWord, Exited, Limits, RequestWord, Rung, Said,
    Supervision, parse_events,
};
pub use tree::{DeviceTree, SpecError, refuse_shared};
