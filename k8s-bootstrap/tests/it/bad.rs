//! Bad input of every kind, and all that is said about it, against tests/data/bad/cases.txt.

use crate::{cluster, golden};
use k8s_bootstrap::{
    preflight::{self, HostFacts, Listener, Severity},
    *,
};
use std::{collections::BTreeMap, fmt::Write as _};
use time::OffsetDateTime;

fn of_spec(change: impl FnOnce(&mut ClusterSpec)) -> String {
    refused(cluster::spec("1.37.2"), change)
}

fn of_three(change: impl FnOnce(&mut ClusterSpec)) -> String {
    refused(cluster::spec_of_three("1.37.2"), change)
}

fn refused(mut spec: ClusterSpec, change: impl FnOnce(&mut ClusterSpec)) -> String {
    change(&mut spec);
    let result = Desired::new(spec, &cluster::material());
    result.unwrap_err().to_string()
}

/// A host with which all is well.
fn good() -> HostFacts {
    let programs = [
        "kubelet",
        "kube-proxy",
        "kube-apiserver",
        "kube-controller-manager",
        "kube-scheduler",
    ];
    HostFacts {
        swaps: Vec::new(),
        cgroup: CgroupVersion::V2,
        sockets: Vec::new(),
        listeners: Vec::new(),
        programs: programs
            .map(|name| (name.to_owned(), Some("1.37.2".to_owned())))
            .into(),
        clock_s: 1_700_000_000,
    }
}

fn judged(spec: &ClusterSpec, facts: &HostFacts) -> String {
    let findings = preflight::judge(spec, Role::ControlPlane, &spec.control_planes[0], facts);
    let lines: Vec<String> = findings.iter().map(ToString::to_string).collect();
    lines.join("\n")
}

fn of_host(change: impl FnOnce(&mut HostFacts)) -> String {
    let (mut spec, mut facts) = (cluster::spec("1.37.2"), good());
    spec.cgroup = CgroupVersion::V2;
    change(&mut facts);
    judged(&spec, &facts)
}

fn port(port: u16, process: &str) -> String {
    let process = process.to_owned();
    of_host(|facts| facts.listeners.push(Listener { port, process }))
}

fn upgraded(node: &mut NodeSpec, part: NodePart, version: &str) {
    node.programs = Some(NodePrograms {
        part,
        version: version.parse().unwrap(),
        bin_dir: "/opt/other/bin".parse().unwrap(),
    });
}

fn version(text: &str) -> String {
    text.parse::<SupportedVersion>().unwrap_err().to_string()
}

fn names() -> Vec<(&'static str, String)> {
    let name = |text: &str| text.parse::<host_exec::HostName>().unwrap_err().to_string();
    let path = |text: &str| text.parse::<NodePath>().unwrap_err().to_string();
    vec![
        ("a version that is none", version("1.x")),
        ("a version that is too old", version("1.27.16")),
        ("a version that is too new", version("1.99.0")),
        ("a node name with an underscore", name("node_1")),
        ("a node name that begins with a hyphen", name("-node")),
        ("an empty node name", name("")),
        ("a path that is not absolute", path("usr/bin")),
        (
            "an image name with a space",
            "a b".parse::<ImageName>().unwrap_err().to_string(),
        ),
        (
            "an interface name that is too long",
            "a-very-long-interface"
                .parse::<InterfaceName>()
                .unwrap_err()
                .to_string(),
        ),
        (
            "an etcd version that is none",
            "3.x".parse::<EtcdVersion>().unwrap_err().to_string(),
        ),
    ]
}

