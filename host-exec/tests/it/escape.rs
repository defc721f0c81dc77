//! Quoting against the shells that have to read it.

use crate::sshd::Sshd;
use host_exec::{Command, ControlDirectory, Host, LocalHost, SshHost, escape::quote};
use proptest::{prelude::*, test_runner::TestRunner};

/// Any text without NUL, and much of what shells have a use for.
const WORD: &str = "[^\0]*|[ -~\n\t]*|[-a-z'\"$\\\\`*?!~#&;|<>()\n\r]{0,8}|[!'\\\\\n0-9]{0,6}";

fn words() -> impl Strategy<Value = Vec<String>> {
    prop::collection::vec(WORD, 1..8)
}

/// Prints each word with a byte after it that no word can hold.
fn print(words: &[String]) -> Command {
    Command::new("printf").arg(r"%s\0").args(words)
}

fn printed(words: &[String]) -> Vec<u8> {
    words
        .iter()
        .flat_map(|word| word.bytes().chain([0]))
        .collect()
}

/// What a shell makes of `line`.
fn shell_reads(shell: &[&str], line: &str) -> Vec<u8> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let host = LocalHost::new("here".parse().unwrap());
    let shell = Command::new(shell[0])
        .args(shell[1..].iter().copied())
        .args(["-c", line]);
    runtime.block_on(host.run(&shell)).unwrap().stdout
}

/// What `ssh` hands to the login shell of the other side.
fn remote_line(command: &Command) -> String {
    let control = ControlDirectory::new("/tmp/cm").unwrap();
    let host = SshHost::new("far".parse().unwrap(), "h".parse().unwrap(), control);
    host.enter(command).pop().unwrap()
}

/// The line survives the login shell `shell`.
fn survives(shell: &[&str], cases: u32) {
    let mut runner = TestRunner::new(ProptestConfig::with_cases(cases));
    let survive = |words: Vec<String>| {
        let line = remote_line(&print(&words));
        prop_assert_eq!(shell_reads(shell, &line), printed(&words));
        Ok(())
    };
    runner.run(&words(), survive).unwrap();
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn a_shell_reads_back_every_word(words in words()) {
        let quoted: Vec<_> = words.iter().map(|word| quote(word)).collect();
        let line = format!(r"printf '%s\0' {}", quoted.join(" "));
        prop_assert_eq!(shell_reads(&["sh"], &line), printed(&words));
    }
}

#[test]
fn every_word_survives_a_posix_login_shell() {
    survives(&["sh"], 200);
}

#[test]
#[ignore = "needs bash"]
fn every_word_survives_bash() {
    survives(&["bash", "--norc"], 200);
}

/// The login shell of root on FreeBSD before 14 is csh(1), which is tcsh.
#[test]
#[ignore = "needs tcsh"]
fn every_word_survives_tcsh() {
    survives(&["tcsh", "-f"], 200);
}

#[test]
#[ignore = "needs sshd"]
fn every_word_survives_ssh() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let sshd = runtime.block_on(Sshd::start());
    let host = sshd.host();
    let mut runner = TestRunner::new(ProptestConfig::with_cases(40));
    let survive = |words: Vec<String>| {
        let output = runtime.block_on(host.run(&print(&words))).unwrap();
        prop_assert_eq!(output.stdout, printed(&words));
        Ok(())
    };
    runner.run(&words(), survive).unwrap();
    runtime.block_on(host.disconnect()).unwrap();
}

#[test]
fn a_command_shown_can_be_pasted() {
    let command = Command::new("printf")
        .args(["%s,", "it's", "", "a  b"])
        .env("X", "1 2");
    assert_eq!(
        command.to_string(),
        r"X='1 2' printf %s, 'it'\''s' '' 'a  b'"
    );
    assert_eq!(shell_reads(&["sh"], &command.to_string()), b"it's,,a  b,");
}
