//! kubeadm judges what we leave in its name: a dry run of `kubeadm init` with our configuration writes the files and
//! prints the objects that it would make, and ours have to mean the same.
//!
//! `LAB_KUBEADM_DIR` names a directory with `1.28.3/kubeadm` and `1.37.2/kubeadm`; `./lab test` makes it.

use crate::{cluster, hardened};
use k8s_bootstrap::{
    APPLIED, ClusterSpec, ConfigApi, Desired, NodePath, Profile, Shape, kubeadm::READS,
};
use serde::Deserialize as _;
use serde_json::{Value, json};
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    process::Command,
};
use tempfile::TempDir;

#[test]
#[ignore = "needs kubeadm"]
fn kubeadm_1_37_would_leave_the_same() {
    judge("1.37.2", Profile::Standard);
}

#[test]
#[ignore = "needs kubeadm"]
fn kubeadm_1_37_would_leave_the_same_of_the_hardened_profile() {
    judge("1.37.2", Profile::Hardened);
}

#[test]
#[ignore = "needs kubeadm"]
fn kubeadm_1_28_would_leave_the_same() {
    judge("1.28.3", Profile::Standard);
}

#[test]
#[ignore = "needs kubeadm"]
fn kubeadm_1_28_would_leave_the_same_of_the_hardened_profile() {
    judge("1.28.3", Profile::Hardened);
}

/// Objects of ours that a dry run has no occasion to print: Nodes are the kubelets' in kubeadm, and the binding of
/// administrators is made by the first client of admin.conf.
const UNPRINTED: [&str; 2] = ["Node", "ClusterRoleBinding kubeadm:cluster-admins"];

fn judge(version: &str, profile: Profile) {
    let verdict = Verdict::ask(version, profile);
    let ours = verdict.desired();
    let mut wrong = manifests(&verdict, &ours);
    wrong.extend(kubelet_files(&verdict, &ours));
    wrong.extend(objects(&verdict, &ours));
    assert!(wrong.is_empty(), "{version}:\n{}", wrong.join("\n"));
}

/// What kubeadm would do.
struct Verdict {
    spec: ClusterSpec,
    dir: TempDir,
    printed: String,
}

impl Verdict {
    #[expect(
        clippy::disallowed_methods,
        reason = "kubeadm is run as an administrator does, and where it is is the caller's to say"
    )]
    fn ask(version: &str, profile: Profile) -> Self {
        let spec = spec(version, profile);
        let dir = tempfile::tempdir().unwrap();
        let config = dir.path().join("config.yaml");
        let drafts = Desired::new(spec.clone(), &hardened::material()).unwrap();
        fs::write(&config, configuration(&drafts)).unwrap();
        let results = dir.path().join("results");
        fs::create_dir(&results).unwrap();
        let programs = std::env::var_os("LAB_KUBEADM_DIR");
        let programs = PathBuf::from(programs.expect("LAB_KUBEADM_DIR says where kubeadm is"));
        let done = Command::new(programs.join(version).join("kubeadm"))
            .args(["init", "--dry-run", "--config"])
            .arg(&config)
            // The rest of the phases asks this machine what it has.
            .arg("--skip-phases=preflight,wait-control-plane,kubelet-finalize")
            .env("KUBEADM_INIT_DRYRUN_DIR", &results)
            .output()
            .unwrap();
        let printed = String::from_utf8(done.stdout).unwrap();
        let said = String::from_utf8_lossy(&done.stderr);
        assert!(done.status.success(), "{printed}\n{said}");
        Self { spec, dir, printed }
    }

    /// A file that it wrote; until 1.30 in a directory of its own below the one that was given.
    fn file(&self, name: &str) -> String {
        let results = self.dir.path().join("results");
        let below = fs::read_dir(results.join("tmp")).into_iter().flatten();
        let below = below.flatten().map(|entry| entry.path());
        let found = below.chain([results]).map(|dir| dir.join(name));
        let found = found.into_iter().find(|path| path.exists());
        let path = found.unwrap_or_else(|| panic!("kubeadm wrote no {name}"));
        fs::read_to_string(path).unwrap()
    }

    /// The objects that it would make, by kind and name.
    fn objects(&self) -> BTreeMap<String, Value> {
        let pieces = self.printed.split("[dryrun] Attached object:\n").skip(1);
        let object = |piece: &str| {
            let lines = piece.lines().take_while(|line| !line.starts_with('['));
            // Until 1.31 indented.
            let text: String = lines
                .map(|line| format!("{}\n", line.strip_prefix('\t').unwrap_or(line)))
                .collect();
            let object: Value = serde_norway::from_str(&text).unwrap();
            (key(&object), object)
        };
        pieces.map(object).collect()
    }

    /// What we would leave, of the authority that kubeadm made.
    fn desired(&self) -> Desired {
        let mut material = hardened::material();
        material.ca_pem = self.file("ca.crt");
        Desired::new(self.spec.clone(), &material).unwrap()
    }
}

