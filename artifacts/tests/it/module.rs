//! The generated Go modules, against golden files.

use artifacts::{Component, ProgramName, Version, module};
use std::{fs, path::Path};

/// Compares with `tests/data/NAME`; `UPDATE_GOLDEN=1` writes it instead, to be looked at in the diff.
fn golden(name: &str, text: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/data")
        .join(name);
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        fs::write(&path, text).unwrap();
    }
    assert_eq!(fs::read_to_string(&path).unwrap(), text, "{name}");
}

fn go_mod(component: Component, version: &str) -> String {
    let mut programs = ProgramName::ALL.to_vec();
    programs.retain(|program| program.component() == component);
    module::go_mod(component, version.parse().unwrap(), &programs).unwrap()
}

#[test]
fn modules_are_as_reviewed() {
    for version in ["1.28.3", "1.37.2"] {
        golden(
            &format!("kubernetes-{version}.go.mod"),
            &go_mod(Component::Kubernetes, version),
        );
    }
    golden("etcd-3.7.3.go.mod", &go_mod(Component::Etcd, "3.7.3"));
    golden(
        "coredns-1.15.0.go.mod",
        &go_mod(Component::Coredns, "1.15.0"),
    );
}

/// Counted in the `go.mod` of k8s.io/kubernetes at each of these versions.
#[test]
fn each_minor_replaces_as_many_modules_as_it_publishes() {
    let counts = [
        (28, 30),
        (29, 30),
        (30, 30),
        (31, 30),
        (32, 31),
        (33, 31),
        (34, 31),
        (35, 31),
        (36, 33),
        (37, 33),
    ];
    for (minor, count) in counts {
        let text = go_mod(Component::Kubernetes, &format!("1.{minor}.4"));
        let replaced = text
            .lines()
            .filter(|line| line.starts_with("replace k8s.io/"));
        assert_eq!(replaced.clone().count(), count, "1.{minor}");
        assert!(
            replaced
                .clone()
                .all(|line| line.ends_with(&format!(" v0.{minor}.4")))
        );
    }
}

#[test]
fn a_build_is_static_and_says_its_version() {
    let version = Version::new(1, 37, 2);
    let arguments = module::build_arguments(ProgramName::Kubelet, version, "/m", "/out");
    assert_eq!(arguments[..3], ["build", "-C", "/m"]);
    assert_eq!(
        arguments[arguments.len() - 3..],
        ["-o", "/out", "k8s.io/kubernetes/cmd/kubelet"]
    );
    let flags = arguments.iter().find(|a| a.starts_with("-s -w")).unwrap();
    for package in ["component-base/version", "client-go/pkg/version"] {
        assert!(
            flags.contains(&format!("-X k8s.io/{package}.gitVersion=v1.37.2 ")),
            "{flags}"
        );
        assert!(
            flags.contains(&format!("-X k8s.io/{package}.gitMinor=37")),
            "{flags}"
        );
    }
    let environment = module::go_environment(artifacts::Architecture::Arm64);
    for wanted in [
        ("CGO_ENABLED", "0"),
        ("GOARCH", "arm64"),
        ("GOTOOLCHAIN", "local"),
    ] {
        assert!(environment.contains(&wanted));
    }
    assert!(environment.iter().all(|(name, _)| *name != "GOPROXY"));
}
