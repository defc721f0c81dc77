//! Servers on a machine that is reached by commands: sockets of its systemd, which the kernel answers.

use super::stage::NODE_END;
use host_exec::{Command, Host, RunError};
use std::{
    collections::BTreeSet,
    net::{IpAddr, Ipv6Addr, SocketAddr},
};

/// Listens at these addresses of a host, in one of its named namespaces if it is said, until [`stop`].
///
/// Nothing runs until somebody connects, and then only what keeps the sockets open: a connection is all that is tried.
/// The units are transient (`systemd-run(1)`): nothing is written, and the listening has begun when this returns.
pub(super) async fn start(
    host: &dyn Host,
    namespace: Option<&str>,
    addresses: &BTreeSet<SocketAddr>,
) -> Result<(), RunError> {
    let taken = match namespace {
        None => listening(host).await?,
        // One that was made for the trial has nobody else in it.
        Some(_) => Vec::new(),
    };
    let is_free = |address: &&SocketAddr| !taken.iter().any(|taken| covers(*taken, **address));
    let free: Vec<_> = addresses.iter().filter(is_free).collect();
    if free.is_empty() {
        return Ok(());
    }
    let unit = match namespace {
        None => NODE_END.to_owned(),
        Some(_) => format!("{NODE_END}-pod"),
    };
    let mut run = Command::new("systemd-run").args(["--quiet", "--collect"]);
    run = run.arg(format!("--unit={unit}"));
    // Stopped with its sockets: stopped before them it would be started again by who has connected.
    run = run.arg(format!("--property=PartOf={unit}.socket"));
    if let Some(namespace) = namespace {
        run = run.arg(format!(
            "--socket-property=NetworkNamespacePath=/run/netns/{namespace}"
        ));
    }
    for address in free {
        run = run.arg(format!("--socket-property=ListenStream={address}"));
    }
    host.run(&run.args(["sleep", "infinity"])).await.map(drop)
}

/// Ends all listening for the trial, also for one that was killed.
pub(super) async fn stop(host: &dyn Host) -> Result<(), RunError> {
    // A pattern: a name that systemd does not know would be an error.
    let stop = Command::new("systemctl").args(["stop", "--", &format!("{NODE_END}*.socket")]);
    host.run(&stop).await.map(drop)
}

async fn listening(host: &dyn Host) -> Result<Vec<SocketAddr>, RunError> {
    let sockets = Command::new("ss").args(["--no-header", "--listening", "--tcp", "--numeric"]);
    let output = host.run(&sockets).await?;
    Ok(parse(&output.stdout_text()))
}

/// Reads what `ss(8)` says of listening sockets: the fourth column is the local address.
///
/// ```text
/// LISTEN 0      4096   10.172.1.50:10256 0.0.0.0:*
/// LISTEN 0      4096             *:10250       *:*
/// LISTEN 0      128           [::]:22       [::]:*
/// LISTEN 0      4096 127.0.0.53%lo:53    0.0.0.0:*
/// ```
fn parse(text: &str) -> Vec<SocketAddr> {
    let address = |line: &str| {
        let (address, port) = line.split_whitespace().nth(3)?.rsplit_once(':')?;
        let address = address.trim_matches(['[', ']']);
        let address = address.split('%').next()?;
        let address = match address {
            "*" => IpAddr::from(Ipv6Addr::UNSPECIFIED),
            address => address.parse().ok()?,
        };
        Some(SocketAddr::new(address, port.parse().ok()?))
    };
    text.lines().filter_map(address).collect()
}

/// Whether a socket that listens at `taken` leaves no room for one at `address`. The unspecified address of IPv6
/// counts for both families, as it does for most servers.
fn covers(taken: SocketAddr, address: SocketAddr) -> bool {
    let all = taken.ip().is_unspecified() && (taken.is_ipv6() || address.is_ipv4());
    taken.port() == address.port() && (all || taken.ip() == address.ip())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_taken_by_itself_and_by_all() {
        let text = "LISTEN 0      4096   10.172.1.50:10256 0.0.0.0:*\n\
            LISTEN 0      4096             *:10250       *:*\n\
            LISTEN 0      128        0.0.0.0:22    0.0.0.0:*\n\
            LISTEN 0      4096 127.0.0.53%lo:53    0.0.0.0:*\n\
            LISTEN 0      4096   [fd07::50]:20000     [::]:*\n";
        let taken = parse(text);
        assert_eq!(taken.len(), 5, "{taken:?}");
        for (address, expected) in [
            ("10.172.1.50:10256", true),
            ("10.172.1.51:10256", false),
            ("10.172.1.50:10250", true),
            ("[fd07::50]:10250", true),
            ("10.172.1.50:22", true),
            ("[fd07::50]:22", false),
            ("127.0.0.53:53", true),
            ("[fd07::50]:20000", true),
            ("[fd07::51]:20000", false),
        ] {
            let address = address.parse().unwrap();
            let is_taken = taken.iter().any(|taken| covers(*taken, address));
            assert_eq!(is_taken, expected, "{address}");
        }
    }
}
