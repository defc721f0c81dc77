use super::*;
use rcgen::{
    CertificateParams, DnType, ExtendedKeyUsagePurpose, KeyPair, SanType, string::Ia5String,
};
use serde_json::json;

fn spec() -> ClusterSpec {
    let node = |name: &str, number: u8| NodeSpec {
        name: name.parse().expect("a host name"),
        address: crate::DualAddress {
            v4: [10, 10, 1, number].into(),
            v6: std::net::Ipv6Addr::new(0xfd10, 1, 0, 0, 0, 0, 0, number.into()),
        },
        pods: pods(number),
        routes: Vec::new(),
        programs: None,
    };
    let version = "1.37.2".parse().expect("a version");
    let etcd = vec!["10.10.0.10:2379".parse().expect("an address")];
    let all = crate::DualNet {
        v4: "10.244.0.0/16".parse().expect("a network"),
        v6: "fd44::/48".parse().expect("a network"),
    };
    let mut spec = ClusterSpec::new(version, etcd, all, node("cp-0", 10)).expect("a spec");
    spec.workers.push(node("worker-0", 20));
    spec
}

fn pods(number: u8) -> crate::DualNet {
    crate::DualNet {
        v4: format!("10.244.{number}.0/24").parse().expect("a network"),
        v6: format!("fd44:0:0:{number}::/64")
            .parse()
            .expect("a network"),
    }
}

struct Asked {
    user: &'static str,
    groups: &'static [&'static str],
    common_name: &'static str,
    organization: &'static str,
    sans: Vec<SanType>,
    usages: &'static [&'static str],
}

fn dns(name: &str) -> SanType {
    SanType::DnsName(Ia5String::try_from(name).expect("ASCII"))
}

fn ip(text: &str) -> SanType {
    SanType::IpAddress(text.parse().expect("an address"))
}

/// As kubelet 1.37 asks.
fn good() -> Asked {
    Asked {
        user: "system:node:worker-0",
        groups: &["system:nodes", "system:authenticated"],
        common_name: "system:node:worker-0",
        organization: "system:nodes",
        sans: vec![dns("worker-0"), ip("10.10.1.20"), ip("fd10:1::14")],
        usages: &["digital signature", "server auth"],
    }
}

fn judged(asked: Asked) -> Result<String, String> {
    let mut params = CertificateParams::default();
    params
        .distinguished_name
        .push(DnType::CommonName, asked.common_name);
    params
        .distinguished_name
        .push(DnType::OrganizationName, asked.organization);
    params.subject_alt_names = asked.sans;
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    let key = KeyPair::generate().expect("a key");
    let pem = params
        .serialize_request(&key)
        .expect("a request")
        .pem()
        .expect("PEM");
    let request = json!({
        "spec": {
            "signerName": SIGNER, "username": asked.user, "groups": asked.groups,
            "usages": asked.usages, "request": STANDARD.encode(pem),
        },
        "status": {},
    });
    let mut list = BTreeMap::from([("csr-1".to_owned(), request.clone())]);
    // One of another signer, and one that somebody has decided on, are no business of ours.
    let mut other = request.clone();
    other["spec"]["signerName"] = "kubernetes.io/kube-apiserver-client".into();
    list.insert("csr-2".to_owned(), other);
    let mut denied = request;
    denied["status"]["conditions"] = json!([{"type": "Denied", "status": "True"}]);
    list.insert("csr-3".to_owned(), denied);
    let mut pending = pending(&spec(), &list);
    assert_eq!(pending.len(), 1);
    let verdict = pending.remove(0).verdict;
    verdict
        .map(|node| node.to_string())
        .map_err(|why| why.to_string())
}

#[test]
fn a_node_gets_what_the_spec_confirms() {
    assert_eq!(judged(good()), Ok("worker-0".to_owned()));
    // A kubelet that knows one address so far asks again when it knows the other.
    let sans = vec![ip("10.10.1.20")];
    assert_eq!(judged(Asked { sans, ..good() }), Ok("worker-0".to_owned()));
    let usages = &["key encipherment", "digital signature", "server auth"];
    assert_eq!(
        judged(Asked { usages, ..good() }),
        Ok("worker-0".to_owned())
    );
}

#[test]
fn everything_else_stays_pending_with_its_reason() {
    let refused = |asked: Asked| judged(asked).expect_err("it is forged");
    for user in ["system:node:worker-9", "eve", "system:node:", ""] {
        let why = refused(Asked { user, ..good() });
        assert!(why.ends_with("who is no node of this cluster"), "{why}");
    }
    let why = refused(Asked {
        groups: &["system:authenticated"],
        ..good()
    });
    assert!(why.contains("not in the group"), "{why}");
    // A node that asks for another's certificate.
    let why = refused(Asked {
        user: "system:node:cp-0",
        ..good()
    });
    assert!(why.starts_with("it is about system:node:worker-0"), "{why}");
    let why = refused(Asked {
        organization: "system:masters",
        ..good()
    });
    assert!(why.starts_with("it is about"), "{why}");
    for (san, name) in [
        (ip("10.10.1.10"), "10.10.1.10"),
        (ip("10.96.0.1"), "10.96.0.1"),
        (dns("cp-0"), "cp-0"),
        (dns("kubernetes.default.svc"), "kubernetes.default.svc"),
    ] {
        let sans = vec![dns("worker-0"), san];
        let why = refused(Asked { sans, ..good() });
        assert!(why.starts_with(&format!("it asks for {name}, ")), "{why}");
    }
    let why = refused(Asked {
        sans: Vec::new(),
        ..good()
    });
    assert_eq!(why, "it asks for no name and no address");
    let mail = SanType::Rfc822Name(Ia5String::try_from("a@b").expect("ASCII"));
    let why = refused(Asked {
        sans: vec![mail],
        ..good()
    });
    assert!(why.starts_with("it cannot be taken"), "{why}");
    for usages in [
        &["digital signature", "client auth"][..],
        &["server auth", "client auth"],
        &[],
    ] {
        let why = refused(Asked { usages, ..good() });
        assert!(why.starts_with("it asks for the usages"), "{why}");
    }
}
