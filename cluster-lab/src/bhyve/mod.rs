//! A lab whose machines are bhyve VMs on a FreeBSD host, reached over SSH.

mod doctor;
mod hosts;
mod keys;
mod life;
mod removal;
mod stock;
mod supply;

pub use hosts::HostError;
pub use keys::KeysError;
pub use life::{VmError, VmRequest};
pub(crate) use stock::{Stock, StockRecord};
pub(crate) use supply::Supplied;
