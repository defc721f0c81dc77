use base64::Engine as _;
use pki::{
    BootstrapToken, CaRole, FileContent, ItemId, LeafRole, NodeFile, OsRandom, Random, RandomError,
    Store, bootstrap_kubeconfig, bundle, kubeconfig, kubeconfig_of_file, manifest, read_bundle,
};

use crate::support::{host, lab, spec};

fn listing(files: &[NodeFile]) -> String {
    files
        .iter()
        .map(|file| match &file.content {
            FileContent::Public(id) => format!("{:04o} {} = {id}\n", file.mode, file.path),
            FileContent::Key(id) => format!("{:04o} {} = key of {id}\n", file.mode, file.path),
            FileContent::Kubeconfig { id, server_url, .. } => {
                format!(
                    "{:04o} {} = kubeconfig of {id} to {server_url}\n",
                    file.mode, file.path
                )
            }
        })
        .collect()
}

#[test]
fn every_machine_gets_the_files_that_are_written_down() {
    let mut spec = spec();
    spec.nodes[1].api_server_url = Some("https://127.0.0.1:6443".parse().unwrap());
    let text = format!(
        "cp-0\n{}etcd-0\n{}worker-0\n{}",
        listing(&spec.files_for_control_plane(&host("cp-0")).unwrap()),
        listing(&spec.files_for_etcd_member(&host("etcd-0")).unwrap()),
        listing(&spec.files_for_node(&host("worker-0")).unwrap()),
    );
    assert_eq!(text, include_str!("../data/files.txt"));
    assert!(spec.files_for_node(&host("etcd-0")).is_err());
}

#[test]
fn every_listed_file_can_be_rendered_and_a_key_is_always_0600() {
    let lab = lab();
    let spec = &lab.spec;
    let mut files = spec.files_for_control_plane(&host("cp-0")).unwrap();
    files.extend(spec.files_for_etcd_member(&host("etcd-2")).unwrap());
    files.extend(spec.files_for_node(&host("worker-0")).unwrap());
    for file in files {
        let bytes = lab.store.contents(&file.content).unwrap();
        let secret = bytes.contains("PRIVATE KEY") || bytes.contains("client-key-data");
        assert_eq!(file.mode == 0o600, secret, "{}", file.path);
        assert_eq!(file.mode == 0o644, !secret, "{}", file.path);
    }
}

#[test]
fn a_later_control_plane_has_no_super_admin() {
    let mut spec = spec();
    spec.control_planes
        .push(crate::support::node("cp-1", &["10.0.1.11"]));
    let has = |name: &str| {
        let files = spec.files_for_control_plane(&host(name)).unwrap();
        files
            .iter()
            .any(|file| file.path.ends_with("super-admin.conf"))
    };
    assert!(has("cp-0") && !has("cp-1"));
}

#[test]
fn a_kubeconfig_holds_the_pair_and_its_authority() {
    let lab = lab();
    let content = lab
        .spec
        .admin_kubeconfig(LeafRole::Admin, lab.spec.api_server_url.clone());
    let text = lab.store.contents(&content).unwrap();
    let material = lab.store.read(&ItemId::cluster(LeafRole::Admin)).unwrap();
    let value = |key: &str| {
        let line = text
            .lines()
            .find_map(|line| line.trim().strip_prefix(key))
            .unwrap();
        let bytes = base64::engine::general_purpose::STANDARD
            .decode(line.trim())
            .unwrap();
        String::from_utf8(bytes).unwrap()
    };
    assert_eq!(
        Some(value("certificate-authority-data:")),
        material.authority_pem
    );
    assert_eq!(value("client-certificate-data:"), material.public_pem);
    assert_eq!(value("client-key-data:"), *material.key_pem);
}

#[test]
fn kubeconfigs_are_rendered_as_written_down() {
    let url = "https://[fd00::1]:6443".parse().unwrap();
    let text = kubeconfig(&host("lab"), &url, "ca", "system:kube-proxy", "cert", "key");
    assert_eq!(*text, include_str!("../data/kubeconfig.yaml"));
    let pair = "/var/lib/kubelet/pki/kubelet-client-current.pem";
    let text = kubeconfig_of_file(&host("lab"), &url, "ca", "system:node:cp-0", pair);
    assert_eq!(text, include_str!("../data/kubeconfig-of-file.yaml"));
    let token = BootstrapToken::new("abcdef.0123456789abcdef").unwrap();
    let text = bootstrap_kubeconfig(&host("lab"), &url, "ca", &token);
    assert_eq!(*text, include_str!("../data/bootstrap-kubeconfig.yaml"));
}

