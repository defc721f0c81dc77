//! What is refused before anything starts, and the IDs.

use crate::world::{self, member};
use etcd_bootstrap::{
    ClusterId, ClusterSpec, EtcdVersion, MemberId, MemberSpec, SpecError, SpecLint, Tls, TlsError,
};
use host_exec::File;
use std::net::Ipv4Addr;

fn make(members: Vec<MemberSpec>) -> Result<ClusterSpec, SpecError> {
    let version = EtcdVersion::new(3, 7, 3);
    ClusterSpec::new("lab".parse().unwrap(), version, "/opt/etcd".into(), members)
}

/// Changes the second of three members and says what comes of it.
fn refused(change: impl FnOnce(&mut MemberSpec)) -> String {
    let mut members: Vec<_> = (0..3).map(member).collect();
    change(&mut members[1]);
    make(members).unwrap_err().to_string()
}

#[test]
fn each_refusal_names_member_field_and_value() {
    let first = member(0);
    let cases = [
        (refused(|m| m.name = first.name.clone()), "same name etcd-0"),
        (
            refused(|m| m.peer_ip = first.peer_ip),
            "etcd-0 and etcd-1 have the same peer_ip 10.0.0.10",
        ),
        (
            refused(|m| m.client_ips = first.client_ips.clone()),
            "same client_ips 10.0.0.10",
        ),
        (
            refused(|m| m.client_ips.clear()),
            "etcd-1: client_ips [] must hold",
        ),
        (
            refused(|m| m.peer_ip = Ipv4Addr::UNSPECIFIED.into()),
            "etcd-1: peer_ip 0.0.0.0 must be",
        ),
        (
            refused(|m| m.client_ips[0] = [224, 0, 0, 1].into()),
            "etcd-1: client_ips 224.0.0.1 must",
        ),
        (
            refused(|m| m.data_dir = "data".into()),
            "etcd-1: data_dir data must be an absolute path",
        ),
        (
            refused(|m| m.data_dir = "/a b".into()),
            "etcd-1: data_dir /a b must be",
        ),
        (
            refused(|m| m.data_dir = "/var/lib/../x".into()),
            "data_dir /var/lib/../x must be",
        ),
        (
            refused(|m| m.pki.peer_key = "/k$HOME".into()),
            "etcd-1: pki /k$HOME must be",
        ),
    ];
    for (message, expected) in cases {
        assert!(message.contains(expected), "{message}");
    }
}

#[test]
fn a_key_that_others_can_read_is_refused() {
    let key = || member(1).pki.server_key;
    let message = refused(|m| m.certificates = vec![File::public(key(), "KEY")]);
    assert!(message.contains("etcd-1: certificates /etc/etcd/pki/server.key must be a secret"));
    assert!(!message.contains("KEY"));
    let open = File::secret(key(), "KEY").with_mode(host_exec::Mode::PUBLIC);
    assert!(refused(|m| m.certificates = vec![open]).contains("only its owner can read"));
}

#[test]
fn size_version_and_program_are_checked() {
    assert_eq!(make(vec![]), Err(SpecError::NoMembers));
    let count = 8;
    assert_eq!(
        make((0..8).map(member).collect()),
        Err(SpecError::TooManyMembers { count })
    );
    for version in ["3.4.30", "3.5.10", "3.8.0", "4.6.0", "2.3.8"] {
        let version = version.parse().unwrap();
        let spec = ClusterSpec::new("t".parse().unwrap(), version, "/e".into(), vec![member(0)]);
        assert_eq!(spec, Err(SpecError::Version { version }));
    }
    let version = EtcdVersion::new(3, 5, 11);
    let spec = ClusterSpec::new(
        "t".parse().unwrap(),
        version,
        "etcd".into(),
        vec![member(0)],
    );
    assert!(matches!(spec, Err(SpecError::Program { .. })));
}

#[test]
fn an_even_size_is_legal_and_remarked_on() {
    let lints = |size| make((0..size).map(member).collect()).unwrap().lints();
    assert_eq!(lints(4), [SpecLint::EvenSize { members: 4 }]);
    assert!(lints(3).is_empty() && lints(1).is_empty());
}

#[test]
fn tls_needs_all_six_files_of_a_member() {
    let spec = world::spec();
    let error = Tls::new(&spec, "", "").unwrap_err();
    assert!(matches!(&error, TlsError::Missing { .. }), "{error}");
    assert!(
        error
            .to_string()
            .starts_with("member etcd-0 has no certificate or key for /etc/etcd")
    );
}

/// The reference is Python's hashlib: `sha1(url + token).digest()[:8]`, then over the sorted IDs.
#[test]
fn ids_follow_from_urls_and_token() {
    let spec = world::spec();
    let ids: Vec<MemberId> = spec.member_ids().into_values().collect();
    assert_eq!(
        ids,
        [
            MemberId(0x86b3_d6e9_dfc6_6762),
            MemberId(0x7ec1_c1ba_8e82_a800),
            MemberId(0xa1bb_8448_c6c1_40ed)
        ]
    );
    assert_eq!(spec.cluster_id(), ClusterId(0xf33c_c744_e1b2_a2e8));
    let other = world::spec_of(EtcdVersion::new(3, 7, 3), "lab-2", 3);
    assert_ne!(
        other.cluster_id(),
        spec.cluster_id(),
        "another token is another cluster"
    );
}

#[test]
fn ids_are_printed_and_read_as_etcd_does() {
    assert_eq!(MemberId(0x0abc).to_string(), "abc");
    assert_eq!(ClusterId::from_hex("abc"), Some(ClusterId(0x0abc)));
    assert_eq!(ClusterId::from_hex("xyz"), None);
}
