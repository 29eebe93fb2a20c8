//! Which traces are sampled.

use std::str::FromStr;

/// The bits of a trace's id that are random for certain: the last 56.
const BITS: u32 = 56;

/// The share of the traces that begin here of which spans are recorded. One that began elsewhere is recorded where its `traceparent` says so
/// (`parentbased_traceidratio`: <https://opentelemetry.io/docs/specs/otel/trace/sdk/#traceidratiobased>).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ratio {
    /// The ids of traces that are recorded are not below.
    least: u64,
}

/// What is wrong with a [`Ratio`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no share: give a number from 0 (none) to 1 (all), for example 0.1")]
pub struct RatioError(String);

impl Ratio {
    /// All of them.
    pub const ALL: Self = Self { least: 0 };

    /// Whether a trace that begins with this id is recorded. It is the same everywhere.
    pub(crate) fn samples(self, trace_id: [u8; 16]) -> bool {
        let [_, _, _, _, _, _, _, _, _, random @ ..] = trace_id;
        random.iter().fold(0_u64, |number, byte| number << 8 | u64::from(*byte)) >= self.least
    }
}

impl FromStr for Ratio {
    type Err = RatioError;

    fn from_str(text: &str) -> Result<Self, RatioError> {
        let share = text.parse().ok().filter(|share| (0.0..=1.0).contains(share));
        let share: f64 = share.ok_or_else(|| RatioError(text.to_owned()))?;
        Ok(Self { least: ((1.0 - share) * (1_u64 << BITS) as f64) as u64 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::Ids;

    #[test]
    fn a_share_of_all_ids_is_sampled() {
        let ids = Ids::default();
        for (text, least, most) in [("0", 0, 0), ("0.1", 800, 1200), ("0.5", 4700, 5300), ("1", 10_000, 10_000)] {
            let ratio: Ratio = text.parse().unwrap();
            let sampled = (0..10_000).filter(|_| ratio.samples(ids.trace())).count();
            assert!((least..=most).contains(&sampled), "{text}: {sampled}");
        }
        assert_eq!("1.0".parse(), Ok(Ratio::ALL));
        let ends = [[0; 16], [0xff; 16]];
        let all = |text: &str| ends.map(|id| text.parse::<Ratio>().unwrap().samples(id));
        assert_eq!((all("0"), all("1"), all("0.5")), ([false; 2], [true; 2], [false, true]));
    }

    #[test]
    fn what_is_no_share_is_named() {
        for text in ["", "-0.1", "1.1", "10%", "NaN", "inf", "all"] {
            let fault = text.parse::<Ratio>().unwrap_err().to_string();
            assert!(fault.starts_with(&format!("{text:?} is no share: ")), "{fault}");
        }
    }
}
