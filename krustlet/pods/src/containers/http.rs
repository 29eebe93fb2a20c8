//! What the containers of a pod may do with HTTP: two annotations of the pod, Krustlet's own; and whether what they answer is said. Pure.
//!
//! They hold for all containers of the pod, and are read when a container starts: a change is for the next start. One that cannot
//! be read keeps the pod's containers from starting (`CreateContainerConfigError`) until it is changed. At admission the pod
//! would fail for good, and annotations, unlike most of a pod, can be mended.

use std::fmt::Display;
use std::num::NonZeroUsize;

use k8s_openapi::api::core::v1::Pod;
use krustlet_core::lifecycle::not_started::NotStarted;
use krustlet_runtime::{AllowedOriginsError, HttpAccess};
use serde_json::Value;

use crate::origins;
use crate::serving::limits;

/// JSON array of origins that the pod's containers may send requests to: `["https://catfact.ninja"]`; `tcp://host:port` and `udp://host:port` for
/// sockets. Without it: nowhere.
const ALLOWED_DOMAINS: &str = "alpha.wasi.krustlet.dev/allowed-domains";

/// How many requests each of the pod's containers may have under way at once, as a number in a string: `"42"`.
const MAX_CONCURRENT_REQUESTS: &str = "alpha.wasi.krustlet.dev/max-concurrent-requests";

/// Whether each request that a container answers is said in its log, once it has ended: `"true"`. Without it: no.
const ACCESS_LOG: &str = "alpha.wasi.krustlet.dev/access-log";

/// Past this a guest has no room for what it would hold of its requests.
const MOST_REQUESTS: usize = 1000;

/// What is allowed, and what should be told about how it was asked for.
#[derive(Debug)]
pub struct Granted {
    /// For the guest.
    pub access: HttpAccess,
    /// Whether the requests that it answers are said in its log.
    pub access_log: bool,
    /// For people: an event each.
    pub notes: Vec<String>,
}

/// What a container of this pod may do.
///
/// # Errors
/// What is wrong with which annotation.
pub fn access(pod: &Pod, container: &str) -> Result<Granted, NotStarted> {
    let (mut access, mut notes) = (HttpAccess::default(), Vec::new());
    if let Some(text) = annotation(pod, ALLOWED_DOMAINS) {
        let wrong = |error: AllowedOriginsError| wrong(ALLOWED_DOMAINS, error);
        let elements: Vec<Value> =
            serde_json::from_str(text).map_err(|error| wrong(AllowedOriginsError::NoList(error.to_string())))?;
        let mut allowed = Vec::with_capacity(elements.len());
        for (index, element) in elements.iter().enumerate() {
            let text = element.as_str().ok_or_else(|| wrong(AllowedOriginsError::NoString(index + 1)))?;
            let (origin, note) =
                origins::read(text).map_err(|error| wrong(AllowedOriginsError::Element(index + 1, error)))?;
            allowed.push(origin);
            notes.extend(note.map(|note| format!("annotation {ALLOWED_DOMAINS}: {note}")));
        }
        access.allowed = allowed.into_iter().collect();
    }
    if let Some(text) = annotation(pod, MAX_CONCURRENT_REQUESTS) {
        access.max_concurrent_requests = most_requests(text).map_err(|fault| wrong(MAX_CONCURRENT_REQUESTS, fault))?;
    }
    let access_log = match annotation(pod, ACCESS_LOG) {
        None | Some("false") => false,
        Some("true") => true,
        Some(other) => return Err(wrong(ACCESS_LOG, format_args!("{other:?} is neither \"true\" nor \"false\""))),
    };
    let (namespace, name) = (pod.metadata.namespace.as_deref(), pod.metadata.name.as_deref());
    access.name = format!("{}/{}/{container}", namespace.unwrap_or_default(), name.unwrap_or_default());
    Ok(Granted { access, access_log, notes })
}

/// An annotation is.
pub fn wrong(annotation: &str, fault: impl Display) -> NotStarted {
    NotStarted::config(format!("annotation {annotation}: {fault}"))
}

/// A limit of concurrent requests.
///
/// # Errors
/// What it must be.
pub fn most_requests(text: &str) -> Result<NonZeroUsize, String> {
    let number = text.parse().ok().filter(|number: &NonZeroUsize| number.get() <= MOST_REQUESTS);
    number.ok_or_else(|| format!("{text:?} is no whole number from 1 to {MOST_REQUESTS}"))
}

/// Whether a container that could not start for these annotations, or that of its clients' limits, may be able to now.
pub fn changed(before: &Pod, now: &Pod) -> bool {
    [ALLOWED_DOMAINS, MAX_CONCURRENT_REQUESTS, ACCESS_LOG, limits::ANNOTATION]
        .iter()
        .any(|name| annotation(before, name) != annotation(now, name))
}

