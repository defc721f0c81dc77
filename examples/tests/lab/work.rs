//! Real work on a lab: what users do with Kubernetes.

use crate::{
    http,
    lab::Lab,
    run::Next,
    waiting::{LONG, so, wait_for},
};
use nix::sys::signal::Signal;
use serde_json::Value;
use std::{
    collections::{BTreeMap, BTreeSet},
    net::{IpAddr, SocketAddr},
};

/// An HTTP server that runs, and its Service.
pub(crate) struct Web<'l> {
    lab: &'l Lab<'l>,
    /// The Service's own addresses, one of each family.
    pub(crate) cluster_ips: Vec<String>,
    node_port: u16,
}

impl<'l> Web<'l> {
    /// Makes the Deployment and its Service, and waits until both pods answer.
    #[track_caller]
    pub(crate) fn deploy(lab: &'l Lab<'l>) -> Self {
        lab.apply("web.yaml");
        let service = lab.get(&["service", "web"]);
        let ips = service["spec"]["clusterIPs"].as_array().unwrap().iter();
        let web = Self {
            lab,
            cluster_ips: ips.map(|ip| ip.as_str().unwrap().to_owned()).collect(),
            node_port: service["spec"]["ports"][0]["nodePort"]
                .as_u64()
                .unwrap()
                .try_into()
                .unwrap(),
        };
        web.wait_ready();
        web
    }

    #[track_caller]
    pub(crate) fn wait_ready(&self) {
        wait_for("web with 2 pods", || {
            let status = &self.lab.get(&["deployment", "web"])["status"];
            so(
                status["readyReplicas"] == 2 && status["replicas"] == 2,
                status,
            )
        });
    }

    /// The pods that are there and not about to go.
    #[track_caller]
    pub(crate) fn pods(&self) -> Vec<Value> {
        let pods = self.lab.get(&["pods", "--selector", "app=web"]);
        let mut pods = pods["items"].as_array().unwrap().clone();
        pods.retain(|pod| pod["metadata"]["deletionTimestamp"].is_null());
        pods
    }

    #[track_caller]
    pub(crate) fn names(&self) -> BTreeSet<String> {
        self.pods().iter().map(name).collect()
    }

    /// The Service's port at a node.
    #[track_caller]
    pub(crate) fn node_port(&self, node: &str) -> SocketAddr {
        let node = self.lab.get(&["node", node]);
        let address: IpAddr = node["status"]["addresses"][0]["address"]
            .as_str()
            .unwrap()
            .parse()
            .unwrap();
        SocketAddr::new(address, self.node_port)
    }

    /// Waits until the Service answers this machine at the port of a node.
    #[track_caller]
    pub(crate) fn wait_answer(&self, node: &str) {
        let address = self.node_port(node);
        wait_for("answer at the NodePort", || http::get(address, "/"));
    }

    /// Demands that all pods of web answer at `url`, asked from the client's pod, which is on another node than
    /// one of them.
    #[track_caller]
    pub(crate) fn all_answer(&self, url: &str) {
        let mut missing = self.names();
        wait_for("answer of each pod of web", || {
            let done = self
                .lab
                .run(&["kubectl", "exec", "client", "--", "/web", "get", url]);
            let said = done.out.lines().find_map(|line| line.strip_prefix("pod "));
            if let Some(pod) = said {
                missing.remove(pod);
            }
            so(missing.is_empty(), (url, &missing, done.err))
        });
    }
}

/// Makes the pod from which the network is tried.
#[track_caller]
pub(crate) fn client(lab: &Lab<'_>) {
    lab.apply("client.yaml");
    lab.kubectl(&[
        "wait",
        "--for=condition=Ready",
        "pod/client",
        "--timeout=120s",
    ]);
}

