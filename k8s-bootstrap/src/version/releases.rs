//! One row per minor release: everything that a generator has to switch on.
//!
//! The rows are those of kubeadm, the kubelet and the API server as read in the sources of 1.28.3, 1.28.15, 1.29.0,
//! 1.29.15, 1.30.0, 1.30.14, 1.31.0, 1.31.13, 1.31.14, 1.32.0, 1.32.9, 1.32.10, 1.32.13, 1.33.0, 1.33.5, 1.33.6,
//! 1.33.13, 1.34.0, 1.34.1, 1.34.2, 1.34.8, 1.35.0, 1.35.5, 1.36.3 and 1.37.2; image tags of the patch releases
//! between them are those that minikube lists (`pkg/minikube/constants/constants_kubeadm_images.go`).
//!
//! What certificates, groups and bindings a version has is the business of [`pki`]: `super-admin.conf` and the group
//! of admin.conf (kubernetes#121305), the groups of the API server's client certificate for kubelets
//! (kubernetes#121837, #138957) and of etcd's clients (kubernetes#120521, #119859). See
//! [`pki::LeafRole::profile`] and [`pki::required_bindings`].

use super::EtcdVersion;

/// A value that changed in patch releases: the first patch with it, and the value. The first entry is for patch 0.
pub type ByPatch<T> = &'static [(u16, T)];

/// One minor release and what differs in it.
///
/// A `bool` is named after what is so when it is true. Files and objects that a field changes are listed in
/// `tests/it/matrix.rs`, which renders every pair of neighbours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Release {
    /// The minor number, as 37 in 1.37.
    pub minor: u16,

    /// The tag of kubeadm's etcd image (`DefaultEtcdVersion`): what upstream tests this release with.
    /// Ask [`SupportedVersion::etcd_image_tag`](super::SupportedVersion::etcd_image_tag).
    pub etcd_image_tags: ByPatch<&'static str>,
    /// The oldest external etcd that kubeadm accepts (`MinExternalEtcdVersion`).
    /// Ask [`SupportedVersion::etcd_floor`](super::SupportedVersion::etcd_floor).
    pub etcd_floors: ByPatch<EtcdVersion>,
    /// The CoreDNS that kubeadm installs. Ask [`SupportedVersion::coredns`](super::SupportedVersion::coredns).
    pub coredns_tags: ByPatch<&'static str>,
    /// The pause image's tag in kubeadm of this release.
    pub pause: &'static str,

    /// The version of kubeadm's configuration that it writes and stores in the ConfigMap `kubeadm-config`.
    pub config_api: ConfigApi,
    /// Extra arguments of a component are sorted into its command with the defaults; from 1.36 on they follow them in
    /// the user's order (kubernetes#135400).
    pub sorts_extra_args: bool,
    /// How much older than itself kubeadm lets a kubelet be, in minors (`MinimumKubeletVersion`): 1, then 3
    /// (kubernetes#120825). The rule of Kubernetes itself is 3 for all of them.
    pub kubeadm_kubelet_skew: u16,

    /// Probes of static pods and of CoreDNS name a container port (`probe-port`; `liveness-probe` and
    /// `readiness-probe`) instead of a number (kubernetes#132776).
    pub named_probe_ports: bool,
    /// What the probes of the scheduler ask for (kubernetes#126945).
    pub scheduler_probes: ProbePaths,
    /// Directories of the machine with certificates of other authorities, mounted into the API server and the
    /// controller manager where they exist, beside `/etc/ssl/certs` (kubernetes#124361).
    pub ca_mounts: &'static [&'static str],
    /// The controller manager mounts the directory of flexvolume drivers (until kubernetes#136423).
    pub flex_volume_mount: bool,

    /// The socket of the runtime is in `/var/lib/kubelet/instance-config.yaml`; before, it is the flag
    /// `--container-runtime-endpoint` in `kubeadm-flags.env` and the annotation
    /// `kubeadm.alpha.kubernetes.io/cri-socket` of the Node. kubeadm's gate NodeLocalCRISocket: off by default in
    /// 1.32 (kubernetes#128031), on from 1.34 (kubernetes#131981).
    pub node_local_cri_socket: bool,
    /// `kubeadm-flags.env` has `--pod-infra-container-image`. From 1.35 on a kubelet that is given it does not start
    /// (kubernetes#133778, #133779).
    pub pod_infra_container_image_flag: bool,
    /// `resolvConf` is in the ConfigMap `kubelet-config`, the same for all nodes; from 1.31 on each node has its own
    /// (kubernetes#124038).
    pub resolv_conf_in_kubelet_config: bool,
    /// kubelet.conf of a control plane names the API server of the same machine instead of the endpoint of the
    /// cluster. kubeadm's gate ControlPlaneKubeletLocalMode: on from 1.33 (kubernetes#129956).
    pub control_plane_kubelet_local_mode: bool,
    /// The default of the kubelet's `failCgroupV1`: the field came in 1.31 (KEP-4569), and from 1.35 on a kubelet
    /// refuses the old cgroups unless told otherwise (kubernetes#134298).
    pub fail_cgroup_v1: Option<bool>,
    /// The kubelet reads drop-ins of its configuration (`--config-dir`, KEP-3983). As an alpha it needs
    /// `KUBELET_CONFIG_DROPIN_DIR_ALPHA` in its environment (kubernetes#119390).
    pub kubelet_config_dir: Stage,
    /// The kubelet takes the cgroup driver that the runtime names (KEP-4033, KubeletCgroupDriverFromCRI), with its
    /// own configuration as fallback.
    pub cgroup_driver_from_cri: Stage,
    /// A runtime that cannot name it, which is containerd before 2.0 and CRI-O before 1.28, is warned of
    /// (kubernetes#134906); 1.38 is to drop the fallback.
    pub warns_without_runtime_config: bool,

    /// The API server reads `--authentication-config` (KEP-3331).
    pub authentication_config: Option<ConfigFile>,
    /// That file may limit anonymous requests to some paths (KEP-4633, AnonymousAuthConfigurableEndpoints).
    pub anonymous_endpoints: Stage,
    /// The API server reads `--authorization-config` (KEP-3221). kubeadm leaves out `--authorization-mode` where it
    /// is given from 1.30 on (kubernetes#123654).
    pub authorization_config: Option<ConfigFile>,

    /// How this crate lets kube-proxy program the kernel.
    pub proxy_mode: ProxyMode,
    /// `mode` in the KubeProxyConfiguration that kubeadm writes; empty means iptables (kubernetes#139777).
    pub kubeadm_proxy_mode: &'static str,

    /// The Corefile keeps answers about cluster names out of the cache (kubernetes#128359).
    pub corefile_disables_cluster_cache: bool,
    /// What kubeadm's CoreDNS gives up, in the spelling of its manifest. Pod Security knows `ALL` alone.
    pub coredns_dropped_capabilities: &'static str,
}

