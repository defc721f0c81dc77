//! Quoting against the shell that has to read it.

use host_exec::{Command, Host, LocalHost, escape::quote};
use proptest::prelude::*;

/// What `sh` makes of `line`, in which each word of a `printf` ends with a byte that no word can hold.
fn shell_reads(line: &str) -> Vec<u8> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let host = LocalHost::new("here".parse().unwrap());
    let sh = Command::new("sh").args(["-c", line]);
    runtime.block_on(host.run(&sh)).unwrap().stdout
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn a_shell_reads_back_every_word(words in prop::collection::vec("[^\0]*|[ -~\n\t]*|[-a-z'\"$\\\\`*?!~#&;|<>()]{0,8}", 1..8)) {
        let mut line = String::from(r"printf '%s\0'");
        let mut expected = Vec::new();
        for word in &words {
            line.push(' ');
            line.push_str(&quote(word));
            expected.extend(word.bytes());
            expected.push(0);
        }
        prop_assert_eq!(shell_reads(&line), expected);
    }
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
    assert_eq!(shell_reads(&command.to_string()), b"it's,,a  b,");
}
