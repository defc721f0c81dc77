//! Certificates of members that run: real etcd processes of `ProcessHost`s, formed the whole way of the crate.

use etcd_bootstrap::{
    ANSWER_TIMEOUT, CLIENT_PORT, ClusterSpec, Hosts, MemberName, MemberSpec, PEER_PORT, Probe,
    READY_LIMIT, Tls, apply,
    certificates::{self, Authorities, ServedCertificate},
    observe, plan, render, wait_ready,
};
use host_exec::{
    File, Host, ProcessHost,
    event::Silent,
    poll::{self, Attempt, Wait},
    systemd,
};
use pki::OsRandom;
use std::{convert::Infallible, path::Path, slice, sync::Arc, time::Duration};
use time::OffsetDateTime;

use crate::{forms, real};

struct Formed {
    spec: ClusterSpec,
    hosts: Hosts,
    tls: Tls,
}

/// Three members on 127.83.150.1 to 3, formed and ready.
async fn form(directory: &Path, now: OffsetDateTime) -> Formed {
    let authorities = Authorities::create(now, &OsRandom).unwrap();
    let (mut members, mut hosts) = (Vec::new(), Hosts::new());
    for n in 1..=3 {
        let (name, ip) = (format!("etcd-{n}"), format!("127.83.150.{n}"));
        let home = directory.join(&name);
        let member = MemberSpec::parse(&name, &ip, &[&ip]).unwrap().below(&home);
        members.push(authorities.equip(member, now, &OsRandom).unwrap());
        let host = ProcessHost::new(name.parse().unwrap(), home);
        hosts.insert(name.parse().unwrap(), Arc::new(host) as Arc<dyn Host>);
    }
    let program = forms::programs().pop().unwrap();
    let version = real::version(&program).await;
    let spec = ClusterSpec::new("served".parse().unwrap(), version, program, members).unwrap();
    let client = authorities.client("me", now, &OsRandom).unwrap();
    let tls = Tls::new(&spec, &client.certificate_pem, &client.key_pem).unwrap();
    let first = plan(&spec, &observe(&spec, &hosts, &tls).await.unwrap()).unwrap();
    apply(&spec, &first, &hosts, &tls, &Silent).await.unwrap();
    Formed { spec, hosts, tls }
}

impl Formed {
    async fn served(&self, now: OffsetDateTime) -> Vec<ServedCertificate> {
        certificates::served(&self.spec, &self.hosts, &self.tls, now, ANSWER_TIMEOUT).await
    }

    /// Puts certificate and key of peers on the machine of a member.
    async fn put(&self, name: &MemberName, from: &MemberSpec) {
        let pki = &from.pki;
        let peer = [&pki.peer_certificate, &pki.peer_key];
        let files = from.certificates.iter();
        let files: Vec<&File> = files.filter(|file| peer.contains(&&file.path)).collect();
        self.hosts[name].write_files(&files).await.unwrap();
    }

    async fn restart(&self, name: &MemberName) {
        let unit = render::unit_name();
        let host = self.hosts[name].as_ref();
        systemd::restart(host, slice::from_ref(&unit))
            .await
            .unwrap();
    }

    /// Waits until the member says no more that it is ready.
    async fn wait_for_trouble(&self, probe: &Probe, name: &MemberName) {
        let look = || async {
            Ok::<_, Infallible>(match probe.client(name).await.is_ready() {
                true => Attempt::NotYet("ready".into()),
                false => Attempt::Ready(()),
            })
        };
        let wait = Wait::new("trouble", Duration::from_secs(30));
        poll::until(&wait, look).await.unwrap();
    }
}

#[tokio::test]
#[ignore = "needs etcd"]
async fn a_certificate_of_a_stranger_is_named_and_mended_without_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    let now = OffsetDateTime::now_utc();
    let formed = form(directory.path(), now).await;
    let served = formed.served(now).await;
    assert_eq!(served.len(), 6, "{served:?}");
    let year = now + time::Duration::days(364);
    assert!(
        served
            .iter()
            .all(|one| one.findings.is_empty() && one.not_after > Some(year))
    );
    let condition = certificates::served_condition(&served).unwrap();
    assert!(condition.ok, "{condition:?}");
    let late = formed.served(now + time::Duration::days(400)).await;
    assert!(
        late.iter()
            .all(|one| one.findings[0].to_string().contains("expired at"))
    );

    let good = formed.spec.members()[1].clone();
    let name = good.name.clone();
    let stranger = Authorities::create(now, &OsRandom).unwrap();
    let bad = stranger.equip(good.clone(), now, &OsRandom).unwrap();
    formed.put(&name, &bad).await;
    let served = formed.served(now).await;
    let found: Vec<_> = served
        .iter()
        .filter(|one| !one.findings.is_empty())
        .collect();
    assert_eq!(found.len(), 1, "{served:?}");
    assert_eq!((&found[0].member, found[0].port), (&name, PEER_PORT));
    assert!(
        served
            .iter()
            .any(|one| one.member == name && one.port == CLIENT_PORT)
    );
    let condition = certificates::served_condition(&served).unwrap();
    assert!(
        condition
            .evidence
            .contains("peer.crt was signed by another CN=etcd-peer-ca than the one in "),
        "{condition:?}"
    );

    // It still talks over the connections that it has; after a restart nobody talks with it.
    formed.restart(&name).await;
    let probe = Probe::new(&formed.spec, &formed.hosts, &formed.tls, ANSWER_TIMEOUT).unwrap();
    formed.wait_for_trouble(&probe, &name).await;
    let observed = observe(&formed.spec, &formed.hosts, &formed.tls)
        .await
        .unwrap();
    let faults = certificates::faults(&formed.spec, &observed, &formed.hosts, now)
        .await
        .unwrap();
    let names: Vec<_> = faults.keys().collect();
    assert_eq!(names, [&name]);
    assert!(faults[&name][0].path.ends_with("peer.crt"), "{faults:?}");

    formed.put(&name, &good).await;
    wait_ready(
        &formed.spec,
        slice::from_ref(&name),
        &probe,
        READY_LIMIT,
        &Silent,
    )
    .await
    .unwrap();
    let served = formed.served(now).await;
    assert!(certificates::served_condition(&served).unwrap().ok);
    for host in formed.hosts.values() {
        systemd::stop(host.as_ref(), &[render::unit_name()])
            .await
            .unwrap();
    }
}
