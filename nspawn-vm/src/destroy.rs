//! Removing a group, from its name alone: also after a crash of everything that made it.

use crate::{
    CgroupKind, DestroyError, GroupName, Places, bridge_filter, cgroup, machine,
    network::{self},
    observe,
};
use host_exec::{
    Command, EventSink, Host, HostName,
    poll::{self, Attempt, Wait},
};
use nix::{sys::signal, unistd::Pid};
use std::{fs, io, path::Path, time::Duration};

/// Where `ip netns` keeps names.
pub(crate) const NETNS_DIR: &str = "/run/netns";
/// There while the mount on [`NETNS_DIR`] is of our making.
pub(crate) const NETNS_MARK: &str = "/run/lab.made-netns-dir";

/// What was there to be removed, and is gone now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Leftovers {
    /// Machines that had processes.
    pub machines: usize,
    /// Network namespaces.
    pub namespaces: usize,
}

/// Removes every process, control group, network namespace, interface and file of a group.
///
/// What is not there is removed already. It goes on after a failure, to leave as little as possible.
///
/// # Errors
///
/// All that could not be removed, each with its reason.
pub async fn destroy(
    group: &GroupName,
    places: &Places,
    kind: CgroupKind,
    host: &dyn Host,
    events: &dyn EventSink,
) -> Result<Leftovers, DestroyError> {
    let mut problems = Vec::new();
    let mut done = Leftovers::default();
    events.started("", "machines");
    match observe::running(group) {
        Ok(machines) => done.machines = machines.len(),
        Err(error) => problems.push(error.to_string()),
    }
    if let Err(error) = end_processes(group, None, host, kind).await {
        problems.extend(error.problems);
    }
    events.done("", "machines", &format!("{} ended", done.machines));
    events.started("", "network");
    match namespaces(group, host).await {
        Ok(count) => done.namespaces = count,
        Err(error) => problems.extend(error.problems),
    }
    events.done(
        "",
        "network",
        &format!("{} namespaces removed", done.namespaces),
    );
    // Files last, and only when no process can hold or fill them.
    if problems.is_empty() {
        events.started("", "files");
        problems.extend(files(places).err());
        events.done("", "files", "removed");
        // A start that a killed run had asked for may have come through meanwhile. It finds no files, and leaves
        // an empty control group.
        if let Err(error) = end_processes(group, None, host, kind).await {
            problems.extend(error.problems);
        }
    }
    if problems.is_empty() {
        Ok(done)
    } else {
        Err(DestroyError { problems })
    }
}

/// Removes one machine of a group for good: its processes, control group, network namespace and files. Its wires go
/// with the namespace. The rest of the group is left alone, and must not name the machine any more.
///
/// What is not there is removed already.
///
/// # Errors
///
/// All that could not be removed, each with its reason.
pub async fn destroy_machine(
    group: &GroupName,
    places: &Places,
    machine: &HostName,
    kind: CgroupKind,
    host: &dyn Host,
) -> Result<(), DestroyError> {
    let problem = |text: String| DestroyError {
        problems: vec![text],
    };
    end_machine(group, machine.as_str(), host, kind).await?;
    let namespace = group.netns(machine.as_str());
    let all = network::observe::existing_namespaces(host).await;
    if all
        .map_err(|e| problem(e.to_string()))?
        .contains(&namespace)
    {
        let delete = Command::new("ip").args(["netns", "delete", &namespace]);
        let deleted = host.run(&delete).await;
        deleted.map_err(|error| problem(error.to_string()))?;
    }
    let dir = places.machine(machine);
    refuse_mounts_below(&dir).map_err(problem)?;
    let gone = |path: &Path, removed: io::Result<()>| match removed {
        Err(e) if e.kind() != io::ErrorKind::NotFound => {
            Err(problem(format!("{}: {e}", path.display())))
        }
        _ => Ok(()),
    };
    gone(&dir, fs::remove_dir_all(&dir))?;
    let pid = places.pid_file(machine);
    gone(&pid, fs::remove_file(&pid))?;
    // As for a whole group: a start that a killed run had asked for leaves an empty control group.
    end_machine(group, machine.as_str(), host, kind).await
}

/// Ends what is left of one machine, so that it can be started again.
pub(crate) async fn end_machine(
    group: &GroupName,
    machine: &str,
    host: &dyn Host,
    kind: CgroupKind,
) -> Result<(), DestroyError> {
    end_processes(group, Some(machine), host, kind).await
}

async fn end_processes(
    group: &GroupName,
    only: Option<&str>,
    host: &dyn Host,
    kind: CgroupKind,
) -> Result<(), DestroyError> {
    let problem = |text: String| DestroyError {
        problems: vec![text],
    };
    if kind == CgroupKind::CgroupV2 {
        // The service first, so that systemd does not see a machine die that it would start again. It is no
        // failure that there is none: kills come after it either way.
        let unit = only.map_or_else(
            || machine::slice(group),
            |name| machine::service(group, name),
        );
        let kill = Command::new("systemctl").args(["kill", "--signal=SIGKILL", "--quiet", &unit]);
        let stop = Command::new("systemctl").args(["stop", "--quiet", &unit]);
        // A killed service counts as failed, and systemd keeps it until somebody has seen that.
        let services = only.map_or_else(
            || machine::service(group, "*"),
            |name| machine::service(group, name),
        );
        let forget = Command::new("systemctl").args(["reset-failed", "--quiet", &services]);
        for command in [kill, stop, forget] {
            let _ = host.output(&command).await;
        }
    }
    let wait = Wait::new("end of all processes", Duration::from_secs(20));
    let ended = poll::until(&wait, || async {
        let machines = observe::running(group).map_err(|error| error.to_string())?;
        let chosen = machines
            .into_iter()
            .filter(|(name, _)| only.is_none_or(|only| only == name));
        let alive: Vec<_> = chosen.flat_map(|(_, processes)| processes).collect();
        for process in &alive {
            kill(process.pid);
        }
        let seen = format!("{} processes alive", alive.len());
        Ok::<_, String>(if alive.is_empty() {
            Attempt::Ready(())
        } else {
            Attempt::NotYet(seen)
        })
    })
    .await;
    ended.map_err(|error| problem(error.to_string()))?;
    remove_cgroups(group, only, kind).await
}

