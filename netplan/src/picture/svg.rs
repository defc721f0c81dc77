//! The picture as SVG 1.1.

use std::fmt::Write as _;

use crate::picture::flows::Party;
use crate::picture::layout::{
    Bracket, CARD_WIDTH, Card, LANE, LINE, Layout, MARGIN, TRACK, label_width, small,
};
use crate::plan::{Network, Plan};
use crate::requirement::{RouterSpec, V6Mode};

/// Colours of lanes, readable on white and on black.
const LANES: [&str; 6] = [
    "#d1495b", "#2f7ed8", "#2e933c", "#a15cc4", "#c77d0a", "#17919a",
];

const STYLE: &str = "\
text { font: 12px ui-monospace, 'DejaVu Sans Mono', monospace; fill: #1f2328 }
.title { font-weight: bold } .small { font-size: 11px; fill: #59636e }
.card { fill: #f6f8fa; stroke: #8c959f } .back { fill: #ffffff }
.flow { fill: none; stroke: #59636e } .head { fill: #59636e }
@media (prefers-color-scheme: dark) {
text { fill: #e6edf3 } .small { fill: #9198a1 } .card { fill: #151b23; stroke: #656c76 }
.back { fill: #0d1117 } .flow { stroke: #9198a1 } .head { fill: #9198a1 }
}
";

pub(super) fn draw(plan: &Plan, layout: &Layout) -> String {
    let (width, height) = (layout.width, layout.height);
    let mut svg = Svg(format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" \
         viewBox=\"0 0 {width} {height}\" role=\"img\" aria-label=\"networks of lab {}\">\n\
         <style>\n{STYLE}</style>\n\
         <rect class=\"back\" width=\"{width}\" height=\"{height}\"/>\n",
        plan.lab
    ));
    for (at, network) in plan.networks.iter().enumerate() {
        svg.lane(plan, layout, at, network);
    }
    svg.router(plan, layout);
    for card in &layout.cards {
        svg.card(layout, card);
    }
    for bracket in &layout.brackets {
        svg.bracket(layout, bracket);
    }
    svg.0.push_str("</svg>\n");
    svg.0
}

struct Svg(String);

impl Svg {
    fn line(&mut self, element: std::fmt::Arguments<'_>) {
        // Writing to a String cannot fail.
        let _infallible = writeln!(self.0, "{element}");
    }

    fn text(&mut self, class: &str, x: i32, y: i32, text: &str) {
        let text = escaped(text);
        self.line(format_args!(
            "<text class=\"{class}\" x=\"{x}\" y=\"{y}\">{text}</text>"
        ));
    }

    /// The line of a network, its text above it, and a stub down from each class that is on it.
    fn lane(&mut self, plan: &Plan, layout: &Layout, at: usize, network: &Network) {
        let colour = LANES[at % LANES.len()];
        let y = layout.lanes_top + LANE * small(at);
        let (left, right) = (MARGIN + CARD_WIDTH / 2, layout.width - MARGIN);
        for (number, card) in layout.cards.iter().enumerate() {
            let Party::Class(name) = &card.party else {
                continue;
            };
            let class = plan.class(name.as_str());
            let networks = class.map_or(&[][..], |class| &class.networks);
            let Some(place) = networks.iter().position(|on| *on == network.name) else {
                continue;
            };
            let step = CARD_WIDTH / (small(networks.len()) + 1);
            let x = layout.cards[number].left + step * (small(place) + 1);
            let top = layout.cards_top + layout.card_height;
            self.line(format_args!(
                "<path stroke=\"{colour}\" stroke-width=\"2\" d=\"M{x} {top}V{y}\"/>\
                 <circle cx=\"{x}\" cy=\"{y}\" r=\"5\" fill=\"{colour}\"/>"
            ));
        }
        self.line(format_args!(
            "<path stroke=\"{colour}\" stroke-width=\"4\" stroke-linecap=\"round\" d=\"M{left} {y}H{right}\"/>"
        ));
        let nets: Vec<String> = network.nets.iter().map(|net| net.to_string()).collect();
        let text = format!("{}  {}", network.name, nets.join("  "));
        self.text("title", left + 14, y + LINE, &text);
    }

    /// The router at the left end of all lanes, below the host.
    fn router(&mut self, plan: &Plan, layout: &Layout) {
        let x = MARGIN + CARD_WIDTH / 2;
        let top = layout.cards_top + layout.card_height;
        let bottom = layout.lanes_top + LANE * small(plan.networks.len().saturating_sub(1));
        let name = match &plan.router {
            RouterSpec::Namespace => "router: firewall, NAT".to_owned(),
            RouterSpec::Host { uplink } => format!("router: the host, out by {uplink}"),
        };
        self.line(format_args!(
            "<path class=\"flow\" stroke-width=\"3\" d=\"M{x} {top}V{bottom}\"/>"
        ));
        let v6 = match plan.v6_mode {
            V6Mode::Routed => "routed",
            V6Mode::Npt { .. } => "prefix translated",
            V6Mode::Nat66 { .. } => "NAT",
            V6Mode::UlaOnly => "stays inside",
        };
        let text = format!("{name}; IPv4 leaves by NAT, IPv6: {v6}; lanes never meet");
        self.text("small", MARGIN, layout.height - MARGIN + 6, &text);
    }

    fn card(&mut self, layout: &Layout, card: &Card) {
        let (x, y, height) = (card.left, layout.cards_top, layout.card_height);
        self.line(format_args!(
            "<rect class=\"card\" x=\"{x}\" y=\"{y}\" width=\"{CARD_WIDTH}\" height=\"{height}\" rx=\"7\"/>"
        ));
        self.text("title", x + 12, y + LINE + 4, &card.title);
        for (at, line) in card.lines.iter().enumerate() {
            self.text("small", x + 12, y + LINE * (small(at) + 2) + 6, line);
        }
    }

    fn bracket(&mut self, layout: &Layout, bracket: &Bracket) {
        let Bracket { from, to, .. } = bracket;
        let bottom = layout.cards_top;
        let y = bottom - LINE - TRACK * bracket.track;
        let tip = bottom - 7;
        self.line(format_args!(
            "<path class=\"flow\" d=\"M{from} {bottom}V{y}H{to}V{tip}\"/>\
             <path class=\"head\" d=\"M{} {tip}h8l-4 7z\"/>",
            to - 4
        ));
        let middle = i32::midpoint(*from, *to);
        let width = label_width(&bracket.label);
        let left = middle - width / 2;
        self.line(format_args!(
            "<rect class=\"back\" x=\"{left}\" y=\"{}\" width=\"{width}\" height=\"14\"/>",
            y - 7
        ));
        self.text("small", left + 4, y + 4, &bracket.label);
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
