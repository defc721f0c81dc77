//! The steps that make one VM.

use crate::fleet::lab_file::json;
use crate::fleet::model::{FleetVm, VmDefinition};
use crate::fleet::observe::FleetObserved;
use crate::plan::{OWNER_PROPERTY, run, step};
use crate::{Action, Condition, DeviceTree, Nic, Step, argv};
use host_exec::{Contents, File, Mode};
use sha2::{Digest as _, Sha256};
use std::time::Duration;

/// The scripts are run by root only, and hold bhyve's whole command line.
const SCRIPT: Mode = Mode::new(0o700);

/// What of a VM is missing, in the order in which it is made.
pub(super) fn steps(vm: &FleetVm, definition: &VmDefinition, found: &FleetObserved) -> Vec<Step> {
    let mut steps = Vec::new();
    // First, so that whatever follows belongs to somebody.
    let spec = File::secret(definition.file("spec.json"), json(definition));
    steps.extend(write("write its definition", public(spec), found));
    steps.extend(volume(definition, found));
    if let (Some(path), Some(seed)) = (&vm.spec.seed, &vm.seed)
        && !has(path.as_str(), seed.bytes(), found)
    {
        steps.push(step("write its seed", Action::Write(seed.file(path))));
    }
    steps.extend(variables(definition, found));
    steps.extend(scripts(definition, found));
    for nic in &vm.spec.nics {
        steps.extend(tap(definition, nic, found));
    }
    steps
}

/// The definition holds no secret, but is for root like all around it.
fn public(file: File) -> File {
    let contents = Contents::Public(file.contents.bytes().to_vec());
    File { contents, ..file }
}

/// A step that writes a file, unless the host has the same.
pub(super) fn write(what: &str, file: File, found: &FleetObserved) -> Option<Step> {
    let path = file.path.display().to_string();
    let same = has(&path, file.contents.bytes(), found);
    (!same).then(|| step(what, Action::Write(file)))
}

fn has(path: &str, bytes: &[u8], found: &FleetObserved) -> bool {
    let there = found.checksums.get(path);
    there.is_some_and(|sum| *sum == hex(&Sha256::digest(bytes)))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn volume(definition: &VmDefinition, found: &FleetObserved) -> Vec<Step> {
    let root = &definition.root;
    let (snapshot, volume) = (format!("{}@ready", root.image), root.dataset.as_str());
    let owner = format!("{OWNER_PROPERTY}={}", definition.owner());
    let survey = found.survey.as_ref();
    let details = survey.and_then(|survey| survey.details.get(volume));
    let mut steps = Vec::new();
    if details.is_none() {
        // volmode=dev: else the host itself looks into the guest's partitions.
        let clone = [
            "zfs",
            "clone",
            "-o",
            "volmode=dev",
            "-o",
            &owner,
            &snapshot,
            volume,
        ];
        steps.push(run(format!("clone {snapshot}"), &clone).undone_by(&["zfs", "destroy", volume]));
    }
    let bytes = details
        .and_then(|details| details.volume_bytes)
        .unwrap_or(0);
    if bytes < u64::from(root.size_mib.get()) << 20 {
        let size = format!("volsize={}M", root.size_mib);
        let grow = ["zfs", "set", &size, volume];
        steps.push(run(format!("grow it to {} MiB", root.size_mib), &grow));
        let condition = Condition::Exists(root.dataset.device().to_string());
        let limit = Duration::from_secs(30);
        steps.push(step(
            "wait for its device",
            Action::Await { condition, limit },
        ));
    }
    steps
}

/// The copy gets its name when it is whole: the guest's own changes are in it from then on, and it is never made again.
fn variables(definition: &VmDefinition, found: &FleetObserved) -> Vec<Step> {
    let firmware = &definition.spec.firmware;
    if found.paths.contains(firmware.vars.as_str()) {
        return Vec::new();
    }
    let (template, vars) = (firmware.vars_template.as_str(), firmware.vars.as_str());
    let new = format!("{vars}.new");
    vec![
        run(
            "copy the firmware variables",
            &["install", "-m", "600", template, &new],
        ),
        run("give the copy its name", &["mv", "-f", &new, vars]),
    ]
}

fn scripts(definition: &VmDefinition, found: &FleetObserved) -> Vec<Step> {
    let supervision = definition.supervision();
    let Ok(tree) = DeviceTree::new(&definition.spec) else {
        // The fleet was checked before it was planned.
        return Vec::new();
    };
    let file =
        |name: &str, text: String| File::public(definition.file(name), text).with_mode(SCRIPT);
    let supervise = file("supervise", supervision.script(&argv(&tree)));
    let record = supervision.console.is_some();
    let record = record.then(|| file("record", supervision.recorder()));
    let record = record.and_then(|file| write("write its recorder", file, found));
    let mut steps = Vec::from_iter(record);
    steps.extend(write("write its supervisor", supervise, found));
    steps
}

fn tap(definition: &VmDefinition, nic: &Nic, found: &FleetObserved) -> Vec<Step> {
    let (tap, bridge) = (nic.tap.as_str(), nic.bridge.as_str());
    let survey = found.survey.as_ref();
    let interface = |name| survey.and_then(|survey| survey.interface(name));
    let mut steps = Vec::new();
    if interface(tap).is_none() {
        let mark = definition.interface_mark();
        let create = ["ifconfig", tap, "create", "description", &mark];
        steps.push(
            run(format!("make interface {tap}"), &create).undone_by(&["ifconfig", tap, "destroy"]),
        );
    }
    let member = interface(bridge).is_some_and(|bridge| bridge.members.iter().any(|m| m == tap));
    if !member {
        let connect = ["ifconfig", bridge, "addm", tap];
        steps.push(
            run(format!("connect {tap} with {bridge}"), &connect)
                .undone_by(&["ifconfig", bridge, "deletem", tap]),
        );
    }
    steps
}
