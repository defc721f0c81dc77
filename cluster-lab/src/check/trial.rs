//! Many connections tried by one command on a host: its constant script, what it reads and what it says.

use super::stage::Outcome;
use host_exec::{Command, RunError, Stdin, escape};
use std::{
    collections::{BTreeMap, BTreeSet},
    net::SocketAddr,
    time::Duration,
};

/// Tries what its standard input lists; the word after it is the limit in seconds.
const TRY: &str = include_str!("try.sh");

/// A connection to be tried.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Trial {
    pub(super) to: SocketAddr,
    /// Whether the other end tells the sender's address.
    pub(super) tells: bool,
}

/// The command that makes these trials, in one of the host's named namespaces if it is said.
pub(super) fn command(
    trials: &BTreeSet<Trial>,
    namespace: Option<&str>,
    limit: Duration,
) -> Command {
    let line = |trial: &Trial| {
        let how = if trial.tells { "ask" } else { "connect" };
        format!("{how} {} {}\n", trial.to.ip(), trial.to.port())
    };
    let lines: String = trials.iter().map(line).collect();
    let command = match namespace {
        Some(namespace) => Command::new("ip").args(["netns", "exec", namespace, "bash"]),
        None => Command::new("bash"),
    };
    command
        .args(["-c", TRY, "bash"])
        .arg(format!("{:.3}", limit.as_secs_f64()))
        .stdin(Stdin::Bytes(lines.into_bytes()))
        // The script ends by itself; what is added is for its start.
        .timeout(limit + Command::DEFAULT_TIMEOUT)
}

/// The same error without the script, which is the same each time and helps nobody who reads it.
pub(super) fn shortened(mut error: RunError) -> RunError {
    error.command = error.command.replace(&*escape::quote(TRY), "TRY");
    error
}

/// Reads what the script says.
///
/// ```text
/// 198.51.100.2 80 connected
/// 198.51.100.2 80 told 192.0.2.1
/// 10.7.0.10 2379 silent
/// fd07::30 22 failed Connection refused
/// ```
pub(super) fn outcomes(said: &str, limit: Duration) -> BTreeMap<SocketAddr, Outcome> {
    let mut outcomes = BTreeMap::new();
    for (to, word, rest) in said.lines().filter_map(line) {
        let outcome = match (word, rest) {
            ("connected", _) => Outcome::Through { sender: None },
            ("told", _) => Outcome::Through {
                sender: rest.parse().ok(),
            },
            ("failed", "Connection refused") => Outcome::refused(),
            ("failed", _) => Outcome::Not(rest.to_owned()),
            // Also said of an end that let us in, and then told nothing.
            ("silent", _) if outcomes.contains_key(&to) => continue,
            ("silent", _) => Outcome::silent(limit),
            _ => continue,
        };
        outcomes.insert(to, outcome);
    }
    outcomes
}

fn line(line: &str) -> Option<(SocketAddr, &str, &str)> {
    let mut words = line.splitn(4, ' ');
    let address = words.next()?.parse().ok()?;
    let port = words.next()?.parse().ok()?;
    let word = words.next()?;
    let rest = words.next().unwrap_or_default();
    Some((SocketAddr::new(address, port), word, rest))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::namespaces::tell_senders;
    use host_exec::{Host, LocalHost};
    use tokio::net::TcpListener;

    const LIMIT: Duration = Duration::from_millis(1500);

    fn to(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    #[test]
    fn one_line_is_read_for_each_trial() {
        let trials = BTreeSet::from([
            Trial {
                to: to("198.51.100.2:80"),
                tells: true,
            },
            Trial {
                to: to("[fd07::30]:22"),
                tells: false,
            },
        ]);
        let command = command(&trials, Some("lab-probe"), LIMIT);
        let words = command.arguments();
        assert_eq!(command.program(), "ip");
        assert_eq!(words[..5], ["netns", "exec", "lab-probe", "bash", "-c"]);
        assert_eq!(words[6..], ["bash", "1.500"]);
        let lines = "ask 198.51.100.2 80\nconnect fd07::30 22\n";
        let input = Stdin::Bytes(lines.as_bytes().to_vec());
        assert_eq!(command.clone().stdin(input), command);
    }

    #[test]
    fn outcomes_are_read_in_any_order_and_what_is_no_outcome_is_none() {
        let through = |sender: Option<&str>| Outcome::Through {
            sender: sender.map(|sender| sender.parse().unwrap()),
        };
        for (said, outcome) in [
            ("fd07::1 80 connected", Some(through(None))),
            (
                "fd07::1 80 connected\nfd07::1 80 told 192.0.2.1",
                Some(through(Some("192.0.2.1"))),
            ),
            (
                "fd07::1 80 connected\nfd07::1 80 told SSH-2.0-OpenSSH_9.2",
                Some(through(None)),
            ),
            (
                "fd07::1 80 connected\nfd07::1 80 silent",
                Some(through(None)),
            ),
            (
                "fd07::1 80 failed Connection refused",
                Some(Outcome::refused()),
            ),
            (
                "fd07::1 80 failed No route to host",
                Some(Outcome::Not("No route to host".into())),
            ),
            (
                "fd07::1 80 silent",
                Some(Outcome::Not("no answer in 1500 ms".into())),
            ),
            ("fd07::2 80 connected\n\nfd07::1 80\nbash: fork", None),
            ("fd07::1 port connected\nfd07::1 80 perhaps", None),
        ] {
            let found = outcomes(said, LIMIT).remove(&to("[fd07::1]:80"));
            assert_eq!(found, outcome, "{said}");
        }
    }

    /// Tries with the real shell, on the loopback interface.
    async fn tried(trials: &[Trial], limit: Duration) -> BTreeMap<SocketAddr, Outcome> {
        let here = LocalHost::new("here".parse().unwrap());
        let trials = trials.iter().cloned().collect();
        let output = here.run(&command(&trials, None, limit)).await.unwrap();
        outcomes(&output.stdout_text(), limit)
    }

    #[tokio::test]
    #[ignore = "needs bash"]
    async fn every_trial_has_an_outcome() {
        let listen = async |address| TcpListener::bind(address).await.unwrap();
        let (telling, mute) = (listen("127.0.0.1:0").await, listen("[::1]:0").await);
        let closed = listen("127.0.0.1:0").await.local_addr().unwrap();
        let [told, untold] = [&telling, &mute].map(|at| at.local_addr().unwrap());
        let tell = tokio::spawn(tell_senders(telling));
        let trials = [(told, true), (untold, true), (closed, false)];
        let trials = trials.map(|(to, tells)| Trial { to, tells });
        let limit = Duration::from_millis(500);
        let found = tried(&trials, limit).await;
        let sender = Some("127.0.0.1".parse().unwrap());
        assert_eq!(
            found,
            BTreeMap::from([
                (told, Outcome::Through { sender }),
                (untold, Outcome::Through { sender: None }),
                (closed, Outcome::refused()),
            ])
        );
        tell.abort();
    }

    #[tokio::test]
    #[ignore = "needs bash"]
    async fn nobody_waits_for_the_limit_who_has_all_outcomes() {
        let server = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let to = server.local_addr().unwrap();
        let trials = [Trial { to, tells: false }];
        let hour = Duration::from_secs(3600);
        let found = tokio::time::timeout(Duration::from_secs(30), tried(&trials, hour)).await;
        assert_eq!(found.unwrap().len(), 1);
    }
}
