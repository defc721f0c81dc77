//! The timer and the service of a member, as text. Pure.

use super::{Schedule, Times};
use crate::{ClusterSpec, MemberSpec, render};
use host_exec::{File, systemd::UnitName};

/// Where the unit of the service is.
pub const SERVICE_FILE: &str = "/etc/systemd/system/etcd-snapshot.service";
/// Where that of the timer is.
pub const TIMER_FILE: &str = "/etc/systemd/system/etcd-snapshot.timer";

/// What the programs print, from which the amount of room is read. A name of its own, since systemd opens it before it
/// makes any directory.
const ROOM_FILE: &str = "/run/etcd-snapshot.room";

/// Members have a place each within an hour, or within the interval if that is shorter. One more than a cluster may
/// have.
const PLACES: usize = 8;

/// The name of the service, which takes one snapshot whenever it is started: also by hand.
#[must_use]
pub fn service_name() -> UnitName {
    "etcd-snapshot.service".parse().expect("a legal unit name")
}

/// The name of the timer.
#[must_use]
pub fn timer_name() -> UnitName {
    "etcd-snapshot.timer".parse().expect("a legal unit name")
}

/// Service and timer of a member; empty for a cluster without a schedule.
#[must_use]
pub fn files(spec: &ClusterSpec, member: &MemberSpec) -> Vec<File> {
    let Some(schedule) = spec.schedule() else {
        return Vec::new();
    };
    let place = spec.members().iter().position(|m| m.name == member.name);
    [
        File::public(SERVICE_FILE, service_text(spec, member, schedule)),
        File::public(
            TIMER_FILE,
            timer_text(member, schedule, place.unwrap_or_default()),
        ),
    ]
    .map(|file| file.with_mode(spec.file_mode()))
    .into()
}

/// When the member at `place` (from 0) of its cluster takes snapshots: an expression of `systemd.time(7)`, "Calendar
/// events". All times of a day are written out. Each member has its own, so that no two are slow at once, and what the
/// cluster has is spread.
#[must_use]
pub fn calendar(schedule: &Schedule, place: usize) -> String {
    let step = match schedule.times() {
        Times::Every(interval) => interval.minutes().min(60),
        Times::At(_) => 60,
    };
    let offset_s = usize::from(step) * 60 * (place % PLACES) / PLACES;
    let (first, second) = (offset_s / 60, offset_s % 60);
    let join = |numbers: Vec<usize>| {
        let numbers = numbers.iter().map(|number| format!("{number:02}"));
        numbers.collect::<Vec<_>>().join(",")
    };
    let (hours, minutes) = match schedule.times() {
        Times::At(hours) => {
            let hours = hours.iter().map(|hour| usize::from(*hour)).collect();
            (join(hours), join(vec![first]))
        }
        Times::Every(interval) if step < 60 => {
            let step = usize::from(interval.minutes());
            ("*".to_owned(), join((first..60).step_by(step).collect()))
        }
        Times::Every(interval) => {
            let step = usize::from(interval.minutes() / 60);
            (join((0..24).step_by(step).collect()), join(vec![first]))
        }
    };
    format!("*-*-* {hours}:{minutes}:{second:02} UTC")
}

/// See `systemd.timer(5)`. What was missed while the machine was off is made up for by one snapshot.
fn timer_text(member: &MemberSpec, schedule: &Schedule, place: usize) -> String {
    format!(
        "\
[Unit]
Description=Snapshots of etcd member {name}, {schedule}

[Timer]
OnCalendar={calendar}
AccuracySec=1s
RandomizedDelaySec=0
Persistent=true

[Install]
WantedBy=timers.target
",
        name = member.name,
        calendar = calendar(schedule, place),
    )
}

