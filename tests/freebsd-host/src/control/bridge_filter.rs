//! The kernel module br_netfilter: with it, packets between two pods of one guest pass the rules of kube-proxy.

use anyhow::Result;
use std::{fs, path::Path, process::Command};

/// There once the module is loaded.
const SETTINGS: &str = "/proc/sys/net/bridge";

/// Loads it where it is missing, and switches it off for this machine's own bridges, where it would send their traffic
/// through the machine's firewall. It stays loaded. Where it cannot be had, guests run, and their pods do not reach each
/// other through a Service.
pub(super) fn load() -> Result<()> {
    let settings = Path::new(SETTINGS);
    if settings.is_dir() {
        return Ok(());
    }
    let loaded = Command::new("modprobe").arg("br_netfilter").status();
    if loaded.is_ok_and(|status| status.success()) {
        for table in ["iptables", "ip6tables", "arptables"] {
            fs::write(settings.join(format!("bridge-nf-call-{table}")), "0")?;
        }
    }
    Ok(())
}
