//! Stock kubeadm of the same minor on a lab of static pods: it finds what it would have made itself.

use crate::{
    lab::{Lab, Scene},
    run::Done,
    turn::Room,
    waiting::{so, wait_for},
    work::boot_of,
};
use std::{collections::BTreeSet, time::Instant};

/// Where kubeadm finds the other programs; beside it are those of the lab.
const PATH: &str = "PATH=/opt/lab/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Where the configuration for the phases of `kubeadm init` is put.
const CONFIG: &str = "/run/kubeadm.yaml";

/// What one kubeadm does otherwise than another.
struct Expected {
    /// The kubeconfig of last resort, which is there from 1.29 on.
    super_admin: bool,
    /// The lines that its manifests have and ours do not: until 1.33 it writes a time that is none.
    manifest_lines: &'static [&'static str],
    /// What `join` need not find: namespaces have the cgroups of this machine, and may have its swap.
    lenient: &'static str,
}

const NEWEST: Expected = Expected {
    super_admin: true,
    manifest_lines: &[],
    lenient: "--ignore-preflight-errors=SystemVerification,Swap",
};

const OLDEST: Expected = Expected {
    super_admin: false,
    manifest_lines: &["+  creationTimestamp: null"],
    // Until 1.30 the runtime is asked by a program that is no part of Kubernetes.
    lenient: "--ignore-preflight-errors=SystemVerification,Swap,FileExisting-crictl",
};

#[test]
#[ignore = "needs root"]
fn stock_kubeadm_works_on_a_lab_of_static_pods() {
    let scene = Scene::taking(Room::Larger);
    let lab = scene.lab("t-kubeadm");
    bring_up(&lab, &[]);
    the_service_proxy_takes_over_what_it_left(&lab);
    etcd_is_restored(&lab);
    kubeadm_is_content(&lab, &NEWEST);
    lab.down();
    scene.nothing_is_left();
}

#[test]
#[ignore = "needs root and the programs of Kubernetes 1.28"]
fn the_oldest_kubeadm_works_on_a_lab_of_static_pods() {
    let scene = Scene::taking(Room::Larger);
    let lab = scene.lab("t-kubeadm-old");
    bring_up(&lab, &["--kubernetes", "1.28.3"]);
    kubeadm_is_content(&lab, &OLDEST);
    lab.down();
    scene.nothing_is_left();
}

#[track_caller]
fn bring_up(lab: &Lab<'_>, version: &[&str]) {
    // Into the directory that machines see as /opt/lab/bin.
    lab.ok(&[&["programs", "--only", "kubeadm"], version].concat());
    let shape = ["--etcd", "1", "--workers", "2", "--shape", "static-pods"];
    lab.up(&[&shape, version].concat());
    lab.check();
    the_control_plane_is_pods(lab);
    lab.up(&[]).changed_nothing();
}

#[track_caller]
fn kubeadm_is_content(lab: &Lab<'_>, expected: &Expected) {
    certificates_are_known(lab, expected);
    the_manifests_are_its_own(lab, expected);
    an_upgrade_is_possible(lab);
    phases_of_init_keep_what_is_there(lab);
    let join = join_command(lab);
    a_worker_is_reset_and_joins(lab, &join, expected);
    // What kubeadm has not said of the worker, such as its second address, the lab says again.
    let up = lab.up(&[]);
    assert_eq!(up.result["changed"], true);
    lab.check();
    lab.up(&[]).changed_nothing();
}

/// kubeadm on a machine, whatever comes of it.
#[track_caller]
fn kubeadm_says(lab: &Lab<'_>, machine: &str, words: &[&str]) -> Done {
    let before = ["exec", machine, "--", "env", PATH, "kubeadm"];
    let all: Vec<&str> = before.iter().chain(words).copied().collect();
    lab.run(&all)
}

/// kubeadm on a machine, which has to succeed.
#[track_caller]
fn kubeadm(lab: &Lab<'_>, machine: &str, words: &[&str]) -> Done {
    let done = kubeadm_says(lab, machine, words);
    assert_eq!(
        done.code,
        Some(0),
        "kubeadm {words:?}: {}\n{}",
        done.err,
        done.out
    );
    done
}

