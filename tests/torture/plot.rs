//! Measures over time: whether they stay where they are, a table for a terminal, and a plot for a page.

use std::fmt::Write;
use std::time::Duration;

/// The plot's width, and the height of each measure in it, in pixels.
const WIDTH: f64 = 900.0;
const HEIGHT: f64 = 120.0;
/// Left of the curves, for the numbers; above each, for its name.
const LEFT: f64 = 90.0;
const ABOVE: f64 = 30.0;
/// A curve of a table, in characters.
const CURVE: usize = 48;
/// What may be added to a measure between the second quarter of the time and the last one.
const SHARE: f64 = 0.1;

/// A measure over time.
#[derive(Clone, Debug)]
pub(super) struct Series {
    /// What is measured, and in what.
    pub(super) name: &'static str,
    /// If it must not grow: what it may grow by nevertheless, in its unit, beside [`SHARE`].
    pub(super) slack: Option<f64>,
    /// The values, in equal steps of time.
    pub(super) values: Vec<f64>,
}

impl Series {
    pub(super) fn new(name: &'static str, slack: Option<f64>) -> Self {
        let values = Vec::new();
        Self { name, slack, values }
    }

    /// The median of the second quarter of the time, and of the last one. The first one is for getting there.
    fn quarters(&self) -> (f64, f64) {
        let quarter = self.values.len() / 4;
        let median = |from: usize, to: usize| {
            let mut values = self.values.get(from..to).unwrap_or_default().to_vec();
            values.sort_by(f64::total_cmp);
            values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
        };
        (
            median(quarter, 2 * quarter),
            median(self.values.len() - quarter, self.values.len()),
        )
    }

    /// Whether it stays where it is, or nobody asks it to; no measure at all does not.
    pub(super) fn is_flat(&self) -> bool {
        let (second, last) = self.quarters();
        let bound = |slack| second * (1.0 + SHARE) + slack;
        self.slack.is_none_or(|slack| last <= bound(slack))
    }

    /// The greatest value.
    fn top(&self) -> f64 {
        self.values.iter().copied().fold(0.0, f64::max)
    }

    /// A line of the table.
    pub(super) fn line(&self) -> String {
        let (second, last) = self.quarters();
        let word = match (self.slack, self.is_flat()) {
            (None, _) => "",
            (_, true) => "flat",
            (_, false) => "GROWS",
        };
        format!(
            "{:22} {second:9.1} in the second quarter, {last:9.1} in the last, {:9.1} at most  {} {word}",
            self.name,
            self.top(),
            self.curve()
        )
    }

    /// The values as a row of blocks.
    fn curve(&self) -> String {
        let blocks = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
        let step = self.values.len().div_ceil(CURVE).max(1);
        let means = self
            .values
            .chunks(step)
            .map(|chunk| chunk.iter().sum::<f64>() / chunk.len() as f64);
        let height = |value: f64| (value / self.top().max(f64::MIN_POSITIVE) * 7.0).round() as usize;
        means.filter_map(|mean| blocks.get(height(mean))).collect()
    }
}

/// The measures one below the other, over the same time, as an SVG.
pub(super) fn svg(title: &str, all: &[Series], length: Duration) -> String {
    let height = ABOVE + all.len() as f64 * (HEIGHT + ABOVE) + ABOVE;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH}\" height=\"{height}\" font-family=\"sans-serif\" font-size=\"12\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n<text x=\"8\" y=\"18\" font-size=\"14\">{title}</text>\n"
    );
    let width = WIDTH - LEFT - 20.0;
    for (place, series) in all.iter().enumerate() {
        let y = 2.0 * ABOVE + place as f64 * (HEIGHT + ABOVE);
        let (low, right) = (y + HEIGHT, LEFT + width);
        // Room above the highest value, so that a flat line is seen as one.
        let top = (series.top() * 1.2).max(f64::MIN_POSITIVE);
        let steps = series.values.len().saturating_sub(1).max(1) as f64;
        let points = series.values.iter().enumerate().map(|(at, value)| {
            let x = LEFT + width * at as f64 / steps;
            format!("{x:.1},{:.1}", low - HEIGHT * value / top)
        });
        let points: Vec<_> = points.collect();
        let _ = write!(
            svg,
            "<text x=\"{LEFT}\" y=\"{:.1}\">{}</text>\n\
             <path d=\"M{LEFT},{y} V{low} H{right}\" fill=\"none\" stroke=\"#999\"/>\n\
             <text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{top:.1}</text>\n\
             <text x=\"{:.1}\" y=\"{low:.1}\" text-anchor=\"end\">0</text>\n\
             <polyline points=\"{}\" fill=\"none\" stroke=\"#26c\" stroke-width=\"1.5\"/>\n",
            y - 6.0,
            series.name,
            LEFT - 6.0,
            y + 10.0,
            LEFT - 6.0,
            points.join(" ")
        );
    }
    let minutes = length.as_secs_f64() / 60.0;
    let _ = write!(
        svg,
        "<text x=\"{LEFT}\" y=\"{0:.1}\">0</text>\n\
         <text x=\"{1:.1}\" y=\"{0:.1}\" text-anchor=\"end\">{minutes:.1} minutes</text>\n</svg>\n",
        height - 10.0,
        LEFT + width
    );
    svg
}

#[cfg(test)]
mod tests {
    use super::*;

    fn series(slack: f64, value: impl Fn(usize) -> f64) -> Series {
        Series {
            values: (0..400).map(value).collect(),
            ..Series::new("memory, MiB", Some(slack))
        }
    }

    #[test]
    fn what_grows_is_told_from_what_gets_where_it_stays() {
        assert!(series(0.0, |_| 100.0).is_flat());
        assert!(
            series(0.0, |at| at.min(100) as f64).is_flat(),
            "the first quarter is for that"
        );
        assert!(
            series(0.0, |at| if at % 10 == 0 { 900.0 } else { 100.0 }).is_flat(),
            "spikes"
        );
        assert!(!series(8.0, |at| 100.0 + at as f64 / 8.0).is_flat(), "a leak");
        assert!(
            series(30.0, |at| 100.0 + at as f64 / 8.0).is_flat(),
            "a leak within the slack"
        );
        assert!(series(0.0, |at| 500.0 - at as f64).is_flat(), "it may shrink");
        assert!(!Series::new("nothing was measured", Some(1.0)).is_flat());
    }

    #[test]
    fn a_line_shows_the_curve() {
        let line = series(0.0, |at| at as f64).line();
        assert!(
            line.contains("150.0 in the second quarter,     350.0 in the last"),
            "{line}"
        );
        assert!(
            line.contains('▁') && line.contains('█') && line.ends_with("GROWS"),
            "{line}"
        );
    }

    #[test]
    fn a_plot_has_a_point_for_every_value() {
        let svg = svg(
            "a soak",
            &[series(0.0, |_| 1.0), series(0.0, |_| 2.0)],
            Duration::from_secs(90),
        );
        assert_eq!(svg.matches("<polyline").count(), 2);
        assert_eq!(
            svg.matches(',').count() - 2 * 2,
            2 * 400,
            "a comma a point, one a name and one an axis"
        );
        assert!(svg.contains(">1.5 minutes<"), "{svg}");
    }
}
