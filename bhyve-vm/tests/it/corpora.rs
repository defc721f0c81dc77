//! Arguments that other tools write, each with its source: read, shown, and printed back word for word.

use bhyve_vm::{Arguments, Release, config_file, parse_config_file};
use std::{fmt::Write, fs, path::Path};

/// The words of a shell line: cut at blanks, `'...'` kept together. The files need no more.
pub(crate) fn shell_words(line: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut quoted = false;
    for c in line.chars() {
        match (c, words.last_mut()) {
            ('\'', _) => quoted = !quoted,
            (' ', _) if !quoted => words.push(String::new()),
            (c, Some(word)) => word.push(c),
            (_, None) => {}
        }
    }
    words
}

/// The words behind `bhyve` in a file of tests/data.
pub(crate) fn arguments_of(text: &str) -> Vec<String> {
    let line = text.lines().find(|line| !line.starts_with('#')).unwrap();
    let mut words = shell_words(line);
    assert_eq!(words.remove(0), "bhyve");
    words
}

/// What there is to see: the line of each option, and what becomes of it on each release.
fn shown(arguments: &Arguments) -> String {
    let mut text = arguments.to_string();
    for release in [Release::V14, Release::V15] {
        match arguments.keys(release) {
            Err(error) => writeln!(text, "{release:?}: {error}").unwrap(),
            Ok(keys) => {
                let file = config_file(&keys);
                assert_eq!(parse_config_file(&file, release).unwrap(), keys);
                writeln!(text, "{release:?}: {} keys", keys.iter().count()).unwrap();
            }
        }
    }
    text
}

#[test]
fn arguments_of_other_tools() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/argv");
    let mut seen = 0;
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|end| end != "argv") {
            continue;
        }
        let words = arguments_of(&fs::read_to_string(&path).unwrap());
        let arguments =
            Arguments::parse(&words).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        assert_eq!(arguments.words(), words, "{}", path.display());
        let golden = path.with_extension("shown");
        let expected = fs::read_to_string(&golden).unwrap();
        assert_eq!(shown(&arguments), expected, "{}", path.display());
        seen += 1;
    }
    assert_eq!(seen, 38, "files in tests/data/argv");
}