#[track_caller]
fn the_control_plane_is_pods(lab: &Lab<'_>) {
    let parts = ["apiserver", "controller-manager", "scheduler"];
    let wanted: BTreeSet<String> = parts
        .iter()
        .map(|part| format!("kube-{part}-cp-0"))
        .collect();
    // A kubelet that found no API to tell of a static pod tries again within a minute and a half.
    wait_for("static pods that the API knows", || {
        let pods = lab.get(&["pods", "--namespace", "kube-system"]);
        let pods = pods["items"].as_array().unwrap().iter();
        let names: BTreeSet<String> = pods
            .filter_map(|pod| pod["metadata"]["name"].as_str())
            .map(str::to_owned)
            .collect();
        so(wanted.is_subset(&names), names)
    });
    for part in parts {
        let unit = format!("kube-{part}.service");
        let units = lab.run(&["exec", "cp-0", "--", "systemctl", "is-active", &unit]);
        assert_ne!(units.code, Some(0), "{units:?}");
    }
    let proxies = lab.get(&["daemonset", "kube-proxy", "--namespace", "kube-system"]);
    assert_eq!(proxies["status"]["numberReady"], 3, "{proxies}");
}

/// A new pod of kube-proxy finds the rules of the one before, and leads to every Service as that did.
#[track_caller]
fn the_service_proxy_takes_over_what_it_left(lab: &Lab<'_>) {
    let proxy = ["--namespace", "kube-system", "daemonset/kube-proxy"];
    lab.kubectl(&[&["rollout", "restart"], &proxy[..]].concat());
    lab.kubectl(&[&["rollout", "status", "--timeout", "60s"], &proxy[..]].concat());
    lab.check();
}

/// The kubelet ends what uses etcd when the manifests are moved aside; a run that is killed then is gone on with.
#[track_caller]
fn etcd_is_restored(lab: &Lab<'_>) {
    lab.kubectl(&["create", "configmap", "before"]);
    lab.ok(&["etcd", "snapshot", "--to", "etcd.db"]);
    lab.kubectl(&["create", "configmap", "after"]);
    let restore = ["etcd", "restore", "etcd.db"];
    let plan = lab.ok(&[&restore[..], &["--dry-run"]].concat());
    for said in ["move their manifests aside", "move the manifests back"] {
        assert!(plan.contains(said), "{plan}");
    }
    let mut run = lab.start(&[&["--output", "json"][..], &restore].concat());
    let stopped = run.event(|event| event.is("API servers: stop", "done"));
    let killed = run.kill();
    assert!(stopped.is_some(), "{killed:?}");
    let programs = "pgrep -c '^kube-(api|contr|sched)'";
    let left = lab.run(&["exec", "cp-0", "--", "sh", "-c", programs]);
    assert_eq!(left.out.trim(), "0", "they run still: {left:?}");
    let began = Instant::now();
    lab.ok(&["etcd", "restore"]);
    eprintln!(
        "the rest of the restore took {:.1} s",
        began.elapsed().as_secs_f64()
    );
    lab.kubectl(&["get", "configmap", "before"]);
    let gone = lab.run(&["kubectl", "get", "configmap", "after"]);
    assert!(gone.err.contains("NotFound"), "{gone:?}");
    lab.check();
    lab.up(&[]).changed_nothing();
}

#[track_caller]
fn certificates_are_known(lab: &Lab<'_>, expected: &Expected) {
    let done = kubeadm(lab, "cp-0", &["certs", "check-expiration"]);
    let names = [
        "admin.conf",
        "apiserver",
        "apiserver-kubelet-client",
        "controller-manager.conf",
        "front-proxy-client",
        "scheduler.conf",
        "ca",
    ];
    let super_admin = expected.super_admin.then_some("super-admin.conf");
    for name in names.into_iter().chain(super_admin) {
        let row = done
            .out
            .lines()
            .find(|line| line.split_whitespace().next() == Some(name));
        let row = row.unwrap_or_else(|| panic!("{name} is not in\n{}", done.out));
        assert!(
            !row.contains("invalid") && !row.contains("MISSING"),
            "{row}"
        );
    }
}

/// The only difference is our annotation, which has the kubelet start a pod anew when a certificate changes.
#[track_caller]
fn the_manifests_are_its_own(lab: &Lab<'_>, expected: &Expected) {
    let version = server_version(lab);
    let done = kubeadm(lab, "cp-0", &["upgrade", "diff", &version]);
    let changes = done.out.lines().filter(|line| {
        let is_header = line.starts_with("---") || line.starts_with("+++");
        !is_header && (line.starts_with('-') || line.starts_with('+'))
    });
    let ours = |line: &str| line.contains("lab/reads:") || line.trim_end() == "-  annotations:";
    let its_own = |line: &str| expected.manifest_lines.contains(&line.trim_end());
    let wrong: Vec<&str> = changes
        .filter(|line| !ours(line) && !its_own(line))
        .collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(done.out.contains("lab/reads:"), "{}", done.out);
}

