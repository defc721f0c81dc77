//! A host from `up` to `down`, also after the death of any of its processes.

use crate::stand_in::{PROGRAM, StandIn, groups, succeeded, until};
use std::{
    fs,
    path::PathBuf,
    process::{Command, Output, Stdio},
};

fn control(words: &[&str]) -> Output {
    Command::new(PROGRAM).args(words).output().unwrap()
}

#[test]
#[ignore = "needs root, sshd, systemd-nspawn"]
fn somebody_elses_key_is_refused() {
    let host = StandIn::up();
    fs::write(host.path("/root/.ssh/authorized_keys"), "").unwrap();
    let output = host.ssh("true");
    assert_eq!(output.status.code(), Some(255));
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(error.contains("Permission denied (publickey)"), "{error}");
}

#[test]
#[ignore = "needs root, sshd, systemd-nspawn"]
fn the_internet_answers_whom_it_can_reach() {
    let host = StandIn::up();
    host.sh("netstat -rn -f inet6 | grep -q '^default'");
    for (server, sender) in [
        ("198.51.100.80", "192.0.2.2"),
        ("2001:db8:f::80", "2001:db8::2"),
    ] {
        // bash(1) of the machine, behind the host's back, in its network.
        let script = "exec 3<>/dev/tcp/$1/80; cat <&3";
        let bash = "/var/db/freebsd-host/usr/bin/bash";
        let asked = host.enter(&[bash, "-c", script, "bash", server]);
        assert_eq!(succeeded(&asked), format!("{sender}\n"));
    }
}

#[test]
#[ignore = "needs root, sshd, systemd-nspawn"]
fn it_is_removed_after_the_death_of_its_first_process() {
    let host = StandIn::up();
    host.sh("daemon -f -P /tmp/pid sleep 1000");
    let mut asleep = host
        .enter_command(&["sleep", "1000"])
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    until("sleep(1) runs", || {
        host.try_sh("[ $(pgrep -x sleep | wc -l) -eq 2 ]")
            .status
            .success()
            .then_some(())
    });
    let killed = host.enter(&["/bin/kill", "-KILL", "-1"]);
    // The killer is spared by kill(2), and ends with the namespace below.
    drop(killed);
    let first = until("the first process", || first_process(&host));
    succeeded(
        &Command::new("kill")
            .args(["-KILL", &first])
            .output()
            .unwrap(),
    );
    until("its end", || {
        let down = host.enter(&["true"]);
        String::from_utf8_lossy(&down.stderr)
            .contains("is down")
            .then_some(())
    });
    host.down();
    assert_eq!(groups(&host), [] as [PathBuf; 0]);
    asleep.wait().unwrap();
}

/// The host's process 1, by its number here: in its group, or of cgroup v2 in a leaf of that.
fn first_process(host: &StandIn) -> Option<String> {
    let groups = groups(host).into_iter();
    let all =
        groups.flat_map(|group| [group.join("cgroup.procs"), group.join("host/cgroup.procs")]);
    let all: String = all.flat_map(fs::read_to_string).collect();
    let is_first = |pid: &&str| {
        let name = fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        name.contains("links/freebsd-host-init")
    };
    all.lines().find(is_first).map(str::to_owned)
}

#[test]
#[ignore = "needs root, sshd, systemd-nspawn"]
fn an_older_host_has_the_keys_of_its_release() {
    let host = StandIn::up_with(&["14.4-RELEASE-p11"]);
    assert_eq!(
        host.sh("freebsd-version -u; uname -r"),
        "14.4-RELEASE-p11\n14.4-RELEASE-p11\n"
    );
    assert_eq!(host.sh("sysctl -n kern.osrelease"), "14.4-RELEASE-p11\n");
    let dump = |key: &str| {
        let file = format!("printf 'name=vm\nmemory.size=1G\n{key}=/a.fd\n' >/tmp/vm.conf");
        let output = host.try_sh(&format!("{file}; bhyve -k /tmp/vm.conf -o config.dump=1"));
        String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned()
    };
    assert!(dump("bootrom").contains("bootrom is no key of FreeBSD 14"));
    let dumped = dump("lpc.bootrom");
    assert!(dumped.contains("lpc.bootrom=/a.fd\n"), "{dumped}");
}

#[test]
#[ignore = "needs root, sshd, systemd-nspawn"]
fn a_place_of_somebody_elses_is_left_alone() {
    let place = tempfile::tempdir_in("/var/tmp").unwrap();
    let (dir, file) = (place.path().to_str().unwrap(), place.path().join("theirs"));
    fs::write(&file, "").unwrap();
    let key = file.to_str().unwrap();
    for words in [
        &["up", dir, key][..],
        &["down", dir],
        &["enter", dir],
        &["up", dir, "/nothing"],
        &["frob"],
    ] {
        assert!(!control(words).status.success(), "{words:?}");
    }
    assert!(file.exists());
    // What is gone is removed.
    succeeded(&control(&["down", "/var/tmp/no-such-host"]));
}

#[test]
#[ignore = "needs root, sshd, systemd-nspawn"]
fn null_modems_carry_bytes_both_ways_and_keep_none() {
    let host = StandIn::up();
    // Nobody has B open yet: the first words are lost, as on the real one.
    host.sh("exec 3>/dev/nmdm-xA; echo lost >&3; sleep 0.1");
    let carried = host.sh(
        "exec 3<>/dev/nmdm-xA 4<>/dev/nmdm-xB; echo to B >&3; read -r b <&4; echo to A >&4; read -r a <&3; echo \"$b, $a\"",
    );
    assert_eq!(carried, "to B, to A\n");
}
