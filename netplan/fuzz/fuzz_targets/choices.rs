//! Any three requirements in a row, each planned with the lock of the one before, have sound plans
//! or errors.

#![no_main]

#[path = "../../tests/it/choices.rs"]
mod choices;
#[path = "../../tests/it/sound.rs"]
#[allow(dead_code, reason = "the other targets and the tests use the rest")]
mod sound;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let mut choices = choices::Choices::new(bytes);
    let asked = [(); 3].map(|()| choices.requirement());
    sound::try_in_a_row(&asked);
});
