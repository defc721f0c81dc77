//! Any TOML is a requirement with a sound plan, or an error.

#![no_main]

#[path = "../../tests/it/sound.rs"]
#[allow(dead_code, reason = "the other target and the tests use the rest")]
mod sound;

use netplan::{HostFacts, Requirement};

/// More machines only make it slow.
const MOST_MACHINES: u64 = 200;

libfuzzer_sys::fuzz_target!(|text: &str| {
    if let Ok(requirement) = toml::from_str::<Requirement>(text) {
        let counts = requirement.classes.iter().map(|class| u64::from(class.count));
        if counts.sum::<u64>() <= MOST_MACHINES {
            sound::try_requirement(&requirement, &HostFacts::default());
        }
    }
});
