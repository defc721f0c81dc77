//! The supervisor of a VM on the host: two POSIX sh scripts as text, and the reader of the log that they keep.
//!
//! bhyve ends when its guest reboots (bhyve(8), EXIT STATUS), so somebody on the host has to run it again, also
//! while nobody is logged in. `supervise` does that under daemon(8); `record` keeps what the guest says on its
//! serial port. Both need nothing but the base system.

mod events;

pub use events::{
    ConsoleWord, Event, EventError, EventLog, EventWord, Exited, RequestWord, Rung, Said,
    parse_events,
};

use crate::{HostPath, RestartPolicy, VmName};
use host_exec::{Command, escape::quote};
use std::time::Duration;

/// What a supervisor has to know.
///
/// ```
/// use bhyve_vm::{RestartPolicy, Supervision};
///
/// let supervision = Supervision::new("etcd-0".parse()?, "/var/db/lab/etcd-0".parse()?);
/// let script = supervision.script(&["-A".into(), "etcd-0".into()]);
/// assert!(script.starts_with("#!/bin/sh\n"));
/// assert!(script.contains("bhyve_command() { exec bhyve -A etcd-0; }\n"));
/// # Ok::<(), bhyve_vm::InvalidValue>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Supervision {
    /// The VM.
    pub name: VmName,
    /// The supervisor's own directory, one per VM, on a file system that survives a reboot of the host.
    /// The scripts are in it as `supervise` and `record`.
    pub directory: HostPath,
    /// The side of the null-modem device that is not bhyve's, if the console is to be recorded.
    pub console: Option<HostPath>,
    /// How often it is started again.
    pub restart: RestartPolicy,
    /// How long the guest may take to shut down.
    pub grace: Duration,
    /// The other limits; the defaults are right outside tests.
    pub limits: Limits,
}

/// Times, sizes and places of a supervisor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Between two looks at the VM: a reboot is noticed that late.
    pub tick: Duration,
    /// Between the first and the second press of the power button.
    pub press_again: Duration,
    /// For bhyve to end after a forced power-off, and again after a kill.
    pub force: Duration,
    /// For the node to vanish after `bhyvectl --destroy`.
    pub gone: Duration,
    /// A run that was shorter is not believed to have been switched off by its guest; in whole seconds.
    pub start_up: Duration,
    /// The log of events is begun anew above this size; the one before is kept.
    pub events_bytes: u32,
    /// The same for the console, with the one before it.
    pub console_bytes: u32,
    /// bhyve's own words are cut above this size.
    pub stderr_bytes: u32,
    /// Where the nodes of VMs are.
    pub nodes: HostPath,
    /// Where daemon(8)'s process file is: it has to be empty after a boot of the host, as `/var/run` is.
    pub pid_files: HostPath,
    /// Where programs are found.
    pub path: Vec<HostPath>,
}

impl Default for Limits {
    fn default() -> Self {
        let path = |text: &str| {
            text.parse()
                .expect("the paths below are written as the rules of HostPath want it")
        };
        Self {
            tick: Duration::from_secs(1),
            press_again: Duration::from_secs(2),
            force: Duration::from_secs(5),
            gone: Duration::from_secs(10),
            start_up: crate::START_UP,
            events_bytes: 256 * 1024,
            console_bytes: 1024 * 1024,
            stderr_bytes: 256 * 1024,
            nodes: path("/dev/vmm"),
            pid_files: path("/var/run"),
            path: ["/sbin", "/bin", "/usr/sbin", "/usr/bin"]
                .map(path)
                .to_vec(),
        }
    }
}

impl Supervision {
    /// With the console of [`Console::Nmdm`](crate::Console::Nmdm) recorded, 90 seconds of grace, and the default
    /// restart policy.
    pub fn new(name: VmName, directory: HostPath) -> Self {
        let console = format!("/dev/nmdm-{name}B")
            .parse()
            .expect("a VM name holds only what a path may");
        Self {
            name,
            directory,
            console: Some(console),
            restart: RestartPolicy::default(),
            grace: Duration::from_secs(90),
            limits: Limits::default(),
        }
    }

