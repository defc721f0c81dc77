//! Settings that no member would start with, and the ones that etcd itself refuses, by the real program.

use crate::{forms, real, world};
use etcd_bootstrap::{
    EtcdVersion, SpecLint,
    render::SettingsForm,
    tuning::{CipherSuite, Tuning, TuningError},
};
use proptest::prelude::*;
use std::time::Duration;

fn version(minor: u16) -> EtcdVersion {
    EtcdVersion::new(3, minor, 33)
}

#[test]
fn what_is_advised_against_is_legal_and_remarked_on() {
    let tuning = Tuning {
        quota_backend_bytes: Some(16 << 30),
        max_request_bytes: Some(32 << 20),
        ..Tuning::default()
    };
    let spec = world::spec().with_tuning(tuning).unwrap();
    let expected = [
        SpecLint::LargeQuota { bytes: 16 << 30 },
        SpecLint::LargeRequests { bytes: 32 << 20 },
    ];
    assert_eq!(spec.lints(), expected);
}

proptest! {
    /// etcd's own rule, `5*TickMs > ElectionMs`, and its limit of 50 s.
    #[test]
    fn timers_are_taken_exactly_when_etcd_takes_them(heartbeat in 0_u64..2000, election in 0_u64..60_000) {
        let tuning = Tuning {
            heartbeat_interval: Some(Duration::from_millis(heartbeat)),
            election_timeout: Some(Duration::from_millis(election)),
            ..Tuning::default()
        };
        let etcd = heartbeat > 0 && election > 0 && 5 * heartbeat <= election && election <= 50_000;
        prop_assert_eq!(tuning.check(version(7)).is_ok(), etcd);
    }

    /// What the error of the timers tells to give is then taken.
    #[test]
    fn the_remedy_for_timers_mends_them(heartbeat in 1_u64..10_000, election in 1_u64..50_000) {
        let mut tuning = Tuning {
            heartbeat_interval: Some(Duration::from_millis(heartbeat)),
            election_timeout: Some(Duration::from_millis(election)),
            ..Tuning::default()
        };
        if let Err(TuningError::Timers { heartbeat_interval, .. }) = tuning.check(version(7)) {
            tuning.election_timeout = Some(heartbeat_interval * 5);
            prop_assert_eq!(tuning.check(version(7)), Ok(()));
        }
    }
}

/// What is refused here, etcd refuses too: it ends, and its log names the reason.
#[tokio::test]
#[ignore = "needs etcd"]
async fn etcd_itself_ends_with_what_is_refused_here() {
    let cases = [
        // HTTP/2 wants one suite that is not in this list.
        (
            5..=7,
            format!("--cipher-suites={}", CipherSuite::EcdheEcdsaAes256Gcm),
            "HTTP/2-required",
        ),
        (
            5..=7,
            "--heartbeat-interval=300".to_owned(),
            "at least as 5 times",
        ),
        (5..=7, "--election-timeout=60000".to_owned(), "is too long"),
        (5..=5, "--max-learners=2".to_owned(), "not defined"),
        (5..=5, "--log-format=json".to_owned(), "not defined"),
        (
            5..=5,
            "--feature-gates=CompactHashCheck=true".to_owned(),
            "not defined",
        ),
        (
            6..=6,
            "--feature-gates=PriorityRequest=true".to_owned(),
            "unrecognized feature gate",
        ),
        (
            7..=7,
            "--experimental-initial-corrupt-check=true".to_owned(),
            "not defined",
        ),
    ];
    for (index, program) in forms::programs().into_iter().enumerate() {
        let net = 140 + u8::try_from(index).unwrap();
        let mut cluster = real::Cluster::of(net, &program, 1, |spec| {
            spec.with_settings_form(SettingsForm::Flags)
        })
        .await;
        let (name, minor) = (cluster.names().remove(0), cluster.spec.version().minor);
        for (minors, argument, reason) in &cases {
            if !minors.contains(&minor) {
                continue;
            }
            cluster.start_with(&name, std::slice::from_ref(argument));
            assert!(!cluster.ended_well(&name).await, "3.{minor} {argument}");
            let log = cluster.log(&name);
            assert!(log.contains(reason), "3.{minor} {argument}: {log}");
        }
    }
}
