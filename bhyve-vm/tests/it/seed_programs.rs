//! Seeds as the programs take them that they are for: mtools, dosfstools, blkid, and cloud-init, which
//! `netplan/tests/guest-tools DIR` unpacks without installing it.

#![expect(
    clippy::disallowed_methods,
    reason = "the programs are run here and at once; host-exec needs a runtime for it"
)]

use crate::seed::{HOST_KEY, NETWORK, etcd_0, host_key};
use bhyve_vm::seed::SshPublicKey;
use serde_json::Value;
use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};
use tempfile::TempDir;

fn run(program: impl AsRef<Path>, arguments: &[&str]) -> Output {
    let program = program.as_ref();
    let output = Command::new(program).args(arguments).output();
    output.unwrap_or_else(|error| panic!("{}: {error}", program.display()))
}

#[track_caller]
fn success(output: &Output) -> String {
    let text = String::from_utf8_lossy(&output.stdout);
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{text}\n{error}");
    text.into_owned()
}

fn guest_tools() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("guest-tools")
}

/// A folder with the image in it, and the image's path.
fn image() -> (TempDir, String) {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("seed.img");
    fs::write(&path, etcd_0().files().unwrap().image().bytes()).unwrap();
    let path = path.to_str().unwrap().to_owned();
    (folder, path)
}

#[test]
#[ignore = "needs mtools"]
fn mtools_reads_the_files_back() {
    let (_folder, image) = image();
    let files = etcd_0().files().unwrap();
    let read = |name: &str| success(&run("mtype", &["-i", &image, &format!("::/{name}")]));
    assert_eq!(read("user-data"), files.user_data());
    assert_eq!(read("meta-data"), files.meta_data());
    assert_eq!(read("network-config"), NETWORK);
    let label = success(&run("mlabel", &["-i", &image, "-s", "::"]));
    assert_eq!(label.trim(), "Volume label is CIDATA");
}

#[test]
#[ignore = "needs dosfstools"]
fn fsck_finds_no_fault() {
    let (_folder, image) = image();
    let said = success(&run("/usr/sbin/fsck.vfat", &["-n", "-v", &image]));
    // The label counts as a file.
    assert!(
        said.contains("12 bit entries") && said.contains("4 files"),
        "{said}"
    );
}

#[test]
#[ignore = "needs blkid"]
fn blkid_sees_the_label() {
    let (_folder, image) = image();
    let said = success(&run("/usr/sbin/blkid", &["-p", "-o", "export", &image]));
    let lines: Vec<&str> = said.lines().collect();
    for line in ["LABEL=CIDATA", "TYPE=vfat", "BLOCK_SIZE=512"] {
        assert!(lines.contains(&line), "{said}");
    }
    let id = etcd_0()
        .files()
        .unwrap()
        .instance_id()
        .to_string()
        .to_uppercase();
    let uuid = format!("UUID={}-{}", &id[..4], &id[4..8]);
    assert!(lines.contains(&uuid.as_str()), "{said}");
}

#[test]
#[ignore = "needs cloud-init and root"]
fn cloud_init_finds_no_fault() {
    let folder = TempDir::new().unwrap();
    let schema = |kind: &str, text: &str| {
        let path = folder.path().join(kind);
        fs::write(&path, text).unwrap();
        let path = path.to_str().unwrap();
        let words = ["schema", "--schema-type", kind, "--config-file", path];
        run(guest_tools().join("cloud-init"), &words)
    };
    let files = etcd_0().files().unwrap();
    success(&schema("cloud-config", files.user_data()));
    success(&schema("network-config", files.network_config()));
    for (from, to) in [
        ("ntp_client", "ntp_clients"),
        ("ed25519_private", "ed25519_secret"),
        ("package_update: false", "package_update: \"never\""),
        ("ssh_authorized_keys", "ssh_authorised_keys"),
    ] {
        let wrong = files.user_data().replacen(from, to, 1);
        assert_ne!(wrong, files.user_data());
        let output = schema("cloud-config", &wrong);
        assert!(!output.status.success(), "it finds no fault in {to}");
    }
}

/// cloud-init's own search for a seed among block devices, its reading of the three files, and its modules for
/// files, keys and the growing of partitions as far as they can be asked without being a guest. Only mounting is
/// done by mtools: a kernel may lack FAT.
const DATA_SOURCE: &str = r#"
import json, subprocess, sys, tempfile
from cloudinit import helpers, util
from cloudinit.distros import ug_util, fetch
from cloudinit.sources import DataSourceNoCloud

folder, device = sys.argv[1:]
find = util.find_devs_with
# Disks of this machine are none of the guest's.
util.find_devs_with = lambda criteria=None, **kw: [d for d in find(criteria, no_cache=True, **kw) if d == device]

