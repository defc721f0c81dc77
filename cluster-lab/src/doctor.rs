//! What this machine lacks for a lab of namespaces, with the command that mends it.

use crate::{Lab, PreflightError, inotify::Inotify, preflight};
use artifacts::packages;
use host_exec::FileError;
use nix::unistd::Uid;
use nspawn_vm::CgroupKind;
use serde::Serialize;
use std::path::Path;

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What it is about.
    pub what: String,
    /// Whether it is as a lab needs it.
    pub ok: bool,
    /// What was seen.
    pub seen: String,
    /// What mends it; empty where nothing has to be.
    pub remedy: String,
}

impl Finding {
    pub(crate) fn good(what: impl Into<String>, seen: impl Into<String>) -> Self {
        Self {
            what: what.into(),
            ok: true,
            seen: seen.into(),
            remedy: String::new(),
        }
    }

    pub(crate) fn bad(
        what: impl Into<String>,
        seen: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Self {
        Self {
            what: what.into(),
            ok: false,
            seen: seen.into(),
            remedy: remedy.into(),
        }
    }
}

impl Lab {
    /// Looks at this machine, or at the FreeBSD host of VMs. Changes nothing.
    ///
    /// # Errors
    ///
    /// The machine's files cannot be looked at. What is missing is *not* an error: it is what is found.
    pub async fn doctor(&self) -> Result<Vec<Finding>, FileError> {
        if let Some(bhyve) = &self.spec.bhyve {
            return Ok(self.examine_vms(bhyve).await);
        }
        let mut findings = vec![root(), cgroups(), overlay(&self.places.state)];
        let missing = packages::missing(&self.here, &preflight::requirements(&self.spec)).await?;
        if missing.is_empty() {
            findings.push(Finding::good("programs of the distribution", "all there"));
        }
        findings.extend(missing.into_iter().map(|missing| Finding {
            what: missing.what,
            ok: missing.optional,
            seen: format!("missing; it {}", missing.purpose),
            remedy: missing.command,
        }));
        findings.push(self.find_programs().await);
        findings.push(match preflight::check(self).await {
            Err(error @ PreflightError::DiskFull { .. }) => Finding::bad(
                "disk space",
                error.to_string(),
                "free some space or choose another --state-dir",
            ),
            _ => Finding::good(
                "disk space",
                format!("enough at {}", self.places.state.display()),
            ),
        });
        findings.push(self.inotify());
        Ok(findings)
    }

    pub(crate) async fn find_programs(&self) -> Finding {
        let what = format!("programs of Kubernetes {}", self.spec.kubernetes);
        let remedy =
            "run where the official downloads can be reached, or install Go, or give --bin-dir";
        let blueprint = match self.draft().await {
            Ok(blueprint) => blueprint,
            Err(error) => return Finding::bad(what, error.to_string(), "mend that first"),
        };
        match self.plan_programs(&blueprint).await {
            Ok(steps) if steps.is_empty() => Finding::good(what, "in the cache"),
            Ok(steps) => Finding::good(what, format!("`lab up` will: {}", steps.join("; "))),
            Err(why) => Finding::bad(what, why, remedy),
        }
    }

    fn inotify(&self) -> Finding {
        let what = "inotify instances";
        match Inotify::count(self.spec.machines) {
            Ok(found) => {
                let Inotify {
                    limit,
                    used,
                    needed,
                } = found;
                let seen =
                    format!("{limit} per user, {used} in use, a lab of this size takes {needed}");
                // A lab that runs has its own already.
                if found.is_enough() || self.state().kubeconfig().exists() {
                    Finding::good(what, seen)
                } else {
                    Finding::bad(what, seen, found.remedy())
                }
            }
            Err(error) => Finding::bad(what, error.to_string(), "look at /proc"),
        }
    }
}

fn root() -> Finding {
    let uid = Uid::effective();
    if uid.is_root() {
        return Finding::good("root", "yes");
    }
    Finding::bad(
        "root",
        format!("user {uid}"),
        "run it as root, for example with sudo",
    )
}

fn cgroups() -> Finding {
    match CgroupKind::of_this_host() {
        Ok(CgroupKind::CgroupV1) => Finding::good(
            "control groups",
            "version 1; the lab supervises its machines itself",
        ),
        Ok(CgroupKind::CgroupV2) => Finding::good(
            "control groups",
            "version 2; systemd supervises the machines",
        ),
        Err(why) => Finding::bad(
            "control groups",
            why,
            "run the lab on the machine itself or in a virtual machine",
        ),
    }
}

fn overlay(state: &Path) -> Finding {
    let what = "file system of the state directory";
    match preflight::overlay_of(state) {
        Some(overlay) => {
            let remedy = "choose a --state-dir on a disk (ext4, xfs, btrfs)";
            Finding::bad(
                what,
                format!("{} is on an overlay", overlay.display()),
                remedy,
            )
        }
        None => Finding::good(what, state.display().to_string()),
    }
}
