//! Latency and loss between members. tc(8)'s netem is not in every kernel, so bytes are held back by a relay in each
//! machine that its member's connections are redirected to, and packets dropped by nft(8).

use crate::{dice::Dice, rig::Rig, scene::address};
use host_exec::NetworkNamespace;
use std::{collections::BTreeMap, net::SocketAddr, time::Duration};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::mpsc,
    task::JoinHandle,
    time::{Instant, sleep_until},
};

/// The port on which a machine takes what relays bring, redirected to its member's own.
const RELAYED: u16 = 2390;
/// Relay to member n listens on this and n.
const RELAY: u16 = 2400;
/// etcd's robustness tests delay by this.
const LEAST: Duration = Duration::from_millis(25);
const SPREAD: Duration = Duration::from_millis(100);

/// Delays that hold until they are taken back.
#[derive(Debug)]
pub struct Delays {
    relays: Vec<JoinHandle<()>>,
}

/// Delays and loses what members send each other, in every direction.
///
/// # Errors
///
/// A machine refuses the rules or the listeners.
pub async fn between_all(rig: &mut Rig) -> anyhow::Result<Delays> {
    let mut relays = Vec::new();
    for from in rig.scene.members.clone() {
        let network = rig.network(from)?;
        let mut redirects = BTreeMap::new();
        for to in rig.others(from) {
            let port = RELAY + u16::from(to);
            let listener = network.listen(([127, 0, 0, 1], port).into()).await?;
            let relay = Relay {
                network: network.clone(),
                to: (address(to), RELAYED).into(),
                dice: Dice::new(rig.dice.below(u64::MAX)),
            };
            relays.push(tokio::spawn(relay.serve(listener)));
            redirects.insert(to, port);
        }
        rig.nft(from, &rules(&redirects)).await?;
    }
    Ok(Delays { relays })
}

fn rules(redirects: &BTreeMap<u8, u16>) -> String {
    let redirect = |(to, port): (&u8, &u16)| {
        let to = address(*to);
        format!("ip daddr {to} tcp dport 2380 redirect to :{port}\n")
    };
    let redirects: String = redirects.iter().map(redirect).collect();
    format!(
        "table inet delay {{
           chain out {{ type nat hook output priority -100; {redirects}
           }}
           chain before {{ type nat hook prerouting priority -100; tcp dport {RELAYED} redirect to :2380; }}
           chain in {{ type filter hook input priority 0; iifname eth0 ip saddr 10.77.0.0/25 numgen random mod 20 == 0 drop; }}
         }}\n"
    )
}

impl Delays {
    /// Ends the relays, which breaks the connections through them, and takes the rules back.
    ///
    /// # Errors
    ///
    /// A machine refuses.
    pub async fn take_back(self, rig: &Rig) -> anyhow::Result<()> {
        for number in &rig.scene.members {
            rig.nft(*number, "delete table inet delay\n").await?;
        }
        self.relays.iter().for_each(JoinHandle::abort);
        Ok(())
    }
}

struct Relay {
    network: NetworkNamespace,
    to: SocketAddr,
    dice: Dice,
}

impl Relay {
    async fn serve(mut self, listener: TcpListener) {
        let mut connections = tokio::task::JoinSet::new();
        while let Ok((taken, _)) = listener.accept().await {
            let (network, to) = (self.network.clone(), self.to);
            let dice = Dice::new(self.dice.below(u64::MAX));
            connections.spawn(async move {
                let limit = Duration::from_secs(5);
                let Ok(opened) = network.dial(to, limit).await else {
                    return;
                };
                both_ways(taken, opened, dice).await;
            });
        }
    }
}

async fn both_ways(one: TcpStream, other: TcpStream, mut dice: Dice) {
    let (from_one, to_one) = one.into_split();
    let (from_other, to_other) = other.into_split();
    let back = Dice::new(dice.below(u64::MAX));
    // Either way ends both.
    tokio::select! {
        () = late(from_one, to_other, dice) => {}
        () = late(from_other, to_one, back) => {}
    }
}

/// Hands on what is read, in order, each piece late by its own time.
async fn late(
    mut from: impl tokio::io::AsyncRead + Unpin,
    mut to: impl tokio::io::AsyncWrite + Unpin,
    mut dice: Dice,
) {
    let (send, mut receive) = mpsc::channel::<(Instant, Vec<u8>)>(1024);
    let read = async move {
        let mut piece = vec![0; 16 * 1024];
        while let Ok(length @ 1..) = from.read(&mut piece).await {
            let due = Instant::now() + LEAST + dice.time(SPREAD);
            if send.send((due, piece[..length].to_vec())).await.is_err() {
                return;
            }
        }
    };
    let write = async move {
        while let Some((due, piece)) = receive.recv().await {
            sleep_until(due).await;
            if to.write_all(&piece).await.is_err() {
                return;
            }
        }
    };
    tokio::join!(read, write);
}