/// A version of kubeadm's configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConfigApi {
    /// Until 1.30: extra arguments are a map.
    V1Beta3,
    /// From 1.31 on (kubernetes#125029): they are a list of names and values.
    V1Beta4,
}

impl ConfigApi {
    /// What `apiVersion` says.
    pub fn api_version(self) -> &'static str {
        match self {
            Self::V1Beta3 => "kubeadm.k8s.io/v1beta3",
            Self::V1Beta4 => "kubeadm.k8s.io/v1beta4",
        }
    }
}

/// How far a feature is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// Not there.
    Absent,
    /// There, but off unless its gate is set.
    Alpha,
    /// On by default; so are all betas of this table.
    Beta,
    /// On for good.
    Stable,
}

impl Stage {
    /// Whether it works without anybody setting a gate.
    pub fn is_on(self) -> bool {
        self >= Self::Beta
    }
}

/// A configuration file of the API server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConfigFile {
    /// How far the feature is.
    pub stage: Stage,
    /// The newest `apiVersion` that this release reads.
    pub api_version: &'static str,
}

/// What the probes of a static pod ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProbePaths {
    /// `/healthz` for liveness and startup, and no readiness.
    Healthz,
    /// `/livez` for liveness and startup, `/readyz` for readiness.
    LivezReadyz,
}

/// The way kube-proxy turns Services into kernel rules.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProxyMode {
    /// Through iptables (iptables-nft where the distribution has that).
    Iptables,
    /// Through nftables directly: general availability in 1.33 (KEP-3866).
    Nftables,
}

impl ProxyMode {
    /// The word in `KubeProxyConfiguration.mode`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Iptables => "iptables",
            Self::Nftables => "nftables",
        }
    }
}

