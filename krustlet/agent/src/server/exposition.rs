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
        };
        self.push(format_args!("# HELP {name} {help}\n# TYPE {name} {kind}\n"));
        self.family = name;
        self
    }

    /// A sample of the family that was begun last, as of now or as of a time.
    pub fn sample(&mut self, labels: &[(&str, &str)], value: impl Display, at: Option<Timestamp>) -> &mut Self {
        self.text.push_str(self.family);
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
}
