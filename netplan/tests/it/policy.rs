//! The promises of the standard policy, stated here a second time and independently of its rules.

use netplan::{
    Endpoint, Expectation, Family, Machine, NetworkName, Plan, Policy, Probe, ProbeError, Protocol,
    Role, RouterSpec, V6Mode, Verdict, Zone, reachability,
};
use proptest::prelude::*;

use crate::labs;
use crate::{planned, requirement};

fn machine<'a>(plan: &'a Plan, endpoint: &Endpoint) -> Option<&'a Machine> {
    match endpoint {
        Endpoint::Machine(name) => plan.machine(name.as_str()),
        _ => None,
    }
}

fn node_of_pod<'a>(plan: &'a Plan, endpoint: &Endpoint) -> Option<&'a Machine> {
    match endpoint {
        Endpoint::PodOn(name) => plan.machine(name.as_str()),
        _ => None,
    }
}

/// The network of the destination's interface.
fn arrival<'a>(machine: &'a Machine, probe: &Probe) -> &'a NetworkName {
    let mut nics = machine.nics.iter();
    let nic = nics.find(|nic| nic.address.iter().any(|own| own == probe.destination));
    &nic.expect("the destination is the machine's").network
}

fn is_on(machine: &Machine, network: &NetworkName) -> bool {
    machine.nic(network.as_str()).is_some()
}

fn has_pods(plan: &Plan, network: &NetworkName) -> bool {
    let kubernetes = plan.kubernetes.as_ref();
    kubernetes.is_some_and(|kubernetes| kubernetes.network == *network)
}

/// A network that etcd has for itself: others are on it, but live elsewhere.
fn is_etcds(plan: &Plan, network: &NetworkName) -> bool {
    let others = plan
        .machines
        .iter()
        .filter(|machine| machine.role != Role::Etcd);
    let live_there = |machine: &Machine| {
        let nic = machine.nic(network.as_str());
        let is_node = machine.role.is_node() && has_pods(plan, network);
        nic.is_some_and(|nic| nic.default_route || is_node)
    };
    let mut members = plan.role(Role::Etcd);
    members.any(|member| is_on(member, network)) && !others.clone().any(live_there)
}

/// The table of promises: who may begin a flow to whom.
fn promised(plan: &Plan, probe: &Probe) -> bool {
    if probe.via.is_some() {
        return false;
    }
    let is_outside = probe.from == Endpoint::Internet;
    let is_host = probe.from == Endpoint::Host;
    if let Some(target) = machine(plan, &probe.to) {
        let network = arrival(target, probe);
        return match target.role {
            Role::Etcd => to_member(plan, probe, network),
            _ if is_outside => false,
            _ if is_host => probe.port == 22 || !is_guarded(plan, target, network),
            _ => to_machine(plan, probe, target, network),
        };
    }
    if let Some(node) = node_of_pod(plan, &probe.to) {
        let network = &plan.kubernetes.as_ref().expect("a pod").network;
        assert!(is_on(node, network));
        return match machine(plan, &probe.from) {
            Some(machine) => {
                let nic = machine.nic(network.as_str());
                machine.pods.is_some() || nic.is_some_and(|nic| nic.default_route)
            }
            None => !is_outside,
        };
    }
    let host_routes = matches!(plan.router, RouterSpec::Host { .. });
    match &probe.to {
        Endpoint::Internet => probe.family() == Family::V4 || plan.v6_mode != V6Mode::UlaOnly,
        Endpoint::Host if !host_routes => false,
        Endpoint::Router | Endpoint::Host => is_host || probe.port == 53,
        _ => panic!("no promise about {probe:?}"),
    }
}

fn to_member(plan: &Plan, probe: &Probe, network: &NetworkName) -> bool {
    let role = machine(plan, &probe.from)
        .filter(|from| is_on(from, network))
        .map(|from| from.role);
    match probe.port {
        2379 => matches!(role, Some(Role::ControlPlane | Role::Etcd)),
        2380 => role == Some(Role::Etcd),
        22 => probe.from == Endpoint::Host,
        _ => false,
    }
}

