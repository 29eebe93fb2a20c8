//! Kubernetes quantities: <https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/quantity/>

/// The quantity as a whole number of bytes, rounded up; `None` when it is none, is negative or is too large.
pub fn bytes(text: &str) -> Option<u64> {
    let at = text.find(|c: char| !(c.is_ascii_digit() || c == '.' || c == '+')).unwrap_or(text.len());
    let (number, suffix) = text.split_at(at);
    let number: f64 = number.parse().ok()?;
    let factor = match suffix {
        "" => 1.0,
        "m" => 1e-3,
        "k" => 1e3,
        "M" => 1e6,
        "G" => 1e9,
        "T" => 1e12,
        "P" => 1e15,
        "Ki" => 1024f64,
        "Mi" => 1024f64.powi(2),
        "Gi" => 1024f64.powi(3),
        "Ti" => 1024f64.powi(4),
        "Pi" => 1024f64.powi(5),
        exponent => 10f64.powi(exponent.strip_prefix(['e', 'E'])?.parse().ok()?),
    };
    let bytes = (number * factor).ceil();
    // Beyond 2^53 a float is not exact, and no machine has it.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    (0.0..9e15).contains(&bytes).then_some(bytes as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

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
            ("1500m", 2),
            ("0", 0),
        ];
        for (text, wanted) in table {
            assert_eq!(bytes(text), Some(wanted), "{text}");
        }
        for text in ["", "x", "1Q", "-1", "1 Mi", "9e99"] {
            assert_eq!(bytes(text), None, "{text}");
        }
    }
}
