//! Named conditions of a running cluster, each with its evidence.

use crate::{
    Api, ApiError, Desired, Hosts, ObserveError, Readiness, Role, blame, metrics,
    observe::{self, condition, holds},
    services,
    serving::{self, REQUESTS},
};
use host_exec::{Condition, HostName};
use serde_json::Value;
use std::{
    collections::{BTreeMap, BTreeSet},
    net::{Ipv4Addr, SocketAddr},
};

/// A condition that could not be looked into counts as not met.
fn unknown(name: impl Into<String>, error: &ApiError) -> Condition {
    Condition::new(name, false, format!("{error}: {}", error.source))
}

/// Looks into every condition, in the order in which a person would: APIs, controllers, services, nodes, name server,
/// metrics-server where there is to be one, and that control planes run nothing of users. Changes nothing.
///
/// # Errors
///
/// A host is missing, or the material makes no TLS client. A condition that is not met, or that nobody can
/// answer for, is *not* an error.
pub async fn health(desired: &Desired, hosts: &Hosts) -> Result<Vec<Condition>, ObserveError> {
    let apis = observe::apis(desired, hosts)?;
    let (mut conditions, first_ready) = control_planes(desired, hosts, &apis).await;
    ways(desired, hosts, &mut conditions).await?;
    conditions.extend(services::conditions(desired, hosts).await);
    // Whichever answers. Where none is ready, its condition says why, and each of the others would wait in vain.
    let Some(api) = first_ready.map(|at| &apis[at].1) else {
        conditions.extend(unanswered(desired));
        return Ok(conditions);
    };
    nodes(desired, api, &mut conditions).await;
    serving_requests(desired, api, &mut conditions).await;
    dns(api, &mut conditions).await;
    conditions.extend(metrics::condition(desired, api).await);
    pods(desired, api, &mut conditions).await;
    Ok(conditions)
}

const SERVING: &str = "no kubelet waits for a serving certificate";
const DNS: &str = "CoreDNS is available";
const PODS: &str = "control planes run no pods of users";

/// What only an API server can tell.
fn unanswered(desired: &Desired) -> impl Iterator<Item = Condition> {
    let nodes = desired.nodes.keys().map(node_is_ready);
    let metrics = desired.spec.addons.metrics_server.as_ref();
    let others = [SERVING, DNS].into_iter();
    let others = others.chain(metrics.map(|_| metrics::NAME)).chain([PODS]);
    let names = nodes.chain(others.map(str::to_owned));
    names.map(|name| Condition::new(name, false, "no API server is ready"))
}

fn node_is_ready(name: &HostName) -> String {
    format!("node {name} is Ready")
}

/// The part of [`health`](health()) that needs no nodes: each API server, its controller manager and its scheduler.
///
/// # Errors
///
/// As [`health`](health()).
pub async fn control_plane_health(
    desired: &Desired,
    hosts: &Hosts,
) -> Result<Vec<Condition>, ObserveError> {
    let apis = observe::apis(desired, hosts)?;
    Ok(control_planes(desired, hosts, &apis).await.0)
}

/// The conditions, and which API is the first that is ready.
async fn control_planes(
    desired: &Desired,
    hosts: &Hosts,
    apis: &[(HostName, Api)],
) -> (Vec<Condition>, Option<usize>) {
    let mut conditions = Vec::new();
    let mut first_ready = None;
    for (at, (name, api)) in apis.iter().enumerate() {
        let readiness = api.readiness().await;
        let ok = readiness == Readiness::Ready;
        if ok && first_ready.is_none() {
            first_ready = Some(at);
        }
        let mut evidence = readiness.to_string();
        if let (false, Some(host)) = (ok, hosts.get(name)) {
            evidence = blame::with_certificate(&**host, &desired.ca_pem, evidence).await;
        }
        conditions.push(Condition::new(
            format!("API of {name} is ready"),
            ok,
            evidence,
        ));
        controllers(name, api, ok, &mut conditions).await;
    }
    (conditions, first_ready)
}

/// The ways to whichever API server lives: the balancer of each node, and the virtual address, asked from a worker.
async fn ways(
    desired: &Desired,
    hosts: &Hosts,
    conditions: &mut Vec<Condition>,
) -> Result<(), ObserveError> {
    let spec = &desired.spec;
    let mut ways = Vec::new();
    if let Some(balancer) = &spec.balancer {
        let loopback = SocketAddr::from((Ipv4Addr::LOCALHOST, balancer.port));
        let of_node = |node: &HostName| {
            let name = format!("the balancer of {node} leads to an API server");
            (name, node.clone(), loopback)
        };
        ways.extend(desired.nodes.keys().map(of_node));
    }
    if let Some(virtual_address) = &spec.virtual_address {
        let from = spec.workers.first().unwrap_or(&spec.control_planes[0]);
        for address in virtual_address.address.both() {
            let name = format!("{address} leads to an API server");
            ways.push((name, from.name.clone(), (address, spec.api_port).into()));
        }
    }
    for (name, from, address) in ways {
        let api = observe::api(desired, hosts, &from, address)?;
        let readiness = api.readiness().await;
        let (ok, evidence) = (readiness == Readiness::Ready, readiness.to_string());
        conditions.push(Condition::new(name, ok, evidence));
    }
    Ok(())
}

