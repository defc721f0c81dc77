//! Whether the services of each node run, in the words of its systemd and of the service that does not.

use crate::{Desired, Hosts, NodeSetup};
use futures::future::join_all;
use host_exec::{
    Condition, Host, HostName,
    systemd::{self, UnitName},
};

/// How much of the log of a service that does not run is told: its last words, without the frame around them.
const LOG_LINES: u32 = 3;

/// One condition for each node, all asked at the same time. The API calls a node Ready for 40 s after its kubelet has
/// ended, and never says why it did.
pub(crate) async fn conditions(desired: &Desired, hosts: &Hosts) -> Vec<Condition> {
    let ask = |(name, setup)| condition(hosts.get(name).map(|host| &**host), name, setup);
    join_all(desired.nodes.iter().map(ask)).await
}

async fn condition(host: Option<&dyn Host>, name: &HostName, setup: &NodeSetup) -> Condition {
    let statement = format!("services of {name} run");
    let Some(host) = host else {
        return Condition::new(statement, false, "it does not run");
    };
    let units: Vec<UnitName> = setup.services.iter().map(|own| own.unit.clone()).collect();
    let states = match systemd::states(host, &units).await {
        Ok(states) => states,
        Err(error) => return Condition::new(statement, false, error.to_string()),
    };
    let mut down = Vec::new();
    for (unit, state) in states.iter().filter(|(_, state)| !state.is_up()) {
        down.push(match last_words(host, unit).await {
            Some(words) => format!("{unit}: {state}; its log ends with: {words}"),
            None => format!("{unit}: {state}"),
        });
    }
    let evidence = match down.is_empty() {
        true => format!("{} services", units.len()),
        false => down.join("; "),
    };
    Condition::new(statement, down.is_empty(), evidence)
}

/// The last words of a service itself, as far as it has left any.
async fn last_words(host: &dyn Host, unit: &UnitName) -> Option<String> {
    // What systemd says about an end and a start, which the state has already, is up to nine lines.
    let log = systemd::journal(host, unit, 3 * LOG_LINES + 9).await.ok()?;
    let own = own_lines(&log, unit);
    let last = own.len().saturating_sub(LOG_LINES as usize);
    (!own.is_empty()).then(|| own[last..].join(" / "))
}

/// Those of a unit's log that are not systemd's, which names the unit in each of its own (systemd 252):
///
/// ```text
/// E1127 12:30:31.185 812 run.go:72] "command failed" err="failed to run Kubelet: ..."
/// kubelet.service: Main process exited, code=exited, status=1/FAILURE
/// kubelet.service: Scheduled restart job, restart counter is at 7.
/// Stopped kubelet.service - Kubernetes node agent.
/// ```
fn own_lines<'log>(log: &'log str, unit: &UnitName) -> Vec<&'log str> {
    let lines = log.lines().filter(|line| !line.contains(unit.as_str()));
    lines.filter(|line| !line.trim().is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_of_systemd_are_left_out() {
        let log = "E1127 12:30:31.185 812 run.go:72] \"command failed\" err=\"no certificate\"\n\
            kubelet.service: Main process exited, code=exited, status=1/FAILURE\n\
            Stopped kubelet.service - Kubernetes node agent.\n\n";
        let unit = "kubelet.service".parse().expect("a unit");
        assert_eq!(
            own_lines(log, &unit),
            ["E1127 12:30:31.185 812 run.go:72] \"command failed\" err=\"no certificate\""]
        );
    }
}
