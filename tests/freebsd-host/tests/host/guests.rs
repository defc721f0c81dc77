//! Guests: booted by bhyve's arguments, told by their seeds, kept by the supervisor of `bhyve-vm`.

use crate::stand_in::{StandIn, succeeded, until};
use bhyve_vm::{
    DeviceTree, EventWord, Stage, Supervision, VmSpec, argv, parse_events, read_console,
    seed::{HostKey, Seed, User},
};
use fatfs::{FileSystem, FormatVolumeOptions, FsOptions};
use std::{
    fs,
    io::{Cursor, Write},
    os::unix::fs::PermissionsExt,
    process::Output,
    time::Duration,
};

/// The network of all guests here, and the image that they start from.
const PREPARE: &str = "\
kldload -n vmm nmdm if_tuntap if_bridge
ifconfig bridge create name bridge110 >/dev/null
ifconfig bridge110 inet 10.110.0.1/24 up
zfs create -p zroot/lab
zfs create -s -V 64M -o volmode=dev -o volblocksize=16K zroot/lab/base
until [ -e /dev/zvol/zroot/lab/base ]; do sleep 0.02; done
printf '\\125\\252' | dd of=/dev/zvol/zroot/lab/base bs=1 seek=510 conv=notrunc 2>/dev/null
zfs snapshot zroot/lab/base@ready
";

/// Whether groups of containers can be made, and limited: what a kubelet asks for.
const CONTROLLERS: &str = "\
cd /sys/fs/cgroup && set -e
if [ -e cgroup.controllers ]; then
    mkdir x
    for name in cpu cpuset memory pids; do
        echo +$name >cgroup.subtree_control
        grep -qw $name x/cgroup.controllers
    done
    rmdir x
else
    for name in cpu cpuset memory pids; do mkdir $name/x; rmdir $name/x; done
fi
";

/// A file system of programs, as it is attached to several VMs.
fn programs_disk() -> Vec<u8> {
    let mut bytes = vec![0; 4 << 20];
    let format = FormatVolumeOptions::new().volume_label(*b"LABPROGS   ");
    fatfs::format_volume(Cursor::new(&mut bytes), format).unwrap();
    let volume = FileSystem::new(Cursor::new(&mut bytes), FsOptions::new()).unwrap();
    let mut file = volume.root_dir().create_file("a-program-of-ours").unwrap();
    file.write_all(b"#!/bin/sh\necho ours\n").unwrap();
    drop(file);
    volume.unmount().unwrap();
    bytes
}

fn prepared() -> StandIn {
    let host = StandIn::up();
    host.sh(&format!("set -e; {PREPARE}"));
    fs::write(host.path("/zroot/lab/programs.img"), programs_disk()).unwrap();
    host
}

/// A VM with one card in the bridge.
struct Vm<'a> {
    host: &'a StandIn,
    name: &'static str,
    number: u8,
}

impl<'a> Vm<'a> {
    /// Makes its disk, seed, tap and supervisor, and starts it.
    fn start(host: &'a StandIn, name: &'static str, number: u8) -> Self {
        let vm = Self { host, name, number };
        host.sh(&format!(
            "set -e; zfs create zroot/lab/{name}; zfs clone -o volmode=dev zroot/lab/base@ready zroot/lab/{name}/root
            until [ -e /dev/zvol/zroot/lab/{name}/root ]; do sleep 0.02; done
            install -m 600 /usr/local/share/uefi-firmware/BHYVE_UEFI_VARS.fd /zroot/lab/{name}/vars.fd
            ifconfig tap11{number} create description lab:{name}; ifconfig bridge110 addm tap11{number}"
        ));
        vm.write_seed(&vm.network());
        let (spec, supervision) = (vm.spec(), vm.supervision());
        let words = argv(&DeviceTree::new(&spec).unwrap());
        vm.write("supervise", supervision.script(&words).as_bytes());
        vm.write("record", supervision.recorder().as_bytes());
        vm.supervise();
        vm
    }

