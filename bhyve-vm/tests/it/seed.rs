//! Seeds: the files word for word, the image by a second reader, and what is refused.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bhyve_vm::seed::{
    GuestFile, GuestPath, HostKey, InvalidKey, NetworkConfig, NtpClient, NtpServer, Seed,
    SshPublicKey, User, UserName,
};
use fatfs::{FileSystem, FsOptions};
use host_exec::{Contents, HostName, Mode};
use proptest::prelude::*;
use std::io::{Cursor, Read};

pub(crate) const HOST_KEY: &str = include_str!("../data/seed/host_key");
pub(crate) const NETWORK: &str = include_str!("../data/seed/network-config");
const ED25519: &str = "ssh-ed25519 \
    AAAAC3NzaC1lZDI1NTE5AAAAIPqqWBKRCDA6JKvGQNQlX5jQj4pfNhH0ndgwKgrf8Ww5 me: \"myself\" #1";

pub(crate) fn host_key(text: &str) -> Result<HostKey, InvalidKey> {
    HostKey::from_openssh(text.to_owned().into())
}

fn file(path: &str, contents: Contents) -> GuestFile {
    GuestFile {
        path: path.parse().unwrap(),
        mode: Mode::PUBLIC,
        contents,
    }
}

/// One with everything in it.
pub(crate) fn etcd_0() -> Seed {
    let network = NETWORK.parse().unwrap();
    let key: SshPublicKey = ED25519.parse().unwrap();
    let mut seed = Seed::new(
        "etcd-0".parse().unwrap(),
        host_key(HOST_KEY).unwrap(),
        network,
    )
    .with_user(User::root(key.clone()))
    .with_user(User {
        name: "op".parse().unwrap(),
        keys: vec![key],
        sudo: true,
    });
    seed.ntp_servers = ["10.110.0.1", "fd00:110::1", "ntp.example.org"]
        .map(|server| server.parse().unwrap())
        .to_vec();
    let text = "on: no\n# \"ä\" \u{2028}\ttab\\\n";
    seed.files = vec![
        file("/etc/issue of today", Contents::Public(text.into())),
        GuestFile {
            mode: Mode::SECRET,
            ..file("/etc/blob", Contents::Secret(vec![0xff, 0, 1].into()))
        },
    ];
    seed
}

#[test]
fn files_word_for_word() {
    let files = etcd_0().files().unwrap();
    assert_eq!(
        files.user_data(),
        include_str!("../data/seed/etcd-0.user-data")
    );
    assert_eq!(
        files.meta_data(),
        include_str!("../data/seed/etcd-0.meta-data")
    );
    assert_eq!(files.network_config(), NETWORK);
    let id = files.instance_id().to_string();
    assert!(
        files
            .meta_data()
            .starts_with(&format!("instance-id: \"{id}\"\n"))
    );
    assert_eq!(id.len(), 64);
}

#[test]
fn user_data_says_what_was_given() {
    let files = etcd_0().files().unwrap();
    let value: serde_norway::Value = serde_norway::from_str(files.user_data()).unwrap();
    assert_eq!(value["hostname"], "etcd-0");
    assert_eq!(value["ssh_keys"]["ed25519_private"], HOST_KEY);
    assert_eq!(value["users"][1]["ssh_authorized_keys"][0], ED25519);
    assert_eq!(value["ntp"]["servers"][1], "fd00:110::1");
    assert_eq!(
        value["write_files"][0]["content"],
        "on: no\n# \"ä\" \u{2028}\ttab\\\n"
    );
    assert_eq!(value["write_files"][1]["content"], "/wAB");
    assert_eq!(value["write_files"][1]["permissions"], "0600");
}

#[test]
fn only_root_opens_the_door_for_root() {
    let mut seed = etcd_0();
    assert!(
        seed.files()
            .unwrap()
            .user_data()
            .contains("disable_root: false\n")
    );
    seed.users.remove(0);
    assert!(
        seed.files()
            .unwrap()
            .user_data()
            .contains("disable_root: true\n")
    );
    seed.ntp_servers.clear();
    seed.files.clear();
    let text = seed.files().unwrap().user_data().to_owned();
    assert!(
        !text.contains("ntp") && !text.contains("write_files"),
        "{text}"
    );
}