#[test]
fn a_user_name_cannot_break_out_of_its_place() {
    let url = "https://a".parse().unwrap();
    let text = kubeconfig(&host("lab"), &url, "ca", "x\"\n- evil: true", "cert", "key");
    assert!(
        !text.lines().any(|line| line.starts_with("- evil")),
        "{}",
        *text
    );
}

#[test]
fn the_pin_is_of_the_public_key_and_survives_a_reading() {
    let lab = lab();
    let id = ItemId::Authority(CaRole::Kubernetes);
    let pin = lab.store.certificate(&id).unwrap().public_key_pin();
    assert_eq!(pin.len(), "sha256:".len() + 64);
    assert_eq!(pin, lab.store.certificate(&id).unwrap().public_key_pin());
    let other = lab
        .store
        .certificate(&ItemId::Authority(CaRole::Etcd))
        .unwrap();
    assert_ne!(pin, other.public_key_pin());
}

#[test]
fn a_manifest_lists_every_certificate_and_no_key() {
    let lab = lab();
    let entries = manifest(&lab.store).unwrap();
    assert_eq!(
        entries.len(),
        spec().leaves().unwrap().len() + CaRole::ALL.len()
    );
    let server = entries
        .iter()
        .find(|entry| entry.file.ends_with("node/etcd-0/etcd-server.crt"))
        .unwrap();
    let id = ItemId::node(LeafRole::EtcdServer, &host("etcd-0"));
    let certificate = lab.store.certificate(&id).unwrap();
    assert_eq!(server.fingerprint, certificate.fingerprint());
    assert_eq!(
        (server.issuer.as_str(), server.subject.as_str()),
        ("etcd-ca", "etcd-0")
    );
    let line = format!("{} etcd-0 by etcd-ca until 2028-01-15", server.fingerprint);
    assert!(server.to_string().ends_with(&line), "{server}");
    let json = serde_json::to_string(&entries).unwrap();
    assert!(
        json.contains("\"not_after\":\"2028-01-15T08:00:00Z\""),
        "{json}"
    );
    assert!(!json.contains("PRIVATE"));
    assert!(
        manifest(&Store::new("/nonexistent/store"))
            .unwrap()
            .is_empty()
    );
}

#[test]
fn a_bundle_has_each_certificate_once_and_reads_back() {
    let lab = lab();
    let ca = |role| lab.store.certificate(&ItemId::Authority(role)).unwrap();
    let (one, two) = (ca(CaRole::Kubernetes), ca(CaRole::Etcd));
    let text = bundle([&one, &two, &one]);
    assert_eq!(read_bundle(&text).unwrap(), [one.clone(), two]);
    assert_eq!(
        one.to_pem(),
        lab.store
            .read_public(&ItemId::Authority(CaRole::Kubernetes))
            .unwrap()
    );
    for bad in ["", "nonsense", &text[..text.len() - 40]] {
        assert!(read_bundle(bad).is_err(), "{} bytes", bad.len());
    }
}

#[test]
fn tokens_have_their_form_and_do_not_show_their_secret() {
    let token = BootstrapToken::draw(&OsRandom).unwrap();
    let again = BootstrapToken::new(token.expose()).unwrap();
    assert_eq!(
        (token.id(), token.expose_secret()),
        (again.id(), again.expose_secret())
    );
    assert!(!format!("{token:?}").contains(token.expose_secret()));
    assert_ne!(
        token.expose(),
        BootstrapToken::draw(&OsRandom).unwrap().expose()
    );
    for bad in [
        "",
        "abcdef",
        "abcdef.short",
        "ABCDEF.0123456789abcdef",
        "abcdef.0123456789abcdeé",
    ] {
        assert!(BootstrapToken::new(bad).is_err(), "{bad}");
    }
}

#[test]
fn a_source_that_repeats_itself_ends_in_an_error() {
    struct Stuck;
    impl Random for Stuck {
        fn fill(&self, buffer: &mut [u8]) -> Result<(), RandomError> {
            buffer.fill(0xff);
            Ok(())
        }
    }
    assert!(BootstrapToken::draw(&Stuck).is_err());
}
