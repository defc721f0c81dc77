//! Certificates that would keep members apart, made for real by `pki` and judged before anything starts.

use crate::world;
use etcd_bootstrap::{
    ClusterSpec, EtcdVersion, Hosts, MemberPems, MemberSpec, Tls,
    certificates::{self, Authorities, CertificateFinding, Clocks},
};
use host_exec::{File, Host, LocalHost, Mode};
use pki::{AltNames, Authority, Issued, LeafRequest, Life, OsRandom, Purpose, Subject};
use std::{
    net::IpAddr,
    path::Path,
    sync::{Arc, LazyLock},
};
use time::{Duration, OffsetDateTime, macros::datetime};

/// The moment of the tests: 2027-01-15T08:00:00Z.
pub(crate) const NOW: OffsetDateTime = datetime!(2027-01-15 8:00 UTC);

pub(crate) static CLIENTS: LazyLock<Authority> = LazyLock::new(|| authority("etcd-ca"));
pub(crate) static PEERS: LazyLock<Authority> = LazyLock::new(|| authority("etcd-peer-ca"));
pub(crate) static STRANGER: LazyLock<Authority> = LazyLock::new(|| authority("somebody-else"));

pub(crate) fn authority(name: &str) -> Authority {
    let subject = Subject::new(name, &[]).unwrap();
    Authority::create(&subject, Life::AUTHORITY, NOW, &OsRandom).unwrap()
}

pub(crate) fn leaf(issuer: &Authority, purpose: Purpose, ips: &[IpAddr]) -> Issued {
    let names = AltNames::new(vec![], ips.to_vec()).unwrap();
    let subject = Subject::new("etcd-0", &[]).unwrap();
    let request = LeafRequest::new(subject, purpose, names, Life::LEAF).unwrap();
    issuer.issue(&request, NOW, &OsRandom).unwrap()
}

/// What the certificates of the first member are made of, to be spoilt one at a time.
pub(crate) struct Parts {
    pub(crate) client_ca: String,
    pub(crate) peer_ca: String,
    pub(crate) server: (String, String),
    pub(crate) peer: (String, String),
}

pub(crate) fn pair(issued: &Issued) -> (String, String) {
    (issued.certificate_pem.clone(), issued.key_pem.to_string())
}

impl Parts {
    pub(crate) fn good() -> Self {
        let member = world::member(0);
        let server = leaf(&CLIENTS, Purpose::ServerAndClient, &member.client_ips);
        let peer = leaf(&PEERS, Purpose::ServerAndClient, &[member.peer_ip]);
        Self {
            client_ca: CLIENTS.certificate_pem().to_owned(),
            peer_ca: PEERS.certificate_pem().to_owned(),
            server: pair(&server),
            peer: pair(&peer),
        }
    }

    pub(crate) fn member(&self) -> MemberSpec {
        world::member(0).with_pems(MemberPems {
            client_ca: &self.client_ca,
            peer_ca: &self.peer_ca,
            server: (&self.server.0, &self.server.1),
            peer: (&self.peer.0, &self.peer.1),
        })
    }
}

pub(crate) fn at(now: OffsetDateTime, member: &MemberSpec) -> Vec<CertificateFinding> {
    let clocks = Clocks {
        here: now,
        member: None,
    };
    certificates::findings(member, &member.certificates, clocks)
}

#[test]
fn good_certificates_are_good_for_their_whole_life_and_no_second_longer() {
    let member = Parts::good().member();
    let parsed = pki::Certificate::from_pem(&Parts::good().peer.0).unwrap();
    let (first, last) = (parsed.not_before(), parsed.not_after());
    // Two sets are made within one second or two of each other; a minute is beyond that.
    for moment in [first + Duration::MINUTE, NOW, last - Duration::MINUTE] {
        assert_eq!(at(moment, &member), []);
    }
    let early = at(first - Duration::MINUTE, &member);
    assert!(
        early
            .iter()
            .any(|finding| finding.to_string().contains("valid only from"))
    );
    let late = at(last + Duration::MINUTE, &member);
    assert_eq!(late.len(), 2, "server and peer: {late:?}");
    assert!(late[0].to_string().contains("expired at"));
}

#[test]
fn a_bundle_of_authorities_is_trusted_if_one_of_them_is_right() {
    let mut parts = Parts::good();
    parts.peer_ca = format!("{}{}", STRANGER.certificate_pem(), PEERS.certificate_pem());
    assert_eq!(at(NOW, &parts.member()), []);
}

#[test]
fn what_is_wrong_twice_is_said_twice() {
    let mut parts = Parts::good();
    let ip = [10, 0, 0, 99].into();
    parts.peer = pair(&leaf(&STRANGER, Purpose::Client, &[ip]));
    let said: Vec<String> = at(NOW, &parts.member())
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(said.len(), 2, "{said:?}");
    assert!(
        said[0].contains("was signed by CN=somebody-else"),
        "{said:?}"
    );
    assert!(said[1].contains("lacks the address 10.0.0.10"), "{said:?}");
}

