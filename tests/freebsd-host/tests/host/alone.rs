//! What looks at the mounts of this machine: `./lab test` runs nothing else meanwhile.

use crate::stand_in::{StandIn, groups, succeeded};
use std::{fs, path::PathBuf};

#[test]
#[ignore = "needs root, sshd, systemd-nspawn"]
fn it_takes_logins_and_leaves_nothing() {
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap();
    let host = StandIn::up();
    assert!(!groups(&host).is_empty());
    let output = host.ssh("uname -s; id -un; exit 7");
    assert_eq!(output.status.code(), Some(7));
    assert_eq!(String::from_utf8_lossy(&output.stdout), "FreeBSD\nroot\n");
    // A login takes a file in and gives it back, as uploads do.
    succeeded(&host.ssh("printf '%s' text >/tmp/a; cat /tmp/a"));
    host.down();
    assert!(!host.dir().exists());
    assert_eq!(groups(&host), [] as [PathBuf; 0]);
    assert_eq!(fs::read_to_string("/proc/self/mounts").unwrap(), mounts);
}
