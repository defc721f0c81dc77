//! A plan as a picture: networks as lanes, classes of machines as cards, allowed flows above them.
//!
//! No layout engine: cards stand side by side in the order of the plan, lanes run below them, and
//! flows are brackets above, each on the lowest track that is free.

mod flows;
mod layout;
mod mermaid;
mod svg;

use crate::plan::Plan;
use crate::policy::Expectation;

/// The picture as SVG 1.1, with colours for light and dark pages; for a README or a web page.
///
/// `flows` are what [`reachability`](crate::reachability) says; those that are allowed are drawn,
/// by class. With none of them only networks and machines are drawn.
#[must_use]
pub fn picture_svg(plan: &Plan, flows: &[Expectation]) -> String {
    svg::draw(plan, &layout::Layout::new(plan, flows::by_party(plan, flows)))
}

/// The same picture as a flowchart for Mermaid.
#[must_use]
pub fn picture_mermaid(plan: &Plan, flows: &[Expectation]) -> String {
    mermaid::draw(plan, &flows::by_party(plan, flows))
}
