//! The two forms in which bhyve takes a VM: arguments, and a `-k` file.

use crate::{Device, DeviceTree, KeyTree, Release};

/// The arguments of `bhyve` for this VM (bhyve(8)), the same for all releases.
///
/// `-A` is needed by Linux before FreeBSD 15 and changes nothing after; without `-H` an idle guest keeps a
/// processor busy; `-P` lets one that spins give way; `-u`: Linux wants UTC; `-w`: Linux touches model registers
/// that bhyve lacks; `-Y`: no old processor table beside ACPI.
pub fn argv(tree: &DeviceTree) -> Vec<String> {
    let cpus = tree.cpus;
    let mut words: Vec<String> = FLAGS.iter().map(|(flag, ..)| (*flag).to_owned()).collect();
    let mut option = |letter: &str, value: String| words.extend([letter.to_owned(), value]);
    // All four numbers: bhyve derives those left out from each other in ways that do not fit.
    option(
        "-c",
        format!(
            "cpus={},sockets={},cores={},threads={}",
            cpus.cpus(),
            cpus.sockets,
            cpus.cores,
            cpus.threads
        ),
    );
    option("-m", format!("{}M", tree.memory_mib));
    option("-U", tree.uuid.to_string());
    for (slot, device) in &tree.devices {
        option("-s", format!("{slot}:0,{}", device_words(device)));
    }
    option(
        "-l",
        format!("bootrom,{},{}", tree.firmware.code, tree.firmware.vars),
    );
    for (backend, number) in tree.consoles.iter().zip(1..) {
        option("-l", format!("com{number},{backend}"));
    }
    // After the slots: bhyve refuses a slot whose keys are there already.
    for (key, value) in &tree.extra {
        option("-o", format!("{key}={value}"));
    }
    words.push(tree.name.to_string());
    words
}

fn device_words(device: &Device) -> String {
    let mut words = String::from(device_name(device));
    for (key, value) in device_keys(device) {
        match key {
            // The first value of a device stands without its key, and a flag without its value.
            "path" | "backend" => words.push_str(&format!(",{value}")),
            "ro" => words.push_str(",ro"),
            key => words.push_str(&format!(",{key}={value}")),
        }
    }
    words
}

/// The lines of a file for `bhyve -k` (bhyve_config(5)): one `key=value` each, nothing else.
pub fn config_file(keys: &KeyTree) -> String {
    keys.iter()
        .map(|(key, value)| format!("{key}={value}\n"))
        .collect()
}

/// The key tree of this VM for a host of `release`; extra keys are in it even if that release lacks them
/// ([`DeviceTree::supports`]).
pub fn keys(tree: &DeviceTree, release: Release) -> KeyTree {
    let mut keys = keys_without_extra(tree, release);
    for (key, value) in &tree.extra {
        keys.put(key, value);
    }
    keys
}

/// What the specification itself says.
pub(crate) fn keys_without_extra(tree: &DeviceTree, release: Release) -> KeyTree {
    let mut keys = KeyTree::new(release);
    let cpus = tree.cpus;
    let (bootrom, bootvars) = firmware_keys(release);
    let mut set = |key: &str, value: &str| {
        keys.put(key, value);
    };
    set("name", tree.name.as_str());
    set("uuid", tree.uuid.as_str());
    set("cpus", &cpus.cpus().to_string());
    set("sockets", &cpus.sockets.to_string());
    set("cores", &cpus.cores.to_string());
    set("threads", &cpus.threads.to_string());
    set("memory.size", &format!("{}M", tree.memory_mib));
    for (_, key, value) in FLAGS {
        set(key, value);
    }
    set(bootrom, tree.firmware.code.as_str());
    set(bootvars, tree.firmware.vars.as_str());
    for (backend, number) in tree.consoles.iter().zip(1..) {
        set(&format!("lpc.com{number}.path"), backend);
    }
    for (slot, device) in &tree.devices {
        set(&format!("pci.0.{slot}.0.device"), device_name(device));
        for (key, value) in device_keys(device) {
            set(&format!("pci.0.{slot}.0.{key}"), &value);
        }
    }
    keys
}

/// The options without a value that we print, each with the key that it sets.
pub(crate) const FLAGS: [(&str, &str, &str); 6] = [
    ("-A", "acpi_tables", "true"),
    ("-H", "x86.vmexit_on_hlt", "true"),
    ("-P", "x86.vmexit_on_pause", "true"),
    ("-u", "rtc.use_localtime", "false"),
    ("-w", "x86.strictmsr", "false"),
    ("-Y", "x86.mptable", "false"),
];

/// The keys of firmware code and variables.
pub(crate) fn firmware_keys(release: Release) -> (&'static str, &'static str) {
    match release {
        Release::V14 => ("lpc.bootrom", "lpc.bootvars"),
        Release::V15 => ("bootrom", "bootvars"),
    }
}

fn device_name(device: &Device) -> &'static str {
    match device {
        Device::Hostbridge => "hostbridge",
        Device::Random => "virtio-rnd",
        Device::Block { .. } => "virtio-blk",
        Device::Net { .. } => "virtio-net",
        Device::Lpc => "lpc",
    }
}

fn device_keys(device: &Device) -> Vec<(&'static str, String)> {
    match device {
        Device::Hostbridge | Device::Random | Device::Lpc => Vec::new(),
        Device::Net { tap, mac } => vec![("backend", tap.to_string()), ("mac", mac.to_string())],
        Device::Block {
            path,
            serial,
            sectors,
            read_only,
        } => {
            let mut keys = vec![("path", path.to_string())];
            keys.extend(sectors.map(|sectors| ("sectorsize", sectors.to_string())));
            keys.extend(serial.as_ref().map(|serial| ("ser", serial.to_string())));
            keys.extend(read_only.then(|| ("ro", "true".to_owned())));
            keys
        }
    }
}
