//! Names, versions, and what programs say of themselves.

use artifacts::{
    Architecture, Component, ImageReference, ProgramName, Sha256, Version, VersionSet, packages,
    parse_containerd_version, parse_go_version,
};
use proptest::prelude::*;

#[test]
fn the_original_plan_and_the_newest_release_are_there() {
    let set = |text: &str| VersionSet::for_kubernetes(text.parse().unwrap());
    let old = set("1.28.3").unwrap();
    assert_eq!((old.etcd.major, old.etcd.minor), (3, 5));
    assert_eq!(old.pause, "3.9");
    let new = set("v1.37.2").unwrap();
    assert_eq!(new.etcd, Version::new(3, 7, 3));
    assert_eq!(new.of(Component::Coredns).to_string(), "1.15.0");
    for minor in 28..=37 {
        assert!(set(&format!("1.{minor}.0")).is_ok());
    }
    for bad in ["1.27.9", "1.38.0", "2.30.0", "0.37.2"] {
        let message = set(bad).unwrap_err().to_string();
        assert!(
            message.contains(bad) && message.contains("1.28.x up to 1.37.x"),
            "{message}"
        );
    }
}

#[test]
fn a_newer_release_goes_with_what_the_newest_has_when_asked_for() {
    let unsupported = |text: &str| VersionSet::unsupported(text.parse().unwrap());
    let newest = VersionSet::for_kubernetes("1.37.2".parse().unwrap()).unwrap();
    let newer = unsupported("1.38.1").unwrap();
    assert_eq!(newer.kubernetes, Version::new(1, 38, 1));
    assert_eq!((newer.etcd, &newer.pause), (newest.etcd, &newest.pause));
    assert_eq!(unsupported("1.37.2"), Ok(newest));
    for refused in ["1.27.9", "2.30.0", "0.38.0"] {
        assert!(!unsupported(refused).unwrap_err().is_newer(), "{refused}");
    }
}

#[test]
fn only_plain_versions_are_versions() {
    for bad in [
        "",
        "1",
        "1.2",
        "1.2.3.4",
        "1.2.x",
        "1.2.3-rc.0",
        "1.02.3",
        "+1.2.3",
        "1..3",
        "vv1.2.3",
    ] {
        assert!(bad.parse::<Version>().is_err(), "{bad:?}");
    }
    let message = "latest".parse::<Version>().unwrap_err().to_string();
    assert_eq!(message, "version \"latest\" is not of the form 1.37.2");
}

/// What the programs printed on the development machine.
#[test]
fn each_program_says_its_version_in_its_own_way() {
    let samples = [
        (ProgramName::Kubelet, "Kubernetes v1.37.2\n", "1.37.2"),
        (
            ProgramName::Kubectl,
            "Client Version: v1.37.2\nKustomize Version: v5.8.1\n",
            "1.37.2",
        ),
        (ProgramName::Kubeadm, "v1.37.2\n", "1.37.2"),
        (
            ProgramName::Etcd,
            "etcd Version: 3.7.3\nGit SHA: Not provided\nGo Version: go1.26.8\n",
            "3.7.3",
        ),
        (
            ProgramName::Etcdctl,
            "etcdctl version: 3.7.3\nAPI version: 3.7\n",
            "3.7.3",
        ),
        (
            ProgramName::Coredns,
            "CoreDNS-1.15.0\nlinux/amd64, go1.26.8, \n",
            "1.15.0",
        ),
    ];
    for (program, said, version) in samples {
        assert_eq!(
            program.parse_version(said),
            Some(version.parse().unwrap()),
            "{program}"
        );
    }
    for said in ["", "unknown flag: --version\n", "\n1.2.3\n"] {
        assert_eq!(ProgramName::Kubelet.parse_version(said), None, "{said:?}");
    }
}