fn is_guarded(plan: &Plan, target: &Machine, network: &NetworkName) -> bool {
    target.nics.len() > 1 && is_etcds(plan, network)
}

fn to_machine(plan: &Plan, probe: &Probe, target: &Machine, network: &NetworkName) -> bool {
    match (machine(plan, &probe.from), node_of_pod(plan, &probe.from)) {
        (Some(from), _) => is_on(from, network) && !is_guarded(plan, target, network),
        // From its node, or from another over the network of the nodes; nowhere else.
        (_, Some(node)) => node.name == target.name || has_pods(plan, network),
        _ => panic!("no promise about {probe:?}"),
    }
}

fn check_promises(plan: &Plan) -> Vec<Expectation> {
    let policy = Policy::standard(plan);
    let matrix = reachability(plan, &policy);
    for row in &matrix {
        assert_eq!(row.allowed, promised(plan, &row.probe), "{row:?}");
        let probe = &row.probe;
        let found = Probe::between(
            plan,
            probe.source,
            probe.destination,
            Protocol::Tcp,
            probe.port,
        );
        // A way around is nothing that addresses tell.
        let straight = Probe {
            via: None,
            ..probe.clone()
        };
        assert_eq!(found, Ok(straight));
    }
    matrix
}

#[test]
fn the_matrix_holds_the_promises() {
    for (etcd, planes, workers) in [(3, 1, 1), (3, 3, 2), (1, 1, 0)] {
        let matrix = check_promises(&planned(&requirement(etcd, planes, workers)));
        for port in [22, 53, 80, 2379, 2380, 6443, 10250, 20_000] {
            let about = matrix.iter().filter(|row| row.probe.port == port);
            assert!(about.count() > 0, "nothing about {port}");
        }
        assert!(matrix.iter().any(|row| row.probe.via.is_some()) || workers == 0);
    }
    for lab in [
        labs::host_npt(),
        labs::nodes_nat66(),
        labs::ula_only(),
        labs::npt(),
        labs::cluster_on_host(),
    ] {
        let matrix = check_promises(&planned(&lab));
        assert!(matrix.iter().any(|row| row.allowed) && matrix.iter().any(|row| !row.allowed));
        assert!(matrix.iter().any(|row| row.probe.via.is_some()));
    }
}

/// The rules that decide, from machine to machine by their main addresses or this network's.
fn rules(
    plan: &Plan,
    from: (&str, &str),
    to: (&str, &str),
    protocol: Protocol,
    port: u16,
) -> String {
    let policy = Policy::standard(plan);
    let address = |(machine, network): (&str, &str)| {
        let address = plan.machine(machine).and_then(|own| own.address(network));
        address.and_then(|own| own.v6).expect("an address").into()
    };
    let decisions = policy.explain_addresses(plan, address(from), address(to), protocol, port);
    let decisions = decisions.expect("a flow of the lab");
    let rules = decisions.iter().map(|decision| decision.rule.as_str());
    rules.collect::<Vec<_>>().join(" ")
}

