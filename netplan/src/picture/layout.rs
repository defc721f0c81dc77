//! Where everything of the picture is. Lengths are in pixels of the SVG.

use std::collections::BTreeMap;

use crate::picture::flows::{Party, PartyFlow};
use crate::plan::{Class, Plan};

pub(super) const MARGIN: i32 = 20;
pub(super) const CARD_WIDTH: i32 = 170;
pub(super) const CARD_GAP: i32 = 26;
/// The height of one track of flows, with the room of its label.
pub(super) const TRACK: i32 = 26;
/// The height of one line of text.
pub(super) const LINE: i32 = 17;
/// The height of one lane, with the room of its text.
pub(super) const LANE: i32 = 50;
/// Names of machines that a card shows; the rest is counted.
const NAMES: usize = 5;

/// One party.
pub(super) struct Card {
    pub(super) party: Party,
    pub(super) title: String,
    pub(super) lines: Vec<String>,
    pub(super) left: i32,
}

/// A flow as a bracket from one card to another, or on one card.
pub(super) struct Bracket {
    pub(super) from: i32,
    pub(super) to: i32,
    /// Counted from the cards upwards.
    pub(super) track: i32,
    pub(super) label: String,
}

pub(super) struct Layout {
    pub(super) cards: Vec<Card>,
    pub(super) brackets: Vec<Bracket>,
    pub(super) width: i32,
    /// The upper edge of the cards.
    pub(super) cards_top: i32,
    pub(super) card_height: i32,
    /// The line of the first lane.
    pub(super) lanes_top: i32,
    pub(super) height: i32,
}

impl Layout {
    pub(super) fn new(plan: &Plan, flows: Vec<PartyFlow>) -> Self {
        let mut cards: Vec<Card> = plan.classes.iter().map(|class| card(plan, class)).collect();
        let outside = |party: Party, title: &str, line: &str| Card {
            party,
            title: title.to_owned(),
            lines: vec![line.to_owned()],
            left: 0,
        };
        cards.insert(0, outside(Party::Host, "host", "administration"));
        cards.push(outside(Party::Internet, "internet", "IPv4 and IPv6"));
        let mut left = MARGIN;
        for card in &mut cards {
            card.left = left;
            left += CARD_WIDTH + CARD_GAP;
        }
        let width = left - CARD_GAP + MARGIN;
        let brackets = brackets(&cards, flows);
        let tracks = brackets.iter().map(|bracket| bracket.track + 1).max();
        let cards_top = MARGIN + TRACK * tracks.unwrap_or(0) + LINE;
        let lines = cards.iter().map(|card| card.lines.len()).max().unwrap_or(0);
        let card_height = LINE * (small(lines) + 1) + 16;
        let lanes_top = cards_top + card_height + LANE;
        let lanes = small(plan.networks.len());
        Self {
            cards,
            brackets,
            width,
            cards_top,
            card_height,
            lanes_top,
            height: lanes_top + LANE * lanes + LINE + MARGIN,
        }
    }
}

/// Counts of what is drawn are small.
pub(super) fn small(count: usize) -> i32 {
    i32::try_from(count).unwrap_or(i32::MAX / 1_000)
}

fn card(plan: &Plan, class: &Class) -> Card {
    let names: Vec<String> = plan
        .of_class(&class.name)
        .map(|machine| machine.name.to_string())
        .collect();
    let mut lines = names;
    if lines.len() > NAMES {
        let more = lines.len() - NAMES + 1;
        lines.truncate(NAMES - 1);
        lines.push(format!("and {more} more"));
    }
    if lines.is_empty() {
        lines.push("none".to_owned());
    }
    Card {
        party: Party::Class(class.name.clone()),
        title: class.name.to_string(),
        lines,
        left: 0,
    }
}

/// Short ones first, so that long ones run above them. Ends on one card are spread over its width.
fn brackets(cards: &[Card], flows: Vec<PartyFlow>) -> Vec<Bracket> {
    let position = |party: &Party| cards.iter().position(|card| card.party == *party);
    let mut ends: Vec<(usize, usize, String)> = flows
        .into_iter()
        .filter_map(|flow| Some((position(&flow.from)?, position(&flow.to)?, flow.what)))
        .collect();
    ends.sort_by_key(|(from, to, _)| (from.abs_diff(*to), *from.min(to), *from));
    let mut total: BTreeMap<usize, i32> = BTreeMap::new();
    for (from, to, _) in &ends {
        *total.entry(*from).or_default() += 1;
        *total.entry(*to).or_default() += 1;
    }
    let mut used: BTreeMap<usize, i32> = BTreeMap::new();
    let mut anchor = |card: usize| {
        let used = used.entry(card).or_default();
        *used += 1;
        cards[card].left + CARD_WIDTH * *used / (total[&card] + 1)
    };
    let mut brackets: Vec<Bracket> = Vec::new();
    for (from, to, label) in ends {
        let (from, to) = (anchor(from), anchor(to));
        let track = free_track(&brackets, from, to, &label);
        brackets.push(Bracket {
            from,
            to,
            track,
            label,
        });
    }
    brackets
}

/// The lowest track on which neither bracket nor label meets another.
fn free_track(brackets: &[Bracket], from: i32, to: i32, label: &str) -> i32 {
    let wanted = extent(from, to, label);
    (0..)
        .find(|track| {
            let mut there = brackets.iter().filter(|bracket| bracket.track == *track);
            there.all(|other| {
                let taken = extent(other.from, other.to, &other.label);
                taken.1 < wanted.0 || wanted.1 < taken.0
            })
        })
        .expect("above all brackets there is a free track")
}

/// How far a bracket with its label reaches to both sides.
fn extent(from: i32, to: i32, label: &str) -> (i32, i32) {
    let middle = i32::midpoint(from, to);
    let half = label_width(label) / 2;
    let (left, right) = (from.min(to), from.max(to));
    (left.min(middle - half) - 6, right.max(middle + half) + 6)
}

/// A generous guess at the width of a text of 11 pixels.
pub(super) fn label_width(label: &str) -> i32 {
    small(label.len()) * 7 + 8
}
