//! The picture as a flowchart for Mermaid.

use std::fmt::Write as _;

use crate::picture::Flow;
use crate::plan::Plan;
use crate::policy::Party;

pub(super) fn draw(plan: &Plan, flows: &[Flow]) -> String {
    let mut text = String::from("flowchart TB\n");
    // Writing to a String cannot fail.
    for network in &plan.networks {
        let nets: Vec<String> = network.nets.iter().map(|net| net.to_string()).collect();
        let (name, nets) = (&network.name, nets.join("<br/>"));
        let _infallible = writeln!(text, "  net_{name}[/\"{name}<br/>{nets}\"/]");
    }
    for class in &plan.classes {
        let names: Vec<&str> = plan
            .of_class(&class.name)
            .map(|machine| machine.name.as_str())
            .collect();
        let (id, names) = (id(&Party::Class(class.name.clone())), names.join("<br/>"));
        let _infallible = writeln!(text, "  {id}[\"<b>{}</b><br/>{names}\"]", class.name);
        for network in &class.networks {
            let _infallible = writeln!(text, "  {id} --- net_{network}");
        }
    }
    text.push_str("  router{{\"router\"}}\n  host([\"host\"])\n  internet([\"internet\"])\n");
    for network in &plan.networks {
        let _infallible = writeln!(text, "  net_{} --- router", network.name);
    }
    text.push_str("  router --- host\n  router --- internet\n");
    for ((from, to), what) in flows {
        let (from, to) = (id(from), id(to));
        let _infallible = writeln!(text, "  {from} -. \"{what}\" .-> {to}");
    }
    text
}

/// A node's name: no word of Mermaid's own, and no '-', which names of networks never have.
fn id(party: &Party) -> String {
    match party {
        Party::Host => "host".to_owned(),
        Party::Internet => "internet".to_owned(),
        Party::Router => "router".to_owned(),
        Party::Class(name) | Party::PodsOn(name) => {
            format!("class_{}", name.as_str().replace('-', "_"))
        }
    }
}
