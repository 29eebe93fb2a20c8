//! Kubernetes quantities: <https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/quantity/>

/// A whole unit, in the smallest part of one that a quantity can express.
const NANO: i128 = 1_000_000_000;

/// The quantity as a whole number of bytes, rounded up; `None` when it is none, is negative or is too large.
pub fn bytes(text: &str) -> Option<u64> {
    units(text, NANO)
}

/// The quantity in thousandths, as CPUs are counted; rounded up. `None` as for [`bytes`].
pub fn milli(text: &str) -> Option<u64> {
    units(text, NANO / 1000)
}

/// A number as Kubernetes writes it: with the greatest suffix that leaves a whole number, `Ki`, `Mi` … if `binary`, else `k`, `M` ….
pub fn text(number: u64, binary: bool) -> String {
    let (base, suffixes) = match binary {
        true => (1024, ["Ki", "Mi", "Gi", "Ti", "Pi", "Ei"]),
        false => (1000, ["k", "M", "G", "T", "P", "E"]),
    };
    let (mut rest, mut suffix) = (number, "");
    for next in suffixes {
        if rest == 0 || !rest.is_multiple_of(base) {
            break;
        }
        (rest, suffix) = (rest / base, next);
    }
    format!("{rest}{suffix}")
}

fn units(text: &str, unit: i128) -> Option<u64> {
    let nano = nano(text)?;
    u64::try_from(nano / unit + i128::from(nano % unit > 0)).ok()
}

/// The quantity in billionths, rounded up.
fn nano(text: &str) -> Option<i128> {
    let digits = text.strip_prefix('+').unwrap_or(text);
    let at = digits.find(|c: char| !(c.is_ascii_digit() || c == '.')).unwrap_or(digits.len());
    let (number, suffix) = digits.split_at(at);
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if whole.is_empty() && fraction.is_empty() {
        return None;
    }
    let mantissa: i128 = format!("{whole}{fraction}").parse().ok()?;
    let divisor = power(10, u32::try_from(fraction.len()).ok()?)?;
    let (factor, divisor) = match scale(suffix)? {
        (base, exponent @ 0..) => (power(base, exponent.unsigned_abs())?.checked_mul(NANO)?, divisor),
        (base, exponent) => (NANO, divisor.checked_mul(power(base, exponent.unsigned_abs())?)?),
    };
    let scaled = mantissa.checked_mul(factor)?;
    Some(scaled / divisor + i128::from(scaled % divisor > 0))
}

/// What a suffix multiplies by: base and exponent.
fn scale(suffix: &str) -> Option<(i128, i32)> {
    Some(match suffix {
        "" => (10, 0),
        "n" => (10, -9),
        "u" => (10, -6),
        "m" => (10, -3),
        "k" => (10, 3),
        "M" => (10, 6),
        "G" => (10, 9),
        "T" => (10, 12),
        "P" => (10, 15),
        "E" => (10, 18),
        "Ki" => (2, 10),
        "Mi" => (2, 20),
        "Gi" => (2, 30),
        "Ti" => (2, 40),
        "Pi" => (2, 50),
        "Ei" => (2, 60),
        exponent => (10, exponent.strip_prefix(['e', 'E'])?.parse().ok()?),
    })
}

fn power(base: i128, exponent: u32) -> Option<i128> {
    base.checked_pow(exponent)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn all_forms() {
        let table = [
            ("128Mi", 128 << 20),
            ("1Gi", 1 << 30),
            ("1G", 1_000_000_000),
            ("1.5Ki", 1536),
            ("64k", 64_000),
            ("100", 100),
            ("1e3", 1000),
            ("12E-1", 2),
            ("1E", 1_000_000_000_000_000_000),
            ("4Ei", 4 << 60),
            ("1500m", 2),
            (".5", 1),
            ("0", 0),
            ("9007199254740993", 9_007_199_254_740_993),
        ];
        for (text, wanted) in table {
            assert_eq!(bytes(text), Some(wanted), "{text}");
        }
        for text in ["", "x", ".", "1Q", "-1", "1 Mi", "9e99", "99Ei", "1e-99999999999", "1.2.3"] {
            assert_eq!(bytes(text), None, "{text}");
        }
    }

    #[test]
    fn as_kubernetes_writes_them() {
        let table = [
            (0, true, "0"),
            (1, true, "1"),
            (1023, true, "1023"),
            (1024, true, "1Ki"),
            (1 << 20, true, "1Mi"),
            (1536 << 10, true, "1536Ki"),
            (39_387_136, true, "38464Ki"),
            (1 << 60, true, "1Ei"),
            (u64::MAX, true, "18446744073709551615"),
            (1 << 20, false, "1048576"),
            (1000, false, "1k"),
            (1_500_000, false, "1500k"),
            (2_000_000_000_000_000_000, false, "2E"),
        ];
        for (number, binary, wanted) in table {
            assert_eq!(text(number, binary), wanted);
            assert_eq!(bytes(wanted), Some(number));
        }
    }

    #[test]
    fn thousandths_are_rounded_up() {
        for (text, wanted) in [
            ("2", 2000),
            ("250m", 250),
            ("0.1", 100),
            ("1u", 1),
            ("100n", 1),
            ("1500u", 2),
            ("0", 0),
            ("1k", 1_000_000),
        ] {
            assert_eq!(milli(text), Some(wanted), "{text}");
        }
        assert_eq!(milli("much"), None);
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back(number: u64, binary: bool) {
            prop_assert_eq!(bytes(&text(number, binary)), Some(number));
        }

        /// And thousandths are as many as there are, rounded up once.
        #[test]
        fn whatever_is_written_is_a_quantity_or_none(
            text in "[+-]?[0-9]{0,25}(\\.[0-9]{0,25})?(n|u|m|k|M|G|T|P|E|Ki|Mi|Gi|Ti|Pi|Ei|[eE][+-]?[0-9]{1,11})?|\\PC{0,10}"
        ) {
            if let (Some(whole), Some(thousandths)) = (bytes(&text), milli(&text)) {
                prop_assert_eq!(whole, thousandths.div_ceil(1000));
            }
        }

        #[test]
        fn a_suffix_multiplies(number in 0..1_000_000u64, at in 0..7usize) {
            let suffixes = [("", 1), ("k", 1000), ("M", 1_000_000), ("G", 1_000_000_000), ("Ki", 1 << 10), ("Mi", 1 << 20), ("Gi", 1 << 30)];
            let (suffix, factor) = suffixes[at];
            prop_assert_eq!(bytes(&format!("{number}{suffix}")), Some(number * factor));
            prop_assert_eq!(milli(&format!("{number}{suffix}")), Some(number * factor * 1000));
        }
    }
}
