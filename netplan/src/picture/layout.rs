//! Where everything of the picture is. Lengths are in pixels of the SVG.

use crate::picture::Flow;
use crate::plan::{Class, Plan};
use crate::policy::Party;

pub(super) const MARGIN: i32 = 20;
pub(super) const CARD_WIDTH: i32 = 184;
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
    /// Flows that need no bracket: on the card itself, and those that every card has.
    pub(super) notes: Vec<String>,
    pub(super) left: i32,
}

/// A flow as a bracket from one card to another, or on one card.
pub(super) struct Bracket {
    pub(super) from: i32,
    pub(super) to: i32,
    /// Counted from the cards upwards.
    pub(super) track: i32,
    /// Whether the same may flow the other way.
    pub(super) both_ways: bool,
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
    pub(super) fn new(plan: &Plan, flows: &[Flow]) -> Self {
        let cards = plan.classes.iter().map(|class| card(plan, class, flows));
        let outside = |party: Party, line: Option<&str>| Card {
            title: party.to_string(),
            party,
            lines: line.into_iter().map(str::to_owned).collect(),
            notes: Vec::new(),
            left: 0,
        };
        let host = outside(Party::Host, Some("administration"));
        let comes_in = |((from, _), _): &Flow| *from == Party::Internet;
        let is_closed = !flows.is_empty() && !flows.iter().any(comes_in);
        let internet = outside(Party::Internet, is_closed.then_some("nothing comes in"));
        let mut cards: Vec<Card> = [host].into_iter().chain(cards).chain([internet]).collect();
        let mut left = MARGIN;
        for card in &mut cards {
            card.left = left;
            left += CARD_WIDTH + CARD_GAP;
        }
        let width = left - CARD_GAP + MARGIN;
        let brackets = brackets(&cards, flows);
        let tracks = brackets.iter().map(|bracket| bracket.track + 1).max();
        let cards_top = MARGIN + TRACK * tracks.unwrap_or(0) + LINE;
        let lines = cards.iter().map(|card| card.lines.len() + card.notes.len());
        let card_height = LINE * (small(lines.max().unwrap_or(0)) + 1) + 26;
        let lanes_top = cards_top + card_height + LANE;
        let lanes = small(plan.networks.len());
        Self {
            cards,
            brackets,
            width,
            cards_top,
            card_height,
            lanes_top,
            height: lanes_top + LANE * lanes + MARGIN,
        }
    }
}

/// Counts of what is drawn are small.
pub(super) fn small(count: usize) -> i32 {
    i32::try_from(count).unwrap_or(i32::MAX / 1_000)
}

fn card(plan: &Plan, class: &Class, flows: &[Flow]) -> Card {
    let names = plan.of_class(&class.name);
    let mut lines: Vec<String> = names.map(|machine| machine.name.to_string()).collect();
    if lines.len() > NAMES {
        let more = lines.len() - NAMES + 1;
        lines.truncate(NAMES - 1);
        lines.push(format!("and {more} more"));
    }
    if lines.is_empty() {
        lines.push("none".to_owned());
    }
    let party = Party::Class(class.name.clone());
    let note = |title: &str, from: &Party, to: &Party| {
        let flow = flows.iter().find(|((a, b), _)| a == from && b == to)?;
        Some(format!("{title}: {}", flow.1))
    };
    let notes = [
        note("each other", &party, &party),
        note("from host", &Party::Host, &party),
        note("from internet", &Party::Internet, &party),
        note("to internet", &party, &Party::Internet),
    ];
    Card {
        title: party.to_string(),
        lines,
        notes: notes.into_iter().flatten().collect(),
        party,
        left: 0,
    }
}

/// Flows between classes, short ones first, so that long ones run above them.
fn brackets(cards: &[Card], flows: &[Flow]) -> Vec<Bracket> {
    let position = |party: &Party| {
        let is_class = matches!(party, Party::Class(_));
        let mut cards = cards.iter();
        is_class
            .then(|| cards.position(|card| card.party == *party))
            .flatten()
    };
    let mut ends = joined(flows, position);
    ends.sort_by_key(|ends| {
        let Ends { from, to, .. } = *ends;
        (from.abs_diff(to), from.min(to), from)
    });
    let mut brackets: Vec<Bracket> = Vec::new();
    for (at, own) in ends.iter().enumerate() {
        let (from, to) = place(cards, &ends, at);
        brackets.push(Bracket {
            from,
            to,
            track: free_track(&brackets, from, to, own.label),
            both_ways: own.both_ways,
            label: own.label.clone(),
        });
    }
    brackets
}

/// The flows between two cards; of two opposite ones with the same label one that goes both ways.
fn joined(flows: &[Flow], position: impl Fn(&Party) -> Option<usize>) -> Vec<Ends<'_>> {
    let mut ends: Vec<Ends<'_>> = Vec::new();
    for ((from, to), label) in flows.iter().filter(|((from, to), _)| from != to) {
        let Some((from, to)) = position(from).zip(position(to)) else {
            continue;
        };
        let mut known = ends.iter_mut();
        match known.find(|other| (other.from, other.to, other.label) == (to, from, label)) {
            Some(other) => other.both_ways = true,
            None => ends.push(Ends {
                from,
                to,
                both_ways: false,
                label,
            }),
        }
    }
    ends
}

/// A flow between two cards, by their positions.
struct Ends<'a> {
    from: usize,
    to: usize,
    both_ways: bool,
    label: &'a String,
}

/// Where a flow meets the upper edges of its two cards. The ends on one card are spread over its
/// width: those that lead to the left, on the left, the longest outermost, so that brackets nest
/// and do not cross.
fn place(cards: &[Card], all: &[Ends<'_>], at: usize) -> (i32, i32) {
    let x = |card: usize, is_start: bool| {
        // Each end on this card: how far to the right its other end is, and whose it is.
        let mut ends: Vec<(i32, usize, bool)> = Vec::new();
        for (number, ends_of) in all.iter().enumerate() {
            let (from, to) = (small(ends_of.from), small(ends_of.to));
            if ends_of.from == card {
                ends.push((to - from, number, true));
            }
            if ends_of.to == card {
                ends.push((from - to, number, false));
            }
        }
        // To the left the farthest first; to the right the farthest last.
        ends.sort_by_key(|(reach, number, start)| (*reach, *number, !*start));
        let mine = ends.iter().position(|end| end.1 == at && end.2 == is_start);
        let mine = small(mine.unwrap_or(0));
        cards[card].left + CARD_WIDTH * (mine + 1) / (small(ends.len()) + 1)
    };
    (x(all[at].from, true), x(all[at].to, false))
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
