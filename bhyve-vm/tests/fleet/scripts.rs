//! The driver's own scripts under a real shell.

#![expect(
    clippy::disallowed_methods,
    reason = "they are run here as a login shell of the host would run them"
)]

use std::{fs, path::Path, process::Command};

fn script(name: &str) -> String {
    format!("{}/src/fleet/{name}", env!("CARGO_MANIFEST_DIR"))
}

#[test]
#[ignore = "needs shellcheck"]
fn shellcheck_finds_nothing() {
    let mut check = Command::new("shellcheck");
    check.args(["-s", "sh"]);
    let output = check
        .args(["journal.sh", "console.sh"].map(script))
        .output();
    let output = output.unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}");
}

/// What `sh` does with a command: its status and output, and what the journal has then, without the times.
fn journalled(journal: &Path, command: &[&str]) -> (Option<i32>, String, String) {
    let text = fs::read_to_string(script("journal.sh")).unwrap();
    let mut sh = Command::new("sh");
    sh.args(["-c", &text, "sh"])
        .arg(journal)
        .arg("a step")
        .args(command);
    let output = sh.output().unwrap();
    let lines = fs::read_to_string(journal).unwrap_or_default();
    let lines: String = lines
        .lines()
        .map(|line| format!("{}\n", line.split_once(' ').unwrap().1))
        .collect();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    (output.status.code(), said, lines)
}

#[test]
#[ignore = "needs sh"]
fn a_command_leaves_two_lines_and_keeps_its_words() {
    let place = tempfile::tempdir().unwrap();
    let journal = place.path().join("journal.log");
    let words = ["printf", "[%s]", "a b", "$HOME", "'", ""];
    let (status, said, lines) = journalled(&journal, &words);
    assert_eq!((status, said.as_str()), (Some(0), "[a b][$HOME]['][]"));
    assert_eq!(lines, "begun a step\ndone a step\n");
    let (status, _, lines) = journalled(&journal, &["sh", "-c", "exit 7"]);
    assert_eq!(status, Some(7));
    assert!(
        lines.ends_with("begun a step\nfailed(7) a step\n"),
        "{lines}"
    );
}

#[test]
#[ignore = "needs sh"]
fn without_its_directory_there_is_no_journal() {
    let (status, said, lines) =
        journalled(Path::new("/nonexistent/lab/journal.log"), &["echo", "x"]);
    assert_eq!(
        (status, said.as_str(), lines.as_str()),
        (Some(0), "x\n", "")
    );
}
