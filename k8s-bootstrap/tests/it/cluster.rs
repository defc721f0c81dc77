//! The reference cluster of all tests: one control plane, one worker.

use host_exec::File;
use k8s_bootstrap::*;
use pki::BootstrapToken;
use std::collections::BTreeMap;
use time::OffsetDateTime;
use zeroize::Zeroizing;

pub(crate) fn node(name: &str, number: u8) -> NodeSpec {
    let other = if number == 10 { 20 } else { 10 };
    NodeSpec {
        name: name.parse().unwrap(),
        address: DualAddress {
            v4: format!("10.10.1.{number}").parse().unwrap(),
            v6: format!("fd10:1::{number}").parse().unwrap(),
        },
        pods: DualNet {
            v4: format!("10.244.{number}.0/24").parse().unwrap(),
            v6: format!("fd44:0:0:{number}::/64").parse().unwrap(),
        },
        routes: vec![
            Route {
                to: format!("10.244.{other}.0/24").parse().unwrap(),
                via: format!("10.10.1.{other}").parse().unwrap(),
            },
            Route {
                to: format!("fd44:0:0:{other}::/64").parse().unwrap(),
                via: format!("fd10:1::{other}").parse().unwrap(),
            },
        ],
        programs: None,
    }
}

/// As the lab asks for it: the old cgroups and containerd with 1.28, the new ones with later versions.
pub(crate) fn spec(version: &str) -> ClusterSpec {
    let version: SupportedVersion = version.parse().unwrap();
    let old = version.version().minor == 28;
    let pods = DualNet {
        v4: "10.244.0.0/16".parse().unwrap(),
        v6: "fd44::/48".parse().unwrap(),
    };
    let etcd = (10..13)
        .map(|n| format!("10.10.0.{n}:2379").parse().unwrap())
        .collect();
    let mut spec = ClusterSpec::new(version, etcd, pods, node("cp-0", 10)).unwrap();
    spec.cluster_name = pki::HostName::new("lab").unwrap();
    spec.workers.push(node("worker-0", 20));
    spec.bin_dir = "/opt/lab/bin".parse().unwrap();
    spec.cni_bin_dirs = vec!["/usr/lib/cni".parse().unwrap()];
    if old {
        spec.runtime = Runtime::Containerd(Containerd {
            program: "/usr/bin/containerd".parse().unwrap(),
            major: ContainerdMajor::V1,
            oci_runtime: "/usr/bin/runc".parse().unwrap(),
            restrict_oom_score_adj: true,
        });
    } else {
        spec.upstream_dns = vec!["10.10.1.1".parse().unwrap()];
        spec.cgroup = CgroupVersion::V1;
        spec.tuning = Tuning::QuickStart;
    }
    spec
}

/// The same with three control planes, a balancer and a virtual address.
pub(crate) fn spec_of_three(version: &str) -> ClusterSpec {
    let mut spec = spec(version);
    spec.control_planes
        .extend([node("cp-1", 11), node("cp-2", 12)]);
    spec.balancer = Some(Balancer {
        program: "/usr/sbin/haproxy".parse().unwrap(),
        port: 7443,
    });
    spec.virtual_address = Some(VirtualAddress {
        program: "/usr/sbin/keepalived".parse().unwrap(),
        address: DualAddress {
            v4: "10.10.1.5".parse().unwrap(),
            v6: "fd10:1::5".parse().unwrap(),
        },
        interface: "kube0".parse().unwrap(),
        router_id: std::num::NonZeroU8::new(51).unwrap(),
    });
    spec.api_endpoint = pki::ApiUrl::new("https://10.10.1.5:6443").unwrap();
    spec
}

/// Material whose texts stand for certificates: renderings do not look into them.
pub(crate) fn material() -> Material {
    let secret = |path: &str| File::secret(format!("/etc/kubernetes/{path}"), format!("{path}\n"));
    let control_plane = [
        "controller-manager.conf",
        "kube-proxy.conf",
        "pki/apiserver-etcd-client.crt",
        "pki/apiserver-etcd-client.key",
        "pki/apiserver-kubelet-client.crt",
        "pki/apiserver-kubelet-client.key",
        "pki/apiserver.crt",
        "pki/apiserver.key",
        "pki/ca.key",
        "pki/etcd/ca.crt",
        "pki/front-proxy-ca.crt",
        "pki/front-proxy-client.crt",
        "pki/front-proxy-client.key",
        "pki/sa.key",
        "pki/sa.pub",
        "scheduler.conf",
    ];
    Material {
        ca_pem: "the authority\n".into(),
        identity: ClientIdentity {
            certificate_pem: "the identity\n".into(),
            key_pem: Zeroizing::new("its key\n".into()),
        },
        token: ExpiringToken {
            token: BootstrapToken::new("abcdef.0123456789abcdef").unwrap(),
            expires: OffsetDateTime::from_unix_timestamp(1_800_000_000).unwrap(),
        },
        kubelets: BTreeMap::from([(
            "cp-0".parse().unwrap(),
            ClientIdentity {
                certificate_pem: "the kubelet\n".into(),
                key_pem: Zeroizing::new("its key\n".into()),
            },
        )]),
        files: BTreeMap::from([
            ("cp-0".parse().unwrap(), control_plane.map(secret).to_vec()),
            ("cp-1".parse().unwrap(), control_plane.map(secret).to_vec()),
            ("cp-2".parse().unwrap(), control_plane.map(secret).to_vec()),
            ("worker-0".parse().unwrap(), vec![secret("kube-proxy.conf")]),
        ]),
    }
}

pub(crate) fn desired(version: &str) -> Desired {
    Desired::new(spec(version), &material()).unwrap()
}

/// The same in the shape in which kubelets start the control plane.
pub(crate) fn static_pods(version: &str) -> Desired {
    of_static_pods(spec(version))
}

/// A cluster of this shape, whose control planes all have an identity of a kubelet.
pub(crate) fn of_static_pods(spec: ClusterSpec) -> Desired {
    let spec = ClusterSpec {
        shape: Shape::StaticPods,
        ..spec
    };
    let mut material = material();
    let identity = material.kubelets.values().next().unwrap().clone();
    for node in &spec.control_planes {
        let own = material.kubelets.entry(node.name.clone());
        own.or_insert_with(|| identity.clone());
    }
    Desired::new(spec, &material).unwrap()
}
