use pki::{
    CaRole, ItemId, KubeletClients, KubernetesVersion, LeafRole, PROFILES, PkiSpec,
    required_bindings,
};

use crate::support::spec;

fn version(text: &str) -> KubernetesVersion {
    text.parse().unwrap()
}

fn groups(role: LeafRole, at: &str) -> String {
    role.profile().groups(version(at)).join(",")
}

/// One line per certificate of the reference cluster, in the words of the field.
fn table(spec: &PkiSpec) -> String {
    let mut text = String::new();
    for leaf in spec.leaves().unwrap() {
        let request = &leaf.request;
        let (purpose, signer) = (request.purpose(), leaf.signer.name());
        text += &format!("{} | {} | {purpose:?}", leaf.id, request.subject());
        text += &format!(" | by {signer} | {}\n", request.alt_names());
    }
    text
}

#[test]
fn the_set_of_the_reference_cluster_is_as_written_down() {
    assert_eq!(table(&spec()), include_str!("../data/set-1.36.1.txt"));
}

#[test]
fn the_oldest_supported_version_has_the_old_groups_and_no_super_admin() {
    let spec = PkiSpec {
        kubernetes_version: version("1.28.3"),
        ..spec()
    };
    assert_eq!(table(&spec), include_str!("../data/set-1.28.3.txt"));
}

#[test]
fn the_kubelet_client_changes_its_group_at_the_exact_patch() {
    let role = LeafRole::ApiServerKubeletClient;
    for (at, expected) in [
        ("1.28.15", "system:masters"),
        ("1.29.0", "kubeadm:cluster-admins"),
        ("1.32.99", "kubeadm:cluster-admins"),
        ("1.33.11", "kubeadm:cluster-admins"),
        ("1.33.12", ""),
        ("1.34.7", "kubeadm:cluster-admins"),
        ("1.34.8", ""),
        ("1.35.4", "kubeadm:cluster-admins"),
        ("1.35.5", ""),
        ("1.36.0", "kubeadm:cluster-admins"),
        ("1.36.1", ""),
        ("1.37.0", ""),
    ] {
        assert_eq!(groups(role, at), expected, "{at}");
    }
}

#[test]
fn other_groups_change_at_1_29() {
    assert_eq!(groups(LeafRole::Admin, "1.28.3"), "system:masters");
    assert_eq!(groups(LeafRole::Admin, "1.29.0"), "kubeadm:cluster-admins");
    assert_eq!(
        groups(LeafRole::ApiServerEtcdClient, "1.28.3"),
        "system:masters"
    );
    assert_eq!(groups(LeafRole::ApiServerEtcdClient, "1.29.0"), "");
    assert_eq!(groups(LeafRole::SuperAdmin, "1.29.0"), "system:masters");
    assert_eq!(groups(LeafRole::Kubelet, "1.28.3"), "system:nodes");
}

#[test]
fn bindings_are_asked_for_exactly_when_a_certificate_needs_them() {
    let names = |at| -> Vec<_> {
        required_bindings(version(at))
            .into_iter()
            .map(|binding| binding.name)
            .collect()
    };
    assert!(names("1.28.3").is_empty());
    assert_eq!(names("1.34.7"), ["kubeadm:cluster-admins"]);
    assert_eq!(
        names("1.37.0"),
        ["kubeadm:cluster-admins", "kubeadm:apiserver-kubelet-client"]
    );
}

#[test]
fn every_role_has_one_row_of_its_own_name() {
    for (index, profile) in PROFILES.iter().enumerate() {
        assert_eq!(profile.role.profile(), profile);
        assert!(
            PROFILES[..index]
                .iter()
                .all(|earlier| earlier.name != profile.name)
        );
        assert!(
            profile.groups.windows(2).all(|pair| pair[0].0 < pair[1].0),
            "{}",
            profile.name
        );
    }
    // `LeafRole::profile` expects a row for each of these, so each is named here.
    use LeafRole as R;
    for role in [
        R::ApiServer,
        R::ApiServerKubeletClient,
        R::ApiServerEtcdClient,
        R::FrontProxyClient,
        R::ControllerManager,
        R::Scheduler,
        R::Admin,
        R::SuperAdmin,
        R::Kubelet,
        R::KubeProxy,
        R::EtcdServer,
        R::EtcdPeer,
        R::EtcdHealthcheckClient,
    ] {
        assert_eq!(role.profile().role, role);
    }
    assert_eq!(PROFILES.len(), 13);
}

#[test]
fn a_version_is_three_numbers() {
    assert_eq!(version("v1.28.3"), KubernetesVersion::new(1, 28, 3));
    for bad in ["", "1.28", "1.28.3.4", "1.28.x", "1.28.3-rc.1", "-1.2.3"] {
        assert!(bad.parse::<KubernetesVersion>().is_err(), "{bad}");
    }
}

#[test]
fn a_contradictory_spec_names_its_field() {
    let check = |change: &dyn Fn(&mut PkiSpec), expected: &str| {
        let mut wrong = spec();
        change(&mut wrong);
        let error = wrong.leaves().unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    };
    check(&|s| s.leaf_life = s.authority_life, "leaf_life");
    check(&|s| s.api_service_ips.clear(), "api_service_ips");
    check(
        &|s| s.etcd_members[1].name = s.etcd_members[0].name.clone(),
        "etcd_members",
    );
    check(&|s| s.control_planes[0].ips.clear(), "control_planes");
    check(
        &|s| s.nodes[1].ips = vec!["::ffff:1.2.3.4".parse().unwrap()],
        "worker-0",
    );
    let long = "a".repeat(60);
    check(
        &|s| (s.kubelet_clients, s.nodes[1].name) = (KubeletClients::All, long.parse().unwrap()),
        &long,
    );
}

#[test]
fn every_item_is_read_from_its_own_name() {
    let leaves = crate::support::spec().leaves().unwrap();
    let items = leaves.into_iter().map(|leaf| leaf.id);
    let fixed = [ItemId::ServiceAccount, ItemId::Authority(CaRole::EtcdPeer)];
    for item in items.chain(fixed) {
        assert_eq!(item.to_string().parse(), Ok(item));
    }
    for bad in [
        "",
        "admin",
        "cluster/apiserver",
        "node/cp-0/admin",
        "node/a_b/kubelet",
        "ca/x",
        "cluster/admin/",
    ] {
        let error = bad.parse::<ItemId>().unwrap_err().to_string();
        assert!(error.starts_with(&format!("`{bad}` is no item")), "{error}");
    }
}