/// The two listen on the loopback of their machine with certificates that nobody signed; their API server
/// asks their `/healthz` all the same and tells it as `ComponentStatus`.
async fn controllers(node: &HostName, api: &Api, answers: bool, conditions: &mut Vec<Condition>) {
    let names = ["controller-manager", "scheduler"];
    let names = names.map(|component| (component, format!("{component} of {node} is healthy")));
    if !answers {
        let unknown = |(_, name)| Condition::new(name, false, "its API server is not ready");
        conditions.extend(names.map(unknown));
        return;
    }
    let list = api.list("v1", "ComponentStatus").await;
    for (component, name) in names {
        conditions.push(match &list {
            Err(error) => unknown(name, error),
            Ok(list) => match list.get(component) {
                None => Condition::new(name, false, "the API does not know it"),
                Some(status) => {
                    let (ok, said) = component_health(status);
                    Condition::new(name, ok, said)
                }
            },
        });
    }
}

pub(crate) fn component_health(status: &Value) -> (bool, String) {
    let conditions = status["conditions"].as_array();
    let healthy = conditions
        .into_iter()
        .flatten()
        .find(|c| c["type"] == "Healthy");
    let healthy = healthy.unwrap_or(&Value::Null);
    let said = ["message", "error"]
        .map(|key| healthy[key].as_str().unwrap_or_default())
        .join(" ");
    (healthy["status"] == "True", said.trim().to_owned())
}

async fn nodes(desired: &Desired, api: &Api, conditions: &mut Vec<Condition>) {
    let list = api.list("v1", "Node").await;
    for name in desired.nodes.keys() {
        let statement = node_is_ready(name);
        conditions.push(match &list {
            Err(error) => unknown(statement, error),
            Ok(list) => match list.get(name.as_str()) {
                None => Condition::new(statement, false, "there is no such Node"),
                Some(node) => Condition::new(statement, holds(node, "Ready"), ready_evidence(node)),
            },
        });
    }
}

fn ready_evidence(node: &Value) -> String {
    let message = condition(node, "Ready")["message"].as_str();
    let message = message.unwrap_or("no condition Ready");
    let version = node["status"]["nodeInfo"]["kubeletVersion"]
        .as_str()
        .unwrap_or("unknown");
    format!("{message}; kubelet {version}")
}

/// A kubelet renews its serving certificate long before it ends, and asks: what waits for weeks ends it.
async fn serving_requests(desired: &Desired, api: &Api, conditions: &mut Vec<Condition>) {
    conditions.push(match api.list(REQUESTS.0, REQUESTS.1).await {
        Err(error) => unknown(SERVING, &error),
        Ok(list) => {
            let pending = serving::pending(&desired.spec, &list);
            let texts: Vec<String> = pending.iter().map(ToString::to_string).collect();
            let evidence = match texts.is_empty() {
                true => format!("none of {} requests is pending", list.len()),
                false => texts.join("; "),
            };
            Condition::new(SERVING, texts.is_empty(), evidence)
        }
    });
}

async fn dns(api: &Api, conditions: &mut Vec<Condition>) {
    conditions.push(match api.list("apps/v1", "Deployment").await {
        Err(error) => unknown(DNS, &error),
        Ok(list) => match list.get("kube-system/coredns") {
            None => Condition::new(DNS, false, "there is no Deployment kube-system/coredns"),
            Some(found) => {
                let number =
                    |pointer: &str| found.pointer(pointer).and_then(Value::as_u64).unwrap_or(0);
                let have = number("/status/availableReplicas");
                let want = number("/spec/replicas");
                // As Kubernetes means it, and as a bring-up waits for it: one of two may be away.
                let evidence = format!("{have} of {want} pods available");
                Condition::new(DNS, holds(found, "Available"), evidence)
            }
        },
    });
}

async fn pods(desired: &Desired, api: &Api, conditions: &mut Vec<Condition>) {
    conditions.push(match api.list("v1", "Pod").await {
        Err(error) => unknown(PODS, &error),
        Ok(list) => {
            let of_role = desired
                .nodes
                .iter()
                .filter(|(_, setup)| setup.role == Role::ControlPlane);
            let control_planes = of_role.map(|(name, _)| name.as_str()).collect();
            let found = user_pods(&list, &control_planes);
            let evidence = match found.is_empty() {
                true => format!("none of {} pods", list.len()),
                false => found.join(", "),
            };
            Condition::new(PODS, found.is_empty(), evidence)
        }
    });
}

/// Pods outside `kube-system` on the nodes given, as `namespace/name on node`.
fn user_pods(list: &BTreeMap<String, Value>, nodes: &BTreeSet<&str>) -> Vec<String> {
    list.iter()
        .filter(|(key, _)| !key.starts_with("kube-system/"))
        .filter_map(|(key, pod)| Some((key, pod["spec"]["nodeName"].as_str()?)))
        .filter(|(_, node)| nodes.contains(node))
        .map(|(key, node)| format!("{key} on {node}"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn pods_of_users_on_control_planes_are_found() {
        let pod = |node: &str| json!({"spec": {"nodeName": node}});
        let list = BTreeMap::from([
            ("default/web".to_owned(), pod("cp-0")),
            ("default/ok".to_owned(), pod("worker-0")),
            ("default/pending".to_owned(), json!({"spec": {}})),
            ("kube-system/agent".to_owned(), pod("cp-0")),
        ]);
        assert_eq!(
            user_pods(&list, &BTreeSet::from(["cp-0"])),
            ["default/web on cp-0"]
        );
    }

    /// Captured from kube-apiserver 1.37 (`kubectl get --raw /api/v1/componentstatuses`).
    #[test]
    fn component_statuses_are_read() {
        let good = json!({"conditions": [{"type": "Healthy", "status": "True", "message": "ok"}]});
        assert_eq!(component_health(&good), (true, "ok".into()));
        let bad = json!({"conditions": [{"type": "Healthy", "status": "False",
            "message": "Get \"https://127.0.0.1:10259/healthz\": connection refused"}]});
        assert!(!component_health(&bad).0 && component_health(&bad).1.contains("10259"));
        assert_eq!(component_health(&Value::Null), (false, String::new()));
    }
}
