//! When snapshots are taken, and the units that say so. Pure, but for systemd's own opinion.

use crate::{golden::check, world};
use etcd_bootstrap::{
    ClusterSpec,
    schedule::{Interval, Schedule, ScheduleError, calendar, files},
};
use host_exec::{Command, Host, LocalHost, unit_file::values};
use proptest::prelude::*;
use std::collections::BTreeSet;

const INTERVALS: [&str; 15] = [
    "5m", "6m", "10m", "12m", "15m", "20m", "30m", "1h", "2h", "3h", "4h", "6h", "8h", "12h", "24h",
];

fn interval(text: &str) -> Interval {
    text.parse().unwrap()
}

pub(super) fn with_schedule(keep: u8) -> ClusterSpec {
    let schedule = Schedule::every(interval("6h"), keep).unwrap();
    world::spec().with_schedule(schedule).unwrap()
}

/// All moments of a day, in seconds since midnight.
fn moments(calendar: &str) -> Vec<u32> {
    let time = calendar
        .strip_prefix("*-*-* ")
        .and_then(|text| text.strip_suffix(" UTC"));
    let parts: Vec<&str> = time.unwrap().split(':').collect();
    let numbers =
        |text: &str| -> Vec<u32> { text.split(',').map(|n| n.parse().unwrap()).collect() };
    let hours = match parts[0] {
        "*" => (0..24).collect(),
        hours => numbers(hours),
    };
    let (minutes, second) = (numbers(parts[1]), numbers(parts[2])[0]);
    let minutes = &minutes;
    let moments = hours
        .into_iter()
        .flat_map(|hour| minutes.iter().map(move |m| (hour * 60 + m) * 60 + second));
    moments.collect()
}

#[test]
fn the_units_are_lists_of_programs_and_a_time_of_each_member() {
    let spec = with_schedule(3);
    let text = |member: usize, file: usize| {
        let files = files(&spec, &spec.members()[member]);
        String::from_utf8(files[file].contents.bytes().to_vec()).unwrap()
    };
    check("etcd-snapshot.service", &text(1, 0));
    check("etcd-snapshot.timer", &text(1, 1));
    let times: Vec<_> = (0..3).map(|m| values(&text(m, 1), "OnCalendar")).collect();
    let expected = ["00:00", "07:30", "15:00"];
    let expected = expected.map(|offset| vec![format!("*-*-* 00,06,12,18:{offset} UTC")]);
    assert_eq!(times, expected);
    // What a shell would take for more than a word.
    for word in ["sh ", "|", "&", "$", "`", "'", "\""] {
        assert!(!text(1, 0).contains(word), "{word}");
    }
}

#[test]
fn a_cluster_takes_no_snapshots_unless_it_is_asked_to() {
    let spec = world::spec();
    assert!(files(&spec, &spec.members()[0]).is_empty());
}

#[test]
fn what_cannot_be_says_what_to_write() {
    for text in [
        "7h", "90m", "4m", "0h", "48h", "6", "h", "-6h", "1e1h", "6 h", "65535h",
    ] {
        let error = text.parse::<Interval>().unwrap_err().to_string();
        assert!(
            error.starts_with(&format!("every {text:?}: must be 5m, ")),
            "{error}"
        );
    }
    let errors = [
        Schedule::every(interval("6h"), 0),
        Schedule::every(interval("6h"), 100),
        Schedule::at_hours(&[], 5),
        Schedule::at_hours(&[3, 24], 5),
        Schedule::at_hours(&[3, 3], 5),
        Schedule::every(interval("6h"), 5).and_then(|s| s.below("backups".as_ref())),
        Schedule::every(interval("6h"), 5).and_then(|s| s.below("/a b".as_ref())),
    ];
    let said: String = errors
        .map(|error| format!("{}\n", error.unwrap_err()))
        .concat();
    check("bad/schedule.txt", &said);
    for directory in ["/var/lib/etcd/snapshots", "/var/lib", "/var/lib/etcd"] {
        let schedule = Schedule::every(interval("6h"), 5).unwrap();
        let schedule = schedule.below(directory.as_ref()).unwrap();
        let refused = world::spec().with_schedule(schedule).unwrap_err();
        assert!(matches!(refused, ScheduleError::InData { .. }), "{refused}");
    }
}

#[test]
fn the_longest_gap_may_be_the_night() {
    let gap = |hours: &[u8]| {
        let schedule = Schedule::at_hours(hours, 1).unwrap();
        schedule.longest_gap().as_secs() / 3600
    };
    assert_eq!(gap(&[3]), 24);
    assert_eq!(gap(&[8, 12, 18]), 14);
    assert_eq!(gap(&[0, 22]), 22);
    let every = Schedule::every(interval("15m"), 1).unwrap();
    assert_eq!(every.longest_gap().as_secs(), 900);
}

