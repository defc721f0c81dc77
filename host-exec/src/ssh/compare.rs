//! Many files of the other side compared in one round trip, by checksum: their contents stay there.

use super::{
    SshHost,
    files::{parse_mode, path_text},
};
use crate::{
    Command, File, FileError, FileErrorKind, Host, Mode, RunErrorKind, Sha256Hex,
    files::{Drift, compare_each},
};

/// Tells what files are like; the words after it are their paths.
const COMPARE: &str = include_str!("compare.sh");

/// So many paths fit into one argument, which is what the line for the login shell is: 128 KiB on Linux, execve(2).
const AT_ONCE: usize = 100;

/// How each of `files` differs on `host`.
pub(super) async fn compare(
    host: &SshHost,
    files: &[File],
) -> Result<Vec<Option<Drift>>, FileError> {
    let mut drifts = Vec::with_capacity(files.len());
    for some in files.chunks(AT_ONCE) {
        match compare_at_once(host, some).await? {
            Some(answer) => drifts.extend(answer),
            // It says for itself which file it is about.
            None => drifts.extend(compare_each(host, some).await?),
        }
    }
    Ok(drifts)
}

/// `None` if not all of them can be examined.
async fn compare_at_once(
    host: &SshHost,
    files: &[File],
) -> Result<Option<Vec<Option<Drift>>>, FileError> {
    let mut compare = Command::new("sh").args(["-c", COMPARE, "compare"]);
    for file in files {
        let Some(path) = path_text(&file.path) else {
            return Ok(None);
        };
        compare = compare.arg(path);
    }
    let answer = match host.run(&compare.env("LC_ALL", "C")).await {
        Ok(output) => output,
        Err(e) if matches!(*e.kind, RunErrorKind::Failed { .. }) => return Ok(None),
        Err(e) => {
            return Err(FileError {
                host: host.name.clone(),
                operation: "examine",
                path: files[0].path.clone(),
                kind: Box::new(FileErrorKind::Run(e.naming_script(COMPARE, "COMPARE"))),
            });
        }
    };
    let found = parse(&answer.stdout_text()).filter(|found| found.len() == files.len());
    Ok(found.map(|found| files.iter().zip(found).map(drift).collect()))
}

/// What a file on the other side is like.
type Found = (Sha256Hex, Mode);

fn drift((file, found): (&File, Option<Found>)) -> Option<Drift> {
    match found {
        None => Some(Drift::Missing),
        Some((sum, _)) if sum != Sha256Hex::of(file.contents.bytes()) => Some(Drift::Contents),
        Some((_, mode)) if mode != file.mode => Some(Drift::Mode),
        Some(_) => None,
    }
}

/// Reads the answer of the script.
///
/// ```text
/// +-
/// e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855  /etc/motd
/// -rw-r--r-- 1 root root 0 Apr 23  2023 /etc/motd
/// ```
fn parse(answer: &str) -> Option<Vec<Option<Found>>> {
    let (known, rest) = answer.split_once('\n')?;
    let lines: Vec<&str> = rest.lines().collect();
    let there = known.matches('+').count();
    if lines.len() != 2 * there {
        return None;
    }
    let (sums, modes) = lines.split_at(there);
    let mut found = sums.iter().zip(modes);
    let each = known.chars().map(|mark| match mark {
        '-' => Some(None),
        _ => {
            let (sum, mode) = found.next()?;
            Some(Some((parse_sum(sum)?, parse_mode(mode)?)))
        }
    });
    each.collect()
}

/// GNU sha256sum puts a backslash before the line of a file whose name it has to quote.
fn parse_sum(line: &str) -> Option<Sha256Hex> {
    let line = line.strip_prefix('\\').unwrap_or(line);
    line.get(..64)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SUM: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    const LS: &str = "-rw-r-----  1 root  wheel  0 Apr 23 20:01 /etc/motd";

    #[test]
    fn answers_of_linux_and_freebsd_are_read() {
        let sum: Sha256Hex = SUM.parse().unwrap();
        let file = Some((sum, Mode::new(0o640)));
        for line in [
            SUM.to_owned(),
            format!("{SUM}  /etc/motd"),
            format!("\\{SUM}  /etc/a\\nb"),
        ] {
            let answer = format!("-+-\n{line}\n{LS}\n");
            assert_eq!(
                parse(&answer),
                Some(vec![None, file.clone(), None]),
                "{line}"
            );
        }
        assert_eq!(parse("--\n"), Some(vec![None, None]));
        let two = format!("++\n{SUM}\n{SUM}\n{LS}\n{LS}\n");
        assert_eq!(parse(&two), Some(vec![file.clone(), file]));
    }

    #[test]
    fn answers_that_lack_something_are_none() {
        for bad in [
            String::new(),
            "+\n".into(),
            format!("+\n{SUM}\n"),
            format!("+\n{LS}\n{SUM}\n"),
            format!("-\n{SUM}\n{LS}\n"),
        ] {
            assert_eq!(parse(&bad), None, "{bad:?}");
        }
    }
}
