//! Whether the services of each node run, in the words of its systemd and of the service that does not.

use crate::{
    Desired, Hosts, NodeSetup,
    last_words::{self, Speaker},
};
use futures::future::join_all;
use host_exec::{
    Condition, Host, HostName,
    systemd::{self, UnitName},
};

/// How much of the log of a service that does not run is told.
const LOG_LINES: usize = 3;

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
        let words = last_words::of(Speaker::Program, host, unit, LOG_LINES).await;
        down.push(match words.unwrap_or_default() {
            nothing if nothing.is_empty() => format!("{unit}: {state}"),
            words => format!("{unit}: {state}; its log ends with: {}", words.join(" / ")),
        });
    }
    let evidence = match down.is_empty() {
        true => format!("{} services", units.len()),
        false => down.join("; "),
    };
    Condition::new(statement, down.is_empty(), evidence)
}