const fn file(stage: Stage, api_version: &'static str) -> Option<ConfigFile> {
    Some(ConfigFile { stage, api_version })
}

const CONFIG_V1ALPHA1: &str = "apiserver.config.k8s.io/v1alpha1";
const CONFIG_V1BETA1: &str = "apiserver.config.k8s.io/v1beta1";
const CONFIG_V1: &str = "apiserver.config.k8s.io/v1";

/// kubeadm has "3.4.13-4"; the 4 counts the builds of the image, and etcd itself says 3.4.13.
const ETCD_3_4_13: EtcdVersion = EtcdVersion::new(3, 4, 13);
const ETCD_3_5_11: EtcdVersion = EtcdVersion::new(3, 5, 11);
const ETCD_3_5_21: EtcdVersion = EtcdVersion::new(3, 5, 21);
/// Raised in patch releases of four branches at once (kubernetes#134779, #134861, #135018, #135019).
const ETCD_3_5_24: EtcdVersion = EtcdVersion::new(3, 5, 24);

const V1_28: Release = Release {
    minor: 28,
    etcd_image_tags: &[
        (0, "3.5.9-0"),
        (6, "3.5.10-0"),
        (8, "3.5.12-0"),
        (14, "3.5.15-0"),
    ],
    etcd_floors: &[(0, ETCD_3_4_13)],
    coredns_tags: &[(0, "v1.10.1")],
    pause: "3.9",
    config_api: ConfigApi::V1Beta3,
    sorts_extra_args: true,
    kubeadm_kubelet_skew: 1,
    named_probe_ports: false,
    scheduler_probes: ProbePaths::Healthz,
    ca_mounts: &[
        "/etc/pki",
        "/usr/share/ca-certificates",
        "/usr/local/share/ca-certificates",
        "/etc/ca-certificates",
    ],
    flex_volume_mount: true,
    node_local_cri_socket: false,
    pod_infra_container_image_flag: true,
    resolv_conf_in_kubelet_config: true,
    control_plane_kubelet_local_mode: false,
    fail_cgroup_v1: None,
    kubelet_config_dir: Stage::Alpha,
    cgroup_driver_from_cri: Stage::Alpha,
    warns_without_runtime_config: false,
    authentication_config: None,
    anonymous_endpoints: Stage::Absent,
    authorization_config: None,
    proxy_mode: ProxyMode::Iptables,
    kubeadm_proxy_mode: "",
    corefile_disables_cluster_cache: false,
    coredns_dropped_capabilities: "all",
};

const V1_29: Release = Release {
    minor: 29,
    // 1.29.11 to 1.29.14 could not be read; 3.5.16-0 is in 1.29.15.
    etcd_image_tags: &[
        (0, "3.5.10-0"),
        (3, "3.5.12-0"),
        (9, "3.5.15-0"),
        (15, "3.5.16-0"),
    ],
    coredns_tags: &[(0, "v1.11.1")],
    kubeadm_kubelet_skew: 3,
    authentication_config: file(Stage::Alpha, CONFIG_V1ALPHA1),
    authorization_config: file(Stage::Alpha, CONFIG_V1ALPHA1),
    coredns_dropped_capabilities: "ALL",
    ..V1_28
};

const V1_30: Release = Release {
    minor: 30,
    etcd_image_tags: &[(0, "3.5.12-0"), (5, "3.5.15-0")],
    coredns_tags: &[(0, "v1.11.1"), (5, "v1.11.3")],
    kubelet_config_dir: Stage::Beta,
    authentication_config: file(Stage::Beta, CONFIG_V1BETA1),
    authorization_config: file(Stage::Beta, CONFIG_V1BETA1),
    ..V1_29
};

const V1_31: Release = Release {
    minor: 31,
    etcd_image_tags: &[(0, "3.5.15-0"), (14, "3.5.24-0")],
    etcd_floors: &[(0, ETCD_3_5_11), (14, ETCD_3_5_24)],
    coredns_tags: &[(0, "v1.11.1"), (1, "v1.11.3")],
    pause: "3.10",
    config_api: ConfigApi::V1Beta4,
    ca_mounts: &[
        "/etc/pki/ca-trust",
        "/etc/pki/tls/certs",
        "/etc/ca-certificates",
        "/usr/share/ca-certificates",
        "/usr/local/share/ca-certificates",
    ],
    resolv_conf_in_kubelet_config: false,
    fail_cgroup_v1: Some(false),
    cgroup_driver_from_cri: Stage::Beta,
    anonymous_endpoints: Stage::Alpha,
    ..V1_30
};

