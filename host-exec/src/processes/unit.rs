//! What counts of a unit file here, see `systemd.service(5)` and `systemd.syntax(7)`.

use std::path::PathBuf;

/// A service as its unit file describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Unit {
    /// The program and its arguments.
    pub(super) command: Vec<String>,
    pub(super) environment_files: Vec<PathBuf>,
}

impl Unit {
    /// Reads a unit file; `None` without a program. A backslash at the end of a line joins it with the next, and words
    /// are between blanks: quotes and expansions are not known.
    ///
    /// ```text
    /// EnvironmentFile=/etc/etcd/etcd.env
    /// ExecStart=/usr/local/bin/etcd \
    ///   --name=etcd-0
    /// ```
    pub(super) fn parse(text: &str) -> Option<Self> {
        let text = text.replace("\\\n", " ");
        let values = |key: &'static str| {
            let value = move |line: &'_ str| {
                let value = line.strip_prefix(key)?.strip_prefix('=')?;
                Some(value.to_owned())
            };
            text.lines().filter_map(value).collect::<Vec<_>>()
        };
        let start = values("ExecStart").pop()?;
        let command: Vec<String> = start.split_whitespace().map(str::to_owned).collect();
        let environment_files = values("EnvironmentFile").into_iter().map(PathBuf::from);
        (!command.is_empty()).then(|| Self {
            command,
            environment_files: environment_files.collect(),
        })
    }
}

/// The lines of an environment file, see `EnvironmentFile=` in `systemd.exec(5)`; values are taken as they are.
pub(super) fn environment(text: &str) -> Vec<(String, String)> {
    text.lines()
        .filter(|line| !line.starts_with(['#', ';']))
        .filter_map(|line| line.split_once('='))
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .collect()
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
        assert_eq!(environment("# x\nA=b=c\n"), [("A".into(), "b=c".into())]);
    }
}
