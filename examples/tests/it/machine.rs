//! Machines that lack what a lab needs. Namespaces make them so; this machine is left as it is.

use crate::scene::Scene;

const MOUNTS: [&str; 3] = ["--mount", "--propagation", "private"];

/// A mount namespace in which a program of /usr/bin or /usr/sbin is not there: a whiteout in an overlay hides it
/// (overlayfs.rst, "whiteouts and opaque directories").
fn without(program: &str, dir: &str) -> Scene {
    let script = format!(
        "mount -t tmpfs none $DIR/work\n\
        mkdir $DIR/work/upper $DIR/work/work\n\
        mknod $DIR/work/upper/{program} c 0 0\n\
        mount -t overlay -o lowerdir={dir},upperdir=$DIR/work/upper,workdir=$DIR/work/work none {dir}"
    );
    let scene = Scene::new();
    std::fs::create_dir(scene.dir().join("work")).unwrap();
    scene.inside_namespace(&MOUNTS, &script)
}

#[test]
#[ignore = "needs root"]
fn a_user_who_is_not_root() {
    let wrapper = [
        "setpriv",
        "--reuid",
        "65534",
        "--regid",
        "65534",
        "--clear-groups",
    ];
    let scene = Scene::new().inside(&wrapper);
    for verb in ["up", "down"] {
        scene.refuses(&[verb], 1, &["need root", "sudo"]);
    }
}

#[test]
#[ignore = "needs root"]
fn no_systemd_nspawn() {
    let texts = ["this machine lacks systemd-nspawn", "systemd-container"];
    without("systemd-nspawn", "/usr/bin").refuses(&["up"], 1, &texts);
}

#[test]
#[ignore = "needs root"]
fn no_nft() {
    without("nft", "/usr/sbin").refuses(&["up"], 1, &["this machine lacks nft", "nftables"]);
}

#[test]
#[ignore = "needs root"]
fn no_containerd() {
    let texts = ["this machine lacks containerd", "install"];
    without("containerd", "/usr/bin").refuses(&["up"], 1, &texts);
}

#[test]
#[ignore = "needs root"]
fn doctor_finds_what_is_missing() {
    let scene = without("systemd-nspawn", "/usr/bin");
    let output = scene.run(&["doctor", "--name", crate::scene::NAME]);
    let text = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(3), "{text}");
    for expected in [
        "BAD  systemd-nspawn: missing",
        "to mend it: ",
        "systemd-container",
    ] {
        assert!(text.contains(expected), "lacks {expected:?}: {text}");
    }
}

#[test]
#[ignore = "needs root"]
fn a_disk_that_is_nearly_full() {
    let scene = Scene::new();
    std::fs::create_dir(scene.dir().join("labs")).unwrap();
    let scene = scene.inside_namespace(&MOUNTS, "mount -t tmpfs -o size=10m none $DIR/labs");
    let texts = [
        "10 MiB free",
        "needs 1024 MiB",
        "choose another --state-dir",
    ];
    scene.refuses(&["up"], 1, &texts);
}

#[test]
#[ignore = "needs root"]
fn doctor_finds_a_state_directory_on_an_overlay() {
    let scene = Scene::new();
    for name in ["labs", "work"] {
        std::fs::create_dir(scene.dir().join(name)).unwrap();
    }
    let script = "mount -t tmpfs none $DIR/work\n\
        mkdir $DIR/work/upper $DIR/work/work\n\
        mount -t overlay -o lowerdir=$DIR/labs,upperdir=$DIR/work/upper,workdir=$DIR/work/work none $DIR/labs";
    let labs = scene.dir().join("labs").display().to_string();
    let scene = scene.inside_namespace(&MOUNTS, script);
    let output = scene.run(&["doctor", "--name", crate::scene::NAME, "--state-dir", &labs]);
    let text = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(3), "{text}");
    for expected in ["is on an overlay", "choose a --state-dir on a disk"] {
        assert!(text.contains(expected), "lacks {expected:?}: {text}");
    }
}

#[test]
#[ignore = "needs root"]
fn a_network_that_this_machine_uses() {
    let text = "name = \"refused\"\n[network]\nv4 = \"10.123.0.0/16\"\n";
    let script =
        "ip link add taken type bridge\nip addr add 10.123.4.1/24 dev taken\nip link set taken up";
    let scene = Scene::new()
        .with_file(text)
        .inside_namespace(&["--net"], script);
    let texts = [
        "v4 = 10.123.0.0/16 overlaps 10.123.4",
        "route over taken",
        "choose another network",
    ];
    for verb in ["plan", "up"] {
        scene.refuses(&[verb], 2, &texts);
    }
}

#[test]
#[ignore = "needs root"]
fn a_containerd_that_says_no_version() {
    let script = "mount --bind /usr/bin/true /usr/bin/containerd";
    let scene = Scene::new().inside_namespace(&MOUNTS, script);
    scene.refuses(
        &["plan"],
        1,
        &[
            "which has no version in it",
            "install containerd 1.6 or later",
        ],
    );
}

#[test]
fn no_ip_program() {
    let texts = [
        "cannot read the routes of this machine",
        "program not found",
        "`lab doctor`",
    ];
    Scene::new()
        .with_env("PATH", "/nowhere")
        .refuses(&["plan"], 1, &texts);
}
