//! The inputs that the fuzz targets start from (fuzz/seeds), through the same functions as there.

use std::fs;
use std::path::Path;

use crate::choices::Choices;
use crate::requirement;
use crate::sound::{try_in_a_row, try_lock, try_lock_lines, try_spec};

#[track_caller]
fn seeds(target: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("fuzz/seeds")
        .join(target);
    let files = fs::read_dir(folder).expect("a folder of seeds");
    let read = |file: std::io::Result<fs::DirEntry>| fs::read(file.expect("an entry").path());
    let seeds: Vec<Vec<u8>> = files.map(|file| read(file).expect("a seed")).collect();
    assert!(!seeds.is_empty());
    seeds
}

#[track_caller]
fn texts(target: &str) -> Vec<String> {
    let seeds = seeds(target).into_iter();
    seeds
        .map(|seed| String::from_utf8(seed).expect("text"))
        .collect()
}

#[test]
fn locks() {
    for text in texts("lock") {
        try_lock(&text);
        try_lock_lines(&text, &requirement(3, 1, 1));
    }
}

#[test]
fn specs() {
    for text in texts("spec") {
        try_spec(&text);
    }
}

#[test]
fn choices() {
    for bytes in seeds("choices") {
        let mut choices = Choices::new(&bytes);
        try_in_a_row(&[(); 3].map(|()| choices.requirement()));
    }
}
