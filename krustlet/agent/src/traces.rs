//! The flags of traces, which the agent and `krustlet-wasi serve` have alike. Their variables are our own: OpenTelemetry's
//! (<https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/>) are set in many a shell, for other programs.

use std::path::Path;
use std::sync::Arc;

use anyhow::Result;
use clap::Args;
use krustlet_api::discovery::ServiceNames;
use krustlet_runtime::Tracer;
use krustlet_traces::{Endpoint, Exporter, Ratio};

/// What is traced, and where that goes.
#[derive(Args, Clone, Debug)]
pub struct TraceFlags {
    /// Where spans of HTTP requests are sent that are answered, by OTLP over HTTP: the base URL of a collector, to which /v1/traces is
    /// added, for example http://localhost:4318 [default: nowhere, and nothing is recorded]
    #[arg(long, value_name = "URL", env = "KRUSTLET_OTLP_ENDPOINT", hide_env_values = true)]
    otlp_endpoint: Option<String>,

    /// Share of the traces that begin here of which spans are recorded, from 0 to 1; for others their traceparent decides
    #[arg(
        long,
        value_name = "RATIO",
        env = "KRUSTLET_OTLP_SAMPLING_RATIO",
        hide_env_values = true,
        default_value = "1"
    )]
    otlp_sampling_ratio: String,
}

/// The same, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tracing {
    endpoint: Endpoint,
    ratio: Ratio,
}

impl TraceFlags {
    /// What is wanted, if anything is.
    ///
    /// # Errors
    /// One line for each fault.
    pub fn read(&self) -> Result<Option<Tracing>, Vec<String>> {
        // A variable that is empty is as one that is not set.
        let Some(endpoint) = self.otlp_endpoint.as_deref().filter(|endpoint| !endpoint.is_empty()) else {
            return Ok(None);
        };
        let ratio = if self.otlp_sampling_ratio.is_empty() { "1" } else { &self.otlp_sampling_ratio };
        let endpoint = endpoint.parse().map_err(|error| format!("--otlp-endpoint: {error}"));
        let ratio = ratio.parse().map_err(|error| format!("--otlp-sampling-ratio: {error}"));
        match (endpoint, ratio) {
            (Ok(endpoint), Ok(ratio)) => Ok(Some(Tracing { endpoint, ratio })),
            (endpoint, ratio) => Err(endpoint.err().into_iter().chain(ratio.err()).collect()),
        }
    }
}

impl Tracing {
    /// Begins to send what the tracer is given. `names` are those of a cluster's Services, where there is one.
    ///
    /// # Errors
    /// The file of certificate authorities cannot be used.
    pub fn start(&self, ca_file: Option<&Path>, names: Option<ServiceNames>) -> Result<(Tracer, Exporter)> {
        let tracer = Tracer::new(self.ratio);
        let names = names.map(|names| Arc::new(names) as _);
        let exporter = Exporter::start(&tracer, &self.endpoint, ca_file, names)?;
        Ok((tracer, exporter))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(endpoint: Option<&str>, ratio: &str) -> Result<Option<Tracing>, Vec<String>> {
        let (otlp_endpoint, otlp_sampling_ratio) = (endpoint.map(ToOwned::to_owned), ratio.to_owned());
        TraceFlags { otlp_endpoint, otlp_sampling_ratio }.read()
    }

    #[test]
    fn nothing_is_traced_unless_somebody_wants_it() {
        for endpoint in [None, Some("")] {
            assert_eq!(read(endpoint, "whatever"), Ok(None));
        }
        for (text, ratio) in [("", "1"), ("0.25", "0.25")] {
            let endpoint = "http://localhost:4318".parse().unwrap();
            let wanted = Tracing { endpoint, ratio: ratio.parse().unwrap() };
            assert_eq!(read(Some("http://localhost:4318"), text), Ok(Some(wanted)));
        }
    }

    #[test]
    fn all_faults_are_named_by_their_flags() {
        let faults = read(Some("localhost:4318"), "10%").unwrap_err();
        let [endpoint, ratio] = &faults[..] else { panic!("{faults:?}") };
        assert!(
            endpoint.starts_with("--otlp-endpoint: \"localhost:4318\": it does not begin with http://"),
            "{endpoint}"
        );
        assert!(ratio.starts_with("--otlp-sampling-ratio: \"10%\" is no share"), "{ratio}");
    }
}
