//! A stand-in FreeBSD host, and labs on it.

use crate::{
    lab::{Lab, Scene},
    run::{Done, Running},
    turn::Room,
};
use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::OnceLock,
};

/// What the stand-in internet has for tests of the way out; see `tests/freebsd-host`.
const OUTSIDE: &str = r#"["198.51.100.80", "2001:db8:f::80"]"#;

/// Where labs may be on a host, what runs there, and what a lab sets.
const LOOK: &str = "\
zfs list -H -t all -o name | sed 's/^/dataset /'
ifconfig -l | tr ' ' '\\n' | sed 's/^/interface /'
pfctl -a labcluster -s Anchors 2>/dev/null | sed 's/^ */anchor /'
sysctl net.inet.ip.forwarding net.inet6.ip6.forwarding net.link.bridge | sed 's/^/setting /'
netstat -rn | grep -v fe80 | sed 's/^/route /'
ps -ax | grep -e bhyve: -e daemon: -e supervise | grep -v grep | sed 's/^/process /'
find /zroot /root /tmp /var/run /dev/vmm /dev/vmm.io -type f 2>/dev/null | sed 's/^/file /'
cat /etc/pf.conf /etc/rc.conf | sed 's/^/line /'
";

/// A FreeBSD host with pf and an image, and the scene for labs on it, whose lab.toml names the host. All of it goes in
/// the end.
pub(super) struct FreeBsd {
    scene: Scene,
}

impl FreeBsd {
    /// A host that is ready for a lab.
    #[track_caller]
    pub(super) fn new() -> Self {
        let host = Self::without_pf(&[]);
        host.enable_pf();
        host
    }

    /// A host as it is installed, with further words for `freebsd-host up`.
    #[track_caller]
    pub(super) fn without_pf(words: &[&str]) -> Self {
        let host = Self {
            scene: Scene::taking(Room::Larger),
        };
        let key = host.file("id");
        let make = ["-q", "-t", "ed25519", "-N", "", "-C", "test", "-f"];
        succeeds("ssh-keygen", &[&make[..], &[text(&key)]].concat());
        let (dir, public) = (host.dir(), key.with_extension("pub"));
        succeeds(
            program(),
            &[&["up", text(&dir), text(&public)], words].concat(),
        );
        let config = fs::read_to_string(dir.join("ssh_config")).unwrap();
        let login = format!("  IdentityFile {}\n  IdentitiesOnly yes\n", key.display());
        fs::write(host.file("ssh_config"), config + &login).unwrap();
        // The signature of a boot sector: more of a disk the stand-in's guests do not ask for.
        let mut image = vec![0; 1 << 20];
        image[510..512].copy_from_slice(&[0x55, 0xaa]);
        fs::write(host.file("disk.raw"), image).unwrap();
        host.configure("");
        host
    }

    /// pf, as the README asks a person to set it up.
    #[track_caller]
    fn enable_pf(&self) {
        let lines = netplan::pf::main_conf_lines().join("\n");
        self.sh(&format!(
            "kldload pf && echo '{lines}' >/etc/pf.conf && pfctl -e -f /etc/pf.conf"
        ));
    }

    /// Writes lab.toml, with further lines of its table `bhyve` and tables behind it.
    pub(super) fn configure(&self, more: &str) {
        let file = |name| self.file(name).display().to_string();
        let toml = format!(
            "[network]\nallow = [{{ lint = \"v6-outside-special\", reason = \"a documentation prefix plays the internet\" }}]\n\
            [bhyve]\nhost = \"ssh://root@freebsd\"\nssh_config = \"{}\"\nimage = \"{}\"\noutside = {OUTSIDE}\n{more}",
            file("ssh_config"),
            file("disk.raw"),
        );
        fs::write(self.file("lab.toml"), toml).unwrap();
    }