    fn supervise(&self) {
        self.host.sh(&self.supervision().start().to_string());
    }

    fn write(&self, file: &str, bytes: &[u8]) {
        let path = self.host.path(&format!("/zroot/lab/{}/{file}", self.name));
        fs::write(&path, bytes).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o700)).unwrap();
    }

    fn read(&self, file: &str) -> String {
        let path = self.host.path(&format!("/zroot/lab/{}/{file}", self.name));
        String::from_utf8_lossy(&fs::read(path).unwrap_or_default()).into_owned()
    }

    fn spec(&self) -> VmSpec {
        let Self { name, number, .. } = self;
        serde_json::from_value(serde_json::json!({
            "name": name,
            "uuid": format!("8f5c2b7e-0a41-4a52-9d4c-0a1b2c3d4e5{number}"),
            "cpus": { "sockets": 1, "cores": 2, "threads": 1 },
            "memory_mib": 1024,
            "seed": format!("/zroot/lab/{name}/seed.img"),
            "firmware": {
                "code": "/usr/local/share/uefi-firmware/BHYVE_UEFI_CODE.fd",
                "vars_template": "/usr/local/share/uefi-firmware/BHYVE_UEFI_VARS.fd",
                "vars": format!("/zroot/lab/{name}/vars.fd"),
            },
            "disks": [
                { "path": format!("/dev/zvol/zroot/lab/{name}/root"), "serial": name },
                { "path": "/zroot/lab/programs.img", "serial": format!("{name}-2"), "read_only": true },
            ],
            "nics": [{ "mac": self.mac(), "tap": format!("tap11{number}"), "bridge": "bridge110" }],
        }))
        .unwrap()
    }

    fn mac(&self) -> String {
        format!("58:9c:fc:0a:00:1{}", self.number)
    }

    fn supervision(&self) -> Supervision {
        let directory = format!("/zroot/lab/{}", self.name).parse().unwrap();
        let mut supervision = Supervision::new(self.name.parse().unwrap(), directory);
        supervision.limits.tick = Duration::from_millis(50);
        supervision.restart.pause_s = 0;
        supervision
    }

    fn network(&self) -> String {
        format!(
            "version: 2\nethernets:\n  lab0:\n    match:\n      macaddress: \"{}\"\n    set-name: \"lab0\"\n    \
            accept-ra: false\n    addresses:\n      - \"10.110.0.1{1}/24\"\n      - \"fd00:110::1{1}/64\"\n    \
            routes:\n      - to: \"0.0.0.0/0\"\n        via: \"10.110.0.1\"\n",
            self.mac(),
            self.number
        )
    }

    fn write_seed(&self, network: &str) {
        let private = include_str!("../../../../bhyve-vm/tests/data/seed/host_key");
        let key = HostKey::from_openssh(private.to_owned().into()).unwrap();
        let seed = Seed::new(self.name.parse().unwrap(), key, network.parse().unwrap());
        let seed = seed.with_user(User::root(self.host.key().parse().unwrap()));
        let address = format!("10.110.0.1{}", self.number);
        let known = seed
            .host_key
            .public()
            .known_hosts_line(&[address.parse().unwrap()]);
        fs::write(self.host.file(self.name), known).unwrap();
        self.write("seed.img", seed.files().unwrap().image().bytes());
    }

    /// A command in the guest, by a login through the host.
    fn ssh(&self, command: &str) -> Output {
        let host = self.host;
        let jump = host.ssh_command();
        let words = jump.get_args().map(|word| word.to_str().unwrap());
        let jump = format!(
            "ssh {} -W %h:%p freebsd",
            words.collect::<Vec<_>>().join(" ")
        );
        let mut ssh = std::process::Command::new("ssh");
        ssh.args(["-F", "none", "-oBatchMode=yes", "-i"])
            .arg(host.file("id"));
        ssh.arg(format!("-oProxyCommand={jump}"));
        ssh.arg(format!(
            "-oUserKnownHostsFile={}",
            host.file(self.name).display()
        ));
        ssh.arg(format!("root@10.110.0.1{}", self.number))
            .arg(command);
        ssh.output().unwrap()
    }

    /// The same, once it is up.
    fn run(&self, command: &str) -> String {
        // 255 is ssh(1)'s own: there was no login.
        let answered = until("a login", || {
            Some(self.ssh(command)).filter(|output| output.status.code() != Some(255))
        });
        succeeded(&answered)
    }

    /// Waits for the end of the run of this number: status, and cause.
    fn ended(&self, boot: u32) -> (Option<i32>, String) {
        until("the end of a run", || {
            let log = parse_events(&self.read("events")).unwrap();
            log.events.into_iter().find_map(|event| match event.what {
                EventWord::Exited(exited) if event.boot == boot => {
                    Some((exited.status, exited.cause))
                }
                _ => None,
            })
        })
    }

    fn request(&self, what: &str) {
        self.write("request.new", format!("{what}\n").as_bytes());
        let [from, to] = ["request.new", "request"]
            .map(|file| self.host.path(&format!("/zroot/lab/{}/{file}", self.name)));
        fs::rename(from, to).unwrap();
    }
}