#[test]
fn the_image_holds_the_files() {
    let files = etcd_0().files().unwrap();
    let image = files.image();
    let mut bytes = image.bytes().to_vec();
    let volume = FileSystem::new(Cursor::new(&mut bytes), FsOptions::new()).unwrap();
    let serial = format!("{:08x}", volume.volume_id());
    assert!(files.instance_id().to_string().starts_with(&serial));
    let label = volume.read_volume_label_from_root_dir().unwrap();
    assert_eq!(label.as_deref(), Some("CIDATA"));
    let read = |name| {
        let mut text = String::new();
        let mut file = volume.root_dir().open_file(name).unwrap();
        file.read_to_string(&mut text).unwrap();
        text
    };
    assert_eq!(read("user-data"), files.user_data());
    assert_eq!(read("meta-data"), files.meta_data());
    assert_eq!(read("network-config"), NETWORK);
    assert_eq!(volume.root_dir().iter().count(), 3);
}

#[test]
fn same_input_same_bytes_and_any_other_input_another_instance() {
    let seed = etcd_0();
    assert_eq!(
        seed.files().unwrap().image(),
        etcd_0().files().unwrap().image()
    );
    let changes: [fn(&mut Seed); 6] = [
        |seed| seed.host_name = "etcd-1".parse().unwrap(),
        |seed| seed.users[1].sudo = false,
        |seed| seed.ntp_client = NtpClient::Timesyncd,
        |seed| seed.files[0].mode = Mode::SECRET,
        |seed| seed.files[1].contents = Contents::Public(vec![0xfe]),
        |seed| {
            seed.network = NETWORK
                .replace("10.110.0.10", "10.110.0.11")
                .parse()
                .unwrap()
        },
    ];
    for change in changes {
        let mut other = etcd_0();
        change(&mut other);
        let (one, two) = (seed.files().unwrap(), other.files().unwrap());
        assert_ne!(one.instance_id(), two.instance_id());
        assert_ne!(one.image().bytes(), two.image().bytes());
    }
}

#[test]
fn the_private_key_is_shown_nowhere() {
    let seed = etcd_0();
    let files = seed.files().unwrap();
    let path = "/zroot/lab/etcd-0/seed.img".parse().unwrap();
    let file = files.image().file(&path);
    assert_eq!(
        (file.mode, file.contents.bytes()),
        (Mode::SECRET, files.image().bytes())
    );
    let shown = format!("{seed:?} {files:?} {:?} {file:?}", files.image());
    let secret = HOST_KEY.lines().nth(3).unwrap();
    assert!(files.user_data().contains(secret));
    assert!(
        !shown.contains(&secret[..8]) && !shown.contains("PRIVATE"),
        "{shown}"
    );
}

#[test]
fn the_host_is_known_before_it_is_reached() {
    let addresses = ["10.110.0.10", "fd00:110::10"].map(|address| address.parse().unwrap());
    let line = etcd_0().host_key.public().known_hosts_line(&addresses);
    assert!(
        line.starts_with("10.110.0.10,fd00:110::10 ssh-ed25519 AAAA"),
        "{line}"
    );
    let key: SshPublicKey = format!("{ED25519}\n").parse().unwrap();
    let line = key.known_hosts_line(&addresses[..1]);
    assert!(
        line.ends_with("Kgrf8Ww5\n"),
        "the comment is left out: {line}"
    );
}

/// The error of `etcd-0` after a change.
fn contradiction(change: impl FnOnce(&mut Seed)) -> String {
    let mut seed = etcd_0();
    change(&mut seed);
    seed.files().unwrap_err().to_string()
}

#[test]
fn seeds_that_cannot_be() {
    let network = |bytes: usize| {
        format!("{NETWORK}#{}\n", "x".repeat(bytes))
            .parse()
            .unwrap()
    };
    let too_large = "user-data and network-config have more than 1048576 bytes; \
        copy large files over SSH once the guest is up";
    let large = |bytes: usize| Contents::Public(vec![b'a'; bytes]);
    for (found, expected) in [
        (
            contradiction(|seed| seed.users.clear()),
            "users: none has an SSH key, so nobody can log in; give at least one user a key",
        ),
        (
            contradiction(|seed| seed.users.iter_mut().for_each(|user| user.keys.clear())),
            "users: none has an SSH key, so nobody can log in; give at least one user a key",
        ),
        (
            contradiction(|seed| seed.users[1].name = "root".parse().unwrap()),
            "users: root is there twice; give one entry all the keys",
        ),
        (
            contradiction(|seed| seed.files[1].path = seed.files[0].path.clone()),
            "write_files: /etc/issue of today is there twice; leave one of them out",
        ),
        (
            contradiction(|seed| seed.files[0].contents = large(1 << 20)),
            too_large,
        ),
        (
            contradiction(|seed| seed.network = network(1 << 20)),
            too_large,
        ),
        (
            contradiction(|seed| seed.network = network((1 << 20) - 1000)),
            too_large,
        ),
    ] {
        assert_eq!(found, expected);
    }
}

