//! The service manager: what systemctl(1) asks of systemd, for the units under test.

use super::{
    service::{Service, State},
    systemctl::Answer,
    unit::Unit,
};
use anyhow::Context as _;
use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    sync::Arc,
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{UnixListener, UnixStream},
    sync::Mutex,
};

const UNITS: &str = "/etc/systemd/system";
const WANTS: &str = "/etc/systemd/system/multi-user.target.wants";

/// What the manager remembers of a unit that was started.
struct Known {
    service: Service,
    /// The unit file as it was read last.
    text: String,
}

type Units = Arc<Mutex<BTreeMap<String, Known>>>;

/// Serves the machine's systemctl(1) until the process ends.
pub(super) async fn serve(socket: &Path) -> anyhow::Result<()> {
    let _ = fs::remove_file(socket);
    let listener = UnixListener::bind(socket).context("the manager's socket")?;
    let units: Units = Arc::default();
    start_enabled(&units).await?;
    loop {
        let (stream, _) = listener.accept().await?;
        let units = Arc::clone(&units);
        tokio::spawn(async move {
            // A client that went away wants no answer.
            let _ = talk(stream, &units).await;
        });
    }
}

/// What a boot does.
async fn start_enabled(units: &Units) -> anyhow::Result<()> {
    let Ok(wanted) = fs::read_dir(WANTS) else {
        return Ok(());
    };
    for entry in wanted {
        let name = entry?.file_name().to_string_lossy().into_owned();
        start(units, &name).await.map_err(anyhow::Error::msg)?;
    }
    Ok(())
}

async fn talk(mut stream: UnixStream, units: &Units) -> anyhow::Result<()> {
    let mut asked = Vec::new();
    stream.read_to_end(&mut asked).await?;
    let words: Vec<String> = serde_json::from_slice(&asked)?;
    let answer = match answer(&words, units).await {
        Ok(stdout) => Answer {
            status: 0,
            stdout,
            stderr: String::new(),
        },
        Err(stderr) => Answer {
            status: 1,
            stdout: String::new(),
            stderr: stderr + "\n",
        },
    };
    stream.write_all(&serde_json::to_vec(&answer)?).await?;
    Ok(())
}

async fn answer(words: &[String], units: &Units) -> Result<String, String> {
    let (options, names): (Vec<&str>, Vec<&str>) = words
        .iter()
        .map(String::as_str)
        .filter(|word| *word != "--")
        .partition(|word| word.starts_with('-'));
    let (verb, names) = names.split_first().ok_or("no verb")?;
    match *verb {
        "show" => Ok(show(&options, names, units).await),
        "daemon-reload" => {
            let mut units = units.lock().await;
            for (name, known) in units.iter_mut() {
                known.text = unit_text(name).unwrap_or_default();
            }
            Ok(String::new())
        }
        "start" | "stop" | "restart" | "enable" | "disable" | "reset-failed" => {
            for name in names {
                act(verb, name, units).await?;
            }
            Ok(String::new())
        }
        other => Err(format!("Unknown command verb {other}.")),
    }
}

async fn act(verb: &str, name: &str, units: &Units) -> Result<(), String> {
    match verb {
        "start" => start(units, name).await,
        "stop" => stop(units, name).await,
        "restart" => {
            stop(units, name).await?;
            start(units, name).await
        }
        "enable" => enable(name),
        "disable" => {
            // Not linked is what was wanted.
            let _ = fs::remove_file(Path::new(WANTS).join(name));
            Ok(())
        }
        _ => Ok(()),
    }
}

async fn start(units: &Units, name: &str) -> Result<(), String> {
    let mut units = units.lock().await;
    let before = units.remove(name);
    if let Some(known) = before {
        let up = matches!(known.service.state().active, "active" | "activating");
        if up && known.service.state().sub != "auto-restart" {
            units.insert(name.to_owned(), known);
            return Ok(());
        }
        known.service.stop().await;
    }
    let text = unit_text(name).ok_or_else(|| format!("Unit {name} not found."))?;
    let unit = Unit::parse(&text)?;
    let service = Service::start(name, unit);
    units.insert(name.to_owned(), Known { service, text });
    Ok(())
}

async fn stop(units: &Units, name: &str) -> Result<(), String> {
    // Held until it has ended: whoever asks again, after a caller that was killed, must not be told that it has.
    let mut units = units.lock().await;
    match units.remove(name) {
        Some(known) => known.service.stop().await,
        None if unit_text(name).is_none() => return Err(format!("Unit {name} not loaded.")),
        None => {}
    }
    Ok(())
}

fn enable(name: &str) -> Result<(), String> {
    let unit = unit_path(name);
    if !unit.exists() {
        return Err(format!("Unit file {name} does not exist."));
    }
    let link = || {
        fs::create_dir_all(WANTS)?;
        let link = Path::new(WANTS).join(name);
        if link.symlink_metadata().is_ok() {
            return Ok(());
        }
        symlink(unit, link)
    };
    link().map_err(|error: std::io::Error| error.to_string())
}

async fn show(options: &[&str], names: &[&str], units: &Units) -> String {
    let wanted: Vec<&str> = options
        .iter()
        .filter_map(|option| option.strip_prefix("--property="))
        .flat_map(|list| list.split(','))
        .collect();
    let units = units.lock().await;
    let block = |name: &&str| -> String {
        properties(name, units.get(*name))
            .iter()
            .filter(|(key, _)| wanted.is_empty() || wanted.contains(key))
            .map(|(key, value)| format!("{key}={value}\n"))
            .collect()
    };
    names.iter().map(block).collect::<Vec<_>>().join("\n")
}

/// The properties that are asked for here, as systemd 252 names them.
fn properties(name: &str, known: Option<&Known>) -> Vec<(&'static str, String)> {
    let on_disk = unit_text(name);
    let state = known.map_or(State::DEAD, |known| known.service.state());
    let stale = known.is_some_and(|known| on_disk.as_ref() != Some(&known.text));
    let loaded = on_disk.is_some() || known.is_some();
    let enabled = Path::new(WANTS).join(name).symlink_metadata().is_ok();
    let file = match (&on_disk, enabled) {
        (None, _) => "",
        (_, true) => "enabled",
        (_, false) => "disabled",
    };
    vec![
        (
            "LoadState",
            if loaded { "loaded" } else { "not-found" }.into(),
        ),
        ("ActiveState", state.active.into()),
        ("SubState", state.sub.into()),
        ("UnitFileState", file.into()),
        ("Result", state.result.into()),
        ("NeedDaemonReload", if stale { "yes" } else { "no" }.into()),
        ("MainPID", state.main_pid.to_string()),
        ("NRestarts", state.restarts.to_string()),
        ("ExecMainStatus", state.status.to_string()),
    ]
}

fn unit_path(name: &str) -> PathBuf {
    Path::new(UNITS).join(name)
}

fn unit_text(name: &str) -> Option<String> {
    fs::read_to_string(unit_path(name)).ok()
}
