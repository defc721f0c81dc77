//! A machine's directories, and the command lines that start it.

use crate::{
    CgroupKind, FirstBoot, Group, GroupName, MachineSpec, cgroup,
    parts::{Container, environment},
};
use host_exec::{Command, files};
use sha2::{Digest, Sha256};
use std::{
    fs, io,
    os::unix::fs::{DirBuilderExt, PermissionsExt, symlink},
    path::Path,
    time::Duration,
};

/// The service that carries a machine on a host with cgroup v2.
pub(crate) fn service(group: &GroupName, machine: &str) -> String {
    format!("{}.{machine}.service", group.prefix())
}

/// The slice that holds all services of a group, with `_` for `-`: systemd.slice(5) reads `a-b.slice` as a part
/// of `a.slice`, and the end of one group would be the end of another.
pub(crate) fn slice(group: &GroupName) -> String {
    format!("{}.slice", group.prefix().replace('-', "_"))
}

/// The identity of a machine (machine-id(5)): the same for the same names, so that a machine made anew after a
/// `down` is known to its journal and to the kubelet as the same one.
fn machine_id(group: &GroupName, machine: &str) -> String {
    let digest = Sha256::digest(format!("machine-id {group} {machine}"));
    digest
        .iter()
        .take(16)
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

/// Makes the directories of a machine; what is there stays as it is.
pub(crate) fn prepare(group: &Group, machine: &MachineSpec) -> io::Result<()> {
    let dir = group.places.machine(&machine.name);
    let make = |path: &Path, mode| {
        fs::DirBuilder::new()
            .recursive(true)
            .mode(mode)
            .create(path)
    };
    make(&dir, 0o755)?;
    for part in ["upper", "work", "root", "data"] {
        make(&dir.join(part), 0o755)?;
    }
    for data in &machine.data {
        make(&group.places.data(&machine.name, data), 0o755)?;
    }
    // The overlay's options separate paths by colons and commas; a link keeps the caller's path out of them.
    let skeleton = dir.join("skeleton");
    if fs::symlink_metadata(&skeleton).is_err() {
        symlink(group.places.skeleton(), &skeleton)?;
    }
    lower_layer(group, machine, &dir.join("lower"))
}

/// What differs from machine to machine below the overlay: identity, mount points, files of the first boot.
fn lower_layer(group: &Group, machine: &MachineSpec, lower: &Path) -> io::Result<()> {
    let last = lower.join("etc/resolv.conf");
    let booted_before = last.exists();
    fs::create_dir_all(lower.join("etc"))?;
    fs::set_permissions(lower, fs::Permissions::from_mode(0o755))?;
    for target in machine
        .binds
        .iter()
        .map(|b| &b.target)
        .chain(machine.data.iter().map(|d| &d.target))
    {
        fs::create_dir_all(lower.join(target.strip_prefix("/").unwrap_or(target)))?;
    }
    let name = &machine.name;
    fs::write(lower.join("etc/hostname"), format!("{name}\n"))?;
    fs::write(
        lower.join("etc/machine-id"),
        format!("{}\n", machine_id(&group.name, name.as_str())),
    )?;
    fs::write(
        lower.join("etc/hosts"),
        format!("127.0.0.1 localhost {name}\n::1 localhost {name}\n"),
    )?;
    if !booted_before {
        first_boot(&machine.first_boot, lower)?;
    }
    // Last: by this file a machine is known to be prepared.
    fs::write(
        last,
        "# No name server: names of the lab are in /etc/hosts.\n",
    )
}

fn first_boot(first: &FirstBoot, lower: &Path) -> io::Result<()> {
    let below = |path: &Path| lower.join(path.strip_prefix("/").unwrap_or(path));
    for file in &first.files {
        let mut here = file.clone();
        here.path = below(&file.path);
        files::write_here(&here)?;
    }
    let wants = below(Path::new("/etc/systemd/system/multi-user.target.wants"));
    fs::create_dir_all(&wants)?;
    for unit in &first.enabled {
        let link = wants.join(unit.as_str());
        // What an interrupted run made.
        match fs::remove_file(&link) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
            _ => symlink(Path::new("/etc/systemd/system").join(unit.as_str()), &link)?,
        }
    }
    Ok(())
}

