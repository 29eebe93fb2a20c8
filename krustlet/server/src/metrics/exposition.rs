//! Prometheus' text format: <https://prometheus.io/docs/instrumenting/exposition_formats/#text-based-format>

use std::fmt::{Display, Write};

use k8s_openapi::jiff::Timestamp;

/// The media type.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4";

/// What a metric is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Only grows, until its subject begins anew.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Counts by size.
    Histogram,
}

/// Metrics, one family after the other.
#[derive(Debug, Default)]
pub struct Exposition {
    text: String,
    /// Name of the family that was begun last.
    family: &'static str,
}

impl Exposition {
    /// Begins a metric; its samples follow. A family stands once.
    pub fn family(&mut self, name: &'static str, kind: Kind, help: &str) -> &mut Self {
        let help = help.replace('\\', "\\\\").replace('\n', "\\n");
        let kind = match kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
        };
        self.push(format_args!("# HELP {name} {help}\n# TYPE {name} {kind}\n"));
        self.family = name;
        self
    }

    /// A sample of the family that was begun last, as of now or as of a time.
    pub fn sample(&mut self, labels: &[(&str, &str)], value: impl Display, at: Option<Timestamp>) -> &mut Self {
        self.sample_of("", labels, value, at)
    }

    /// The samples of a histogram: how many are up to each bound, the last of which is infinite, and their sum.
    pub fn histogram(&mut self, labels: &[(&str, &str)], buckets: &[(f64, u64)], sum: f64) -> &mut Self {
        for (bound, count) in buckets {
            let bound = if bound.is_infinite() { "+Inf".to_owned() } else { bound.to_string() };
            self.sample_of("_bucket", &[labels, &[("le", bound.as_str())]].concat(), count, None);
        }
        let all = buckets.last().map_or(0, |(_, count)| *count);
        self.sample_of("_sum", labels, sum, None).sample_of("_count", labels, all, None)
    }

    fn sample_of(
        &mut self,
        suffix: &str,
        labels: &[(&str, &str)],
        value: impl Display,
        at: Option<Timestamp>,
    ) -> &mut Self {
        self.text.push_str(self.family);
        self.text.push_str(suffix);
        for (n, (name, value)) in labels.iter().enumerate() {
            let value = value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
            self.push(format_args!("{}{name}=\"{value}\"", if n == 0 { '{' } else { ',' }));
        }
        if !labels.is_empty() {
            self.text.push('}');
        }
        self.push(format_args!(" {value}"));
        if let Some(at) = at {
            self.push(format_args!(" {}", at.as_millisecond()));
        }
        self.text.push('\n');
        self
    }

    /// The text.
    pub fn finish(self) -> String {
        self.text
    }

    fn push(&mut self, what: std::fmt::Arguments<'_>) {
        // Writing to a string does not fail.
        let _ = self.text.write_fmt(what);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn families_samples_and_what_must_be_escaped() {
        let mut text = Exposition::default();
        text.family("a_total", Kind::Counter, "With \\ and\nline end.").sample(&[], 1.5, None);
        text.family("b", Kind::Gauge, "Two.")
            .sample(&[("x", "say \"hi\"\\\n"), ("y", "")], 2, Some(Timestamp::from_millisecond(1_500).unwrap()))
            .sample(&[("x", "1")], u64::MAX, None);
        let wanted = "# HELP a_total With \\\\ and\\nline end.\n# TYPE a_total counter\na_total 1.5\n\
            # HELP b Two.\n# TYPE b gauge\nb{x=\"say \\\"hi\\\"\\\\\\n\",y=\"\"} 2 1500\nb{x=\"1\"} 18446744073709551615\n";
        assert_eq!(text.finish(), wanted);
    }

    #[test]
    fn a_histogram_has_its_buckets_sum_and_count() {
        let mut text = Exposition::default();
        text.family("c", Kind::Histogram, "C.").histogram(&[("x", "1")], &[(0.5, 2), (f64::INFINITY, 3)], 4.25);
        let wanted = "# HELP c C.\n# TYPE c histogram\nc_bucket{x=\"1\",le=\"0.5\"} 2\nc_bucket{x=\"1\",le=\"+Inf\"} 3\n\
            c_sum{x=\"1\"} 4.25\nc_count{x=\"1\"} 3\n";
        assert_eq!(text.finish(), wanted);
    }
}
