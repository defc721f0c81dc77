#![no_main]
#![allow(dead_code, reason = "each target takes one function of the file that the tests share")]

#[path = "../../tests/it/fuzzed.rs"]
mod fuzzed;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| fuzzed::request(bytes));