fn specs() -> Vec<(&'static str, String)> {
    vec![
        ("no control plane", of_spec(|s| s.control_planes.clear())),
        ("no etcd", of_spec(|s| s.etcd_endpoints.clear())),
        ("no CNI plugins", of_spec(|s| s.cni_bin_dirs.clear())),
        (
            "two nodes of one name",
            of_spec(|s| s.workers.push(cluster::node("cp-0", 30))),
        ),
        (
            "a name too long for its certificate",
            of_spec(|s| s.workers[0].name = "w".repeat(53).parse().unwrap()),
        ),
        (
            "Services too many",
            of_spec(|s| s.services.v6 = "fd96::/64".parse().unwrap()),
        ),
        (
            "Services too few",
            of_spec(|s| s.services.v4 = "10.96.0.0/29".parse().unwrap()),
        ),
        (
            "Services among pods",
            of_spec(|s| s.services.v4 = "10.244.0.0/16".parse().unwrap()),
        ),
        (
            "Services among nodes",
            of_spec(|s| s.services.v4 = "10.10.0.0/16".parse().unwrap()),
        ),
        (
            "two nodes of the same pods",
            of_spec(|s| s.workers.push(cluster::node("worker-1", 10))),
        ),
        (
            "pods outside the cluster's",
            of_spec(|s| s.pods.v4 = "10.245.0.0/16".parse().unwrap()),
        ),
        (
            "a route of two families",
            of_spec(|s| s.workers[0].routes[0].via = "fd10:1::10".parse().unwrap()),
        ),
        (
            "a virtual address that is a node's",
            of_three(|s| s.virtual_address.as_mut().unwrap().address.v4 = [10, 10, 1, 11].into()),
        ),
        (
            "a balancer at the port of the API server beside it",
            of_three(|s| s.balancer.as_mut().unwrap().port = 6443),
        ),
        (
            "an API server at the port of the kubelet",
            of_spec(|s| s.api_port = 10250),
        ),
        ("no patience", of_spec(|s| s.patience = 0.0)),
        (
            "etcd below the floor",
            of_spec(|s| s.etcd_version = Some(EtcdVersion::new(3, 5, 9))),
        ),
        (
            "a kubelet too old",
            of_spec(|s| upgraded(&mut s.workers[0], NodePart::Node, "1.33.4")),
        ),
        (
            "a kubelet too new",
            of_spec(|s| {
                s.version = "1.36.3".parse().unwrap();
                upgraded(&mut s.workers[0], NodePart::All, "1.37.2");
            }),
        ),
        (
            "CRI-O of another minor",
            of_spec(|s| {
                let [program, oci_runtime, monitor] =
                    ["/usr/bin/crio", "/usr/bin/crun", "/usr/bin/conmon"]
                        .map(|path| path.parse().unwrap());
                s.runtime = Runtime::Crio(Crio {
                    program,
                    minor: 36,
                    oci_runtime,
                    monitor,
                });
            }),
        ),
    ]
}

fn clocks() -> String {
    let clocks = [("cp-0", 1_700_000_000), ("worker-0", 1_700_000_090)];
    let clocks: BTreeMap<_, _> = clocks
        .map(|(name, clock)| (name.parse().unwrap(), clock))
        .into();
    preflight::judge_clocks(&clocks).unwrap().to_string()
}

fn of_hosts() -> Vec<(&'static str, String)> {
    let set = |name: &'static str, version: Option<&'static str>| {
        of_host(|facts| {
            drop(
                facts
                    .programs
                    .insert(name.into(), version.map(str::to_owned)),
            )
        })
    };
    let socket = |path: &'static str| of_host(|facts| facts.sockets.push(path.into()));
    let old = {
        let mut spec = cluster::spec("1.34.1");
        spec.cgroup = CgroupVersion::V2;
        let mut facts = good();
        facts.cgroup = CgroupVersion::V1;
        let own = facts
            .programs
            .keys()
            .map(|name| (name.clone(), Some("1.34.1".to_owned())));
        facts.programs = own.collect();
        judged(&spec, &facts)
    };
    vec![
        (
            "swap",
            of_host(|facts| facts.swaps.push("/dev/sda2".into())),
        ),
        (
            "cgroup v1 without consent",
            of_host(|facts| facts.cgroup = CgroupVersion::V1),
        ),
        ("cgroup v1 before 1.35", old),
        ("CRI-O beside containerd", socket("/run/crio/crio.sock")),
        ("Docker beside containerd", socket("/run/cri-dockerd.sock")),
        ("the API server's port", port(6443, "nginx")),
        ("the controller manager's port", port(10257, "")),
        ("the scheduler's port", port(10259, "python3")),
        ("the kubelet's port", port(10250, "kubelet")),
        ("kube-proxy's metrics", port(10249, "x")),
        ("kube-proxy's health", port(10256, "x")),
        ("a program missing", set("kube-scheduler", None)),
        (
            "a program of another version",
            set("kubelet", Some("1.36.3")),
        ),
        ("clocks apart", clocks()),
    ]
}