/// The command that starts a machine and returns as soon as it is on its way.
pub(crate) fn start_command(
    group: &Group,
    machine: &MachineSpec,
    kind: CgroupKind,
    script: &Path,
) -> Command {
    let name = machine.name.as_str();
    let places = &group.places;
    let mut supervisor: Vec<String> = vec!["/bin/sh".into(), text(script), kind.word().into()];
    supervisor.push(text(&places.machine(&machine.name)));
    supervisor.push(text(&places.pid_file(&machine.name)));
    supervisor.push(cgroup::path_of(&group.name, name));
    supervisor.extend(nspawn_argv(group, machine));
    let environment = environment(kind);
    match kind {
        // A session of its own, out of reach of the terminal's signals; a mount namespace of its own.
        CgroupKind::CgroupV1 => environment
            .iter()
            .fold(Command::new("setsid"), |command, (name, value)| {
                command.env(*name, *value)
            })
            .args([
                "--fork",
                "unshare",
                "--mount",
                "--propagation",
                "slave",
                "--",
            ])
            .args(supervisor),
        // systemd puts variables into the arguments of a service, and takes `$$` for a dollar (systemd.service(5)).
        CgroupKind::CgroupV2 => systemd_run(group, name, &environment)
            .arg("--")
            .args(supervisor.iter().map(|word| word.replace('$', "$$"))),
    }
}

/// A transient service of the host's systemd, restarted by it when the machine reboots (status 133).
fn systemd_run(group: &Group, machine: &str, environment: &[(&str, &str)]) -> Command {
    const PROPERTIES: [&str; 14] = [
        "Type=exec",
        "Delegate=yes",
        "KillMode=mixed",
        "TasksMax=infinity",
        "LimitNOFILE=1048576",
        "SuccessExitStatus=133",
        "RestartForceExitStatus=133",
        "TimeoutStopSec=30",
        "PrivateMounts=yes",
        "DevicePolicy=closed",
        "DeviceAllow=char-pts rwm",
        "DeviceAllow=/dev/kmsg r",
        "StartLimitIntervalSec=0",
        "OOMPolicy=continue",
    ];
    let mut command = Command::new("systemd-run")
        .arg(format!("--unit={}", service(&group.name, machine)))
        .arg(format!("--slice={}", slice(&group.name)))
        .arg(format!(
            "--description=machine {machine} of lab {}",
            group.name
        ))
        .arg("--quiet")
        .timeout(Duration::from_secs(90));
    for property in PROPERTIES {
        command = command.arg(format!("--property={property}"));
    }
    for (name, value) in environment {
        command = command.arg(format!("--setenv={name}={value}"));
    }
    command
}

fn nspawn_argv(group: &Group, machine: &MachineSpec) -> Vec<String> {
    let name = machine.name.as_str();
    let usr = ("/usr".into(), "/usr".into());
    let binds = machine.binds.iter();
    let binds = binds.map(|bind| (bind.source.clone(), bind.target.clone()));
    let data = machine.data.iter();
    Container {
        directory: &group.places.machine(&machine.name).join("root"),
        name,
        id: &machine_id(&group.name, name),
        network: &Path::new("/run/netns").join(group.name.netns(name)),
        console: "pipe",
        read: std::iter::once(usr).chain(binds).collect(),
        written: data
            .map(|data| (group.places.data(&machine.name, data), data.target.clone()))
            .collect(),
    }
    .words()
}

fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Places, RouterSpec};

    #[test]
    fn a_service_gets_its_words_as_they_are() {
        let machine = MachineSpec {
            name: "m-0".parse().unwrap(),
            nics: vec![],
            binds: vec![],
            data: vec![],
            first_boot: FirstBoot::default(),
        };
        let group = Group {
            name: "my-lab".parse().unwrap(),
            places: Places::new("/srv/$HOME/lab", "/run/x"),
            router: RouterSpec::with_bridges([]),
            machines: vec![machine.clone()],
        };
        let script = Path::new("/srv/$HOME/lab/supervisor.sh");
        let command = start_command(&group, &machine, CgroupKind::CgroupV2, script);
        let words = command.arguments();
        assert_eq!(command.program(), "systemd-run");
        for wanted in [
            "--unit=lab.my-lab.m-0.service",
            "--slice=lab.my_lab.slice",
            "--setenv=SYSTEMD_NSPAWN_UNIFIED_HIERARCHY=1",
            "/srv/$$HOME/lab/supervisor.sh",
            "--directory=/srv/$$HOME/lab/machines/m-0/root",
        ] {
            assert!(
                words.iter().any(|word| word == wanted),
                "{wanted}: {words:?}"
            );
        }
    }
}
