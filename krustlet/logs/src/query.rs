//! What a reader of logs asks for.
//!
//! The parameters are those of PodLogOptions:
//! <https://kubernetes.io/docs/reference/kubernetes-api/workload-resources/pod-v1/#get-read-log-of-the-specified-pod>

use k8s_openapi::jiff::{SignedDuration, Timestamp};
use krustlet_runtime::Stream;

/// The parameters of a log request, parsed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Query {
    /// Go on until the container has ended for good.
    pub follow: bool,
    /// The attempt before the current one.
    pub previous: bool,
    /// Each line starts with its time.
    pub timestamps: bool,
    /// Only so many of the last lines: whole ones, however many pieces they were written in. With [`stream`](Self::stream), of
    /// that stream.
    pub tail_lines: Option<u64>,
    /// Only so many bytes, the times of [`timestamps`](Self::timestamps) included.
    pub limit_bytes: Option<u64>,
    /// Only lines that begin then or later.
    pub since: Option<Timestamp>,
    /// Only this stream.
    pub stream: Option<Stream>,
}

impl Query {
    /// Parses decoded parameters. `now` is what `sinceSeconds` counts back from.
    ///
    /// # Errors
    /// Names the parameter that is unknown or has a bad value.
    pub fn parse<'a>(parameters: impl Iterator<Item = (&'a str, &'a str)>, now: Timestamp) -> Result<Self, String> {
        let mut query = Self::default();
        for (name, value) in parameters {
            match name {
                "follow" => query.follow = boolean(value),
                "previous" => query.previous = boolean(value),
                "timestamps" => query.timestamps = boolean(value),
                "tailLines" => query.tail_lines = Some(count(name, value, 0)?),
                "limitBytes" => query.limit_bytes = Some(count(name, value, 1)?),
                "sinceSeconds" | "sinceTime" if query.since.is_some() => {
                    return Err("at most one of sinceSeconds and sinceTime may be given".into());
                }
                "sinceSeconds" => {
                    let seconds = i64::try_from(count(name, value, 1)?).unwrap_or(i64::MAX);
                    query.since = Some(now.checked_sub(SignedDuration::from_secs(seconds)).unwrap_or(Timestamp::MIN));
                }
                "sinceTime" => {
                    let time = value.parse().map_err(|_| format!("sinceTime: {value:?} is no RFC 3339 time"))?;
                    query.since = Some(time);
                }
                "stream" => {
                    query.stream = match value {
                        "All" => None,
                        "Stdout" => Some(Stream::Stdout),
                        "Stderr" => Some(Stream::Stderr),
                        _ => return Err(format!("stream: {value:?} is none of All, Stdout, Stderr")),
                    };
                }
                _ => return Err(format!("unknown parameter {name:?}")),
            }
        }
        Ok(query)
    }
}

/// As Kubernetes reads flags in a query: `?follow` alone is yes, and so is all that does not say no.
fn boolean(value: &str) -> bool {
    value != "0" && !value.eq_ignore_ascii_case("false")
}

fn count(name: &str, value: &str, least: u64) -> Result<u64, String> {
    match value.parse() {
        Ok(number) if number >= least => Ok(number),
        _ => Err(format!("{name}: {value:?} is no whole number from {least} on")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(parameters: &[(&str, &str)]) -> Result<Query, String> {
        Query::parse(parameters.iter().copied(), Timestamp::from_second(1000).unwrap())
    }

    #[test]
    fn every_parameter() {
        let query = parse(&[
            ("follow", "true"),
            ("previous", "false"),
            ("timestamps", "true"),
            ("tailLines", "0"),
            ("limitBytes", "10"),
            ("sinceSeconds", "100"),
            ("stream", "Stderr"),
        ]);
        let wanted = Query {
            follow: true,
            previous: false,
            timestamps: true,
            tail_lines: Some(0),
            limit_bytes: Some(10),
            since: Some(Timestamp::from_second(900).unwrap()),
            stream: Some(Stream::Stderr),
        };
        assert_eq!(query, Ok(wanted));
        let since = parse(&[("sinceTime", "1970-01-01T00:10:00Z")]).unwrap().since;
        assert_eq!(since, Some(Timestamp::from_second(600).unwrap()));
        assert_eq!(parse(&[]), Ok(Query::default()));
    }

    #[test]
    fn flags_are_set_unless_they_say_no() {
        for (value, wanted) in
            [("true", true), ("1", true), ("", true), ("yes", true), ("false", false), ("False", false), ("0", false)]
        {
            assert_eq!(parse(&[("follow", value)]).unwrap().follow, wanted, "{value:?}");
        }
    }

    #[test]
    fn faults_name_the_parameter() {
        for (name, value) in [
            ("tailLines", "-1"),
            ("tailLines", "x"),
            ("limitBytes", "0"),
            ("sinceSeconds", "0"),
            ("sinceTime", "yesterday"),
            ("stream", "Stdin"),
            ("container", "x"),
        ] {
            let message = parse(&[(name, value)]).unwrap_err();
            assert!(message.contains(name), "{message}");
        }
        assert!(parse(&[("sinceSeconds", "1"), ("sinceTime", "1970-01-01T00:10:00Z")]).is_err());
    }
}