#[test]
fn the_largest_seed_fits() {
    let mut seed = etcd_0();
    let used = {
        let files = seed.files().unwrap();
        files.user_data().len() + files.network_config().len()
    };
    let first = seed.files[0].contents.bytes().len();
    let room = bhyve_vm::seed::LARGEST_SEED_BYTES - used;
    // Quoted, the old contents are longer than they are: their escapes are part of `used`.
    let mut text = seed.files[0].contents.bytes().to_vec();
    text.extend(vec![b'a'; room]);
    assert_eq!(text.len(), first + room);
    seed.files[0].contents = Contents::Public(text.clone());
    let files = seed.files().unwrap();
    assert_eq!(files.image().bytes().len(), 2 << 20);
    text.push(b'a');
    seed.files[0].contents = Contents::Public(text);
    assert!(seed.files().is_err());
}

#[test]
fn keys_that_are_none() {
    let public = |text: &str| text.parse::<SshPublicKey>().unwrap_err().to_string();
    let key = ED25519.split(' ').nth(1).unwrap();
    let kind = "SSH public key must begin with its type, such as ssh-ed25519, and no options; \
        ssh-dss is not taken";
    for (text, error) in [
        (
            HOST_KEY,
            "SSH public key is a private key; give the text of the .pub file beside it",
        ),
        ("", kind),
        (&format!("ssh-dss {key}"), kind),
        (&format!("no-pty {ED25519}"), kind),
        (
            "ssh-ed25519",
            "SSH public key must have its key in base64 after the type",
        ),
        (
            "ssh-ed25519 AAA",
            "SSH public key must have its key in base64 after the type",
        ),
        (
            &format!("ssh-rsa {key}"),
            "SSH public key holds a key of another type than its first word says",
        ),
        (
            &format!("{ED25519}\nssh-rsa AAAA"),
            "SSH public key must be one line, without control characters",
        ),
    ] {
        assert_eq!(public(text), error);
    }
    let form = "SSH host key must be a private key in the form of OpenSSH; \
        make one with ssh-keygen -t ed25519 -N ''";
    for (text, error) in [
        (ED25519, form),
        (&HOST_KEY.replace('\n', "\r\n"), form),
        (HOST_KEY.trim_end(), form),
        (&HOST_KEY.replace("OPENSSH ", ""), form),
        (
            include_str!("../data/seed/with_passphrase"),
            "SSH host key has a passphrase, which sshd cannot ask for; make one with ssh-keygen -N ''",
        ),
        (
            include_str!("../data/seed/ecdsa"),
            "SSH host key is not of type ed25519; make one with ssh-keygen -t ed25519 -N ''",
        ),
        (
            &HOST_KEY.replacen('b', "!", 1),
            "SSH host key is damaged: its base64 cannot be read",
        ),
    ] {
        assert_eq!(host_key(text).unwrap_err().to_string(), error);
    }
}

/// No prefix of a key is taken for a key, and none ends the program.
#[test]
fn host_keys_cut_off() {
    let lines: Vec<&str> = HOST_KEY.lines().collect();
    let (first, last) = (lines[0], lines[lines.len() - 1]);
    let body = lines[1..lines.len() - 1].concat();
    for length in (0..body.len() - 16).step_by(4) {
        let text = format!("{first}\n{}\n{last}\n", &body[..length]);
        let error = host_key(&text).unwrap_err().to_string();
        assert!(error.starts_with("SSH host key "), "{error}");
    }
}

