//! No byte of a key is in anything that could be shown: errors, `Debug`, plans, events, reports.

use std::collections::BTreeSet;
use std::fmt::Debug;
use std::fs;

use pki::{
    Authority, CaRole, Certificate, CertificateRequest, ItemId, OsRandom, Passphrase, PkiPlan,
    PrivateKey, Store, Subject, adopt, apply_with_events, expiry, manifest, observe,
};

use crate::support::{days, empty_lab, host, now, plan, spec};

/// What is looked for: every piece of the base64 of every key, and the bytes in hex.
struct Secrets {
    pieces: BTreeSet<String>,
}

impl Secrets {
    fn new(keys: &[String]) -> Self {
        use base64::Engine as _;
        let mut pieces = BTreeSet::new();
        for pem in keys {
            let body: String = pem.lines().filter(|line| !line.starts_with('-')).collect();
            let der = base64::engine::general_purpose::STANDARD
                .decode(&body)
                .unwrap();
            // The first 36 bytes of PKCS#8 say only what kind of key follows, for ECDSA P-256.
            let secret = &der[36..68];
            let hex: String = secret.iter().map(|byte| format!("{byte:02x}")).collect();
            pieces.insert(hex);
            pieces.insert(
                format!("{:?}", &secret[..8])
                    .trim_matches(['[', ']'])
                    .to_owned(),
            );
            // Base64 of bytes 36 to 66, which begins at a whole group.
            let piece = &body[48..88];
            pieces.extend((0..=piece.len() - 12).map(|at| piece[at..at + 12].to_owned()));
        }
        Self { pieces }
    }

    fn assert_absent(&self, what: &str, shown: &str) {
        for piece in &self.pieces {
            assert!(!shown.contains(piece.as_str()), "{what} shows a key");
        }
    }

    fn assert_not_shown(&self, what: &str, value: &dyn Debug) {
        self.assert_absent(what, &format!("{value:?}"));
        self.assert_absent(what, &format!("{value:#?}"));
    }

    fn assert_not_in_error(&self, what: &str, error: &(dyn std::error::Error + 'static)) {
        self.assert_not_shown(what, &error);
        let mut source = Some(error);
        while let Some(inner) = source {
            self.assert_absent(what, &inner.to_string());
            source = inner.source();
        }
    }
}

#[test]
fn the_search_finds_what_it_looks_for() {
    let key = PrivateKey::generate().unwrap().to_pem().to_string();
    let secrets = Secrets::new(std::slice::from_ref(&key));
    let found = std::panic::catch_unwind(|| secrets.assert_absent("a text", &key));
    assert!(found.is_err());
}

#[test]
fn nothing_that_can_be_shown_has_a_byte_of_a_key() {
    let lab = empty_lab(spec());
    let mut events = Vec::new();
    let first = plan(&lab, now());
    let mut on_event = |event| events.push(event);
    let report = apply_with_events(&lab.store, &first, now(), &OsRandom, &mut on_event).unwrap();
    let items: Vec<_> = first.items().iter().map(|item| item.id.clone()).collect();
    let key = |id: &ItemId| lab.store.existing(id).unwrap().key_pem.unwrap().to_string();
    let secrets = Secrets::new(&items.iter().map(key).collect::<Vec<_>>());
    secrets.assert_not_shown("a report", &report);
    secrets.assert_not_shown("the events", &events);
    secrets.assert_absent("the events", &serde_json::to_string(&events).unwrap());
    secrets.assert_not_shown("a snapshot", &observe(&lab.spec, &lab.store).unwrap());
    let late = PkiPlan::new(&lab.spec, &lab.store, now() + days(300)).unwrap();
    secrets.assert_not_shown("a plan", &late);
    secrets.assert_absent("a plan", &late.to_string());
    secrets.assert_not_shown("the expiry", &expiry(&lab.store, now()).unwrap());
    let manifest = manifest(&lab.store).unwrap();
    secrets.assert_absent("the manifest", &serde_json::to_string(&manifest).unwrap());
    secrets.assert_not_shown("the ledger", &lab.store.ledger().unwrap());
    for id in &items {
        secrets.assert_not_shown("an item", &lab.store.read(id).unwrap());
    }
    let public = lab
        .store
        .read_public(&ItemId::Authority(CaRole::Etcd))
        .unwrap();
    let authority = Authority::from_pem(&public, &key(&ItemId::Authority(CaRole::Etcd)), now());
    secrets.assert_not_shown("an authority", &authority.unwrap());
    refusals(&secrets, &key(&ItemId::Authority(CaRole::Etcd)), &public);
}

/// Keys where something else belongs, and damaged ones: what is refused is not repeated.
fn refusals(secrets: &Secrets, key: &str, public: &str) {
    let half = &key[..key.len() / 2 + 20];
    let swapped = key.replace("PRIVATE KEY", "EC PRIVATE KEY");
    let swapped_rsa = key.replace("PRIVATE KEY", "RSA PRIVATE KEY");
    let passphrase = Passphrase::new("correct horse").unwrap();
    for text in [key, half, &swapped, &swapped_rsa] {
        if let Err(error) = PrivateKey::from_pem(text) {
            secrets.assert_not_in_error("a key's refusal", &error);
        }
        if let Err(error) = PrivateKey::from_encrypted_pem(text, &passphrase) {
            secrets.assert_not_in_error("a key's refusal", &error);
        }
        secrets.assert_not_in_error(
            "a certificate's refusal",
            &Certificate::from_pem(text).unwrap_err(),
        );
        let error = Authority::from_pem(text, public, now()).unwrap_err();
        secrets.assert_not_in_error("an authority's refusal", &error);
        let error = Authority::from_pem(public, half, now()).unwrap_err();
        secrets.assert_not_in_error("an authority's refusal", &error);
        let store = Store::new("/nonexistent/store");
        let error = adopt(&store, CaRole::Etcd, (text, text), None, now(), &OsRandom).unwrap_err();
        secrets.assert_not_in_error("a refused adoption", &error);
    }
    let request = CertificateRequest::create(Subject::new("x", &[]).unwrap()).unwrap();
    secrets.assert_not_shown("a request", &request);
}

/// A store with damaged keys: the errors of a plan name files and reasons, and the reasons repeat nothing.
#[test]
fn a_plan_over_damaged_keys_repeats_none_of_them() {
    for role in [CaRole::Kubernetes, CaRole::EtcdPeer] {
        let lab = crate::support::lab();
        let path = lab.store.key_path(&ItemId::Authority(role));
        let key = fs::read_to_string(&path).unwrap();
        let secrets = Secrets::new(std::slice::from_ref(&key));
        for damage in [
            &key[..120],
            &key.replace('A', "B"),
            &key.replace("PRIVATE", "EC PRIVATE"),
        ] {
            fs::write(&path, damage).unwrap();
            let error = PkiPlan::new(&lab.spec, &lab.store, now()).unwrap_err();
            secrets.assert_not_in_error("a plan's refusal", &error);
        }
    }
    // Leaves are made anew, and the plan says why.
    let lab = crate::support::lab();
    let id = ItemId::node(pki::LeafRole::EtcdServer, &host("etcd-0"));
    let key = fs::read_to_string(lab.store.key_path(&id)).unwrap();
    let secrets = Secrets::new(std::slice::from_ref(&key));
    fs::write(lab.store.key_path(&id), &key[..120]).unwrap();
    let plan = plan(&lab, now());
    secrets.assert_absent("a plan", &plan.to_string());
    secrets.assert_not_shown("a plan", &plan);
}