    pub(super) fn lab(&self, name: &'static str) -> Lab<'_> {
        self.scene.lab(name)
    }

    /// A file beside the host.
    pub(super) fn file(&self, name: &str) -> PathBuf {
        self.scene.dir().join(name)
    }

    fn dir(&self) -> PathBuf {
        self.file("host")
    }

    /// A file of the host that is not FreeBSD's: with it the stand-in is told what to play.
    pub(super) fn world(&self, name: &str) -> PathBuf {
        self.dir().join("root/var/db/freebsd-host").join(name)
    }

    /// A command of sh(1) on the host that has to succeed; its output.
    #[track_caller]
    pub(super) fn sh(&self, command: &str) -> String {
        let dir = self.dir();
        let words = ["enter", text(&dir), "--", "/bin/sh", "-c", command];
        succeeds(program(), &words)
    }

    /// Everything on the host that a lab could leave or spoil, one line each.
    #[track_caller]
    pub(super) fn look(&self) -> BTreeSet<String> {
        // The last command of a pipeline counts, so this fails only where the host is gone.
        self.sh(LOOK)
            .lines()
            .map(|line| line.trim().to_owned())
            .collect()
    }

    /// Demands that the host is as it was, but for the image and the disk of programs, which the next lab needs again.
    #[track_caller]
    pub(super) fn is_as_before(&self, before: &BTreeSet<String>) {
        let now = self.look();
        let gone: Vec<_> = before.difference(&now).collect();
        assert_eq!(gone, Vec::<&String>::new(), "the host lacks what it had");
        let come = now.difference(before);
        let kept = |line: &&String| {
            ["dataset zroot/lab", "dataset zroot/lab/base"].contains(&line.as_str())
                || line.starts_with("dataset zroot/lab/base/")
                || line.starts_with("file /zroot/lab/files/")
        };
        let left: Vec<_> = come.filter(|line| !kept(line)).collect();
        assert_eq!(left, Vec::<&String>::new(), "left on the host");
    }

    /// Takes the host down, and demands that nothing is left of it or of its labs on this machine.
    #[track_caller]
    pub(super) fn nothing_is_left(&self) {
        let groups = self.sh("cat /proc/self/cgroup");
        succeeds(program(), &["down", text(&self.dir())]);
        for line in groups.lines() {
            // HIERARCHY:CONTROLLERS:PATH, cgroups(7)
            let path = line.rsplit(':').next().unwrap().trim_start_matches('/');
            assert!(path.starts_with("freebsd-host."), "{line}");
            for hierarchy in fs::read_dir("/sys/fs/cgroup").unwrap() {
                let group = hierarchy.unwrap().path().join(path);
                assert!(!group.exists(), "{} is left", group.display());
            }
        }
        self.scene.nothing_is_left();
    }
}

impl Drop for FreeBsd {
    fn drop(&mut self) {
        // A test that has failed has told more than a host that does not go.
        let _ = run(program(), &["down", text(&self.dir())]);
    }
}

/// The program that plays the host. It is of another package, so cargo tells no test where it is.
fn program() -> &'static str {
    static PROGRAM: OnceLock<String> = OnceLock::new();
    PROGRAM.get_or_init(|| {
        let path = Path::new(env!("CARGO_BIN_EXE_lab")).with_file_name("freebsd-host");
        let remedy = "cargo build -p freebsd-host";
        assert!(
            path.exists(),
            "{} is not there; make it with: {remedy}",
            path.display()
        );
        text(&path).to_owned()
    })
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[track_caller]
fn succeeds(program: &str, words: &[&str]) -> String {
    let done = run(program, words);
    assert_eq!(done.code, Some(0), "{program} {words:?}: {done:?}");
    done.out
}

#[expect(
    clippy::disallowed_methods,
    reason = "the host is made and entered as a user does"
)]
#[track_caller]
fn run(program: &str, words: &[&str]) -> Done {
    let mut command = Command::new(program);
    command.args(words);
    Running::start(command).end()
}
