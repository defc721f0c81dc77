//! What cannot be is refused before anything is done to the host, with the cause and what helps.

use super::host::FreeBsd;
use crate::lab::Lab;
use std::{collections::BTreeSet, fs};

/// A host and how it was, and a lab that is not to come up on it. The same for all: who has mended what was wrong
/// goes on with it.
struct Refusals<'h> {
    host: &'h FreeBsd,
    lab: Lab<'h>,
    before: BTreeSet<String>,
}

impl Refusals<'_> {
    /// Demands that `up` ends with this status and these words, and leaves the host as it is.
    #[track_caller]
    fn up(&self, words: &[&str], code: i32, said: &[&str]) {
        refuses(&self.lab, &[&["up"], words].concat(), code, said);
        assert_eq!(self.host.look(), self.before);
    }

    /// The same of a host that this command of sh(1) has changed; another takes it back.
    #[track_caller]
    fn up_after(&mut self, spoil: &str, mend: &str, said: &[&str]) {
        self.host.sh(spoil);
        let before = std::mem::replace(&mut self.before, self.host.look());
        self.up(&[], 1, said);
        self.host.sh(mend);
        self.before = before;
        assert_eq!(
            self.host.look(),
            self.before,
            "{mend} does not take {spoil} back"
        );
    }

    /// The same with a ssh_config(5) that differs.
    #[track_caller]
    fn up_with_login(&self, setting: &str, value: &str, said: &[&str]) {
        let file = self.host.file("ssh_config");
        let good = fs::read_to_string(&file).unwrap();
        let changed = good.lines().map(|line| match line.trim().split_once(' ') {
            Some((name, _)) if name == setting => format!("  {setting} {value}\n"),
            _ => format!("{line}\n"),
        });
        fs::write(&file, changed.collect::<String>()).unwrap();
        self.up(&[], 1, said);
        fs::write(&file, good).unwrap();
    }
}

#[track_caller]
fn refuses(lab: &Lab<'_>, words: &[&str], code: i32, said: &[&str]) {
    let done = lab.run(words);
    assert_eq!(done.code, Some(code), "{words:?}: {done:?}");
    for text in said {
        assert!(
            done.err.contains(text),
            "{words:?} lacks {text:?}: {}",
            done.err
        );
    }
}

#[test]
#[ignore = "needs root"]
fn what_cannot_be_is_refused_and_the_host_is_left_alone() {
    let host = FreeBsd::new();
    let before = host.look();
    let mut refusals = Refusals {
        host: &host,
        lab: host.lab("t-bad"),
        before,
    };
    wrong_words(&refusals);
    strangers(&refusals);
    wrong_images(&refusals);
    unfit_hosts(&mut refusals);
    things_of_others(&mut refusals);
    refusals.lab.down();
    assert_eq!(host.look(), refusals.before);
    drop(refusals);
    host.nothing_is_left();
}

#[track_caller]
fn wrong_words(refusals: &Refusals<'_>) {
    let toml = fs::read_to_string(refusals.host.file("lab.toml")).unwrap();
    let without = toml.replace("host = \"ssh://root@freebsd\"\n", "");
    fs::write(refusals.host.file("lab.toml"), &without).unwrap();
    refusals.up(
        &[],
        2,
        &[
            "needs a FreeBSD host",
            "--host ssh://root@HOST",
            "bhyve.host",
        ],
    );
    fs::write(
        refusals.host.file("lab.toml"),
        format!("name = \"t-23456789-123456789-1\"\n{toml}"),
    )
    .unwrap();
    refusals.up(&[], 2, &["\"t-23456789-123456789-1\"", "1 to 20 of a-z"]);
    fs::write(refusals.host.file("lab.toml"), toml).unwrap();
    let both = ["--machines", "namespaces", "--host", "ssh://root@freebsd"];
    refusals.up(
        &both,
        2,
        &["--host is for bhyve machines", "--machines bhyve"],
    );
    refusals.up(
        &["--host", "root freebsd"],
        2,
        &["'root freebsd'", "--host"],
    );
}