#[test]
#[ignore = "needs root, sshd, systemd-nspawn"]
fn two_guests_live_and_die_as_bhyves_do() {
    let host = prepared();
    let (one, two) = (Vm::start(&host, "one", 1), Vm::start(&host, "two", 2));

    are_as_their_seeds_say(&one, &two);
    is_seen_as_a_process(&one);
    comes_back_from_all(&one);
    stays_away_when_told(&one, &two);
    // A changed seed is a new instance.
    one.write_seed(&one.network().replace("fd00:110::11", "fd00:110::21"));
    one.supervise();
    let addresses = one.run("ip -o -6 address show dev lab0");
    assert!(
        addresses.contains("fd00:110::21/64") && !addresses.contains("fd00:110::11/64"),
        "{addresses}"
    );
    assert_eq!(one.run("cat /root/file"), "kept\n");
}

fn are_as_their_seeds_say(one: &Vm<'_>, two: &Vm<'_>) {
    assert_eq!(
        one.run("hostname; cat /var/lib/cloud/data/instance-id | wc -c"),
        "one\n65\n"
    );
    two.run("true");
    for other in ["10.110.0.12", "fd00:110::12"] {
        one.run(&format!(
            "bash -c 'read -r line </dev/tcp/{other}/22; echo \"$line\"' | grep -q ^SSH"
        ));
    }
    assert_eq!(one.run("systemctl --failed --no-legend"), "");
    // What it has from a disk of programs, and what containers need.
    assert_eq!(
        one.run("/opt/lab/bin/a-program-of-ours; ! touch /opt/lab/bin/x 2>/dev/null"),
        "ours\n"
    );
    one.run("systemctl start containerd");
    one.run(CONTROLLERS);
}

/// By the host, with bhyve's title, a tap that it holds, and nothing of what runs inside.
fn is_seen_as_a_process(one: &Vm<'_>) {
    let host = one.host;
    let pid = host.sh("pgrep -fx 'bhyve: one'");
    assert!(
        host.sh("ifconfig tap111")
            .contains(&format!("Opened by PID {}", pid.trim()))
    );
    assert!(!host.sh("ps -axww -o command=").contains("systemd"));
    let console = until("a login prompt", || {
        let state = read_console(one.read("console").as_bytes());
        (state.stage == Stage::Login).then_some(state)
    });
    assert_eq!((console.boot, console.troubles), (Some(1), vec![]));
}

