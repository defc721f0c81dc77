//! What the views say about the matrix; their texts are golden files.

#![expect(
    clippy::disallowed_methods,
    reason = "host-exec is not a dependency of this crate"
)]

use std::process::Command;

use netplan::{Expectation, Policy, dot, matrix_table, mermaid, picture_svg, reachability};

use crate::{labs, pf_labs, planned, program, requirement};

#[test]
fn the_table_tells_families_apart() {
    let plan = planned(&labs::ula_only());
    let table = matrix_table(&plan, &reachability(&plan, &Policy::standard(&plan)));
    let words = |start: &str| {
        let mut lines = table.lines().filter(|line| line.starts_with(start));
        let line = lines.next().expect("a line of the table");
        line.split_whitespace()
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    assert_eq!(
        words("internet"),
        ["internet", "80", "v4", "v4", "v4", "v4", "v4"]
    );
    assert_eq!(words("router  ")[..2], ["router", "6443"]);
}

/// What is no flow of its own, a detour, and what is forbidden is not drawn.
#[test]
fn graphs_show_allowed_flows_with_their_ports() {
    let plan = planned(&requirement(3, 1, 1));
    let rows = reachability(&plan, &Policy::standard(&plan));
    let chart = mermaid(&plan, &rows);
    let number = |label: &str| {
        let node = format!("[\"{label}\"]");
        let line = chart.lines().find(|line| line.ends_with(&node));
        let line = line.expect("a node of the graph").trim();
        line.trim_end_matches(&node).to_owned()
    };
    let edge = |from: &str, label: &str, to: &str| {
        format!("  {} -->|\"{label}\"| {}\n", number(from), number(to))
    };
    assert!(chart.contains(&edge("cp", "2379", "etcd")));
    assert!(chart.contains(&edge("etcd", "2379, 2380", "etcd")));
    assert!(chart.contains(&edge("worker", "all", "cp")));
    let (worker, etcd) = (number("worker"), number("etcd"));
    let from_worker = format!("  {worker} -->");
    let to_etcd = format!("| {etcd}");
    let mut lines = chart.lines();
    assert!(!lines.any(|line| line.starts_with(&from_worker) && line.ends_with(&to_etcd)));
}

/// The picture says of each family that there is how it leaves, and of no other.
#[test]
fn the_picture_names_no_family_that_the_lab_lacks() {
    for (case, family, other) in [
        ("pf-v4-only", "IPv4", "IPv6"),
        ("pf-v6-only", "IPv6", "IPv4"),
    ] {
        let labs = pf_labs::all();
        let (_, lab) = labs.iter().find(|own| own.0 == case).expect("a case");
        let picture = picture_svg(&lab.plan, &[]);
        assert!(
            picture.contains(family) && !picture.contains(other),
            "{picture}"
        );
    }
}

/// Only where that has been found out.
#[test]
fn the_picture_says_that_nothing_comes_in_where_nothing_does() {
    let plan = planned(&requirement(1, 1, 1));
    let closed = Policy::standard(&plan);
    let open = closed.clone().with_api_on_uplink(&plan);
    let says = |rows: &[Expectation]| picture_svg(&plan, rows).contains("nothing comes in");
    assert!(says(&reachability(&plan, &closed)));
    assert!(!says(&[]));
    let open = reachability(&plan, &open);
    assert!(!says(&open), "{open:?}");
}

#[test]
#[ignore = "needs dot"]
fn dot_draws_every_graph() {
    for requirement in [requirement(3, 1, 1), labs::host_npt(), labs::nodes_nat66()] {
        let plan = planned(&requirement);
        let graph = dot(&plan, &reachability(&plan, &Policy::standard(&plan)));
        let output = program::run(Command::new("dot").arg("-Tsvg"), &graph);
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(
            output.status.success() && error.is_empty(),
            "{error}\n{graph}"
        );
        let svg = String::from_utf8_lossy(&output.stdout);
        let edges = |text: &str, mark: &str| text.matches(mark).count();
        assert_eq!(edges(&svg, "class=\"edge\""), edges(&graph, " -> "));
    }
}
