//! Any text is a requirement with a sound plan, or an error.

#![no_main]

#[path = "../../tests/it/sound.rs"]
#[allow(dead_code, reason = "the other target and the tests use the rest")]
mod sound;

libfuzzer_sys::fuzz_target!(|text: &str| sound::try_spec(text));
