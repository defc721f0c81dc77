//! Starting a machine and wiring it to the link.

use crate::scene::address;
use anyhow::Context as _;
use host_exec::{
    Command, Host, NamespaceHost,
    poll::{self, Attempt, Wait},
};
use std::{convert::Infallible, fs, path::Path, time::Duration};
use tokio::process::Child;

/// A running machine.
#[derive(Debug)]
pub(super) struct Machine {
    host: NamespaceHost,
    /// Killed when the rig is dropped.
    leader: Child,
}

impl Machine {
    /// Starts machine `number`, whose files are below `dir`, and gives it its address.
    pub(super) async fn start(number: u8, dir: &Path, here: &dyn Host) -> anyhow::Result<Self> {
        fs::create_dir_all(dir)?;
        let socket = dir.join("var/manager.sock");
        // One from before would look as if the machine was up already.
        let _ = fs::remove_file(&socket);
        let log = fs::File::create(dir.join("leader.log"))?;
        let leader = tokio::process::Command::new("unshare")
            .args([
                "--net",
                "--mount",
                "--uts",
                "--propagation",
                "private",
                "--",
            ])
            .arg(std::env::current_exe()?)
            .arg("machine")
            .arg(dir)
            .stdin(std::process::Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .kill_on_drop(true)
            .spawn()
            .context("unshare")?;
        let pid = leader.id().context("the machine ended at once")?;
        let host = NamespaceHost::new(format!("etcd-{number}").parse()?, pid);
        let wait = Wait::new(format!("machine {number}"), Duration::from_secs(20))
            .longest_pause(Duration::from_millis(10));
        let look = || async {
            Ok::<_, Infallible>(match socket.exists() {
                true => Attempt::Ready(()),
                false => Attempt::NotYet("its manager does not listen".into()),
            })
        };
        poll::until(&wait, look).await?;
        let machine = Self { host, leader };
        machine.wire(number, here).await?;
        Ok(machine)
    }

    async fn wire(&self, number: u8, here: &dyn Host) -> anyhow::Result<()> {
        let ip = |words: String| Command::new("ip").args(words.split(' '));
        let (pid, port) = (self.host.leader(), format!("port{number}"));
        let pair = format!("link add {port} type veth peer name eth0 netns {pid}");
        here.run(&ip(pair)).await?;
        here.run(&ip(format!("link set {port} master wire up")))
            .await?;
        let own = address(number);
        for words in [
            "link set lo up".to_owned(),
            format!("address add {own}/24 dev eth0"),
            "link set eth0 up".to_owned(),
        ] {
            self.host.run(&ip(words)).await?;
        }
        Ok(())
    }

    pub(super) async fn end(mut self) -> anyhow::Result<()> {
        Ok(self.leader.kill().await?)
    }

    pub(super) fn host(&self) -> &dyn Host {
        &self.host
    }

    /// The process that leads it.
    pub(super) fn leader(&self) -> u32 {
        self.host.leader()
    }
}
