//! The figures as a table.

use etcd_faults::{rows::ROWS, run::Outcome};
use std::collections::BTreeMap;

/// One line for each row and each of its figures, in Markdown.
pub(super) fn table(outcomes: &[Outcome]) -> String {
    let mut text = String::from(
        "| row | held | figure | n | least | median | p90 | most |\n|---|---|---|---|---|---|---|---|\n",
    );
    for row in ROWS {
        let of_row: Vec<&Outcome> = outcomes.iter().filter(|o| o.row == row.name).collect();
        if of_row.is_empty() {
            continue;
        }
        let good = of_row.iter().filter(|o| o.failure.is_none()).count();
        let held = format!("{good} of {}", of_row.len());
        let mut figures: BTreeMap<&str, Vec<f64>> = BTreeMap::new();
        for (name, value) in of_row.iter().flat_map(|outcome| &outcome.figures) {
            figures.entry(name).or_default().push(*value);
        }
        if figures.is_empty() {
            text += &format!("| {} | {held} | | | | | | |\n", row.name);
        }
        for (index, (name, mut values)) in figures.into_iter().enumerate() {
            values.sort_by(f64::total_cmp);
            let at = |share: usize| values[(values.len() - 1) * share / 100];
            let (row, held) = match index {
                0 => (row.name, held.as_str()),
                _ => ("", ""),
            };
            text += &format!(
                "| {row} | {held} | {name} | {} | {:.0} | {:.0} | {:.0} | {:.0} |\n",
                values.len(),
                at(0),
                at(50),
                at(90),
                at(100),
            );
        }
    }
    text
}
