//! What counts of a unit file here, see `systemd.service(5)` and `systemd.syntax(7)`.

use crate::unit_file::values;
use std::path::PathBuf;

/// A service as its unit file describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Unit {
    /// The program and its arguments.
    pub(super) command: Vec<String>,
    pub(super) environment_files: Vec<PathBuf>,
}

impl Unit {
    /// Reads a unit file; `None` without a program. Words are between blanks.
    ///
    /// ```text
    /// EnvironmentFile=/etc/etcd/etcd.env
    /// ExecStart=/usr/local/bin/etcd \
    ///   --name=etcd-0
    /// ```
    pub(super) fn parse(text: &str) -> Option<Self> {
        let start = values(text, "ExecStart").pop()?;
        let command: Vec<String> = start.split_whitespace().map(str::to_owned).collect();
        let environment_files = values(text, "EnvironmentFile");
        (!command.is_empty()).then(|| Self {
            command,
            environment_files: environment_files.into_iter().map(PathBuf::from).collect(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_may_have_several_lines() {
        let text = "[Service]\nEnvironmentFile=/e\nExecStart=/bin/x \\\n  --a=b \\\n  --c\n# --d\n";
        let unit = Unit::parse(text).unwrap();
        assert_eq!(unit.command, ["/bin/x", "--a=b", "--c"]);
        assert_eq!(unit.environment_files, [PathBuf::from("/e")]);
        assert_eq!(Unit::parse("[Service]\nType=notify\n"), None);
        let environment = crate::unit_file::environment("# x\nA=b=c\n");
        assert_eq!(environment, [("A".into(), "b=c".into())]);
    }
}
