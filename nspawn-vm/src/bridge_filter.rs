//! The kernel module br_netfilter: with it, packets between two pods on one bridge pass the rules of kube-proxy.
//!
//! It is the one module that no system call loads by itself. Once loaded it is switched on in every network
//! namespace, the host's own too, where it would send the traffic of other bridges through the host's firewall:
//! there it is switched off again at once (Documentation/networking/ip-sysctl.rst, bridge-nf-call-*).

use host_exec::{Command, Host, RunError};
use std::{fs, io, path::Path};

/// There once the module is loaded.
const SETTINGS: &str = "/proc/sys/net/bridge";
const SWITCHES: [&str; 3] = [
    "bridge-nf-call-iptables",
    "bridge-nf-call-ip6tables",
    "bridge-nf-call-arptables",
];
/// There while the module is of our loading. It goes before the module comes, so that a run that is killed
/// between loading and switching off is finished by the next.
const MARK: &str = "/run/lab.loaded-br_netfilter";
const LOADING: &str = "loading\n";
const LOADED: &str = "loaded\n";

/// The module could not be loaded, or not switched off in the host's own namespace.
#[derive(Debug)]
pub(crate) enum Failed {
    Run(RunError),
    File(&'static str, io::Error),
}

/// Loads the module if it is not there, without a change to the host's own traffic.
pub(crate) async fn load(host: &dyn Host) -> Result<(), Failed> {
    let interrupted = fs::read_to_string(MARK).is_ok_and(|text| text == LOADING);
    if Path::new(SETTINGS).is_dir() && !interrupted {
        return Ok(());
    }
    let mark = |text| fs::write(MARK, text).map_err(|e| Failed::File(MARK, e));
    mark(LOADING)?;
    host.run(&Command::new("modprobe").arg("br_netfilter"))
        .await
        .map_err(Failed::Run)?;
    for switch in SWITCHES {
        fs::write(Path::new(SETTINGS).join(switch), "0").map_err(|e| Failed::File(SETTINGS, e))?;
    }
    mark(LOADED)
}

/// Unloads the module if it was loaded by us and nobody wants it: who does, has switched it on for the host.
pub(crate) async fn unload(host: &dyn Host) -> Result<(), String> {
    if !Path::new(MARK).exists() {
        return Ok(());
    }
    let interrupted = fs::read_to_string(MARK).is_ok_and(|text| text == LOADING);
    let wanted = SWITCHES.iter().any(|switch| {
        fs::read_to_string(Path::new(SETTINGS).join(switch)).is_ok_and(|text| text.trim() != "0")
    });
    if interrupted || !wanted {
        let command = Command::new("modprobe").args(["--remove", "br_netfilter"]);
        // A module that somebody uses is refused, and stays: it is theirs now.
        host.output(&command)
            .await
            .map_err(|error| error.to_string())?;
    }
    fs::remove_file(MARK).map_err(|error| format!("{MARK}: {error}"))
}