fn annotation<'a>(pod: &'a Pod, name: &str) -> Option<&'a str> {
    pod.metadata.annotations.as_ref()?.get(name).map(String::as_str)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn pod(annotations: &[(&str, &str)]) -> Pod {
        let annotations: serde_json::Map<_, _> =
            annotations.iter().map(|(name, value)| ((*name).to_owned(), json!(value))).collect();
        let metadata = json!({ "namespace": "default", "name": "cats", "annotations": annotations });
        serde_json::from_value(json!({ "metadata": metadata })).unwrap()
    }

    fn allowed(text: &str) -> Result<(Vec<String>, usize), NotStarted> {
        let granted = access(&pod(&[(ALLOWED_DOMAINS, text)]), "c")?;
        let origins = granted.access.allowed.iter().map(ToString::to_string).collect();
        Ok((origins, granted.notes.len()))
    }

    #[test]
    fn requests_are_said_where_somebody_asked_for_it() {
        let log = |text: &str| access(&pod(&[(ACCESS_LOG, text)]), "c").map(|granted| granted.access_log);
        assert_eq!(access(&pod(&[]), "c").map(|granted| granted.access_log), Ok(false));
        assert_eq!((log("true"), log("false")), (Ok(true), Ok(false)));
        let error = log("yes").unwrap_err().message;
        assert!(error.ends_with(r#"access-log: "yes" is neither "true" nor "false""#), "{error}");
        assert!(changed(&pod(&[]), &pod(&[(ACCESS_LOG, "true")])));
    }

    #[test]
    fn nothing_is_allowed_unless_it_is_said() {
        for pod in
            [Pod::default(), pod(&[]), pod(&[("other", "[\"https://a.example\"]")]), pod(&[(ALLOWED_DOMAINS, "[]")])]
        {
            let granted = access(&pod, "c").unwrap();
            assert!(granted.access.allowed.is_empty() && granted.notes.is_empty());
            assert_eq!(granted.access.max_concurrent_requests, krustlet_runtime::DEFAULT_MAX_CONCURRENT_REQUESTS);
        }
    }

    #[test]
    fn origins_are_read() {
        let table = [
            (r#"["https://catfact.ninja"]"#, &["https://catfact.ninja"][..], 0),
            (r#"["https://catfact.ninja/fact"]"#, &["https://catfact.ninja"], 1),
            (
                " [\"http://10.0.0.7:8080\", \"https://A.example:443/\",\n\"http://[::1]:9\"] ",
                &["http://10.0.0.7:8080", "http://[::1]:9", "https://a.example"],
                0,
            ),
            (
                r#"["udp://10.0.0.7:8125", "tcp://DB.shop:5432", "https://a.example"]"#,
                &["https://a.example", "tcp://db.shop:5432", "udp://10.0.0.7:8125"],
                0,
            ),
        ];
        for (text, wanted, notes) in table {
            let wanted = wanted.iter().map(ToString::to_string).collect();
            assert_eq!(allowed(text), Ok((wanted, notes)), "{text}");
        }
    }

    #[test]
    fn what_is_wrong_is_named() {
        let table = [
            ("", "annotation alpha.wasi.krustlet.dev/allowed-domains: this is no JSON array of origins: "),
            (
                "https://a.example",
                "annotation alpha.wasi.krustlet.dev/allowed-domains: this is no JSON array of origins: ",
            ),
            (r#"{"a": 1}"#, "annotation alpha.wasi.krustlet.dev/allowed-domains: this is no JSON array of origins: "),
            (
                r#"["https://a.example", 7]"#,
                "annotation alpha.wasi.krustlet.dev/allowed-domains: element 2 of the list of origins is no string",
            ),
            (
                r#"["https://a.example", "https://b.example", "b.example"]"#,
                "annotation alpha.wasi.krustlet.dev/allowed-domains: element 3 of the list of origins: \"b.example\" is no origin: ",
            ),
            (
                r#"["https://*.example"]"#,
                "annotation alpha.wasi.krustlet.dev/allowed-domains: element 1 of the list of origins: \"https://*.example\" is no \
                 origin: ",
            ),
            (
                r#"["tcp://db.shop"]"#,
                "annotation alpha.wasi.krustlet.dev/allowed-domains: element 1 of the list of origins: \"tcp://db.shop\" is no origin: it \
                 has no port, which tcp:// has to have; give ",
            ),
            (
                r#"["tcp://db.shop:5432/shop"]"#,
                "annotation alpha.wasi.krustlet.dev/allowed-domains: element 1 of the list of origins: \"tcp://db.shop:5432/shop\" is no \
                 origin: it has a path",
            ),
        ];
        for (text, wanted) in table {
            let fault = allowed(text).unwrap_err().message;
            assert!(fault.starts_with(wanted), "{fault}");
        }
    }

    #[test]
    fn the_most_requests_at_once() {
        for (text, wanted) in [("1", 1), ("42", 42), ("1000", 1000)] {
            let granted = access(&pod(&[(MAX_CONCURRENT_REQUESTS, text)]), "c").unwrap();
            assert_eq!(granted.access.max_concurrent_requests.get(), wanted);
            assert!(granted.access.allowed.is_empty(), "a limit allows nothing");
        }
        for text in ["", "0", "-1", "1001", "4.2", "many", " 42", "42 "] {
            let fault = access(&pod(&[(MAX_CONCURRENT_REQUESTS, text)]), "c").unwrap_err().message;
            let name = "annotation alpha.wasi.krustlet.dev/max-concurrent-requests";
            assert_eq!(fault, format!("{name}: {text:?} is no whole number from 1 to 1000"));
        }
    }

    #[test]
    fn the_guest_has_the_name_of_its_container() {
        assert_eq!(access(&pod(&[]), "main").unwrap().access.name, "default/cats/main");
    }

    #[test]
    fn changes_of_these_annotations_are_seen() {
        let before = pod(&[(ALLOWED_DOMAINS, "[]"), ("other", "1")]);
        assert!(!changed(&before, &pod(&[(ALLOWED_DOMAINS, "[]"), ("other", "2")])));
        assert!(changed(&before, &pod(&[(ALLOWED_DOMAINS, "[\"\"]"), ("other", "1")])));
        assert!(changed(&before, &pod(&[("other", "1")])));
        assert!(changed(&before, &pod(&[(ALLOWED_DOMAINS, "[]"), (MAX_CONCURRENT_REQUESTS, "1")])));
    }
}
