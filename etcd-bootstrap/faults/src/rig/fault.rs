//! The means to hurt machines.

use super::Rig;
use crate::scene::address;
use anyhow::{Context as _, ensure};
use host_exec::{
    Command, Stdin,
    systemd::{self, UnitName},
};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use std::fs;

/// Which packets between two machines are dropped, seen from the first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// Both ways.
    Both,
    /// What comes in: it still speaks and hears nothing.
    In,
}

impl Rig {
    fn unit() -> UnitName {
        etcd_bootstrap::render::unit_name()
    }

    /// The process of member `number`, while it runs.
    ///
    /// # Errors
    ///
    /// The machine does not answer.
    pub async fn process(&self, number: u8) -> anyhow::Result<Option<Pid>> {
        let show = Command::new("systemctl").args(["show", "--property=MainPID", "--"]);
        let show = show.arg(Self::unit().as_str());
        let output = self.host(number)?.run(&show).await?;
        let text = output.stdout_text();
        let pid = text.trim().strip_prefix("MainPID=").context("no MainPID")?;
        let pid: i32 = pid.parse()?;
        Ok((pid != 0).then(|| Pid::from_raw(pid)))
    }

    /// Sends `signal` to the process of member `number`. All machines share this side's process numbers.
    ///
    /// # Errors
    ///
    /// It does not run.
    pub async fn signal(&self, number: u8, signal: Signal) -> anyhow::Result<()> {
        let process = self.process(number).await?;
        let process = process.with_context(|| format!("member {number} does not run"))?;
        Ok(kill(process, signal)?)
    }

    /// Stops the service of member `number`, and waits until it is.
    ///
    /// # Errors
    ///
    /// The machine refuses.
    pub async fn stop(&self, number: u8) -> anyhow::Result<()> {
        systemd::stop(self.host(number)?, &[Self::unit()]).await?;
        Ok(())
    }

    /// Starts the service of member `number`, and does not wait.
    ///
    /// # Errors
    ///
    /// The machine refuses.
    pub async fn start(&self, number: u8) -> anyhow::Result<()> {
        systemd::start(self.host(number)?, &[Self::unit()]).await?;
        Ok(())
    }

    /// Drops packets between machine `number` and `others`, for peers only: clients on this side still reach it.
    ///
    /// # Errors
    ///
    /// nft(8) refuses.
    pub async fn cut(&self, number: u8, others: &[u8], direction: Direction) -> anyhow::Result<()> {
        let others: Vec<String> = others.iter().map(|n| address(*n).to_string()).collect();
        let others = others.join(", ");
        let out = match direction {
            Direction::Both => format!("ip daddr {{ {others} }} drop"),
            Direction::In => String::new(),
        };
        let rules = format!(
            "table inet cut {{
               chain in {{ type filter hook input priority 0; ip saddr {{ {others} }} drop; }}
               chain out {{ type filter hook output priority 0; {out}
               }}
             }}\n"
        );
        self.nft(number, &rules).await
    }

    /// Takes back what [`Rig::cut`] did to machine `number`.
    ///
    /// # Errors
    ///
    /// nft(8) refuses.
    pub async fn heal(&self, number: u8) -> anyhow::Result<()> {
        self.nft(number, "table inet cut\ndelete table inet cut\n")
            .await
    }

    /// Gives rules to machine `number`.
    pub(crate) async fn nft(&self, number: u8, rules: &str) -> anyhow::Result<()> {
        let nft = Command::new("nft").args(["-f", "-"]);
        let nft = nft.stdin(Stdin::Bytes(rules.as_bytes().to_vec()));
        self.host(number)?.run(&nft).await?;
        Ok(())
    }

    /// Keeps the services of machine `number` from starting, or lets them go on.
    ///
    /// # Errors
    ///
    /// The file cannot be made or removed.
    pub fn hold(&self, number: u8, hold: bool) -> anyhow::Result<()> {
        let file = self.machine_dir(number).join("var/hold");
        match hold {
            true => fs::write(file, "")?,
            false => fs::remove_file(file)?,
        }
        Ok(())
    }

    /// Sets the clock of machine `number` this far ahead, or behind if below 0.
    ///
    /// # Errors
    ///
    /// The file cannot be written.
    pub fn set_clock(&self, number: u8, seconds_ahead: i64) -> anyhow::Result<()> {
        let file = self.machine_dir(number).join("var/clock");
        Ok(fs::write(file, seconds_ahead.to_string())?)
    }

    /// Stops all members and takes away all that the tool and they ever wrote: new machines, but for their names.
    ///
    /// # Errors
    ///
    /// A service does not stop, or a file cannot be removed.
    pub async fn raze(&mut self) -> anyhow::Result<()> {
        let numbers: Vec<u8> = self.machines.keys().copied().collect();
        for number in numbers {
            self.raze_machine(number).await?;
        }
        // A cluster that never changed has none.
        let _ = fs::remove_file(&self.scene.history_file);
        Ok(())
    }

    /// The same for one machine.
    ///
    /// # Errors
    ///
    /// As [`Rig::raze`].
    pub async fn raze_machine(&mut self, number: u8) -> anyhow::Result<()> {
        let dir = self.machine_dir(number);
        if dir.join("etc/systemd/system/etcd.service").exists() {
            self.stop(number).await?;
        }
        ensure!(self.process(number).await?.is_none(), "it still runs");
        for below in ["etc", "var/lib", "var/tmp"] {
            empty(&dir.join(below))?;
        }
        fs::create_dir_all(dir.join("etc/systemd/system"))?;
        self.forget_logs(number);
        Ok(())
    }
}

impl Rig {
    /// Has the logs of machine `number` that were seen not be missed: they are taken away by the row itself.
    pub fn forget_logs(&mut self, number: u8) {
        self.logs_seen.retain(|(machine, _), _| *machine != number);
    }
}

/// Removes what is in a directory, which stays: it is mounted elsewhere.
fn empty(dir: &std::path::Path) -> anyhow::Result<()> {
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        match entry.file_type()?.is_dir() {
            true => fs::remove_dir_all(entry.path())?,
            false => fs::remove_file(entry.path())?,
        }
    }
    Ok(())
}