#[test]
fn tools_say_their_version_too() {
    let go = "go version go1.26.8 linux/amd64\n";
    assert_eq!(parse_go_version(go), Some(Version::new(1, 26, 8)));
    assert_eq!(
        parse_go_version("go version go1.25 linux/arm64"),
        Some(Version::new(1, 25, 0))
    );
    assert_eq!(parse_go_version("go version devel +abc linux/amd64"), None);
    let debian = "containerd github.com/containerd/containerd 1.6.20~ds1 1.6.20~ds1-1+deb12u3\n";
    assert_eq!(
        parse_containerd_version(debian),
        Some(Version::new(1, 6, 20))
    );
    let upstream = "containerd github.com/containerd/containerd/v2 v2.1.4 75cb2b7193e4\n";
    assert_eq!(
        parse_containerd_version(upstream),
        Some(Version::new(2, 1, 4))
    );
    assert_eq!(parse_containerd_version("no such file"), None);
}

#[test]
fn names_are_checked() {
    for program in ProgramName::ALL {
        assert_eq!(program.as_str().parse(), Ok(program));
    }
    let message = "../sh".parse::<ProgramName>().unwrap_err().to_string();
    assert!(
        message.starts_with("\"../sh\" is not a program of a lab: use one of etcd, "),
        "{message}"
    );
    assert_eq!("aarch64".parse(), Ok(Architecture::Arm64));
    assert!("riscv64".parse::<Architecture>().is_err());
    for good in ["lab.local/web:1", "lab.local/a/b:v1.15.0"] {
        assert_eq!(good.parse::<ImageReference>().unwrap().as_str(), good);
    }
    for bad in [
        "web:1",
        "lab.local/web",
        "lab.local/:1",
        "lab.local/web:",
        "lab.local/w b:1",
        "lab.local/../x:1",
        "-.x/y:1",
    ] {
        assert!(bad.parse::<ImageReference>().is_err(), "{bad}");
    }
    assert!("abc".parse::<Sha256>().is_err());
    assert_eq!(
        Sha256::of(b"").as_str(),
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    );
}

#[test]
fn the_distribution_decides_the_command() {
    use packages::Family;
    let debian = "PRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\nID=debian\n";
    let mint = "ID=linuxmint\nID_LIKE=\"ubuntu debian\"\n";
    for text in [debian, mint] {
        let family = Family::parse(text);
        assert_eq!(family.install_command("crun"), "apt-get install -y crun");
    }
    for text in ["", "ID=fedora\n", "NAME=debian\nID=arch\n"] {
        assert_eq!(Family::parse(text), Family::Other, "{text:?}");
    }
}

#[test]
fn what_is_missing_is_named_with_its_package() {
    use packages::{Family, REQUIREMENTS, lacking};
    let everything = REQUIREMENTS
        .iter()
        .filter_map(|needed| needed.candidates().last())
        .collect();
    assert_eq!(lacking(Family::Debian, &REQUIREMENTS, &everything), []);

    let mut without_runtime = everything.clone();
    without_runtime.retain(|path| !path.ends_with("crun") && !path.ends_with("runc"));
    let missing = lacking(Family::Debian, &REQUIREMENTS, &without_runtime);
    assert_eq!(missing.len(), 1);
    assert_eq!(
        (missing[0].what.as_str(), missing[0].package),
        ("crun or runc", "crun")
    );
    assert_eq!(missing[0].command, "apt-get install -y crun");
    // Either of the two will do.
    without_runtime.insert("/usr/sbin/runc".into());
    assert_eq!(lacking(Family::Debian, &REQUIREMENTS, &without_runtime), []);

    let bare = lacking(Family::Other, &REQUIREMENTS, &Default::default());
    assert_eq!(bare.len(), REQUIREMENTS.len());
    let optional: Vec<_> = bare
        .iter()
        .filter(|m| m.optional)
        .map(|m| m.what.as_str())
        .collect();
    assert_eq!(optional, ["conntrack"]);
}

proptest! {
    #[test]
    fn a_version_survives_being_written(major: u32, minor: u32, patch: u32) {
        let version = Version::new(major, minor, patch);
        prop_assert_eq!(version.to_string().parse(), Ok(version));
        prop_assert_eq!(version.tag().parse(), Ok(version));
    }

    #[test]
    fn no_text_makes_a_parser_panic(text in ".*") {
        let _ = text.parse::<Version>();
        let _ = text.parse::<ImageReference>();
        let _ = parse_go_version(&text);
        let _ = parse_containerd_version(&text);
        for program in ProgramName::ALL {
            let _ = program.parse_version(&text);
        }
        let _ = artifacts::download::checksum_of("name", &text);
    }
}