/// The reference cluster, on machines with the directories of authorities that this one has.
fn spec(version: &str, profile: Profile) -> ClusterSpec {
    let mut spec = cluster::spec(version);
    spec.shape = Shape::StaticPods;
    spec.profile = profile;
    spec.images.registry = false;
    spec.upstream_dns = vec!["10.10.1.1".parse().unwrap()];
    let known = spec.version.release().ca_mounts.iter();
    let here = known.filter(|path| Path::new(path).exists());
    spec.trust_dirs = here.map(|path| path.parse::<NodePath>().unwrap()).collect();
    spec
}

/// What an administrator would write to get our cluster.
fn configuration(ours: &Desired) -> String {
    let spec = ours.spec();
    let node = &spec.control_planes[0];
    let api = spec.version.release().config_api;
    let node_ip = node.address.list();
    let taint = "node-role.kubernetes.io/control-plane:NoSchedule";
    let extra = match api {
        ConfigApi::V1Beta3 => json!({"node-ip": node_ip, "register-with-taints": taint}),
        ConfigApi::V1Beta4 => json!([
            {"name": "node-ip", "value": node_ip},
            {"name": "register-with-taints", "value": taint},
        ]),
    };
    let init = json!({
        "apiVersion": api.api_version(),
        "kind": "InitConfiguration",
        "bootstrapTokens": [{"token": "abcdef.0123456789abcdef"}],
        "localAPIEndpoint": {"advertiseAddress": node.address.v4, "bindPort": spec.api_port},
        "nodeRegistration": {
            "criSocket": "unix:///var/run/containerd/containerd.sock",
            "kubeletExtraArgs": extra,
            "name": node.name.as_str(),
        },
    });
    let data = |name: &str, key: &str| {
        let mut objects = ours.objects.iter();
        let map = objects.find(|o| o.key().kind == "ConfigMap" && o.key().name == name);
        let text = map.unwrap().body()["data"][key].as_str();
        text.unwrap().to_owned()
    };
    [
        serde_norway::to_string(&init).unwrap(),
        data("kubeadm-config", "ClusterConfiguration"),
        data("kubelet-config", "kubelet"),
        data("kube-proxy", "config.conf"),
    ]
    .join("---\n")
}

fn our_file(ours: &Desired, path: &str) -> String {
    let setup = &ours.nodes[&"cp-0".parse().unwrap()];
    let file = setup.files.iter().find(|file| file.path == Path::new(path));
    let file = file.unwrap_or_else(|| panic!("we have no {path}"));
    String::from_utf8(file.contents.bytes().to_vec()).unwrap()
}

fn yaml(text: &str) -> Value {
    let mut documents = serde_norway::Deserializer::from_str(text);
    Value::deserialize(documents.next().unwrap()).unwrap()
}

