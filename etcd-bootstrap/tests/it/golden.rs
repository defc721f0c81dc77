//! The rendered files, compared with the files in `tests/data`.
//!
//! To take over a wanted change: delete the golden file, run the test (it fails and writes the
//! file), and read the difference.

use crate::world;
use etcd_bootstrap::{EtcdVersion, render};
use std::{fs, path::Path};

pub(crate) fn check(case: &str, text: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/data")
        .join(case);
    let Ok(golden) = fs::read_to_string(&path) else {
        fs::write(&path, text).unwrap();
        panic!("{case} was missing and is written now; read it and run again");
    };
    assert_eq!(text, golden, "{case}");
}

#[test]
fn each_minor_gets_its_own_settings() {
    for version in ["3.5.33", "3.6.15", "3.7.3"] {
        let version: EtcdVersion = version.parse().unwrap();
        let spec = world::spec_of(version, "lab-1", 3);
        let text = render::environment_text(&spec, &spec.members()[1]);
        check(&format!("environment-3.{}.env", version.minor), &text);
        let experimental = text.contains("EXPERIMENTAL");
        assert_eq!(
            experimental,
            version.minor == 5,
            "3.7 ends at any experimental setting"
        );
        assert_ne!(
            experimental,
            text.contains("FEATURE_GATES"),
            "3.5 knows no gates"
        );
    }
}

#[test]
fn the_unit_waits_for_a_majority_without_blocking() {
    let spec = world::spec();
    let text = render::unit_text(&spec, &spec.members()[0]);
    check("etcd.service", &text);
}

#[test]
fn a_data_directory_elsewhere_is_made_by_etcd() {
    let mut member = world::member(0);
    member.data_dir = "/srv/etcd".into();
    let version = EtcdVersion::new(3, 7, 3);
    let token = "t".parse().unwrap();
    let spec =
        etcd_bootstrap::ClusterSpec::new(token, version, "/bin/etcd".into(), vec![member]).unwrap();
    assert!(!render::unit_text(&spec, &spec.members()[0]).contains("StateDirectory"));
}

#[test]
fn the_certificates_come_before_what_needs_them() {
    let certificate = host_exec::File::public("/etc/etcd/pki/ca.crt", "pem");
    let member = world::member(0).with_certificates(vec![certificate]);
    let spec = world::spec();
    let paths: Vec<_> = render::all_files(&spec, &member)
        .into_iter()
        .map(|f| f.path)
        .collect();
    let expected = [
        "/etc/etcd/pki/ca.crt",
        render::ENVIRONMENT_FILE,
        render::UNIT_FILE,
    ];
    assert_eq!(paths, expected.map(std::path::PathBuf::from));
}

#[test]
fn settings_and_unit_are_for_root_alone_where_that_is_asked_for() {
    let spec = world::spec_of("3.7.3".parse().unwrap(), "lab-1", 3);
    let modes = |spec: &etcd_bootstrap::ClusterSpec| {
        let files = render::files(spec, &spec.members()[0]);
        files
            .iter()
            .map(|file| file.mode.bits())
            .collect::<Vec<_>>()
    };
    assert_eq!(modes(&spec), [0o644, 0o644]);
    assert_eq!(modes(&spec.with_private_files()), [0o600, 0o600]);
}