proptest! {
    /// Whatever is asked for: the moments of a member are as far apart as was said, over midnight too, and no two
    /// members have one in common.
    #[test]
    fn each_member_has_its_own_moments_and_their_distance_is_the_interval(
        text in prop::sample::select(&INTERVALS[..]), members in 1_usize..=7,
    ) {
        let schedule = Schedule::every(interval(text), 5).unwrap();
        let step = u32::from(interval(text).minutes()) * 60;
        let mut seen = BTreeSet::new();
        for member in 0..members {
            let own = moments(&calendar(&schedule, member));
            prop_assert_eq!(u32::try_from(own.len()).unwrap(), 86_400 / step);
            prop_assert!(own.windows(2).all(|pair| pair[1] - pair[0] == step));
            for moment in own {
                prop_assert!(seen.insert(moment), "{} of member {}", moment, member);
            }
        }
    }

    #[test]
    fn given_hours_are_kept(
        hours in prop::collection::btree_set(0_u8..24, 1..24), member in 0_usize..7,
    ) {
        let given: Vec<u8> = hours.iter().rev().copied().collect();
        let schedule = Schedule::at_hours(&given, 5).unwrap();
        let own = moments(&calendar(&schedule, member));
        let own: BTreeSet<u8> = own.iter().map(|m| u8::try_from(m / 3600).unwrap()).collect();
        prop_assert_eq!(own, hours);
    }

    /// A model of the renames: after any number of runs there are the newest ones, in their order, and never more than
    /// are to be kept.
    #[test]
    fn exactly_as_many_are_kept_as_were_asked_for(keep in 1_u8..=99, runs in 1_usize..120) {
        let spec = with_schedule(keep);
        let service = files(&spec, &spec.members()[0]).remove(0);
        let text = String::from_utf8(service.contents.bytes().to_vec()).unwrap();
        let mut there = std::collections::BTreeMap::new();
        for run in 0..runs {
            for line in values(&text, "ExecStart") {
                let words: Vec<&str> = line.split(' ').collect();
                let Some(mv) = words.iter().position(|word| *word == "mv") else {
                    continue;
                };
                let (from, to) = match mv {
                    // `mv --no-target-directory FROM TO`
                    0 => {
                        prop_assert!(words[2].ends_with("/new.db"));
                        there.insert("new.db".to_owned(), run);
                        ("new.db", words[3])
                    }
                    // `find DIR -maxdepth 1 -name FROM -exec mv --no-target-directory {} TO \;`
                    _ => (words[5], words[mv + 3]),
                };
                let to = to.rsplit_once('/').unwrap().1;
                if let Some(snapshot) = there.remove(from) {
                    there.insert(to.to_owned(), snapshot);
                }
            }
        }
        let expected: std::collections::BTreeMap<_, _> = (0..runs.min(usize::from(keep)))
            .map(|age| (format!("{}.db", age + 1), runs - 1 - age))
            .collect();
        prop_assert_eq!(there, expected);
    }
}

/// systemd reads them as they are meant: the moments, and not a word of them unknown.
#[tokio::test]
#[ignore = "needs systemd-analyze"]
async fn systemd_takes_the_units_as_they_are() {
    let host = LocalHost::new("here".parse().unwrap());
    for text in INTERVALS {
        let schedule = Schedule::every(interval(text), 5).unwrap();
        let calendar = calendar(&schedule, 3);
        let ask = Command::new("systemd-analyze").args(["calendar", "--iterations=3"]);
        // From a midnight on.
        let ask = ask.args(["--base-time", "2026-11-28 00:00:00 UTC", &calendar]);
        let said = host.run(&ask.env("TZ", "UTC")).await.unwrap();
        let said = said.stdout_text().into_owned();
        let first = moments(&calendar)[0];
        let clock = format!(
            "2026-11-28 {:02}:{:02}:{:02} UTC",
            first / 3600,
            first / 60 % 60,
            first % 60
        );
        assert!(said.contains(&clock), "{text}: {calendar}: {said}");
    }
    let directory = tempfile::tempdir().unwrap();
    let spec = with_schedule(3);
    let mut verify = Command::new("systemd-analyze").args(["verify", "--recursive-errors=no"]);
    for mut file in files(&spec, &spec.members()[0]) {
        file.path = directory.path().join(file.path.file_name().unwrap());
        host.write_file(&file).await.unwrap();
        verify = verify.arg(file.path.to_string_lossy().into_owned());
    }
    let output = host.output(&verify).await.unwrap();
    let said = output.stderr_text().into_owned();
    // The programs of etcd are not on this machine.
    let other = said.lines().filter(|line| line.contains("etcd-snapshot"));
    let other: Vec<_> = other
        .filter(|line| !line.contains("/opt/lab/bin/"))
        .collect();
    assert!(other.is_empty(), "{said}");
}
