//! How a supervised VM is ended and removed, by what was found on the host.

use crate::plan::{self, command, mark, remove_files, remove_tap, step, stop_steps};
use crate::{Action, Condition, Dataset, Interface, RootVolume, Step, Supervision, VmName, VmSpec};
use std::time::Duration;

/// Something with the name of ours that carries another mark, or none: nothing of it is touched.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{kind} {name} is not marked as {expected:?} but {found}; remove or rename it by hand")]
pub struct NotOurs {
    /// `interface` or `volume`.
    pub kind: &'static str,
    /// Its name.
    pub name: String,
    /// The mark that ours would carry.
    pub expected: String,
    /// What it carries.
    pub found: String,
}

/// The steps that end a supervised VM and remove what is left of it, by what was found on the host.
///
/// In order: the supervisor, which lets the guest shut down and climbs its own escalation; the same by hand, where
/// nobody supervises; interfaces, files, the volume (never its image), the supervisor's directory. What is gone
/// already gets no step, so after an interruption the host is asked again and the rest is done. A process with our
/// VM's name is stopped by hand only while something with our mark is there: else it is somebody else's.
///
/// # Errors
///
/// An interface or volume of that name is not ours. Then there is no step at all.
pub fn destroy_found(
    spec: &VmSpec,
    root: &RootVolume,
    supervision: &Supervision,
    interfaces: &[Interface],
    datasets: &[Dataset],
) -> Result<Vec<Step>, NotOurs> {
    let taps = remove_taps(spec, interfaces)?;
    let volume = remove_volume(&spec.name, root, datasets)?;
    let mut steps = supervised_stop(supervision);
    if volume.is_some() || !taps.is_empty() {
        // The guest had its time while its supervisor was asked.
        steps.extend(stop_steps(&spec.name, Duration::from_secs(1)));
    }
    steps.extend(taps);
    steps.extend(remove_files(spec));
    steps.extend(volume);
    let directory = supervision.directory.as_str();
    steps.push(step(
        format!("remove {directory}"),
        Action::Run(command(&["rm", "-r", "-f", "--", directory])),
    ));
    Ok(steps)
}

fn remove_taps(spec: &VmSpec, interfaces: &[Interface]) -> Result<Vec<Step>, NotOurs> {
    let mut steps = Vec::new();
    for nic in &spec.nics {
        let tap = nic.tap.as_str();
        if let Some(found) = interfaces.iter().find(|found| found.name == tap) {
            check(
                "interface",
                tap,
                mark(&spec.name),
                found.description.as_deref(),
            )?;
            steps.push(remove_tap(tap, Action::Run));
        }
    }
    Ok(steps)
}

fn remove_volume(
    name: &VmName,
    root: &RootVolume,
    datasets: &[Dataset],
) -> Result<Option<Step>, NotOurs> {
    let volume = root.dataset.as_str();
    let Some(found) = datasets.iter().find(|found| found.name == volume) else {
        return Ok(None);
    };
    check("volume", volume, name.to_string(), found.owner.as_deref())?;
    Ok(Some(plan::remove_volume(volume)))
}

fn check(
    kind: &'static str,
    name: &str,
    expected: String,
    found: Option<&str>,
) -> Result<(), NotOurs> {
    if found == Some(expected.as_str()) {
        return Ok(());
    }
    Err(NotOurs {
        kind,
        name: name.to_owned(),
        expected,
        found: found.map_or_else(|| "with nothing".to_owned(), |mark| format!("{mark:?}")),
    })
}

/// daemon(8) passes the signal on, and takes its file away when the supervisor is done. `-L`: only while it is locked.
fn supervised_stop(supervision: &Supervision) -> Vec<Step> {
    let file = supervision.pid_file();
    let limits = &supervision.limits;
    let limit = supervision.grace + limits.press_again + limits.force * 3 + limits.gone * 2;
    let stop = Action::Try(command(&["pkill", "-TERM", "-L", "-F", &file]));
    let gone = Action::Allow {
        condition: Condition::Gone(file),
        limit,
    };
    vec![
        step("have the supervisor stop the VM".into(), stop),
        step("wait for the supervisor".into(), gone),
    ]
}