#[test]
fn explanations_name_the_deciding_rule() {
    let plan = planned(&requirement(3, 1, 1));
    let tcp = |from, to, port| rules(&plan, from, to, Protocol::Tcp, port);
    let (plane, worker) = (("cp-0", "etcd"), ("worker-0", "kube"));
    let (member, peer) = (("etcd-0", "etcd"), ("etcd-1", "etcd"));
    assert_eq!(tcp(plane, member, 2379), "etcd-client");
    assert_eq!(tcp(plane, member, 2380), "default");
    assert_eq!(tcp(peer, member, 2380), "etcd-peer");
    assert_eq!(tcp(worker, member, 2379), "kube-to-etcd");
    assert_eq!(tcp(member, plane, 6443), "guard-input");
    assert_eq!(tcp(member, worker, 10250), "etcd-to-kube");
    assert_eq!(rules(&plan, member, plane, Protocol::Echo, 0), "guard-icmp");
    assert_eq!(rules(&plan, peer, member, Protocol::Udp, 2379), "default");
    let policy = Policy::standard(&plan);
    let matrix = reachability(&plan, &policy);
    let why = |from: &str, via: bool| {
        let mut rows = matrix.iter().filter(|row| {
            let probe = &row.probe;
            let to_member = probe.to.to_string() == "etcd-0" && probe.port == 2379;
            to_member && probe.from.to_string() == from && probe.via.is_some() == via
        });
        rows.next().expect("in the matrix").why.clone()
    };
    let guard = "rule guard-into-etcd at the forwarding of class cp";
    assert_eq!(why("worker-0", true), guard);
    assert_eq!(why("pod on cp-0", false), guard);
    assert_eq!(
        why("host", false),
        "rule default at the input of class etcd"
    );
    let unsolicited = "rule unsolicited at the router's forwarding";
    assert_eq!(why("internet", false), unsolicited);
}

/// A machine and a pod of one network see each other, though the router sees one direction only.
#[test]
fn a_machine_beside_the_nodes_reaches_pods_through_the_router() {
    let plan = planned(&labs::nodes_nat66());
    let policy = Policy::standard(&plan);
    let mut rows = reachability(&plan, &policy).into_iter();
    let row = rows.find(|row| {
        row.probe.from.to_string() == "desk-0" && matches!(row.probe.to, Endpoint::PodOn(_))
    });
    let decisions = policy.explain(&plan, &row.expect("in the matrix").probe);
    assert_eq!(decisions[0].rule, "nodes-local");
}

#[test]
fn a_source_address_that_is_not_ones_own_is_dropped() {
    let plan = planned(&requirement(3, 1, 1));
    let policy = Policy::standard(&plan);
    let egress = reachability(&plan, &policy)
        .into_iter()
        .find(|row| row.probe.from.to_string() == "worker-0" && row.probe.to == Endpoint::Internet);
    let mut probe = egress.expect("in the matrix").probe;
    assert_eq!(policy.explain(&plan, &probe)[0].rule, "egress");
    probe.source = "10.200.0.1".parse().expect("an address");
    assert_eq!(policy.explain(&plan, &probe)[0].rule, "spoof-kube");
}

/// The router would answer to machines that asked nothing.
#[test]
fn the_router_answers_nobody_in_the_name_of_another_network() {
    let plan = planned(&requirement(3, 1, 1));
    let policy = Policy::standard(&plan);
    let matrix = reachability(&plan, &policy);
    let mut rows = matrix.iter().filter(|row| row.probe.to == Endpoint::Router);
    let dns = rows.find(|row| row.probe.from.to_string() == "worker-0" && row.allowed);
    let mut probe = dns.expect("in the matrix").probe.clone();
    assert_eq!(policy.explain(&plan, &probe)[0].rule, "guest-dns-tcp");
    let member = plan.machine("etcd-0").and_then(|own| own.address("etcd"));
    let member = member.and_then(|own| own.of(probe.family()));
    probe.source = member.expect("an address");
    assert_eq!(policy.explain(&plan, &probe)[0].rule, "forged-etcd");
}

#[test]
fn ipv6_without_a_way_out_is_refused_and_ipv4_passes() {
    let plan = planned(&labs::ula_only());
    let policy = Policy::standard(&plan);
    let matrix = reachability(&plan, &policy);
    let out = matrix
        .iter()
        .filter(|row| row.probe.to == Endpoint::Internet);
    for row in out {
        let last = policy.explain(&plan, &row.probe).pop().expect("the router");
        let expected = match row.family {
            Family::V4 => ("egress", Verdict::Allow),
            Family::V6 => ("ula-only", Verdict::Refuse),
        };
        assert_eq!((last.rule.as_str(), last.verdict), expected);
    }
}

