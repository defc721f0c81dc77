//! What cannot be planned or read, with the exact text of its error. A case is `NAME.toml` and
//! `NAME.txt` in tests/data/bad, or `NAME.lock` and `NAME.txt` in tests/data/bad-lock;
//! `NETPLAN_BLESS=1 cargo test` writes the texts anew.

use std::collections::BTreeSet;
use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};

use netplan::{HostFacts, Lock, Occupied, Requirement, plan};

use crate::{net, requirement};

/// A host with a LAN, a ULA network and the default routes.
fn facts() -> HostFacts {
    let occupied = [
        ("0.0.0.0/0", "route via eth0"),
        ("::/0", "route via eth0"),
        ("192.168.1.0/24", "address of eth0"),
        ("fd00:1:0:5::/64", "address of eth0"),
    ];
    HostFacts {
        occupied: occupied
            .map(|(text, by)| Occupied {
                net: net(text),
                by: by.to_owned(),
            })
            .to_vec(),
        ..HostFacts::default()
    }
}

fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text = format!("{text}: {error}");
        source = error.source();
    }
    text
}

/// The files of a folder of tests/data that end so.
fn cases(folder: &str, ending: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/data")
        .join(folder);
    let entries = fs::read_dir(&folder).expect("a folder of cases");
    let paths = entries.map(|entry| entry.expect("an entry").path());
    let mut cases: Vec<PathBuf> = paths
        .filter(|path| path.extension().is_some_and(|end| end == ending))
        .collect();
    cases.sort();
    cases
}

/// Compares every case of a folder with its text, and reports all that differ.
fn check_all(folder: &str, ending: &str, error_of: impl Fn(&str) -> Option<String>) {
    let all = cases(folder, ending);
    let mut wrong = Vec::new();
    let mut seen = BTreeSet::new();
    for path in &all {
        let text = fs::read_to_string(path).expect("a case");
        let name = path.file_stem().expect("a name").to_string_lossy();
        let Some(error) = error_of(&text) else {
            wrong.push(format!("{name}: is not refused"));
            continue;
        };
        let golden_path = path.with_extension("txt");
        if option_env!("NETPLAN_BLESS").is_some() {
            fs::write(&golden_path, format!("{error}\n")).expect("a golden file");
        }
        let golden = fs::read_to_string(&golden_path).unwrap_or_default();
        if format!("{error}\n") != golden {
            wrong.push(format!("{name}:\n  {error}\n  instead of\n  {golden}"));
        }
        if !seen.insert(error) {
            wrong.push(format!("{name}: another case has the same error"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!(
        cases(folder, "txt").len(),
        all.len(),
        "a text without a case"
    );
}

#[test]
fn bad_requirements_name_field_value_reason_and_remedy() {
    check_all("bad", "toml", |text| {
        match toml::from_str::<Requirement>(text) {
            Err(error) => Some(chain(&error).trim_end().to_owned()),
            Ok(asked) => plan(&asked, &facts(), None)
                .err()
                .map(|error| chain(&error)),
        }
    });
    assert!(cases("bad", "toml").len() >= 40);
}

/// Each against the reference lab named `lab` with 3 etcd members, 1 control plane, 2 workers.
#[test]
fn bad_locks_name_line_and_remedy() {
    let asked = requirement(3, 1, 2);
    check_all("bad-lock", "lock", |text| match Lock::from_text(text) {
        Err(error) => Some(chain(&error)),
        Ok(lock) => plan(&asked, &facts(), Some(&lock))
            .err()
            .map(|error| chain(&error)),
    });
    assert!(cases("bad-lock", "lock").len() >= 15);
}
