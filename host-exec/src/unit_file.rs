//! Reading what systemd reads, for those who play it: units and environment files. Pure.
//!
//! Quotes, specifiers and expansions are not known; nothing that this workspace writes has any.

/// The values of a key of a unit in the order of the file, see `systemd.syntax(7)`. A backslash at the end of a line
/// joins it with the next.
///
/// ```
/// use host_exec::unit_file::values;
///
/// let unit = "[Service]\nExecStart=/usr/local/bin/etcd \\\n  --name=etcd-0\n";
/// assert_eq!(values(unit, "ExecStart"), ["/usr/local/bin/etcd    --name=etcd-0"]);
/// assert!(values(unit, "Restart").is_empty());
/// ```
pub fn values(text: &str, key: &str) -> Vec<String> {
    let text = text.replace("\\\n", " ");
    let value = |line: &str| Some(line.strip_prefix(key)?.strip_prefix('=')?.to_owned());
    text.lines().filter_map(value).collect()
}

/// The lines of an environment file, see `EnvironmentFile=` in `systemd.exec(5)`; values are taken as they are.
///
/// ```
/// use host_exec::unit_file::environment;
///
/// assert_eq!(environment("# x\nA=b=c\n"), [("A".into(), "b=c".into())]);
/// ```
pub fn environment(text: &str) -> Vec<(String, String)> {
    text.lines()
        .filter(|line| !line.starts_with(['#', ';']))
        .filter_map(|line| line.split_once('='))
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .collect()
}
