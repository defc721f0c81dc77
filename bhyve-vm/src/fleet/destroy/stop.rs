//! How a VM is stopped, when all that is known of it is its name.

use crate::plan::{command, node, step, title};
use crate::{Action, Condition, Step, Supervision, VmName};
use std::time::Duration;

/// The supervisor lets the guest shut down and climbs its own escalation. daemon(8) passes the signal on, and takes
/// its file away when the supervisor is done; `-L`: only while it is locked.
pub(super) fn supervised_stop(supervision: &Supervision) -> [Step; 2] {
    let (limits, file) = (&supervision.limits, supervision.pid_file());
    let limit = supervision.grace + limits.press_again + limits.force * 3 + limits.gone * 2;
    let stop = command(&["pkill", "-TERM", "-L", "-F", &file]);
    let condition = Condition::Gone(file);
    [
        step("have the supervisor stop the VM", Action::Try(stop)),
        step(
            "wait for the supervisor",
            Action::Allow { condition, limit },
        ),
    ]
}

/// The same by hand, where nobody supervises any more; a supervised guest has had its time.
pub(super) fn stop_by_hand(name: &VmName) -> Vec<Step> {
    let ended = |seconds| Action::Allow {
        condition: Condition::Ended(name.clone()),
        limit: Duration::from_secs(seconds),
    };
    let signal = |signal| Action::Try(command(&["pkill", signal, "-fx", &title(name)]));
    let bhyvectl = |verb| Action::Try(command(&["bhyvectl", &format!("--vm={name}"), verb]));
    let steps = [
        ("press the power button", signal("-TERM")),
        ("wait for the guest to shut down", ended(2)),
        ("power off by force", bhyvectl("--force-poweroff")),
        ("wait", ended(5)),
        ("kill bhyve", signal("-KILL")),
        ("wait", ended(5)),
        ("free the memory of the VM", bhyvectl("--destroy")),
        (
            "wait for its node to go",
            Action::Await {
                condition: Condition::Gone(node(name)),
                limit: Duration::from_secs(10),
            },
        ),
    ];
    let steps = steps.into_iter();
    steps.map(|(what, action)| step(what, action)).collect()
}