fn manifests(verdict: &Verdict, ours: &Desired) -> Vec<String> {
    let parts = ["apiserver", "controller-manager", "scheduler"];
    let compare = |part: &str| {
        let name = format!("kube-{part}.yaml");
        let theirs = yaml(&verdict.file(&name));
        let our = yaml(&our_file(
            ours,
            &format!("/etc/kubernetes/manifests/{name}"),
        ));
        assert!(our["metadata"]["annotations"][READS].is_string());
        differences(&name, &normal(our), &normal(theirs))
    };
    parts.into_iter().flat_map(compare).collect()
}

fn kubelet_files(verdict: &Verdict, ours: &Desired) -> Vec<String> {
    let both = |path: &str| {
        let name = path.rsplit('/').next().unwrap();
        (our_file(ours, path), verdict.file(name))
    };
    let (our, their) = both("/var/lib/kubelet/config.yaml");
    let mut wrong = differences("config.yaml", &yaml(&our), &yaml(&their));
    let (our, their) = both("/var/lib/kubelet/kubeadm-flags.env");
    let flags = |text: &str| -> BTreeSet<String> {
        let (name, flags) = text.trim().split_once('=').unwrap();
        assert_eq!(name, "KUBELET_KUBEADM_ARGS");
        let flags = flags.trim_matches('"').split(' ').map(str::to_owned);
        // The machine that tests is not called cp-0.
        flags
            .filter(|flag| flag != "--hostname-override=cp-0")
            .collect()
    };
    if flags(&our) != flags(&their) {
        wrong.push(format!("kubeadm-flags.env: {our}{their}"));
    }
    if verdict.spec.version.release().node_local_cri_socket {
        let (our, their) = both("/var/lib/kubelet/instance-config.yaml");
        assert_eq!(our, their);
    }
    // Until kubelet-finalize the certificate is inside, and then in the file that ours names.
    let (our, their) = both("/etc/kubernetes/kubelet.conf");
    let whom = |text: &str| {
        let mut config = yaml(text);
        assert!(config["users"][0]["user"].is_object());
        config["users"][0]["user"] = Value::Null;
        config
    };
    wrong.extend(differences("kubelet.conf", &whom(&our), &whom(&their)));
    wrong
}

fn objects(verdict: &Verdict, ours: &Desired) -> Vec<String> {
    let theirs = verdict.objects();
    let all = ours.objects.iter().chain([&ours.token_secret]);
    let all: BTreeMap<String, &Value> = all.map(|o| (key(o.body()), o.body())).collect();
    let mut wrong = Vec::new();
    for (key, theirs) in &theirs {
        if key.starts_with("Node ") {
            continue;
        }
        match all.get(key) {
            None => wrong.push(format!("{key}: we have none")),
            Some(our) => {
                let (our, theirs) = (normal((*our).clone()), normal(theirs.clone()));
                wrong.extend(differences(key, &our, &theirs));
            }
        }
    }
    let unprinted = |key: &&String| !UNPRINTED.iter().any(|known| key.starts_with(known));
    let more = all.keys().filter(|key| !theirs.contains_key(*key));
    wrong.extend(
        more.filter(unprinted)
            .map(|key| format!("{key}: kubeadm has none")),
    );
    wrong
}

fn key(object: &Value) -> String {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let name = text(&object["metadata"]["name"]);
    format!("{} {name}", text(&object["kind"]))
}

