//! The end of a service's log, for people: what it says again and again is told once.

use host_exec::{
    Host, RunError,
    systemd::{self, UnitName},
};

/// How far back is looked: an API server without etcd says the same twenty times a second.
const LINES_READ: u32 = 400;

/// Whose words are looked for in a unit's log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Speaker {
    /// The program's alone: systemd's ends and starts would leave no room for them among a few lines.
    Program,
    /// The program's and systemd's, which alone says how a program ended that had nothing to say.
    Anybody,
}

/// The last `lines` different lines of a unit's log, oldest first.
///
/// # Errors
///
/// The journal cannot be read.
pub(crate) async fn of(
    speaker: Speaker,
    host: &dyn Host,
    unit: &UnitName,
    lines: usize,
) -> Result<Vec<String>, RunError> {
    let log = systemd::journal(host, unit, LINES_READ).await?;
    Ok(match speaker {
        Speaker::Program => different(own_lines(&log, unit), lines),
        Speaker::Anybody => different(log.lines(), lines),
    })
}

/// Those that are not systemd's, which names the unit in each of its own (systemd 252):
///
/// ```text
/// E1127 12:30:31.185 812 run.go:72] "command failed" err="failed to run Kubelet: ..."
/// kubelet.service: Main process exited, code=exited, status=1/FAILURE
/// kubelet.service: Scheduled restart job, restart counter is at 7.
/// Stopped kubelet.service - Kubernetes node agent.
/// ```
fn own_lines<'log>(log: &'log str, unit: &UnitName) -> impl DoubleEndedIterator<Item = &'log str> {
    let unit = unit.as_str().to_owned();
    log.lines().filter(move |line| !line.contains(&unit))
}

/// Of lines that differ in numbers alone the last is kept, with how often they came.
fn different<'log>(log: impl DoubleEndedIterator<Item = &'log str>, lines: usize) -> Vec<String> {
    let mut kept: Vec<(String, &str, usize)> = Vec::new();
    for line in log.rev().filter(|line| !line.trim().is_empty()) {
        let words: String = line.chars().filter(|c| !c.is_ascii_digit()).collect();
        match kept.iter_mut().find(|(known, ..)| *known == words) {
            Some((.., times)) => *times += 1,
            None => kept.push((words, line, 1)),
        }
    }
    kept.truncate(lines);
    let told = kept.into_iter().rev().map(|(_, line, times)| match times {
        1 => line.to_owned(),
        _ => format!("{line} ({times} times)"),
    });
    told.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Captured from kube-apiserver 1.37 behind a firewall that drops its packets to etcd, shortened.
    #[test]
    fn what_is_said_again_and_again_is_told_once() {
        let log = "I1127 12:46:17.1 242 start\n\
            W1127 12:46:18.757739 242 [Channel #145] dial tcp 10.183.0.10:2379: i/o timeout\n\
            E1127 12:46:18.9 242 another\n\
            W1127 12:46:19.012131 242 [Channel #184] dial tcp 10.183.0.10:2379: i/o timeout\n\n";
        let timeout = "W1127 12:46:19.012131 242 [Channel #184] dial tcp 10.183.0.10:2379: i/o timeout (2 times)";
        assert_eq!(
            different(log.lines(), 2),
            ["E1127 12:46:18.9 242 another", timeout]
        );
        assert_eq!(different(log.lines(), 9).len(), 3);
    }

    #[test]
    fn the_words_of_systemd_are_left_out() {
        let log = "E1127 12:30:31.185 812 run.go:72] \"command failed\" err=\"no certificate\"\n\
            kubelet.service: Main process exited, code=exited, status=1/FAILURE\n\
            Stopped kubelet.service - Kubernetes node agent.\n";
        let unit = "kubelet.service".parse().expect("a unit");
        let own: Vec<&str> = own_lines(log, &unit).collect();
        assert_eq!(
            own,
            ["E1127 12:30:31.185 812 run.go:72] \"command failed\" err=\"no certificate\""]
        );
    }
}
