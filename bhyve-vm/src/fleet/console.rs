//! A person at a guest's serial port.

use super::model::VmDefinition;
use crate::Console;
use host_exec::Command;

/// Shows the log and types into the device; its words are the log and the device.
const ATTACH: &str = include_str!("console.sh");

/// The program by which a person talks to a guest, for a host with a terminal (`ssh -t`); `None` if the first serial
/// port is no null-modem device.
///
/// What the guest says comes from the recorder's log, so that nothing is missing there afterwards; what is typed goes
/// to the recorder's side of the device (nmdm(4)), key by key. Ctrl-] ends it.
///
/// It shows no more than the log gets: the recorder writes after each piece that the device gives it, and stands
/// still when the VM does. Sizes of the terminal are not passed on, as with any serial port.
pub fn console_command(vm: &VmDefinition) -> Option<Command> {
    if vm.spec.consoles.first() != Some(&Console::Nmdm) {
        return None;
    }
    let device = vm.supervision().console?;
    let attach = Command::new("sh").args(["-c", ATTACH, "sh"]);
    let attach = attach.args([vm.file("console"), device.to_string()]);
    Some(attach.interactive())
}
