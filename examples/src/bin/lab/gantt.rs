//! Where the time went, as a picture: one bar per step, in text and as SVG.

use crate::{table, timings::Timing};
use std::fmt::Write as _;

/// How many characters the longest bar may take.
const COLUMNS: usize = 44;
/// Of the SVG, in pixels.
const ROW: usize = 18;
const LABEL: usize = 260;
const CHART: usize = 700;
const MARGIN: usize = 10;

/// The end of the last step, in seconds; never 0, so that it divides.
fn end(timings: &[Timing]) -> f64 {
    let ends = timings.iter().map(|timing| timing.start_s + timing.seconds);
    ends.fold(0.1, f64::max)
}

/// From whole seconds, so that at most eight marks fit.
fn mark_every(end: f64) -> f64 {
    let candidates = [1.0, 2.0, 5.0, 10.0, 20.0, 30.0, 60.0, 120.0, 300.0, 600.0];
    let fits = candidates.into_iter().find(|every| end / every <= 8.0);
    fits.unwrap_or(1800.0)
}

/// The steps as a table with a bar each.
pub(crate) fn text(timings: &[Timing]) -> String {
    let end = end(timings);
    // The last column that begins by then.
    let begins = |column: usize| column as f64 / COLUMNS as f64 * end;
    let place = |seconds: f64| {
        let mut begun = (0..COLUMNS).filter(|column| begins(*column) <= seconds);
        begun.next_back().unwrap_or(0)
    };
    let mut scale = vec![b' '; COLUMNS + 8];
    let every = mark_every(end);
    let mut mark = 0.0;
    while mark <= end {
        let label = format!("{mark:.0}");
        let at = place(mark);
        scale[at..at + label.len()].copy_from_slice(label.as_bytes());
        mark += every;
    }
    let scale = String::from_utf8_lossy(&scale).trim_end().to_owned() + " s";
    let row = |timing: &Timing| {
        let (from, to) = (
            place(timing.start_s),
            place(timing.start_s + timing.seconds),
        );
        [
            format!("{:7.2}", timing.start_s),
            format!("{:7.2}", timing.seconds),
            timing.machine.clone(),
            timing.step.clone(),
            format!("{}{}", " ".repeat(from), "=".repeat(to - from + 1)),
        ]
    };
    let rows: Vec<_> = timings.iter().map(row).collect();
    table::columns(["START s", "TOOK s", "MACHINE", "STEP", &scale], &rows)
}

/// The same as SVG (<https://www.w3.org/TR/SVG2/>), readable without a program of ours.
pub(crate) fn svg(timings: &[Timing]) -> String {
    let end = end(timings);
    let x = |seconds: f64| LABEL as f64 + seconds / end * CHART as f64;
    let (width, height) = (LABEL + CHART + 80, (timings.len() + 2) * ROW + 2 * MARGIN);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" \
         viewBox=\"0 0 {width} {height}\" font-family=\"sans-serif\" font-size=\"11\">\n\
         <rect width=\"{width}\" height=\"{height}\" fill=\"#ffffff\"/>\n"
    );
    let mut line = |text: String| {
        // Writing to a String cannot fail.
        let _infallible = writeln!(svg, "{text}");
    };
    let every = mark_every(end);
    let mut mark = 0.0;
    while mark <= end {
        let (at, bottom) = (x(mark), height - MARGIN);
        line(format!(
            "<line x1=\"{at:.1}\" y1=\"{ROW}\" x2=\"{at:.1}\" y2=\"{bottom}\" stroke=\"#dddddd\"/>\
             <text x=\"{at:.1}\" y=\"{}\" text-anchor=\"middle\">{mark:.0} s</text>",
            ROW - 4
        ));
        mark += every;
    }
    for (index, timing) in timings.iter().enumerate() {
        let top = MARGIN + (index + 1) * ROW;
        let bar = (timing.seconds / end * CHART as f64).max(1.0);
        line(format!(
            "<text x=\"{}\" y=\"{}\" text-anchor=\"end\">{}</text>\
             <rect x=\"{:.1}\" y=\"{top}\" width=\"{bar:.1}\" height=\"{}\" fill=\"{}\"/>\
             <text x=\"{:.1}\" y=\"{}\" fill=\"#555555\">{:.2}</text>",
            LABEL - 6,
            top + 11,
            escaped(&format!("{} {}", timing.machine, timing.step)),
            x(timing.start_s),
            ROW - 5,
            colour(&timing.machine),
            x(timing.start_s) + bar + 4.0,
            top + 11,
            timing.seconds
        ));
    }
    svg.push_str("</svg>\n");
    svg
}

/// By class: the letters at the beginning of the machine's name.
fn colour(machine: &str) -> &'static str {
    match machine.split('-').next() {
        Some("etcd") => "#c2803a",
        Some("cp") => "#4472b0",
        Some("worker") => "#4f9a5b",
        _ => "#777777",
    }
}

fn escaped(text: &str) -> String {
    let text = text.replace('&', "&amp;").replace('<', "&lt;");
    text.replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A run of the reference lab, in short.
    fn run() -> Vec<Timing> {
        [
            ("", "certificates", 0.1, 0.2),
            ("etcd-0", "boot", 0.32, 0.76),
            ("cp-0", "boot", 0.33, 0.7),
            ("etcd-0", "etcd: ready", 1.1, 0.3),
            ("cp-0", "API", 1.2, 3.3),
            ("worker-0", "Ready <first>", 4.6, 2.0),
            ("", "DNS", 4.5, 4.8),
        ]
        .map(|(machine, step, start_s, seconds)| Timing::new(machine, step, start_s, seconds))
        .to_vec()
    }

    #[track_caller]
    fn check(name: &str, text: &str) {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("tests/it/data")
            .join(name);
        if option_env!("LAB_BLESS").is_some() {
            std::fs::write(&path, text).unwrap();
        }
        assert_eq!(
            std::fs::read_to_string(&path).unwrap_or_default(),
            text,
            "{name}"
        );
    }

    #[test]
    fn as_text() {
        check("timings.txt", &text(&run()));
        assert!(text(&[]).starts_with("START s"));
    }

    #[test]
    fn as_svg() {
        check("timings.svg", &svg(&run()));
        assert!(svg(&run()).contains("Ready &lt;first&gt;"));
    }

    #[test]
    fn no_time_at_all_makes_a_chart_too() {
        let none = [Timing::new("cp-0", "files", 0.0, 0.0)];
        assert!(text(&none).contains("files  ="), "{}", text(&none));
    }
}