/// See `systemd.service(5)` and `systemd.exec(5)`. It never starts etcd: a member that was removed stays down.
///
/// `IOSchedulingClass=idle` is about what this service reads and writes. That etcd reads its store while it streams it is
/// etcd's own work.
fn service_text(spec: &ClusterSpec, member: &MemberSpec, schedule: &Schedule) -> String {
    let lines = commands(spec, member, schedule);
    let lines: String = lines
        .iter()
        .map(|line| format!("ExecStart={line}\n"))
        .collect();
    format!(
        "\
[Unit]
Description=Snapshot of etcd member {name}
Documentation=https://etcd.io/docs/
Requisite={etcd}
After={etcd}

[Service]
Type=oneshot
# The room is read from here; what goes wrong is in the journal.
StandardOutput=append:{ROOM_FILE}
StandardError=journal
UMask=0077
Nice=19
IOSchedulingClass=idle
# A oneshot service has no limit of its own.
TimeoutStartSec=1800
{lines}ExecStopPost=rm --recursive --force {scratch}
",
        name = member.name,
        etcd = render::unit_name(),
        scratch = scratch(schedule),
    )
}

/// What a run leaves behind when it is cut off.
fn scratch(schedule: &Schedule) -> String {
    let directory = schedule.directory().display();
    format!("{directory}/new.db {directory}/new.db.part {directory}/trial {ROOM_FILE}")
}

/// The programs with their arguments, as systemd reads them: `%%` is a percent sign, and `\;` is no end of a command.
/// No path needs quotes, see `ClusterSpec::new` and [`Schedule::below`].
fn commands(spec: &ClusterSpec, member: &MemberSpec, schedule: &Schedule) -> Vec<String> {
    let dir = schedule.directory().display();
    let store = member.data_dir.join("member/snap/db");
    let mut lines = vec![
        format!("mkdir --parents --mode=0700 {dir}"),
        format!("rm --recursive --force {}", scratch(schedule)),
        // Five words for expr(1): what is free, divided by the size of the store, is at least two. findmnt(8) looks and
        // takes no room; fallocate(1) would fill a disk that is short of it, with etcd on it.
        format!("findmnt --noheadings --bytes --output AVAIL --target {dir}"),
        "echo /".to_owned(),
        format!("find {} -printf %%s\\n", store.display()),
        "echo >= 2".to_owned(),
        format!("xargs --arg-file={ROOM_FILE} expr"),
        // Without an answer to this etcdctl would wait for one to the next for ever.
        etcdctl(spec, member, "endpoint status"),
        etcdctl(spec, member, &format!("snapshot save {dir}/new.db")),
        try_it(spec, member, schedule),
    ];
    // From the oldest on. find(1) rather than mv(1) alone, which fails where there is none of that number yet.
    lines.extend((1..schedule.keep()).rev().map(|number| {
        let to = schedule.path(number + 1);
        format!(
            "find {dir} -maxdepth 1 -name {number}.db -exec mv --no-target-directory {{}} {} \\;",
            to.display()
        )
    }));
    let newest = schedule.path(1);
    lines.push(format!(
        "mv --no-target-directory {dir}/new.db {}",
        newest.display()
    ));
    lines.push(format!("sync {dir}"));
    lines
}

fn etcdctl(spec: &ClusterSpec, member: &MemberSpec, verb: &str) -> String {
    let program = spec.program_of(member).with_file_name("etcdctl");
    let endpoint = member.client_urls().into_iter().next().unwrap_or_default();
    let pki = &member.pki;
    format!(
        "{} --endpoints {endpoint} --cacert {} --cert {} --key {} {verb}",
        program.display(),
        pki.client_ca.display(),
        pki.server_certificate.display(),
        pki.server_key.display(),
    )
}

fn try_it(spec: &ClusterSpec, member: &MemberSpec, schedule: &Schedule) -> String {
    let etcdutl = spec.program_of(member).with_file_name("etcdutl");
    let (dir, name, url) = (
        schedule.directory().display(),
        &member.name,
        member.peer_url(),
    );
    format!(
        "{} snapshot restore {dir}/new.db --data-dir {dir}/trial --name {name} --initial-cluster {name}={url} \
         --initial-advertise-peer-urls {url}",
        etcdutl.display(),
    )
}
