//! Bad input: each file of tests/data/bad is refused with exactly the text beside it.

use crate::corpora::arguments_of;
use bhyve_vm::{Arguments, DeviceTree, Release, VmSpec, parse_config_file, refuse_shared};
use std::{fs, path::Path};

/// What a specification is refused with: by its own types, or as a whole.
fn specification(text: &str) -> Option<String> {
    match toml::from_str::<VmSpec>(text) {
        Err(error) => Some(error.to_string()),
        Ok(spec) => Some(DeviceTree::new(&spec).err()?.to_string()),
    }
}

#[derive(serde::Deserialize)]
struct Host {
    vms: Vec<VmSpec>,
}

fn host(text: &str) -> Option<String> {
    let host: Host = toml::from_str(text).unwrap();
    for vm in &host.vms {
        DeviceTree::new(vm).unwrap();
    }
    Some(refuse_shared(&host.vms).err()?.to_string())
}

fn arguments(text: &str, release: Release) -> Option<String> {
    let read = Arguments::parse(&arguments_of(text)).and_then(|a| a.keys(release));
    Some(read.err()?.to_string())
}

/// The refusal of a file, by the end of its name.
fn refusal(name: &str, text: &str) -> Option<String> {
    let release = if name.contains("-on-14") {
        Release::V14
    } else {
        Release::V15
    };
    match name.split_once('.').unwrap().1 {
        "toml" => specification(text),
        "host.toml" => host(text),
        "argv" => arguments(text, release),
        "conf" => Some(parse_config_file(text, release).err()?.to_string()),
        other => panic!("{name}: what is {other}?"),
    }
}

#[test]
fn each_is_refused_with_its_text() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/bad");
    let mut seen = 0;
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        if name.ends_with(".error") {
            continue;
        }
        let text = fs::read_to_string(&path).unwrap();
        let error = refusal(name, &text).unwrap_or_else(|| panic!("{name} was taken"));
        let golden = path.with_file_name(format!("{name}.error"));
        let expected = fs::read_to_string(&golden).unwrap();
        assert_eq!(error.trim_end(), expected.trim_end(), "{name}");
        seen += 1;
    }
    assert_eq!(seen, 79, "files in tests/data/bad");
}
