//! A plan as a picture: networks as lanes, classes of machines as cards, allowed flows above them.
//!
//! No layout engine: cards stand side by side in the order of the plan, lanes run below them, and
//! flows are brackets above, each on the lowest track that is free.

mod layout;
mod mermaid;
mod svg;

use crate::plan::Plan;
use crate::policy::{Expectation, Party, edges};
use layout::Layout;

/// What one party may send to another, in words.
type Flow = ((Party, Party), String);

/// The picture as SVG 1.1, with colours for light and dark pages; for a README or a web page.
///
/// `flows` are what [`reachability`](crate::reachability) says; those that are allowed are drawn,
/// by class; those of pods and to the router are left out. With no flows at all only networks and machines are drawn.
#[must_use]
pub fn picture_svg(plan: &Plan, flows: &[Expectation]) -> String {
    svg::draw(plan, &Layout::new(plan, &drawn(plan, flows)))
}

/// The same picture as a flowchart for Mermaid.
#[must_use]
pub fn picture_mermaid(plan: &Plan, flows: &[Expectation]) -> String {
    mermaid::draw(plan, &drawn(plan, flows))
}

/// The flows between those that have a card of their own.
fn drawn(plan: &Plan, flows: &[Expectation]) -> Vec<Flow> {
    let has_card = |party: &Party| !matches!(party, Party::PodsOn(_) | Party::Router);
    let flows = edges(plan, flows).into_iter();
    flows
        .filter(|((from, to), _)| has_card(from) && has_card(to))
        .collect()
}