/// Forwards a port of this machine to the Service, and asks there.
#[track_caller]
pub(crate) fn port_forward(lab: &Lab<'_>, path: &str) -> String {
    let mut forward = lab.start(&["kubectl", "port-forward", "service/web", ":80"]);
    let line = match forward.next(LONG) {
        Next::Line(line) => line,
        Next::Silence | Next::End => panic!("{:?}", forward.kill()),
    };
    // Forwarding from 127.0.0.1:40123 -> 8080
    let address = line.split(' ').nth(2).unwrap();
    let body = http::get(address.parse().unwrap(), path);
    forward.signal_all(Signal::SIGTERM);
    forward.end();
    body.unwrap()
}

/// A Job runs to its end; returns what it said.
#[track_caller]
pub(crate) fn job(lab: &Lab<'_>) -> String {
    lab.apply("job.yaml");
    lab.kubectl(&[
        "wait",
        "--for=condition=Complete",
        "job/ask",
        "--timeout=120s",
    ]);
    lab.kubectl(&["logs", "job/ask"])
}

/// No pod of users runs on the control plane: the scheduler names the taint.
#[track_caller]
pub(crate) fn control_plane_is_refused(lab: &Lab<'_>) {
    lab.apply("on-control-plane.yaml");
    wait_for("word of the scheduler", || {
        let pod = lab.get(&["pod", "on-control-plane"]);
        assert!(pod["spec"]["nodeName"].is_null(), "{pod:#}");
        let conditions = pod["status"]["conditions"]
            .as_array()
            .cloned()
            .unwrap_or_default();
        let message = conditions.iter().find_map(|one| one["message"].as_str());
        let taint = "node-role.kubernetes.io/control-plane";
        let named =
            message.is_some_and(|text| text.contains(taint) || text.contains("untolerated taint"));
        so(
            named && pod["status"]["phase"] == "Pending",
            pod["status"].to_string(),
        )
    });
}

#[track_caller]
pub(crate) fn name(object: &Value) -> String {
    object["metadata"]["name"].as_str().unwrap().to_owned()
}

/// What tells one start of a node from the next, and whether the node is Ready.
#[track_caller]
pub(crate) fn boot_of(lab: &Lab<'_>, node: &str) -> Option<(String, bool)> {
    let done = lab.run(&["kubectl", "get", "--output", "json", "node", node]);
    let node: Value = serde_json::from_str(&done.out).ok()?;
    let status = &node["status"];
    let mut conditions = status["conditions"].as_array()?.iter();
    let ready = conditions.any(|one| one["type"] == "Ready" && one["status"] == "True");
    Some((status["nodeInfo"]["bootID"].as_str()?.to_owned(), ready))
}

/// Each node with the version of its kubelet.
#[track_caller]
pub(crate) fn versions(lab: &Lab<'_>) -> BTreeMap<String, String> {
    let nodes = lab.get(&["nodes"]);
    let nodes = nodes["items"].as_array().unwrap().iter();
    nodes
        .map(|node| {
            let version = &node["status"]["nodeInfo"]["kubeletVersion"];
            (name(node), version.as_str().unwrap().to_owned())
        })
        .collect()
}

/// metrics-server believes kubelets by their certificate, and the API server leads to it.
#[track_caller]
pub(crate) fn use_is_told(lab: &Lab<'_>, nodes: &[&str]) {
    for (words, names) in [
        (&["top", "nodes"][..], nodes),
        (
            &["top", "pods", "--namespace", "kube-system"],
            &["coredns-", "metrics-server-"],
        ),
    ] {
        // A pod's first figures come with the second look at its kubelet.
        wait_for("figures of all", || {
            let all: Vec<&str> = ["kubectl"].iter().chain(words).copied().collect();
            let told = lab.run(&all);
            let is_there = |name: &&str| told.out.lines().any(|line| line.starts_with(name));
            so(told.code == Some(0) && names.iter().all(is_there), &told)
        });
    }
    let service = lab.get(&["apiservice", "v1beta1.metrics.k8s.io"]);
    let conditions = service["status"]["conditions"].as_array().unwrap();
    assert!(
        conditions
            .iter()
            .any(|c| c["type"] == "Available" && c["status"] == "True")
    );
}