const V1_32: Release = Release {
    minor: 32,
    etcd_image_tags: &[(0, "3.5.16-0"), (10, "3.5.24-0")],
    etcd_floors: &[(0, ETCD_3_5_11), (10, ETCD_3_5_24)],
    coredns_tags: &[(0, "v1.11.3")],
    scheduler_probes: ProbePaths::LivezReadyz,
    anonymous_endpoints: Stage::Beta,
    authorization_config: file(Stage::Stable, CONFIG_V1),
    corefile_disables_cluster_cache: true,
    ..V1_31
};

const V1_33: Release = Release {
    minor: 33,
    etcd_image_tags: &[(0, "3.5.21-0"), (6, "3.5.24-0")],
    etcd_floors: &[(0, ETCD_3_5_11), (6, ETCD_3_5_24)],
    coredns_tags: &[(0, "v1.12.0")],
    control_plane_kubelet_local_mode: true,
    proxy_mode: ProxyMode::Nftables,
    ..V1_32
};

const V1_34: Release = Release {
    minor: 34,
    etcd_image_tags: &[(0, "3.6.4-0"), (2, "3.6.5-0")],
    etcd_floors: &[(0, ETCD_3_5_21), (2, ETCD_3_5_24)],
    coredns_tags: &[(0, "v1.12.1")],
    pause: "3.10.1",
    named_probe_ports: true,
    node_local_cri_socket: true,
    cgroup_driver_from_cri: Stage::Stable,
    authentication_config: file(Stage::Stable, CONFIG_V1),
    anonymous_endpoints: Stage::Stable,
    ..V1_33
};

const V1_35: Release = Release {
    minor: 35,
    etcd_image_tags: &[(0, "3.6.6-0")],
    etcd_floors: &[(0, ETCD_3_5_24)],
    coredns_tags: &[(0, "v1.13.1")],
    pod_infra_container_image_flag: false,
    fail_cgroup_v1: Some(true),
    kubelet_config_dir: Stage::Stable,
    warns_without_runtime_config: true,
    ..V1_34
};

const V1_36: Release = Release {
    minor: 36,
    etcd_image_tags: &[(0, "3.6.8-0")],
    coredns_tags: &[(0, "v1.14.2")],
    pause: "3.10.2",
    sorts_extra_args: false,
    flex_volume_mount: false,
    ..V1_35
};

const V1_37: Release = Release {
    minor: 37,
    etcd_image_tags: &[(0, "3.7.0-0")],
    coredns_tags: &[(0, "v1.14.6")],
    kubeadm_proxy_mode: "iptables",
    ..V1_36
};

/// Every release known, oldest first.
pub const RELEASES: &[Release] = &[
    V1_28, V1_29, V1_30, V1_31, V1_32, V1_33, V1_34, V1_35, V1_36, V1_37,
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_has_no_gaps() {
        for pair in RELEASES.windows(2) {
            assert_eq!(pair[0].minor + 1, pair[1].minor);
        }
    }

    #[test]
    fn values_by_patch_begin_with_the_first_and_rise() {
        for release in RELEASES {
            let images = release.etcd_image_tags.iter().map(|(patch, _)| *patch);
            let floors = release.etcd_floors.iter().map(|(patch, _)| *patch);
            let coredns = release.coredns_tags.iter().map(|(patch, _)| *patch);
            for patches in [
                images.collect::<Vec<_>>(),
                floors.collect(),
                coredns.collect(),
            ] {
                assert_eq!(patches.first(), Some(&0), "1.{}", release.minor);
                assert!(patches.is_sorted_by(|a, b| a < b), "1.{}", release.minor);
            }
        }
    }

    /// A release does not ask for an etcd newer than the one that it comes with, and none asks for less than the
    /// one before.
    #[test]
    fn floors_of_etcd_are_met_by_its_images_and_never_fall() {
        for release in RELEASES {
            let (_, tag) = release.etcd_image_tags[0];
            let (image, _) = tag.split_once('-').unwrap();
            assert!(release.etcd_floors[0].1 <= image.parse().unwrap(), "{tag}");
        }
        let floors = RELEASES.iter().map(|release| release.etcd_floors[0].1);
        assert!(floors.is_sorted());
    }
}
