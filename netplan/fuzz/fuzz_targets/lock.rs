//! Any text is a lock or an error; and a plan from any lock is sound.

#![no_main]

#[path = "../../tests/it/sound.rs"]
#[allow(dead_code, reason = "the other target and the tests use the rest")]
mod sound;

use std::sync::LazyLock;

use netplan::{KubernetesVersion, LabName, MachineCounts, Requirement};

static ASKED: LazyLock<Requirement> = LazyLock::new(|| {
    let lab = LabName::new("lab").expect("a name");
    Requirement::reference(lab, 7, KubernetesVersion::new(37), MachineCounts::default())
});

libfuzzer_sys::fuzz_target!(|text: &str| {
    sound::try_lock(text);
    sound::try_lock_lines(text, &ASKED);
});
