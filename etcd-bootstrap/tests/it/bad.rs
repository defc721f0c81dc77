//! Bad input of every kind, and all that is said about it before anything starts, against tests/data/bad/cases.txt.

use crate::{
    certificates::{self, CLIENTS, NOW, PEERS, Parts, STRANGER, leaf, pair},
    golden, world,
};
use etcd_bootstrap::{
    ClientAnswer, ClusterId, ClusterSpec, ClusterToken, EtcdVersion, MemberName, MemberProgram,
    MemberSpec, Status, Tls,
    certificates::{Clocks, check, findings},
    check_whole, plan, restore,
    tuning::{
        AutoCompaction, CipherSuite, FeatureGate, IoPriority, LogFormat, ServiceTuning,
        TlsMinVersion, Tuning,
    },
    upgrade::check_path,
};
use host_exec::{File, Mode};
use pki::Purpose;
use std::{
    fmt::Write as _,
    net::{IpAddr, Ipv4Addr},
    time::Duration,
};
use time::OffsetDateTime;

type Case = (&'static str, String);

fn names() -> Vec<Case> {
    let name = |text: &str| text.parse::<MemberName>().unwrap_err().to_string();
    let token = |text: &str| text.parse::<ClusterToken>().unwrap_err().to_string();
    let version = |text: &str| text.parse::<EtcdVersion>().unwrap_err().to_string();
    let peer = |text: &str| {
        MemberSpec::parse("etcd-0", text, &["10.0.0.10"])
            .unwrap_err()
            .to_string()
    };
    let client = |text: &str| {
        MemberSpec::parse("etcd-0", "10.0.0.10", &[text])
            .unwrap_err()
            .to_string()
    };
    vec![
        ("a member called default", name("default")),
        ("a member name with the separator of lists", name("etcd=0")),
        ("an empty member name", name("")),
        ("a token with a space", token("lab 1")),
        ("an empty token", token("")),
        ("a version that is none", version("3.7")),
        (
            "a host name as the listen address for peers",
            peer("etcd-0.lab"),
        ),
        (
            "a URL as the listen address for peers",
            peer("https://10.0.0.10:2380"),
        ),
        (
            "a host name as the listen address for clients",
            client("localhost"),
        ),
    ]
}

fn make(version: EtcdVersion, program: &str, members: Vec<MemberSpec>) -> String {
    let token = "lab-1".parse().unwrap();
    ClusterSpec::new(token, version, program.into(), members)
        .unwrap_err()
        .to_string()
}

/// Three members, the second one changed.
fn changed(change: impl FnOnce(&mut MemberSpec)) -> String {
    let mut members: Vec<_> = (0..3).map(world::member).collect();
    change(&mut members[1]);
    make(EtcdVersion::new(3, 7, 3), "/opt/etcd", members)
}

fn specs() -> Vec<Case> {
    let first = world::member(0);
    let newest = EtcdVersion::new(3, 7, 3);
    let some = || (0..3).map(world::member).collect::<Vec<_>>();
    let even = world::spec_of(newest, "lab-1", 4).lints()[0].to_string();
    vec![
        ("no members", make(newest, "/opt/etcd", vec![])),
        (
            "too many members",
            make(newest, "/opt/etcd", (0..8).map(world::member).collect()),
        ),
        ("an even number of members (a remark)", even),
        (
            "two members of one name",
            changed(|m| m.name = first.name.clone()),
        ),
        (
            "two members of one peer URL",
            changed(|m| m.peer_ip = first.peer_ip),
        ),
        (
            "two members of one client URL",
            changed(|m| m.client_ips = first.client_ips.clone()),
        ),
        ("no address for clients", changed(|m| m.client_ips.clear())),
        (
            "an address of every machine for peers",
            changed(|m| m.peer_ip = Ipv4Addr::UNSPECIFIED.into()),
        ),
        (
            "an address of many machines for clients",
            changed(|m| m.client_ips[0] = [224, 0, 0, 1].into()),
        ),
        (
            "a data directory that is not absolute",
            changed(|m| m.data_dir = "etcd".into()),
        ),
        (
            "a path that needs quotes",
            changed(|m| m.pki.peer_key = "/k $HOME".into()),
        ),
        (
            "a key to be written for everybody",
            changed(|m| m.certificates = vec![File::public(&m.pki.server_key, "KEY")]),
        ),
        ("a program in no directory", make(newest, "etcd", some())),
        (
            "a version that is too old",
            make(EtcdVersion::new(3, 4, 30), "/opt/etcd", some()),
        ),
        (
            "a version that is not known",
            make(EtcdVersion::new(3, 8, 0), "/opt/etcd", some()),
        ),
    ]
}

fn tuned(minor: u16, tuning: Tuning) -> String {
    let spec = world::spec_of(EtcdVersion::new(3, minor, 33), "lab-1", 3);
    spec.with_tuning(tuning).unwrap_err().to_string()
}

fn remarked(tuning: Tuning) -> String {
    let spec = world::spec().with_tuning(tuning).unwrap();
    spec.lints()[0].to_string()
}

fn timers(heartbeat_ms: u64, election_ms: u64) -> String {
    let tuning = Tuning {
        heartbeat_interval: Some(Duration::from_millis(heartbeat_ms)),
        election_timeout: Some(Duration::from_millis(election_ms)),
        ..Tuning::default()
    };
    tuned(7, tuning)
}

fn gate(minor: u16, gate: FeatureGate) -> String {
    let feature_gates = [(gate, true)].into();
    tuned(
        minor,
        Tuning {
            feature_gates,
            ..Tuning::default()
        },
    )
}

fn tunings() -> Vec<Case> {
    let with = |minor, change: fn(&mut Tuning)| {
        let mut tuning = Tuning::default();
        change(&mut tuning);
        tuned(minor, tuning)
    };
    let service = |change: fn(&mut ServiceTuning)| {
        let mut tuning = Tuning::default();
        change(&mut tuning.service);
        tuned(7, tuning)
    };
    vec![
        (
            "an election shorter than five heartbeats",
            timers(300, 1000),
        ),
        ("an election without end", timers(100, 60_000)),
        ("no heartbeat", timers(0, 1000)),
        (
            "a quota of 4 bytes",
            with(7, |t| t.quota_backend_bytes = Some(4)),
        ),
        (
            "a quota beyond what is advised (a remark)",
            remarked(Tuning {
                quota_backend_bytes: Some(16 << 30),
                ..Tuning::default()
            }),
        ),
        ("no snapshots", with(7, |t| t.snapshot_count = Some(0))),
        ("no requests", with(7, |t| t.max_request_bytes = Some(0))),
        (
            "compaction of all that is older than nothing",
            with(7, |t| {
                t.auto_compaction = Some(AutoCompaction::Periodic(Duration::ZERO))
            }),
        ),
        (
            "a full check each second",
            with(7, |t| {
                t.corrupt_check_interval = Some(Duration::from_secs(1))
            }),
        ),
        (
            "cipher suites with TLS 1.3",
            with(7, |t| {
                t.tls_min_version = Some(TlsMinVersion::V1_3);
                t.cipher_suites = vec![CipherSuite::EcdheEcdsaAes128Gcm];
            }),
        ),
        (
            "cipher suites without the one of HTTP/2",
            with(7, |t| {
                t.cipher_suites = vec![CipherSuite::EcdheEcdsaAes256Gcm]
            }),
        ),
        ("learners in 3.5", with(5, |t| t.max_learners = Some(2))),
        (
            "a form of the log in 3.5",
            with(5, |t| t.log_format = Some(LogFormat::Console)),
        ),
        (
            "a gate of 3.6 in 3.5",
            gate(5, FeatureGate::SetMemberLocalAddr),
        ),
        (
            "a gate of 3.7 in 3.6",
            gate(6, FeatureGate::PriorityRequest),
        ),
        (
            "a niceness that there is not",
            service(|s| s.nice = Some(20)),
        ),
        (
            "a priority that there is not",
            IoPriority::new(8).unwrap_err().to_string(),
        ),
        (
            "a score that there is not",
            service(|s| s.oom_score_adjust = Some(-1001)),
        ),
        ("too few files", service(|s| s.open_files_limit = 64)),
        (
            "no time between restarts",
            service(|s| s.restart_delay = Duration::ZERO),
        ),
    ]
}

/// What is said of the first member when one thing is wrong with its certificates; the authorities' moment of birth is
/// the only thing that differs from run to run, and no text shows it.
fn spoilt(change: impl FnOnce(&mut Parts)) -> String {
    let mut parts = Parts::good();
    change(&mut parts);
    let found = certificates::at(NOW, &parts.member());
    let lines: Vec<String> = found.iter().map(ToString::to_string).collect();
    lines.join("\n")
}

fn moments() -> Vec<Case> {
    let member = Parts::good().member();
    let peer = pki::Certificate::from_pem(&Parts::good().peer.0).unwrap();
    let one = |here: OffsetDateTime, there: Option<OffsetDateTime>| {
        let clocks = Clocks {
            here,
            member: there,
        };
        let found = findings(&member, &member.certificates, clocks);
        let peer = found
            .iter()
            .find(|finding| finding.path.ends_with("peer.crt"));
        peer.unwrap().to_string()
    };
    let (before, after) = (
        peer.not_before() - time::Duration::MINUTE,
        peer.not_after() + time::Duration::DAY,
    );
    vec![
        ("a certificate whose life has not begun", one(before, None)),
        (
            "a certificate whose life has not begun by the member's clock",
            one(NOW, Some(before)),
        ),
        ("a certificate that expired", one(after, None)),
        (
            "a certificate that expired by the member's clock",
            one(NOW, Some(after)),
        ),
    ]
}

fn keys() -> Vec<Case> {
    let encrypted =
        "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n";
    let open = {
        let member = Parts::good().member();
        let key = member.pki.peer_key.clone();
        let mut files = member.certificates.clone();
        for file in files.iter_mut().filter(|file| file.path == key) {
            file.mode = Mode::new(0o644);
        }
        let clocks = Clocks {
            here: NOW,
            member: None,
        };
        findings(&member, &files, clocks)[0].to_string()
    };
    vec![
        (
            "a key of another certificate",
            spoilt(|p| p.peer.1 = Parts::good().peer.1),
        ),
        (
            "a key that is encrypted",
            spoilt(|p| p.peer.1 = encrypted.into()),
        ),
        (
            "a key that is none",
            spoilt(|p| p.server.1 = "nothing".into()),
        ),
        (
            "a key in the place of a certificate",
            spoilt(|p| p.server.0 = p.server.1.clone()),
        ),
        ("a key that everybody can read", open),
    ]
}

fn chains() -> Vec<Case> {
    let member = world::member(0);
    let both = Purpose::ServerAndClient;
    let (ip, elsewhere): ([IpAddr; 1], [IpAddr; 1]) = ([member.peer_ip], [[192, 0, 2, 7].into()]);
    let cut = |pem: &str| pem[..pem.len() / 2].to_owned();
    vec![
        (
            "a peer certificate that lacks the peer's address",
            spoilt(|p| p.peer = pair(&leaf(&PEERS, both, &elsewhere))),
        ),
        (
            "a server certificate that lacks one of two addresses",
            spoilt(|p| p.server = pair(&leaf(&CLIENTS, both, &member.client_ips[..1]))),
        ),
        (
            "a peer certificate of the authority of clients",
            spoilt(|p| p.peer = pair(&leaf(&CLIENTS, both, &ip))),
        ),
        (
            "authorities that are strangers",
            spoilt(|p| p.client_ca = STRANGER.certificate_pem().to_owned()),
        ),
        (
            "an authority of the same name",
            spoilt(|p| {
                p.peer_ca = certificates::authority("etcd-peer-ca")
                    .certificate_pem()
                    .into()
            }),
        ),
        (
            "a leaf in the place of the authority",
            spoilt(|p| p.peer_ca = p.peer.0.clone()),
        ),
        (
            "a peer certificate that may only serve",
            spoilt(|p| p.peer = pair(&leaf(&PEERS, Purpose::Server, &ip))),
        ),
        (
            "a server certificate that may only dial",
            spoilt(|p| p.server = pair(&leaf(&CLIENTS, Purpose::Client, &member.client_ips))),
        ),
        (
            "a certificate that is cut off",
            spoilt(|p| p.peer.0 = cut(&p.peer.0)),
        ),
        (
            "an authority that is no text of one",
            spoilt(|p| p.peer_ca = "ca".into()),
        ),
        (
            "certificates that were not given",
            check(&world::spec_of(EtcdVersion::new(3, 7, 3), "lab-1", 1), NOW)
                .unwrap_err()
                .to_string(),
        ),
        (
            "no certificates to ask members with",
            Tls::new(&world::spec(), "", "").unwrap_err().to_string(),
        ),
    ]
}

fn members() -> Vec<Case> {
    let spec = world::spec();
    let name = world::name(1);
    let of = |change: &dyn Fn(&mut etcd_bootstrap::MemberObservation)| {
        let mut observed = world::healthy(&spec);
        change(observed.members.get_mut(&name).unwrap());
        plan(&spec, &observed).unwrap_err().to_string()
    };
    vec![
        (
            "a data directory of another cluster",
            of(&|member| {
                (member.peer, member.client) = world::silent();
                member.unit = world::unit(false, true);
                member.configured = Some(ClusterId(0xfeed));
            }),
        ),
        (
            "a member that would skip a minor",
            of(&|member| {
                member.client = ClientAnswer::Serving {
                    unready: None,
                    status: Some(status("3.5.35")),
                };
            }),
        ),
        (
            "a data directory that was emptied",
            of(&|member| {
                (member.peer, member.client) = world::silent();
                member.unit = world::unit(false, true);
                member.has_wal = false;
            }),
        ),
    ]
}

/// What a member of this version says of itself.
fn status(version: &str) -> Status {
    let spec = world::spec();
    Status {
        cluster_id: spec.cluster_id(),
        member_id: spec.member_ids()[&world::name(1)],
        leader: None,
        is_learner: false,
        raft_term: 2,
        raft_index: 9,
        revision: 1,
        db_size_bytes: 20_480,
        db_in_use_bytes: 16_384,
        version: version.to_owned(),
        storage_version: String::new(),
        downgrade: None,
        quota_bytes: 0,
        errors: Vec::new(),
    }
}

fn versions() -> Vec<Case> {
    let path = |from: &str, to: &str| {
        let (from, to) = (from.parse().unwrap(), to.parse().unwrap());
        check_path(from, to).unwrap_err().to_string()
    };
    let program = |version: &str| MemberProgram {
        version: version.parse().unwrap(),
        path: "/opt/other/etcd".into(),
    };
    vec![
        ("an upgrade over two minors", path("3.5.35", "3.7.3")),
        (
            "an upgrade from a patch that does harm",
            path("3.5.12", "3.6.16"),
        ),
        ("an older version on newer data", path("3.7.3", "3.6.16")),
        (
            "members two minors apart",
            changed(|m| m.program = Some(program("3.5.35"))),
        ),
        (
            "a member of a version that is not known",
            changed(|m| m.program = Some(program("3.8.0"))),
        ),
    ]
}

fn restores() -> Vec<Case> {
    let spec = world::spec();
    let found = restore::Found {
        stage: restore::Stage::Untouched,
        has_data: true,
        moved_aside: false,
        is_up: false,
        is_enabled: true,
        token: Some(spec.token().clone()),
    };
    let members = spec.members().iter();
    let members = members.map(|member| (member.name.clone(), found.clone()));
    let observed = restore::Observed {
        members: members.collect(),
    };
    let refused = restore::plan(&spec, &observed, false);
    let snapshot = |bytes: &[u8]| check_whole(bytes).unwrap_err().to_string();
    let mut flipped = vec![0; 4096 + 32];
    flipped[7] = 1;
    vec![
        (
            "a token that data of an earlier cluster has",
            refused.unwrap_err().to_string(),
        ),
        ("a snapshot that is cut off", snapshot(&[0; 4096 + 31])),
        ("a snapshot with another sum", snapshot(&flipped)),
    ]
}

#[test]
fn everything_bad_is_named_with_its_remedy() {
    let all = [
        names(),
        specs(),
        tunings(),
        chains(),
        keys(),
        moments(),
        members(),
        versions(),
        restores(),
    ];
    let mut text = String::new();
    for (case, said) in all.iter().flatten() {
        assert!(!said.is_empty(), "{case}: nothing is wrong with it");
        writeln!(text, "{case}").unwrap();
        for line in said.lines() {
            writeln!(text, "    {line}").unwrap();
        }
        text.push('\n');
    }
    golden::check("bad/cases.txt", &text);
}