fn kill(pid: u32) {
    let Ok(pid) = i32::try_from(pid) else { return };
    // It may have ended by itself since we looked; the next look will tell.
    let _ = signal::kill(Pid::from_raw(pid), signal::Signal::SIGKILL);
}

async fn remove_cgroups(
    group: &GroupName,
    only: Option<&str>,
    kind: CgroupKind,
) -> Result<(), DestroyError> {
    if kind == CgroupKind::CgroupV2 {
        return Ok(());
    }
    // A group whose last process has just gone may be busy for a moment.
    let wait = Wait::new("removal of the control groups", Duration::from_secs(10));
    let removed = poll::until(&wait, || async {
        let tops = cgroup::tops(group).map_err(|error| error.to_string())?;
        let failed = tops.iter().find_map(|top| {
            let dir = only.map_or_else(|| top.clone(), |name| top.join(name));
            cgroup::remove_tree(&dir)
                .err()
                .map(|error| format!("{}: {error}", dir.display()))
        });
        Ok::<_, String>(failed.map_or(Attempt::Ready(()), Attempt::NotYet))
    })
    .await;
    removed.map_err(|error| DestroyError {
        problems: vec![error.to_string()],
    })
}

async fn namespaces(group: &GroupName, host: &dyn Host) -> Result<usize, DestroyError> {
    let problem = |error: String| DestroyError {
        problems: vec![error],
    };
    let ours = format!("{}.", group.prefix());
    let all = network::observe::existing_namespaces(host)
        .await
        .map_err(|e| problem(e.to_string()))?;
    let (ours, others): (Vec<_>, Vec<_>) =
        all.into_iter().partition(|name| name.starts_with(&ours));
    for name in &ours {
        let delete = Command::new("ip").args(["netns", "delete", name]);
        host.run(&delete)
            .await
            .map_err(|error| problem(error.to_string()))?;
    }
    // The kernel takes a namespace apart in the background; our interface on the host goes with the router's.
    let link = Path::new("/sys/class/net").join(group.host_link());
    let wait = Wait::new("removal of the host's interface", Duration::from_secs(10));
    let gone = poll::until(&wait, || async {
        let there = link.exists();
        Ok::<_, String>(if there {
            Attempt::NotYet(format!("{} is there", link.display()))
        } else {
            Attempt::Ready(())
        })
    })
    .await;
    if gone.is_err() {
        let delete = Command::new("ip").args(["link", "delete", "dev", &group.host_link()]);
        host.run(&delete)
            .await
            .map_err(|error| problem(error.to_string()))?;
    }
    if !others.iter().any(|name| name.starts_with("lab.")) {
        bridge_filter::unload(host).await.map_err(problem)?;
        // Mount points that supervisors made on a host without systemd. Not empty, or not there: not ours.
        for dir in ["/run/systemd/nspawn", "/run/systemd"] {
            let _ = fs::remove_dir(dir);
        }
    }
    netns_dir(host).await.map_err(problem)?;
    Ok(ours.len())
}

/// Takes the mount on /run/netns away if we made it and nobody uses it.
async fn netns_dir(host: &dyn Host) -> Result<(), String> {
    let empty = fs::read_dir(NETNS_DIR).is_ok_and(|mut entries| entries.next().is_none());
    if !Path::new(NETNS_MARK).exists() || !empty {
        return Ok(());
    }
    host.run(&Command::new("umount").arg(NETNS_DIR))
        .await
        .map_err(|error| error.to_string())?;
    for removed in [fs::remove_dir(NETNS_DIR), fs::remove_file(NETNS_MARK)] {
        removed.map_err(|error| format!("{NETNS_DIR}: {error}"))?;
    }
    Ok(())
}

fn files(places: &Places) -> Result<(), String> {
    let machines = places.state().join("machines");
    refuse_mounts_below(&machines)?;
    for dir in [machines, places.skeleton(), places.run().to_owned()] {
        match fs::remove_dir_all(&dir) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => {
                return Err(format!("{}: {e}", dir.display()));
            }
            _ => {}
        }
    }
    match fs::remove_file(places.state().join("supervisor.sh")) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(format!("supervisor.sh: {e}")),
        _ => Ok(()),
    }
}

/// Removing a tree must never reach through a mount into something that is not ours.
fn refuse_mounts_below(dir: &Path) -> Result<(), String> {
    let mounts = fs::read_to_string("/proc/self/mountinfo")
        .map_err(|e| format!("/proc/self/mountinfo: {e}"))?;
    // Field 5 of proc(5), mountinfo: the mount point, with octal escapes that no path of ours needs.
    let points = mounts.lines().filter_map(|line| line.split(' ').nth(4));
    match points.map(Path::new).find(|point| point.starts_with(dir)) {
        Some(point) => Err(format!("{} is a mount; unmount it first", point.display())),
        None => Ok(()),
    }
}