#[test]
fn connections_over_the_loopback_come_from_its_first_address() {
    let ip: IpAddr = [127, 84, 0, 1].into();
    let of = |ips: &[IpAddr]| {
        let mut member = world::member(0);
        (member.peer_ip, member.client_ips) = (ip, vec![ip]);
        let mut parts = Parts::good();
        parts.server = pair(&leaf(&CLIENTS, Purpose::ServerAndClient, &[ip]));
        parts.peer = pair(&leaf(&PEERS, Purpose::ServerAndClient, ips));
        let files = parts.member().certificates;
        at(NOW, &member.with_certificates(files))
    };
    assert_eq!(of(&[ip, [127, 0, 0, 1].into()]), []);
    let found = of(&[ip]);
    assert_eq!(found.len(), 1);
    assert!(
        found[0]
            .to_string()
            .contains("lacks the address 127.0.0.1 that")
    );
}

#[test]
fn no_finding_shows_a_key() {
    let mut parts = Parts::good();
    parts.peer.1 = Parts::good().peer.1;
    let body = parts.peer.1.lines().nth(1).unwrap().to_owned();
    let found = at(NOW, &parts.member());
    assert_eq!(found.len(), 1);
    assert!(!format!("{found:?} {}", found[0]).contains(&body));
}

/// What lies on a machine is judged with that machine's own clock and modes.
#[tokio::test]
async fn what_lies_on_a_machine_is_looked_at() {
    let host = LocalHost::new("here".parse().unwrap());
    let directory = tempfile::tempdir().unwrap();
    let mut member = world::member(0);
    member.pki = etcd_bootstrap::PkiPaths::below(directory.path());
    let nothing = certificates::observe(&member, &host, NOW).await.unwrap();
    assert_eq!(nothing, [], "what is not there yet is to be written");

    let now = OffsetDateTime::now_utc();
    let parts = Parts::good();
    let files: Vec<File> = parts
        .member()
        .certificates
        .into_iter()
        .map(|file| File {
            path: directory.path().join(file.path.file_name().unwrap()),
            ..file
        })
        .map(|file| match file.path.ends_with(Path::new("peer.key")) {
            true => file.with_mode(Mode::new(0o640)),
            false => file,
        })
        .collect();
    host_exec::files::ensure(&host, &files).await.unwrap();
    // The certificates were made for the moment of the tests, which is not that of this machine.
    let found = certificates::observe(&member, &host, NOW).await.unwrap();
    let said: Vec<String> = found.iter().map(ToString::to_string).collect();
    let behind = said
        .iter()
        .any(|text| text.contains("s behind the one here"));
    let ahead = said
        .iter()
        .any(|text| text.contains("s ahead of the one here"));
    assert_eq!(
        (behind, ahead),
        (now < NOW - Duration::DAY, now > NOW + Duration::days(365))
    );
    assert!(
        said.iter().any(|text| text.contains("has mode 0640")),
        "{said:?}"
    );
}

/// Three members with certificates of this moment, each on this machine.
fn equipped(moment: OffsetDateTime) -> (ClusterSpec, Hosts) {
    let authorities = Authorities::create(moment, &OsRandom).unwrap();
    let equip = |index| authorities.equip(world::member(index), moment, &OsRandom);
    let members: Vec<_> = (0..3).map(|index| equip(index).unwrap()).collect();
    let here: Arc<dyn Host> = Arc::new(LocalHost::new("here".parse().unwrap()));
    let hosts = members.iter().map(|m| (m.name.clone(), here.clone()));
    let hosts = hosts.collect();
    let (token, version) = ("lab-1".parse().unwrap(), EtcdVersion::new(3, 7, 3));
    let spec = ClusterSpec::new(token, version, "/opt/etcd".into(), members).unwrap();
    (spec, hosts)
}

#[tokio::test]
async fn a_clock_that_is_behind_is_named_before_anything_starts() {
    let now = OffsetDateTime::now_utc();
    let (spec, hosts) = equipped(now);
    certificates::check_on(&spec, &hosts, now).await.unwrap();

    // Here it is tomorrow, on the members' machines it is not.
    let tomorrow = now + Duration::DAY;
    let (spec, hosts) = equipped(tomorrow);
    certificates::check(&spec, tomorrow).unwrap();
    let error = certificates::check_on(&spec, &hosts, tomorrow).await;
    let error = error.unwrap_err().to_string();
    assert!(error.contains("s behind the one here"), "{error}");
    assert!(error.contains("member etcd-2: "), "{error}");
}

#[test]
fn certificates_without_a_store_are_as_etcd_needs_them() {
    let (spec, _) = equipped(NOW);
    certificates::check(&spec, NOW).unwrap();
    let authorities = Authorities::create(NOW, &OsRandom).unwrap();
    let client = authorities.client("me", NOW, &OsRandom).unwrap();
    Tls::new(&spec, &client.certificate_pem, &client.key_pem).unwrap();
}
