//! What the environment says.

use std::ffi::OsString;
use std::time::Duration;

use crate::Url;

const URL: &str = "CAT_FACTS_URL";
const DEFAULT_URL: &str = "https://catfact.ninja/fact";
const INTERVAL: &str = "CAT_FACTS_INTERVAL_SECONDS";
const DEFAULT_INTERVAL_SECONDS: u64 = 60;
/// A day: more is a mistake of the unit.
const MAX_INTERVAL_SECONDS: u64 = 86_400;

/// Where facts are had, and how often.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// `CAT_FACTS_URL`. Default: `https://catfact.ninja/fact`.
    pub url: Url,
    /// `CAT_FACTS_INTERVAL_SECONDS`. Default: a minute.
    pub interval: Duration,
}

impl Settings {
    /// Reads variables by their names. One that is empty counts as not set.
    ///
    /// # Errors
    /// One sentence for each variable that makes no sense.
    pub fn read(variable: impl Fn(&str) -> Option<OsString>) -> Result<Self, Vec<String>> {
        let text = |name: &str| match variable(name).filter(|value| !value.is_empty()) {
            None => Ok(None),
            Some(value) => value.into_string().map(Some).map_err(|_| format!("{name} is not UTF-8")),
        };
        let (url, interval) = (text(URL).and_then(url), text(INTERVAL).and_then(interval));
        match (url, interval) {
            (Ok(url), Ok(interval)) => Ok(Self { url, interval }),
            (url, interval) => Err(url.err().into_iter().chain(interval.err()).collect()),
        }
    }
}

fn url(given: Option<String>) -> Result<Url, String> {
    let text = given.unwrap_or_else(|| DEFAULT_URL.to_owned());
    // Not shown as it is: what is wrong with it may be the password in it.
    Url::parse(&text).ok_or_else(|| {
        format!("{URL} must be a URL like {DEFAULT_URL}: http:// or https://, a host, a path; no user and no password")
    })
}

fn interval(given: Option<String>) -> Result<Duration, String> {
    let Some(text) = given else { return Ok(Duration::from_secs(DEFAULT_INTERVAL_SECONDS)) };
    let seconds = text.parse().ok().filter(|seconds| (1..=MAX_INTERVAL_SECONDS).contains(seconds));
    let seconds = seconds.ok_or_else(|| {
        format!("{INTERVAL} must be a whole number of seconds from 1 to {MAX_INTERVAL_SECONDS}, not {text:?}")
    })?;
    Ok(Duration::from_secs(seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(variables: &[(&str, &str)]) -> Result<Settings, Vec<String>> {
        let find = |name: &str| variables.iter().find(|(known, _)| *known == name).map(|(_, value)| value.into());
        Settings::read(find)
    }

    #[test]
    fn defaults_and_given_values() {
        let table = [
            (("", ""), (DEFAULT_URL, 60)),
            (("http://127.0.0.1:8080/fact", "1"), ("http://127.0.0.1:8080/fact", 1)),
            (("https://a", "86400"), ("https://a", 86_400)),
        ];
        assert_eq!(read(&[]), read(&[(URL, ""), (INTERVAL, "")]));
        for ((url, interval), (wanted_url, seconds)) in table {
            let wanted = Settings { url: Url::parse(wanted_url).unwrap(), interval: Duration::from_secs(seconds) };
            assert_eq!(read(&[(URL, url), (INTERVAL, interval)]), Ok(wanted));
        }
    }

    #[test]
    fn what_makes_no_sense_is_said() {
        for url in ["catfact.ninja/fact", "http://me:secret@a/"] {
            let wanted = "CAT_FACTS_URL must be a URL like https://catfact.ninja/fact: http:// or https://, a host, a path; no \
                          user and no password";
            assert_eq!(read(&[(URL, url)]), Err(vec![wanted.to_owned()]));
        }
        for seconds in ["0", "-1", "1.5", "60s", "86401", " 5", "99999999999999999999"] {
            let wanted = "CAT_FACTS_INTERVAL_SECONDS must be a whole number of seconds from 1 to 86400, not";
            assert_eq!(read(&[(INTERVAL, seconds)]), Err(vec![format!("{wanted} {seconds:?}")]));
        }
        assert_eq!(read(&[(URL, "x"), (INTERVAL, "x")]).unwrap_err().len(), 2);
    }

    #[cfg(unix)]
    #[test]
    fn what_is_no_text_is_said() {
        use std::os::unix::ffi::OsStringExt;
        let read = Settings::read(|name| (name == URL).then(|| OsString::from_vec(vec![0xff])));
        assert_eq!(read, Err(vec!["CAT_FACTS_URL is not UTF-8".into()]));
    }
}
