//! The picture as SVG 1.1.

use std::fmt::Write as _;

use crate::picture::layout::{
    Bracket, CARD_WIDTH, Card, LANE, LINE, Layout, MARGIN, TRACK, label_width, small,
};
use crate::plan::{Network, Plan};
use crate::policy::Party;
use crate::requirement::{RouterSpec, V4Mode, V6Mode};

/// Colours of lanes, readable on white and on black.
const LANES: [&str; 6] = [
    "#d1495b", "#2f7ed8", "#2e933c", "#a15cc4", "#c77d0a", "#17919a",
];

const STYLE: &str = "\
text { font: 12px ui-monospace, 'DejaVu Sans Mono', monospace; fill: #1f2328 }
.title { font-weight: bold } .small { font-size: 11px; fill: #59636e }
.note { font-size: 11px; fill: #0550ae }
.card { fill: #f6f8fa; stroke: #8c959f } .back { fill: #ffffff }
.halo { paint-order: stroke; stroke: #ffffff; stroke-width: 5px }
.flow { fill: none; stroke: #59636e } .head { fill: #59636e }
@media (prefers-color-scheme: dark) {
text { fill: #e6edf3 } .small { fill: #9198a1 } .note { fill: #79c0ff } .card { fill: #151b23; stroke: #656c76 }
.back { fill: #0d1117 } .halo { stroke: #0d1117 } .flow { stroke: #9198a1 } .head { fill: #9198a1 }
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
    for (at, network) in plan.networks.iter().enumerate() {
        svg.lane_text(layout, at, network);
    }
    svg.router(plan, layout);
    for card in &layout.cards {
        svg.card(layout, card);
    }
    for bracket in &layout.brackets {
        svg.bracket(layout, bracket);
    }
    // Above all lines, so that none runs through a word.
    for bracket in &layout.brackets {
        svg.label(layout, bracket);
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

    /// The line of a network, and a stub down to it from each class that is on it.
    fn lane(&mut self, plan: &Plan, layout: &Layout, at: usize, network: &Network) {
        let colour = LANES[at % LANES.len()];
        let y = layout.lanes_top + LANE * small(at);
        let (left, right) = ends(layout);
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
    }

    /// Below its line, and above the stubs of the others.
    fn lane_text(&mut self, layout: &Layout, at: usize, network: &Network) {
        let nets: Vec<String> = network.nets.iter().map(|net| net.to_string()).collect();
        let text = format!("{}  {}", network.name, nets.join("  "));
        let y = layout.lanes_top + LANE * small(at) + LINE;
        self.text("title halo", ends(layout).0 + 14, y, &text);
    }

    /// The router at both ends of all lanes, below the host and the internet.
    fn router(&mut self, plan: &Plan, layout: &Layout) {
        let top = layout.cards_top + layout.card_height;
        let bottom = layout.lanes_top + LANE * small(plan.networks.len().saturating_sub(1));
        let name = match &plan.router {
            RouterSpec::Namespace => "a router namespace".to_owned(),
            RouterSpec::Host { uplink } => format!("the host, out by {uplink}"),
        };
        let (left, right) = ends(layout);
        self.line(format_args!(
            "<path class=\"flow\" stroke-width=\"3\" d=\"M{left} {top}V{bottom}M{right} {top}V{bottom}\"/>"
        ));
        let way_out = way_out(plan);
        let text = format!("Between the lanes: {name} with a firewall. {way_out}.");
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
        let first = small(card.notes.len());
        for (at, note) in card.notes.iter().enumerate() {
            let y = y + height - 10 - LINE * (first - 1 - small(at));
            self.text("note", x + 12, y, note);
        }
    }

    fn bracket(&mut self, layout: &Layout, bracket: &Bracket) {
        let Bracket { from, to, .. } = bracket;
        let (bottom, y) = (layout.cards_top, track_line(layout, bracket));
        let tip = bottom - 7;
        self.line(format_args!(
            "<path class=\"flow\" d=\"M{from} {bottom}V{y}H{to}V{tip}\"/>"
        ));
        let heads: &[i32] = if bracket.both_ways {
            &[*from, *to]
        } else {
            &[*to]
        };
        for x in heads {
            let left = x - 4;
            self.line(format_args!(
                "<path class=\"head\" d=\"M{left} {tip}h8l-4 7z\"/>"
            ));
        }
    }

    fn label(&mut self, layout: &Layout, bracket: &Bracket) {
        let y = track_line(layout, bracket);
        let width = label_width(&bracket.label);
        let left = i32::midpoint(bracket.from, bracket.to) - width / 2;
        self.line(format_args!(
            "<rect class=\"back\" x=\"{left}\" y=\"{}\" width=\"{width}\" height=\"14\"/>",
            y - 7
        ));
        self.text("small", left + 4, y + 4, &bracket.label);
    }
}

/// How the families that the lab has leave it.
fn way_out(plan: &Plan) -> String {
    let V4Mode::Nat = plan.v4_mode;
    let v4 = plan.supernet.v4.map(|_| "IPv4 leaves by NAT");
    let v6 = plan.supernet.v6.map(|_| match plan.v6_mode {
        V6Mode::Routed => "IPv6 is routed",
        V6Mode::Npt { .. } => "IPv6 leaves with another prefix (NPT)",
        V6Mode::Nat66 { .. } => "IPv6 leaves by NAT",
        V6Mode::UlaOnly => "IPv6 stays inside",
    });
    let ways: Vec<&str> = v4.into_iter().chain(v6).collect();
    ways.join(", ")
}

/// Where the lanes end: below the middle of the first card and of the last.
fn ends(layout: &Layout) -> (i32, i32) {
    let inset = MARGIN + CARD_WIDTH / 2;
    (inset, layout.width - inset)
}

fn track_line(layout: &Layout, bracket: &Bracket) -> i32 {
    layout.cards_top - LINE - TRACK * bracket.track
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}
