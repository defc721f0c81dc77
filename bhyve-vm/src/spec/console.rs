//! What a serial port of a VM is connected with.

use crate::{InvalidValue, VmName};
use serde::{Deserialize, Serialize};
use std::{
    fmt,
    net::{IpAddr, SocketAddr},
    str::FromStr,
};

/// Where a serial port of a VM goes: `nmdm`, or `tcp=ADDRESS:PORT` on the host itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Console {
    /// To a null-modem device named after the VM: com1 to `/dev/nmdm-NAMEA`, com2 to `/dev/nmdm-NAME.2A` and so on;
    /// a reader opens the same with `B` (nmdm(4)).
    Nmdm,
    /// To a TCP port of the host, which asks nobody for a password: only on its loopback.
    Tcp(SocketAddr),
}

impl Console {
    /// One serial port, on a null-modem device.
    pub(super) fn usual() -> Vec<Self> {
        vec![Self::Nmdm]
    }

    /// What bhyve is told for serial port `number`, counted from 1.
    pub(crate) fn backend(self, name: &VmName, number: usize) -> String {
        match (self, number) {
            (Self::Nmdm, 1) => name.console_device().to_string(),
            // No VM name holds a dot, so no other VM's device is met.
            (Self::Nmdm, _) => format!("/dev/nmdm-{name}.{number}A"),
            (Self::Tcp(_), _) => self.to_string(),
        }
    }
}

impl FromStr for Console {
    type Err = InvalidValue;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let refused = |rule| InvalidValue {
            field: "console",
            value: text.to_owned(),
            rule,
        };
        if text == "nmdm" {
            return Ok(Self::Nmdm);
        }
        let address = text
            .strip_prefix("tcp=")
            .and_then(|a| a.parse::<SocketAddr>().ok());
        let Some(address) = address.filter(|a| a.port() != 0 && !scoped(*a)) else {
            return Err(refused(
                "must be nmdm or tcp=ADDRESS:PORT, such as tcp=127.0.0.1:4001 or tcp=[::1]:4001",
            ));
        };
        match address.ip() {
            IpAddr::V4(ip) if ip.is_loopback() => Ok(Self::Tcp(address)),
            IpAddr::V6(ip) if ip.is_loopback() => Ok(Self::Tcp(address)),
            _ => Err(refused(
                "would let everybody at the guest's console in; give an address of the loopback",
            )),
        }
    }
}

/// A scope is written with `%`, which means something else to bhyve.
fn scoped(address: SocketAddr) -> bool {
    matches!(address, SocketAddr::V6(a) if a.scope_id() != 0)
}

impl TryFrom<String> for Console {
    type Error = InvalidValue;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<Console> for String {
    fn from(console: Console) -> Self {
        console.to_string()
    }
}

impl fmt::Display for Console {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nmdm => f.write_str("nmdm"),
            Self::Tcp(address) => write!(f, "tcp={address}"),
        }
    }
}