/// The lab's CoreDNS is newer than the newest that this kubeadm knows, so it cannot judge its Corefile.
#[track_caller]
fn an_upgrade_is_possible(lab: &Lab<'_>) {
    let unknown = "--ignore-preflight-errors=CoreDNSUnsupportedPlugins,CoreDNSMigration";
    let version = server_version(lab);
    // It demands that the control plane's Node is Ready at that moment.
    let done = wait_for("kubeadm that can plan an upgrade", || {
        let done = kubeadm_says(lab, "cp-0", &["upgrade", "plan", &version, unknown]);
        if done.code == Some(0) {
            Ok(done)
        } else {
            Err(done.err)
        }
    });
    let said = done.out.lines().find_map(|line| {
        let (_, said) = line.split_once("Cluster version: ")?;
        // The oldest writes a `v` before it.
        Some(said.trim_start_matches('v'))
    });
    assert_eq!(said, Some(version.trim_start_matches('v')), "{}", done.out);
}

#[track_caller]
fn server_version(lab: &Lab<'_>) -> String {
    let node = lab.get(&["node", "cp-0"]);
    let version = &node["status"]["nodeInfo"]["kubeletVersion"];
    version.as_str().unwrap().to_owned()
}

#[track_caller]
fn phases_of_init_keep_what_is_there(lab: &Lab<'_>) {
    write_configuration(lab);
    let sums = || {
        let find = "find /etc/kubernetes -type f | sort | xargs sha256sum";
        lab.ok(&["exec", "cp-0", "--", "sh", "-c", find])
    };
    let before = sums();
    for phase in [
        &["certs", "all"][..],
        &["kubeconfig", "all"],
        &["upload-config", "kubeadm"],
        &["bootstrap-token"],
        &["mark-control-plane"],
        &["addon", "kube-proxy"],
    ] {
        let all = [&["init", "phase"], phase, &["--config", CONFIG]].concat();
        let done = kubeadm(lab, "cp-0", &all);
        if matches!(phase[0], "certs" | "kubeconfig") {
            assert!(done.out.contains("existing"), "{}", done.out);
            assert!(!done.out.contains("Generating"), "{}", done.out);
            assert!(!done.out.contains("Writing"), "{}", done.out);
        }
    }
    assert_eq!(sums(), before);
}

/// What an administrator has at hand: the configuration of the cluster, and the machine's own.
#[track_caller]
fn write_configuration(lab: &Lab<'_>) {
    let map = lab.get(&["configmap", "kubeadm-config", "--namespace", "kube-system"]);
    let cluster = map["data"]["ClusterConfiguration"].as_str().unwrap();
    let api = cluster
        .lines()
        .find_map(|line| line.strip_prefix("apiVersion: "));
    let api = api.unwrap();
    let pod = lab.get(&["pod", "kube-apiserver-cp-0", "--namespace", "kube-system"]);
    let endpoint = "kubeadm.kubernetes.io/kube-apiserver.advertise-address.endpoint";
    let endpoint = pod["metadata"]["annotations"][endpoint].as_str().unwrap();
    let (address, port) = endpoint.rsplit_once(':').unwrap();
    let text = format!(
        "apiVersion: {api}\nkind: InitConfiguration\n\
         localAPIEndpoint: {{advertiseAddress: {address}, bindPort: {port}}}\n\
         nodeRegistration: {{name: cp-0}}\n---\n{cluster}"
    );
    let write = r#"printf %s "$1" > "$2""#;
    lab.ok(&["exec", "cp-0", "--", "sh", "-c", write, "sh", &text, CONFIG]);
}

#[track_caller]
fn join_command(lab: &Lab<'_>) -> String {
    let done = kubeadm(lab, "cp-0", &["token", "create", "--print-join-command"]);
    let join = done.out.trim().strip_prefix("kubeadm ");
    join.unwrap_or_else(|| panic!("{done:?}")).to_owned()
}

#[track_caller]
fn a_worker_is_reset_and_joins(lab: &Lab<'_>, join: &str, expected: &Expected) {
    lab.kubectl(&["delete", "node", "worker-1"]);
    kubeadm(lab, "worker-1", &["reset", "--force"]);
    // `reset` leaves what is not its own.
    lab.ok(&["exec", "worker-1", "--", "rm", "-r", "/etc/kubernetes"]);
    let words: Vec<&str> = join.split(' ').chain([expected.lenient]).collect();
    let done = kubeadm(lab, "worker-1", &words);
    assert!(done.out.contains("This node has joined"), "{}", done.out);
    wait_for("worker that kubeadm joined", || {
        // kubeadm goes by the kubelet's certificate; its Node comes later.
        let found = boot_of(lab, "worker-1");
        so(
            found.as_ref().is_some_and(|(_, is_ready)| *is_ready),
            &found,
        )
    });
}