#[test]
fn networks_that_are_none() {
    let none = |text: &str| text.parse::<NetworkConfig>().unwrap_err().to_string();
    for (text, error) in [
        ("", "network-config: must say `version: 2` at its top"),
        ("- 1", "network-config: must say `version: 2` at its top"),
        (
            "version: 1\nconfig: []",
            "network-config: must say `version: 2` at its top",
        ),
        (
            "version: \"2\"\nethernets: {}",
            "network-config: must say `version: 2` at its top",
        ),
        (
            "network:\n  version: 2",
            "network-config: has a key `network`, as files of Netplan have; leave it out and indent less",
        ),
        (
            "version: 2\nethernets: []",
            "network-config: must have `ethernets`, a mapping of names to interfaces",
        ),
        (
            "version: 2\nethernets:\n  a: {gateway4: 10.0.0.1}",
            "network-config: ethernets.a.gateway4 is deprecated; write a route to 0.0.0.0/0 or ::/0",
        ),
        (
            "version: 2\nethernets:\n  a: {gateway6: \"fd00::1\"}",
            "network-config: ethernets.a.gateway6 is deprecated; write a route to 0.0.0.0/0 or ::/0",
        ),
    ] {
        assert_eq!(none(text), error);
    }
    assert!(none("version: 2\n\tethernets: {}").starts_with("network-config: is not YAML: "));
}

#[test]
fn texts_that_are_refused() {
    let host = |text: &str| text.parse::<HostName>().unwrap_err().to_string();
    let user = |text: &str| text.parse::<UserName>().unwrap_err().to_string();
    let server = |text: &str| text.parse::<NtpServer>().unwrap_err().to_string();
    let path = |text: &str| text.parse::<GuestPath>().unwrap_err().to_string();
    let rule = "must have 1 to 32 of a-z, 0-9, '-' and '_', a letter or '_' first";
    assert_eq!(
        host("Etcd_0"),
        "host name \"Etcd_0\" may hold only a-z, 0-9 and '-'"
    );
    assert_eq!(
        host("etcd-0-"),
        "host name \"etcd-0-\" must not begin or end with '-'"
    );
    assert_eq!(user(""), format!("user name \"\" {rule}"));
    assert_eq!(user("0a"), format!("user name \"0a\" {rule}"));
    assert_eq!(user("a:b"), format!("user name \"a:b\" {rule}"));
    for text in ["", "a b", "a..b", "-a", "a\nb", "1.2.3.4/24"] {
        let error = format!("NTP server {text:?} must be an IP address or a DNS name");
        assert_eq!(server(text), error);
    }
    let relative = "path in the guest \"etc/a\" must be absolute and name a file";
    assert_eq!(path("etc/a"), relative);
    assert_eq!(
        path("/a/../b"),
        "path in the guest \"/a/../b\" must not hold '..'"
    );
    assert_eq!(
        path("/a\nb"),
        "path in the guest \"/a\\nb\" must not hold control characters"
    );
    let long = "/".to_owned() + &"x".repeat(1023);
    assert!(path(&long).ends_with(" must have at most 1023 bytes"));
}

proptest! {
    // Each clears some MiB, byte by byte, which takes its time in a build without optimisation.
    #![proptest_config(ProptestConfig::with_cases(32))]

    /// Whatever a file holds arrives: libyaml, on which this reader stands, is what cloud-init may use too.
    #[test]
    fn contents_arrive(text in any::<String>(), bytes in any::<Vec<u8>>()) {
        let mut seed = etcd_0();
        seed.files[0].contents = Contents::Public(text.clone().into());
        seed.files[1].contents = Contents::Public(bytes.clone());
        let files = seed.files().unwrap();
        let value: serde_norway::Value = serde_norway::from_str(files.user_data()).unwrap();
        prop_assert_eq!(value["write_files"][0]["content"].as_str(), Some(&*text));
        let file = &value["write_files"][1];
        let content = file["content"].as_str().unwrap();
        match file.get("encoding") {
            Some(_) => prop_assert_eq!(STANDARD.decode(content).unwrap(), bytes),
            None => prop_assert_eq!(content.as_bytes(), bytes),
        }
        prop_assert!(files.user_data().is_ascii());
    }

    /// No text is taken for a key by chance, and none ends the program.
    #[test]
    fn damaged_host_keys(at in 36..HOST_KEY.len() - 40, byte in "[A-Za-z0-9+/=\n]") {
        let mut text = HOST_KEY.to_owned();
        text.replace_range(at..=at, &byte);
        if let Ok(key) = host_key(&text) {
            // What was hit is the private half, its comment or the padding, of which the public half says nothing.
            let whole = etcd_0().host_key;
            prop_assert_eq!(key.public(), whole.public());
        }
    }
}
