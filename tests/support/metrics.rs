//! What `/metrics` says.

use std::collections::BTreeMap;

use anyhow::Context;

use crate::Result;

/// One reading of a host's metrics.
#[derive(Clone, Debug, Default)]
pub struct Metrics {
    text: String,
}

impl Metrics {
    pub(crate) fn read(admin: &str) -> Result<Self> {
        let url = format!("{admin}/metrics");
        let mut answer = ureq::get(&url)
            .call()
            .with_context(|| format!("{url} does not answer"))?;
        let text = answer
            .body_mut()
            .read_to_string()
            .with_context(|| format!("{url} sends no text"))?;
        Ok(Self { text })
    }

    /// The sum of a metric over all series that carry these labels; `None` where there is no such series.
    pub fn sum(&self, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
        let values: Vec<f64> = self
            .text
            .lines()
            .filter(|line| !line.starts_with('#'))
            .filter_map(|line| line.rsplit_once(' '))
            .filter(|(series, _)| carries(series, name, labels))
            .filter_map(|(_, value)| value.parse().ok())
            .collect();
        (!values.is_empty()).then(|| values.iter().sum())
    }

    /// The same by the values of another label: whole numbers, as counters have them.
    pub fn sums(&self, name: &str, labels: &[(&str, &str)], by: &str) -> BTreeMap<String, u64> {
        let mut sums = BTreeMap::new();
        for line in self.text.lines().filter(|line| !line.starts_with('#')) {
            let Some((series, value)) = line.rsplit_once(' ') else {
                continue;
            };
            let (Some(label), Ok(value)) = (value_of(series, by), value.parse::<f64>()) else {
                continue;
            };
            if carries(series, name, labels) {
                *sums.entry(label.to_owned()).or_insert(0) += value as u64;
            }
        }
        sums
    }

    /// Everything, as it was read.
    pub fn text(&self) -> &str {
        &self.text
    }
}

fn carries(series: &str, name: &str, labels: &[(&str, &str)]) -> bool {
    let (own, rest) = series.split_once('{').unwrap_or((series, ""));
    own == name
        && labels
            .iter()
            .all(|(label, value)| rest.contains(&format!("{label}=\"{value}\"")))
}

/// The value of a label. Braces may stand in it, as in a route's pattern; quotes may not.
fn value_of<'a>(series: &'a str, label: &str) -> Option<&'a str> {
    let (_, rest) = series.split_once('{')?;
    let start = format!("{label}=\"");
    let at = rest.match_indices(&start).map(|(at, _)| at).find(|at| {
        let before = rest.get(..*at).unwrap_or_default();
        before.is_empty() || before.ends_with(',')
    })?;
    rest.get(at + start.len()..)?.split('"').next()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn series_are_summed_by_name_and_labels() {
        let text = "# TYPE a counter\na{h=\"x\",t=\"1\"} 2\na{h=\"x\",t=\"2\"} 3\na{h=\"y\"} 7\na_sum 9\n".to_owned();
        let metrics = Metrics { text };
        assert_eq!(metrics.sum("a", &[("h", "x")]), Some(5.0));
        assert_eq!(metrics.sum("a", &[]), Some(12.0));
        assert_eq!(metrics.sum("a_sum", &[]), Some(9.0));
        assert_eq!(metrics.sum("b", &[]), None);
    }

    #[test]
    fn series_are_summed_by_a_label() {
        let text =
            "a{h=\"x\",t=\"1\"} 2\na{h=\"x\",t=\"2\"} 3\na{t=\"2\",h=\"/y/{z}\"} 7\na{th=\"w\"} 1\nab{h=\"x\"} 9\n";
        let metrics = Metrics { text: text.to_owned() };
        let by = |labels: &[(&str, &str)]| metrics.sums("a", labels, "h").into_iter().collect::<Vec<_>>();
        assert_eq!(by(&[]), [("/y/{z}".to_owned(), 7), ("x".to_owned(), 5)]);
        assert_eq!(by(&[("t", "1")]), [("x".to_owned(), 2)]);
    }
}
