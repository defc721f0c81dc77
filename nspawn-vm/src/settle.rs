//! Waiting for machines on their way up or down.

use crate::{ApplyError, Group, MachineState, observe};
use host_exec::{
    EventSink, HostName,
    poll::{self, Attempt, Wait},
};
use std::{cell::RefCell, collections::BTreeSet, fs, time::Duration};

/// How many of a console's last lines an error carries.
const TAIL_LINES: usize = 15;

/// Waits until every machine in `starting` runs, and every one in `awaited` is no more on its way, up or down.
pub(crate) async fn settle(
    group: &Group,
    starting: &BTreeSet<&HostName>,
    awaited: &BTreeSet<&HostName>,
    patience: Duration,
    events: &dyn EventSink,
) -> Result<(), ApplyError> {
    let waiting: RefCell<BTreeSet<&HostName>> = RefCell::new(starting | awaited);
    if waiting.borrow().is_empty() {
        return Ok(());
    }
    let settled = |name: &HostName, state: Option<&MachineState>| match state {
        Some(MachineState::Running { .. }) => Some("systemd is up"),
        Some(MachineState::Booting | MachineState::Stopping) => None,
        _ if starting.contains(name) => None,
        _ => Some("it is down"),
    };
    let wait = Wait::new("systemd in every machine", patience);
    let result = poll::until(&wait, || async {
        let states = observe::machines(group)?;
        let mut waiting = waiting.borrow_mut();
        waiting.retain(|name| match settled(name, states.get(name.as_str())) {
            Some(how) => {
                events.done(name.as_str(), "boot", how);
                false
            }
            None => true,
        });
        let names: Vec<&str> = waiting.iter().map(|name| name.as_str()).collect();
        Ok(match names.as_slice() {
            [] => Attempt::Ready(()),
            _ => Attempt::NotYet(format!("on their way: {}", names.join(", "))),
        })
    })
    .await;
    result.map_err(|source| {
        let machine = waiting.borrow().first().map(|name| (*name).clone());
        let machine = machine.expect("a wait that ran out has a machine that was waited for");
        let console = group.places.console_log(&machine);
        let said = fs::read_to_string(&console).unwrap_or_default();
        let lines: Vec<&str> = said.lines().rev().take(TAIL_LINES).collect();
        let tail = lines.into_iter().rev().collect::<Vec<_>>().join("\n");
        ApplyError::NotUp {
            machine,
            console,
            tail,
            source: Box::new(source),
        }
    })
}