fn comes_back_from_all(one: &Vm<'_>) {
    let host = one.host;
    // A reboot: status 0, started again, and the disk is as it was.
    one.run("echo kept >/root/file; echo kept >/var/lib/etcd/file");
    one.ssh("systemctl reboot");
    assert_eq!(one.ended(1), (Some(0), "guest-rebooted".into()));
    assert_eq!(one.run("cat /root/file /var/lib/etcd/file"), "kept\nkept\n");
    assert!(
        one.read("console").contains("is known"),
        "cloud-init does nothing at a second boot"
    );

    // A crash.
    fs::write(host.path("/var/db/freebsd-host/vm/one/next-exit"), "3").unwrap();
    assert_eq!(one.ended(2), (Some(3), "triple-fault".into()));
    assert_eq!(one.run("cat /root/file"), "kept\n");

    // A kill of bhyve is a kill of the guest.
    host.sh("pkill -KILL -fx 'bhyve: one'");
    assert_eq!(one.ended(3), (Some(137), "killed".into()));
    one.run("true");
}

fn stays_away_when_told(one: &Vm<'_>, two: &Vm<'_>) {
    let host = one.host;
    // The power button, once the guest knows it.
    one.request("stop");
    assert_eq!(one.ended(4), (Some(1), "guest-powered-off".into()));
    until("the end of the supervisor", || {
        (!host.path("/var/run/lab-one.pid").exists()).then_some(())
    });
    assert_eq!(host.sh("ls /dev/vmm"), "two\n");
    host.sh("ifconfig tap111 | grep -q 'no carrier'");

    // Without asking the guest.
    two.request("kill");
    assert_eq!(two.ended(1), (Some(1), "ended-by-us".into()));
}

#[test]
#[ignore = "needs root, sshd, systemd-nspawn"]
fn a_host_that_lost_its_power_has_its_disks() {
    let host = prepared();
    let vm = Vm::start(&host, "one", 1);
    vm.run("echo kept >/root/file");
    host.sh("sysrc gateway_enable=YES >/dev/null");
    host.reboot();
    // Nothing of the kernel's is left.
    assert_eq!(
        host.sh("ifconfig -l; ls /var/run; sysctl -n net.inet.ip.forwarding"),
        "em0 lo0\n1\n"
    );
    host.sh("[ ! -e /dev/vmm ] && ! kldstat -q -m vmm && [ -e /dev/zvol/zroot/lab/one/root ]");
    host.sh("ifconfig bridge create name bridge110 >/dev/null; ifconfig bridge110 inet 10.110.0.1/24 up");
    host.sh("ifconfig tap111 create; ifconfig bridge110 addm tap111");
    vm.supervise();
    assert_eq!(vm.run("cat /root/file"), "kept\n");
    assert!(
        vm.read("events").contains(" lost\n"),
        "its supervisor knows why"
    );
}

#[test]
#[ignore = "needs root, sshd, systemd-nspawn"]
fn a_wrong_seed_boots_a_guest_that_nobody_reaches() {
    let host = prepared();
    let vm = Vm::start(&host, "one", 1);
    vm.run("true");
    vm.request("kill");
    vm.ended(1);
    until("the end of the supervisor", || {
        (!host.path("/var/run/lab-one.pid").exists()).then_some(())
    });
    host.sh("zfs destroy zroot/lab/one/root; zfs clone zroot/lab/base@ready zroot/lab/one/root");
    until("the device", || {
        host.try_sh("[ -e /dev/zvol/zroot/lab/one/root ]")
            .status
            .success()
            .then_some(())
    });
    vm.write_seed(
        &vm.network()
            .replace("58:9c:fc:0a:00:11", "58:9c:fc:0a:00:99"),
    );
    vm.supervise();
    let says = "Not all expected physical devices present: {'58:9c:fc:0a:00:99'}";
    until("a complaint on the console", || {
        vm.read("console").contains(says).then_some(())
    });
    until("its prompt all the same", || {
        vm.read("console").contains(" login: ").then_some(())
    });
    assert!(!vm.ssh("true").status.success());
}