#[track_caller]
fn strangers(refusals: &Refusals<'_>) {
    let file = |name: &str| refusals.host.file(name).display().to_string();
    let known = [
        "the host key of freebsd is not known",
        "SHA256:",
        "ssh -F",
        "root@freebsd",
    ];
    refusals.up_with_login("UserKnownHostsFile", &file("none"), &known);
    let key = fs::read_to_string(refusals.host.file("id.pub")).unwrap();
    fs::write(refusals.host.file("changed"), format!("freebsd {key}")).unwrap();
    let changed = [
        "the host key of freebsd has CHANGED",
        "changed:1 holds another",
    ];
    refusals.up_with_login("UserKnownHostsFile", &file("changed"), &changed);
    let denied = [
        "freebsd does not let root in (publickey)",
        "authorized_keys",
    ];
    refusals.up_with_login("IdentityFile", &file("none"), &denied);
    // ssh says of it that the connection was closed, or that its pipe broke, whichever it meets first.
    refusals.up_with_login(
        "ProxyCommand",
        "/bin/false",
        &["freebsd: LC_ALL=C uname -s: host unreachable: "],
    );
}

#[track_caller]
fn wrong_images(refusals: &Refusals<'_>) {
    let wrong = "0".repeat(64);
    refusals
        .host
        .configure(&format!("image_checksum = \"{wrong}\"\n"));
    refusals.up(
        &[],
        1,
        &[
            "disk.raw has the wrong checksum",
            &wrong,
            "give the right file",
        ],
    );
    refusals.host.configure("");
    let image = refusals.host.file("disk.raw");
    let away = refusals.host.file("away.raw");
    fs::rename(&image, &away).unwrap();
    refusals.up(
        &[],
        1,
        &["cannot read the image", "disk.raw", "No such file"],
    );
    fs::rename(&away, &image).unwrap();
}

#[track_caller]
fn unfit_hosts(refusals: &mut Refusals<'_>) {
    refusals.lab.down();
    refusals
        .host
        .configure("worker = { cpus = 2, memory_mib = 1048576, disk_gib = 20 }\n");
    let memory = [
        "not fit for this lab",
        "1053696 MiB for VMs",
        "make the VMs smaller or fewer",
    ];
    refusals.up(&[], 1, &memory);
    // What is remembered of the lab has this size by now.
    refusals.lab.down();
    refusals.host.configure("");
    let full = refusals.host.world("pool-available");
    fs::write(&full, "1000").unwrap();
    refusals.up(
        &[],
        1,
        &["pool zroot has 1000 bytes free", "zfs list -o space"],
    );
    fs::remove_file(&full).unwrap();
    let lines =
        "cp /etc/pf.conf /etc/pf.good && echo pass all >/etc/pf.conf && pfctl -f /etc/pf.conf";
    let back = "mv /etc/pf.good /etc/pf.conf && pfctl -f /etc/pf.conf";
    let missing = ["no rule nat-anchor \"labcluster/*\"", "add to /etc/pf.conf"];
    refusals.up_after(lines, back, &missing);
    refusals.up_after("pfctl -d", "pfctl -e", &["pf is off", "pfctl -e"]);
}

/// Of a name that is the lab's, and without its mark.
#[track_caller]
fn things_of_others(refusals: &mut Refusals<'_>) {
    let mark = ["not marked as", "remove or rename it by hand"];
    let with = |name| [&[name], &mark[..]].concat();
    let (make, remove) = ("zfs create -p zroot/lab/t-bad", "zfs destroy -r zroot/lab");
    refusals.up_after(make, remove, &with("dataset zroot/lab/t-bad"));
    let plan = refusals.lab.json(&["plan"]);
    let bridge = plan["network"]["networks"][0]["bridge"].as_str().unwrap();
    let make = format!("kldload if_bridge; ifconfig bridge create name {bridge}");
    let remove = format!("ifconfig {bridge} destroy; kldunload if_bridge");
    refusals.up_after(&make, &remove, &with(&format!("interface {bridge}")));
}

#[test]
#[ignore = "needs root"]
fn a_release_that_is_too_old_is_refused() {
    let host = FreeBsd::without_pf(&["13.4-RELEASE"]);
    let before = host.look();
    refuses(&host.lab("t-old"), &["up"], 1, &["13.4", "14"]);
    assert_eq!(host.look(), before);
    host.nothing_is_left();
}