def mount(dev, callback, data=None, **kw):
    with tempfile.TemporaryDirectory(dir=folder) as place:
        subprocess.run(["mcopy", "-n", "-i", dev, "::/*", place], check=True)
        return callback(place + "/", data)

util.mount_cb = mount
paths = helpers.Paths({"cloud_dir": folder + "/cloud", "run_dir": folder + "/run"})
distro = fetch("debian")("debian", {}, paths)
source = DataSourceNoCloud.DataSourceNoCloud({}, distro, paths)
assert source._get_data()
user_data = util.load_yaml(source.userdata_raw)
users, _ = ug_util.normalize_users_groups(user_data, distro)
json.dump({"seed": source.seed, "meta": source.metadata, "network": source.network_config,
    "instance": source.get_instance_id(), "hostname": source.get_hostname().hostname,
    "user_data": user_data, "users": users}, sys.stdout)
"#;

/// A loop device with the image, given back when dropped.
struct Loop(String);

impl Drop for Loop {
    fn drop(&mut self) {
        run("/usr/sbin/losetup", &["-d", &self.0]);
    }
}

#[test]
#[ignore = "needs cloud-init, mtools, losetup and root"]
fn cloud_init_finds_the_seed_on_its_disk() {
    let (folder, image) = image();
    let device = success(&run("/usr/sbin/losetup", &["-r", "-f", "--show", &image]));
    let device = Loop(device.trim().to_owned());
    let output = Command::new("/usr/bin/python3")
        .args([
            "-c",
            DATA_SOURCE,
            folder.path().to_str().unwrap(),
            &device.0,
        ])
        .env(
            "PYTHONPATH",
            guest_tools().join("root/usr/lib/python3/dist-packages"),
        )
        .output()
        .unwrap();
    let found: Value = serde_json::from_str(&success(&output)).unwrap();
    let files = etcd_0().files().unwrap();
    assert_eq!(found["seed"], Value::from(device.0.as_str()));
    assert_eq!(
        found["instance"],
        Value::from(files.instance_id().to_string())
    );
    assert_eq!(found["hostname"], "etcd-0");
    let network: Value = serde_norway::from_str(NETWORK).unwrap();
    assert_eq!(found["network"], network);
    assert_eq!(found["user_data"]["ssh_keys"]["ed25519_private"], HOST_KEY);
    let text = "on: no\n# \"ä\" \u{2028}\ttab\\\n";
    assert_eq!(found["user_data"]["write_files"][0]["content"], text);
    assert_eq!(found["users"]["op"]["sudo"], "ALL=(ALL) NOPASSWD:ALL");
    assert!(
        found["users"]["root"]["ssh_authorized_keys"].is_array(),
        "{found}"
    );
}

#[test]
#[ignore = "needs openssh-client"]
fn ssh_keygen_reads_the_same_host_key() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("key");
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o600);
    fs::write(&path, HOST_KEY).unwrap();
    fs::set_permissions(&path, mode).unwrap();
    let public = success(&run("ssh-keygen", &["-y", "-f", path.to_str().unwrap()]));
    let ours = etcd_0().host_key.public().to_string();
    assert!(public.starts_with(&ours), "{public}");
    let known = folder.path().join("known_hosts");
    let address = "fd00:110::10";
    let line = etcd_0()
        .host_key
        .public()
        .known_hosts_line(&[address.parse().unwrap()]);
    fs::write(&known, line).unwrap();
    let words = ["-F", address, "-f", known.to_str().unwrap()];
    assert!(success(&run("ssh-keygen", &words)).contains(&ours));
}

#[test]
#[ignore = "needs openssh-client"]
fn keys_as_ssh_keygen_makes_them() {
    let folder = TempDir::new().unwrap();
    let mut number = 0;
    let mut make = |words: &[&str]| {
        number += 1;
        let path = folder.path().join(number.to_string());
        let common = ["-q", "-N", "", "-f", path.to_str().unwrap()];
        success(&run("ssh-keygen", &[&common, words].concat()));
        let read = |path: &Path| fs::read_to_string(path).unwrap();
        (read(&path), read(&path.with_extension("pub")))
    };
    for words in [
        &["-t", "rsa", "-b", "2048"][..],
        &["-t", "ecdsa", "-b", "256"],
        &["-t", "ecdsa", "-b", "384"],
        &["-t", "ecdsa", "-b", "521", "-C", ""],
    ] {
        let (private, public) = make(words);
        let key: SshPublicKey = public.parse().unwrap();
        assert_eq!(key.to_string(), public.trim_end_matches('\n'));
        assert!(host_key(&private).is_err(), "{words:?}");
    }
    // Comments of all lengths: what follows the key is padded to eight bytes.
    for length in 0..9 {
        let (private, public) = make(&["-t", "ed25519", "-C", &"c".repeat(length)]);
        let key = host_key(&private).unwrap();
        assert!(public.starts_with(key.public().as_str()), "{public}");
    }
}