    /// The text of `supervise`, for bhyve with these arguments. Its mode should be 0700.
    pub fn script(&self, bhyve: &[String]) -> String {
        let limits = &self.limits;
        let tick = limits.tick.as_millis().max(1);
        let ticks = |time: Duration| time.as_millis().div_ceil(tick).to_string();
        let words: Vec<_> = bhyve.iter().map(|word| quote(word)).collect();
        let mut constants = self.common();
        constants.extend([
            ("NAME", self.name.to_string()),
            ("NODE", format!("{}/{}", limits.nodes, self.name)),
            ("TICK", decimal(limits.tick)),
            ("TICKS", ticks(Duration::from_secs(1))),
            ("AGAIN_TICKS", ticks(limits.press_again)),
            ("GRACE_TICKS", ticks(self.grace)),
            ("FORCE_TICKS", ticks(limits.force)),
            ("GONE_TICKS", ticks(limits.gone)),
            ("START_UP", limits.start_up.as_secs().to_string()),
            ("RESTARTS", self.restart.restarts.to_string()),
            ("WITHIN", self.restart.within_s.to_string()),
            ("PAUSE", self.restart.pause_s.to_string()),
            ("EVENTS_BYTES", limits.events_bytes.to_string()),
            ("STDERR_BYTES", limits.stderr_bytes.to_string()),
            // bhyve has its process number at once; a slow host gets five seconds.
            ("PID_TICK", "0.05".to_owned()),
            ("PID_TICKS", "100".to_owned()),
        ]);
        let command = format!("bhyve_command() {{ exec bhyve {}; }}", words.join(" "));
        fill(include_str!("supervise.sh"), &constants, &command)
    }

    /// The text of `record`; of no use without a [`Supervision::console`].
    pub fn recorder(&self) -> String {
        let mut constants = self.common();
        constants.push(("CONSOLE_BYTES", self.limits.console_bytes.to_string()));
        fill(include_str!("record.sh"), &constants, "")
    }

    /// Starts the supervisor, which starts the VM or takes up a running one (daemon(8)).
    ///
    /// It locks [`Supervision::pid_file`], so of two that come at the same time the second fails.
    pub fn start(&self) -> Command {
        let file = |name: &str| format!("{}/{name}", self.directory);
        Command::new("daemon")
            .args(["-c", "-f", "-P"])
            .arg(self.pid_file())
            .arg("-o")
            .arg(file("supervise.log"))
            .arg("-t")
            .arg(format!("lab: {}", self.name))
            .args(["/bin/sh", &file("supervise")])
    }

    /// The file with the process of daemon(8), there as long as a supervisor runs.
    pub fn pid_file(&self) -> String {
        format!("{}/lab-{}.pid", self.limits.pid_files, self.name)
    }

    fn common(&self) -> Vec<(&'static str, String)> {
        let path: Vec<_> = self.limits.path.iter().map(HostPath::as_str).collect();
        let console = self.console.as_ref().map(ToString::to_string);
        vec![
            ("PATH", path.join(":")),
            ("DIRECTORY", self.directory.to_string()),
            ("CONSOLE", console.unwrap_or_default()),
        ]
    }
}

/// Seconds as sleep(1) takes them.
fn decimal(time: Duration) -> String {
    format!("{}.{:03}", time.as_secs(), time.subsec_millis())
}

/// Puts the constants in, each quoted: nothing else of the script varies.
fn fill(template: &str, constants: &[(&str, String)], last: &str) -> String {
    let mut block: Vec<String> = constants
        .iter()
        .map(|(name, value)| format!("{name}={}", quote(value)))
        .collect();
    if !last.is_empty() {
        block.push(last.to_owned());
    }
    template.replace("#@CONSTANTS@", &block.join("\n"))
}
