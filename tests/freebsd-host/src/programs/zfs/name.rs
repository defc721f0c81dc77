//! Names of datasets.

/// What is wrong with a name of a filesystem or volume, in zfs(8)'s words.
pub(super) fn problem(name: &str) -> Option<String> {
    if name.len() >= 256 {
        return Some("name is too long".into());
    }
    if name.starts_with('/') {
        return Some("leading slash in name".into());
    }
    if name.ends_with('/') {
        return Some("trailing slash in name".into());
    }
    if name.split('/').any(str::is_empty) {
        return Some("empty component in name".into());
    }
    if name.contains('@') {
        return Some("snapshot delimiter '@' is not expected here".into());
    }
    character(name)
}

/// What is wrong with the part of a name behind its `@`.
pub(super) fn snapshot_problem(name: &str) -> Option<String> {
    if name.is_empty() {
        return Some("empty component in name".into());
    }
    if name.contains(['@', '/']) {
        return Some("multiple '@' and/or '#' delimiters in name".into());
    }
    character(name)
}

fn character(name: &str) -> Option<String> {
    let legal = |c: &char| c.is_ascii_alphanumeric() || "-_.: /".contains(*c);
    let odd = name.chars().find(|c| !legal(c))?;
    Some(format!("invalid character '{odd}' in name"))
}

/// The dataset above one; for a snapshot, the dataset that it is of.
pub(super) fn parent(name: &str) -> Option<&str> {
    name.rfind(['@', '/']).map(|end| &name[..end])
}

/// Whether one dataset is below another, snapshots included.
pub(super) fn is_below(name: &str, above: &str) -> bool {
    let rest = name.strip_prefix(above);
    rest.is_some_and(|rest| rest.starts_with(['/', '@']))
}
