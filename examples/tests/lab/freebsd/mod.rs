//! The lab on bhyve VMs of a FreeBSD host, which a stand-in plays: `tests/freebsd-host`.

mod host;
mod killed;
mod reference;
mod refused;