fn of_material(material: &Material, pin: Option<&str>, now: OffsetDateTime) -> String {
    let findings = preflight::judge_material(material, pin, now);
    let lines: Vec<String> = findings.iter().map(ToString::to_string).collect();
    lines.join("\n")
}

/// Keys are drawn: in the table their pins are `sha256:...`.
fn materials() -> Vec<(&'static str, String)> {
    let mut material = cluster::material();
    let (now, late) = (OffsetDateTime::UNIX_EPOCH, material.token.expires);
    let key = rcgen::KeyPair::generate().unwrap();
    let mut params = rcgen::CertificateParams::default();
    (params.not_before, params.not_after) = (now, now + time::Duration::days(30_000));
    let paper = of_material(&material, None, now);
    material.ca_pem = params.self_signed(&key).unwrap().pem();
    assert_eq!(of_material(&material, None, now), "");
    let pin = format!("sha256:{}", "0".repeat(64));
    let seen = pki::Certificate::from_pem(&material.ca_pem).unwrap();
    let wrong = of_material(&material, Some(&pin), now);
    let wrong = wrong.replace(&seen.public_key_pin(), "sha256:...");
    let expired = of_material(&material, None, late);
    let mut strange = material.clone();
    let ca = host_exec::File::public("/etc/kubernetes/pki/ca.crt", "another\n");
    strange.files.insert("worker-0".parse().unwrap(), vec![ca]);
    vec![
        ("an authority that is no certificate", paper),
        ("an expired token", expired),
        ("a wrong pin", wrong),
        (
            "a node of another authority",
            of_material(&strange, None, now),
        ),
    ]
}

#[test]
fn bad_input_is_named_with_its_remedy() {
    let (mut text, mut count) = (String::new(), 0);
    for (case, said) in [names(), specs(), of_hosts(), materials()].concat() {
        assert!(!said.is_empty(), "{case}");
        writeln!(text, "{case}\n    {}\n", said.replace('\n', "\n    ")).unwrap();
        count += 1;
    }
    assert!(count >= 30, "{count}");
    golden::check("bad/cases.txt", &text);
}

#[test]
fn a_good_host_has_no_findings() {
    assert_eq!(of_host(|_| ()), "");
    // The lab consents to the old cgroups.
    let mut facts = good();
    facts.cgroup = CgroupVersion::V1;
    assert_eq!(judged(&cluster::spec("1.37.2"), &facts), "");
}

/// This machine as a host: whatever it has, it can be asked, and nothing there is a Kubernetes program.
#[tokio::test]
#[ignore = "needs iproute2"]
async fn a_real_host_is_asked() {
    let spec = cluster::spec("1.37.2");
    let node = &spec.control_planes[0];
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let host = host_exec::LocalHost::new("here".parse().unwrap());
    let facts = preflight::facts(&spec, Role::ControlPlane, node, &host)
        .await
        .unwrap();
    let port = taken.local_addr().unwrap().port();
    assert!(
        facts.listeners.iter().any(|found| found.port == port),
        "{facts:?}"
    );
    let findings = preflight::judge(&spec, Role::ControlPlane, node, &facts);
    let missing = findings
        .iter()
        .filter(|found| found.severity == Severity::Error);
    let missing = missing.filter(|found| found.check.starts_with("FileExisting-"));
    assert_eq!(missing.count(), 5, "{findings:?}");
}
