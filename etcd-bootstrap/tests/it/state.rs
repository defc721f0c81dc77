//! What observed facts mean, for a member and for the cluster.

use crate::world::{healthy, name, ready, serving, silent, spec, unit};
use etcd_bootstrap::{
    CertificateFault, ClientAnswer, ClusterState, MemberState, Observed, PeerAnswer,
};

fn says(observed: &mut Observed, index: usize, answer: ClientAnswer) {
    observed.members.get_mut(&name(index)).unwrap().client = answer;
}

#[test]
fn an_alarm_is_no_health_and_says_its_kind() {
    let spec = spec();
    let mut observed = healthy(&spec);
    // As etcd 3.7.3 writes them.
    let full = "memberID:9706337921883596642 alarm:NOSPACE ";
    let wrong = "memberID:9706337921883596642 alarm:CORRUPT ";
    says(&mut observed, 0, ready(&spec, 0, "3.7.3", &[full]));
    says(&mut observed, 1, ready(&spec, 1, "3.7.3", &[full, wrong]));
    says(&mut observed, 2, ready(&spec, 2, "3.7.3", &[]));
    let state = |index| observed.state(&spec, &name(index)).unwrap();
    use MemberState::{Corrupt, Healthy, NoSpace};
    assert_eq!([0, 1, 2].map(state), [NoSpace, Corrupt, Healthy]);
    assert!(
        observed
            .evidence(&spec, &name(0))
            .ends_with("alarm:NOSPACE ")
    );
    // Forming cannot mend it, and a second run has nothing to do.
    assert!(etcd_bootstrap::plan(&spec, &observed).unwrap().is_empty());
}

#[test]
fn a_mix_of_versions_is_seen() {
    let spec = spec();
    let mut observed = healthy(&spec);
    for (index, version) in ["3.6.16", "3.7.3", "3.6.16"].into_iter().enumerate() {
        says(&mut observed, index, ready(&spec, index, version, &[]));
    }
    let versions = observed.versions();
    assert_eq!(versions["3.6.16"], [name(0), name(2)]);
    assert_eq!(versions["3.7.3"], [name(1)]);
}

#[test]
fn a_bad_certificate_is_the_reason_that_is_told() {
    let spec = spec();
    let mut observed = healthy(&spec);
    let (peer, client) = silent();
    let member = observed.members.get_mut(&name(1)).unwrap();
    (member.peer, member.client) = (peer, client);
    let fault = CertificateFault {
        path: "/etc/etcd/pki/peer.crt".into(),
        problem: "is not valid yet".into(),
    };
    let faults = [(name(1), vec![fault])].into();
    let observed = observed.with_certificate_faults(faults);
    let state = observed.state(&spec, &name(1));
    assert_eq!(state, Some(MemberState::BadCertificate));
    let evidence = observed.evidence(&spec, &name(1));
    assert_eq!(evidence, "/etc/etcd/pki/peer.crt: is not valid yet");
}

#[test]
fn a_cluster_may_start_anew_only_if_nobody_can_hold_data() {
    let spec = spec();
    let mut observed = healthy(&spec);
    assert_eq!(observed.cluster_state(&spec), ClusterState::Formed);
    for member in observed.members.values_mut() {
        let (peer, client) = silent();
        (member.peer, member.client, member.has_wal) = (peer, client, false);
        member.unit = unit(false, false);
    }
    assert_eq!(observed.cluster_state(&spec), ClusterState::Nothing);
    let half = |peer: PeerAnswer, has_wal| {
        let mut observed = observed.clone();
        let member = observed.members.get_mut(&name(0)).unwrap();
        (member.peer, member.has_wal) = (peer, has_wal);
        member.unit = unit(true, true);
        (
            observed.never_formed().is_ok(),
            observed.cluster_state(&spec),
        )
    };
    use ClusterState::{HalfFormed, NoQuorum};
    assert_eq!(half(serving(&spec, false, &[]), true), (true, HalfFormed));
    assert_eq!(half(serving(&spec, true, &[]), true), (false, NoQuorum));
    assert_eq!(
        half(serving(&spec, false, &[name(2)]), true),
        (false, NoQuorum)
    );
    assert_eq!(half(silent().0, true), (false, NoQuorum));
}
