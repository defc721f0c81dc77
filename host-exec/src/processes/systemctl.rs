//! The answers of a `systemctl(1)` that has processes of this program to tell about.

use super::{
    place,
    service::{DEAD, Service},
    unit::Unit,
};
use crate::{Output, Status};
use std::{
    collections::{BTreeMap, BTreeSet},
    fs, io,
    path::{Path, PathBuf},
    time::Instant,
};
use tokio::sync::Mutex;

/// Where units are, as for systemd.
const UNITS: &str = "/etc/systemd/system";

/// The services of one host.
#[derive(Debug)]
pub(super) struct Manager {
    directory: PathBuf,
    units: Mutex<Units>,
}

#[derive(Debug, Default)]
struct Units {
    started: BTreeMap<String, Service>,
    enabled: BTreeSet<String>,
}

impl Manager {
    pub(super) fn new(directory: PathBuf) -> Self {
        Self {
            directory,
            units: Mutex::default(),
        }
    }

    /// Runs `systemctl` with these arguments.
    pub(super) async fn answer(&self, arguments: &[String]) -> Output {
        let started = Instant::now();
        let (code, stdout, stderr) = match self.run(arguments).await {
            Ok(stdout) => (0, stdout, String::new()),
            Err(stderr) => (1, String::new(), stderr + "\n"),
        };
        Output {
            status: Status::Exited(code),
            stdout: stdout.into_bytes(),
            stderr: stderr.into_bytes(),
            elapsed: started.elapsed(),
        }
    }

    /// The number of a service's process, if it has one.
    pub(super) async fn process_id(&self, name: &str) -> Option<u32> {
        self.units.lock().await.started.get(name)?.process_id()
    }

    /// Kills the process of a service, if it has one.
    pub(super) async fn kill(&self, name: &str) -> io::Result<()> {
        match self.units.lock().await.started.get_mut(name) {
            Some(service) => service.kill().await,
            None => Ok(()),
        }
    }

    async fn run(&self, arguments: &[String]) -> Result<String, String> {
        let words = arguments.iter().map(String::as_str);
        let mut words = words.filter(|word| !word.starts_with('-'));
        let verb = words.next().unwrap_or("list-units");
        let mut units = self.units.lock().await;
        if verb == "show" {
            let blocks: Vec<String> = words.map(|name| self.show(&mut units, name)).collect();
            return Ok(blocks.join("\n"));
        }
        for name in words {
            match verb {
                "start" => self.start(&mut units, name)?,
                "stop" => units.stop(name).await?,
                "restart" => {
                    units.stop(name).await?;
                    self.start(&mut units, name)?;
                }
                "enable" => {
                    self.text(name)?;
                    units.enabled.insert(name.to_owned());
                }
                "disable" => drop(units.enabled.remove(name)),
                other => return Err(format!("{other} is not known to a host of processes")),
            }
        }
        Ok(String::new())
    }

    fn start(&self, units: &mut Units, name: &str) -> Result<(), String> {
        let running = units.started.get_mut(name).map(Service::state);
        if running.is_some_and(|(active, ..)| active == "active") {
            return Ok(());
        }
        let unit = Unit::parse(&self.text(name)?);
        let unit = unit.ok_or_else(|| format!("unit {name} has no ExecStart="))?;
        let service = Service::start(&self.directory, name, &unit);
        let service = service.map_err(|error| format!("cannot start {name}: {error}"))?;
        units.started.insert(name.to_owned(), service);
        Ok(())
    }

    /// The properties that are asked for in this crate. Units are read anew at each start, so none needs a reload.
    fn show(&self, units: &mut Units, name: &str) -> String {
        let load = if self.text(name).is_ok() {
            "loaded"
        } else {
            "not-found"
        };
        let state = units.started.get_mut(name).map_or(DEAD, Service::state);
        let (active, sub, result) = state;
        let file = match (load, units.enabled.contains(name)) {
            ("not-found", _) => "",
            (_, true) => "enabled",
            (_, false) => "disabled",
        };
        format!(
            "Result={result}\nLoadState={load}\nActiveState={active}\nSubState={sub}\n\
             UnitFileState={file}\nNeedDaemonReload=no\n"
        )
    }

    fn text(&self, name: &str) -> Result<String, String> {
        let path = place(&self.directory, &Path::new(UNITS).join(name));
        fs::read_to_string(&path)
            .map_err(|error| format!("unit {name}: {}: {error}", path.display()))
    }
}

impl Units {
    async fn stop(&mut self, name: &str) -> Result<(), String> {
        let Some(service) = self.started.remove(name) else {
            return Ok(());
        };
        let stopped = service.stop().await;
        stopped.map_err(|error| format!("cannot stop {name}: {error}"))
    }
}
