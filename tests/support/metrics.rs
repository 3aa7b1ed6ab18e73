//! What `/metrics` says.

use anyhow::Context;

use crate::Result;

/// One reading of a host's metrics.
#[derive(Clone, Debug)]
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
}