#[test]
fn the_api_is_exposed_where_that_is_wanted_only() {
    for requirement in [requirement(3, 2, 1), labs::cluster_on_host()] {
        let plan = planned(&requirement);
        let closed = Policy::standard(&plan);
        let open = closed.clone().with_api_on_uplink(&plan);
        let plane = plan.machine("cp-0").expect("a control plane");
        let server = plane.address("kube").and_then(|own| own.v6);
        let worker = plan.machine("worker-0").expect("a worker");
        let worker = worker.address("kube").and_then(|own| own.v6);
        let internet = "2001:db8:feed::1".parse().expect("an address");
        let rule = |policy: &Policy, to: Option<std::net::Ipv6Addr>, port| {
            let to = to.expect("dual stack").into();
            let decisions = policy.explain_addresses(&plan, internet, to, Protocol::Tcp, port);
            decisions.expect("a flow")[0].rule.clone()
        };
        assert_eq!(rule(&closed, server, 6443), "unsolicited");
        assert_eq!(rule(&open, server, 6443), "api-from-internet");
        assert_eq!(rule(&open, server, 22), "unsolicited");
        assert_eq!(rule(&open, worker, 6443), "unsolicited");
        let exposed = |policy: &Policy| {
            let mut exposures = policy.exposures.iter();
            exposures.any(|exposure| exposure.entering == Zone::Internet)
        };
        assert!(exposed(&open) && !exposed(&closed));
        assert_eq!(open.clone().with_api_on_uplink(&plan), open);
    }
    let shop = planned(&labs::host_npt());
    let policy = Policy::standard(&shop);
    assert_eq!(policy.clone().with_api_on_uplink(&shop), policy);
}

#[test]
fn addresses_between_which_nothing_flows_are_errors() {
    let plan = planned(&requirement(3, 1, 1));
    let between = |from: &str, to: &str| {
        let address = |text: &str| text.parse().expect("an address");
        Probe::between(&plan, address(from), address(to), Protocol::Tcp, 80)
    };
    let message = |from, to| between(from, to).expect_err("no flow").to_string();
    assert_eq!(
        message("10.44.1.50", "fd00::1"),
        "10.44.1.50 is IPv4 and fd00::1 is IPv6: name two addresses of one family"
    );
    assert_eq!(
        message("10.44.1.50", "10.44.1.99"),
        "nobody in lab lab has 10.44.1.99, which is in its 10.44.0.0/16: name a machine's address"
    );
    assert_eq!(
        message("192.168.1.1", "10.44.1.50"),
        "192.168.1.1 is not in lab lab and is a private address: name a machine's or a global address"
    );
    assert!(matches!(
        between("10.44.1.50", "10.44.16.1"),
        Err(ProbeError::Service { .. })
    ));
    assert!(matches!(
        between("203.0.113.9", "198.51.100.1"),
        Err(ProbeError::Outside { .. })
    ));
    let probe = between("203.0.113.9", "10.44.1.50").expect("from the internet");
    assert_eq!(probe.from, Endpoint::Internet);
}

#[test]
fn the_matrix_and_the_policy_are_data() {
    let plan = planned(&requirement(3, 1, 1));
    let policy = Policy::standard(&plan);
    let rows = serde_json::to_value(reachability(&plan, &policy)).expect("data");
    assert_eq!(rows[0]["probe"]["from"]["machine"], "etcd-0");
    assert_eq!(rows[0]["probe"]["to"]["machine"], "etcd-1");
    let policy = serde_json::to_value(&policy).expect("data");
    assert_eq!(policy["sets"]["etcd_net"][1], "fdb8:46dc:e505::/64");
    assert_eq!(policy["chains"][0]["point"], "router-forward");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    #[test]
    fn promises_hold_at_any_size(etcd in 1..=9_u16, planes in 1..=5_u16, workers in 0..=9_u16) {
        check_promises(&planned(&requirement(etcd, planes, workers)));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn promises_hold_in_any_lab(requirement in labs::any()) {
        check_promises(&planned(&requirement));
    }
}