/// An object without what is said in another way, and without the differences that `k8s_bootstrap::kubeadm` names.
fn normal(mut object: Value) -> Value {
    if let Some(annotations) = object["metadata"]["annotations"].as_object_mut() {
        annotations.remove(APPLIED);
        annotations.remove(READS);
    }
    // 1.28 gives some a namespace, and the API takes it away.
    if key(&object).starts_with("Cluster") {
        object["metadata"]["namespace"] = Value::Null;
    }
    // The API fills this in.
    for subject in object["subjects"].as_array_mut().into_iter().flatten() {
        if let Some(fields) = subject.as_object_mut() {
            fields.remove("apiGroup");
        }
    }
    match key(&object).as_str() {
        "Service kube-dns" => {
            let spec = object["spec"].as_object_mut().unwrap();
            for both_families in ["clusterIPs", "ipFamilies", "ipFamilyPolicy"] {
                spec.remove(both_families);
            }
            object["metadata"]["resourceVersion"] = Value::Null;
        }
        "Secret bootstrap-token-abcdef" => object["data"]["expiration"] = Value::Null,
        "ConfigMap coredns" => {
            let text = object["data"]["Corefile"].as_str().unwrap();
            let lines = text.lines().map(str::trim);
            let lines = lines.map(|line| line.replace(" 10.10.1.1 ", " /etc/resolv.conf "));
            // The order of plugins was fixed when CoreDNS was built.
            let lines: BTreeSet<String> = lines.collect();
            object["data"]["Corefile"] = lines.into_iter().collect();
        }
        _ if object["kind"] == "ConfigMap" => {
            let data = object["data"].as_object_mut().unwrap();
            for document in data.values_mut() {
                *document = yaml(document.as_str().unwrap());
                // kubeadm fills these in, also when it reads ours: the first from 1.35 on, the other until 1.29.
                for (parent, default) in [
                    ("/etcd/external", "httpEndpoints"),
                    ("/apiServer/extraArgs", "authorization-mode"),
                ] {
                    let parent = document.pointer_mut(parent).and_then(Value::as_object_mut);
                    parent.and_then(|fields| fields.remove(default));
                }
            }
        }
        _ => {}
    }
    object
}

/// Where two documents mean different things. What one of them leaves out has to be nothing in the other.
fn differences(place: &str, ours: &Value, theirs: &Value) -> Vec<String> {
    match (ours, theirs) {
        (Value::Object(a), Value::Object(b)) => {
            let keys: BTreeSet<&String> = a.keys().chain(b.keys()).collect();
            let of = |key: &&String| {
                let (a, b) = (&ours[key.as_str()], &theirs[key.as_str()]);
                differences(&format!("{place}.{key}"), a, b)
            };
            keys.iter().flat_map(of).collect()
        }
        (Value::Array(a), Value::Array(b)) if a.len() == b.len() => {
            let pairs = sorted(a).into_iter().zip(sorted(b));
            pairs
                .flat_map(|(a, b)| differences(&format!("{place}[]"), a, b))
                .collect()
        }
        (a, b) if a == b || (a.is_null() && is_nothing(b)) || (b.is_null() && is_nothing(a)) => {
            Vec::new()
        }
        (a, b) => vec![format!("{place}: ours {a}, theirs {b}")],
    }
}

fn is_nothing(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Bool(value) => !value,
        Value::Number(number) => number.as_f64() == Some(0.0),
        Value::String(text) => matches!(text.as_str(), "" | "0" | "0s"),
        Value::Array(list) => list.is_empty(),
        Value::Object(fields) => fields.values().all(is_nothing),
    }
}

/// In an order that does not depend on who wrote it: by name where there is one.
fn sorted(list: &[Value]) -> Vec<&Value> {
    let mut list: Vec<&Value> = list.iter().collect();
    list.sort_by_cached_key(|value| match value["name"].as_str() {
        Some(name) => name.to_owned(),
        None => value.to_string(),
    });
    list
}

#[test]
fn differences_are_found_and_empty_values_are_none() {
    let found = |a: Value, b: Value| differences("x", &a, &b).len();
    assert_eq!(
        found(json!({"a": 1, "b": null}), json!({"a": 1, "c": {"d": ""}})),
        0
    );
    assert_eq!(
        found(json!(["--b=1", "--a=1"]), json!(["--a=1", "--b=1"])),
        0
    );
    assert_eq!(found(json!({"a": 1}), json!({"a": 2})), 1);
    assert_eq!(found(json!({"a": 1}), json!({})), 1);
    assert_eq!(found(json!({}), json!({"a": true})), 1);
    assert_eq!(found(json!(["--a=1"]), json!(["--a=1", "--b=1"])), 1);
}
